/** The bare id out of a payment's `package: 'prepay_id=wx…'`, also one prefixed twice; null when there is none. */
export function prepayIdOf(pkg: unknown): string | null {
  const found = typeof pkg === 'string' ? /(?:^|&)\s*(?:prepay_id=)+(?!prepay_id=)([^&\s]{1,512})/.exec(pkg) : null
  return found ? found[1] : null
}

/** Success is only what says so; a phone's answer without errMsg came through the success callback and counts. */
export function isPaid(res: any): boolean {
  const said = res && res.errMsg
  return typeof said !== 'string' || /:ok/i.test(said)
}

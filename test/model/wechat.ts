import type { SendInput } from '../../server/senders/sender.js'
import type { WechatResult } from '../../server/wechat/client.js'

/** A message WeChat took. `key` is what it must not take twice: the message, for service accounts with its round. */
export type Taken = { m: string; key: string; msgid: string; at: number; by: string }

/** WeChat's own ledger. Never changed in place. */
export type Wechat = {
  /** Uses left of forms and payments by their value, of grants by person and template. */
  left: Record<string, number>
  taken: Taken[]
  /** client_msg_ids it remembers. */
  ids: Record<string, { at: number; msgid: string }>
  /** Uses that went without a message: somebody else's, or a -1's. */
  wasted: number
}

/** How long WeChat knows a client_msg_id again. */
const SAME_ID_MS = 10 * 60_000

export const answerOf = (errcode: number, body: Record<string, string> = {}): WechatResult => ({
  kind: 'answer',
  errcode,
  errmsg: String(errcode),
  rid: null,
  body,
  httpStatus: 200,
  ms: 1
})

/** What happens to a request besides being carried out and answered. */
export const FAULTS = {
  lostThere: 'reset before WeChat saw it',
  lostBack: 'carried out, then reset',
  late: 'given up, then carried out after all',
  notSent: 'no connection',
  minusOne: 'answered -1, nothing done',
  minusOneUsed: 'answered -1, the right used up',
  tooFast: 'answered 45011',
  unfit: 'answered 47003'
} as const
export type Fault = keyof typeof FAULTS

const grantOf = (input: SendInput) => `${input.openId} ${input.templateId}`
export const rightOf = (input: SendInput): string => (input.channel === 'legacy' ? input.formId! : grantOf(input))

/** WeChat carries a request out. The message's id travels as its first value; one that is unfit is refused for its text. */
export function carriedOut(wechat: Wechat, input: SendInput, now: number): { wechat: Wechat; result: WechatResult } {
  const m = input.data.keyword1!.value
  const msgid = String(1000 + wechat.taken.length)
  const take = (key: string, by: string, more: Partial<Wechat>) => {
    const taken = [...wechat.taken, { m, key, msgid, at: now, by }]
    const body: Record<string, string> = input.channel === 'legacy' ? {} : { msgid }
    return { wechat: { ...wechat, ...more, taken }, result: answerOf(0, body) }
  }
  if (m.startsWith('unfit')) return { wechat, result: answerOf(47003) }
  if (input.channel === 'service') {
    const id = input.clientMsgId!
    const before = wechat.ids[id]
    if (before !== undefined && now - before.at < SAME_ID_MS)
      return { wechat, result: answerOf(0, { msgid: before.msgid }) }
    // what it must not take twice is this round of this message, whatever id it was asked with
    return take(`${m}.${id.slice(id.lastIndexOf('.') + 1)}`, 'service', {
      ids: { ...wechat.ids, [id]: { at: now, msgid } }
    })
  }
  const by = rightOf(input)
  const left = wechat.left[by]
  if (input.channel === 'legacy' && left === undefined) return { wechat, result: answerOf(41028) }
  if ((left ?? 0) <= 0) return { wechat, result: answerOf(input.channel === 'legacy' ? 41029 : 43101) }
  return take(m, by, { left: { ...wechat.left, [by]: left! - 1 } })
}

/** A use that brings nobody a message. */
export const wasted = (wechat: Wechat, by: string): Wechat =>
  (wechat.left[by] ?? 0) <= 0
    ? wechat
    : { ...wechat, left: { ...wechat.left, [by]: wechat.left[by]! - 1 }, wasted: wechat.wasted + 1 }

/** What WeChat's ledger and the caller get of a request that meets a fault. */
export function faulted(
  wechat: Wechat,
  input: SendInput,
  fault: Fault,
  now: number
): { wechat: Wechat; result: WechatResult; stillOut: boolean } {
  const noAnswer: WechatResult = { kind: 'noAnswer', reason: 'reset', ms: 1 }
  const calm = (result: WechatResult) => ({ wechat, result, stillOut: false })
  switch (fault) {
    case 'lostThere':
      return calm(noAnswer)
    case 'lostBack':
      return { wechat: carriedOut(wechat, input, now).wechat, result: noAnswer, stillOut: false }
    case 'late':
      return { wechat, result: noAnswer, stillOut: true }
    case 'notSent':
      return calm({ kind: 'notSent', reason: 'ECONNREFUSED', ms: 1 })
    case 'minusOne':
      return calm(answerOf(-1))
    case 'minusOneUsed':
      return { wechat: wasted(wechat, rightOf(input)), result: answerOf(-1), stillOut: false }
    case 'tooFast':
      return calm(answerOf(45011))
    case 'unfit':
      return calm(answerOf(47003))
  }
}

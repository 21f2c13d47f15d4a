import type { Letting, Release } from '../credentials/letting.js'
import type { MessageRow } from './model.js'

/** Rows in these states keep their hold: nothing is known yet, or it is in use. */
const KEEPS = ['held', 'sending']

/** How an unsettled hold of this row is to be let go; null while the row still stands behind it. */
export function releaseOf(row: Pick<MessageRow, 'state' | 'by' | 'hold' | 'closed'>): Release | null {
  if (row.hold === null || row.hold.settled === true || KEEPS.includes(row.state)) return null
  if (row.state === 'unknown' && !row.closed) return row.hold.do ?? null
  if (row.hold.do !== undefined) return row.hold.do
  if (row.state === 'accepted' || row.state === 'delivered') return 'spend'
  if (row.state === 'failed' && row.by === 'receipt') return 'spend'
  if (row.state === 'unknown') return 'spend'
  return 'refund'
}

/** The letting go a row asks for; null when there is none, or nothing was ever held. */
export function lettingOf(
  row: Pick<MessageRow, 'accountId' | 'recipientId' | 'templateId' | 'state' | 'by' | 'hold' | 'closed'>
): Letting | null {
  const release = releaseOf(row)
  if (release === null || row.hold === null) return null
  return {
    accountId: row.accountId,
    recipientId: row.recipientId!,
    templateId: row.templateId,
    credentialId: row.hold.cred,
    source: row.hold.source,
    h: row.hold.h,
    release,
    asOf: row.hold.asOf ?? null,
    why: row.hold.why ?? null
  }
}

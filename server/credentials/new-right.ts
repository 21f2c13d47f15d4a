import { DAY_MS, KEPT_DAYS, NEVER } from '../../shared/limits.js'
import type { Source } from '../../shared/credential.js'
import { newId } from '../platform/ids.js'
import type { CredentialRow } from './model.js'

/** A right to be minted by something WeChat pushed (follow, scan, menu, reply, a granted popup). */
export type Mint = { recipientId: string; source: Source; at: Date; key: string; templateId?: string | null }

/** A live right as it is first stored. `hash` makes it one of a kind; `sends` null = as many as one likes. Pure but for its id. */
export function newRight(
  accountId: string,
  item: Mint & { hash: string },
  sends: number | null,
  expiresAt: Date,
  now: Date
): CredentialRow {
  return {
    _id: newId(),
    accountId: accountId,
    recipientId: item.recipientId,
    hash: item.hash,
    source: item.source,
    templateId: item.templateId ?? null,
    sealed: null,
    orderId: null,
    place: null,
    state: 'live',
    why: null,
    unlimited: sends === null,
    sends: sends ?? 0,
    sendsLeft: sends ?? 0,
    held: 0,
    spent: 0,
    holds: [],
    spentBy: [],
    heldAt: null,
    defers: 0,
    caughtAt: item.at,
    mintedAt: now,
    liveAt: now,
    notBefore: now,
    expiresAt,
    removeAt: removalOf(expiresAt, now),
    history: [{ at: now, what: 'captured', m: null }],
    createdAt: now
  }
}

/** When a row may be removed: some days after expiry; what never expires is dated from its last use. */
function removalOf(expiresAt: Date, now: Date): Date {
  return expiresAt.getTime() === NEVER.getTime()
    ? new Date(NEVER)
    : new Date(Math.max(expiresAt.getTime(), now.getTime()) + KEPT_DAYS.credentials * DAY_MS)
}

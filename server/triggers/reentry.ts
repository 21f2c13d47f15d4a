import type { Collection } from 'mongodb'
import type { Reentry } from '../../shared/trigger.js'
import { DAY_MS, NEVER } from '../../shared/limits.js'
import { isDuplicateKey } from '../platform/mongo.js'
import type { ReentryRow } from './model.js'

const GRACE_MS = 30 * DAY_MS

/** Who may be let in: the row's filter, and what is written when it matches. */
export function reentryUpdate(id: string, reentry: Exclude<Reentry, 'each'>, by: string, at: Date) {
  if (reentry === 'once') {
    return { filter: { _id: id, by }, set: { at, by, expireAt: NEVER } }
  }
  const lifeMs = reentry.perDays * DAY_MS
  return {
    filter: { _id: id, $or: [{ at: { $lte: new Date(at.getTime() - lifeMs) } }, { by }] },
    set: { at, by, expireAt: new Date(at.getTime() + lifeMs + GRACE_MS) }
  }
}

/**
 * May this campaign take this recipient (again) for `by`, which happened at `at`? Asking twice for the same `by` gives the
 * same answer, so a crash in between denies nobody (docs/ledger.md F).
 */
export async function letIn(
  rows: Collection<ReentryRow>,
  campaignId: string,
  recipientId: string,
  reentry: Reentry,
  by: string,
  at: Date
): Promise<boolean> {
  if (reentry === 'each') return true
  const { filter, set } = reentryUpdate(`${campaignId}:${recipientId}`, reentry, by, at)
  try {
    await rows.updateOne(filter, { $set: set }, { upsert: true })
    return true
  } catch (error) {
    if (!isDuplicateKey(error)) throw error
    // There is a row: either it denies, or two first askers collided and it may still match.
    const { matchedCount } = await rows.updateOne(filter, { $set: set })
    return matchedCount > 0
  }
}

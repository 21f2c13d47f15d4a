import type { Collection } from 'mongodb'
import type { Account } from '../accounts/accounts.js'
import type { Holds } from '../credentials/holds.js'
import { IN_ONE } from '../platform/mongo.js'
import type { Letting } from '../credentials/letting.js'
import type { MessageRow } from './model.js'
import type { Ready } from './ready.js'
import { lettingOf } from './release.js'
import type { Lane } from '../../shared/message.js'
import type { Runs } from './runs.js'

/** How long a lease runs, and how much of it a request may still be started in (lease − HTTP timeout − 5 s). */
export const LEASE_MS = 30_000
export const FIRE_WITHIN_MS = 15_000

/**
 * The fire check, the last thing before the socket: may a request still start under a lease asked for at `leasedAt`? Both
 * clocks must allow it, so that neither a stall nor a clock that was set lets one outlive its lease. Pure.
 */
export const mayFire = (leasedAt: Ready['leasedAt'], now: Ready['leasedAt']): boolean =>
  Math.max(now.monotonic - leasedAt.monotonic, now.wall - leasedAt.wall) <= FIRE_WITHIN_MS

/** Nothing of a paused account is due sooner than a lease or a delay of 30 s ends. */
const REST_MS = 10_000

/** In the order they are served. */
export const LANES: readonly Lane[] = ['transactional', 'bulk']

export type LeasingParts = { rows: Collection<MessageRow>; runs: Runs; holds: Holds }

/** Finding what is due and taking it up for a while (docs/ledger.md B, M2 and M3). */
export function createLeasing({ rows, runs, holds }: LeasingParts) {
  /** When paused accounts are looked at again, in ms since 1970: to find what is in doubt among all that rests costs much. */
  const restUntil = new Map<string, number>()

  /** Ids of due rows, transactional first, at most one per recipient and none of `busy`. */
  async function dueIds(account: Account, limit: number, busy: ReadonlySet<string>, now: Date, lanes: readonly Lane[]) {
    const { paused } = await runs.closedOf(account.id)
    const offline: Record<string, unknown>[] = []
    if (account.paused) offline.push({ state: 'sending' })
    else if (paused.size > 0) offline.push({ runId: { $nin: [...paused] } }, { state: 'sending' })
    const found: Pick<MessageRow, '_id' | 'state' | 'recipientId'>[] = []
    const taken = new Set<string>()
    for (const lane of lanes) {
      if (found.length >= limit) break
      const part = await rows
        .find(
          {
            accountId: account.id,
            lane,
            due: { $lte: now },
            state: { $in: ['planned', 'held', 'sending'] },
            ...(offline.length > 0 ? { $or: offline } : {})
          },
          { projection: { state: 1, recipientId: 1 }, batchSize: IN_ONE }
        )
        .sort({ due: 1 })
        .limit(limit - found.length + Math.min(busy.size, 100))
        .toArray()
      for (const row of part) {
        const who = row.recipientId ?? row._id
        if (busy.has(who) || taken.has(who) || found.length >= limit) continue
        taken.add(who)
        found.push(row)
      }
    }
    return found
  }

  /** M2a, M2b and the read that tells which are mine. */
  async function lease(
    ids: Pick<MessageRow, '_id' | 'state'>[],
    accountId: string,
    now: Date,
    t: string
  ): Promise<MessageRow[]> {
    const until = new Date(now.getTime() + LEASE_MS)
    const calm = ids.filter((row) => row.state !== 'sending').map((row) => row._id)
    const doubt = ids.filter((row) => row.state === 'sending').map((row) => row._id)
    if (calm.length > 0) {
      await rows.updateMany(
        { accountId, _id: { $in: calm }, state: { $in: ['planned', 'held'] }, due: { $lte: now } },
        { $set: { lease: t, due: until }, $inc: { n: 1 } }
      )
    }
    if (doubt.length > 0) {
      await rows.updateMany(
        { accountId, _id: { $in: doubt }, state: 'sending', due: { $lte: now } },
        { $set: { lease: t, due: until, 'hold.doubt': true }, $inc: { n: 1 } }
      )
    }
    return rows.find({ accountId, _id: { $in: ids.map((row) => row._id) }, lease: t }, { batchSize: IN_ONE }).toArray()
  }

  /** M3: reservations of an earlier turn that were never let go. */
  async function leftovers(mine: MessageRow[]): Promise<void> {
    const left = mine.filter((row) => row.state === 'planned' && row.hold !== null && row.hold.settled !== true)
    if (left.length === 0) return
    await holds.letGo(left.map((row) => lettingOf(row)).filter((each): each is Letting => each !== null))
    await rows.bulkWrite(
      left.map((row) => ({
        updateOne: {
          filter: { accountId: row.accountId, _id: row._id, state: 'planned', 'hold.h': row.hold!.h },
          update: { $set: { 'hold.settled': true } }
        }
      })),
      { ordered: false }
    )
    for (const row of left) row.hold!.settled = true
  }

  return {
    /**
     * Leases up to `limit` due rows of these lanes to `t`; rows of recipients in `busy` are left alone. What an earlier turn had
     * reserved for them and never let go is let go first.
     */
    async take(
      account: Account,
      limit: number,
      busy: ReadonlySet<string>,
      now: Date,
      t: string,
      lanes: readonly Lane[] = LANES
    ): Promise<MessageRow[]> {
      if (!account.paused) restUntil.delete(account.id)
      else if (now.getTime() < (restUntil.get(account.id) ?? 0)) return []
      const ids = await dueIds(account, limit, busy, now, lanes)
      if (ids.length === 0 && account.paused) restUntil.set(account.id, now.getTime() + REST_MS)
      if (ids.length === 0) return []
      const mine = await lease(ids, account.id, now, t)
      await leftovers(mine)
      return mine
    }
  }
}

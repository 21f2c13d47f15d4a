import type { Collection } from 'mongodb'
import type { Connection } from 'mongoose'
import { DAY_MS } from '../../shared/limits.js'
import { storeTime } from '../platform/mongo.js'
import { dayOf, SHANGHAI_MS } from '../platform/shanghai.js'
import type { Pace } from './pace.js'
import type { Lane } from '../../shared/message.js'
import { TemplateKind } from '../../shared/template.js'

type BudgetRow = {
  _id: string
  tat: number
  used: number
  day: number
  base: number
  g: number
  now: number
  blockedUntil: Date | null
  stopped: string[]
}

/** Slots won: the first fires at `firstAt` (monotonic ms of this process), the others every `everyMs`. */
export type Slots = {
  granted: number
  firstAt: number
  everyMs: number
  /** Runs, and 'account' for the whole account, that must not fire any more. */
  stopped: Set<string>
  blockedUntil: Date | null
  /** The day's quota of this lane is used up. */
  exhausted: boolean
  /** The day they were taken of. */
  day: number
}

/** Slots of a day that nothing was sent in. */
export type Unused = { day: number; slots: number }
const NOTHING: Unused = { day: 0, slots: 0 }

/** Spacing margin: firings may be 30 ms off and the sliding second still holds. */
const DELTA = 0.03
/** How far ahead slots may be reserved, ms. */
const AHEAD_MS = 5_000
/** A clock that stepped back leaves `tat` far ahead: start anew a little later. */
const STEPPED_BACK_MS = 10_000
const RESTART_MS = 6_000
/** We stop short of WeChat's own count, which may be off by about 1 %. */
export const QUOTA_SHARE = 0.99
/** Of the day's quota this much is only for transactional messages. */
const TRANSACTIONAL_SHARE = 0.05

/** Next 00:00 in Asia/Shanghai, when WeChat's daily quotas start afresh. */
export const nextReset = (now: Date): Date => dayOf(now).end

/** How many messages of a lane an interface sends a day, of WeChat's `perDay`. */
export function quotaOf(perDay: number, lane: Lane): number {
  const day = Math.floor(perDay * QUOTA_SHARE)
  return lane === 'transactional' ? day : Math.floor(day * (1 - TRANSACTIONAL_SHARE))
}

/** Apart on average, in ms, are messages of an interface that takes `perSecond`. */
export const everyMsOf = (perSecond: number): number => (1000 * (1 + DELTA)) / perSecond

const BOUND_MS = 300_000
/** Who has not asked for so long reads the clock first: one slow answer alone would put all slots off, and the next one back. */
const PROBES = 3

/**
 * The tightest bound seen lately of (the store's time − this process's beat), both in ms. Clocks drift and are set: what
 * is older than two windows does not count any more.
 */
export function createBound(windowMs = BOUND_MS): (beat: number, offset: number) => number {
  let since = -Infinity
  let current = -Infinity
  let before = -Infinity
  return (beat, offset) => {
    if (beat - since > windowMs) {
      before = beat - since > 2 * windowMs ? -Infinity : current
      current = -Infinity
      since = beat
    }
    current = Math.max(current, offset)
    return Math.max(current, before)
  }
}

/**
 * Slots shared by all workers (docs/ledger.md J): one document per account and interface, by the store's clock ($$NOW),
 * in double milliseconds. A slot is fired or lost; nothing is ever granted twice.
 */
export function createBudget({ db, pace }: { db: Connection; pace: Pace }) {
  const rows = db.collection('budgets') as unknown as Collection<BudgetRow>
  const bound = createBound()
  const idOf = (accountId: string, channel: TemplateKind) => `${accountId}:${channel}`
  /** When it last heard of the store's clock. */
  let askedAt = -Infinity

  /** Reads the store's clock a few times; of these the quickest answer tells. */
  async function acquaint(): Promise<void> {
    for (let probe = 0; probe < PROBES; probe++) {
      const told = await storeTime(db)
      const received = pace.monotonic()
      bound(received, told.getTime() - received)
    }
  }

  return {
    /**
     * Asks for up to `k` slots of this account's interface, none within `leadMs` from now. `perSecond` and `perDay` are
     * WeChat's limits; `unused` goes back to the quota of its day. Who repeats the call after a failure must leave it out.
     */
    async reserve(
      accountId: string,
      channel: TemplateKind,
      lane: Lane,
      k: number,
      limits: { perSecond: number; perDay: number },
      leadMs = 0,
      unused: Unused = NOTHING
    ): Promise<Slots> {
      if (pace.monotonic() - askedAt > BOUND_MS) await acquaint()
      const everyMs = everyMsOf(limits.perSecond)
      const quota = quotaOf(limits.perDay, lane)
      const row = (await rows.findOneAndUpdate(
        { _id: idOf(accountId, channel) },
        [
          {
            $set: {
              now: { $toDouble: { $toLong: '$$NOW' } },
              tat: { $ifNull: ['$tat', 0] },
              stopped: { $ifNull: ['$stopped', []] }
            }
          },
          {
            $set: {
              base: {
                $cond: [
                  { $gt: [{ $subtract: ['$tat', '$now'] }, STEPPED_BACK_MS] },
                  { $add: ['$now', RESTART_MS] },
                  { $max: ['$tat', { $add: ['$now', leadMs] }] }
                ]
              },
              today: { $floor: { $divide: [{ $add: ['$now', SHANGHAI_MS] }, DAY_MS] } }
            }
          },
          {
            $set: {
              used: {
                $cond: [
                  { $gt: ['$today', { $ifNull: ['$day', 0] }] },
                  0,
                  {
                    $max: [
                      0,
                      {
                        $subtract: [
                          { $ifNull: ['$used', 0] },
                          { $cond: [{ $eq: ['$day', unused.day] }, unused.slots, 0] }
                        ]
                      }
                    ]
                  }
                ]
              },
              day: { $max: ['$today', { $ifNull: ['$day', 0] }] }
            }
          },
          {
            $set: {
              g: {
                $cond: [
                  {
                    $or: [
                      { $gt: [{ $ifNull: ['$blockedUntil', new Date(0)] }, '$$NOW'] },
                      { $gt: [{ $subtract: ['$base', '$now'] }, AHEAD_MS] },
                      { $in: ['account', '$stopped'] }
                    ]
                  },
                  0,
                  { $max: [0, { $min: [k, { $subtract: [quota, '$used'] }] }] }
                ]
              }
            }
          },
          { $set: { tat: { $add: ['$base', { $multiply: ['$g', everyMs] }] }, used: { $add: ['$used', '$g'] } } },
          { $unset: 'today' }
        ],
        { upsert: true, returnDocument: 'after' }
      )) as BudgetRow
      const received = pace.monotonic()
      const lo = bound(received, row.now - received)
      askedAt = received
      return {
        granted: row.g,
        firstAt: row.base - lo,
        everyMs,
        stopped: new Set(row.stopped),
        blockedUntil: row.blockedUntil ?? null,
        exhausted: row.g === 0 && row.used >= quota,
        day: row.day
      }
    },

    /**
     * What an interface may still send of the day `at` falls on (Asia/Shanghai): of today's what nobody has taken, of
     * another day's all. `perDay` is WeChat's limit, of which a margin is kept.
     */
    async leftOf(accountId: string, channel: TemplateKind, perDay: number, at: Date) {
      const row = await rows.findOne({ _id: idOf(accountId, channel) }, { projection: { day: 1, used: 1 } })
      const day = Math.floor((at.getTime() + SHANGHAI_MS) / DAY_MS)
      const used = row !== null && row.day === day ? row.used : 0
      const left = (lane: Lane) => Math.max(0, quotaOf(perDay, lane) - used)
      return { perDay: quotaOf(perDay, 'transactional'), used, left: left('transactional'), leftForBulk: left('bulk') }
    },

    /** 45009, 45011 and penalties: nothing of this interface goes out before `until`. */
    async block(accountId: string, channel: TemplateKind, until: Date): Promise<void> {
      await rows.updateOne({ _id: idOf(accountId, channel) }, { $max: { blockedUntil: until } }, { upsert: true })
    },

    /** WeChat's counters of the day start afresh (an operator had them cleared): so do ours. */
    async cleared(accountId: string): Promise<void> {
      const ids = TemplateKind.options.map((channel) => idOf(accountId, channel))
      await rows.updateMany({ _id: { $in: ids } }, { $set: { used: 0, blockedUntil: null } })
    },

    /** From the next block on nothing of this run (or 'account') fires, whoever's process. */
    async stop(accountId: string, what: string): Promise<void> {
      for (const channel of TemplateKind.options) {
        await rows.updateOne({ _id: idOf(accountId, channel) }, { $addToSet: { stopped: what } }, { upsert: true })
      }
    },

    async go(accountId: string, what: string): Promise<void> {
      await rows.updateMany(
        { _id: { $in: TemplateKind.options.map((channel) => idOf(accountId, channel)) } },
        { $pull: { stopped: what } }
      )
    },

    /** What is stopped now: runs, or 'account'. */
    async stoppedOf(accountId: string): Promise<string[]> {
      const found = await rows
        .find({ _id: { $in: TemplateKind.options.map((channel) => idOf(accountId, channel)) } })
        .toArray()
      return [...new Set(found.flatMap((row) => row.stopped ?? []))]
    }
  }
}
export type Budget = ReturnType<typeof createBudget>

import type { Collection } from 'mongodb'
import type { Connection } from 'mongoose'
import type { Clock } from '../platform/clock.js'
import { LimitReached } from '../platform/errors.js'
import { upserted } from '../platform/mongo.js'
import type { Sealer } from '../platform/sealing.js'

/** Wrong tries at one door; the row of an address or an account is found by a keyed hash of it. */
type DoorRow = { _id: string; fails: number; until: Date; removeAt: Date }

/** What is counted: `free` tries before the first wait. */
export type Door = { name: string; of: string; free: number; longestMs: number }

export type Doors = ReturnType<typeof createDoors>

const FIRST_WAIT_MS = 60_000
const LIFE_MS = 24 * 3_600_000
const LONG_AGO = new Date(0)

/** After so many tries beyond the free ones: a minute, two, four, …. */
export function waitAfter(beyond: number, longestMs: number): number {
  return Math.min(FIRST_WAIT_MS * 2 ** Math.min(beyond, 20), longestMs)
}

/**
 * Doors at which guessing gets slower with every wrong try; counted in the store, so that all processes are one. A try is
 * counted before it is judged: many at once get no further than many in a row.
 */
export function createDoors({ db, clock, sealer }: { db: Connection; clock: Clock; sealer: Sealer }) {
  const rows = db.collection('doors') as unknown as Collection<DoorRow>
  const idOf = ({ name, of }: Door) => sealer.hash('door', name, of)

  async function count(door: Door): Promise<void> {
    const now = clock.now()
    const _id = idOf(door)
    const removeAt = new Date(now.getTime() + LIFE_MS)
    const seen = await rows.findOne({ _id })
    if (seen !== null && seen.until > now) throw tooMany(seen.until, now)
    if (seen !== null && seen.fails >= door.free) {
      // The wait is over: one more try, and of those who come at once one.
      const until = new Date(now.getTime() + waitAfter(seen.fails + 1 - door.free, door.longestMs))
      const mine = await rows.updateOne({ _id, fails: seen.fails }, { $inc: { fails: 1 }, $set: { until, removeAt } })
      if (mine.modifiedCount === 0) throw tooMany(until, now)
      return
    }
    const fresh = { $inc: { fails: 1 }, $set: { removeAt }, $setOnInsert: { until: LONG_AGO } }
    const { fails: counted } = await upserted(rows, { _id }, fresh)
    const until = new Date(now.getTime() + waitAfter(0, door.longestMs))
    if (counted > door.free) throw tooMany(until, now)
    if (counted === door.free) await rows.updateOne({ _id }, { $max: { until } })
  }

  return {
    ready: async (): Promise<void> => void (await rows.createIndex({ removeAt: 1 }, { expireAfterSeconds: 0 })),

    /** Counts a try at each. @throws LimitReached, saying when the next one is taken */
    async knock(...doors: Door[]): Promise<void> {
      for (const door of doors) await count(door)
    },

    /** It was the right one after all. */
    async opened(...doors: Door[]): Promise<void> {
      await rows.deleteMany({ _id: { $in: doors.map(idOf) } })
    },

    /** The try was right, and says nothing of the others counted here (an address many people share). */
    async forgive(door: Door): Promise<void> {
      await rows.updateOne({ _id: idOf(door), fails: { $gt: 0 } }, { $inc: { fails: -1 } })
    }
  }
}

const tooMany = (until: Date, now: Date) =>
  new LimitReached('too many tries; wait a little', Math.max(1, (until.getTime() - now.getTime()) / 1_000))

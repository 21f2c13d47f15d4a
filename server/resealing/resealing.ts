import type { AnyBulkWriteOperation, Collection, Document } from 'mongodb'
import type { Connection } from 'mongoose'
import type { Clock } from '../platform/clock.js'
import { numberOf } from '../platform/keys.js'
import type { Log } from '../platform/log.js'
import { ignoreDuplicate } from '../platform/mongo.js'
import type { Sealer } from '../platform/sealing.js'
import { filterFor, SEALED_PLACES, sealedIn, type Place } from './places.js'

type Row = Document & { _id: string }
/** How far a walk over the store is; the only one there is, so that any process goes on where another fell. */
type Progress = {
  _id: string
  /** What everything is to be sealed with. */
  key: string
  place: number
  /** The last row looked at in that place. */
  after: string | null
  /** Values sealed anew in this walk, and in all walks for this key. */
  moved: number
  total: number
  /** Walks that found something to do. */
  walks: number
  /** When a walk found nothing left; null: one is under way. */
  doneAt: Date | null
}

export type Resealing = ReturnType<typeof createResealing>

const ID = 'resealing'
const BATCH = 200

/**
 * Seals what is stored with the current key. A row's value is changed only where it still is what was read, so it does no
 * harm beside everybody else's writes, beside another process doing the same, and however often it is broken off.
 */
export function createResealing({
  db,
  clock,
  log,
  sealer,
  batch = BATCH
}: {
  db: Connection
  clock: Clock
  log: Log
  sealer: Sealer
  batch?: number
}) {
  const rowsOf = ({ collection }: Place) => db.collection(collection) as unknown as Collection<Row>
  const progress = () => db.collection('settings') as unknown as Collection<Progress>

  /** One batch of a place. @returns the last row looked at (null: none was left), and how many values moved */
  async function step(
    place: Place,
    after: string | null,
    key: string
  ): Promise<{ last: string | null; moved: number }> {
    const from = after === null ? {} : { _id: { $gt: after } }
    const projection = Object.fromEntries(place.paths.map((path) => [path.replaceAll('[]', ''), 1]))
    const rows = await rowsOf(place)
      .find({ ...from, ...filterFor(place, key, 'without') }, { projection, sort: { _id: 1 }, limit: batch })
      .toArray()
    if (rows.length === 0) return { last: null, moved: 0 }
    const writes = rows.flatMap((row) =>
      sealedIn(row, place.paths)
        .filter((found) => found.key !== key)
        .flatMap(({ path, value }) => {
          const again = resealed(value, place, row._id)
          if (again === null) return []
          const filter = { _id: row._id, [path]: value }
          const update = { $set: { [path]: again } }
          return [{ updateOne: { filter, update } } as AnyBulkWriteOperation<Row>]
        })
    )
    const moved = writes.length === 0 ? 0 : (await rowsOf(place).bulkWrite(writes, { ordered: false })).modifiedCount
    return { last: rows.at(-1)!._id, moved }
  }

  /** The value under the current key; null when it cannot be opened: it stays as it is, and its key is still needed. */
  function resealed(value: string, place: Place, id: unknown): string | null {
    try {
      return sealer.seal(sealer.open(value))
    } catch (error) {
      log.warn({ err: error, collection: place.collection, row: id }, 'a sealed value does not open')
      return null
    }
  }

  /** The walk under way for the current key; null: there is nothing to do, or not by who has this ring. */
  async function underWay(key: string): Promise<Progress | null> {
    const seen = await progress().findOne({ _id: ID })
    if (seen?.key === key) return seen.doneAt === null ? seen : null
    // A process that has not heard of the rotation yet must not undo it.
    if (seen !== null && numberOf(key) < numberOf(seen.key)) {
      log.warn({ key, current: seen.key }, 'this process takes an older key for the current one; restart it')
      return null
    }
    const fresh = { key, place: 0, after: null, moved: 0, total: 0, walks: 0, doneAt: null }
    const filter = seen === null ? { _id: ID } : { _id: ID, key: seen.key }
    await progress()
      .updateOne(filter, { $set: fresh }, { upsert: seen === null })
      .catch(ignoreDuplicate)
    return underWay(key)
  }

  return {
    /**
     * Goes on until everything is sealed with the current key, or `signal` aborts. A walk that moved something is followed
     * by another, which finds what processes with an older ring sealed meanwhile. @returns the values moved by this call
     */
    async run({ signal, told }: { signal?: AbortSignal; told?: (moved: number) => void } = {}): Promise<number> {
      const key = sealer.current()
      let moved = 0
      for (;;) {
        const at = await underWay(key)
        if (at === null || signal?.aborted === true) return moved
        const place = SEALED_PLACES[at.place]
        const mine = { _id: ID, key, place: at.place, after: at.after }
        if (place === undefined) {
          // The end of a walk.
          const next =
            at.moved === 0
              ? { doneAt: clock.now() }
              : { place: 0, after: null, moved: 0, walks: at.walks + 1, total: at.total + at.moved }
          await progress().updateOne(mine, { $set: next })
          if (at.moved === 0) log.info({ key, values: at.total }, 'everything is sealed with the current key')
          continue
        }
        const { last, moved: now } = await step(place, at.after, key)
        moved += now
        // After the rows: what breaks off here is done again, and changes nothing.
        const next = last === null ? { place: at.place + 1, after: null } : { after: last }
        await progress().updateOne(mine, { $set: next, $inc: { moved: now } })
        told?.(moved)
      }
    },

    /** Looks at everything once more, also when all was done: values came from elsewhere, or from an older ring. */
    async again(): Promise<void> {
      await progress().updateOne({ _id: ID }, { $set: { place: 0, after: null, doneAt: null } })
    },

    /** How many rows of each place hold a value sealed with this key; places with none are left out. */
    async holding(key: string): Promise<{ collection: string; rows: number }[]> {
      const counts = await Promise.all(
        SEALED_PLACES.map(async (place) => ({
          collection: place.collection,
          rows: await rowsOf(place).countDocuments(filterFor(place, key, 'with'))
        }))
      )
      return counts.filter(({ rows }) => rows > 0)
    },

    /** How far it is; null: nothing was ever to be done. */
    progress: async (): Promise<{ key: string; moved: number; doneAt: Date | null } | null> => {
      const seen = await progress().findOne({ _id: ID })
      return seen === null ? null : { key: seen.key, moved: seen.total + seen.moved, doneAt: seen.doneAt }
    }
  }
}

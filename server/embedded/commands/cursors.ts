import { randomBytes } from 'node:crypto'
import { MongoError } from '../bson/errors.js'
import type { Env } from '../storage/env.js'
import type { Pause } from '../storage/store.js'
import { RawArray } from '../wire/raw.js'
import type { Reply } from '../wire/raw.js'
import { pause } from './pause.js'

/** How long a cursor may lie unused; MongoDB's own default. */
const IDLE_MS = 10 * 60_000
/** A reply stops growing here; one document more always fits the largest message. */
const BATCH_BYTES = 16 * 1024 * 1024
export const FIRST_BATCH = 101

/** Raw documents, one after another, and now and then a pause. */
export type Results = Iterator<Uint8Array | Pause>

type Cursor = {
  id: bigint
  namespace: string
  results: Results
  ahead: Uint8Array | null
  usedAt: number
  eternal: boolean
  /** Milliseconds of work left by the `maxTimeMS` it was opened with. */
  budgetMs: number
}

export type Cursors = ReturnType<typeof createCursors>

/** The open cursors of one server. `monotonic` counts milliseconds. */
export function createCursors(env: Env, monotonic: () => number) {
  const open = new Map<bigint, Cursor>()

  /** Takes up to `limit` documents; resolves whether there may be more. @throws MongoError 50 when the time is up */
  async function take(cursor: Cursor, limit: number, batch: Uint8Array[]): Promise<boolean> {
    let bytes = 0
    env.refresh()
    const until = performance.now() + cursor.budgetMs
    while (batch.length < limit) {
      let document = cursor.ahead
      cursor.ahead = null
      if (!document) {
        const next = cursor.results.next()
        if (next.done) return false
        if (typeof next.value === 'symbol') {
          await pause(until)
          env.refresh()
          continue
        }
        document = next.value
      }
      if (batch.length > 0 && bytes + document.length > BATCH_BYTES) {
        cursor.ahead = document
        return true
      }
      bytes += document.length
      batch.push(document)
    }
    return true
  }

  function reply(cursor: Cursor, field: 'firstBatch' | 'nextBatch', batch: Uint8Array[], more: boolean): Reply {
    return { cursor: { [field]: new RawArray(batch), id: more ? cursor.id : 0n, ns: cursor.namespace } }
  }

  return {
    /** The first answer to find, aggregate and the like; what does not fit stays open unless `single`. */
    async start(
      namespace: string,
      results: Results,
      options: { batchSize?: number; single?: boolean; eternal?: boolean; deadline?: number }
    ): Promise<Reply> {
      const cursor: Cursor = {
        id: 0n,
        namespace,
        results,
        ahead: null,
        usedAt: monotonic(),
        eternal: options.eternal ?? false,
        budgetMs: (options.deadline ?? Infinity) - performance.now()
      }
      const batch: Uint8Array[] = []
      let more = await take(cursor, options.batchSize ?? FIRST_BATCH, batch)
      // One look ahead spares the client an empty answer.
      if (more && !cursor.ahead && batch.length > 0) more = await lookAhead(cursor)
      cursor.budgetMs = (options.deadline ?? Infinity) - performance.now()
      if (options.single) more = false
      if (more) {
        cursor.id = (randomBytes(8).readBigUInt64LE() & 0x7fffffffffffffffn) | 1n
        open.set(cursor.id, cursor)
      } else results.return?.()
      return reply(cursor, 'firstBatch', batch, more)
    },

    /** @throws MongoError 43 when there is no such cursor (any more), 13 when it is another collection's. */
    async more(id: bigint, namespace: string, batchSize: number | undefined): Promise<Reply> {
      const cursor = open.get(id)
      if (!cursor) throw new MongoError(43, `cursor id ${id} not found`)
      if (cursor.namespace !== namespace) {
        throw new MongoError(
          13,
          `Requested getMore on namespace '${namespace}', but cursor belongs to a different namespace ${cursor.namespace}`
        )
      }
      open.delete(id) // two at once on one cursor would take each other's documents
      const started = performance.now()
      const batch: Uint8Array[] = []
      let more = await take(cursor, batchSize ?? Number.MAX_SAFE_INTEGER, batch)
      if (more && !cursor.ahead) more = await lookAhead(cursor)
      cursor.budgetMs -= performance.now() - started
      cursor.usedAt = monotonic()
      if (more) open.set(id, cursor)
      return reply(cursor, 'nextBatch', batch, more)
    },

    kill(id: bigint): boolean {
      const cursor = open.get(id)
      if (!cursor) return false
      open.delete(id)
      cursor.results.return?.()
      return true
    },

    /** Forgets cursors nobody has asked for in ten minutes. */
    expire(): void {
      for (const cursor of open.values()) {
        if (!cursor.eternal && monotonic() - cursor.usedAt > IDLE_MS) this.kill(cursor.id)
      }
    },

    size: () => open.size
  }

  async function lookAhead(cursor: Cursor): Promise<boolean> {
    const batch: Uint8Array[] = []
    const more = await take(cursor, 1, batch)
    cursor.ahead = batch[0] ?? null
    return more
  }
}

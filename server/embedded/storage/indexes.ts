import { decodeFields } from '../bson/document.js'
import type { Doc } from '../bson/document.js'
import type { Catalog, CollectionEntry, IndexEntry } from './catalog.js'
import type { Env } from './env.js'
import { prefixKey, recordKey, shapeOf } from './records.js'
import type { Records } from './records.js'

/** A slice of building or clearing holds writers up for about this long. */
const SLICE_MS = 5
const SLICE_KEYS = 2_000
const BATCH_RECORDS = 100

export type Indexes = ReturnType<typeof createIndexes>

/** Builds indexes over existing documents and clears dropped ones, in slices between other people's writes. */
export function createIndexes({ env, catalog, records }: { env: Env; catalog: Catalog; records: Records }) {
  /** Some records behind `after`, decoded as far as an index asks. */
  function readBatch(entry: CollectionEntry, after: number | null, fields: ReadonlySet<string>) {
    const batch: { record: number; doc: Doc }[] = []
    const range = {
      start: after === null ? prefixKey(entry.id) : recordKey(entry.id, after),
      end: prefixKey(entry.id + 1),
      exclusiveStart: after !== null,
      limit: BATCH_RECORDS
    }
    for (const { key, value } of env.walk.getRange(range)) {
      batch.push({ record: key as unknown as number, doc: decodeFields(value.raw, fields) })
    }
    return batch
  }

  return {
    /**
     * Fills an index that the catalog already names (so that writes keep it), then opens it to queries.
     * @throws MongoError 11000 when the documents break its uniqueness; the index is then gone again.
     */
    async build(entry: CollectionEntry, index: IndexEntry): Promise<void> {
      let last: number | null = null
      const durable: Promise<void>[] = []
      const fields = new Set(shapeOf(index).fields)
      const alive = () => catalog.byId(entry.id)?.indexes.find((other) => other.id === index.id)
      try {
        for (;;) {
          const from: number | null = last
          const slice = await env.step((): number | null => {
            const current = catalog.byId(entry.id)
            const target = alive()
            if (!current || !target) return null // dropped while it was built
            const until = performance.now() + SLICE_MS
            for (let after = from; ;) {
              const batch = readBatch(entry, after, fields)
              for (const { record, doc } of batch) {
                records.addToIndex(current, target, record, doc)
                after = record
                if (performance.now() > until) return after
              }
              if (batch.length < BATCH_RECORDS) return null
            }
          }, true)
          durable.push(slice.durable)
          last = slice.value
          if (last === null) break
        }
        await Promise.all(durable)
        // In a transaction of its own: whoever sees the index open must also see all its entries.
        await env.write(() => {
          const current = catalog.byId(entry.id)
          const target = alive()
          if (!current || !target) return
          target.ready = true
          catalog.touch(current)
        })
      } catch (error) {
        await env.write(() => {
          const current = catalog.byId(entry.id)
          const target = alive()
          if (current && target) catalog.removeIndex(current, target)
        })
        throw error
      }
    },

    /** Gives up indexes whose building a stop of the process interrupted: nobody was told that they exist. */
    async giveUpUnfinished(): Promise<void> {
      const unfinished = catalog.all().filter((entry) => entry.indexes.some((index) => !index.ready))
      if (unfinished.length === 0) return
      await env.write(() => {
        for (const entry of unfinished) {
          for (const index of entry.indexes.filter((other) => !other.ready)) catalog.removeIndex(entry, index)
        }
      })
    },

    /** Removes what dropped collections and indexes left behind. */
    async clear(): Promise<void> {
      for (const kind of ['indexes', 'records'] as const) {
        const table = kind === 'indexes' ? env.idx : env.recs
        for (const id of [...catalog.garbage()[kind]]) {
          let more = true
          const durable: Promise<void>[] = []
          while (more) {
            const slice = await env.step((): boolean => {
              const until = performance.now() + SLICE_MS
              const keys = [
                ...(table.getKeys({
                  start: prefixKey(id),
                  end: prefixKey(id + 1),
                  limit: SLICE_KEYS
                }) as Iterable<Buffer>)
              ]
              for (let i = 0; i < keys.length; i++) {
                env.remove(table, keys[i])
                if (i % 64 === 63 && performance.now() > until) return true
              }
              if (keys.length === SLICE_KEYS) return true
              catalog.swept(kind, id)
              return false
            }, true)
            more = slice.value
            durable.push(slice.durable)
          }
          await Promise.all(durable)
        }
      }
    }
  }
}

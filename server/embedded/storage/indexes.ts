import { decode } from '../bson/document.js'
import type { Catalog, CollectionEntry, IndexEntry } from './catalog.js'
import type { Env } from './env.js'
import { prefixKey, recordOfKey } from './records.js'
import type { Records } from './records.js'

/** A slice of building or clearing holds writers up for about this long. */
const SLICE_MS = 5
const SLICE_KEYS = 2_000

export type Indexes = ReturnType<typeof createIndexes>

/** Builds indexes over existing documents and clears dropped ones, in slices between other people's writes. */
export function createIndexes({ env, catalog, records }: { env: Env; catalog: Catalog; records: Records }) {
  return {
    /**
     * Fills an index that the catalog already names (so that writes keep it), then opens it to queries.
     * @throws MongoError 11000 when the documents break its uniqueness; the index is then gone again.
     */
    async build(entry: CollectionEntry, index: IndexEntry): Promise<void> {
      let last: Buffer | null = null
      const alive = () => catalog.byId(entry.id)?.indexes.find((other) => other.id === index.id)
      try {
        for (;;) {
          const from = last
          last = await env.write((): Buffer | null => {
            const current = catalog.byId(entry.id)
            const target = alive()
            if (!current || !target) return null // dropped while it was built
            const until = performance.now() + SLICE_MS
            const batch: { key: Buffer; value: Buffer }[] = []
            const start = from ?? prefixKey(entry.id)
            for (const item of env.recs.getRange({
              start,
              end: prefixKey(entry.id + 1),
              exclusiveStart: from !== null,
              limit: 200
            })) {
              batch.push(item)
            }
            let done: Buffer | null = null
            for (const { key, value } of batch) {
              records.addToIndex(current, target, recordOfKey(key), decode(value))
              done = key
              if (performance.now() > until) return done
            }
            return batch.length === 200 ? done : null
          })
          if (last === null) break
        }
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
          while (more) {
            more = await env.write((): boolean => {
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
            })
          }
        }
      }
    }
  }
}

import { decode } from '../bson/document.js'
import { compileFilter } from '../bson/match.js'
import type { Filter } from '../bson/match.js'
import type { Value } from '../bson/document.js'
import type { Catalog, CollectionEntry, IndexEntry } from './catalog.js'
import type { Env } from './env.js'
import type { Indexes } from './indexes.js'
import type { Records } from './records.js'
import type { Plan } from './planner.js'
import type { Examined, Found } from './scan.js'

const SLICE_MS = 5
/** How many expired documents are looked up for one slice; it follows how many the slice before had time to remove. */
const FIRST_VICTIMS = 50
const MOST_VICTIMS = 1_000

type Query = { filter: Filter; pauses: boolean }

/** What the sweeper asks of the store it belongs to. */
type Reading = {
  now(): Date
  plan(entry: CollectionEntry, query: Query): Plan
  matches(entry: CollectionEntry, query: Query, plan: Plan, examined: Examined): Iterable<Found | symbol>
}

/** Removes documents whose TTL has passed. Whoever opens the store calls `sweep` every minute, as MongoDB does. */
export function createSweeper(
  store: Reading,
  { env, catalog, records, indexes }: { env: Env; catalog: Catalog; records: Records; indexes: Indexes }
) {
  let running: Promise<number> | null = null
  let stopped = false

  async function sweepAll(): Promise<number> {
    let removed = 0
    for (const entry of catalog.all()) {
      for (const index of entry.indexes) {
        if (index.expireAfterSeconds !== null && index.ready)
          removed += await sweepOne(entry, index, index.expireAfterSeconds)
      }
    }
    await indexes.clear()
    return removed
  }

  async function sweepOne(entry: CollectionEntry, index: IndexEntry, seconds: number): Promise<number> {
    const path = index.fields[0].path
    const before = new Date(store.now().getTime() - seconds * 1000)
    const expired = new Map<string, Value>([[path, new Map<string, Value>([['$lte', before]])]])
    const wanted = index.partial ? new Map<string, Value>([['$and', [expired, decode(index.partial)]]]) : expired
    const filter = compileFilter(wanted)
    let removed = 0
    let most = FIRST_VICTIMS
    const durable: Promise<void>[] = []
    for (let more = true; more && !stopped;) {
      const slice = await env.step((): { more: boolean; removed: number } => {
        const current = catalog.byId(entry.id)
        if (!current) return { more: false, removed: 0 }
        const until = performance.now() + SLICE_MS
        const query = { filter, pauses: false }
        const victims = []
        for (const found of store.matches(current, query, store.plan(current, query), { keys: 0, documents: 0 })) {
          if (typeof found !== 'symbol') victims.push(found)
          if (victims.length === most) break
        }
        let done = 0
        for (const { record, raw } of victims) {
          records.remove(current, record, { raw, doc: decode(raw) })
          done++
          if (performance.now() > until) break
        }
        return { more: done < victims.length || done === most, removed: done }
      }, true)
      more = slice.value.more
      removed += slice.value.removed
      most = Math.min(MOST_VICTIMS, Math.max(FIRST_VICTIMS, slice.value.removed * 2))
      durable.push(slice.durable)
    }
    await Promise.all(durable)
    return removed
  }

  return {
    sweep(): Promise<number> {
      if (stopped) return Promise.resolve(0)
      running ??= sweepAll().finally(() => {
        running = null
      })
      return running
    },
    async stop(): Promise<void> {
      stopped = true
      await running?.catch(() => 0)
    }
  }
}

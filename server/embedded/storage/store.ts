import { MongoError } from '../bson/errors.js'
import type { Doc, Value } from '../bson/document.js'
import { encodeKey, isTruncated } from '../bson/keys.js'
import type { Filter, FilterNode } from '../bson/match.js'
import { take } from '../bson/slab.js'
import type { PAUSE } from '../aggregate/pipeline.js'
import { createCatalog } from './catalog.js'
import type { CollectionEntry, IndexEntry } from './catalog.js'
import { openEnv } from './env.js'
import type { Durability } from './env.js'
import { createIndexes } from './indexes.js'
import { planCount } from './intersection.js'
import type { CountPlan } from './intersection.js'
import { planQuery } from './planner.js'
import type { Plan, PlanRequest, SortSpec } from './planner.js'
import { isNullish, isPlain } from './filters.js'
import { createRecords, entryPrefix, holderOf, shapeOf } from './records.js'
import { runPlan } from './scan.js'
import type { Examined, Found } from './scan.js'
import { createSweeper } from './sweeper.js'

export type Pause = typeof PAUSE
export type Store = ReturnType<typeof openStore>

/** How a query is to be run. */
export type Query = {
  filter: Filter
  sort?: SortSpec | null
  /** How many documents are wanted; 0 or nothing: all. */
  wanted?: number
  hint?: string | Doc | null
  /** false inside a write transaction, which must not be left. */
  pauses: boolean
}

/** The store's parts over one open directory; `now` is what TTL indexes and `$$NOW` go by. @throws EmbeddedStoreError */
export function openStore(dir: string, options: { durability?: Durability; now: () => Date }) {
  const env = openEnv(dir, options)
  const catalog = createCatalog(env)
  const records = createRecords(env, catalog)
  const indexes = createIndexes({ env, catalog, records })
  let lastNow = 0

  const requestOf = (entry: CollectionEntry, query: Query): PlanRequest => ({
    node: query.filter.node,
    sort: query.sort ?? null,
    wanted: query.wanted ?? 0,
    hint: hintName(entry, query.hint ?? null)
  })

  const store = {
    env,
    catalog,
    records,
    indexes,
    /** The time of one command; never before that of an earlier one. */
    now(): Date {
      lastNow = Math.max(lastNow, options.now().getTime())
      return new Date(lastNow)
    },
    plan: (entry: CollectionEntry, query: Query): Plan => planQuery(env, entry, requestOf(entry, query)),
    /** How to count what matches; its order does not matter. */
    planCount: (entry: CollectionEntry, query: Query): CountPlan => planCount(env, entry, requestOf(entry, query)),
    /** The records that match, in the plan's order, and now and then a pause. */
    matches(entry: CollectionEntry, query: Query, chosen: Plan, examined: Examined): Generator<Found | Pause> {
      const { filter, pauses } = query
      return runPlan(env, entry, chosen, examined, pauses, (record, raw, size) =>
        filter.testRaw(raw) ? { record, raw: kept(raw, size, pauses) } : undefined
      )
    },
    /** The same, but what `make` makes of each of them. It must copy what it keeps of the bytes, as decoding does. */
    gather<T>(
      entry: CollectionEntry,
      query: Query,
      chosen: Plan,
      examined: Examined,
      make: (raw: Buffer) => T
    ): Generator<T | Pause> {
      const { filter, pauses } = query
      return runPlan(env, entry, chosen, examined, pauses, (_, raw) => (filter.testRaw(raw) ? make(raw) : undefined))
    },
    /**
     * The one record a filter can mean that gives every field of a unique index, null when it is not there or does not
     * match; undefined: ask for a plan.
     */
    byUnique(entry: CollectionEntry, filter: Filter): Found | null | undefined {
      const wanted = equalities(filter.node)
      for (const index of wanted.size > 0 ? entry.indexes : []) {
        const whole = index.unique && index.ready && index.partial === null && !index.sparse
        if (!whole || index.multikey || index.cut || !index.fields.every(({ path }) => wanted.has(path))) continue
        const { paths, directions } = shapeOf(index)
        const key = encodeKey(
          paths.map((path) => wanted.get(path)),
          directions
        )
        if (isTruncated(key)) return undefined
        const record = holderOf(env, entryPrefix(index, key))
        if (record === null) return null
        const raw = records.get(entry, record)
        return raw !== undefined && filter.testRaw(raw) ? { record, raw } : null
      }
      return undefined
    },
    /** The collection, made if need be; call inside a write job. @throws MongoError 73 */
    ensure(db: string, name: string): CollectionEntry {
      return catalog.find(db, name) ?? store.create(db, name, null)
    },
    /** @throws MongoError 73 */
    create(db: string, name: string, createOptions: Buffer | null): CollectionEntry {
      refuseBadName(db, name)
      const id = catalog.allocateId()
      const idIndex: IndexEntry = {
        id: catalog.allocateId(),
        name: '_id_',
        fields: [{ path: '_id', direction: 1 }],
        unique: true,
        sparse: false,
        partial: null,
        expireAfterSeconds: null,
        background: false,
        multikey: false,
        cut: false,
        ready: true
      }
      const entry: CollectionEntry = {
        id,
        db,
        name,
        options: createOptions,
        indexes: [idIndex],
        count: 0,
        bytes: 0,
        nextRecord: 1
      }
      catalog.add(entry)
      return entry
    },
    async close(): Promise<void> {
      await sweeper.stop()
      await env.close()
    },
    /** Removes expired documents and what dropped collections left, now. Resolves to how many documents expired. */
    sweep: (): Promise<number> => sweeper.sweep()
  }
  const sweeper = createSweeper(store, { env, catalog, records, indexes })
  return store
}

/** A copy of a borrowed value. A write forgets its documents soon; a cursor may keep some of them for long. */
function kept(raw: Buffer, size: number, long: boolean): Buffer {
  const copy = long ? Buffer.allocUnsafe(size) : take(size)
  raw.copy(copy, 0, 0, size)
  return copy
}

/** The values a filter asks of whole top-level fields, where an index holds exactly one entry for such a value. */
function equalities(node: FilterNode, found = new Map<string, Value>()): Map<string, Value> {
  if (node.op === 'and') for (const child of node.children) equalities(child, found)
  const usable = node.op === 'cmp' && node.cmp === '$eq' && !node.path.includes('.')
  if (usable && isPlain(node.value) && !isNullish(node.value)) found.set(node.path, node.value)
  return found
}

function hintName(entry: CollectionEntry, hint: string | Doc | null): string | null {
  if (hint === null || typeof hint === 'string') return hint
  if (hint.size === 0) return null
  if (hint.has('$natural')) return '$natural'
  const wanted = [...hint]
  const index = entry.indexes.find(
    (other) =>
      other.fields.length === wanted.length &&
      other.fields.every((field, i) => field.path === wanted[i][0] && field.direction === Number(wanted[i][1]))
  )
  if (index) return index.name
  throw new MongoError(
    2,
    'error processing query: planner returned error :: caused by :: hint provided does not correspond to an existing index'
  )
}

function refuseBadName(db: string, name: string): void {
  const bad =
    name === '' || name.includes('$') || name.includes('\0') || name.startsWith('.') || name.startsWith('system.')
  if (bad) throw new MongoError(73, `Invalid namespace specified '${db}.${name}'`)
  if (Buffer.byteLength(`${db}.${name}`) > 255) {
    throw new MongoError(73, `Fully qualified namespace is too long. Namespace: ${db}.${name} Max: 255`)
  }
}

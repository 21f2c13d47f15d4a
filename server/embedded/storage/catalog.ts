import type { Env } from './env.js'
import { EmbeddedStoreError } from './store-error.js'

/** One part of an index: a dotted path and its direction. */
export type IndexField = { path: string; direction: 1 | -1 }

/** An index as it is stored. */
export type IndexEntry = {
  id: number
  name: string
  fields: IndexField[]
  unique: boolean
  sparse: boolean
  /** The partial filter's raw BSON. */
  partial: Buffer | null
  expireAfterSeconds: number | null
  /** Options without meaning here that listIndexes gives back as they came. */
  background: boolean
  /** Some document had an array on one of the paths: one document, several entries. */
  multikey: boolean
  /** Some key was too long and was cut: order and exactness end there. */
  cut: boolean
  /** false while it is being built. */
  ready: boolean
}

/** A collection as it is known in memory; counts are part of each transaction. */
export type CollectionEntry = {
  id: number
  db: string
  name: string
  /** The options of `create`, raw BSON. */
  options: Buffer | null
  indexes: IndexEntry[]
  count: number
  bytes: number
  /** The next record's number; 0 until it has been looked up. */
  nextRecord: number
}

/** Entries of dropped collections and indexes that are still to be removed. */
export type Garbage = { records: number[]; indexes: number[] }

const FORMAT = 1
const KEY = { format: Buffer.from('format'), ids: Buffer.from('ids'), garbage: Buffer.from('garbage') }
const collectionKey = (id: number) => Buffer.from(`c:${id}`)
const countKey = (id: number) => Buffer.from(`n:${id}`)

export type Catalog = ReturnType<typeof createCatalog>

/** The names, indexes and counts of all collections; changed only inside write transactions. @throws EmbeddedStoreError */
export function createCatalog(env: Env) {
  let byName = new Map<string, CollectionEntry>()
  let byId = new Map<number, CollectionEntry>()
  let nextId = 1
  let garbage: Garbage = { records: [], indexes: [] }
  const changed = new Set<CollectionEntry>()
  const counted = new Set<CollectionEntry>()
  let idsChanged = false
  let garbageChanged = false

  function load(): void {
    byName = new Map()
    byId = new Map()
    changed.clear()
    counted.clear()
    idsChanged = garbageChanged = false
    env.refresh()
    const format = readJson<{ format: number }>(KEY.format)
    if (format && format.format > FORMAT) {
      throw new EmbeddedStoreError(
        'store.too-new',
        `The store in ${env.dir} was written by a newer version (format ${format.format}). Use that version, or restore a backup.`
      )
    }
    nextId = readJson<{ next: number }>(KEY.ids)?.next ?? 1
    garbage = readJson<Garbage>(KEY.garbage) ?? { records: [], indexes: [] }
    for (const { value } of env.meta.getRange({ start: Buffer.from('c:'), end: Buffer.from('c;') })) {
      const stored = JSON.parse(value.toString())
      const counts = readJson<{ n: number; b: number }>(countKey(stored.id)) ?? { n: 0, b: 0 }
      const entry: CollectionEntry = {
        ...stored,
        options: stored.options === null ? null : Buffer.from(stored.options, 'base64'),
        indexes: stored.indexes.map((index: IndexEntry & { partial: string | null }) => ({
          ...index,
          partial: index.partial === null ? null : Buffer.from(index.partial, 'base64')
        })),
        count: counts.n,
        bytes: counts.b,
        nextRecord: 0
      }
      byName.set(`${entry.db}.${entry.name}`, entry)
      byId.set(entry.id, entry)
    }
  }

  function readJson<T>(key: Buffer): T | null {
    const bytes = env.meta.get(key)
    return bytes === undefined ? null : (JSON.parse(bytes.toString()) as T)
  }

  const writeJson = (key: Buffer, value: unknown) => env.put(env.meta, key, Buffer.from(JSON.stringify(value)))

  function beforeCommit(): void {
    if (idsChanged) {
      writeJson(KEY.format, { format: FORMAT })
      writeJson(KEY.ids, { next: nextId })
    }
    if (garbageChanged) writeJson(KEY.garbage, garbage)
    for (const entry of changed) {
      if (byId.get(entry.id) !== entry) continue
      writeJson(collectionKey(entry.id), {
        id: entry.id,
        db: entry.db,
        name: entry.name,
        options: entry.options?.toString('base64') ?? null,
        indexes: entry.indexes.map((index) => ({ ...index, partial: index.partial?.toString('base64') ?? null }))
      })
    }
    for (const entry of counted) {
      if (byId.get(entry.id) === entry) writeJson(countKey(entry.id), { n: entry.count, b: entry.bytes })
    }
    idsChanged = garbageChanged = false
    if (changed.size > 0) changed.clear()
    if (counted.size > 0) counted.clear()
  }

  load()
  env.hooks({ beforeCommit, afterAbort: load })

  return {
    find: (db: string, name: string): CollectionEntry | undefined => byName.get(`${db}.${name}`),
    byId: (id: number): CollectionEntry | undefined => byId.get(id),
    all: (): CollectionEntry[] => [...byId.values()],
    garbage: (): Garbage => garbage,
    allocateId(): number {
      idsChanged = true
      return nextId++
    },
    /** Takes a new collection in. Call inside a write job. */
    add(entry: CollectionEntry): void {
      byName.set(`${entry.db}.${entry.name}`, entry)
      byId.set(entry.id, entry)
      changed.add(entry)
      counted.add(entry)
    },
    /** Gives a collection another, free name. */
    rename(entry: CollectionEntry, name: string): void {
      byName.delete(`${entry.db}.${entry.name}`)
      entry.name = name
      byName.set(`${entry.db}.${name}`, entry)
      changed.add(entry)
    },
    /** Its name is free at once; its entries are removed later, in slices. */
    remove(entry: CollectionEntry): void {
      byName.delete(`${entry.db}.${entry.name}`)
      byId.delete(entry.id)
      env.remove(env.meta, collectionKey(entry.id))
      env.remove(env.meta, countKey(entry.id))
      garbage.records.push(entry.id)
      for (const index of entry.indexes) garbage.indexes.push(index.id)
      garbageChanged = true
    },
    removeIndex(entry: CollectionEntry, index: IndexEntry): void {
      entry.indexes = entry.indexes.filter((other) => other !== index)
      garbage.indexes.push(index.id)
      garbageChanged = true
      changed.add(entry)
    },
    /** What was swept is forgotten. */
    swept(kind: keyof Garbage, id: number): void {
      garbage[kind] = garbage[kind].filter((other) => other !== id)
      garbageChanged = true
    },
    touch: (entry: CollectionEntry): void => void changed.add(entry),
    counted: (entry: CollectionEntry): void => void counted.add(entry)
  }
}

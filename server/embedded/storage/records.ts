import { compileFilter } from '../bson/match.js'
import type { Filter } from '../bson/match.js'
import { decode } from '../bson/document.js'
import type { Doc, Value } from '../bson/document.js'
import { duplicateKey, MongoError } from '../bson/errors.js'
import { pathsOf } from '../bson/filter-node.js'
import { indexValues, wildcardValues } from '../bson/index-values.js'
import { encodeKey, KEY_LIMIT } from '../bson/keys.js'
import { take } from '../bson/slab.js'
import { show } from '../bson/show.js'
import { MAX_DOCUMENT_BYTES } from '../wire/frames.js'
import type { Catalog, CollectionEntry, IndexEntry } from './catalog.js'
import type { Env } from './env.js'

const PRESENT = Buffer.from([1])
const RECORD_BYTES = 6
const PREFIX_BYTES = 4
/** How the path of a wildcard index ends. */
export const WILDCARD = '.$**'
/** The directions of a wildcard index's entries, each a path and the value there. */
export const PATH_AND_VALUE: (1 | -1)[] = [1, 1]

/** What is worked out once for an index: its paths, and the filters that decide which documents it holds. */
export type IndexShape = {
  paths: string[]
  directions: (1 | -1)[]
  /** Of a wildcard index (`attributes.$**`): the beginning of the paths it holds (`attributes.`); null for others. */
  wildcard: string | null
  /** null: every document is in it. */
  holds: Filter | null
  partial: Filter | null
  /** The top-level fields that decide about its entries. */
  fields: string[]
}

const shapes = new WeakMap<IndexEntry, IndexShape>()

export function shapeOf(index: IndexEntry): IndexShape {
  let shape = shapes.get(index)
  if (!shape) {
    const paths = index.fields.map((field) => field.path)
    const partial = index.partial ? compileFilter(decode(index.partial)) : null
    const present = index.sparse ? sparseFilter(paths) : null
    const all = new Set([...paths, ...(partial ? pathsOf(partial.node) : [])].map((path) => path.split('.', 1)[0]))
    shape = {
      paths,
      directions: index.fields.map((field) => field.direction),
      wildcard: paths[0].endsWith(WILDCARD) ? paths[0].slice(0, -WILDCARD.length + 1) : null,
      holds: partial ?? present,
      partial,
      fields: [...all]
    }
    shapes.set(index, shape)
  }
  return shape
}

function sparseFilter(paths: string[]): Filter {
  const exists: Value[] = paths.map(
    (path) => new Map([[path, new Map([['$exists', true as Value]]) as Value]]) as Value
  )
  return compileFilter(new Map([['$or', exists as Value]]))
}

/** The key of a record: records of a collection lie together, in the order of their insertion. */
export function recordKey(collection: number, record: number): Buffer {
  const key = take(4 + RECORD_BYTES)
  key.writeUInt32BE(collection, 0)
  key.writeUIntBE(record, 4, RECORD_BYTES)
  return key
}

/** The first key of a collection's records or an index's entries; the first key after them is that of `id + 1`. */
export function prefixKey(id: number): Buffer {
  const key = Buffer.allocUnsafe(4)
  key.writeUInt32BE(id, 0)
  return key
}

export const recordOfKey = (key: Buffer): number => key.readUIntBE(key.length - RECORD_BYTES, RECORD_BYTES)
export const recordOfValue = (value: Buffer): number =>
  (value[0] * 0x100 + value[1]) * 0x100000000 + value[2] * 0x1000000 + value[3] * 0x10000 + value[4] * 0x100 + value[5]

function recordValue(record: number): Buffer {
  const value = take(RECORD_BYTES)
  value.writeUIntBE(record, 0, RECORD_BYTES)
  return value
}

/** An index entry's key without the record's number; of a unique index this is the whole key. */
export function entryPrefix(index: IndexEntry, key: Uint8Array): Buffer {
  const whole = Buffer.allocUnsafe(4 + key.length)
  whole.writeUInt32BE(index.id, 0)
  whole.set(key, 4)
  return whole
}

/** What an index holds of one document: whole keys, with the index's number and, unless it is unique, the record's. */
export type Entries = { keys: Buffer[]; tuples: Value[][]; multikey: boolean; cut: boolean }

const NONE: Entries = { keys: [], tuples: [], multikey: false, cut: false }

export function entriesOf(index: IndexEntry, doc: Doc, record: number): Entries {
  const shape = shapeOf(index)
  if (shape.holds && !shape.holds.test(doc)) return NONE
  const { tuples, multikey } = shape.wildcard ? wildcardValues(doc, shape.wildcard) : indexValues(doc, shape.paths)
  const directions = shape.wildcard ? PATH_AND_VALUE : shape.directions
  const tail = index.unique ? 0 : RECORD_BYTES
  let cut = false
  const keys: Buffer[] = []
  for (const tuple of tuples) {
    const key = encodeKey(tuple, directions, PREFIX_BYTES, tail)
    key.writeUInt32BE(index.id, 0)
    if (tail > 0) key.writeUIntBE(record, key.length - tail, RECORD_BYTES)
    cut ||= key.length - PREFIX_BYTES - tail >= KEY_LIMIT
    keys.push(key)
  }
  return { keys, tuples, multikey, cut }
}

const needs = new WeakMap<IndexEntry[], { count: number; sets: Map<string, ReadonlySet<string>> }>()

/** `fields` and all others that must be known to keep the indexes when no more than `fields` change. */
export function fieldsToKeep(entry: CollectionEntry, fields: readonly string[]): ReadonlySet<string> {
  let known = needs.get(entry.indexes)
  if (!known || known.count !== entry.indexes.length || known.sets.size > 1_000) {
    needs.set(entry.indexes, (known = { count: entry.indexes.length, sets: new Map() }))
  }
  const name = fields.join('\0')
  let set = known.sets.get(name)
  if (!set) {
    const touched = entry.indexes
      .map((index) => shapeOf(index).fields)
      .filter((all) => all.some((one) => fields.includes(one)))
    known.sets.set(name, (set = new Set([...fields, ...touched.flat()])))
  }
  return set
}

const indexed = new WeakMap<IndexEntry[], { count: number; fields: ReadonlySet<string> }>()

/** The top-level fields that must be known of a new document. The same set as long as the indexes are the same. */
export function fieldsOfNew(entry: CollectionEntry): ReadonlySet<string> {
  let known = indexed.get(entry.indexes)
  if (!known || known.count !== entry.indexes.length) {
    const fields = new Set(['_id', ...entry.indexes.flatMap((index) => shapeOf(index).fields)])
    indexed.set(entry.indexes, (known = { count: entry.indexes.length, fields }))
  }
  return known.fields
}

export type Records = ReturnType<typeof createRecords>

/** Documents and their index entries. Every write looks at all indexes before its first put, so it is whole or not at all. */
export function createRecords(env: Env, catalog: Catalog) {
  function nextRecord(entry: CollectionEntry): number {
    if (entry.nextRecord === 0) {
      let last = 0
      const range = { start: prefixKey(entry.id + 1), end: prefixKey(entry.id), reverse: true, limit: 1 }
      for (const key of env.recs.getKeys(range)) last = recordOfKey(key)
      entry.nextRecord = last + 1
    }
    return entry.nextRecord++
  }

  /** @throws MongoError 11000 when another document holds one of the keys. */
  function refuseDuplicates(entry: CollectionEntry, index: IndexEntry, entries: Entries, record: number): void {
    if (!index.unique) return
    for (let i = 0; i < entries.keys.length; i++) {
      const holder = holderOf(env, entries.keys[i])
      if (holder !== null && holder !== record) throw duplicateOf(entry, index, entries.tuples[i])
    }
  }

  function addEntries(entry: CollectionEntry, index: IndexEntry, entries: Entries, record: number): void {
    if (entries.multikey && !index.multikey) {
      index.multikey = true
      catalog.touch(entry)
    }
    if (entries.cut && !index.cut) {
      index.cut = true
      catalog.touch(entry)
    }
    for (const key of entries.keys) env.put(env.idx, key, index.unique ? recordValue(record) : PRESENT)
  }

  function removeEntries(keys: Buffer[]): void {
    for (const key of keys) env.remove(env.idx, key)
  }

  return {
    /** A document's bytes, for use within this transaction. */
    get: (entry: CollectionEntry, record: number): Buffer | undefined =>
      env.read(env.recs, recordKey(entry.id, record)),

    /** Takes a document in. It must have an `_id`. @throws MongoError 11000, 10334 */
    insert(entry: CollectionEntry, raw: Uint8Array, doc: Doc): number {
      refuseLarge(raw)
      const record = nextRecord(entry)
      const all = entry.indexes.map((index) => {
        const entries = entriesOf(index, doc, record)
        refuseDuplicates(entry, index, entries, record)
        return entries
      })
      env.put(env.recs, recordKey(entry.id, record), raw as Buffer)
      entry.indexes.forEach((index, i) => addEntries(entry, index, all[i], record))
      entry.count++
      entry.bytes += raw.length
      catalog.counted(entry)
      return record
    },

    /** Puts a new version in a document's place. @throws MongoError 11000, 10334 */
    replace(
      entry: CollectionEntry,
      record: number,
      old: { raw: Uint8Array; doc: Doc },
      raw: Uint8Array,
      doc: Doc
    ): void {
      refuseLarge(raw)
      const changes: { index: IndexEntry; before: Entries; after: Entries }[] = []
      for (const index of entry.indexes) {
        if (shapeOf(index).fields.every((field) => old.doc.get(field) === doc.get(field))) continue
        const change = { index, before: entriesOf(index, old.doc, record), after: entriesOf(index, doc, record) }
        refuseDuplicates(entry, index, change.after, record)
        changes.push(change)
      }
      env.put(env.recs, recordKey(entry.id, record), raw as Buffer)
      for (const { index, before, after } of changes) {
        removeEntries(without(before.keys, after.keys))
        addEntries(entry, index, { ...after, keys: without(after.keys, before.keys) }, record)
      }
      if (raw.length !== old.raw.length) {
        entry.bytes += raw.length - old.raw.length
        catalog.counted(entry)
      }
    },

    remove(entry: CollectionEntry, record: number, old: { raw: Uint8Array; doc: Doc }): void {
      const keys = entry.indexes.map((index) => entriesOf(index, old.doc, record).keys)
      env.remove(env.recs, recordKey(entry.id, record))
      for (const gone of keys) removeEntries(gone)
      entry.count--
      entry.bytes -= old.raw.length
      catalog.counted(entry)
    },

    /** Adds one document's entries to an index under construction. @throws MongoError 11000 */
    addToIndex(entry: CollectionEntry, index: IndexEntry, record: number, doc: Doc): void {
      const entries = entriesOf(index, doc, record)
      refuseDuplicates(entry, index, entries, record)
      addEntries(entry, index, entries, record)
    }
  }
}

const without = (keys: Buffer[], others: Buffer[]): Buffer[] =>
  keys.filter((key) => !others.some((other) => Buffer.compare(key, other) === 0))

/** The record a unique index holds under a key, null when there is none. */
export function holderOf(env: Env, key: Buffer): number | null {
  const value = env.idx.getBinaryFast(key) // good until the next read, which is long enough
  return value === undefined ? null : recordOfValue(value as Buffer)
}

function refuseLarge(raw: Uint8Array): void {
  if (raw.length <= MAX_DOCUMENT_BYTES) return
  throw new MongoError(
    10334,
    `BSONObj size: ${raw.length} (0x${raw.length.toString(16).toUpperCase()}) is invalid. ` +
      `Size must be between 0 and ${MAX_DOCUMENT_BYTES}(16MB)`
  )
}

function duplicateOf(entry: CollectionEntry, index: IndexEntry, tuple: Value[]): MongoError {
  const pattern: Doc = new Map(index.fields.map((field) => [field.path, field.direction as Value]))
  const value: Doc = new Map(index.fields.map((field, i) => [field.path, tuple[i] ?? null]))
  return duplicateKey(`${entry.db}.${entry.name}`, index.name, show(value), pattern, value)
}

import { createHash } from 'node:crypto'
import { encode } from '../bson/document.js'
import type { Doc, Value } from '../bson/document.js'
import { MongoError } from '../bson/errors.js'
import { compileFilter } from '../bson/match.js'
import { Binary, isDoc, isTruthy } from '../bson/value.js'
import { decode } from '../bson/document.js'
import type { CollectionEntry, IndexEntry } from '../storage/catalog.js'
import { checkCollection } from '../storage/check.js'
import { prefixKey } from '../storage/records.js'
import type { Store } from '../storage/store.js'
import type { Reply } from '../wire/raw.js'
import { collectionOf, cursorField, docField, flagField, refuseCollation, wholeField } from './command.js'
import type { Command, CommandSpec, Engine } from './command.js'
import { indexDoc } from './indexes.js'

const CREATE_REFUSED = [
  'capped',
  'timeseries',
  'clusteredIndex',
  'viewOn',
  'pipeline',
  'validator',
  'changeStreamPreAndPostImages',
  'encryptedFields',
  'expireAfterSeconds',
  'size',
  'max',
  'storageEngine',
  'indexOptionDefaults',
  'temp'
]

async function create({ store }: Engine, command: Command): Promise<Reply> {
  const { body, db } = command
  const collection = collectionOf(command)
  refuseCollation(body)
  for (const option of CREATE_REFUSED) {
    const value = body.get(option)
    const empty = value === undefined || value === false || (isDoc(value) && value.size === 0)
    if (!empty) throw new MongoError(72, `the create option ${option} is not supported by this store`)
  }
  if (body.get('autoIndexId') === false)
    throw new MongoError(72, 'a collection without an index on _id is not supported by this store')
  return store.env.write((): Reply => {
    if (store.catalog.find(db, collection))
      throw new MongoError(48, `Collection already exists. NS: ${db}.${collection}`)
    store.create(db, collection, null)
    return {}
  })
}

async function drop({ store }: Engine, command: Command): Promise<Reply> {
  const collection = collectionOf(command)
  const reply = await store.env.write((): Reply => {
    const entry = store.catalog.find(command.db, collection)
    if (!entry) return {} // since 7.0 dropping what is not there is no error
    store.catalog.remove(entry)
    return { nIndexesWas: entry.indexes.length, ns: `${command.db}.${collection}` }
  })
  clearSoon(store)
  return reply
}

async function dropDatabase({ store }: Engine, { db }: Command): Promise<Reply> {
  const dropped = await store.env.write(() => {
    const entries = store.catalog.all().filter((entry) => entry.db === db)
    for (const entry of entries) store.catalog.remove(entry)
    return entries.length
  })
  clearSoon(store)
  return dropped > 0 ? { dropped: db } : {}
}

/** What was dropped goes in the background; should the process stop before, the next one goes on. */
function clearSoon(store: Engine['store']): void {
  store.indexes.clear().catch(() => {})
}

/** A stable identity of a collection, as a UUID. */
function uuidOf(entry: CollectionEntry): Binary {
  const bytes = createHash('sha256').update(`${entry.id}:${entry.db}.${entry.name}`).digest().subarray(0, 16)
  return new Binary(bytes, 4)
}

async function listCollections({ store, cursors }: Engine, command: Command): Promise<Reply> {
  const { body, db, now } = command
  const filter = compileFilter(docField(body, 'listCollections.filter') ?? new Map(), { now })
  const nameOnly = flagField(body, 'listCollections.nameOnly', false)
  const batchSize = cursorField(body, 'listCollections.cursor')
  const documents = store.catalog
    .all()
    .filter((entry) => entry.db === db)
    .map((entry): Doc => {
      const doc = new Map<string, Value>([
        ['name', entry.name],
        ['type', 'collection']
      ])
      if (nameOnly) return doc
      doc.set('options', entry.options ? decode(entry.options) : new Map())
      doc.set(
        'info',
        new Map<string, Value>([
          ['readOnly', false],
          ['uuid', uuidOf(entry)]
        ])
      )
      doc.set('idIndex', indexDoc(entry.indexes[0]))
      return doc
    })
    .filter((doc) => filter.test(doc))
    .map(encode)
  return cursors.start(`${db}.$cmd.listCollections`, documents.values(), { batchSize })
}

function listDatabases({ store }: Engine, { body, now }: Command): Reply {
  const filter = compileFilter(docField(body, 'listDatabases.filter') ?? new Map(), { now })
  const nameOnly = flagField(body, 'listDatabases.nameOnly', false)
  const sizes = new Map<string, number>()
  for (const entry of store.catalog.all()) sizes.set(entry.db, (sizes.get(entry.db) ?? 0) + entry.bytes)
  const databases = [...sizes]
    .filter(([name, bytes]) =>
      filter.test(
        new Map<string, Value>([
          ['name', name],
          ['sizeOnDisk', bytes],
          ['empty', false]
        ])
      )
    )
    .sort(([a], [b]) => (a < b ? -1 : 1))
  return {
    databases: databases.map(([name, bytes]) =>
      nameOnly ? { name } : { name, sizeOnDisk: BigInt(bytes), empty: false }
    ),
    ...(nameOnly ? {} : { totalSize: BigInt(databases.reduce((sum, [, bytes]) => sum + bytes, 0)) })
  }
}

const COUNTED_KEYS = 10_000
const MEASURED_KEYS = 1_000
/** What lmdb keeps beside a key and its value. */
const NODE_BYTES = 8

/**
 * About how many bytes an index takes: its first keys are measured, and beyond COUNTED_KEYS every document is taken to have
 * one, because counting them all would hold everyone up.
 */
function indexBytes({ env }: Store, entry: CollectionEntry, index: IndexEntry): number {
  const range = { start: prefixKey(index.id), end: prefixKey(index.id + 1) }
  const counted = env.idx.getKeysCount({ ...range, limit: COUNTED_KEYS })
  let measured = 0
  let bytes = 0
  for (const key of env.idx.getKeys({ ...range, limit: MEASURED_KEYS }) as Iterable<Buffer>) {
    measured++
    bytes += key.length + NODE_BYTES + (index.unique ? 6 : 1)
  }
  if (measured === 0) return 0
  return Math.round((bytes / measured) * (counted < COUNTED_KEYS ? counted : Math.max(counted, entry.count)))
}

function sizesOf(store: Store, entry: CollectionEntry): Record<string, number> {
  return Object.fromEntries(entry.indexes.map((index) => [index.name, indexBytes(store, entry, index)]))
}

const sum = (numbers: number[]): number => numbers.reduce((total, one) => total + one, 0)

/** `scale`: what sizes are divided by. @throws MongoError 51024 */
function scaleOf({ name, body }: Command): number {
  const scale = wholeField(body, `${name}.scale`) ?? 1
  if (scale < 1) throw new MongoError(51024, `BSON field 'scale' value must be >= 1, actual value '${scale}'`)
  return scale
}

function dbStats({ store }: Engine, command: Command): Reply {
  const { db } = command
  const scale = scaleOf(command)
  store.env.refresh()
  const entries = store.catalog.all().filter((entry) => entry.db === db)
  const objects = sum(entries.map((entry) => entry.count))
  const bytes = sum(entries.map((entry) => entry.bytes))
  const indexSize = sum(entries.flatMap((entry) => Object.values(sizesOf(store, entry))))
  return {
    db,
    collections: entries.length,
    views: 0,
    objects,
    avgObjSize: objects > 0 ? bytes / objects : 0,
    dataSize: bytes / scale,
    storageSize: bytes / scale,
    indexes: sum(entries.map((entry) => entry.indexes.length)),
    indexSize: indexSize / scale,
    totalSize: (bytes + indexSize) / scale,
    scaleFactor: scale
  }
}

function collStats({ store }: Engine, command: Command): Reply {
  const collection = collectionOf(command)
  const scale = scaleOf(command)
  store.env.refresh()
  const entry = store.catalog.find(command.db, collection)
  const sizes = Object.entries(entry ? sizesOf(store, entry) : {})
  const indexSize = sum(sizes.map(([, size]) => size))
  return {
    ns: `${command.db}.${collection}`,
    size: (entry?.bytes ?? 0) / scale,
    count: entry?.count ?? 0,
    ...(entry && entry.count > 0 ? { avgObjSize: Math.floor(entry.bytes / entry.count) } : {}),
    storageSize: (entry?.bytes ?? 0) / scale,
    capped: false,
    nindexes: entry?.indexes.length ?? 0,
    indexSizes: Object.fromEntries(sizes.map(([name, size]) => [name, size / scale])),
    totalIndexSize: indexSize / scale,
    totalSize: ((entry?.bytes ?? 0) + indexSize) / scale,
    scaleFactor: scale
  }
}

async function validate({ store }: Engine, command: Command): Promise<Reply> {
  const collection = collectionOf(command)
  store.env.refresh()
  const entry = store.catalog.find(command.db, collection)
  if (!entry) throw new MongoError(26, `Collection '${command.db}.${collection}' does not exist to validate.`)
  const { errors, documents, keys } = await store.env.write(() => checkCollection(store.env, entry))
  return {
    ns: `${command.db}.${collection}`,
    nInvalidDocuments: errors.length,
    nrecords: documents,
    nIndexes: entry.indexes.length,
    keysPerIndex: keys,
    valid: errors.length === 0,
    repaired: false,
    warnings: [],
    errors
  }
}

async function sweep({ store }: Engine, { body }: Command): Promise<Reply> {
  if (!isTruthy(body.get('hongyanSweep'))) throw new MongoError(2, 'hongyanSweep must be 1')
  return { expired: await store.sweep() }
}

async function check({ store }: Engine): Promise<Reply> {
  const errors: string[] = []
  let documents = 0
  const entries = store.catalog.all()
  for (const { id } of entries) {
    // One collection at a time, inside a write job: nothing changes between its documents and its counts.
    const result = await store.env.write(() => {
      const entry = store.catalog.byId(id)
      return entry ? checkCollection(store.env, entry) : null
    })
    documents += result?.documents ?? 0
    errors.push(...(result?.errors ?? []))
  }
  return { collections: entries.length, documents, errors }
}

async function backup({ store }: Engine, { body }: Command): Promise<Reply> {
  const to = body.get('to')
  if (typeof to !== 'string')
    throw new MongoError(14, "BSON field 'hongyanBackup.to' is the wrong type, expected type 'string'")
  await store.env.root.backup(to, true)
  return {}
}

export const collectionCommands: Record<string, CommandSpec> = {
  create: {
    run: create,
    fields: [...CREATE_REFUSED, 'collation', 'validationLevel', 'validationAction', 'autoIndexId']
  },
  drop: { run: drop, fields: [] },
  dropDatabase: { run: dropDatabase, fields: [] },
  listCollections: { run: listCollections, fields: ['filter', 'nameOnly', 'cursor', 'authorizedCollections'] },
  listDatabases: { run: listDatabases, fields: ['filter', 'nameOnly', 'authorizedDatabases'] },
  dbStats: { run: dbStats, fields: ['scale', 'freeStorage'] },
  collStats: { run: collStats, fields: ['scale', 'verbose'] },
  validate: { run: validate, fields: ['full', 'repair', 'metadata', 'checkBSONConformance'] },
  hongyanSweep: { run: sweep, fields: [] },
  hongyanCheck: { run: check, fields: [] },
  hongyanBackup: { run: backup, fields: ['to'] }
}

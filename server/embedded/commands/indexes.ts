import { setTimeout as wait } from 'node:timers/promises'
import { decode, encode } from '../bson/document.js'
import type { Doc, Value } from '../bson/document.js'
import { compareValues } from '../bson/compare.js'
import { MongoError } from '../bson/errors.js'
import { compileFilter } from '../bson/match.js'
import { show } from '../bson/show.js'
import { isDoc, isNumber, isTruthy, toNumber, typeName } from '../bson/value.js'
import type { CollectionEntry, IndexEntry, IndexField } from '../storage/catalog.js'
import { WILDCARD } from '../storage/records.js'
import type { Store } from '../storage/store.js'
import type { Reply } from '../wire/raw.js'
import { collectionOf, cursorField, docsField, refuseCollation } from './command.js'
import type { Command, CommandSpec, Engine } from './command.js'
import { checkDeadline } from './generic.js'

type IndexSpec = Omit<IndexEntry, 'id' | 'multikey' | 'cut' | 'ready'>

const SPEC_FIELDS = [
  'key',
  'name',
  'v',
  'ns',
  'unique',
  'sparse',
  'background',
  'partialFilterExpression',
  'expireAfterSeconds',
  'collation',
  'hidden'
]

const cannot = (message: string) => new MongoError(67, message)

/** Reads one index of createIndexes. @throws MongoError 67, 72, 197 and others, as MongoDB has them */
function parseIndex(spec: Doc): IndexSpec {
  for (const name of spec.keys()) {
    if (!SPEC_FIELDS.includes(name)) {
      throw new MongoError(
        197,
        `The field '${name}' is not valid for an index specification or is not supported by this store. Specification: ${show(spec)}`
      )
    }
  }
  refuseCollation(spec)
  if (isTruthy(spec.get('hidden'))) throw new MongoError(72, 'hidden indexes are not supported by this store')
  const key = spec.get('key')
  if (!isDoc(key)) throw new MongoError(9, `The 'key' field is a required property of an index specification`)
  if (key.size === 0) throw cannot('Index keys cannot be empty.')
  if (key.size > 32) throw new MongoError(13103, 'too many compound keys')
  const fields = [...key].map(([path, direction]) => parseField(path, direction))
  const plain = fields.length === 1 && !['unique', 'sparse', 'expireAfterSeconds'].some((option) => spec.has(option))
  if (!plain && fields.some(({ path }) => path.endsWith(WILDCARD)))
    throw cannot('a wildcard index of this store has one field, and is neither unique, sparse nor a TTL index')
  const name = spec.get('name')
  if (typeof name !== 'string' || name === '')
    throw new MongoError(9, `The 'name' field is a required property of an index specification`)
  if (name === '*') throw new MongoError(2, "The index name '*' is not valid.")
  const isId = fields.length === 1 && fields[0].path === '_id'
  if (name === '_id_' && !isId)
    throw new MongoError(2, "The index name '_id_' is reserved for the _id index, which must have key pattern {_id: 1}")
  const partial = spec.get('partialFilterExpression')
  if (partial !== undefined && !isDoc(partial))
    throw new MongoError(14, `The field 'partialFilterExpression' must be an object, but got ${typeName(partial)}`)
  if (partial && isTruthy(spec.get('sparse'))) throw cannot('cannot mix "partialFilterExpression" and "sparse" options')
  if (partial) refuseOddPartial(partial)
  return {
    name: isId ? '_id_' : name,
    fields,
    unique: isTruthy(spec.get('unique')) || isId,
    sparse: isTruthy(spec.get('sparse')),
    partial: partial ? Buffer.from(encode(partial)) : null,
    expireAfterSeconds: parseExpiry(spec.get('expireAfterSeconds'), fields),
    background: isTruthy(spec.get('background'))
  }
}

function parseField(whole: string, direction: Value): IndexField {
  const path = whole.endsWith(WILDCARD) ? whole.slice(0, -WILDCARD.length) : whole
  if (path === '' || path.split('.').includes('')) throw cannot('Index keys cannot be an empty field.')
  if (path.includes('$**'))
    throw cannot('this store has wildcard indexes over what lies below a field (`field.$**`) only')
  if (path.startsWith('$') || path.includes('.$'))
    throw cannot(`Index key contains an illegal field name: field name starts with '$'.`)
  if (typeof direction === 'string') {
    throw cannot(
      `Unknown index plugin '${direction}': index types other than ascending and descending are not supported by this store`
    )
  }
  const number = isNumber(direction) ? toNumber(direction) : 0
  if (number === 0 || Number.isNaN(number))
    throw cannot(`Values in the index key pattern must be numbers other than 0, not ${show(direction)}`)
  return { path: whole, direction: number > 0 ? 1 : -1 }
}

function parseExpiry(value: Value | undefined, fields: IndexField[]): number | null {
  if (value === undefined || value === null) return null
  if (!isNumber(value))
    throw cannot(`TTL index 'expireAfterSeconds' option must be numeric, but received a type of '${typeName(value)}'`)
  const seconds = toNumber(value)
  if (!(seconds >= 0) || seconds > 0x7fffffff) {
    throw cannot(
      `TTL index 'expireAfterSeconds' option must be within an acceptable range, try a different number than ${seconds}`
    )
  }
  if (fields.length > 1) throw cannot('TTL indexes are single-field indexes, compound indexes do not support TTL.')
  if (fields[0].path === '_id')
    throw new MongoError(197, "The field 'expireAfterSeconds' is not valid for an _id index specification.")
  return Math.floor(seconds)
}

/** The operators MongoDB allows in a partial index. @throws MongoError 67 */
function refuseOddPartial(partial: Doc): void {
  const walk = (node: ReturnType<typeof compileFilter>['node']): void => {
    if (node.op === 'and' || node.op === 'or') return node.children.forEach(walk)
    const fine = node.op === 'cmp' && ['$eq', '$gt', '$gte', '$lt', '$lte', '$type', '$in'].includes(node.cmp)
    const exists = node.op === 'cmp' && node.cmp === '$exists' && node.value === true
    if (!fine && !exists) throw cannot(`Expression not supported in partial index: ${show(partial)}`)
  }
  walk(compileFilter(partial).node)
}

const sameKeys = (a: IndexSpec, b: IndexSpec) =>
  a.fields.length === b.fields.length &&
  a.fields.every((field, i) => field.path === b.fields[i].path && field.direction === b.fields[i].direction)

const samePartial = (a: Buffer | null, b: Buffer | null) =>
  a === null || b === null ? a === b : compareValues(decode(a), decode(b)) === 0

/** Whether two indexes cannot stand side by side. One may be unique, sparse or partial where another of its keys is not. */
const sameIdentity = (a: IndexSpec, b: IndexSpec) =>
  sameKeys(a, b) && a.unique === b.unique && a.sparse === b.sparse && samePartial(a.partial, b.partial)

const sameOptions = (a: IndexSpec, b: IndexSpec) => a.expireAfterSeconds === b.expireAfterSeconds

/** The index that is already as asked for; null when there is none. @throws MongoError 85 or 86 when another is in the way */
function existing(indexes: IndexEntry[], spec: IndexSpec): IndexEntry | null {
  for (const index of indexes) {
    const alike = sameIdentity(index, spec)
    if (index.name === spec.name) {
      if (alike && sameOptions(index, spec)) return index
      throw new MongoError(
        alike ? 85 : 86,
        `An ${alike ? 'equivalent index already exists with the same name but different options' : 'existing index has the same name as the requested index'}. ` +
          `When index names are not specified, they are auto generated and can cause conflicts. Please refer to our documentation. ` +
          `Requested index: ${describe(spec)}, existing index: ${describe(index)}`
      )
    }
    if (alike) {
      throw new MongoError(
        85,
        sameOptions(index, spec)
          ? `Index already exists with a different name: ${index.name}`
          : `An equivalent index already exists with a different name and options. Requested index: ${describe(spec)}, existing index: ${describe(index)}`
      )
    }
  }
  return null
}

const describe = (spec: IndexSpec) => show(indexDoc(spec))

/** An index as listIndexes shows it. */
export function indexDoc(index: IndexSpec): Doc {
  const doc: Doc = new Map<string, Value>([
    ['v', 2],
    ['key', new Map(index.fields.map(({ path, direction }) => [path, direction as Value]))],
    ['name', index.name]
  ])
  if (index.unique && index.name !== '_id_') doc.set('unique', true)
  if (index.sparse) doc.set('sparse', true)
  if (index.background) doc.set('background', true)
  if (index.expireAfterSeconds !== null) doc.set('expireAfterSeconds', index.expireAfterSeconds)
  if (index.partial) doc.set('partialFilterExpression', decode(index.partial))
  return doc
}

/** Builds that are under way, by index id: whoever asks for the same index waits with the first. */
const building = new WeakMap<Store, Map<number, Promise<void>>>()

/** What the work resolves to, if it does so by the deadline. @throws MongoError 50 when it does not; the work then goes on */
async function inTime<T>(work: Promise<T>, deadline: number): Promise<T> {
  if (deadline === Infinity) return work
  const over = new AbortController()
  const late = wait(Math.max(0, deadline - performance.now()) + 1, undefined, { signal: over.signal })
  const expired = late.then(() => {
    checkDeadline(deadline)
    return work
  })
  expired.catch(() => {}) // nobody waits for it any more when the work is done
  try {
    return await Promise.race([work, expired])
  } finally {
    over.abort()
  }
}

async function createIndexes({ store }: Engine, command: Command): Promise<Reply> {
  const collection = collectionOf(command)
  const specs = (docsField(command.body, 'createIndexes.indexes') ?? []).map(parseIndex)
  if (specs.length === 0) throw new MongoError(2, 'Must specify at least one index to create')
  const builds = building.get(store) ?? new Map<number, Promise<void>>()
  building.set(store, builds)
  const { entry, before, made, wanted, created } = await store.env.write(() => {
    const known = store.catalog.find(command.db, collection)
    const target = known ?? store.create(command.db, collection, null)
    const all = [...target.indexes]
    const wantedIndexes = specs.map((spec) => {
      const found = existing(all, spec)
      if (found) return found
      if (all.length >= 64)
        throw cannot(
          `add index fails, too many indexes for ${command.db}.${collection} key:${show(indexDoc(spec).get('key'))}`
        )
      const index: IndexEntry = {
        ...spec,
        id: store.catalog.allocateId(),
        multikey: false,
        cut: false,
        ready: target.count === 0
      }
      all.push(index)
      return index
    })
    const fresh = all.slice(target.indexes.length)
    const indexesBefore = target.indexes.length
    if (fresh.length > 0) {
      target.indexes = all
      store.catalog.touch(target)
    }
    return { entry: target, before: indexesBefore, made: fresh, wanted: wantedIndexes, created: !known }
  })
  try {
    for (const index of made) {
      if (index.ready) continue
      const build = store.indexes.build(entry, index).finally(() => builds.delete(index.id))
      build.catch(() => {}) // awaited below; a second failure must not go unheard of either
      builds.set(index.id, build)
      await inTime(build, command.deadline)
    }
  } catch (error) {
    // All or none: an index that is taken away while it is built ends its build.
    await store.env.write(() => {
      const current = store.catalog.byId(entry.id)
      const ids = made.map(({ id }) => id)
      for (const index of current?.indexes.filter(({ id }) => ids.includes(id)) ?? [])
        store.catalog.removeIndex(current!, index)
    })
    throw error
  }
  for (const index of wanted) {
    const build = builds.get(index.id)
    if (build) await inTime(build, command.deadline)
  }
  return {
    numIndexesBefore: before,
    numIndexesAfter: before + made.length,
    createdCollectionAutomatically: created,
    ...(made.length === 0 ? { note: 'all indexes already exist' } : {})
  }
}

async function listIndexes({ store, cursors }: Engine, command: Command): Promise<Reply> {
  const collection = collectionOf(command)
  const entry = store.catalog.find(command.db, collection)
  if (!entry) throw new MongoError(26, `ns does not exist: ${command.db}.${collection}`)
  const documents = entry.indexes.filter((index) => index.ready).map((index) => encode(indexDoc(index)))
  const batchSize = cursorField(command.body, 'listIndexes.cursor')
  return cursors.start(`${command.db}.${collection}`, documents.values(), { batchSize })
}

async function dropIndexes({ store }: Engine, command: Command): Promise<Reply> {
  const collection = collectionOf(command)
  const which = command.body.get('index')
  return store.env.write((): Reply => {
    const entry = store.catalog.find(command.db, collection)
    if (!entry) throw new MongoError(26, `ns not found ${command.db}.${collection}`)
    const before = entry.indexes.length
    const victims = indexesNamed(entry, which)
    for (const index of victims) {
      if (index.name === '_id_') throw new MongoError(72, 'cannot drop _id index')
    }
    for (const index of victims) store.catalog.removeIndex(entry, index)
    return { nIndexesWas: before, ...(which === '*' ? { msg: 'non-_id indexes dropped for collection' } : {}) }
  })
}

function indexesNamed(entry: CollectionEntry, which: Value | undefined): IndexEntry[] {
  if (which === '*') return entry.indexes.filter((index) => index.name !== '_id_')
  if (Array.isArray(which)) return which.flatMap((name) => indexesNamed(entry, name))
  if (typeof which === 'string') {
    const index = entry.indexes.find((other) => other.name === which)
    if (!index) throw new MongoError(27, `index not found with name [${which}]`)
    return [index]
  }
  if (!isDoc(which))
    throw new MongoError(
      14,
      "BSON field 'dropIndexes.index' is the wrong type, expected a string, an object or an array"
    )
  const [index, another] = entry.indexes.filter((other) => show(indexDoc(other).get('key')) === show(which))
  if (!index) throw new MongoError(27, `can't find index with key: ${show(which)}`)
  if (another)
    throw new MongoError(
      181,
      `more than one index found for key: ${show(which)}, identify by name instead. Conflicting indexes: ${index.name}, ${another.name}`
    )
  return [index]
}

export const indexCommands: Record<string, CommandSpec> = {
  createIndexes: { run: createIndexes, fields: ['indexes', 'commitQuorum', 'ignoreUnknownIndexOptions'] },
  listIndexes: { run: listIndexes, fields: ['cursor'] },
  dropIndexes: { run: dropIndexes, fields: ['index'] }
}

import { randomBytes } from 'node:crypto'
import type { Tail } from '../aggregate/pipeline.js'
import { decode, encode } from '../bson/document.js'
import type { Doc, Value } from '../bson/document.js'
import { duplicateKey, MongoError } from '../bson/errors.js'
import { compileFilter } from '../bson/match.js'
import { show } from '../bson/show.js'
import { compileUpdate } from '../bson/update.js'
import type { CollectionEntry, IndexEntry } from '../storage/catalog.js'
import type { Pause, Store } from '../storage/store.js'
import { pause } from './pause.js'
import { evaluate, firstMatch } from './query.js'
import type { Command, Engine } from './command.js'
import { runStatements, updateFound, withId } from './write.js'
import type { Statement, Step } from './write.js'

type Merge = Extract<Tail, { stage: '$merge' }>

const BATCH = 500

/** Carries out the $out or $merge at the end of a pipeline. @throws MongoError */
export async function writeTail(
  { store }: Engine,
  command: Command,
  collection: string,
  tail: Tail,
  results: Iterable<Doc | Pause>
): Promise<void> {
  const db = tail.db ?? command.db
  if (tail.stage === '$out') return replaceCollection(store, db, tail.collection, results, command.deadline)
  const on = tail.on
  const target = store.catalog.find(db, tail.collection)
  if (!hasUnique(target, on)) throw new MongoError(51183, 'Cannot find index to verify that join fields will be unique')
  await writeBatches(store, results, (doc) => mergeOne(store, command, db, tail, doc), command.deadline)
}

async function writeBatches(
  store: Store,
  results: Iterable<Doc | Pause>,
  statement: (doc: Doc) => Statement,
  deadline: number
): Promise<void> {
  let batch: Statement[] = []
  const flush = async () => {
    const { errors } = await runStatements(store, batch, true, deadline)
    if (errors.length > 0) throw errors[0].error
    batch = []
    store.env.refresh()
  }
  for (const doc of results) {
    if (typeof doc === 'symbol') {
      await pause(deadline)
      store.env.refresh()
      continue
    }
    batch.push(statement(doc))
    if (batch.length === BATCH) await flush()
  }
  if (batch.length > 0) await flush()
}

/** Fills a new collection with the target's indexes, then puts it in the target's place at one stroke. */
async function replaceCollection(
  store: Store,
  db: string,
  name: string,
  results: Iterable<Doc | Pause>,
  deadline: number
): Promise<void> {
  const draft = `tmp.agg_out.${randomBytes(8).toString('hex')}`
  await store.env.write(() => {
    const made = store.create(db, draft, null)
    for (const index of store.catalog.find(db, name)?.indexes ?? []) {
      if (index.name !== '_id_')
        made.indexes.push({ ...index, id: store.catalog.allocateId(), multikey: false, cut: false, ready: true })
    }
  })
  try {
    await writeBatches(store, results, (doc) => () => insertOne(store, store.ensure(db, draft), doc), deadline)
    await store.env.write(() => {
      const old = store.catalog.find(db, name)
      if (old) store.catalog.remove(old)
      const made = store.catalog.find(db, draft)
      if (made) store.catalog.rename(made, name)
    })
  } catch (error) {
    await store.env.write(() => {
      const made = store.catalog.find(db, draft)
      if (made) store.catalog.remove(made)
    })
    throw error
  } finally {
    store.indexes.clear().catch(() => {}) // the next opening goes on with it
  }
}

function insertOne(store: Store, entry: CollectionEntry, doc: Doc): Step {
  const whole = withId(doc)
  store.records.insert(entry, encode(whole), whole)
  return { n: 1, modified: 0 }
}

function hasUnique(target: CollectionEntry | undefined, on: string[]): boolean {
  if (on.length === 1 && on[0] === '_id') return true
  const covers = (index: IndexEntry) =>
    index.unique &&
    !index.partial &&
    index.ready &&
    index.fields.length === on.length &&
    index.fields.every(({ path }) => on.includes(path))
  return target?.indexes.some(covers) ?? false
}

function mergeOne(store: Store, command: Command, db: string, tail: Merge, result: Doc): Statement {
  const doc = tail.on.includes('_id') || result.has('_id') ? withId(result) : result
  const key: Doc = new Map(
    tail.on.map((path): [string, Value] => {
      const value = doc.get(path)
      if (value === undefined || value === null || Array.isArray(value)) {
        throw new MongoError(
          51132,
          `$merge write error: 'on' field '${path}' cannot be missing, null, undefined or an array`
        )
      }
      return [path, new Map([['$eq', value]])]
    })
  )
  const filter = compileFilter(key)
  return () => {
    const entry = store.ensure(db, tail.collection)
    const found = firstMatch(store, entry, { filter, order: null, skip: 0, limit: 1, pauses: false })
    if (!found) {
      if (tail.whenNotMatched === 'discard') return { n: 0, modified: 0 }
      if (tail.whenNotMatched === 'insert') return insertOne(store, entry, doc)
      throw new MongoError(
        13113,
        '$merge could not find a matching document in the target collection for at least one document in the source collection'
      )
    }
    if (tail.whenMatched === 'keepExisting') return { n: 1, modified: 0 }
    if (tail.whenMatched === 'fail') {
      const pattern: Doc = new Map(tail.on.map((path): [string, Value] => [path, 1]))
      const value: Doc = new Map(tail.on.map((path): [string, Value] => [path, doc.get(path) ?? null]))
      throw duplicateKey(
        `${db}.${tail.collection}`,
        tail.on.length === 1 ? `${tail.on[0]}_` : tail.on.join('_'),
        show(value),
        pattern,
        value
      )
    }
    const variables: Doc = tail.let ? evaluate(tail.let, command.now, doc) : new Map([['new', doc as Value]])
    const updater = Array.isArray(tail.whenMatched)
      ? compileUpdate(tail.whenMatched, { now: command.now, let: variables })
      : compileUpdate(plainUpdate(tail.whenMatched, doc, decode(found.raw)), { now: command.now })
    return { n: 1, modified: updateFound(store, entry, found, filter, updater).changed ? 1 : 0 }
  }
}

/** The document that stands after a `replace` or `merge`, as a replacement; the target keeps its `_id`. */
function plainUpdate(mode: 'replace' | 'merge', doc: Doc, target: Doc): Doc {
  const next: Doc = mode === 'merge' ? new Map([...target, ...doc]) : new Map(doc)
  if (!next.has('_id')) return withId(new Map([['_id', target.get('_id') as Value], ...next]))
  return next
}

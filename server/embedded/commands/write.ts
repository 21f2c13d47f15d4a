import { ObjectId } from 'bson'
import { compareValues } from '../bson/compare.js'
import { decode, decodePart, encode, encodeChanges } from '../bson/document.js'
import type { Doc, Value } from '../bson/document.js'
import { MongoError } from '../bson/errors.js'
import { compileFilter, type Filter } from '../bson/match.js'
import { show } from '../bson/show.js'
import { compileUpdate, upsertBase, type Updater } from '../bson/update.js'
import { isDoc, isNumber, toInteger, typeName } from '../bson/value.js'
import { MAX_BATCH_STATEMENTS } from '../wire/frames.js'
import type { CollectionEntry } from '../storage/catalog.js'
import { fieldsToKeep } from '../storage/records.js'
import type { Found } from '../storage/scan.js'
import type { Store } from '../storage/store.js'
import { Raw } from '../wire/raw.js'
import type { Reply } from '../wire/raw.js'
import { docsField, flagField } from './command.js'
import type { Command } from './command.js'
import { checkDeadline, TIME_LIMIT } from './generic.js'

/** A write job gives the thread and the transaction to others after this long. */
const SLICE_MS = 20
/** Commands of more statements than this let the others go first, and take short turns while there are any. */
const LONG = 500
const SHORT_SLICE_MS = 6

/** The refused statements, as a write command reports them; nothing when there are none. */
export function writeErrors({ errors }: Outcome): Reply {
  if (errors.length === 0) return {}
  return {
    writeErrors: errors.map(({ index, error }) => ({
      index,
      code: error.code,
      ...extraOf(error),
      errmsg: error.message
    }))
  }
}

/** keyPattern and keyValue of code 11000, as fields of a reply. */
export function extraOf(error: MongoError): Reply {
  const extra: Reply = {}
  for (const [name, value] of Object.entries(error.extra ?? {})) {
    extra[name] = isDoc(value) ? new Raw(encode(value)) : (value as Reply[string])
  }
  return extra
}

/** What a statement did in one step. `resume` is set when it is not done: what the next step is to go on with. */
export type Step = { n: number; modified: number; upserted?: Value; resume?: unknown }

/**
 * A statement of an insert, update or delete command, run inside a write job: until done, or until `until` has passed.
 * It keeps nothing itself, because the job may be undone and run again. A refusal is a MongoError; documents written
 * before it stay.
 */
export type Statement = (until: number, resume: unknown) => Step

/** What a write command did. */
export type Outcome = {
  n: number
  modified: number
  upserted: { index: number; id: Value }[]
  errors: { index: number; error: MongoError }[]
}

/**
 * Runs statements in their order, in as few transactions as the time limit allows. Each refused statement becomes a
 * write error; with `ordered`, the first one ends it. @throws MongoError 50 at the deadline; what was written by then stays
 */
export async function runStatements(
  store: Store,
  statements: (Statement | MongoError)[],
  ordered: boolean,
  deadline: number
): Promise<Outcome> {
  const total: Outcome = { n: 0, modified: 0, upserted: [], errors: [] }
  let position: { at: number; resume: unknown } = { at: 0, resume: undefined }
  const durable: Promise<void>[] = []
  const long = statements.length > LONG
  const until = (brief: boolean) => Math.min(performance.now() + (brief ? SHORT_SLICE_MS : SLICE_MS), deadline)
  while (position.at < statements.length) {
    const from = position
    const step = (hurried: boolean) => runSome(statements, ordered, from, until(long && hurried))
    const { value, durable: flushed } = await store.env.step(step, long)
    const { next, done } = value
    position = next
    durable.push(flushed)
    total.n += done.n
    total.modified += done.modified
    total.upserted.push(...done.upserted)
    total.errors.push(...done.errors)
    if (position.at < statements.length && performance.now() > deadline) break
  }
  await Promise.all(durable)
  if (position.at < statements.length) checkDeadline(deadline)
  return total
}

function runSome(
  statements: (Statement | MongoError)[],
  ordered: boolean,
  from: { at: number; resume: unknown },
  until: number
) {
  const done: Outcome = { n: 0, modified: 0, upserted: [], errors: [] }
  let { at, resume } = from
  while (at < statements.length) {
    const statement = statements[at]
    try {
      if (statement instanceof MongoError) throw statement
      const step = statement(until, resume)
      done.n += step.n
      done.modified += step.modified
      if (step.upserted !== undefined) done.upserted.push({ index: at, id: step.upserted })
      resume = step.resume
      if (resume !== undefined) break
    } catch (error) {
      if (!(error instanceof MongoError)) throw error
      if (error.code === TIME_LIMIT) break // ends the command, not this statement alone
      done.errors.push({ index: at, error })
      resume = undefined
      if (ordered) {
        at = statements.length
        break
      }
    }
    at++
    if (performance.now() > until) break
  }
  return { next: { at, resume }, done }
}

/** The statement, or the refusal its preparation ended in. */
export function prepared(prepare: () => Statement): Statement | MongoError {
  try {
    return prepare()
  } catch (error) {
    if (error instanceof MongoError) return error
    throw error
  }
}

/** The statements of a write command: its document sequence, or the array in its body. @throws MongoError 14, 9 or 16 */
export function statementsOf(command: Command, field: string): Doc[] {
  const sequence = command.sequences.get(field)
  const statements = sequence ? sequence.map((raw) => decode(raw)) : docsField(command.body, `${command.name}.${field}`)
  if (!statements) throw new MongoError(40414, `BSON field '${command.name}.${field}' is missing but a required field`)
  checkCount(statements.length)
  return statements
}

/** @throws MongoError 16 */
export function checkCount(count: number): void {
  if (count >= 1 && count <= MAX_BATCH_STATEMENTS) return
  throw new MongoError(16, `Write batch sizes must be between 1 and ${MAX_BATCH_STATEMENTS}. Got ${count} operations.`)
}

/** Refuses fields of a statement that are not known. @throws MongoError 40415 */
export function checkFields(statement: Doc, where: string, known: readonly string[]): void {
  for (const name of statement.keys()) {
    if (!known.includes(name)) throw new MongoError(40415, `BSON field '${where}.${name}' is an unknown field.`)
  }
}

/** Refuses a statement without one of its fields. @throws MongoError 40414 */
export function requireFields(statement: Doc, where: string, required: readonly string[]): void {
  for (const name of required) {
    if (!statement.has(name))
      throw new MongoError(40414, `BSON field '${where}.${name}' is missing but a required field`)
  }
}

/** `ordered`, true unless said otherwise. */
export const isOrdered = (command: Command): boolean => flagField(command.body, `${command.name}.ordered`, true)

/** A document with `_id` in front, made if need be. @throws MongoError 53 or 52 for an `_id` no document may have */
export function withId(doc: Doc): Doc {
  const id = doc.get('_id')
  const given = id ?? (doc.has('_id') ? null : new ObjectId())
  if (Array.isArray(given) || typeName(given) === 'regex' || typeName(given) === 'undefined') {
    throw new MongoError(53, `The '_id' value cannot be of type ${typeName(given)}`)
  }
  if (isDoc(given)) refuseDollarFields(given)
  if (id !== undefined && doc.keys().next().value === '_id') return doc
  const whole: Doc = new Map([['_id', given]])
  for (const [name, value] of doc) if (name !== '_id') whole.set(name, value)
  return whole
}

function refuseDollarFields(id: Doc): void {
  for (const name of id.keys()) {
    if (name.startsWith('$')) {
      throw new MongoError(52, `_id fields may not contain '$'-prefixed fields: ${name} is not valid for storage.`)
    }
  }
}

/** Applies an update to one record; gives its bytes after that. @throws MongoError */
export function updateFound(
  store: Store,
  entry: CollectionEntry,
  found: Found,
  filter: Filter,
  updater: Updater
): { after: Uint8Array; changed: boolean } {
  // Modifiers name the fields they touch: the others are neither decoded nor encoded, nor are their indexes looked at.
  const part = updater.fields && !updater.positional ? decodePart(found.raw, fieldsToKeep(entry, updater.fields)) : null
  const before = part ? part.doc : decode(found.raw)
  const positional = updater.positional ? filter.arrayIndex(before) : undefined
  const { doc, changed } = updater.apply(before, { positional, isInsert: false })
  if (!changed) return { after: found.raw, changed: false }
  const id = before.get('_id') as Value
  const newId = doc.get('_id')
  if (newId === undefined || compareValues(id, newId) !== 0) {
    throw new MongoError(66, "Performing an update on the path '_id' would modify the immutable field '_id'")
  }
  const raw = part ? encodeChanges(found.raw, part, doc) : encode(doc)
  if (Buffer.compare(raw, found.raw) === 0) return { after: found.raw, changed: false }
  store.records.replace(entry, found.record, { raw: found.raw, doc: before }, raw, doc)
  return { after: raw, changed: true }
}

/** Inserts what an upsert makes of its filter and update; returns the new document. @throws MongoError */
export function upsert(store: Store, db: string, collection: string, filter: Filter, updater: Updater): Doc {
  const entry = store.ensure(db, collection)
  const base = upsertBase(filter.node, updater.kind)
  const { doc } = updater.apply(base, { isInsert: true })
  const baseId = base.get('_id')
  const madeId = doc.get('_id')
  if (baseId !== undefined && (madeId === undefined || compareValues(baseId, madeId) !== 0)) {
    throw new MongoError(66, `Performing an update on the path '_id' would modify the immutable field '_id'`)
  }
  const whole = withId(doc)
  store.records.insert(entry, encode(whole), whole)
  return whole
}

/** Whether the parts of an update are of the types they must have. @throws MongoError 9 or 14 */
export function checkUpdateForm(value: Value | undefined, arrayFilters: Value | undefined): void {
  const filters = arrayFilters ?? []
  if (!Array.isArray(filters) || !filters.every(isDoc)) {
    throw new MongoError(14, "BSON field 'arrayFilters' is the wrong type, expected type 'array' of objects")
  }
  const pipeline = Array.isArray(value) && value.every(isDoc)
  if (!pipeline && !isDoc(value)) throw new MongoError(9, 'Update argument must be either an object or an array')
}

/** `u` of an update statement or `update` of findAndModify. @throws MongoError */
export function parseUpdate(
  value: Value | undefined,
  arrayFilters: Value | undefined,
  now: Date,
  vars: Doc | undefined
): Updater {
  checkUpdateForm(value, arrayFilters)
  const filters = (arrayFilters ?? undefined) as Doc[] | undefined
  return compileUpdate(value as Doc | Doc[], { arrayFilters: filters, now, let: vars })
}

/** The filter of a statement. @throws MongoError 14 or 2 */
export function parseFilter(value: Value | undefined, where: string, now: Date, vars: Doc | undefined): Filter {
  if (value !== undefined && value !== null && !isDoc(value)) {
    throw new MongoError(14, `BSON field '${where}' is the wrong type '${typeName(value)}', expected type 'object'`)
  }
  return compileFilter(isDoc(value) ? value : new Map(), { now, let: vars })
}

/** `limit` of a delete statement: true for one document only. @throws MongoError 14 or 9 */
export function isOne(limit: Value | undefined): boolean {
  if (!isNumber(limit)) {
    throw new MongoError(
      14,
      `BSON field 'delete.deletes.limit' is the wrong type '${typeName(limit)}', expected type 'int'`
    )
  }
  const count = toInteger(limit)
  if (count !== 0 && count !== 1) {
    throw new MongoError(9, `The limit field in delete objects must be 0 or 1. Got ${show(limit)}`)
  }
  return count === 1
}

import type { Doc, Value } from '../bson/document.js'
import { MongoError, typeMismatch } from '../bson/errors.js'
import { isDoc, isNumber, isTruthy, toInteger, typeName } from '../bson/value.js'
import type { Reply } from '../wire/raw.js'
import type { Session } from '../wire/connection.js'
import type { Store } from '../storage/store.js'
import type { Cursors } from './cursors.js'
import type { ScramUser } from '../wire/scram.js'

/** What all commands work on. */
export type Engine = {
  store: Store
  cursors: Cursors
  /** Who may come in by password; null on a socket whose file mode is the password. */
  user: ScramUser | null
  startedAt: Date
  log: (event: string, facts: Record<string, unknown>) => void
}

/** One command as it came. */
export type Command = {
  name: string
  db: string
  body: Doc
  /** Document sequences sent beside the body, raw. */
  sequences: Map<string, Buffer[]>
  session: Session
  /** `$$NOW` of this command. */
  now: Date
  /** When `maxTimeMS` ends it, by `performance.now()`. */
  deadline: number
}

export type Handler = (engine: Engine, command: Command) => Reply | Promise<Reply>

/** An entry of the command table: what runs, and every field it knows. A field outside the list is refused. */
export type CommandSpec = {
  run: Handler
  fields: readonly string[]
  /** true: may be asked before a password was given. */
  open?: boolean
}

/** The name of the command's collection. @throws MongoError 73 */
export function collectionOf(command: Command, field = command.name): string {
  const name = command.body.get(field)
  if (typeof name !== 'string') {
    throw new MongoError(73, `collection name has invalid type ${typeName(name)}`)
  }
  if (name === '') throw new MongoError(73, `Invalid namespace specified '${command.db}.'`)
  return name
}

function wrong(path: string, value: Value, expected: string): MongoError {
  return typeMismatch(`BSON field '${path}' is the wrong type '${typeName(value)}', expected type '${expected}'`)
}

/** A field that must be a document, or be absent (null counts as absent). @throws MongoError 14 */
export function docField(body: Doc, path: string): Doc | undefined {
  const value = body.get(path.slice(path.lastIndexOf('.') + 1))
  if (value === undefined || value === null) return undefined
  if (!isDoc(value)) throw wrong(path, value, 'object')
  return value
}

/** A field that must be an array of documents. @throws MongoError 14 */
export function docsField(body: Doc, path: string): Doc[] | undefined {
  const value = body.get(path.slice(path.lastIndexOf('.') + 1))
  if (value === undefined || value === null) return undefined
  if (!Array.isArray(value)) throw wrong(path, value, 'array')
  for (const item of value) if (!isDoc(item)) throw wrong(path, item, 'object')
  return value as Doc[]
}

/** A field that must be text. @throws MongoError 14 */
export function textField(body: Doc, path: string): string | undefined {
  const value = body.get(path.slice(path.lastIndexOf('.') + 1))
  if (value === undefined || value === null) return undefined
  if (typeof value !== 'string') throw wrong(path, value, 'string')
  return value
}

/** A field that is true or false; numbers count by their truth, as MongoDB has it. @throws MongoError 14 */
export function flagField(body: Doc, path: string, otherwise: boolean): boolean {
  const value = body.get(path.slice(path.lastIndexOf('.') + 1))
  if (value === undefined || value === null) return otherwise
  if (typeof value !== 'boolean' && !isNumber(value)) throw wrong(path, value, 'bool')
  return isTruthy(value)
}

/** A field that must be a whole number. @throws MongoError 14 or 2 */
export function wholeField(body: Doc, path: string): number | undefined {
  const value = body.get(path.slice(path.lastIndexOf('.') + 1))
  if (value === undefined || value === null) return undefined
  if (!isNumber(value)) throw wrong(path, value, 'long')
  const whole = toInteger(value)
  if (whole === undefined) throw new MongoError(2, `BSON field '${path}' must be a whole number`)
  return whole
}

/** A whole number that must not be negative. @throws MongoError 14, 2 or 51024 */
export function countField(body: Doc, path: string): number | undefined {
  const value = wholeField(body, path)
  if (value !== undefined && value < 0) {
    throw new MongoError(
      51024,
      `BSON field '${path.slice(path.lastIndexOf('.') + 1)}' value must be >= 0, actual value '${value}'`
    )
  }
  return value
}

/** `cursor`: how many documents the first batch may hold; undefined when it does not say. @throws MongoError 14, 40415, 51024 */
export function cursorField(body: Doc, path: string): number | undefined {
  const cursor = docField(body, path)
  for (const name of cursor?.keys() ?? []) {
    if (name !== 'batchSize') throw new MongoError(40415, `BSON field 'cursor.${name}' is an unknown field.`)
  }
  return cursor && countField(cursor, 'cursor.batchSize')
}

/** `hint`: an index's name or its keys. @throws MongoError 9 */
export function hintField(body: Doc): string | Doc | null {
  const value = body.get('hint')
  if (value === undefined || value === null) return null
  if (typeof value === 'string' || isDoc(value)) return value
  throw new MongoError(9, 'Hint must be a string or an object')
}

/** Only the simple collation can be served. @throws MongoError 72 */
export function refuseCollation(body: Doc): void {
  const collation = body.get('collation')
  if (collation === undefined || collation === null) return
  if (!isDoc(collation)) throw wrong('collation', collation, 'object')
  if (collation.size === 0 || collation.get('locale') === 'simple') return
  throw new MongoError(72, 'collation other than { locale: "simple" } is not supported by this store')
}

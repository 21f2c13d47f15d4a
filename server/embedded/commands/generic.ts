import type { Doc, Value } from '../bson/document.js'
import { MongoError, typeMismatch } from '../bson/errors.js'
import { isDoc, isNumber, toInteger, typeName } from '../bson/value.js'

/** Fields any command may carry. Each is carried out, or looked at and refused where it asks for what is not done here. */
export const GENERIC_FIELDS: ReadonlySet<string> = new Set([
  ...['$db', 'lsid', '$clusterTime', 'readConcern', 'writeConcern', 'comment', 'maxTimeMS', '$readPreference'],
  ...['apiVersion', 'apiStrict', 'apiDeprecationErrors', 'txnNumber', 'startTransaction', 'autocommit'],
  ...['$audit', '$client']
])

/** The commands of MongoDB's Stable API, version 1, that this store has. */
const STABLE = new Set(
  (
    'aggregate count create createIndexes delete drop dropDatabase dropIndexes endSessions explain find findAndModify ' +
    'getMore hello insert killCursors listCollections listDatabases listIndexes ping update'
  ).split(' ')
)

/** Refuses what no command here can do, whichever it is. @throws MongoError 2, 9, 14, 20, 72, 123, 322 or 323 */
export function checkGenericFields(command: string, body: Doc): void {
  refuseTransactions(body)
  checkReadConcern(body.get('readConcern'))
  checkWriteConcern(body.get('writeConcern'))
  checkApi(command, body)
}

function refuseTransactions(body: Doc): void {
  if (body.has('startTransaction') || body.has('autocommit') || body.has('txnNumber')) {
    throw new MongoError(20, 'Transaction numbers are only allowed on a replica set member or mongos')
  }
}

function docOf(value: Value | undefined, name: string): Doc | undefined {
  if (value === undefined || value === null) return undefined
  if (!isDoc(value)) throw typeMismatch(`"${name}" had the wrong type. Expected object, found ${typeName(value)}`)
  return value
}

// Whoever reads here reads what was last written: local, available and majority all mean that on a single node.
function checkReadConcern(value: Value | undefined): void {
  const concern = docOf(value, 'readConcern')
  for (const name of concern?.keys() ?? []) {
    if (name !== 'level' && name !== 'provenance') {
      throw new MongoError(72, `the read concern field ${name} is not supported by this store`)
    }
  }
  const level = concern?.get('level') ?? 'local'
  if (level === 'snapshot' || level === 'linearizable') {
    throw new MongoError(123, 'node needs to be a replica set member to use read concern')
  }
  if (typeof level !== 'string' || !['local', 'available', 'majority'].includes(level)) {
    throw new MongoError(2, `Enumeration value '${String(level)}' for field 'readConcern.level' is not a valid value.`)
  }
}

function checkWriteConcern(value: Value | undefined): void {
  const w = docOf(value, 'writeConcern')?.get('w')
  if (w === undefined || w === null) return
  if (isNumber(w)) {
    const members = toInteger(w)
    if (members === undefined || members < 0 || members > 50)
      throw new MongoError(9, 'w has to be a non-negative number and not greater than 50')
    if (members > 1) throw new MongoError(2, "cannot use 'w' > 1 when a host is not replicated")
  } else if (w !== 'majority') {
    throw new MongoError(
      2,
      `cannot use non-majority 'w' mode ${String(w)} when a host is not a member of a replica set`
    )
  }
}

function checkApi(command: string, body: Doc): void {
  const version = body.get('apiVersion')
  if (version !== undefined && version !== '1') {
    throw new MongoError(322, `API version must be "1"`)
  }
  if (body.get('apiStrict') === true && !STABLE.has(command)) {
    throw new MongoError(323, `Provided apiStrict:true, but the command ${command} is not in API Version 1`)
  }
}

/** The moment, by `performance.now()`, at which `maxTimeMS` ends the command; Infinity without one. @throws MongoError 2, 14 */
export function deadlineOf(body: Doc): number {
  const value = body.get('maxTimeMS')
  if (value === undefined || value === null) return Infinity
  if (!isNumber(value)) throw typeMismatch(`maxTimeMS must be a number, not ${typeName(value)}`)
  const most = toInteger(value)
  if (most === undefined || most < 0 || most > 0x7fffffff) {
    throw new MongoError(2, `maxTimeMS value ${String(value)} is out of range [0, 2147483647]`)
  }
  return most === 0 ? Infinity : performance.now() + most
}

/** The code of what took longer than `maxTimeMS`. */
export const TIME_LIMIT = 50

/** @throws MongoError 50 when the deadline has passed */
export function checkDeadline(deadline: number): void {
  if (performance.now() > deadline) throw new MongoError(TIME_LIMIT, 'operation exceeded time limit')
}

import { decode } from '../bson/document.js'
import { MongoError } from '../bson/errors.js'
import { EmbeddedStoreError } from '../storage/store-error.js'
import type { Request } from '../wire/frames.js'
import type { Session } from '../wire/connection.js'
import { encodeReply } from '../wire/raw.js'
import type { Reply } from '../wire/raw.js'
import { extraOf } from './write.js'
import type { Command, Engine } from './command.js'
import { COMMANDS, specOf } from './table.js'

/** Fields any command may carry. Those that would change what it means are looked at below; the others change nothing here. */
const GENERIC = new Set([
  ...['$db', 'lsid', '$clusterTime', 'readConcern', 'writeConcern', 'comment', 'maxTimeMS', '$readPreference'],
  ...[
    'apiVersion',
    'apiStrict',
    'apiDeprecationErrors',
    'txnNumber',
    'startTransaction',
    'autocommit',
    '$audit',
    '$client'
  ]
])

/** Answers one request; every failure is an error document, never an exception. */
export async function answer(engine: Engine, request: Request, session: Session): Promise<Buffer> {
  try {
    return encodeReply({ ...(await run(engine, request, session)), ok: 1.0 })
  } catch (error) {
    return encodeReply(failure(engine, error))
  }
}

async function run(engine: Engine, request: Request, session: Session): Promise<Reply> {
  const body = decode(request.body)
  const called = body.keys().next().value
  if (called === undefined) throw new MongoError(59, "no such command: ''")
  const spec = specOf(called)
  if (!spec) throw new MongoError(59, `no such command: '${called}'`)
  const db = body.get('$db') ?? request.database
  if (typeof db !== 'string') throw new MongoError(40571, 'OP_MSG requests require a $db argument')
  if (!spec.open && !session.authenticated) throw new MongoError(13, `Command ${called} requires authentication`)
  if (db === '' || /[/\\. "$\0]/.test(db)) throw new MongoError(73, `Invalid database name: '${db}'`)
  refuseTransactions(body)
  for (const field of body.keys()) {
    if (field !== called && !GENERIC.has(field) && !spec.fields.includes(field)) {
      throw new MongoError(40415, `BSON field '${spec.name}.${field}' is an unknown field.`)
    }
  }
  for (const section of request.sequences.keys()) {
    if (!spec.fields.includes(section))
      throw new MongoError(40415, `BSON field '${spec.name}.${section}' is an unknown field.`)
    if (body.has(section))
      throw new MongoError(9, `Duplicate field '${section}': in the body and as a document sequence`)
  }
  if (called !== spec.name) body.set(spec.name, body.get(called) ?? null)
  const command: Command = { name: spec.name, db, body, sequences: request.sequences, session, now: engine.store.now() }
  return spec.run(engine, command)
}

function refuseTransactions(body: Command['body']): void {
  if (body.has('startTransaction') || body.has('autocommit')) {
    throw new MongoError(20, 'Transaction numbers are only allowed on a replica set member or mongos')
  }
  if (body.has('txnNumber'))
    throw new MongoError(20, 'Transaction numbers are only allowed on a replica set member or mongos')
  const concern = body.get('readConcern')
  const level = concern instanceof Map ? concern.get('level') : undefined
  if (level === 'snapshot' || level === 'linearizable') {
    throw new MongoError(72, `read concern level ${level} is not supported by this store`)
  }
}

function failure(engine: Engine, error: unknown): Reply {
  if (error instanceof MongoError) {
    return { ok: 0.0, errmsg: error.message, code: error.code, codeName: error.codeName, ...extraOf(error) }
  }
  if (error instanceof EmbeddedStoreError) {
    const full = error.code === 'store.disk-full'
    engine.log('write refused', { code: error.code, reason: error.message })
    return {
      ok: 0.0,
      errmsg: error.message,
      code: full ? 14031 : 8,
      codeName: full ? 'OutOfDiskSpace' : 'UnknownError'
    }
  }
  const stack = error instanceof Error ? error.stack : String(error)
  engine.log('command failed inside', { stack })
  return {
    ok: 0.0,
    errmsg: `internal error: ${(error as Error)?.message ?? error}`,
    code: 1,
    codeName: 'InternalError'
  }
}

/** The names of all commands, for the documentation. */
export const commandNames = (): string[] => Object.keys(COMMANDS)

import { decode } from '../bson/document.js'
import type { Doc } from '../bson/document.js'
import { MongoError } from '../bson/errors.js'
import { isDoc } from '../bson/value.js'
import { EmbeddedStoreError } from '../storage/store-error.js'
import type { Request } from '../wire/frames.js'
import type { Session } from '../wire/connection.js'
import { encodeReply } from '../wire/raw.js'
import type { Reply } from '../wire/raw.js'
import { extraOf } from './write.js'
import type { Command, CommandSpec, Engine } from './command.js'
import { checkGenericFields, deadlineOf, GENERIC_FIELDS } from './generic.js'
import { COMMANDS, specOf } from './table.js'

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
  checkGenericFields(spec.name, body)
  checkFields(body, called, spec)
  for (const section of request.sequences.keys()) {
    if (!spec.fields.includes(section))
      throw new MongoError(40415, `BSON field '${spec.name}.${section}' is an unknown field.`)
    if (body.has(section))
      throw new MongoError(9, `Duplicate field '${section}': in the body and as a document sequence`)
  }
  if (called !== spec.name) body.set(spec.name, body.get(called) ?? null)
  const now = engine.store.now()
  const deadline = deadlineOf(body)
  const command: Command = { name: spec.name, db, body, sequences: request.sequences, session, now, deadline }
  return spec.run(engine, command)
}

/** Refuses the fields a command does not know, its own and those of the command it is to explain. @throws MongoError 40415 */
function checkFields(body: Doc, called: string, spec: CommandSpec & { name: string }): void {
  for (const field of body.keys()) {
    if (field !== called && !GENERIC_FIELDS.has(field) && !spec.fields.includes(field)) {
      throw new MongoError(40415, `BSON field '${spec.name}.${field}' is an unknown field.`)
    }
  }
  const explained = spec.name === 'explain' ? body.get('explain') : undefined
  if (!isDoc(explained)) return
  const name = explained.keys().next().value ?? ''
  const inner = specOf(name)
  if (inner && inner.name !== 'explain') checkFields(explained, name, inner)
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

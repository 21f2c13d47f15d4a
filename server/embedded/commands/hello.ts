import { Binary } from 'bson'
import { MongoError } from '../bson/errors.js'
import { createScramConversation } from '../wire/scram.js'
import { MAX_BATCH_STATEMENTS, MAX_DOCUMENT_BYTES, MAX_MESSAGE_BYTES } from '../wire/frames.js'
import type { Reply } from '../wire/raw.js'
import type { Command, CommandSpec, Engine } from './command.js'

/** The version of MongoDB whose behaviour is aimed at, and its wire protocol. */
const VERSION = [7, 0, 0]
const WIRE = 21

/**
 * Says what this server is: one standalone node. Sessions and retryable writes are off (no logicalSessionTimeoutMinutes),
 * and hello is asked for anew each time (no topologyVersion).
 */
function hello(engine: Engine, { body, session }: Command): Reply {
  const mechanisms = body.get('saslSupportedMechs')
  return {
    helloOk: true,
    ...(body.has('isMaster') || body.has('ismaster') ? { ismaster: true } : { isWritablePrimary: true }),
    maxBsonObjectSize: MAX_DOCUMENT_BYTES,
    maxMessageSizeBytes: MAX_MESSAGE_BYTES,
    maxWriteBatchSize: MAX_BATCH_STATEMENTS,
    localTime: engine.store.now(),
    connectionId: session.id,
    minWireVersion: 0,
    maxWireVersion: WIRE,
    readOnly: false,
    ...(engine.user && typeof mechanisms === 'string' ? { saslSupportedMechs: ['SCRAM-SHA-256'] } : {})
  }
}

const failed = () => new MongoError(18, 'Authentication failed.')

function payloadOf(command: Command): string {
  const payload = command.body.get('payload')
  if (payload instanceof Binary) return Buffer.from(payload.value()).toString('utf8')
  if (typeof payload === 'string') return Buffer.from(payload, 'base64').toString('utf8')
  throw failed()
}

function saslStart(engine: Engine, command: Command): Reply {
  const { session, body } = command
  if (body.get('mechanism') !== 'SCRAM-SHA-256') {
    throw new MongoError(
      334,
      `Received authentication for mechanism ${String(body.get('mechanism'))} which is not enabled`
    )
  }
  const conversation = engine.user && createScramConversation(engine.user)
  const payload = conversation?.first(payloadOf(command))
  if (!conversation || !payload) throw failed()
  session.conversation = conversation
  session.proven = false
  return { conversationId: 1, done: false, payload: Buffer.from(payload) }
}

function saslContinue(_engine: Engine, command: Command): Reply {
  const { session } = command
  if (!session.conversation) throw new MongoError(17, 'No SASL session state found')
  if (session.proven) {
    session.conversation = null
    session.authenticated = true
    return { conversationId: 1, done: true, payload: Buffer.alloc(0) }
  }
  const payload = session.conversation.final(payloadOf(command))
  if (!payload) {
    session.conversation = null
    throw failed()
  }
  session.proven = true
  return { conversationId: 1, done: false, payload: Buffer.from(payload) }
}

const parameters: Record<string, Reply[string]> = { featureCompatibilityVersion: { version: '7.0' } }

function getParameter(_engine: Engine, { body }: Command): Reply {
  const all = body.get('getParameter') === '*'
  const reply: Reply = {}
  for (const name of Object.keys(parameters)) if (all || body.has(name)) reply[name] = parameters[name]
  if (Object.keys(reply).length === 0) throw new MongoError(72, 'no option found to get')
  return reply
}

function serverStatus(engine: Engine): Reply {
  const memory = process.memoryUsage()
  return {
    host: 'localhost',
    version: VERSION.join('.'),
    process: 'hongyan-store',
    pid: BigInt(process.pid),
    uptime: (engine.store.now().getTime() - engine.startedAt.getTime()) / 1000,
    localTime: engine.store.now(),
    mem: { bits: 64, resident: Math.round(memory.rss / 2 ** 20), virtual: 0, supported: true },
    metrics: { cursor: { open: { total: engine.cursors.size() } } },
    storageEngine: { name: 'lmdb', supportsCommittedReads: true, persistent: true }
  }
}

export const helloCommands: Record<string, CommandSpec> = {
  hello: {
    run: hello,
    open: true,
    fields: [
      'helloOk',
      'client',
      'compression',
      'saslSupportedMechs',
      'speculativeAuthenticate',
      'loadBalanced',
      'topologyVersion',
      'maxAwaitTimeMS',
      'hostInfo',
      'backpressure'
    ]
  },
  saslStart: { run: saslStart, open: true, fields: ['mechanism', 'payload', 'autoAuthorize', 'options'] },
  saslContinue: { run: saslContinue, open: true, fields: ['conversationId', 'payload'] },
  logout: { run: (_engine, { session }) => ((session.authenticated = false), {}), fields: [] },
  ping: { run: () => ({}), open: true, fields: [] },
  buildInfo: {
    run: () => ({
      version: VERSION.join('.'),
      versionArray: [...VERSION, 0],
      gitVersion: 'none',
      modules: ['hongyan-embedded'],
      bits: 64,
      debug: false,
      maxBsonObjectSize: MAX_DOCUMENT_BYTES,
      storageEngines: ['lmdb']
    }),
    open: true,
    fields: []
  },
  getParameter: { run: getParameter, fields: Object.keys(parameters) },
  serverStatus: { run: serverStatus, fields: ['repl', 'metrics', 'locks', 'opcounters', 'tcmalloc'] },
  connectionStatus: {
    run: (engine) => ({
      authInfo: {
        authenticatedUsers: engine.user ? [{ user: engine.user.name, db: 'admin' }] : [],
        authenticatedUserRoles: engine.user ? [{ role: 'root', db: 'admin' }] : []
      }
    }),
    fields: ['showPrivileges']
  },
  endSessions: { run: () => ({}), fields: [] },
  hostInfo: { run: () => ({ system: {}, os: { type: process.platform }, extra: {} }), fields: [] },
  whatsmyuri: { run: () => ({ you: 'localhost' }), fields: [] }
}

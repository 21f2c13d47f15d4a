import { createHash } from 'node:crypto'
import type { FastifyInstance, FastifyRequest } from 'fastify'
import { fastifyPlugin } from 'fastify-plugin'
import type { Connection } from 'mongoose'
import type { Clock } from './clock.js'
import { AppError, InvalidInput } from './errors.js'
import { isDuplicateKey } from './mongo.js'
import type { Sealer } from './sealing.js'

declare module 'fastify' {
  interface FastifyContextConfig {
    /**
     * What this route does with an Idempotency-Key: `true` takes one, `'required'` demands one, and both answer a
     * repeat with the first answer for 24 h; `'own'` demands one and leaves repeats to the room (request.idempotencyKey).
     */
    idempotent?: boolean | 'required' | 'own'
  }
  interface FastifyRequest {
    /** The Idempotency-Key of a route that takes one; null when none came. */
    idempotencyKey: string | null
    idempotencyRow: string | null
  }
}

type Row = {
  _id: string
  body: string
  state: 'running' | 'done'
  startedAt: Date
  status?: number
  headers?: Record<string, string>
  sealed?: string
}

/** The first request with this key has not answered yet. */
export class StillRunning extends AppError {
  readonly status = 409
  constructor() {
    super('idempotency.running', 'the first request with this key is still running')
  }
}

const LIFE_SECONDS = 24 * 3600
/** A first request older than this died with its process; the next one takes over. */
const LEASE_MS = 60_000
const KEPT_HEADERS = ['location', 'etag', 'content-type']

/** POSTs that create, made safe to repeat. Answers are kept sealed, since one may hold a fresh API key. */
export const idempotencyPlugin = fastifyPlugin<{ db: Connection; clock: Clock; sealer: Sealer }>(
  async (app: FastifyInstance, { db, clock, sealer }) => {
    const rows = () => db.getClient().db(db.name).collection<Row>('idempotencyKeys')
    app.decorateRequest('idempotencyKey', null)
    app.decorateRequest('idempotencyRow', null)

    app.addHook('onReady', async () => {
      await rows().createIndex({ startedAt: 1 }, { expireAfterSeconds: LIFE_SECONDS })
    })

    app.addHook('preHandler', async (request, reply) => {
      const wish = request.routeOptions.config.idempotent
      if (!wish) return
      const key = readKey(request, wish !== true)
      request.idempotencyKey = key
      if (key === null || wish === 'own') return
      const _id = sealer.hash('idempotency', callerName(request), request.method, request.url.split('?', 1)[0]!, key)
      const body = createHash('sha256')
        .update(JSON.stringify(request.body ?? null))
        .digest('base64url')
      const startedAt = clock.now()
      try {
        await rows().insertOne({ _id, body, state: 'running', startedAt })
      } catch (error) {
        if (!isDuplicateKey(error)) throw error
        const first = await rows().findOne({ _id })
        if (first !== null && first.body !== body) throw otherBody()
        if (first?.state === 'done') {
          for (const [name, value] of Object.entries(first.headers ?? {})) void reply.header(name, value)
          void reply.header('idempotent-replayed', 'true').code(first.status ?? 200)
          return reply.serializer((text: string) => text).send(sealer.open(first.sealed ?? ''))
        }
        const stale = new Date(startedAt.getTime() - LEASE_MS)
        const { modifiedCount } = await rows().updateOne(
          { _id, state: 'running', startedAt: { $lte: stale } },
          { $set: { startedAt } }
        )
        // Also when the first one has just been refused and is forgotten: the next try is a first one again.
        if (modifiedCount === 0) {
          void reply.header('retry-after', 1)
          throw new StillRunning()
        }
      }
      request.idempotencyRow = _id
    })

    app.addHook('onSend', async (request, reply, payload) => {
      const _id = request.idempotencyRow
      if (_id === null) return payload
      request.idempotencyRow = null
      // Only an answer that created something is kept: whoever mends the cause of a refusal may use the key again.
      if (reply.statusCode >= 300 || (payload !== null && payload !== undefined && typeof payload !== 'string')) {
        await rows().deleteOne({ _id })
        return payload
      }
      const headers: Record<string, string> = {}
      for (const name of KEPT_HEADERS) {
        const value = reply.getHeader(name)
        if (value !== undefined) headers[name] = String(value)
      }
      const sealed = sealer.seal((payload as string | null) ?? '')
      await rows().updateOne({ _id }, { $set: { state: 'done', status: reply.statusCode, headers, sealed } })
      return payload
    })
  },
  { name: 'idempotency' }
)

function readKey(request: FastifyRequest, required: boolean): string | null {
  const given = request.headers['idempotency-key']
  if (given === undefined || given === '') {
    if (!required) return null
    throw headerFault('required', 'send an Idempotency-Key header, so that repeating the request is harmless')
  }
  if (typeof given !== 'string' || given.length > 200 || !/^[\x21-\x7e]+$/.test(given)) {
    throw headerFault('malformed', 'an Idempotency-Key is 1 to 200 visible ASCII characters')
  }
  return given
}

function headerFault(code: string, message: string): InvalidInput {
  const full = `idempotency.${code}`
  return new InvalidInput(message, { code: full, errors: [{ pointer: '/Idempotency-Key', code: full, message }] })
}

function otherBody(): InvalidInput {
  return new InvalidInput('this key was used with another body', { code: 'idempotency.other-body' })
}

/** Two callers may pick the same key without meeting. */
function callerName(request: FastifyRequest): string {
  const caller = request.caller
  if (caller === null) return 'anybody'
  return caller.kind === 'phone' ? `phone ${caller.recipientId}` : `${caller.kind} ${caller.id}`
}

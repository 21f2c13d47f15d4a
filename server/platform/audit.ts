import type { FastifyInstance } from 'fastify'
import { fastifyPlugin } from 'fastify-plugin'
import type { Connection } from 'mongoose'
import { DAY_MS, KEPT_DAYS } from '../../shared/limits.js'
import type { Clock } from './clock.js'
import { newId } from './ids.js'

/** Who changed what: one row for each thing an operator did, and for each refused try at an operator's door. */
export type AuditRow = {
  _id: string
  at: Date
  by: { kind: string; id: string }
  method: string
  route: string
  target: Record<string, string>
  status: number
  address: string
  requestId: string
  /** What the caller gave as the reason; only where one is asked for. */
  note?: string
}

declare module 'fastify' {
  interface FastifyRequest {
    /** Put into the audit log with this request. */
    auditNote: string | null
  }
}

const LIFE_SECONDS = (KEPT_DAYS.auditLogs * DAY_MS) / 1000

/** Writes the audit log. Bodies are left out: they hold passwords and secrets. */
export const auditPlugin = fastifyPlugin<{ db: Connection; clock: Clock }>(
  async (app: FastifyInstance, { db, clock }) => {
    const rows = () => auditRows(db)
    app.decorateRequest('auditNote', null)
    app.addHook('onReady', async () => {
      await rows().createIndexes([
        { key: { at: -1, _id: -1 } }, // the log, newest first
        { key: { at: 1 }, expireAfterSeconds: LIFE_SECONDS, name: 'kept' }
      ])
    })
    // Before the answer leaves: what an operator was told is done is in the log already.
    app.addHook('onSend', async (request, reply, payload) => {
      const caller = request.caller
      if (caller?.kind !== 'operator' || ['GET', 'HEAD', 'OPTIONS'].includes(request.method)) return payload
      const row: AuditRow = {
        _id: newId(),
        at: clock.now(),
        by: { kind: caller.kind, id: caller.id },
        method: request.method,
        route: request.routeOptions.url ?? '',
        target: { ...(request.params as Record<string, string>) },
        status: reply.statusCode,
        address: request.ip,
        requestId: request.id,
        ...(request.auditNote !== null && { note: request.auditNote })
      }
      await rows()
        .insertOne(row)
        .catch((error: unknown) => request.log.error({ err: error, row }, 'an audit row was not written'))
      return payload
    })
  },
  { name: 'audit' }
)

export const auditRows = (db: Connection) => db.getClient().db(db.name).collection<AuditRow>('auditLogs')

import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod'
import type { ServerResponse } from 'node:http'
import { z } from 'zod'
import { Zone } from '../../shared/instant.js'
import { wordList } from '../../shared/page.js'
import { DashboardSummary } from '../../shared/report.js'
import type { Accounts } from '../accounts/accounts.js'
import { AppError } from '../platform/errors.js'
import type { Reports } from './reports.js'
import { createWatching } from './watching.js'
import { accountIdsFor } from './whose.js'

/** Shorter than a token lives: whoever was shut out meanwhile does not get in again. */
const LIFE_MS = 10 * 60_000
/** A browser that takes nothing in any more is not written to without end. */
const BEHIND_MAX = 256 * 1024

class EventStreamOnly extends AppError {
  readonly status = 406
  constructor() {
    super('stream.accept', 'this is a stream: send Accept: text/event-stream')
  }
}

const querystring = z.object({
  topics: wordList(['dashboard']).default(['dashboard']),
  accountId: z.string().max(64).optional(),
  zone: Zone.default('Asia/Shanghai')
})

/** What changes all the time, told as it changes. */
export const streamRoute: FastifyPluginAsyncZod<{
  reports: Pick<Reports, 'summary'>
  accounts: Pick<Accounts, 'get' | 'list'>
}> = async (app, { reports, accounts }) => {
  const watching = createWatching({ log: app.log })
  const open = new Set<ServerResponse>()
  // A server that stops does not wait for its watchers; they come back to the next one.
  app.addHook('preClose', async () => {
    for (const response of open) response.end()
  })

  app.get(
    '/v1/stream',
    {
      onRequest: app.requireCaller({ scope: 'messages:read' }),
      schema: {
        description:
          'Server-sent events, read by fetch with the bearer: `dashboard` every two seconds, its data as of /v1/dashboard/summary. Ends after ten minutes; connect again.',
        querystring,
        tags: ['reports']
      }
    },
    async (request, reply) => {
      if (!(request.headers.accept ?? '').includes('text/event-stream')) throw new EventStreamOnly()
      const { accountId, zone } = request.query
      const ids = await accountIdsFor(accounts, request.caller, accountId)

      reply.hijack()
      const { raw } = reply
      raw.writeHead(200, {
        'content-type': 'text/event-stream; charset=utf-8',
        'cache-control': 'no-store',
        'x-accel-buffering': 'no',
        'x-content-type-options': 'nosniff',
        'x-request-id': request.id
      })
      open.add(raw)
      const summary = async () => z.encode(DashboardSummary, await reports.summary(ids, zone))
      const leave = watching.watch(`${zone} ${[...ids].sort().join()}`, summary, (text) => {
        if (raw.writableLength < BEHIND_MAX) raw.write(`event: dashboard\ndata: ${text}\n\n`)
      })
      const over = setTimeout(() => raw.end(), LIFE_MS).unref()
      raw.on('close', () => {
        clearTimeout(over)
        leave()
        open.delete(raw)
      })
    }
  )
}

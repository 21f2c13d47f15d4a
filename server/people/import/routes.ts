import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod'
import type { Readable } from 'node:stream'
import { z } from 'zod'
import { OperationView } from '../../../shared/operation.js'
import { accountFor } from '../../accounts/access.js'
import type { Accounts } from '../../accounts/accounts.js'
import type { Operations } from '../../operations/operations.js'
import { accountsOf, type Caller } from '../../platform/auth.js'
import { AppError, NotAllowed } from '../../platform/errors.js'
import type { Imports } from './imports.js'

const FORMATS: Record<string, 'csv' | 'ndjson'> = {
  'text/csv': 'csv',
  'application/x-ndjson': 'ndjson',
  'application/ndjson': 'ndjson',
  'application/jsonl': 'ndjson'
}

class UnknownFormat extends AppError {
  readonly status = 415
  constructor() {
    super('request.media-type', `send ${Object.keys(FORMATS).join(', ')}`)
  }
}

/** People by the file. */
export const importRoutes: FastifyPluginAsyncZod<{
  imports: Imports
  accounts: Accounts
  operations: Operations
}> = async (app, { imports, accounts, operations }) => {
  // Files are read as they come in: only this plugin's routes see the stream.
  app.removeAllContentTypeParsers()
  app.addContentTypeParser('*', (_request, payload, done) => done(null, payload))

  app.post(
    '/v1/people/import',
    {
      onRequest: app.requireCaller({ scope: 'people:write' }),
      schema: {
        querystring: z.object({ audienceId: z.string().max(64).optional(), accountId: z.string().max(64).optional() }),
        consumes: Object.keys(FORMATS),
        body: z.any(),
        response: { 202: OperationView },
        description:
          'A CSV file (UTF-8; the first line names the columns `externalId`, `unionId`, `accountId`, `openId`, `attributes.<name>` with `:number` or `:boolean` behind it where it is no text, `tags.<name>`, `tags`) or NDJSON (a line is a body of `POST /v1/people/identify`). An empty cell says nothing. `accountId` is taken for rows that name none; `audienceId` is a fixed list the people come into. The operation’s result counts the rows and names the first that could not be used; sending the same file again changes nothing.'
      }
    },
    async (request, reply) => {
      const { caller, query } = request
      const stream = request.body as Readable | undefined
      const format = FORMATS[(request.headers['content-type'] ?? '').split(';')[0]!.trim().toLowerCase()]
      try {
        if (format === undefined || stream === undefined || stream === null) throw new UnknownFormat()
        if (query.audienceId !== undefined) mayFillLists(caller)
        const account = query.accountId === undefined ? null : (await accountFor(accounts, caller, query.accountId)).id
        const { id, location } = await imports.start({
          format,
          // the connection has to outlive a refusal, which the caller is still to read
          source: stream.iterator({ destroyOnReturn: false }),
          audienceId: query.audienceId ?? null,
          accountId: account,
          accountIds: accountsOf(caller)
        })
        const { accountId: _accountId, ...operation } = await operations.get(id)
        request.log.info({ operation: id, format }, 'an import began')
        return reply.code(202).header('location', location).send(operation)
      } catch (error) {
        stream?.resume()
        void reply.header('connection', 'close')
        throw error
      }
    }
  )
}

function mayFillLists(caller: Caller): void {
  const scope = 'audiences:write'
  if (caller.kind !== 'machine' || caller.scopes.has(scope)) return
  throw new NotAllowed(`this key lacks the scope ${scope}`, { facts: { scope } })
}

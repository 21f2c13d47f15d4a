import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod'
import { z } from 'zod'
import { PageQuery, pageOf } from '../../shared/page.js'
import { TesterCode, TesterCodePost, TesterView } from '../../shared/tester.js'
import { accountFor } from '../accounts/access.js'
import type { Accounts } from '../accounts/accounts.js'
import type { Caller } from '../platform/auth.js'
import type { Testers } from './testers.js'

const params = z.object({ id: z.string() })
const tags = ['testers']

/** Who gets the tests of an account's campaigns, and the codes they enrol by. */
export const testerRoutes: FastifyPluginAsyncZod<{ testers: Testers; accounts: Accounts }> = async (
  app,
  { testers, accounts }
) => {
  const read = app.requireCaller({ scope: 'campaigns:read' })
  const write = app.requireCaller({ scope: 'campaigns:write' })

  app.post(
    '/v1/accounts/:id/tester-codes',
    { onRequest: write, schema: { params, body: TesterCodePost.nullish(), response: { 201: TesterCode }, tags } },
    async (request, reply) => {
      const { id } = await accountFor(accounts, request.caller, request.params.id)
      const own = (request.body?.for ?? 'me') === 'me' && request.caller.kind === 'operator' ? request.caller.id : null
      return reply.code(201).send(await testers.code(id, nameOf(request.caller), own))
    }
  )
  app.get(
    '/v1/accounts/:id/testers',
    { onRequest: read, schema: { params, querystring: PageQuery, response: { 200: pageOf(TesterView) }, tags } },
    async (request) => {
      const { id } = await accountFor(accounts, request.caller, request.params.id)
      return testers.page(id, request.query)
    }
  )
  app.delete(
    '/v1/accounts/:id/testers/:testerId',
    {
      onRequest: write,
      schema: { params: params.extend({ testerId: z.string().max(64) }), response: { 204: z.null() }, tags }
    },
    async (request, reply) => {
      const { id } = await accountFor(accounts, request.caller, request.params.id)
      await testers.remove(id, request.params.testerId)
      return reply.code(204).send(null)
    }
  )
}

const nameOf = (caller: Caller) => (caller.kind === 'phone' ? caller.recipientId : `${caller.kind} ${caller.id}`)

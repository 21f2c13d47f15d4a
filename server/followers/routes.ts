import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod'
import { z } from 'zod'
import { OperationView } from '../../shared/operation.js'
import { accountFor } from '../accounts/access.js'
import type { Accounts } from '../accounts/accounts.js'
import type { Operations } from '../operations/operations.js'
import type { Followers } from './followers.js'

/** Bringing a service account's followers over. */
export const followerRoutes: FastifyPluginAsyncZod<{
  followers: Followers
  accounts: Accounts
  operations: Operations
}> = async (app, { followers, accounts, operations }) => {
  app.post(
    '/v1/accounts/:id/followers/sync',
    {
      onRequest: app.requireCaller({ scope: 'people:write' }),
      schema: {
        params: z.object({ id: z.string() }),
        body: z.strictObject({ full: z.boolean().optional(), tags: z.boolean().optional() }).nullish(),
        response: { 202: OperationView },
        description:
          'Reads the list of followers. `full` asks WeChat about everyone again, not only about new ones; unless `tags` is false, WeChat’s tags become tags `wechat:<name>` of the people, and go when they are taken away there.'
      }
    },
    async (request, reply) => {
      const account = await accountFor(accounts, request.caller, request.params.id)
      const { operationId, location } = await followers.startSync(account.id, {
        full: request.body?.full ?? false,
        tags: request.body?.tags ?? true
      })
      const { accountId: _accountId, ...operation } = await operations.get(operationId)
      return reply.code(202).header('location', location).send(operation)
    }
  )
}

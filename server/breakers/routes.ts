import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod'
import { z } from 'zod'
import { BreakerState, BreakerView } from '../../shared/breaker.js'
import { PageQuery, pageOf, wordList } from '../../shared/page.js'
import { accountFor } from '../accounts/access.js'
import type { Accounts } from '../accounts/accounts.js'
import { accountsOf } from '../platform/auth.js'
import { NotFound } from '../platform/errors.js'
import type { Breakers } from './breakers.js'

const params = z.object({ id: z.string().max(200) })
const BreakerQuery = PageQuery.extend({
  accountId: z.string().max(64).optional(),
  state: wordList(BreakerState.options).optional()
})
const tags = ['breakers']

/** What stopped by itself, why, and letting it try again. */
export const breakerRoutes: FastifyPluginAsyncZod<{ breakers: Breakers; accounts: Accounts }> = async (
  app,
  { breakers, accounts }
) => {
  app.get(
    '/v1/breakers',
    {
      onRequest: app.requireCaller({ scope: 'campaigns:read' }),
      schema: {
        description:
          'One for each account and each template that was sent with lately, the one that moved last first. `numbers` ' +
          'are the answers of the window that ends now, `tripped` those it opened for.',
        querystring: BreakerQuery,
        response: { 200: pageOf(BreakerView) },
        tags
      }
    },
    async (request) => {
      const { accountId, state, ...query } = request.query
      const allowed = accountsOf(request.caller)
      const filter: Record<string, unknown> = {}
      if (accountId !== undefined) filter.accountId = (await accountFor(accounts, request.caller, accountId)).id
      else if (allowed !== null) filter.accountId = { $in: allowed }
      if (state !== undefined) filter.state = { $in: state }
      return breakers.page(filter, query)
    }
  )
  app.post(
    '/v1/breakers/:id/reset',
    {
      onRequest: app.requireCaller({ scope: 'campaigns:write', role: 'operator' }),
      schema: {
        description:
          'Lets an open breaker try at once instead of after its rest: a few messages go out, and what becomes of them ' +
          'closes or re-opens it. One that tries gets its tries anew; a closed one stays closed.',
        params,
        response: { 200: BreakerView },
        tags
      }
    },
    async (request) => {
      const { accountId } = await breakers.find(request.params.id)
      const allowed = accountsOf(request.caller)
      if (allowed !== null && !allowed.includes(accountId)) {
        throw new NotFound('no such breaker', { code: 'breakers.not-found' })
      }
      const breaker = await breakers.reset(request.params.id)
      request.log.info({ breakerId: breaker.id, state: breaker.state }, 'a breaker was reset')
      return breaker
    }
  )
}

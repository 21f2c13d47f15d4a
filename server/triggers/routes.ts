import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod'
import { z } from 'zod'
import { PageQuery, pageOf, wordList } from '../../shared/page.js'
import { WaitState, WaitView } from '../../shared/trigger.js'
import type { Campaigns } from '../campaigns/campaigns.js'
import { mayKnow } from '../campaigns/run-routes.js'
import type { Triggers } from './triggers.js'

const Id = z.object({ id: z.string().max(64) })
const WaitQuery = PageQuery.extend({ state: wordList(WaitState.options).optional() })

/** What a campaign waits with, and what became of it. */
export const waitRoutes: FastifyPluginAsyncZod<{ triggers: Triggers; campaigns: Campaigns }> = async (
  app,
  { triggers, campaigns }
) => {
  app.get(
    '/v1/campaigns/:id/waits',
    {
      onRequest: app.requireCaller({ scope: 'campaigns:read' }),
      schema: {
        params: Id,
        querystring: WaitQuery,
        response: { 200: pageOf(WaitView) },
        tags: ['campaigns'],
        description:
          'Events that a campaign with a delay, `before`, `cancelOn`, `key` or a missing event waits with, the latest moment first. What was given up is `dropped`, with a reason; `count=true` counts. Kept for 30 days after its message could have gone.'
      }
    },
    async (request) => {
      const { state, ...query } = request.query
      const { _id, accountId } = await campaigns.get(request.params.id)
      mayKnow(request.caller, accountId, 'campaign')
      return triggers.waitsOf(_id, state, query)
    }
  )
}

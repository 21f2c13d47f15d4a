import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod'
import { z } from 'zod'
import { DryRunPost, TestSendsPost, TestSendsView } from '../../shared/campaign.js'
import { OperationView } from '../../shared/operation.js'
import type { Operations } from '../operations/operations.js'
import { accountsOf, type Caller } from '../platform/auth.js'
import type { Campaigns } from './campaigns.js'
import type { CampaignRow } from './model.js'
import type { Rehearsals } from './rehearsals.js'
import { mayKnow } from './run-routes.js'

const params = z.object({ id: z.string().max(64) })
const tags = ['campaigns']

/** Trying a campaign out: on a few people for real, and on everybody without sending. */
export const rehearsalRoutes: FastifyPluginAsyncZod<{
  rehearsals: Rehearsals
  campaigns: Campaigns
  operations: Operations
}> = async (app, { rehearsals, campaigns, operations }) => {
  const write = app.requireCaller({ scope: 'campaigns:write' })

  app.post(
    '/v1/campaigns/:id/test-sends',
    {
      onRequest: write,
      config: { idempotent: true },
      schema: { params, body: TestSendsPost, response: { 202: TestSendsView }, tags }
    },
    async (request, reply) => {
      const campaign = await mine(request.caller, request.params.id)
      const { caller, body } = request
      const sender = { operatorId: caller.kind === 'operator' ? caller.id : null, accountIds: accountsOf(caller) }
      const sent = await rehearsals.testSend(campaign, body, sender)
      request.log.info({ campaignId: campaign._id, messages: sent.messages.length }, 'campaign: test send')
      return reply.code(202).send(sent)
    }
  )
  app.post(
    '/v1/campaigns/:id/dry-run',
    { onRequest: write, schema: { params, body: DryRunPost.nullish(), response: { 202: OperationView }, tags } },
    async (request, reply) => {
      const campaign = await mine(request.caller, request.params.id)
      const { operationId, location } = await rehearsals.startDryRun(campaign, request.body?.event)
      const { accountId: _accountId, ...operation } = await operations.get(operationId)
      return reply.code(202).header('location', location).send(operation)
    }
  )

  /** A campaign of an account the caller may use; another's does not exist for it. */
  async function mine(caller: Caller, id: string): Promise<CampaignRow> {
    const found = await campaigns.get(id)
    mayKnow(caller, found.accountId, 'campaign')
    return found
  }
}

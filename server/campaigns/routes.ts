import type { FastifyReply, FastifyRequest } from 'fastify'
import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod'
import { z } from 'zod'
import {
  Activation,
  CampaignCreate,
  CampaignPatch,
  CampaignState,
  CampaignView,
  ForecastView
} from '../../shared/campaign.js'
import { Instant } from '../../shared/instant.js'
import { PageQuery, pageOf, wordList } from '../../shared/page.js'
import { Recurring } from '../../shared/trigger.js'
import { accountFor } from '../accounts/access.js'
import type { Accounts } from '../accounts/accounts.js'
import { accountsOf, type Caller } from '../platform/auth.js'
import { NotAllowed } from '../platform/errors.js'
import { etagOf } from '../platform/etag.js'
import type { Override } from './ladder.js'
import { mayKnow, runRoutes } from './run-routes.js'
import { campaignView, type CampaignRow, type Campaigns } from './campaigns.js'

const Id = z.object({ id: z.string().max(64) })
const headers = z.object({ 'if-match': z.string().optional() }).loose()
const Fault = z.object({ pointer: z.string(), code: z.string(), message: z.string() })
const CheckView = z.object({
  ready: z.boolean(),
  problems: z.array(Fault),
  warnings: z.array(Fault),
  forecast: ForecastView.nullable(),
  nextRuns: z.array(Instant)
})
const CampaignQuery = PageQuery.extend({
  accountId: z.string().max(64).optional(),
  state: wordList(CampaignState.options).optional(),
  'trigger.kind': z.enum(['once', 'recurring', 'event', 'notFollowed']).optional()
})

const tags = ['campaigns']

/** Campaigns: what operators set up, look over, switch on and off. */
export const campaignRoutes: FastifyPluginAsyncZod<{ campaigns: Campaigns; accounts: Accounts }> = async (
  app,
  { campaigns, accounts }
) => {
  const read = app.requireCaller({ scope: 'campaigns:read' })
  const write = app.requireCaller({ scope: 'campaigns:write' })
  const one = { params: Id, response: { 200: CampaignView }, tags }

  await app.register(runRoutes, { campaigns })

  app.get(
    '/v1/campaigns',
    { onRequest: read, schema: { querystring: CampaignQuery, response: { 200: pageOf(CampaignView) }, tags } },
    async (request) => {
      const { accountId, state, 'trigger.kind': kind, ...query } = request.query
      const allowed = accountsOf(request.caller)
      const filter: Record<string, unknown> = {}
      if (accountId !== undefined) filter.accountId = (await accountFor(accounts, request.caller, accountId)).id
      else if (allowed !== null) filter.accountId = { $in: allowed }
      if (state !== undefined) filter.state = { $in: state }
      if (kind !== undefined) filter['trigger.kind'] = kind
      return campaigns.page(filter, query)
    }
  )
  app.post(
    '/v1/campaigns',
    {
      onRequest: write,
      config: { idempotent: true },
      schema: { body: CampaignCreate, response: { 201: CampaignView }, tags }
    },
    async (request, reply) => {
      await accountFor(accounts, request.caller, request.body.accountId)
      const made = await campaigns.create(request.body)
      return reply.code(201).header('etag', etagOf(made.rev)).send(campaignView(made))
    }
  )
  app.post(
    '/v1/campaigns/next-runs',
    {
      onRequest: read,
      schema: {
        description: 'When a recurring trigger would fire next: five instants, fewer where it ends before.',
        body: z.strictObject({ trigger: Recurring }),
        response: { 200: z.object({ nextRuns: z.array(Instant) }) },
        tags
      }
    },
    (request) => ({ nextRuns: campaigns.nextRuns(request.body.trigger) })
  )
  app.get('/v1/campaigns/:id', { onRequest: read, schema: one }, async (request, reply) => {
    const found = await mine(request.caller, request.params.id)
    return reply.header('etag', etagOf(found.rev)).send(campaignView(found))
  })
  app.patch(
    '/v1/campaigns/:id',
    { onRequest: write, schema: { ...one, headers, body: CampaignPatch } },
    async (request, reply) => {
      await mine(request.caller, request.params.id)
      const { accountId } = request.body
      if (accountId !== undefined) await accountFor(accounts, request.caller, accountId)
      const changed = await campaigns.patch(request.params.id, request.body, request.headers['if-match'])
      return reply.header('etag', etagOf(changed.rev)).send(campaignView(changed))
    }
  )
  app.delete(
    '/v1/campaigns/:id',
    { onRequest: write, schema: { params: Id, headers, response: { 204: z.null() }, tags } },
    async (request, reply) => {
      await mine(request.caller, request.params.id)
      await campaigns.remove(request.params.id, request.headers['if-match'])
      return reply.code(204).send(null)
    }
  )
  app.post(
    '/v1/campaigns/:id/duplicate',
    { onRequest: write, config: { idempotent: true }, schema: { params: Id, response: { 201: CampaignView }, tags } },
    async (request, reply) => {
      await mine(request.caller, request.params.id)
      const made = await campaigns.duplicate(request.params.id)
      return reply.code(201).header('etag', etagOf(made.rev)).send(campaignView(made))
    }
  )
  app.post(
    '/v1/campaigns/:id/check',
    { onRequest: read, schema: { params: Id, response: { 200: CheckView }, tags } },
    async (request) => {
      await mine(request.caller, request.params.id)
      const { template: _, ...check } = await campaigns.check(request.params.id)
      return check
    }
  )

  const verbs = {
    pause: (id: string, ifMatch?: string) => campaigns.pause(id, null, ifMatch),
    cancel: (id: string, ifMatch?: string) => campaigns.cancel(id, ifMatch)
  }
  const going = { activate: campaigns.activate, resume: campaigns.resume }
  // Whoever may edit may stop; what makes messages go out, or never go, is for operators.
  const decide = app.requireCaller({ scope: 'campaigns:write', role: 'operator' })
  for (const [name, verb] of Object.entries(verbs)) {
    const onRequest = name === 'pause' ? write : decide
    app.post(`/v1/campaigns/:id/${name}`, { onRequest, schema: { ...one, headers } }, async (request, reply) => {
      await mine(request.caller, request.params.id)
      return tell(request, reply, name, await verb(request.params.id, request.headers['if-match']))
    })
  }
  for (const [name, verb] of Object.entries(going)) {
    const schema = { ...one, headers, body: Activation.nullish() }
    app.post(`/v1/campaigns/:id/${name}`, { onRequest: decide, schema }, async (request, reply) => {
      await mine(request.caller, request.params.id)
      const override = overrideOf(request.caller, request.body?.override?.reason)
      request.auditNote = override?.reason ?? null
      return tell(request, reply, name, await verb(request.params.id, request.headers['if-match'], override))
    })
  }

  function tell(request: FastifyRequest, reply: FastifyReply, name: string, moved: CampaignRow) {
    request.log.info({ campaignId: moved._id, state: moved.state, by: callerName(request.caller) }, `campaign: ${name}`)
    void reply.header('etag', etagOf(moved.rev))
    return campaignView(moved)
  }

  /** A campaign of an account the caller may use; another's does not exist for it. */
  async function mine(caller: Caller, id: string): Promise<CampaignRow> {
    const found = await campaigns.get(id)
    mayKnow(caller, found.accountId, 'campaign')
    return found
  }
}

/** Only an owner answers for what nobody tried, or what sounds like marketing. @throws NotAllowed */
function overrideOf(caller: Caller, reason: string | undefined): Override | undefined {
  if (reason === undefined) return undefined
  if (caller.kind !== 'operator' || caller.role !== 'owner') {
    throw new NotAllowed('only an owner may override what stands in the way', { facts: { role: 'owner' } })
  }
  return { by: caller.id, reason }
}

const callerName = (caller: Caller) => (caller.kind === 'phone' ? 'phone' : `${caller.kind}:${caller.id}`)

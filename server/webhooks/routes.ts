import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod'
import { z } from 'zod'
import { PageQuery, pageOf, wordList } from '../../shared/page.js'
import {
  DeliveryState,
  DeliveryView,
  WebhookCreate,
  WebhookCreated,
  WebhookPatch,
  WebhookSecret,
  WebhookView
} from '../../shared/webhook.js'
import { accountsOf, type Caller } from '../platform/auth.js'
import type { Accounts } from '../accounts/accounts.js'
import { InvalidInput, NotAllowed, NotFound } from '../platform/errors.js'
import { NoSuchWebhook } from './errors.js'
import type { Webhooks } from './webhooks.js'

const params = z.object({ id: z.string().max(64) })
const DeliveryQuery = PageQuery.extend({ state: wordList(DeliveryState.options).optional() })

/** Webhooks, and what became of every delivery. */
export const webhookRoutes: FastifyPluginAsyncZod<{ webhooks: Webhooks; accounts: Pick<Accounts, 'get'> }> = async (
  app,
  { webhooks, accounts }
) => {
  const read = app.requireCaller({ scope: 'webhooks:read', role: 'operator' })
  const write = app.requireCaller({ scope: 'webhooks:write', role: 'operator' })

  /** Our ids of the accounts; none given means all the caller has. @throws InvalidInput, NotAllowed */
  async function granted(caller: Caller, given: string[] | null | undefined): Promise<string[] | null> {
    const allowed = accountsOf(caller)
    if (given == null) return allowed
    const ids = await Promise.all(
      given.map(async (name, index) => {
        try {
          return (await accounts.get(name)).id
        } catch (error) {
          if (!(error instanceof NotFound)) throw error
          const message = `there is no account ${name}`
          throw new InvalidInput(message, {
            errors: [{ pointer: `/accountIds/${index}`, code: 'accounts.not-found', message }]
          })
        }
      })
    )
    if (allowed !== null && !ids.every((id) => allowed.includes(id))) {
      throw new NotAllowed('a webhook may not tell of accounts you may not see')
    }
    return ids
  }

  /** One that tells of more than the caller may see does not exist for it. @throws NoSuchWebhook */
  async function mine(caller: Caller, id: string): Promise<WebhookView> {
    const found = await webhooks.get(id)
    const allowed = accountsOf(caller)
    if (allowed === null || found.accountIds?.every((each) => allowed.includes(each)) === true) return found
    throw new NoSuchWebhook()
  }

  app.get(
    '/v1/webhooks',
    { onRequest: read, schema: { querystring: PageQuery, response: { 200: pageOf(WebhookView) } } },
    (request) => webhooks.page(request.query, accountsOf(request.caller))
  )
  app.post(
    '/v1/webhooks',
    {
      onRequest: write,
      config: { idempotent: true },
      schema: {
        description: 'The secret is shown this once. Deliveries follow Standard Webhooks.',
        body: WebhookCreate,
        response: { 201: WebhookCreated }
      }
    },
    async (request, reply) => {
      const accountIds = await granted(request.caller, request.body.accountIds)
      return reply.code(201).send(await webhooks.create({ ...request.body, accountIds }))
    }
  )
  app.get('/v1/webhooks/:id', { onRequest: read, schema: { params, response: { 200: WebhookView } } }, (request) =>
    mine(request.caller, request.params.id)
  )
  app.patch(
    '/v1/webhooks/:id',
    { onRequest: write, schema: { params, body: WebhookPatch, response: { 200: WebhookView } } },
    async (request) => {
      await mine(request.caller, request.params.id)
      const { accountIds, ...rest } = request.body
      const told = accountIds === undefined ? {} : { accountIds: await granted(request.caller, accountIds) }
      return webhooks.patch(request.params.id, { ...rest, ...told })
    }
  )
  app.delete(
    '/v1/webhooks/:id',
    { onRequest: write, schema: { params, response: { 204: z.null() } } },
    async (request, reply) => {
      await mine(request.caller, request.params.id)
      await webhooks.remove(request.params.id)
      return reply.code(204).send(null)
    }
  )
  app.post(
    '/v1/webhooks/:id/rotate-secret',
    {
      onRequest: write,
      schema: {
        description: 'A new secret, shown this once; the one before signs beside it for a day.',
        params,
        response: { 200: WebhookSecret }
      }
    },
    async (request) => {
      await mine(request.caller, request.params.id)
      return webhooks.rotate(request.params.id)
    }
  )
  app.post(
    '/v1/webhooks/:id/test',
    {
      onRequest: write,
      schema: {
        description: 'Sends `webhook.test` there, once and at once, and tells how it went.',
        params,
        response: { 200: DeliveryView }
      }
    },
    async (request) => {
      await mine(request.caller, request.params.id)
      return webhooks.test(request.params.id)
    }
  )
  app.get(
    '/v1/webhooks/:id/deliveries',
    {
      onRequest: read,
      schema: {
        description: 'Newest first, for 30 days.',
        params,
        querystring: DeliveryQuery,
        response: { 200: pageOf(DeliveryView) }
      }
    },
    async (request) => {
      await mine(request.caller, request.params.id)
      return webhooks.deliveries(request.params.id, { state: request.query.state }, request.query)
    }
  )
}

import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod'
import { z } from 'zod'
import {
  AudienceCreate,
  AudiencePatch,
  AudiencePreview,
  AudiencePreviewPost,
  AudienceView
} from '../../shared/audience.js'
import { PageQuery, pageOf } from '../../shared/page.js'
import { accountFor } from '../accounts/access.js'
import type { Accounts } from '../accounts/accounts.js'
import { accountsOf } from '../platform/auth.js'
import type { Audiences } from './audiences.js'

const Id = z.object({ id: z.string().max(64) })

const tags = ['audiences']

/** Saved audiences and their previews. */
export const audienceRoutes: FastifyPluginAsyncZod<{ audiences: Audiences; accounts: Accounts }> = async (
  app,
  { audiences, accounts }
) => {
  const read = app.requireCaller({ scope: 'audiences:read' })
  const write = app.requireCaller({ scope: 'audiences:write' })

  app.get(
    '/v1/audiences',
    { onRequest: read, schema: { querystring: PageQuery, response: { 200: pageOf(AudienceView) }, tags } },
    async (request) => audiences.page(request.query)
  )
  app.post(
    '/v1/audiences',
    {
      onRequest: write,
      config: { idempotent: true },
      schema: { body: AudienceCreate, response: { 201: AudienceView }, tags }
    },
    async (request, reply) => reply.code(201).send(await audiences.create(request.body))
  )
  app.get(
    '/v1/audiences/:id',
    { onRequest: read, schema: { params: Id, response: { 200: AudienceView }, tags } },
    async (request) => audiences.get(request.params.id)
  )
  app.patch(
    '/v1/audiences/:id',
    { onRequest: write, schema: { params: Id, body: AudiencePatch, response: { 200: AudienceView }, tags } },
    async (request) => audiences.patch(request.params.id, request.body)
  )
  app.delete(
    '/v1/audiences/:id',
    {
      onRequest: write,
      schema: {
        params: Id,
        response: { 204: z.null() },
        tags,
        description: 'Answers 409 with `facts.campaigns` while a draft, an online or a paused campaign sends to it.'
      }
    },
    async (request, reply) => {
      await audiences.remove(request.params.id, accountsOf(request.caller))
      return reply.code(204).send(null)
    }
  )
  app.post(
    '/v1/audiences/preview',
    { onRequest: read, schema: { body: AudiencePreviewPost, response: { 200: AudiencePreview }, tags } },
    async (request) => {
      const { accountId, rule, templateId } = request.body
      const account = await accountFor(accounts, request.caller, accountId)
      return audiences.preview(account, { rule }, { templateId, knownTo: accountsOf(request.caller) })
    }
  )
}

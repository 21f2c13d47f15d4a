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
import type { Accounts } from '../accounts/accounts.js'
import { mayUseAccount } from '../platform/auth.js'
import { InvalidInput } from '../platform/errors.js'
import type { Audiences } from './audiences.js'

const Id = z.object({ id: z.string().max(64) })
const MAX_NESTING = 40

const tags = ['audiences']

/** Saved audiences and their previews. */
export const audienceRoutes: FastifyPluginAsyncZod<{ audiences: Audiences; accounts: Accounts }> = async (
  app,
  { audiences, accounts }
) => {
  const read = app.requireCaller({ scope: 'audiences:read' })
  const write = app.requireCaller({ scope: 'audiences:write' })

  // The schema of rules is recursive: what is nested without end must not even reach it.
  app.addHook('preValidation', async (request) => {
    if (nesting(request.body, MAX_NESTING) > MAX_NESTING) {
      throw new InvalidInput('nested too deeply', {
        errors: [{ pointer: '', code: 'rule.tooLarge', message: `at most ${MAX_NESTING} deep` }]
      })
    }
  })

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
    { onRequest: write, schema: { params: Id, response: { 204: z.null() }, tags } },
    async (request, reply) => {
      await audiences.remove(request.params.id)
      return reply.code(204).send(null)
    }
  )
  app.post(
    '/v1/audiences/preview',
    { onRequest: read, schema: { body: AudiencePreviewPost, response: { 200: AudiencePreview }, tags } },
    async (request) => {
      const { accountId, rule, templateId } = request.body
      const account = await accounts.get(accountId)
      mayUseAccount(request.caller, account.id)
      return audiences.preview(account, { rule }, templateId ?? null)
    }
  )
}

/** How deep a JSON value is nested; counting stops past `limit`. */
function nesting(value: unknown, limit: number): number {
  if (typeof value !== 'object' || value === null) return 0
  if (limit <= 0) return 1
  let deepest = 0
  for (const each of Object.values(value)) deepest = Math.max(deepest, nesting(each, limit - 1))
  return deepest + 1
}

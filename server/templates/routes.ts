import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod'
import { z } from 'zod'
import { OperationView } from '../../shared/operation.js'
import { PageQuery } from '../../shared/page.js'
import {
  TemplateCategories,
  TemplateCreate,
  TemplateKeywords,
  TemplateKind,
  TemplateLibrary,
  TemplateList,
  TemplatePreview,
  TemplatePreviewPost,
  TemplateView
} from '../../shared/template.js'
import { accountFor } from '../accounts/access.js'
import type { Accounts } from '../accounts/accounts.js'
import type { Operations } from '../operations/operations.js'
import type { People } from '../people/people.js'
import { accountsOf, type Caller } from '../platform/auth.js'
import { InvalidInput, NotFound } from '../platform/errors.js'
import { createPreview } from './preview.js'
import { templateView, type Templates } from './templates.js'

const templateId = z.string().min(1).max(64)
const ofAccount = z.object({ accountId: z.string() })

/** Message templates: the account's own, and the library they come from. */
export const templateRoutes: FastifyPluginAsyncZod<{
  templates: Templates
  accounts: Accounts
  operations: Operations
  people: People
}> = async (app, { templates, accounts, operations, people }) => {
  const read = app.requireCaller({ scope: 'templates:read' })
  const write = app.requireCaller({ scope: 'templates:write' })
  const preview = createPreview()

  const allowed = async (caller: Caller, idOrAppId: string) => (await accountFor(accounts, caller, idOrAppId)).id

  app.get(
    '/v1/templates',
    {
      onRequest: read,
      schema: {
        querystring: PageQuery.extend({
          accountId: z.string().optional(),
          live: z.enum(['true', 'false']).optional(),
          kind: TemplateKind.optional(),
          state: z.enum(['live', 'deleted']).default('live')
        }),
        response: { 200: TemplateList }
      }
    },
    async (request) => {
      const { query, caller } = request
      if (query.live === 'true' && query.accountId === undefined) {
        const message = 'live=true reads one account: name its accountId'
        throw new InvalidInput(message, {
          errors: [{ pointer: '/accountId', code: 'templates.account-needed', message }]
        })
      }
      const accountId = query.accountId === undefined ? null : await allowed(caller, query.accountId)
      if (accountId !== null && query.live === 'true') await templates.freshen(accountId)
      const accountIds = accountId === null ? accountsOf(caller) : [accountId]
      const { data, page } = await templates.page({ accountIds, kind: query.kind, state: query.state }, query)
      const mirror = accountId === null ? null : await templates.freshness(accountId)
      return { data: data.map(templateView), page, mirror }
    }
  )

  app.post(
    '/v1/templates',
    {
      onRequest: write,
      config: { idempotent: true },
      schema: { body: TemplateCreate, response: { 201: TemplateView } }
    },
    async (request, reply) => {
      const accountId = await allowed(request.caller, request.body.accountId)
      const template = await templates.create({ ...request.body, accountId })
      request.log.info({ accountId, templateId: template.templateId }, 'a template was added')
      return reply.code(201).send(templateView(template))
    }
  )

  app.post(
    '/v1/templates/sync',
    { onRequest: write, schema: { body: ofAccount.strict(), response: { 202: OperationView } } },
    async (request, reply) => {
      const accountId = await allowed(request.caller, request.body.accountId)
      const { id, location } = await templates.startSync(accountId)
      const { accountId: _accountId, ...operation } = await operations.get(id)
      return reply.code(202).header('location', location).send(operation)
    }
  )

  app.get(
    '/v1/templates/:templateId',
    {
      onRequest: read,
      schema: { params: z.object({ templateId }), querystring: ofAccount, response: { 200: TemplateView } }
    },
    async (request) => {
      const accountId = await allowed(request.caller, request.query.accountId)
      return templateView(await templates.get(accountId, request.params.templateId))
    }
  )

  app.delete(
    '/v1/templates/:templateId',
    {
      onRequest: write,
      schema: { params: z.object({ templateId }), querystring: ofAccount, response: { 204: z.null() } }
    },
    async (request, reply) => {
      const accountId = await allowed(request.caller, request.query.accountId)
      await templates.remove(accountId, request.params.templateId)
      request.log.info({ accountId, templateId: request.params.templateId }, 'a template was deleted')
      return reply.code(204).send(null)
    }
  )

  app.post(
    '/v1/templates/:templateId/preview',
    {
      onRequest: read,
      schema: { params: z.object({ templateId }), body: TemplatePreviewPost, response: { 200: TemplatePreview } }
    },
    async (request) => {
      const { body, caller } = request
      const accountId = await allowed(caller, body.accountId)
      const template = await templates.get(accountId, request.params.templateId)
      let scope = body.sample ?? {}
      if (body.recipientId !== undefined) {
        const recipient = (await people.byIds([body.recipientId])).get(body.recipientId)
        if (recipient === undefined || recipient.accountId !== accountId)
          throw new NotFound('there is no such recipient')
        const person = (await people.persons([recipient.personId])).get(recipient.personId)
        scope = { ...scope, user: person?.attributes ?? {}, tag: person?.tags ?? {} }
      }
      return preview(template, body, scope)
    }
  )

  app.get(
    '/v1/accounts/:id/template-categories',
    { onRequest: read, schema: { params: z.object({ id: z.string() }), response: { 200: TemplateCategories } } },
    async (request) => ({ data: await templates.categories(await allowed(request.caller, request.params.id)) })
  )

  app.get(
    '/v1/accounts/:id/template-library',
    {
      onRequest: read,
      schema: {
        params: z.object({ id: z.string() }),
        querystring: z.object({
          kind: TemplateKind,
          categoryIds: z
            .string()
            .regex(/^\d+(,\d+)*$/)
            .optional(),
          offset: z.coerce.number().int().min(0).max(100_000).default(0),
          count: z.coerce.number().int().min(1).max(30).default(20)
        }),
        response: { 200: TemplateLibrary }
      }
    },
    async (request) => {
      const { kind, categoryIds, offset, count } = request.query
      const accountId = await allowed(request.caller, request.params.id)
      const page = await templates.library(accountId, { kind, categoryIds: categoryIds?.split(','), offset, count })
      return { data: page.titles, total: page.total, byNumberOnly: page.byNumberOnly }
    }
  )

  app.get(
    '/v1/accounts/:id/template-library/:titleId',
    {
      onRequest: read,
      schema: {
        params: z.object({ id: z.string(), titleId: z.string().max(64) }),
        querystring: z.object({ kind: TemplateKind }),
        response: { 200: TemplateKeywords }
      }
    },
    async (request) => {
      const accountId = await allowed(request.caller, request.params.id)
      return templates.keywords(accountId, request.query.kind, request.params.titleId)
    }
  )
}

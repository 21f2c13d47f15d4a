import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod'
import { z } from 'zod'
import { OperationView } from '../../shared/operation.js'
import {
  TemplateCategories,
  TemplateCreate,
  TemplateKeywords,
  TemplateKind,
  TemplatePreview,
  TemplatePreviewPost
} from '../../shared/template.js'
import { accountFor } from '../accounts/access.js'
import type { Accounts } from '../accounts/accounts.js'
import type { Operations } from '../operations/operations.js'
import type { People } from '../people/people.js'
import { accountsOf, type Caller } from '../platform/auth.js'
import { InvalidInput, NotFound } from '../platform/errors.js'
import { etagOf } from '../platform/etag.js'
import { languageOf } from '../platform/language.js'
import type { WordLists } from '../words/words.js'
import { INDUSTRIES } from './industries.js'
import { LINT_RULES, lintTemplate } from './lint.js'
import { createPreview } from './preview.js'
import * as shapes from './shapes.js'
import { templateView, type Templates } from './templates.js'

const templateId = z.string().min(1).max(64)
const ofAccount = z.object({ accountId: z.string() })
const ofPath = z.object({ id: z.string() })

/** Message templates: the account's own, and the library they come from. */
export const templateRoutes: FastifyPluginAsyncZod<{
  templates: Templates
  accounts: Accounts
  operations: Operations
  people: People
  words: Pick<WordLists, 'finders'>
}> = async (app, { templates, accounts, operations, people, words }) => {
  const read = app.requireCaller({ scope: 'templates:read' })
  const write = app.requireCaller({ scope: 'templates:write' })
  const preview = createPreview()

  const allowed = async (caller: Caller, idOrAppId: string) => (await accountFor(accounts, caller, idOrAppId)).id

  app.get(
    '/v1/templates',
    {
      onRequest: read,
      schema: {
        description:
          "The mirror of the accounts' templates; with live=true read from WeChat first. `mirror` says how " +
          'old it is and how many drift alarms stand; `drift=true` lists them.',
        querystring: shapes.TemplateQuery,
        response: { 200: shapes.TemplateItems }
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
      const drift = query.drift === undefined ? undefined : query.drift === 'true'
      const state = query.state ?? (drift === true ? undefined : 'live')
      const { data, page } = await templates.page({ accountIds, kind: query.kind, state, drift }, query)
      const mirror =
        accountId === null
          ? null
          : { ...(await templates.freshness(accountId)), drifts: await templates.drifts(accountId) }
      return { data: data.map(templateView), page, mirror }
    }
  )

  app.post(
    '/v1/templates',
    {
      onRequest: write,
      config: { idempotent: true },
      schema: {
        description:
          'Composes a template of a library title and adds it to the account on WeChat. The order of the ' +
          'keywords is the order they are shown in: legacy 1 to 10 ids, subscribe 2 to 5, service numbers of ' +
          'categories 1 to 10 names.',
        body: TemplateCreate,
        response: { 201: shapes.TemplateAdded }
      }
    },
    async (request, reply) => {
      const accountId = await allowed(request.caller, request.body.accountId)
      const language = languageOf(request.headers['accept-language'])
      const { problems, ...template } = await templates.create({ ...request.body, accountId }, language)
      request.log.info({ accountId, templateId: template.templateId }, 'a template was added')
      return reply
        .code(201)
        .header('etag', etagOf(template.rev))
        .send({ ...templateView(template), problems })
    }
  )

  app.post(
    '/v1/templates/sync',
    {
      onRequest: write,
      schema: {
        description:
          "Reads an account's templates from WeChat now. The operation's result names what was added, changed " +
          'and removed, and under `drifted` what of it nobody here had a hand in.',
        body: ofAccount.strict(),
        response: { 202: OperationView }
      }
    },
    async (request, reply) => {
      const accountId = await allowed(request.caller, request.body.accountId)
      const { id, location } = await templates.startSync(accountId)
      const { accountId: _accountId, ...operation } = await operations.get(id)
      return reply.code(202).header('location', location).send(operation)
    }
  )

  app.get(
    '/v1/templates/lint',
    {
      onRequest: read,
      schema: { description: 'The audit rules, one row each.', response: { 200: shapes.LintRuleList } }
    },
    () => ({
      data: LINT_RULES.map(({ id, severity, from, message: { zh, en } }) => ({
        id,
        severity,
        from,
        message: { 'zh-CN': zh, en }
      }))
    })
  )

  app.post(
    '/v1/templates/lint',
    {
      onRequest: read,
      schema: {
        description:
          "Holds a title, its keywords with examples, and texts to be sent, against WeChat's audit rules. " +
          'Nothing is stored and WeChat is not asked.',
        body: shapes.LintPost,
        response: { 200: shapes.LintVerdict }
      }
    },
    async ({ body, caller, headers }) => {
      const { accountId, otherTitles = [], ...written } = body
      const taken = accountId === undefined ? [] : await templates.titlesOf(await allowed(caller, accountId))
      const problems = lintTemplate(
        { ...written, otherTitles: [...otherTitles, ...taken], marketing: (await words.finders()).marketingWords },
        languageOf(headers['accept-language'])
      )
      return { passes: problems.every(({ severity }) => severity !== 'error'), problems }
    }
  )

  app.get(
    '/v1/templates/:templateId',
    {
      onRequest: read,
      schema: {
        description: 'One template, also one that is deleted, with the history of its drifts.',
        params: z.object({ templateId }),
        querystring: ofAccount,
        response: { 200: shapes.TemplateDetail }
      }
    },
    async (request, reply) => {
      const accountId = await allowed(request.caller, request.query.accountId)
      const template = await templates.get(accountId, request.params.templateId)
      return reply.header('etag', etagOf(template.rev)).send({ ...templateView(template), drifts: template.drifts })
    }
  )

  app.delete(
    '/v1/templates/:templateId',
    {
      onRequest: write,
      schema: {
        description: 'Deletes it on WeChat; what was sent with it still names it. If-Match is heeded.',
        params: z.object({ templateId }),
        querystring: ofAccount,
        response: { 204: z.null() }
      }
    },
    async (request, reply) => {
      const accountId = await allowed(request.caller, request.query.accountId)
      await templates.remove(accountId, request.params.templateId, request.headers['if-match'])
      request.log.info({ accountId, templateId: request.params.templateId }, 'a template was deleted')
      return reply.code(204).send(null)
    }
  )

  app.delete(
    '/v1/templates/:templateId/drift',
    {
      onRequest: write,
      schema: {
        description:
          'Takes a drift alarm down: somebody knows. It stays in the history. Nothing to do when none stands.',
        params: z.object({ templateId }),
        querystring: ofAccount,
        response: { 204: z.null() }
      }
    },
    async (request, reply) => {
      const accountId = await allowed(request.caller, request.query.accountId)
      await templates.acknowledge(accountId, request.params.templateId)
      return reply.code(204).send(null)
    }
  )

  app.post(
    '/v1/templates/:templateId/preview',
    {
      onRequest: read,
      schema: {
        description: 'What a message of it would look like, as WeChat draws it today, or what keeps it from going.',
        params: z.object({ templateId }),
        body: TemplatePreviewPost,
        response: { 200: TemplatePreview }
      }
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
    {
      onRequest: read,
      schema: {
        description: 'The service categories of an account; subscribe titles are offered by them.',
        params: ofPath,
        response: { 200: TemplateCategories }
      }
    },
    async (request) => ({ data: await templates.categories(await allowed(request.caller, request.params.id)) })
  )

  app.get(
    '/v1/accounts/:id/template-library',
    {
      onRequest: read,
      schema: {
        description:
          'One page of the titles WeChat offers, read live. A page of legacy titles holds at most 20, of ' +
          'subscribe titles 30: `nextOffset` says where the next one begins. Service accounts add by number ' +
          '(`byNumberOnly`).',
        params: ofPath,
        querystring: z.object({
          kind: TemplateKind,
          categoryIds: z
            .string()
            .regex(/^\d+(,\d+)*$/)
            .optional(),
          offset: z.coerce.number().int().min(0).max(100_000).default(0),
          count: z.coerce.number().int().min(1).max(30).default(20)
        }),
        response: { 200: shapes.TemplateLibraryPage }
      }
    },
    async (request) => {
      const { kind, categoryIds, offset, count } = request.query
      const accountId = await allowed(request.caller, request.params.id)
      const page = await templates.library(accountId, { kind, categoryIds: categoryIds?.split(','), offset, count })
      const { titles, ...rest } = page
      return { data: titles, ...rest }
    }
  )

  app.get(
    '/v1/accounts/:id/template-library/:titleId',
    {
      onRequest: read,
      schema: {
        description: 'The keywords of one title, to choose from.',
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

  app.get(
    '/v1/accounts/:id/industries',
    {
      onRequest: read,
      schema: {
        description: 'The two industries of a service account, null before any was chosen, and all there are.',
        params: ofPath,
        response: { 200: shapes.IndustriesView }
      }
    },
    async (request) => ({
      ...(await templates.industries(await allowed(request.caller, request.params.id))),
      choices: [...INDUSTRIES]
    })
  )

  app.put(
    '/v1/accounts/:id/industries',
    {
      onRequest: write,
      schema: {
        description:
          'Chooses both industries: WeChat allows one change a month (429 industries.once-a-month), and ' +
          'deletes the templates of an industry that is left. Choosing what is there already changes nothing.',
        params: ofPath,
        body: shapes.IndustriesPut,
        response: { 200: shapes.IndustriesChanged }
      }
    },
    async (request) => {
      const accountId = await allowed(request.caller, request.params.id)
      const changed = await templates.setIndustries(accountId, request.body)
      request.log.info({ accountId, ...request.body }, 'the industries were set')
      return { ...changed, choices: [...INDUSTRIES] }
    }
  )
}

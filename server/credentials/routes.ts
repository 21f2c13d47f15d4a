import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod'
import { z } from 'zod'
import { accountsOf } from '../platform/auth.js'
import { NotFound } from '../platform/errors.js'
import { listPage, type Listable } from '../platform/page.js'
import type { Sealer } from '../platform/sealing.js'
import { accountFor } from '../accounts/access.js'
import type { Account, Accounts } from '../accounts/accounts.js'
import {
  CredentialConfirm,
  CredentialDetail,
  CredentialsPost,
  CredentialState,
  CredentialView,
  Source,
  Verdicts,
  type ItemVerdict
} from '../../shared/credential.js'
import { Instant } from '../../shared/instant.js'
import { NEVER } from '../../shared/limits.js'
import { pageOf, PageQuery, wordList } from '../../shared/page.js'
import { SourceOverride } from '../../shared/account.js'
import { CHANNELS } from '../../shared/channels.js'
import { TemplateKind } from '../../shared/template.js'
import type { Credentials } from './credentials.js'
import { parseHold } from './letting.js'
import { POLICIES } from './terms.js'
import type { CredentialRow } from './model.js'

const ListQuery = PageQuery.extend({
  accountId: z.string(),
  recipientId: z.string().optional(),
  source: wordList(Source.options).optional(),
  state: wordList(CredentialState.options).optional(),
  templateId: z.string().optional(),
  'expiresAt[lt]': Instant.optional()
})
const groupBy = wordList(['source', 'day', 'place', 'state'] as const)
const Stats = z.object({
  groups: z.array(
    z.object({
      source: z.string().optional(),
      day: z.string().optional(),
      place: z.string().nullable().optional(),
      state: z.string().optional(),
      captured: z.int(),
      sendsLeft: z.int(),
      spent: z.int(),
      held: z.int(),
      wasted: z.int()
    })
  ),
  /** What was handed in, as `source:verdict` or `source:reason`. */
  verdicts: z.record(z.string(), z.int())
})
const Forecast = z.object({ days: z.array(z.object({ day: z.string(), source: z.string(), expiring: z.int() })) })
const Sources = z.object({
  sources: z.array(
    z.object({
      source: Source,
      channel: TemplateKind,
      /** null: as many as one likes. */
      sends: z.int().nullable(),
      /** null: until it is withdrawn. */
      lifeMs: z.int().nullable(),
      perDay: z.int().nullable(),
      origin: z.string(),
      own: SourceOverride.nullable()
    })
  )
})
const ForecastQuery = z.object({ accountId: z.string(), days: z.coerce.number().int().min(1).max(30).default(7) })
const Reach = z.object({
  /** People who hold a right now, in one day, in two: if nothing is spent or caught until then. */
  days: z.array(z.object({ at: Instant, people: z.int() })),
  /** There are so many rights that a part of them was looked at. */
  estimated: z.boolean()
})

/** Rights over REST; values only ever masked. `keepFor` is the capture room's. */
export const credentialRoutes: FastifyPluginAsyncZod<{
  credentials: Credentials
  accounts: Accounts
  sealer: Sealer
  keepFor: (account: Account, body: z.output<typeof CredentialsPost>) => Promise<ItemVerdict[]>
}> = async (app, { credentials, accounts, sealer, keepFor }) => {
  const read = app.requireCaller({ scope: 'credentials:read' })
  const write = app.requireCaller({ scope: 'credentials:write' })
  const tags = ['credentials']

  function view(row: CredentialRow): z.output<typeof CredentialView> {
    return {
      id: row._id,
      accountId: row.accountId,
      recipientId: row.recipientId,
      source: row.source,
      templateId: row.templateId,
      value: row.sealed === null ? '' : masked(sealer.open(row.sealed)),
      state: row.state,
      why: row.why,
      sendsLeft: row.sendsLeft,
      held: row.held,
      spent: row.spent,
      unlimited: row.unlimited,
      place: row.place,
      orderId: row.orderId,
      mintedAt: row.mintedAt,
      notBefore: row.notBefore,
      expiresAt: row.expiresAt.getTime() === NEVER.getTime() ? null : row.expiresAt,
      createdAt: row.createdAt
    }
  }

  app.post(
    '/v1/credentials',
    { onRequest: write, schema: { body: CredentialsPost, response: { 202: Verdicts }, tags } },
    async (request, reply) => {
      const account = await accountFor(accounts, request.caller, request.body.accountId)
      return reply.code(202).send({ items: await keepFor(account, request.body) })
    }
  )

  app.post(
    '/v1/credentials/confirm',
    {
      onRequest: write,
      schema: { body: CredentialConfirm, response: { 200: z.object({ activated: z.int() }) }, tags }
    },
    async (request) => {
      const account = await accountFor(accounts, request.caller, request.body.accountId)
      return { activated: await credentials.confirm(account, request.body) }
    }
  )

  app.get(
    '/v1/credentials',
    { onRequest: read, schema: { querystring: ListQuery, response: { 200: pageOf(CredentialView) }, tags } },
    async (request) => {
      const { query } = request
      const account = await accountFor(accounts, request.caller, query.accountId)
      const before = query['expiresAt[lt]']
      const filter = {
        accountId: account.id,
        ...(query.recipientId === undefined ? {} : { recipientId: query.recipientId }),
        ...(query.source === undefined ? {} : { source: { $in: query.source } }),
        ...(query.state === undefined ? {} : { state: { $in: query.state } }),
        ...(query.templateId === undefined ? {} : { templateId: query.templateId }),
        ...(before === undefined ? {} : { expiresAt: { $lt: before } })
      }
      const options = { filter, query, sortable: ['createdAt', 'expiresAt'], defaultSort: '-id' }
      if (query.sort === undefined && query.recipientId === undefined) {
        try {
          return await listPage(byId(credentials.rows), options, view)
        } catch (error) {
          if (!tookTooLong(error)) throw error
        }
      }
      return listPage(credentials.rows, options, view)
    }
  )

  app.get(
    '/v1/credentials/stats',
    {
      onRequest: read,
      schema: {
        querystring: z.object({ accountId: z.string(), groupBy: groupBy.optional() }),
        response: { 200: Stats },
        tags
      }
    },
    async (request) => {
      const account = await accountFor(accounts, request.caller, request.query.accountId)
      const groups = await credentials.stats(account.id, request.query.groupBy ?? ['source'])
      return { groups, verdicts: await credentials.verdicts(account.id) } as z.output<typeof Stats>
    }
  )

  app.get(
    '/v1/credentials/forecast',
    {
      onRequest: read,
      schema: {
        querystring: ForecastQuery,
        response: { 200: Forecast },
        tags
      }
    },
    async (request) => {
      const account = await accountFor(accounts, request.caller, request.query.accountId)
      return { days: await credentials.forecast(account.id, request.query.days) }
    }
  )

  app.get(
    '/v1/credentials/reach',
    {
      onRequest: read,
      schema: {
        description: 'How many people can be written to now and on the next days, if nothing is spent or caught.',
        querystring: ForecastQuery,
        response: { 200: Reach },
        tags
      }
    },
    async (request) => {
      const account = await accountFor(accounts, request.caller, request.query.accountId)
      return credentials.reach(account.id, request.query.days)
    }
  )

  app.get(
    '/v1/credentials/sources',
    {
      onRequest: read,
      schema: {
        description: 'What a right of each source is worth, where that is from, and what the account has set instead.',
        querystring: z.object({ accountId: z.string() }),
        response: { 200: Sources },
        tags
      }
    },
    async (request) => {
      const { kind, sources } = await accountFor(accounts, request.caller, request.query.accountId)
      const all = Source.options.filter((source) => CHANNELS[kind].includes(POLICIES[source].channel))
      return {
        sources: all.map((source) => ({ source, ...POLICIES[source], own: sources[source] ?? null }))
      }
    }
  )

  app.get(
    '/v1/credentials/:id',
    {
      onRequest: read,
      schema: { params: z.object({ id: z.string().max(64) }), response: { 200: CredentialDetail }, tags }
    },
    async (request) => {
      const row = await credentials.byId(request.params.id)
      const allowed = accountsOf(request.caller)
      if (row === null || (allowed !== null && !allowed.includes(row.accountId))) {
        throw new NotFound('no such credential', { code: 'credentials.not-found' })
      }
      return {
        ...view(row),
        history: row.history.map(({ at, what, m }) => ({ at, what, messageId: m === null ? null : parseHold(m).m }))
      }
    }
  )
}

/**
 * Ids grow with time and have an index, so that a page of a large account is found without reading all of its rows. What is
 * rare among them, or a small account beside a large one, is not found in this time: then the account's own rows are read.
 */
const NEWEST_MS = 250
const byId = (rows: Credentials['rows']): Listable => ({
  find: (filter, options) => rows.find(filter, { ...options, hint: { _id: 1 }, maxTimeMS: NEWEST_MS }),
  countDocuments: (filter, options) => rows.countDocuments(filter, options)
})
const tookTooLong = (error: unknown): boolean => (error as { code?: unknown }).code === 50

/** Enough to tell two values apart, too little to use one. */
const masked = (value: string) => (value.length <= 8 ? '…' : `${value.slice(0, 3)}…${value.slice(-3)}`)

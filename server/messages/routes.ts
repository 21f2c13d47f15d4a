import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod'
import { z } from 'zod'
import { AppError } from '../platform/errors.js'
import type { People } from '../people/people.js'
import { accountsOf, mayUseAccount, type Caller } from '../platform/auth.js'
import { listPage } from '../platform/page.js'
import {
  MessageBatchPost,
  MessageBatchPosted,
  MessageCancelPost,
  MessageDetail,
  MessagePatch,
  MessagePost,
  MessagePosted,
  MessageState,
  MessageView,
  ResolvePost
} from '../../shared/message.js'
import { Instant } from '../../shared/instant.js'
import { pageOf, PageQuery, wordList } from '../../shared/page.js'
import { accountFor } from '../accounts/access.js'
import type { Accounts } from '../accounts/accounts.js'
import type { Direct } from './direct.js'
import type { Messages } from './messages.js'
import type { MessageRow } from './model.js'

/** A row as REST shows it. */
export const messageView = (row: MessageRow): z.infer<typeof MessageView> => ({
  id: row._id,
  accountId: row.accountId,
  recipientId: row.recipientId,
  personId: row.personId,
  runId: row.runId,
  campaignId: row.campaignId,
  templateId: row.templateId,
  lane: row.lane,
  state: row.state,
  reason: row.detail !== null && row.reason === 'invalidValue' ? `invalidValue: ${row.detail}` : row.reason,
  by: row.by,
  code: row.code,
  waitingFor: row.waitingFor,
  reference: row.reference,
  msgid: row.msgid,
  dueAt: row.dueAt,
  notAfter: row.notAfter,
  sentAt: row.sentAt,
  settledAt: row.settledAt,
  openedAt: row.openedAt ?? null,
  attempts: row.attempt,
  test: row.test,
  createdAt: row.createdAt
})

const detailOf = (row: MessageRow): z.infer<typeof MessageDetail> => ({
  ...messageView(row),
  data: row.data,
  open: row.open,
  credential: row.hold?.cred == null ? null : { id: row.hold.cred, source: row.hold.source },
  attemptLog: row.log
})

const Id = z.object({ id: z.string().min(1).max(64) })
const ListQuery = PageQuery.extend({
  accountId: z.string().optional(),
  runId: z.string().optional(),
  campaignId: z.string().optional(),
  state: wordList(MessageState.options).optional(),
  reason: z.string().max(40).optional(),
  errcode: z.coerce.number().int().optional(),
  personId: z.string().optional(),
  reference: z.string().max(128).optional(),
  'createdAt[gte]': Instant.optional(),
  'createdAt[lt]': Instant.optional()
})

/** `personIds`: every id the person asked for goes by. */
function filterOf(
  query: Omit<z.infer<typeof ListQuery>, 'limit' | 'personId'>,
  accountIds: string[] | null,
  personIds: string[] | null
): Record<string, unknown> {
  const filter: Record<string, unknown> = {}
  if (query.accountId !== undefined) filter.accountId = query.accountId
  else if (accountIds !== null) filter.accountId = { $in: accountIds }
  for (const name of ['runId', 'campaignId', 'reason', 'reference'] as const) {
    if (query[name] !== undefined) filter[name] = query[name]
  }
  if (personIds !== null) filter.personId = { $in: personIds }
  if (query.state !== undefined) filter.state = { $in: query.state }
  if (query.errcode !== undefined) filter.code = query.errcode
  const from = query['createdAt[gte]']
  const to = query['createdAt[lt]']
  if (from !== undefined || to !== undefined)
    filter.createdAt = { ...(from ? { $gte: from } : {}), ...(to ? { $lt: to } : {}) }
  return filter
}

/** Direct sends, and what became of every message. */
export const messageRoutes: FastifyPluginAsyncZod<{
  messages: Messages
  direct: Direct
  accounts: Accounts
  people: Pick<People, 'idsOf'>
}> = async (app, { messages, direct, accounts, people }) => {
  const send = app.requireCaller({ scope: 'messages:send' })
  const read = app.requireCaller({ scope: 'messages:read' })

  /** The rows a caller asks for, as far as it may see them. `accountId` is our id or the appId. */
  async function filterFor(request: {
    caller: Caller
    query: Omit<z.infer<typeof ListQuery>, 'limit'>
  }): Promise<Record<string, unknown>> {
    const { accountId, personId, ...query } = request.query
    const personIds = personId === undefined ? null : await people.idsOf(personId)
    if (accountId === undefined) return filterOf(query, accountsOf(request.caller), personIds)
    const account = await accountFor(accounts, request.caller, accountId)
    return filterOf({ ...query, accountId: account.id }, null, personIds)
  }

  app.post(
    '/v1/messages',
    {
      onRequest: send,
      config: { idempotent: 'own' },
      schema: { body: MessagePost, response: { 202: MessagePosted }, tags: ['messages'] }
    },
    async (request, reply) => {
      const { accountId, ...body } = request.body
      const account = await accountFor(accounts, request.caller, accountId)
      const { posted, replayed } = await direct.post(callerId(request), account, request.idempotencyKey!, body)
      if (replayed) reply.header('idempotent-replayed', 'true')
      request.log.info({ accountId: account.id, messageId: posted.id, replayed }, 'message posted')
      return reply.code(202).send(posted)
    }
  )

  app.post(
    '/v1/messages/batch',
    { onRequest: send, schema: { body: MessageBatchPost, response: { 202: MessageBatchPosted }, tags: ['messages'] } },
    async (request, reply) => {
      const account = await accountFor(accounts, request.caller, request.body.accountId)
      const items: z.infer<typeof MessageBatchPosted>['items'] = []
      for (const { id, ...body } of request.body.items) {
        try {
          items.push({
            id,
            verdict: 'planned',
            message: (await direct.post(callerId(request), account, `item ${id}`, body)).posted
          })
        } catch (error) {
          if (!(error instanceof AppError) || error.status >= 500) throw error
          const errors =
            error.errors.length > 0 ? error.errors : [{ pointer: '', code: error.code, message: error.message }]
          items.push({ id, verdict: 'refused', errors })
        }
      }
      return reply.code(202).send({ items })
    }
  )

  app.get(
    '/v1/messages',
    { onRequest: read, schema: { querystring: ListQuery, response: { 200: pageOf(MessageView) }, tags: ['messages'] } },
    async (request) => {
      const filter = await filterFor(request)
      return listPage(
        messages.rows,
        { filter, query: request.query, sortable: ['createdAt', 'dueAt'], defaultSort: '-createdAt' },
        messageView
      )
    }
  )

  app.get(
    '/v1/messages/export',
    {
      onRequest: read,
      schema: {
        querystring: ListQuery.omit({ cursor: true, limit: true, sort: true, count: true }),
        tags: ['messages']
      }
    },
    async (request, reply) => {
      const filter = await filterFor(request)
      reply.header('content-type', 'application/x-ndjson')
      async function* lines() {
        for await (const row of messages.rows.find(filter))
          yield JSON.stringify(z.encode(MessageView, messageView(row))) + '\n'
      }
      const { Readable } = await import('node:stream')
      return reply.send(Readable.from(lines()))
    }
  )

  async function mine(request: { caller: Caller; params: { id: string } }): Promise<MessageRow> {
    const row = await messages.get(request.params.id)
    mayUseAccount(request.caller, row.accountId)
    return row
  }

  app.get(
    '/v1/messages/:id',
    { onRequest: read, schema: { params: Id, response: { 200: MessageDetail }, tags: ['messages'] } },
    async (request) => detailOf(await mine(request))
  )

  app.patch(
    '/v1/messages/:id',
    { onRequest: send, schema: { params: Id, body: MessagePatch, response: { 200: MessageView }, tags: ['messages'] } },
    async (request) => {
      const row = await mine(request)
      const { at, content, notAfter } = request.body
      const data = content === undefined ? undefined : await direct.dataFor(row, content)
      return messageView(await messages.patch(row._id, { dueAt: at, notAfter, data }))
    }
  )

  app.post(
    '/v1/messages/cancel',
    {
      onRequest: send,
      schema: { body: MessageCancelPost, response: { 200: z.object({ cancelled: z.int() }) }, tags: ['messages'] }
    },
    async (request) => {
      const account = await accountFor(accounts, request.caller, request.body.accountId)
      return { cancelled: await messages.cancelReference(account.id, request.body.reference) }
    }
  )

  app.post(
    '/v1/messages/:id/cancel',
    { onRequest: send, schema: { params: Id, response: { 200: MessageView }, tags: ['messages'] } },
    async (request) => {
      const row = await mine(request)
      return messageView(await messages.cancel(row._id))
    }
  )

  app.post(
    '/v1/messages/:id/resolve',
    { onRequest: send, schema: { params: Id, body: ResolvePost, response: { 200: MessageView }, tags: ['messages'] } },
    async (request) => {
      const row = await mine(request)
      request.log.info({ accountId: row.accountId, messageId: row._id, as: request.body.as }, 'message resolved')
      return messageView(await messages.resolve(row._id, request.body.as))
    }
  )
}

const callerId = (request: { caller: { kind: string; id?: string } }) =>
  `${request.caller.kind}:${request.caller.id ?? ''}`

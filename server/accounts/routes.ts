import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod'
import { z } from 'zod'
import { AccountCreate, AccountPatch, AccountView } from '../../shared/account.js'
import { PageQuery, pageOf } from '../../shared/page.js'
import { accountsOf } from '../platform/auth.js'
import { NotAllowed } from '../platform/errors.js'
import { etagOf } from '../platform/etag.js'
import { accountFor } from './access.js'
import { accountView, type Accounts } from './accounts.js'
import type { VerifyAccount } from './verify.js'

const params = z.object({ id: z.string() })
const headers = z.object({ 'if-match': z.string().optional() }).loose()

/** Connecting accounts by their secret, and their settings. `{id}` is our id or the appId. */
export const accountRoutes: FastifyPluginAsyncZod<{
  accounts: Accounts
  verify: VerifyAccount
  /** Drops the tokens of an account that left or got another secret. */
  forgetToken: (accountId: string) => Promise<void>
  /** Leaves what the third-party platform was granted; only a new consent brings that back. */
  letGo: (appId: string) => Promise<void>
  /** Tells the senders: nothing of this account fires from the next block of slots on, or it may again. */
  halt: (accountId: string, halted: boolean) => Promise<void>
  /** What waits for the end of a penalty, for an interface to be opened or for a token to be taken, looks again. */
  loosen: (accountId: string, waitingFor: 'penalty' | 'quota') => Promise<void>
}> = async (app, { accounts, verify, forgetToken, letGo, halt, loosen }) => {
  const read = app.requireCaller({ scope: 'accounts:read' })
  const write = app.requireCaller({ scope: 'accounts:write', role: 'operator' })

  app.get(
    '/v1/accounts',
    { onRequest: read, schema: { querystring: PageQuery, response: { 200: pageOf(AccountView) } } },
    async (request) => {
      const { data, page } = await accounts.page(request.query, accountsOf(request.caller))
      return { data: data.map(accountView), page }
    }
  )
  app.post(
    '/v1/accounts',
    {
      onRequest: write,
      config: { idempotent: true },
      schema: { body: AccountCreate, response: { 201: AccountView } }
    },
    async (request, reply) => {
      if (accountsOf(request.caller) !== null) throw new NotAllowed('only callers of all accounts may add one')
      const account = await accounts.create(request.body)
      request.log.info({ accountId: account.id, appId: account.appId }, 'an account was connected')
      return reply.code(201).header('etag', etagOf(account.rev)).send(accountView(account))
    }
  )
  app.get(
    '/v1/accounts/:id',
    { onRequest: read, schema: { params, response: { 200: AccountView } } },
    async (request, reply) => {
      const account = await accountFor(accounts, request.caller, request.params.id)
      return reply.header('etag', etagOf(account.rev)).send(accountView(account))
    }
  )
  app.patch(
    '/v1/accounts/:id',
    { onRequest: write, schema: { params, headers, body: AccountPatch, response: { 200: AccountView } } },
    async (request, reply) => {
      const { id, appId, connectedBy } = await accountFor(accounts, request.caller, request.params.id)
      const account = await accounts.patch(id, request.body, request.headers['if-match'])
      const { secret, apiBase, tokenApi, mode, serviceWindow } = request.body
      if (connectedBy === 'qr') {
        if (secret !== undefined) await letGo(appId)
        // Which permission sets are compulsory hangs on the windows.
        if (secret !== undefined || serviceWindow !== undefined) await halt(id, account.paused)
      }
      if (request.body.penalty !== undefined) await loosen(id, 'penalty')
      // A token got with the old secret or from another host may go on working, or not: start afresh.
      if ([secret, apiBase, tokenApi, mode].some((value) => value !== undefined)) {
        await forgetToken(id)
        await loosen(id, 'quota')
      }
      return reply.header('etag', etagOf(account.rev)).send(accountView(account))
    }
  )
  app.delete(
    '/v1/accounts/:id',
    { onRequest: write, schema: { params, headers, response: { 204: z.null() } } },
    async (request, reply) => {
      const { id, appId } = await accountFor(accounts, request.caller, request.params.id)
      await accounts.remove(id, request.headers['if-match'])
      await letGo(appId)
      await forgetToken(id)
      return reply.code(204).send(null)
    }
  )

  // Stopped before it is said to be, and said to be running before it runs: never sending while shown as paused.
  const verbs = {
    verify,
    async pause(id: string) {
      await halt(id, true)
      return accounts.pause(id)
    },
    async resume(id: string) {
      const account = await accounts.resume(id)
      await halt(id, account.paused)
      await loosen(id, 'quota')
      return account
    }
  }
  for (const [name, verb] of Object.entries(verbs)) {
    app.post(
      `/v1/accounts/:id/${name}`,
      { onRequest: write, schema: { params, response: { 200: AccountView } } },
      async (request, reply) => {
        const { id } = await accountFor(accounts, request.caller, request.params.id)
        const account = await verb(id)
        return reply.header('etag', etagOf(account.rev)).send(accountView(account))
      }
    )
  }
}

import type { CookieSerializeOptions } from '@fastify/cookie'
import type { FastifyReply } from 'fastify'
import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod'
import { z } from 'zod'
import { Instant } from '../../shared/instant.js'
import {
  ApiKeyCreate,
  ApiKeyCreated,
  ApiKeyView,
  AuthState,
  LoginAnswer,
  LoginPost,
  OperatorCreate,
  OperatorPatch,
  OperatorView,
  SetupPost,
  TotpBegin,
  TotpBegun,
  TotpConfirm,
  TotpConfirmed,
  TotpRemove,
  type Role,
  type Scope
} from '../../shared/operator.js'
import { PageQuery, pageOf } from '../../shared/page.js'
import { auditRows, type AuditRow } from '../platform/audit.js'
import { accountsOf, type Caller } from '../platform/auth.js'
import { InvalidInput, NotAllowed, NotFound } from '../platform/errors.js'
import { listPage } from '../platform/page.js'
import type { Tokens } from '../platform/tokens.js'
import type { Connection } from 'mongoose'
import type { ApiKeys } from './api-keys.js'
import { SessionOver } from './errors.js'
import type { Operators, Session } from './operators.js'

const COOKIE = 'hongyan_refresh'
const id = z.object({ id: z.string() })
const MePatch = z.strictObject({ currentPassword: z.string().max(200), password: z.string().min(10).max(200) })
const AuditView = z.object({
  id: z.string(),
  at: Instant,
  by: z.object({ kind: z.string(), id: z.string() }),
  method: z.string(),
  route: z.string(),
  target: z.record(z.string(), z.string()),
  status: z.int(),
  address: z.string(),
  requestId: z.string(),
  note: z.string().optional()
})

/** Set-up, login, operators, API keys, the audit log. */
export const operatorRoutes: FastifyPluginAsyncZod<{
  operators: Operators
  apiKeys: ApiKeys
  tokens: Tokens
  db: Connection
  /** Is this server reached over https? Then the cookie travels over nothing else. */
  secure: boolean
  /** Our id of an account, by it or by the appId. @throws NotFound */
  accountId: (idOrAppId: string) => Promise<string>
}> = async (app, { operators, apiKeys, tokens, db, secure, accountId }) => {
  // Only the routes that need the cookie are sent it.
  const cookie: CookieSerializeOptions = { httpOnly: true, sameSite: 'strict', path: '/v1/auth', secure }

  /** Grants as our ids, so that what is granted is what is asked for. @throws InvalidInput naming the one nobody has */
  async function grants(given: string[] | null | undefined): Promise<string[] | null> {
    if (given === null || given === undefined) return null
    return Promise.all(
      given.map((account, index) =>
        accountId(account).catch((error: unknown) => {
          if (!(error instanceof NotFound)) throw error
          const message = `there is no account ${account}`
          const fault = { pointer: `/accountIds/${index}`, code: 'accounts.not-found', message }
          throw new InvalidInput(message, { code: 'accounts.not-found', errors: [fault] })
        })
      )
    )
  }

  /** Operators and the log are everybody's: who is bound to some accounts would reach past them there. */
  function mustHaveAll(caller: Caller): void {
    if (accountsOf(caller) !== null) throw new NotAllowed('only an owner of all accounts may do that')
  }

  function begin(reply: FastifyReply, { operator, sessions, refreshToken, refreshUntil }: Session) {
    void reply.setCookie(COOKIE, refreshToken, { ...cookie, expires: refreshUntil })
    return tokens.operator(operator.id, sessions)
  }

  app.post(
    '/v1/setup',
    { config: { public: true }, schema: { body: SetupPost, response: { 201: LoginAnswer } } },
    async (request, reply) => {
      const { code, email, password } = request.body
      const session = await operators.setup(code, email, password, request.ip)
      request.log.info('the first owner was made')
      return reply.code(201).send(begin(reply, session))
    }
  )
  app.get(
    '/v1/auth/state',
    {
      config: { public: true },
      schema: {
        description: 'What a browser shows first: is there an owner yet, and does it bring a session that may go on?',
        response: { 200: AuthState }
      }
    },
    async (request) => ({
      setUp: (await operators.setupCode()) === null,
      session: request.cookies[COOKIE] !== undefined
    })
  )
  app.post(
    '/v1/auth/login',
    {
      config: { public: true },
      schema: {
        description:
          'Wrong tries make the next one wait, longer each time (429 with Retry-After). An operator with a second factor ' +
          'sends `code` too; without it the answer is 401 `auth.code-needed`.',
        body: LoginPost,
        response: { 200: LoginAnswer }
      }
    },
    async (request, reply) => begin(reply, await operators.login(request.body, request.ip))
  )
  app.post(
    '/v1/auth/refresh',
    { config: { public: true }, schema: { response: { 200: LoginAnswer } } },
    async (request, reply) => {
      const token = request.cookies[COOKIE]
      if (token === undefined) throw new SessionOver()
      return begin(reply, await operators.refresh(token))
    }
  )
  app.post(
    '/v1/auth/logout',
    { config: { public: true }, schema: { response: { 204: z.null() } } },
    async (request, reply) => {
      const token = request.cookies[COOKIE]
      if (token !== undefined) await operators.logout(token)
      return reply.clearCookie(COOKIE, cookie).code(204).send(null)
    }
  )
  app.post(
    '/v1/auth/logout-everywhere',
    {
      onRequest: app.requireOperator('viewer'),
      schema: {
        description: 'Ends every login of the caller, on every device; tokens already handed out end within 2 s.',
        response: { 204: z.null() }
      }
    },
    async (request, reply) => {
      await operators.logoutEverywhere(idOf(request.caller))
      return reply.clearCookie(COOKIE, cookie).code(204).send(null)
    }
  )
  app.post(
    '/v1/operators/:id/logout-everywhere',
    {
      onRequest: app.requireOperator('owner'),
      schema: { description: 'Ends every login of this operator.', params: id, response: { 204: z.null() } }
    },
    async (request, reply) => {
      mustHaveAll(request.caller)
      await operators.get(request.params.id)
      await operators.logoutEverywhere(request.params.id)
      return reply.code(204).send(null)
    }
  )

  app.get(
    '/v1/me',
    { onRequest: app.requireOperator('viewer'), schema: { response: { 200: OperatorView } } },
    (request) => operators.get(idOf(request.caller))
  )
  app.patch(
    '/v1/me',
    {
      onRequest: app.requireOperator('viewer'),
      schema: {
        description: 'A new password ends every login; the cookie that comes with the answer is a new one.',
        body: MePatch,
        response: { 200: OperatorView }
      }
    },
    async (request, reply) => {
      const me = idOf(request.caller)
      const session = await operators.changePassword(me, request.body.currentPassword, request.body.password)
      begin(reply, session)
      return session.operator
    }
  )
  app.post(
    '/v1/me/totp',
    {
      onRequest: app.requireOperator('viewer'),
      schema: {
        description:
          'Begins a second factor: what an authenticator app needs. It counts once a code of it was confirmed.',
        body: TotpBegin,
        response: { 200: TotpBegun }
      }
    },
    (request) => operators.beginTotp(idOf(request.caller), request.body.password)
  )
  app.put(
    '/v1/me/totp',
    {
      onRequest: app.requireOperator('viewer'),
      schema: {
        description: 'From now on a login asks for a code. The recovery codes are shown this once; each is good once.',
        body: TotpConfirm,
        response: { 200: TotpConfirmed }
      }
    },
    async (request) => ({ recoveryCodes: await operators.confirmTotp(idOf(request.caller), request.body.code) })
  )
  app.post(
    '/v1/me/totp/remove',
    { onRequest: app.requireOperator('viewer'), schema: { body: TotpRemove, response: { 204: z.null() } } },
    async (request, reply) => {
      await operators.removeOwnTotp(idOf(request.caller), request.body.password, request.body.code)
      return reply.code(204).send(null)
    }
  )
  app.delete(
    '/v1/operators/:id/totp',
    {
      onRequest: app.requireOperator('owner'),
      schema: {
        description: 'For an operator who lost phone and recovery codes: a login asks for no code any more.',
        params: id,
        response: { 204: z.null() }
      }
    },
    async (request, reply) => {
      mustHaveAll(request.caller)
      await operators.removeTotp(request.params.id)
      return reply.code(204).send(null)
    }
  )

  app.get(
    '/v1/operators',
    {
      onRequest: app.requireOperator('owner'),
      schema: { querystring: PageQuery, response: { 200: pageOf(OperatorView) } }
    },
    (request) => {
      mustHaveAll(request.caller)
      return operators.page(request.query)
    }
  )
  app.post(
    '/v1/operators',
    {
      onRequest: app.requireOperator('owner'),
      config: { idempotent: true },
      schema: { body: OperatorCreate, response: { 201: OperatorView } }
    },
    async (request, reply) => {
      mustHaveAll(request.caller)
      const accountIds = await grants(request.body.accountIds)
      return reply.code(201).send(await operators.create({ ...request.body, accountIds }))
    }
  )
  app.patch(
    '/v1/operators/:id',
    {
      onRequest: app.requireOperator('owner'),
      schema: { params: id, body: OperatorPatch, response: { 200: OperatorView } }
    },
    async (request) => {
      mustHaveAll(request.caller)
      const { accountIds, ...rest } = request.body
      const granted = accountIds === undefined ? {} : { accountIds: await grants(accountIds) }
      return operators.patch(request.params.id, { ...rest, ...granted })
    }
  )
  app.delete(
    '/v1/operators/:id',
    { onRequest: app.requireOperator('owner'), schema: { params: id, response: { 204: z.null() } } },
    async (request, reply) => {
      mustHaveAll(request.caller)
      await operators.remove(request.params.id)
      return reply.code(204).send(null)
    }
  )

  app.get(
    '/v1/api-keys',
    {
      onRequest: app.requireOperator('operator'),
      schema: { querystring: PageQuery, response: { 200: pageOf(ApiKeyView) } }
    },
    (request) => apiKeys.page(request.query, accountsOf(request.caller))
  )
  app.post(
    '/v1/api-keys',
    {
      onRequest: app.requireOperator('operator'),
      config: { idempotent: true },
      schema: { body: ApiKeyCreate, response: { 201: ApiKeyCreated } }
    },
    async (request, reply) => {
      const allowed = accountsOf(request.caller)
      const wanted = (await grants(request.body.accountIds)) ?? allowed
      // Nobody hands out more than they have.
      if (allowed !== null && !wanted?.every((account) => allowed.includes(account))) {
        throw new NotAllowed('a key may not reach accounts you may not')
      }
      const { caller } = request
      const beyond = request.body.scopes.filter((scope) => caller.kind === 'operator' && !mayGrant(caller.role, scope))
      if (beyond.length > 0) {
        throw new NotAllowed(`only an owner may make keys with ${beyond.join(', ')}`, { facts: { scopes: beyond } })
      }
      return reply.code(201).send(await apiKeys.create({ ...request.body, accountIds: wanted }))
    }
  )
  app.delete(
    '/v1/api-keys/:id',
    { onRequest: app.requireOperator('operator'), schema: { params: id, response: { 204: z.null() } } },
    async (request, reply) => {
      await apiKeys.remove(request.params.id, accountsOf(request.caller))
      return reply.code(204).send(null)
    }
  )

  app.get(
    '/v1/audit-logs',
    {
      onRequest: app.requireOperator('owner'),
      schema: { querystring: PageQuery, response: { 200: pageOf(AuditView) } }
    },
    (request) => {
      mustHaveAll(request.caller)
      const options = { filter: {}, query: request.query, sortable: ['at'], defaultSort: '-at' }
      return listPage(auditRows(db), options, ({ _id, ...row }: AuditRow) => ({ id: _id, ...row }))
    }
  )
}

/** WeChat's tokens are for owners alone; a key must not be the way around it. */
const OWNERS_ONLY: readonly Scope[] = ['tokens:read', 'tokens:refresh']
const mayGrant = (role: Role, scope: Scope) => role === 'owner' || !OWNERS_ONLY.includes(scope)

const idOf = (caller: { kind: string; id?: string }): string => caller.id ?? ''

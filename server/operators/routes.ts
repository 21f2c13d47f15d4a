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
  SetupPost
} from '../../shared/operator.js'
import { PageQuery, pageOf } from '../../shared/page.js'
import { auditRows, type AuditRow } from '../platform/audit.js'
import type { Clock } from '../platform/clock.js'
import { accountsOf } from '../platform/auth.js'
import { InvalidInput, NotAllowed, NotFound } from '../platform/errors.js'
import { listPage } from '../platform/page.js'
import { createThrottle } from '../platform/throttle.js'
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
  clock: Clock
  db: Connection
  /** Is this server reached over https? Then the cookie travels over nothing else. */
  secure: boolean
  /** Our id of an account, by it or by the appId. @throws NotFound */
  accountId: (idOrAppId: string) => Promise<string>
}> = async (app, { operators, apiKeys, tokens, clock, db, secure, accountId }) => {
  const throttle = createThrottle({ clock, limit: 5, windowMs: 60_000 })
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

  function begin(reply: FastifyReply, { operator, refreshToken, refreshUntil }: Session) {
    void reply.setCookie(COOKIE, refreshToken, { ...cookie, expires: refreshUntil })
    return tokens.operator(operator.id)
  }

  app.post(
    '/v1/setup',
    { config: { public: true }, schema: { body: SetupPost, response: { 201: LoginAnswer } } },
    async (request, reply) => {
      throttle.count(`${request.ip} setup`)
      const { code, email, password } = request.body
      const session = await operators.setup(code, email, password)
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
    { config: { public: true }, schema: { body: LoginPost, response: { 200: LoginAnswer } } },
    async (request, reply) => {
      const { email, password } = request.body
      const door = `${request.ip} ${email.toLowerCase()}`
      throttle.count(door)
      const session = await operators.login(email, password)
      throttle.forget(door)
      return begin(reply, session)
    }
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

  app.get(
    '/v1/me',
    { onRequest: app.requireOperator('viewer'), schema: { response: { 200: OperatorView } } },
    (request) => operators.get(idOf(request.caller))
  )
  app.patch(
    '/v1/me',
    { onRequest: app.requireOperator('viewer'), schema: { body: MePatch, response: { 200: OperatorView } } },
    async (request) => {
      const me = idOf(request.caller)
      throttle.count(`${me} password`)
      await operators.changePassword(me, request.body.currentPassword, request.body.password)
      return operators.get(me)
    }
  )

  app.get(
    '/v1/operators',
    {
      onRequest: app.requireOperator('owner'),
      schema: { querystring: PageQuery, response: { 200: pageOf(OperatorView) } }
    },
    (request) => operators.page(request.query)
  )
  app.post(
    '/v1/operators',
    {
      onRequest: app.requireOperator('owner'),
      config: { idempotent: true },
      schema: { body: OperatorCreate, response: { 201: OperatorView } }
    },
    async (request, reply) => {
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
      const { accountIds, ...rest } = request.body
      const granted = accountIds === undefined ? {} : { accountIds: await grants(accountIds) }
      return operators.patch(request.params.id, { ...rest, ...granted })
    }
  )
  app.delete(
    '/v1/operators/:id',
    { onRequest: app.requireOperator('owner'), schema: { params: id, response: { 204: z.null() } } },
    async (request, reply) => {
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
      const options = { filter: {}, query: request.query, sortable: ['at'], defaultSort: '-at' }
      return listPage(auditRows(db), options, ({ _id, ...row }: AuditRow) => ({ id: _id, ...row }))
    }
  )
}

const idOf = (caller: { kind: string; id?: string }): string => caller.id ?? ''

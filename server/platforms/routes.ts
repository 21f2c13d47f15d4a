import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod'
import { z } from 'zod'
import {
  AuthorizationLink,
  AuthorizationPost,
  AuthorizationReturn,
  PlatformPatch,
  PlatformView
} from '../../shared/platform.js'
import { accountFor } from '../accounts/access.js'
import type { Accounts } from '../accounts/accounts.js'
import { accountsOf, type Caller } from '../platform/auth.js'
import { AppError, NotAllowed } from '../platform/errors.js'
import { etagOf } from '../platform/etag.js'
import { NotByQr } from './errors.js'
import type { Platforms } from './platforms.js'
import { failurePage, returnPage } from './return-page.js'

const headers = z.object({ 'if-match': z.string().optional() }).loose()
const querystring = z.object({ state: z.string().min(1).max(200), auth_code: z.string().min(1).max(1_000) }).loose()

/** The third-party platform: its settings, and links by which accounts are connected with a QR code. */
export const platformRoutes: FastifyPluginAsyncZod<{ platforms: Platforms; accounts: Accounts }> = async (
  app,
  { platforms, accounts }
) => {
  /** The platform is every account's. */
  function mustHaveAll(caller: Caller): void {
    if (accountsOf(caller) !== null) throw new NotAllowed('only callers of all accounts may do that')
  }

  app.get(
    '/v1/platform',
    { onRequest: app.requireCaller({ scope: 'accounts:read' }), schema: { response: { 200: PlatformView } } },
    async (request, reply) => {
      mustHaveAll(request.caller)
      const { platform, rev } = await platforms.view()
      return reply.header('etag', etagOf(rev)).send(platform)
    }
  )

  app.patch(
    '/v1/platform',
    {
      onRequest: app.requireCaller({ scope: 'accounts:write', role: 'operator' }),
      schema: {
        description:
          'As entered in the console of the platform. Another appId withdraws the accounts of the one before.',
        headers,
        body: PlatformPatch,
        response: { 200: PlatformView }
      }
    },
    async (request, reply) => {
      mustHaveAll(request.caller)
      await platforms.patch(request.body, request.headers['if-match'])
      const { platform, rev } = await platforms.view()
      request.log.info({ appId: platform.appId }, 'the settings of the platform were changed')
      return reply.header('etag', etagOf(rev)).send(platform)
    }
  )

  app.post(
    '/v1/platform/authorizations',
    {
      onRequest: app.requireCaller({ scope: 'accounts:write', role: 'operator' }),
      schema: {
        description:
          "A link to WeChat's consent page, for one consent. With `accountId`: to update that account's permissions.",
        body: AuthorizationPost.optional(),
        response: { 200: AuthorizationLink }
      }
    },
    async (request) => {
      const { accountId, kind } = request.body ?? {}
      if (accountId === undefined) {
        mustHaveAll(request.caller)
        return platforms.links.make({ ...(kind && { kind }) })
      }
      const account = await accountFor(accounts, request.caller, accountId)
      if (account.connectedBy !== 'qr') throw new NotByQr()
      return platforms.links.make({ appId: account.appId, kind: account.kind })
    }
  )

  app.get(
    '/v1/platform/authorizations/return',
    {
      // Whoever comes here carries no token of ours but the link's own state.
      config: { public: true },
      schema: {
        description:
          'Where WeChat sends the administrator back to after the consent: a page, or JSON for who asks for it.',
        querystring,
        response: { 200: AuthorizationReturn }
      }
    },
    async (request, reply) => {
      const { state, auth_code: code } = request.query
      const page = (request.headers.accept ?? '').includes('text/html')
      // The address holds state and code: it goes nowhere else and is not kept.
      reply.header('referrer-policy', 'no-referrer').header('cache-control', 'no-store')
      const html = (status: number, text: string) =>
        reply
          .code(status as 200)
          .type('text/html; charset=utf-8')
          .send(text as never)
      try {
        const { id, appId, name, state: standing, disabledReason } = await platforms.links.back(state, code)
        request.log.info({ accountId: id, appId }, 'an administrator came back from the consent page')
        const answer = { accountId: id, appId, name, state: standing, disabledReason }
        return page ? html(200, returnPage(answer)) : reply.send(answer)
      } catch (error) {
        if (!page || !(error instanceof AppError)) throw error
        request.log.warn({ err: error }, 'an administrator came back from the consent page in vain')
        return html(error.status, failurePage(error.message))
      }
    }
  )
}

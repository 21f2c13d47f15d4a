import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod'
import { z } from 'zod'
import { Instant } from '../../shared/instant.js'
import { accountFor } from '../accounts/access.js'
import type { Accounts } from '../accounts/accounts.js'
import { targetOf } from '../accounts/target.js'
import type { Caller } from '../platform/auth.js'
import type { AccessToken, TokenCentre } from './access-token.js'

const params = z.object({ id: z.string() })
const TokenView = z.object({ token: z.string(), expiresAt: Instant })

/**
 * The account's access token, for other systems that call WeChat with it: WeChat knows one token per account, so two
 * who fetch their own undo each other. `{id}` is our id or the appId.
 */
export const tokenRoutes: FastifyPluginAsyncZod<{
  accounts: Pick<Accounts, 'get'>
  tokens: Pick<TokenCentre, 'current' | 'refresh'>
}> = async (app, { accounts, tokens }) => {
  const allowed = async (caller: Caller, idOrAppId: string) => targetOf(await accountFor(accounts, caller, idOrAppId))
  const view = ({ token, expiresAt }: AccessToken) => ({ token, expiresAt })

  app.get(
    '/v1/accounts/:id/token',
    {
      // Whoever holds it is the account: more than reading.
      onRequest: app.requireCaller({ scope: 'tokens:read', role: 'owner' }),
      schema: {
        description: 'The token to use now. Keep it for a minute at most: it may be replaced at any time.',
        params,
        response: { 200: TokenView }
      }
    },
    async (request, reply) => {
      const target = await allowed(request.caller, request.params.id)
      const token = await tokens.current(target)
      request.log.info({ accountId: target.accountId, gen: token.gen }, 'an access token was handed out')
      return reply.header('cache-control', 'no-store').send(view(token))
    }
  )

  app.post(
    '/v1/accounts/:id/token/refresh',
    {
      onRequest: app.requireCaller({ scope: 'tokens:refresh', role: 'owner' }),
      schema: {
        description:
          'The token after `failedToken` was refused: a new one, fetched only if that one is still the newest. Call it for 40001, 40014 and 42001 alone. 429 `tokens.too-fresh`: it is less than 30 s old; ask WeChat once more with it first.',
        params,
        body: z.strictObject({ failedToken: z.string().min(1).max(512) }),
        response: { 200: TokenView }
      }
    },
    async (request, reply) => {
      const target = await allowed(request.caller, request.params.id)
      const token = await tokens.refresh(target, request.body.failedToken)
      request.log.info({ accountId: target.accountId, gen: token.gen }, 'an access token was asked to be replaced')
      return reply.header('cache-control', 'no-store').send(view(token))
    }
  )
}

import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod'
import { z } from 'zod'
import { accountFor } from '../accounts/access.js'
import type { Accounts } from '../accounts/accounts.js'
import { accountView } from '../accounts/account.js'
import type { Clock } from '../platform/clock.js'
import { Conflict } from '../platform/errors.js'
import { randomToken } from '../platform/ids.js'
import { signature } from '../wechat/callback.js'

const TIMEOUT_MS = 5_000
const Knock = z.object({
  /** Did our own address answer as WeChat wants it to? */
  ok: z.boolean(),
  url: z.string(),
  /** The status it answered with; null: nobody answered. */
  status: z.int().nullable(),
  detail: z.string().nullable()
})

/** Asks an account's push address as WeChat does when it is entered there, signed with `token` at `now`. */
export async function knock(
  url: string,
  token: string,
  now: Date,
  timeoutMs = TIMEOUT_MS
): Promise<Pick<z.output<typeof Knock>, 'ok' | 'status' | 'detail'>> {
  const [timestamp, nonce, echostr] = [String(Math.floor(now.getTime() / 1000)), randomToken(6), randomToken(12)]
  const query = new URLSearchParams({ signature: signature(token, timestamp, nonce), timestamp, nonce, echostr })
  try {
    const answer = await fetch(`${url}?${query}`, { signal: AbortSignal.timeout(timeoutMs), redirect: 'manual' })
    const ok = (await answer.text()) === echostr && answer.ok
    return { ok, status: answer.status, detail: ok ? null : 'it answered something else than WeChat waits for' }
  } catch (error) {
    const { cause, message } = error as Error & { cause?: { code?: string } }
    return { ok: false, status: null, detail: cause?.code ?? message }
  }
}

/** Whether an account's pushes can arrive: asked from here, the way WeChat asks when the address is entered there. */
export const knockRoutes: FastifyPluginAsyncZod<{ accounts: Accounts; clock: Clock }> = async (
  app,
  { accounts, clock }
) => {
  app.post(
    '/v1/accounts/:id/callback/test',
    {
      onRequest: app.requireCaller({ scope: 'accounts:write', role: 'operator' }),
      schema: {
        description:
          'Asks the account’s push address from here, signed as WeChat signs its check of the address. WeChat comes from outside: a yes says that token and path are right.',
        params: z.object({ id: z.string().max(64) }),
        response: { 200: Knock },
        tags: ['accounts']
      }
    },
    async (request) => {
      const account = await accountFor(accounts, request.caller, request.params.id)
      const { token } = account.callback
      if (token === null || account.connectedBy === 'qr') {
        throw new Conflict('this account has no token of its own: WeChat’s pushes come through the platform, or not', {
          code: 'callback.no-token'
        })
      }
      const { url } = accountView(account).callback
      return { url, ...(await knock(url, token, clock.now())) }
    }
  )
}

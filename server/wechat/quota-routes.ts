import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod'
import { z } from 'zod'
import { CHANNELS } from '../../shared/channels.js'
import { TemplateKind } from '../../shared/template.js'
import { accountFor } from '../accounts/access.js'
import type { Accounts } from '../accounts/accounts.js'
import { targetOf } from '../accounts/target.js'
import type { WechatApi } from './api.js'
import { expectOk } from './expect-ok.js'

const params = z.object({ id: z.string() })
const QuotaView = z.object({
  interfaces: z.array(
    z.object({
      interface: TemplateKind,
      path: z.string(),
      /** Calls a day, as WeChat counts them: from 00:00 Asia/Shanghai. */
      perDay: z.int(),
      used: z.int(),
      left: z.int()
    })
  )
})

/** WeChat's own word on how much an account may still send today, and having its counters cleared. */
export const quotaRoutes: FastifyPluginAsyncZod<{
  accounts: Pick<Accounts, 'get'>
  quota: WechatApi['quota']
  /** The send call of each interface. */
  paths: Readonly<Record<TemplateKind, string>>
  /** Hears that the counters of an account start afresh. */
  cleared: (accountId: string) => Promise<void>
}> = async (app, { accounts, quota, paths, cleared }) => {
  app.get(
    '/v1/accounts/:id/quota',
    {
      onRequest: app.requireCaller({ scope: 'accounts:read' }),
      schema: {
        description: "WeChat's quota of the day for each way of sending; asked there at each call.",
        params,
        response: { 200: QuotaView }
      }
    },
    async (request) => {
      const account = await accountFor(accounts, request.caller, request.params.id)
      const asked = CHANNELS[account.kind].map(async (name) => {
        const { daily_limit, used, remain } = expectOk(await quota.get(targetOf(account), paths[name])).quota
        return { interface: name, path: paths[name], perDay: daily_limit, used, left: remain }
      })
      return { interfaces: await Promise.all(asked) }
    }
  )

  app.post(
    '/v1/accounts/:id/quota/clear',
    {
      onRequest: app.requireCaller({ scope: 'accounts:write', role: 'operator' }),
      schema: {
        description:
          "Zeroes the day's counters of all calls; WeChat allows it 10 times a month. What 45009 had stopped goes on.",
        params,
        response: { 204: z.null() }
      }
    },
    async (request, reply) => {
      const account = await accountFor(accounts, request.caller, request.params.id)
      expectOk(await quota.clear(targetOf(account)))
      await cleared(account.id)
      request.log.warn({ accountId: account.id }, "WeChat's counters of the account were cleared")
      return reply.code(204).send(null)
    }
  )
}

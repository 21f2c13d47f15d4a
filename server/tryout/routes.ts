import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod'
import { z } from 'zod'
import { accountsOf } from '../platform/auth.js'
import { NotAllowed } from '../platform/errors.js'
import type { Tryout } from './tryout.js'

const TryoutView = z.object({
  /** Where the local WeChat is; null: none runs in the process that answered. */
  url: z.string().nullable(),
  /** A visitor of its shop, whose phone can be looked at there. */
  phone: z.object({ appId: z.string(), openId: z.string() }).nullable()
})

/** Trying it all without an account of one's own. */
export const tryoutRoutes: FastifyPluginAsyncZod<{ tryout: Tryout }> = async (app, { tryout }) => {
  const tags = ['tryout']
  app.get(
    '/v1/tryout',
    { onRequest: app.requireOperator('viewer'), schema: { response: { 200: TryoutView }, tags } },
    async (request) => {
      // The page of the phone talks to us at the address the console was opened at.
      await tryout.letIn(`${request.protocol}://${request.host}`)
      return { url: tryout.where(), phone: tryout.phone() }
    }
  )
  app.post(
    '/v1/tryout',
    {
      onRequest: app.requireOperator('owner'),
      schema: {
        description:
          'Starts a local WeChat in this process and connects its two accounts, with invented people, rights to send, audiences and campaigns, one of them running. Asked again, it says where it is.',
        response: { 200: TryoutView },
        tags
      }
    },
    async (request) => {
      if (accountsOf(request.caller) !== null) throw new NotAllowed('only callers of all accounts may add some')
      return { ...(await tryout.begin()), phone: tryout.phone() }
    }
  )
}

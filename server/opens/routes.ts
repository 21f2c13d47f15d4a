import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod'
import { z } from 'zod'
import type { Opens } from './opens.js'

/** The way a card's link takes through this server; anybody who holds the link may follow it. */
export const openRoutes: FastifyPluginAsyncZod<{ opens: Opens }> = async (app, { opens }) => {
  app.get(
    '/o/:tag',
    {
      config: { public: true },
      schema: { params: z.object({ tag: z.string() }), response: { 302: z.null() }, tags: ['opens'] }
    },
    async (request, reply) => {
      // A HEAD is a look at the link, by a crawler mostly; nobody has seen the page.
      const url = await opens.follow(request.params.tag, request.method === 'GET')
      return reply.code(302).header('location', url).header('cache-control', 'no-store').send(null)
    }
  )
}

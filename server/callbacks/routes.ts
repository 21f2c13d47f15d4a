import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod'
import { z } from 'zod'
import type { PushQuery } from '../wechat/callback.js'
import type { Callbacks } from './callbacks.js'

/** What the third-party platform itself is pushed: tickets, and who authorised it or no longer does. */
type PlatformPushes = {
  handshake(query: PushQuery): Promise<string>
  receive(query: PushQuery, body: string, contentType: string): Promise<'stored' | 'duplicate'>
}

/** A push in compatible mode carries everything twice; user messages hold a few KB at most. */
const BODY_LIMIT = 256 * 1024

const params = z.object({ appId: z.string().max(32) })
// A parameter given twice is nobody's signature; the check below then fails as it should.
const text = z.string().optional().catch(undefined)
const querystring = z.object({
  signature: text,
  timestamp: text,
  nonce: text,
  msg_signature: text,
  encrypt_type: text,
  echostr: text
})

/** Where WeChat pushes to. No token of ours guards it: each request carries WeChat's own signature. */
export const callbackRoutes: FastifyPluginAsyncZod<{ callbacks: Callbacks; platform?: PlatformPushes }> = async (
  app,
  { callbacks, platform }
) => {
  // The signature is checked before a body is believed, so bodies arrive here as they came, whatever type they claim.
  app.removeAllContentTypeParsers()
  app.addContentTypeParser('*', { parseAs: 'string', bodyLimit: BODY_LIMIT }, (_request, body, done) =>
    done(null, body)
  )

  app.get(
    '/callback/:appId',
    { config: { public: true }, schema: { params, querystring, hide: true } },
    async (request, reply) => {
      const echo = await callbacks.handshake(request.params.appId, given(request.query))
      return reply.type('text/plain; charset=utf-8').send(echo)
    }
  )

  app.post(
    '/callback/:appId',
    { config: { public: true }, bodyLimit: BODY_LIMIT, schema: { params, querystring, hide: true } },
    async (request, reply) => {
      const body = typeof request.body === 'string' ? request.body : ''
      const { appId } = request.params
      const verdict = await callbacks.receive(appId, given(request.query), body, request.headers['content-type'] ?? '')
      request.log.debug({ appId, verdict }, 'a push was received')
      return reply.type('text/plain; charset=utf-8').send('success')
    }
  )

  if (platform === undefined) return
  app.get(
    '/platform/callback',
    { config: { public: true }, schema: { querystring, hide: true } },
    async (request, reply) => {
      const echo = await platform.handshake(given(request.query))
      return reply.type('text/plain; charset=utf-8').send(echo)
    }
  )

  app.post(
    '/platform/callback',
    { config: { public: true }, bodyLimit: BODY_LIMIT, schema: { querystring, hide: true } },
    async (request, reply) => {
      const body = typeof request.body === 'string' ? request.body : ''
      const verdict = await platform.receive(given(request.query), body, request.headers['content-type'] ?? '')
      request.log.debug({ verdict }, 'a push to the platform was received')
      return reply.type('text/plain; charset=utf-8').send('success')
    }
  )
}

/** Only what was there. */
const given = (query: z.output<typeof querystring>): PushQuery =>
  Object.fromEntries(Object.entries(query).filter(([, value]) => value !== undefined))

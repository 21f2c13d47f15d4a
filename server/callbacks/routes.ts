import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod'
import { z } from 'zod'
import type { PushQuery } from '../wechat/callback.js'
import type { Callbacks } from './callbacks.js'
import { RELAYED_HEADER, type RawPush, type Relayed } from './relay.js'

/** Who is pushed to at one address. */
type Pushed = {
  handshake(query: PushQuery): Promise<string>
  receive(query: PushQuery, body: string, contentType: string): Promise<'stored' | 'duplicate'>
  /** Passes what was received on; its answer in place of ours. */
  relay?(push: RawPush, elapsedMs: number): Promise<Relayed>
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

/**
 * Where WeChat pushes to: an address for each account, and one for what the third-party platform itself is told (tickets,
 * who authorised it or no longer does). No token of ours guards them: each request carries WeChat's own signature.
 */
export const callbackRoutes: FastifyPluginAsyncZod<{ callbacks: Callbacks; platform: Pushed }> = async (
  app,
  { callbacks, platform }
) => {
  // The signature is checked before a body is believed, so bodies arrive here as they came, whatever type they claim.
  app.removeAllContentTypeParsers()
  app.addContentTypeParser('*', { parseAs: 'string', bodyLimit: BODY_LIMIT }, (_request, body, done) =>
    done(null, body)
  )

  // WeChat is not turned away for a type that is none.
  app.addHook('onRequest', async ({ headers }) => {
    if (headers['content-type']?.includes('/') === false) headers['content-type'] = 'text/plain'
  })

  function address(url: string, params: z.ZodType<{ appId?: string }>, pushed: (appId: string) => Pushed): void {
    const config = { public: true }
    app.get(url, { config, schema: { params, querystring, hide: true } }, async (request, reply) => {
      const echo = await pushed(request.params.appId ?? '').handshake(given(request.query))
      return reply.type('text/plain; charset=utf-8').send(echo)
    })
    app.post(
      url,
      { config, bodyLimit: BODY_LIMIT, schema: { params, querystring, hide: true } },
      async (request, reply) => {
        const body = typeof request.body === 'string' ? request.body : ''
        const { appId = '' } = request.params
        const type = request.headers['content-type'] ?? ''
        const to = pushed(appId)
        const verdict = await to.receive(given(request.query), body, type)
        const search = request.url.split('?').slice(1).join('?')
        const raw = { search, body, contentType: type, relayed: request.headers[RELAYED_HEADER] !== undefined }
        const relayed = await to.relay?.(raw, reply.elapsedTime)
        request.log.debug({ url, appId, verdict, relay: relayed?.outcome }, 'a push was received')
        const answer = relayed?.reply ?? { text: 'success', type: 'text/plain; charset=utf-8' }
        return reply.type(answer.type).send(answer.text)
      }
    )
  }

  address('/callback/:appId', params, (appId) => ({
    handshake: (query) => callbacks.handshake(appId, query),
    receive: (query, body, type) => callbacks.receive(appId, query, body, type),
    relay: (push, elapsedMs) => callbacks.relay(appId, push, elapsedMs)
  }))
  address('/platform/callback', z.object({}), () => platform)
}

/** Only what was there. */
const given = (query: z.output<typeof querystring>): PushQuery =>
  Object.fromEntries(Object.entries(query).filter(([, value]) => value !== undefined))

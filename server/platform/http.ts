import cookie from '@fastify/cookie'
import jwt from '@fastify/jwt'
import Fastify, { LogController, type FastifyBaseLogger, type FastifyInstance } from 'fastify'
import { serializerCompiler, validatorCompiler } from 'fastify-type-provider-zod'
import { newId } from './ids.js'
import type { Log } from './log.js'
import { installProblems } from './problem.js'

/** 500 items of a batch with everything filled in stay below this. */
const BODY_LIMIT = 2 * 1024 * 1024

/** The bare server: schemas by zod, errors as problem documents, cookies and signed tokens; no route yet. */
export async function createHttp({
  log,
  tokenKey,
  trustProxy
}: {
  log: Log
  tokenKey: Buffer
  trustProxy: boolean
}): Promise<FastifyInstance> {
  const app: FastifyInstance = Fastify({
    loggerInstance: log as FastifyBaseLogger,
    // Two lines a request would be most of the log; what matters is logged by the rooms.
    logController: new LogController({ disableRequestLogging: true }),
    bodyLimit: BODY_LIMIT,
    trustProxy,
    genReqId: newId,
    requestIdHeader: false,
    forceCloseConnections: 'idle',
    routerOptions: { maxParamLength: 200 }
  })
  app.setValidatorCompiler(validatorCompiler)
  app.setSerializerCompiler(serializerCompiler)
  installProblems(app)
  app.addHook('onSend', async (request, reply, payload) => {
    void reply.header('x-request-id', request.id)
    void reply.header('x-content-type-options', 'nosniff')
    return payload
  })
  // JSON alone; a route that takes anything else (WeChat's pushes) adds its own parser where it is registered.
  app.removeAllContentTypeParsers()
  // An empty JSON body is what many clients send with a POST that takes none.
  app.addContentTypeParser('application/json', { parseAs: 'string' }, (request, body, done) => {
    if (body === '') return done(null, undefined)
    parseJson(request, body as string, done)
  })
  const parseJson = app.getDefaultJsonParser('error', 'error')
  await app.register(cookie)
  await app.register(jwt, { secret: tokenKey, sign: { algorithm: 'HS256' }, verify: { algorithms: ['HS256'] } })
  return app
}

import cookie from '@fastify/cookie'
import jwt from '@fastify/jwt'
import Fastify, { LogController, type FastifyBaseLogger, type FastifyInstance } from 'fastify'
import { serializerCompiler, validatorCompiler } from 'fastify-type-provider-zod'
import { newId } from './ids.js'
import { installJson } from './json-body.js'
import type { Log } from './log.js'
import { installProblems } from './problem.js'
import { installUnroutable, markAnswer, unroutable } from './unroutable.js'

/** 500 items of a batch with everything filled in stay below this. */
const BODY_LIMIT = 2 * 1024 * 1024

/** For a request to arrive whole, on the slowest of phones: who says half a request and no more is hung up on. */
const REQUEST_TIMEOUT_MS = 120_000

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
    requestTimeout: REQUEST_TIMEOUT_MS,
    trustProxy,
    genReqId: newId,
    requestIdHeader: false,
    forceCloseConnections: 'idle',
    routerOptions: { maxParamLength: 200 },
    ...unroutable
  })
  app.setValidatorCompiler(validatorCompiler)
  app.setSerializerCompiler(serializerCompiler)
  installProblems(app)
  installUnroutable(app)
  app.addHook('onSend', async (request, reply, payload) => {
    markAnswer(request, reply)
    return payload
  })
  installJson(app)
  await app.register(cookie)
  await app.register(jwt, { secret: tokenKey, sign: { algorithm: 'HS256' }, verify: { algorithms: ['HS256'] } })
  return app
}

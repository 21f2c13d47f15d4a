import type { FastifyError, FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { STATUS_CODES, type IncomingMessage, type ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import type { Problem } from '../../shared/problem.js'
import { AppError } from './errors.js'
import { newId } from './ids.js'
import { languageOf } from './language.js'
import { answerError, problemDocument } from './problem.js'

/** What Node's parser says of a request it could not read; anything else is simply malformed. */
const PARSER_CODES: Record<string, { status: number; code: string; detail: string }> = {
  HPE_HEADER_OVERFLOW: { status: 431, code: 'request.headers-too-large', detail: 'the headers are too large' },
  HPE_CHUNK_EXTENSIONS_OVERFLOW: {
    status: 413,
    code: 'request.too-large',
    detail: 'the chunk extensions are too large'
  },
  ERR_HTTP_REQUEST_TIMEOUT: { status: 408, code: 'request.timeout', detail: 'the request did not arrive in time' }
}
const MALFORMED = { status: 400, code: 'request.malformed', detail: 'this is not an HTTP request' }

/** This process is on its way out; another one, or the next start, will take the request. */
class Stopping extends AppError {
  readonly status = 503
  constructor() {
    super('server.stopping', 'the server is stopping; try again')
  }
}

/** HTTP/1.1 demands a Host header. */
class NoHost extends AppError {
  readonly status = 400
  constructor() {
    super('request.malformed', 'the Host header is missing')
  }
}

/**
 * The settings by which requests that never reach a route are answered like all others, by a problem document: a path
 * the router cannot take, a request the parser cannot read, one that comes while the server stops.
 */
export const unroutable = {
  frameworkErrors(error: FastifyError, request: FastifyRequest, reply: FastifyReply): void {
    // The hooks that set these for every other answer do not run here.
    void answerError(error, request, markAnswer(request, reply))
  },

  clientErrorHandler(error: Error & { code?: string }, socket: Socket): void {
    if (error.code === 'ECONNRESET' || !socket.writable) return void socket.destroy()
    const { status, code, detail } = PARSER_CODES[error.code ?? ''] ?? MALFORMED
    const problem = problemDocument({ status, code, detail, requestId: newId(), language: 'en' })
    const head = Object.entries(headersOf(problem)).map(([name, value]) => `${name}: ${value}\r\n`)
    const body = JSON.stringify(problem)
    // Ended before it is destroyed: a reset would take the answer with it.
    socket.end(`HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\n${head.join('')}\r\n${body}`, () => socket.destroy())
  },

  return503OnClosing: false,
  http: { requireHostHeader: false }
} as const

/** The rest of `unroutable`, which needs the server to be there. */
export function installUnroutable(app: FastifyInstance): void {
  let stopping = false
  app.addHook('preClose', (done) => {
    stopping = true
    done()
  })
  app.addHook('onRequest', (request, _reply, done) => {
    if (stopping) done(new Stopping())
    else if (request.headers.host === undefined && request.raw.httpVersion === '1.1') done(new NoHost())
    else done()
  })
  app.server.on('checkExpectation', (request: IncomingMessage, response: ServerResponse) => {
    const problem = problemDocument({
      status: 417,
      code: 'request.expectation',
      detail: 'no Expect but 100-continue is understood',
      requestId: newId(),
      language: languageOf(request.headers['accept-language'])
    })
    response.writeHead(417, headersOf(problem)).end(JSON.stringify(problem))
  })
}

/** The headers every answer carries. */
export function markAnswer(request: FastifyRequest, reply: FastifyReply): FastifyReply {
  return reply.header('x-request-id', request.id).header('x-content-type-options', 'nosniff')
}

const headersOf = (problem: Problem) => ({
  'content-type': 'application/problem+json; charset=utf-8',
  'content-length': Buffer.byteLength(JSON.stringify(problem)),
  'x-request-id': problem.requestId,
  'x-content-type-options': 'nosniff',
  connection: 'close'
})

import { Agent, type Dispatcher } from 'undici'
import type { z } from 'zod'
import { parseJson } from './json.js'

/** One HTTP call to a WeChat host. `query` values are encoded here; of `json` and `form` at most one is given. */
export type WechatRequest<Body = any> = {
  /** `https://api.weixin.qq.com`, another official host, or the sandbox; may carry a path prefix. */
  base: string
  method: 'GET' | 'POST'
  /** Starts with `/`. */
  path: string
  query?: Record<string, string | number | undefined>
  json?: unknown
  /** Pairs in order, sent as application/x-www-form-urlencoded. */
  form?: readonly (readonly [string, string])[]
  /** What an answer with errcode 0 has to hold; one that does not is no answer. */
  shape?: z.ZodType<Body>
  /** Calls that name the same account take turns beyond `maxPerAccount`; a send has its own slot and names none. */
  account?: string
  /** The longest the whole call may take, queueing and connecting included; the client's own limit when absent. */
  timeoutMs?: number
}

/** WeChat said something in JSON. `errcode` 0 means ok, also when the answer carried none. */
export type WechatAnswer<Body = any> = {
  kind: 'answer'
  errcode: number
  /** As received, the trace mark included: never compare it, decide on `errcode`. */
  errmsg: string
  /** WeChat's mark of this call (`rid`, or the older `hint`), to be looked up within 7 days. */
  rid: string | null
  /** Whole numbers beyond 2^53 are strings. */
  body: Body
  httpStatus: number
  ms: number
}

/**
 * What became of a call, as a value:
 * - `answer`: WeChat answered;
 * - `notSent`: not one byte of the request was written (DNS, connect, TLS, no free connection in time);
 * - `refused`: an HTTP server turned it away with 3xx or 4xx; redirects are never followed;
 * - `noAnswer`: the request may have been carried out and nobody knows (reset, timeout, 5xx, not JSON, cut off, too big,
 *   not what the call promises).
 */
export type WechatResult<Body = any> =
  | WechatAnswer<Body>
  | { kind: 'notSent'; reason: string; ms: number }
  | { kind: 'refused'; reason: string; httpStatus: number; ms: number }
  | { kind: 'noAnswer'; reason: string; httpStatus?: number; ms: number }

/** What the client writes to; pino fits. Paths and outcomes only: no query, body, token or secret. */
export type WechatLog = {
  debug(fields: object, message: string): void
  warn(fields: object, message: string): void
}

/** Speaks HTTP to WeChat. Never throws. */
export type WechatClient = {
  call<Body = any>(request: WechatRequest<Body>): Promise<WechatResult<Body>>
  /** Waits for what is in flight, then closes the connections this client opened itself. */
  close(): Promise<void>
}

export type WechatClientOptions = {
  /** Where requests go instead of the client's own pool: undici's MockAgent, or a shared Agent. */
  dispatcher?: Dispatcher
  connectTimeoutMs?: number
  headersTimeoutMs?: number
  bodyTimeoutMs?: number
  /** Bounds the whole call; the sender's fire check counts on it. */
  totalTimeoutMs?: number
  maxBodyBytes?: number
  /** Calls in flight of one account at most, of those that name it; the others wait and count as not sent meanwhile. */
  maxPerAccount?: number
  /** Connections per origin; calls beyond it queue and count as not sent until written. */
  connections?: number
  log?: WechatLog
}

const JSON_HEADERS = ['content-type', 'application/json; charset=utf-8']
const FORM_HEADERS = ['content-type', 'application/x-www-form-urlencoded']
const NO_HEADERS: string[] = []

/**
 * A client over keep-alive connections, one request at a time on each, HTTP/1.1 only (HTTP/2 measured slower and
 * stalling). Limits default to connect 3 s, headers and body 8 s, whole call 10 s, body 4 MiB, 1,000 connections,
 * 50 calls at once per account named.
 */
export function createWechatClient(options: WechatClientOptions = {}): WechatClient {
  const { connectTimeoutMs = 3_000, headersTimeoutMs = 8_000, bodyTimeoutMs = 8_000, totalTimeoutMs = 10_000 } = options
  const { maxBodyBytes = 4 * 1024 * 1024, connections = 1_000, maxPerAccount = 50, log } = options
  const own = options.dispatcher
    ? null
    : new Agent({
        connections,
        pipelining: 1,
        allowH2: false,
        connect: { timeout: connectTimeoutMs },
        headersTimeout: headersTimeoutMs,
        bodyTimeout: bodyTimeoutMs,
        // A socket the server is about to close turns a send into doubt; idle ones go early.
        keepAliveTimeout: 4_000,
        keepAliveMaxTimeout: 30_000
      })
  const dispatcher = options.dispatcher ?? own!
  const bases = new Map<string, { origin: string; prefix: string }>()
  const turns = createTurns(maxPerAccount)

  function baseOf(base: string) {
    let known = bases.get(base)
    if (known === undefined) {
      const url = new URL(base)
      known = { origin: url.origin, prefix: url.pathname.replace(/\/+$/, '') }
      bases.set(base, known)
    }
    return known
  }

  /** The wire form of a request; throws on a base that is no URL or a body that cannot be written as JSON. */
  function wireForm(request: WechatRequest): Dispatcher.DispatchOptions {
    const { origin, prefix } = baseOf(request.base)
    const form = request.form
    const body = request.json !== undefined ? JSON.stringify(request.json) : form ? formText(form) : null
    const headers = request.json !== undefined ? JSON_HEADERS : form ? FORM_HEADERS : NO_HEADERS
    return {
      origin,
      path: prefix + request.path + queryText(request.query),
      method: request.method,
      headers,
      body,
      headersTimeout: request.timeoutMs ?? headersTimeoutMs,
      bodyTimeout: request.timeoutMs ?? bodyTimeoutMs
    }
  }

  function note(request: WechatRequest, result: WechatResult) {
    if (log === undefined || (result.kind === 'answer' && result.errcode === 0)) return
    const fields = { path: request.path, ms: Math.round(result.ms), kind: result.kind }
    if (result.kind === 'answer') log.debug({ ...fields, errcode: result.errcode, rid: result.rid }, 'wechat said no')
    else log.warn({ ...fields, reason: result.reason }, 'wechat call came to nothing')
  }

  return {
    call(request) {
      return new Promise((resolve) => {
        const begin = performance.now()
        let wire: Dispatcher.DispatchOptions
        try {
          wire = wireForm(request)
        } catch (error) {
          resolve({ kind: 'notSent', reason: reasonOf(error), ms: 0 })
          return
        }

        let leave: (() => void) | null = null
        let started = false
        let settled = false
        let status = 0
        let size = 0
        let chunks: Buffer[] = []
        let running: Dispatcher.DispatchController | undefined

        const settle = (result: WechatResult) => {
          if (settled) return
          settled = true
          clearTimeout(timer)
          leave?.()
          chunks = []
          note(request, result)
          resolve(result)
        }
        const since = () => performance.now() - begin
        const fail = (reason: string) => {
          if (!started) settle({ kind: 'notSent', reason, ms: since() })
          else if (status >= 300 && status < 500) settle({ kind: 'refused', reason, httpStatus: status, ms: since() })
          else settle({ kind: 'noAnswer', reason, ...(status > 0 && { httpStatus: status }), ms: since() })
        }
        const giveUp = (reason: string) => {
          fail(reason)
          running?.abort(new Error(reason))
        }
        const timer = setTimeout(
          () => giveUp(started ? 'timeout: no whole answer in time' : 'timeout: no connection in time'),
          request.timeoutMs ?? totalTimeoutMs
        )

        const handler: Dispatcher.DispatchHandler = {
          // Called right before the first byte is written: the line between "not sent" and "may have gone out".
          onRequestStart(controller) {
            if (settled) throw new Error('given up before it was written')
            if (started) throw new Error('a request is written once only')
            started = true
            running = controller
          },
          onResponseStart(_controller, statusCode) {
            if (statusCode >= 200) status = statusCode
          },
          onResponseData(_controller, chunk) {
            if (settled) return
            size += chunk.length
            if (size > maxBodyBytes) giveUp(`answer longer than ${maxBodyBytes} bytes`)
            else if (status < 300) chunks.push(chunk)
          },
          onResponseEnd() {
            if (settled) return
            if (status >= 300) return fail(`HTTP ${status}`)
            const text = (chunks.length === 1 ? chunks[0]! : Buffer.concat(chunks)).toString('utf8')
            const answer = readAnswer(text, status)
            if (answer === null) fail(text === '' ? 'empty answer' : `answer of ${size} bytes is not a JSON object`)
            else if (answer.errcode !== 0 || request.shape === undefined) settle({ ...answer, ms: since() })
            else {
              const read = request.shape.safeParse(answer.body)
              if (read.success) settle({ ...answer, body: read.data, ms: since() })
              else fail(`answer without what it promises: ${misfit(read.error)}`)
            }
          },
          onResponseError(_controller, error) {
            fail(reasonOf(error))
          }
        }
        const dispatch = () => {
          try {
            dispatcher.dispatch(wire, handler)
          } catch (error) {
            fail(reasonOf(error))
          }
        }
        if (request.account === undefined) return dispatch()
        leave = turns.enter(request.account, dispatch)
        if (settled) leave()
      })
    },
    async close() {
      await own?.close()
    }
  }
}

/** Runs at most `most` things of one name at once; the others wait, first come first served. */
function createTurns(most: number) {
  const queues = new Map<string, { running: number; waiting: (() => void)[] }>()

  return {
    /** Calls `go` when there is room, perhaps at once. The answer gives the place (or the place in the queue) up. */
    enter(name: string, go: () => void): () => void {
      let queue = queues.get(name)
      if (queue === undefined) queues.set(name, (queue = { running: 0, waiting: [] }))
      const { waiting } = queue
      const mine = queue
      let state: 'waiting' | 'running' | 'left' = 'waiting'
      const start = () => {
        mine.running += 1
        state = 'running'
        go()
      }
      const leave = () => {
        if (state === 'waiting') waiting.splice(waiting.indexOf(start), 1)
        else if (state === 'running') mine.running -= 1
        const next = state === 'running' ? waiting.shift() : undefined
        state = 'left'
        if (next !== undefined) next()
        else if (mine.running === 0 && waiting.length === 0) queues.delete(name)
      }
      if (mine.running < most) start()
      else waiting.push(start)
      return leave
    }
  }
}

/** The answer in a body, without its duration; null when it is not a JSON object or its errcode is no whole number. */
function readAnswer(text: string, httpStatus: number): Omit<WechatAnswer, 'ms'> | null {
  let body: any
  try {
    body = parseJson(text.charCodeAt(0) === 0xfeff ? text.slice(1) : text)
  } catch {
    return null
  }
  if (typeof body !== 'object' || body === null || Array.isArray(body)) return null
  const errcode = body.errcode === undefined || body.errcode === null ? 0 : Number(body.errcode)
  if (!Number.isInteger(errcode)) return null
  const errmsg = typeof body.errmsg === 'string' ? body.errmsg : ''
  return { kind: 'answer', errcode, errmsg, rid: traceMark(errmsg), body, httpStatus }
}

/** Where an answer is not what it should be, and how; never with what. */
function misfit({ issues }: z.ZodError): string {
  return issues
    .slice(0, 3)
    .map(({ path, code }) => `${path.join('.') || 'all of it'} ${code}`)
    .join(', ')
}

/** `... rid: 8-8-8 hex` today, `hint: [Ab12]` until 2020, `req_id: x` under /sns/. */
function traceMark(errmsg: string): string | null {
  if (errmsg.length < 10) return null
  const found = /\brid: ?([\w-]{8,})|\breq_id: ?([\w-]+)|\bhints?: ?\[ ?([\w-]+) ?\]/.exec(errmsg)
  return found ? (found[1] ?? found[2] ?? found[3] ?? null) : null
}

function queryText(query: WechatRequest['query']): string {
  if (query === undefined) return ''
  let text = ''
  for (const name in query) {
    const value = query[name]
    if (value !== undefined) text += `${text === '' ? '?' : '&'}${name}=${encodeURIComponent(value)}`
  }
  return text
}

function formText(form: NonNullable<WechatRequest['form']>): string {
  return form.map(([name, value]) => `${encodeURIComponent(name)}=${encodeURIComponent(value)}`).join('&')
}

/** A short cause. Errors may quote the path they failed on, so what is secret in a query is blanked. */
function reasonOf(error: unknown): string {
  const code = (error as NodeJS.ErrnoException | null)?.code
  const message = error instanceof Error ? error.message : String(error)
  const text = code && !message.includes(code) ? `${code}: ${message}` : message || code || 'unknown'
  return text.replace(/\b(access_token|secret|appsecret|js_code)=[^&\s'"]+/g, '$1=***').slice(0, 300)
}

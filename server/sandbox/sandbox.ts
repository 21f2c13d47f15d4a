import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { randomInt } from 'node:crypto'
import type { ControlAnswer } from './control-api.js'
import { createApps } from './apps.js'
import { createControls, type Controls } from './controls.js'
import { createLedger } from './ledger.js'
import { statePage } from './page.js'
import { isForeignPage } from './same-site.js'
import { PAGE_HEADERS, pageFile } from './phone/files.js'
import { createPlatforms } from './platforms.js'
import { createPushes } from './pushes.js'
import { createRoutes } from './routes.js'
import { createRules, type Rule } from './rules.js'
import { createTokens } from './tokens.js'
import { createWechat, type Incoming, type Wechat } from './wechat.js'
import { createWorld, type Answer, type World } from './world.js'

/** How to start a sandbox; everything is optional. */
export interface SandboxOptions {
  /** 0 (default): any free port. */
  port?: number
  /** Default 127.0.0.1: the control API has no password. */
  host?: string
  /** Same seed, same ids and faults; by default another one each start, so that ids of two starts never meet in one database. */
  seed?: number
  /** Time each WeChat answer takes; default 200–500 ms. The control API answers at once. */
  latency?: { minMs: number; maxMs: number }
  /** Servers the phone page may call; the control API changes them. None by default. */
  requestDomains?: readonly string[]
  /** Base of the movable clock, milliseconds since 1970. */
  now?: () => number
  log?: (line: string) => void
}

/** A running sandbox. */
export interface Sandbox {
  /** `http://host:port`, to be used in place of https://api.weixin.qq.com. */
  url: string
  port: number
  /** The control API's verbs, without HTTP. */
  controls: Controls
  requests: Wechat['requests']
  world: World
  /** Stops listening, cuts every connection, drops pushes that wait. */
  close(): Promise<void>
}

const JSON_TYPE = 'application/json; encoding=utf-8'
const BODY_MAX = 1_048_576
const CONTROL_BODY_MAX = 64 * 1_048_576
const HTML =
  '<html><head><title>502 Bad Gateway</title></head><body><center><h1>502 Bad Gateway</h1></center></body></html>'
const DRIP_MS = 250
const TICK_MS = 10_000

const isPhone = (path: string) => path === '/phone' || path.startsWith('/phone/')

/** Starts a local WeChat. @throws the listen error, e.g. EADDRINUSE when the port is taken. */
export async function createSandbox(options: SandboxOptions = {}): Promise<Sandbox> {
  const { port = 0, host = '127.0.0.1', seed = randomInt(2 ** 32), now = Date.now, requestDomains = [], log } = options
  const latency = { minMs: 200, maxMs: 500, ...options.latency }
  const world = createWorld({ seed, now })
  const ledger = createLedger(world)
  const pushes = createPushes(world, log)
  const tokens = createTokens(world)
  const rules = createRules(world.chance)
  const apps = createApps(world)
  const platforms = createPlatforms(world, pushes, apps)
  const routes = createRoutes({ world, tokens, ledger, pushes, platforms, findRid: (rid) => wechat.findRid(rid) })
  const wechat: Wechat = createWechat({ world, routes, tokens, rules, ledger })
  const controls = createControls({
    world,
    apps,
    tokens,
    ledger,
    pushes,
    platforms,
    rules,
    latency,
    url: () => sandboxUrl(),
    requestDomains,
    onReset: () => wechat.forget()
  })
  // loaded by the first control call: its schemas take longer to load than all the rest takes to start
  let loading:
    | Promise<(method: string, path: string, query: string, text: string) => ControlAnswer | Promise<ControlAnswer>>
    | undefined
  const controlApi = () =>
    (loading ??= import('./control-api.js').then(({ answerControl, controlDocument, createControlRoutes }) => {
      const controlRoutes = createControlRoutes(controls, wechat)
      return (method, path, query, text) =>
        path === '/sandbox/openapi.json'
          ? { status: 200, body: controlDocument(controlRoutes, sandboxUrl()) }
          : answerControl(controlRoutes, method, path, query, text)
    }))
  const timers = new Set<NodeJS.Timeout>()
  // tickets come due by the sandbox's clock; moving that looks at once
  const ticking = setInterval(platforms.tick, TICK_MS).unref()

  const later = (ms: number, act: () => void) => {
    const timer = setTimeout(() => {
      timers.delete(timer)
      act()
    }, ms)
    timers.add(timer)
  }

  function write(response: ServerResponse, status: number, type: string, text: string) {
    response.writeHead(status, { 'Content-Type': type, 'Content-Length': Buffer.byteLength(text) })
    response.end(text)
  }

  /** Lets an answer out the way the rule wants, or not at all. */
  function release(response: ServerResponse, answer: Answer | undefined, rule: Rule | undefined) {
    answer?.done?.()
    const type = answer?.type ?? JSON_TYPE
    const text = answer?.text ?? ''
    const action = rule?.action
    if (action === undefined || 'errcode' in action || 'delayMs' in action) {
      if (answer?.redirect !== undefined) response.setHeader('Location', answer.redirect)
      write(response, answer?.redirect === undefined ? 200 : 302, type, text)
    } else if ('http' in action) {
      if (action.http < 400) response.setHeader('Location', 'https://mp.weixin.qq.com/')
      write(response, action.http, 'text/html', action.http < 400 ? '' : HTML)
    } else if ('html' in action) write(response, 200, 'text/html', HTML)
    else if ('empty' in action) write(response, 200, type, '')
    else if ('truncate' in action) write(response, 200, type, text.slice(0, Math.ceil(text.length / 2)))
    else if ('huge' in action) write(response, 200, type, `{"errcode":0,"errmsg":"${'x'.repeat(action.huge)}"}`)
    else if ('reset' in action) response.socket?.resetAndDestroy()
    else if ('drip' in action) {
      response.writeHead(200, { 'Content-Type': type, 'Content-Length': Buffer.byteLength(text) })
      const drop = (from: number) => {
        if (response.destroyed) return
        response.write(text.slice(from, from + 1))
        if (from + 1 < text.length) later(action.drip === true ? DRIP_MS : action.drip, () => drop(from + 1))
        else response.end()
      }
      drop(0)
    }
  }

  function serve(incoming: Incoming, response: ServerResponse) {
    const { answer, rule } = wechat.take(incoming)
    const action = rule?.action
    if (action !== undefined && 'hang' in action) return answer?.done?.()
    if (action !== undefined && 'reset' in action && action.reset === 'before') return release(response, answer, rule)
    const extra = action !== undefined && 'delayMs' in action ? action.delayMs : 0
    const wait = (latency.maxMs > 0 ? world.chance.between(latency.minMs, latency.maxMs) : 0) + extra
    if (wait === 0) release(response, answer, rule)
    else later(wait, () => release(response, answer, rule))
  }

  async function control(method: string, path: string, query: string, text: string, response: ServerResponse) {
    try {
      if (path === '/') return write(response, 200, 'text/html; charset=utf-8', statePage(controls))
      if (isPhone(path)) {
        const file = await pageFile(path)
        return response.writeHead(file.status, { ...PAGE_HEADERS, 'Content-Type': file.type }).end(file.body)
      }
      const answer = await controlApi()
      const { status, body } = await answer(method, path, query, text)
      write(response, status, 'application/json; charset=utf-8', JSON.stringify(body))
    } catch (error) {
      log?.(`control call ${path} broke: ${error instanceof Error ? error.stack : String(error)}`)
      write(response, 500, 'application/json; charset=utf-8', '{"error":"the sandbox broke; see its log"}')
    }
  }

  function onRequest(request: IncomingMessage, response: ServerResponse) {
    const target = request.url!
    const mark = target.indexOf('?')
    const path = mark === -1 ? target : target.slice(0, mark)
    const query = mark === -1 ? '' : target.slice(mark + 1)
    const method = request.method!
    const isControl = path === '/' || path.startsWith('/sandbox/') || isPhone(path)
    const max = isControl ? CONTROL_BODY_MAX : BODY_MAX
    const finish = (text: string) => {
      if (isControl) {
        // Whoever follows a link comes from another page; the pages themselves do nothing before somebody taps.
        const follows = method === 'GET' && !path.startsWith('/sandbox/')
        if (!follows && isForeignPage(request.headers, host))
          return write(response, 403, 'application/json; charset=utf-8', '{"error":"not for pages of other sites"}')
        return void control(method, path, query, text, response)
      }
      const ip = (request.socket.remoteAddress ?? '127.0.0.1').replace(/^::ffff:/, '')
      serve({ method, path, query, contentType: request.headers['content-type'] ?? '', body: text, ip }, response)
    }
    if (method === 'GET') {
      request.resume()
      return finish('')
    }
    const parts: Buffer[] = []
    let size = 0
    request.on('data', (part: Buffer) => {
      size += part.length
      if (size <= max) parts.push(part)
    })
    request.on('end', () => {
      if (size > max) return write(response, 413, 'text/html', HTML)
      finish(parts.length === 1 ? parts[0]!.toString() : Buffer.concat(parts).toString())
    })
  }

  const server = createServer({ keepAliveTimeout: 65_000, noDelay: true }, onRequest)
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(port, host, () => {
      server.off('error', reject)
      resolve()
    })
  })
  const sandboxUrl = () => `http://${host.includes(':') ? `[${host}]` : host}:${(server.address() as AddressInfo).port}`
  const url = sandboxUrl()

  return {
    url,
    port: (server.address() as AddressInfo).port,
    controls,
    requests: wechat.requests,
    world,
    async close() {
      clearInterval(ticking)
      for (const timer of timers) clearTimeout(timer)
      timers.clear()
      pushes.close()
      await new Promise<void>((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      })
    }
  }
}

import { DEFAULTS, readSettings } from './settings.js'
import { swallow, type Answer, type Ask, type Transport } from './transport.js'
import type { Env, HostSession, PhoneApi, Settings } from './types.js'

const KEY = 'hongyan:session'
/** A token is renewed this long before it ends. */
const MARGIN_MS = 60_000
/** A token fresh from the server is trusted this long, whatever the phone's clock says about its end. */
const TRUST_MS = 5 * 60_000
/** How long a bare token from a host is kept; a 401 ends it sooner. */
const BARE_LIFE_MS = 30 * 60_000

interface Session {
  /** Whose session: server and app id. */
  of: string
  token: string
  /** Last moment of use, on the phone's own clock. */
  until: number
  /** Null while the server has told none: a host's own minting may leave them out. */
  settings: Settings | null
}

/** No session to be had now; `retryAfterMs` when the server named a time. */
export class NoSession extends Error {
  readonly retryAfterMs: number | null
  constructor(message: string, retryAfterMs: number | null) {
    super(message)
    this.retryAfterMs = retryAfterMs
  }
}

export interface Sessions {
  /** A usable token, from storage, or after one login shared by all callers. @throws NoSession */
  get(): Promise<string>
  /** One call with the token; on 401 one new login and one more try. `body` is made anew for each try. @throws NoSession */
  call(ask: { method: Ask['method']; path: string; body?: () => unknown }): Promise<Answer>
  /** What the server has told, or the defaults. */
  settings(): Settings
  /** What the server has told; null while it has not. */
  told(): Settings | null
  signedIn(): boolean
}

/** The only place that calls `wx.login`; not even that when the host mints the token itself. */
export function createSessions(parts: {
  server: string
  appId: () => string
  getSession?: () => HostSession | Promise<HostSession>
  api: () => PhoneApi
  env: Env
  timeoutMs: number
  transport: Transport
}): Sessions {
  const { server, appId, getSession, api, env, timeoutMs, transport } = parts
  const of = `${server}|${appId()}`
  let held: Session | null = null
  let running: Promise<string> | null = null

  /** Storage is asked whenever our own is used up: another copy of the library may have logged in. */
  function current(): Session | null {
    if (held && held.until > env.now()) return held
    const stored = read()
    if (stored && stored.of === of) held = stored
    return held && held.until > env.now() ? held : null
  }
  function read(): Session | null {
    try {
      const value = api().getStorageSync!(KEY)
      const sound = value && typeof value.token === 'string' && typeof value.until === 'number'
      return sound
        ? {
            of: value.of,
            token: value.token,
            until: value.until,
            settings: value.settings ? readSettings(value.settings) : null
          }
        : null
    } catch {
      return null
    }
  }
  function hold(session: Session): string {
    held = session
    try {
      api().setStorageSync!(KEY, session)
    } catch {
      // memory has it; the next start logs in again
    }
    return session.token
  }
  function drop(token: string): void {
    if (held && held.token === token) held = Object.assign({}, held, { until: 0 })
    const stored = read()
    try {
      // Settings stay behind: they hold until the next session brings newer ones
      if (stored && stored.token === token) api().setStorageSync!(KEY, Object.assign({}, stored, { until: 0 }))
    } catch {
      // a dead token left in storage costs one more 401
    }
  }
  /** Translates the server's end of life to the phone's clock, however wrong that one is. */
  function untilOf(expiresAt: unknown, serverNow: number | null): number {
    const now = env.now()
    const ends = Date.parse(String(expiresAt))
    if (isNaN(ends)) return now + BARE_LIFE_MS
    return Math.max(now + TRUST_MS, now + (ends - (serverNow === null ? now : serverNow)) - MARGIN_MS)
  }

  async function fromHost(): Promise<string> {
    const given = await inTime(() => Promise.resolve(getSession!()))
    const session: any = typeof given === 'string' ? { token: given } : given
    if (!session || typeof session.token !== 'string' || !session.token)
      throw new NoSession('getSession gave no token', null)
    const settings = session.settings ? readSettings(session.settings) : held && held.settings
    return hold({ of, token: session.token, until: untilOf(session.expiresAt, null), settings })
  }
  async function fromLogin(): Promise<string> {
    const code = await inTime(
      () =>
        new Promise<string>((resolve, reject) => {
          swallow(
            api().login!({
              success: (res: any) => (res && res.code ? resolve(String(res.code)) : reject(new Error('no code'))),
              fail: (res: any) => reject(new Error((res && res.errMsg) || 'login failed'))
            })
          )
        })
    )
    const answer = await transport({
      method: 'POST',
      url: `${server}/v1/capture/session`,
      body: { appId: appId(), code }
    })
    const body = answer.body
    if (answer.status < 200 || answer.status > 299 || !body || typeof body.token !== 'string') {
      throw new NoSession(`the server gave no session (${answer.status})`, answer.retryAfterMs)
    }
    const until = untilOf(body.expiresAt, answer.serverNow)
    return hold({ of, token: body.token, until, settings: readSettings(body.settings) })
  }
  function inTime<T>(run: () => Promise<T>): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      const timer = env.setTimeout(() => reject(new NoSession('login took too long', null)), timeoutMs)
      const done = () => env.clearTimeout(timer)
      run().then(
        (value) => (done(), resolve(value)),
        (error) => (done(), reject(error))
      )
    })
  }
  function get(): Promise<string> {
    const session = current()
    if (session) return Promise.resolve(session.token)
    if (!running) {
      const over = () => {
        running = null
      }
      running = (getSession ? fromHost() : fromLogin()).catch((error) => {
        throw error instanceof NoSession ? error : new NoSession(String((error && error.message) || error), null)
      })
      running.then(over, over)
    }
    return running
  }
  function told(): Settings | null {
    current()
    return held && held.settings
  }
  return {
    get,
    async call({ method, path, body }) {
      const send = (token: string) => transport({ method, url: server + path, token, body: body && body() })
      const token = await get()
      const answer = await send(token)
      if (answer.status !== 401) return answer
      drop(token)
      return send(await get())
    },
    settings: () => told() || DEFAULTS,
    told,
    signedIn: () => current() !== null
  }
}

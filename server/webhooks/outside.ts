import { lookup as systemLookup, type LookupAddress, type LookupOptions } from 'node:dns'
import { isIP, type LookupFunction } from 'node:net'
import { Agent, buildConnector, request } from 'undici'
import { isPublic, within } from './allow.js'

/** What became of a POST, as a value; `status` null: no HTTP answer. */
export type Posted = {
  status: number | null
  ms: number
  /** Why there was no answer, in a word or two. */
  error: string | null
  /** Of the answer's body, when it was asked for. */
  text: string
  /** What the answer calls itself; empty: it does not say. */
  type: string
  /** What the answer asked to wait, in ms. */
  retryAfterMs: number | null
}

export type Outside = ReturnType<typeof createOutside>

const TIMEOUT_MS = 15_000
const ANSWER_BYTES = 64 * 1024
const LONGEST_WAIT_MS = 3_600_000
/** Names that mean this machine or this network wherever they are resolved. */
const INNER_NAMES = /(^|\.)(localhost|local|internal|intranet|lan|home\.arpa)\.?$/i

/** The longest one POST may take, in ms. */
export const POST_MS = TIMEOUT_MS

class NotOutside extends Error {
  constructor(address: string) {
    super(`${address} is no public address`)
    this.name = 'NotOutside'
  }
}

/**
 * HTTP to addresses other people chose. Only public addresses are connected to, judged at the moment of connecting, so a
 * name cannot be pointed elsewhere in between; redirects are not followed. `allow` lists what is let through all the same:
 * `host`, `host:port`, an address, or a range `10.0.0.0/8`.
 */
export function createOutside({
  allow = [],
  lookup = systemLookup as unknown as LookupFunction,
  timeoutMs = TIMEOUT_MS
}: {
  allow?: readonly string[]
  /** How names are resolved; a double in tests. */
  lookup?: LookupFunction
  timeoutMs?: number
} = {}) {
  const ranges = allow.filter((entry) => entry.includes('/'))
  const names = new Set(allow.map((entry) => entry.toLowerCase()))
  const named = (host: string, port: string): boolean => names.has(host) || names.has(`${host}:${port}`)

  /** May this address be connected to for that host and port? */
  function mayReach(address: string, host: string, port: string): boolean {
    return named(host, port) || named(address, port) || isPublic(address) || within(address, ranges)
  }

  const guarded =
    (host: string, port: string): LookupFunction =>
    (name, options, done) => {
      const all: LookupOptions = { ...options, all: true }
      lookup(
        name,
        all as never,
        ((error: NodeJS.ErrnoException | null, found: LookupAddress[]) => {
          if (error !== null) return done(error, [])
          const inner = found.find(({ address }) => !mayReach(address, host, port))
          // One address of a name inside spoils the name: which one is connected to is not ours to say.
          if (inner !== undefined || found.length === 0) return done(new NotOutside(inner?.address ?? name), [])
          if (options.all === true) return done(null, found)
          return done(null, found[0]!.address, found[0]!.family)
        }) as never
      )
    }

  const agent = new Agent({
    connections: 20,
    pipelining: 1,
    allowH2: false,
    headersTimeout: timeoutMs,
    bodyTimeout: timeoutMs,
    maxResponseSize: ANSWER_BYTES,
    keepAliveTimeout: 4_000,
    connect: (options, done) => {
      const host = bare(options.hostname)
      const port = options.port || (options.protocol === 'https:' ? '443' : '80')
      // Addresses are connected to without being looked up.
      if (isIP(host) !== 0 && !mayReach(host, host, port)) return void done(new NotOutside(host), null)
      buildConnector({ timeout: Math.min(5_000, timeoutMs), lookup: guarded(host, port) })(options, done)
    }
  })

  return {
    /** What speaks against this address before anybody looks it up; null: nothing. */
    fault(url: string): string | null {
      const { protocol, hostname, port, username, password } = new URL(url)
      const host = bare(hostname)
      const door = port || (protocol === 'https:' ? '443' : '80')
      if (username !== '' || password !== '') return 'holds a user or password'
      if (named(host, door)) return null
      if (isIP(host) !== 0) {
        if (!mayReach(host, host, door)) return 'is no public address'
      } else if (INNER_NAMES.test(host) || !host.includes('.')) return 'is no public address'
      if (protocol === 'http:' && !(isIP(host) !== 0 && !isPublic(host))) return 'is not https'
      return null
    },

    /** Never throws. `read`: the answer's body is wanted. */
    async post(
      url: string,
      headers: Record<string, string>,
      body: string,
      { read = false, withinMs = timeoutMs }: { read?: boolean; withinMs?: number } = {}
    ): Promise<Posted> {
      const started = performance.now()
      const took = () => Math.round(performance.now() - started)
      const nothing = { text: '', type: '', retryAfterMs: null }
      try {
        const answer = await request(url, {
          dispatcher: agent,
          method: 'POST',
          headers,
          body,
          signal: AbortSignal.timeout(Math.ceil(withinMs))
        })
        const told = {
          status: answer.statusCode,
          error: null,
          type: String(answer.headers['content-type'] ?? ''),
          retryAfterMs: waitOf(answer.headers['retry-after'])
        }
        if (read) return { ...told, text: await answer.body.text(), ms: took() }
        // The status is the answer: what comes after it, and whether it comes, changes nothing.
        await answer.body.dump({ limit: ANSWER_BYTES }).catch(() => {})
        return { ...told, text: '', ms: took() }
      } catch (error) {
        return { status: null, ms: took(), error: wordFor(error), ...nothing }
      }
    },

    /** Waits for nothing. */
    close: (): Promise<void> => agent.destroy()
  }
}

/** A host of a URL without the brackets of IPv6. */
const bare = (hostname: string): string => hostname.replace(/^\[|\]$/g, '').toLowerCase()

function waitOf(header: string | string[] | undefined): number | null {
  const text = [header].flat()[0]
  if (text === undefined || !/^\d{1,9}$/.test(text)) return null
  return Math.min(Number(text) * 1_000, LONGEST_WAIT_MS)
}

function wordFor(error: unknown): string {
  const { name, code, message, cause } = error as Error & { code?: string }
  if (error instanceof NotOutside) return message
  if (cause instanceof NotOutside) return cause.message
  if (name === 'TimeoutError' || name === 'AbortError' || /TIMEOUT/.test(code ?? '')) return 'no answer in time'
  return code ?? name
}

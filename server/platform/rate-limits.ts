import type { Collection } from 'mongodb'
import type { Connection } from 'mongoose'
import type { Clock } from './clock.js'
import { LimitReached } from './errors.js'
import { upserted } from './mongo.js'

/** What requests are counted by. */
export type Counted = 'phone' | 'key' | 'operator' | 'address'
/** Requests a minute of one of a kind. */
export type RateLimits = Record<Counted, number>

/**
 * Far above what anybody needs who means well: a phone hands in by the batch, a backend posts up to 500 things a request.
 * An address counts only for what needs no token and for tokens that are none: a whole carrier may be behind it.
 */
export const RATE_LIMITS: RateLimits = { phone: 600, key: 120_000, operator: 3_000, address: 12_000 }

/** Nobody is counted out. */
export const UNLIMITED: RateLimits = { phone: 1e9, key: 1e9, operator: 1e9, address: 1e9 }

/** How it stands after a request was counted. */
export type Standing = { kind: Counted; limit: number; remaining: number; resetSeconds: number }

export type RateLimiter = ReturnType<typeof createRateLimits>

type Row = { _id: string; n: number; removeAt: Date }
type Entry = { mine: number; told: number; others: number }

const WINDOW_MS = 60_000
/** A process says what it counted each time this share of a limit is reached: so far two may count apart. */
const SHARES = 8

/** Too many requests of one caller; `standing` is what the headers say. */
export class TooManyRequests extends LimitReached {
  constructor(readonly standing: Standing) {
    super(`at most ${standing.limit} requests a minute; wait a little`, standing.resetSeconds, {
      code: 'request.rate-limited',
      facts: { limit: standing.limit, by: standing.kind }
    })
  }
}

/**
 * Requests of one caller in one minute, of all processes together. Each counts by itself and tells the others through the
 * store by the eighth of a limit: who asks now and then costs no write, and a flood is one for all of them.
 */
export function createRateLimits({
  db,
  clock,
  limits = {}
}: {
  db: Connection
  clock: Clock
  limits?: Partial<RateLimits>
}) {
  const all: RateLimits = { ...RATE_LIMITS, ...limits }
  const rows = db.collection('rateLimits') as unknown as Collection<Row>
  let window = 0
  let entries = new Map<string, Entry>()

  function entryOf(name: string, now: number): Entry {
    const current = Math.floor(now / WINDOW_MS)
    if (current !== window) {
      window = current
      entries = new Map()
    }
    const known = entries.get(name) ?? { mine: 0, told: 0, others: 0 }
    entries.set(name, known)
    return known
  }

  /** Tells the others what was counted here, and learns what they counted. */
  async function share(name: string, entry: Entry, minute: number): Promise<void> {
    const news = entry.mine - entry.told
    entry.told = entry.mine
    const removeAt = new Date((minute + 2) * WINDOW_MS)
    const update = { $inc: { n: news }, $set: { removeAt } }
    // A store that is away stops nobody by this.
    const row = await upserted(rows, { _id: `${name}:${minute}` }, update).catch(() => null)
    if (row !== null) entry.others = Math.max(entry.others, row.n - entry.told)
  }

  return {
    ready: async (): Promise<void> => void (await rows.createIndex({ removeAt: 1 }, { expireAfterSeconds: 0 })),

    /** Counts a request of `id`. @throws TooManyRequests */
    async count(kind: Counted, id: string): Promise<Standing> {
      const now = clock.now().getTime()
      const minute = Math.floor(now / WINDOW_MS)
      const limit = all[kind]
      const name = `${kind}:${id}`
      const entry = entryOf(name, now)
      // This request's own place: others may be counted while the store is asked.
      const place = (entry.mine += 1)
      const left = () => limit - place - entry.others
      if (place - entry.told >= Math.ceil(limit / SHARES) && left() >= 0) await share(name, entry, minute)
      const resetSeconds = Math.ceil(((minute + 1) * WINDOW_MS - now) / 1_000)
      const standing = { kind, limit, remaining: Math.max(0, left()), resetSeconds }
      if (left() < 0) throw new TooManyRequests(standing)
      return standing
    }
  }
}

/** The headers of the IETF's draft "RateLimit header fields for HTTP" (httpapi, draft 10, 2025). */
export const rateHeaders = ({ kind, limit, remaining, resetSeconds }: Standing): Record<string, string> => ({
  'ratelimit-policy': `"${kind}";q=${limit};w=${WINDOW_MS / 1_000}`,
  ratelimit: `"${kind}";r=${remaining};t=${resetSeconds}`
})

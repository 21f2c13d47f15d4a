import { setTimeout } from 'node:timers/promises'
import { Webhook } from 'standardwebhooks'
import type { PageQuery } from '../../shared/page.js'
import type { DeliveryView } from '../../shared/webhook.js'
import { DAY_MS, NEVER } from '../../shared/limits.js'
import type { Clock } from '../platform/clock.js'
import { randomToken } from '../platform/ids.js'
import type { Log } from '../platform/log.js'
import { insertNew } from '../platform/mongo.js'
import { listPage, type Page } from '../platform/page.js'
import { GIVE_UP_MS, isDead, nextTry, outcomeOf, restAfter, turnSize, type Outcome } from './attempts.js'
import type { DeliveryRow, HealthRow, webhookModels } from './model.js'
import { POST_MS, type Outside, type Posted } from './outside.js'
import { VERSION } from '../version.js'

/** Where deliveries go: a webhook, or an alert target. */
export type Destination = {
  id: string
  url: string
  format: 'standard' | 'wecom'
  /** What signs, newest first; none for targets. */
  secrets: string[]
}

/** One piece of news for one destination. */
export type Filing = Pick<DeliveryRow, 'hookId' | 'eventId' | 'event' | 'accountId' | 'personId' | 'body'>

type Attempted = { outcome: Outcome; posted: Posted }

/** How long a delivery belongs to who took it up; two rounds of POSTs that all time out fit in. */
const LEASE_MS = 60_000
/** Deliveries of one webhook taken up at once, and how many of them are out at a time. */
const TURN = 40
const AT_ONCE = 20
const KEPT_DAYS = 30
const LOOK_EVERY_MS = 1_000
const KEPT_ATTEMPTS = 20
/** A time of success is written at most this often, ms. */
const SUCCESS_EVERY_MS = 60_000

/**
 * Getting news out: rows that are due are leased, posted and marked. A process that dies in between leaves a lease that
 * runs out; what was posted then is posted once more, under the same `webhook-id`.
 */
export function createDeliveries({
  models: { deliveries: rows, health },
  clock,
  log,
  random,
  outside,
  destinations,
  destination,
  switchOff
}: {
  models: Pick<ReturnType<typeof webhookModels>, 'deliveries' | 'health'>
  clock: Clock
  log: Log
  /** Between 0 and 1. */
  random: () => number
  outside: Outside
  /** Those that take deliveries now. */
  destinations: () => Promise<Destination[]>
  /** One, also when it is switched off; null: gone. */
  destination: (id: string) => Promise<Destination | null>
  switchOff: (id: string, reason: string) => Promise<void>
}) {
  const rowOf = (filing: Filing, now: Date): DeliveryRow => ({
    _id: `${filing.eventId}:${filing.hookId}`,
    ...filing,
    state: 'waiting',
    due: now,
    lease: null,
    n: 0,
    attempts: [],
    giveUpAt: new Date(now.getTime() + GIVE_UP_MS),
    createdAt: now,
    removeAt: new Date(now.getTime() + KEPT_DAYS * DAY_MS)
  })

  /** Ends the pause of this process's `serve`. */
  let wake: () => void = () => {}

  const healthOf = async (id: string): Promise<HealthRow> =>
    (await health.findOne({ _id: id })) ?? { _id: id, failures: 0 }

  /** Takes up what is due at one destination; what it returns is this caller's until the lease is over. */
  async function claim(hookId: string, limit: number): Promise<{ mine: DeliveryRow[]; t: string }> {
    const now = clock.now()
    const t = randomToken(9)
    const due = { hookId, state: 'waiting' as const, due: { $lte: now } }
    const found = await rows
      .find(due, { projection: { _id: 1 } })
      .sort({ due: 1 })
      .limit(limit)
      .toArray()
    if (found.length === 0) return { mine: [], t }
    const ids = found.map(({ _id }) => _id)
    const until = new Date(now.getTime() + LEASE_MS)
    await rows.updateMany({ ...due, _id: { $in: ids } }, { $set: { lease: t, due: until }, $inc: { n: 1 } })
    return { mine: await rows.find({ _id: { $in: ids }, lease: t }).toArray(), t }
  }

  function post({ url, format, secrets }: Destination, { eventId, body }: DeliveryRow): Promise<Posted> {
    const headers = { 'content-type': 'application/json; charset=utf-8', 'user-agent': `hongyan/${VERSION}` }
    if (format === 'wecom') return outside.post(url, headers, body, { read: true })
    const at = clock.now()
    const signed = {
      ...headers,
      'webhook-id': eventId,
      'webhook-timestamp': String(Math.floor(at.getTime() / 1_000)),
      'webhook-signature': secrets.map((secret) => new Webhook(secret).sign(eventId, at, body)).join(' ')
    }
    return outside.post(url, signed, body)
  }

  /**
   * Posts one and marks what came of it, unless the lease has gone to somebody else. null: this process is ending and what
   * was posted was cut off by that; the lease runs out, and somebody tries again.
   */
  async function attempt(
    to: Destination,
    row: DeliveryRow,
    t: string,
    signal?: AbortSignal
  ): Promise<Attempted | null> {
    const at = clock.now()
    const posted = await post(to, row)
    const outcome = outcomeOf(posted, to.format)
    if (!outcome.ok && signal?.aborted === true) return null
    const now = clock.now()
    const { giveUpAt } = row
    const next = outcome.ok ? null : nextTry(row.n, { now, giveUpAt, askedMs: posted.retryAfterMs, chance: random() })
    const line = { at, status: posted.status, ms: posted.ms, error: outcome.ok ? null : outcome.error }
    await rows.updateOne(
      { _id: row._id, lease: t },
      {
        $set: {
          state: outcome.ok ? 'delivered' : next === null ? 'failed' : 'waiting',
          due: next ?? NEVER,
          lease: null
        },
        $push: { attempts: { $each: [line], $slice: -KEPT_ATTEMPTS } }
      }
    )
    return { outcome, posted }
  }

  /** Notes how a turn went; switches a webhook off where nobody is. */
  async function noteTurn(id: string, before: HealthRow, results: Attempted[]): Promise<void> {
    const now = clock.now()
    const failed = results.flatMap(({ outcome }) => (outcome.ok ? [] : [outcome]))
    const asked = results.map(({ posted }) => posted.retryAfterMs).filter((ms) => ms !== null)
    const askedMs = failed.length === 0 || asked.length === 0 ? null : Math.max(...asked)
    const pause = (failures: number) => {
      const ms = restAfter(failures, askedMs)
      return ms === 0 ? {} : { restUntil: new Date(now.getTime() + ms) }
    }
    if (failed.length < results.length) {
      const told = before.lastSuccessAt?.getTime() ?? -Infinity
      if (before.failures === 0 && askedMs === null && now.getTime() - told < SUCCESS_EVERY_MS) return
      await health.updateOne(
        { _id: id },
        {
          $set: { failures: 0, lastSuccessAt: now, ...pause(0) },
          $unset: { failingSince: '', ...(askedMs === null && { restUntil: '' }) }
        },
        { upsert: true }
      )
    } else {
      const failures = before.failures + 1
      const failingSince = before.failingSince ?? now
      await health.updateOne(
        { _id: id },
        { $set: { failures, ...pause(failures) }, $min: { failingSince } },
        { upsert: true }
      )
      log.warn({ hookId: id, failures, error: failed[0]!.error }, 'a webhook took nothing')
      if (isDead({ failures, failingSince }, now)) await switchOff(id, `nothing arrived: ${failed[0]!.error}`)
    }
    if (failed.some(({ gone }) => gone)) await switchOff(id, 'it answered 410: it wants nothing any more')
  }

  /** One turn of one destination. @returns how many deliveries it took up; 0: nothing is to be done there now */
  async function turn(to: Destination, signal?: AbortSignal): Promise<number> {
    const before = await healthOf(to.id)
    if (before.restUntil !== undefined && before.restUntil > clock.now()) return 0
    const started = clock.monotonic()
    const { mine, t } = await claim(to.id, turnSize(before.failures, TURN))
    if (mine.length === 0) return 0
    const results: Attempted[] = []
    const queue = [...mine]
    const worker = async () => {
      for (let row = queue.shift(); row !== undefined; row = queue.shift()) {
        // What could still be out when the lease ends is left for who takes it up then.
        if (signal?.aborted === true || clock.monotonic() - started > LEASE_MS - POST_MS - 5_000) return
        const attempted = await attempt(to, row, t, signal)
        if (attempted !== null) results.push(attempted)
      }
    }
    await Promise.all(Array.from({ length: Math.min(AT_ONCE, mine.length) }, worker))
    if (results.length > 0) await noteTurn(to.id, before, results)
    return mine.length
  }

  /** Turn after turn at one destination until nothing is due there. @returns how many attempts were begun */
  async function lane(to: Destination, signal?: AbortSignal): Promise<number> {
    let sent = 0
    for (let current: Destination | undefined = to; current !== undefined && signal?.aborted !== true;) {
      const n = await turn(current, signal)
      sent += n
      if (n === 0) break
      // It may have been switched off meanwhile, or moved.
      current = (await destinations()).find(({ id }) => id === to.id)
    }
    return sent
  }

  return {
    /** Files news; what was filed before stays as it is. */
    async file(filings: Filing[]): Promise<void> {
      const now = clock.now()
      await insertNew(
        rows,
        filings.map((filing) => rowOf(filing, now))
      )
      wake()
    },

    /** Sends what is due until nothing is, each destination at its own pace. @returns how many attempts were begun */
    async run(signal?: AbortSignal): Promise<number> {
      const sent = await Promise.all((await destinations()).map((to) => lane(to, signal)))
      return sent.reduce((sum, n) => sum + n, 0)
    },

    /** Sends whatever comes due until the signal. A destination that is slow keeps nobody else waiting. */
    async serve(signal: AbortSignal): Promise<void> {
      const busy = new Map<string, Promise<void>>()
      signal.addEventListener('abort', () => wake(), { once: true })
      while (!signal.aborted) {
        const all = await destinations()
        for (const to of all) {
          if (busy.has(to.id)) continue
          const running = lane(to, signal)
            .catch((error: unknown) => log.warn({ err: error, hookId: to.id }, 'deliveries broke off; they go on'))
            .then(() => void busy.delete(to.id))
          busy.set(to.id, running)
        }
        if (signal.aborted) break
        const pause = new AbortController()
        wake = () => pause.abort()
        await setTimeout(LOOK_EVERY_MS, undefined, { signal: pause.signal }).catch(() => {})
      }
      await Promise.all(busy.values())
    },

    /** Files one and sends it here and now, also to a destination that is switched off. @returns how it went; null: no such destination */
    async now(filing: Filing): Promise<DeliveryView | null> {
      const to = await destination(filing.hookId)
      if (to === null) return null
      const now = clock.now()
      const t = randomToken(9)
      const row: DeliveryRow = { ...rowOf(filing, now), lease: t, n: 1, due: new Date(now.getTime() + LEASE_MS) }
      // One try: whoever presses the button looks at the answer.
      row.giveUpAt = now
      await rows.insertOne(row)
      await attempt(to, row, t)
      return deliveryView((await rows.findOne({ _id: row._id })) ?? row)
    },

    /** Those nobody took for a day, of destinations that were switched off or rest, are over. */
    async giveUp(): Promise<number> {
      const now = clock.now()
      const over = { state: 'waiting' as const, giveUpAt: { $lte: now }, due: { $lte: now } }
      const { modifiedCount } = await rows.updateMany(over, { $set: { state: 'failed', due: NEVER, lease: null } })
      return modifiedCount
    },

    page: (hookId: string, filter: { state?: string[] | undefined }, query: PageQuery): Promise<Page<DeliveryView>> =>
      listPage<DeliveryRow, DeliveryView>(
        rows,
        {
          filter: { hookId, ...(filter.state !== undefined && { state: { $in: filter.state } }) },
          query,
          sortable: ['createdAt'],
          defaultSort: '-createdAt'
        },
        deliveryView
      ),

    /** How it goes there. */
    healthOf,
    /** It starts anew: whatever went wrong is forgotten. */
    heal: async (id: string): Promise<void> => void (await health.deleteOne({ _id: id })),

    /** A destination is gone, and all that was for it. */
    async drop(hookId: string): Promise<void> {
      await rows.deleteMany({ hookId })
      await health.deleteOne({ _id: hookId })
    },

    /** What was said of erased people. */
    async erase(personIds: string[]): Promise<void> {
      await rows.deleteMany({ personId: { $in: personIds } })
    }
  }
}
export type Deliveries = ReturnType<typeof createDeliveries>

function deliveryView({ _id, eventId, event, state, attempts, due, createdAt }: DeliveryRow): DeliveryView {
  return {
    id: _id,
    webhookId: eventId,
    event,
    state,
    attempts,
    nextAt: state === 'waiting' ? due : null,
    createdAt
  }
}

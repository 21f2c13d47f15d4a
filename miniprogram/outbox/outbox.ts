import { count, createBox, fit, type Box } from './box.js'
import { countedAs, LANES, type Catch, type Item } from './item.js'
import { createLease } from './lease.js'
import { backoffMs, dueAt, isDue, newLane, type Lane } from './lane.js'
import { BATCH_MAX } from '../settings.js'
import { NoSession, type Sessions } from '../login.js'
import type { Answer } from '../transport.js'
import type { Env, PhoneApi } from '../types.js'

/** An item the server refuses as a whole, sent alone, is dropped after this many tries. */
const BAD_TRIES = 5

export type Say = (line: string, facts?: Record<string, unknown>) => void
export type Outbox = ReturnType<typeof createOutbox>

/**
 * Keeps catches in storage until the server has spoken on each of them. `sessions` null: keeps only, for a kit that
 * does not know its server yet.
 */
export function createOutbox(parts: {
  api: () => PhoneApi
  env: Env
  sessions: Sessions | null
  size: number
  leaseMs: number
  say: Say
}) {
  const { api, env, sessions, size, leaseMs, say } = parts
  const box = createBox(api)
  // The start's own mark makes ids unique over restarts and copies, the counter within this start
  const mark = env.now().toString(36) + '-' + chance() + chance()
  const lease = createLease({ api, env, holder: mark, leaseMs })
  const lanes = LANES.map(newLane)
  let made = 0
  let running: Promise<void> | null = null
  let stopped = false
  let timer: unknown = null
  let timerAt = 0

  function chance(): string {
    return ('00000' + Math.floor(env.random() * 36 ** 5).toString(36)).slice(-5)
  }
  const newId = () => `${mark}-${(++made).toString(36)}`

  /** Wakes the outbox at that moment, unless it wakes earlier anyway. */
  function wake(at: number): void {
    if (stopped || !sessions || (timer !== null && timerAt <= at)) return
    if (timer !== null) env.clearTimeout(timer)
    timerAt = at
    timer = env.setTimeout(
      () => {
        timer = null
        flush()
      },
      Math.max(0, at - env.now())
    )
  }

  function keep(catches: Catch[], note?: (box: Box) => void): void {
    if (stopped || !catches.length) return
    const caughtAt = new Date(env.now()).toISOString()
    const items = catches.map((c) => Object.assign({ id: newId(), caughtAt }, c) as Item)
    box.change((b) => {
      for (const item of items) {
        b.items.push(item)
        count(b, `caught.${countedAs(item)}`)
      }
      if (note) note(b)
      for (const item of fit(b, size)) say('dropped: the outbox is full', { id: item.id, kind: countedAs(item) })
    })
    for (const item of items) say('caught', { item })
    const settings = sessions && sessions.settings()
    if (settings) wake(env.now() + (box.read().items.length >= settings.batchSize ? 0 : settings.flushMs))
  }

  /** The next batch: sound items in order; those that were refused before go alone, after all others. */
  function choose(lane: Lane): Item[] {
    const mine = box.read().items.filter((item) => item.kind === lane.kind)
    const sound = mine.filter((item) => !item.bad)
    if (!sound.length) return mine.slice(0, 1)
    return sound.slice(0, Math.max(1, Math.min(lane.width, sessions!.settings().batchSize, BATCH_MAX)))
  }

  async function sendOne(lane: Lane): Promise<boolean> {
    let answer: Answer
    let batch: Item[]
    try {
      await sessions!.get() // its settings say how large a batch may be
      batch = choose(lane)
      if (!batch.length) return !stopped
      const items = batch.map(lane.wire)
      const body = () => {
        lease.take() // prolongs it: logging in may have taken its time
        return lane.dated ? { sentAt: new Date(env.now()).toISOString(), items } : { items }
      }
      answer = await sessions!.call({ method: 'POST', path: lane.path, body })
    } catch (error) {
      say('no session', { error: String(error) })
      for (const each of lanes) punish(each, error instanceof NoSession ? error.retryAfterMs : null)
      return false
    }
    return !stopped && settle(lane, batch, answer)
  }

  /** Acts on the answer; true when the lane may go on at once. */
  function settle(lane: Lane, batch: Item[], answer: Answer): boolean {
    const { status } = answer
    if (status >= 200 && status < 300) return acknowledge(lane, batch, answer)
    say('not handed in', { path: lane.path, status, items: batch.length })
    if (status === 400 || status === 413 || status === 422) {
      if (batch.length > 1) {
        lane.width = Math.ceil(batch.length / 2) // one bad item spoils a batch: halve until it stands alone
        return true
      }
      refuseWhole(batch[0])
      lane.width = BATCH_MAX
    }
    if (status === 0) for (const each of lanes) punish(each, null)
    else punish(lane, answer.retryAfterMs)
    return false
  }

  function acknowledge(lane: Lane, batch: Item[], answer: Answer): boolean {
    const verdicts: Record<string, string> = {}
    const spoken = answer.body && Array.isArray(answer.body.items) ? answer.body.items : null
    for (const v of spoken || []) {
      if (v && /^(stored|duplicate|refused)$/.test(v.verdict)) verdicts[v.id] = v.verdict
      say('verdict', v)
    }
    // Opens are answered by a bare 202; a hotel's log-in page says 200
    if (!spoken && !lane.dated && answer.status === 202) for (const item of batch) verdicts[item.id] = 'stored'
    const sent: Record<string, true> = {}
    for (const item of batch) sent[item.id] = true
    box.change((b) => {
      b.items = b.items.filter((item) => {
        if (!sent[item.id] || !verdicts[item.id]) return true
        count(b, `acknowledged.${verdicts[item.id]}`)
        return false
      })
    })
    if (batch.some((item) => !verdicts[item.id])) {
      punish(lane, null)
      return false
    }
    lane.failures = 0
    lane.retryAt = 0
    lane.width = Math.min(BATCH_MAX, lane.width * 2)
    return true
  }

  function refuseWhole(bad: Item): void {
    box.change((b) => {
      b.items = b.items.filter((item) => {
        if (item.id !== bad.id) return true
        item.bad = (item.bad || 0) + 1
        if (item.bad < BAD_TRIES) return true
        count(b, `dropped.${countedAs(item)}`)
        say('dropped: the server cannot read it', { item })
        return false
      })
    })
  }

  function punish(lane: Lane, retryAfterMs: number | null): void {
    lane.failures += 1
    const now = env.now()
    lane.retryAt = now + backoffMs(lane.failures, env.random())
    if (retryAfterMs !== null) lane.notBefore = now + retryAfterMs
  }

  const hasItems = (b: Box, lane: Lane) => b.items.some((item) => item.kind === lane.kind)

  /** Sends until nothing is due. 0, or the moment until which another copy holds the lease. */
  async function round(eager: boolean): Promise<number> {
    const failed: Lane[] = []
    while (!stopped) {
      const now = env.now()
      const b = box.read()
      const lane = lanes.filter((l) => failed.indexOf(l) < 0 && hasItems(b, l) && isDue(l, now, eager))[0]
      if (!lane) break
      const busyUntil = lease.take()
      if (busyUntil) return busyUntil
      const before = lanes.map((l) => l.failures)
      if (await sendOne(lane)) continue
      // whichever lanes this failure set back are over for this round
      lanes.forEach((l, i) => l.failures > before[i] && failed.push(l))
    }
    return 0
  }

  function flush(eager = false): Promise<void> {
    if (stopped || !sessions) return Promise.resolve()
    if (running) return running
    const over = (busyUntil: number) => {
      running = null
      if (stopped) return
      lease.release()
      const now = env.now()
      const b = box.read()
      const waiting = lanes.filter((lane) => hasItems(b, lane))
      if (waiting.length) wake(Math.max(busyUntil, now + 1, Math.min(...waiting.map((lane) => dueAt(lane, now)))))
    }
    running = round(eager).then(over, (error) => {
      say('flush failed', { error: String(error) })
      over(env.now() + sessions.settings().flushMs)
    })
    return running
  }

  return {
    /** Puts catches into storage, at once; they travel later. `note` joins the same write. */
    keep,
    box,
    newId,
    wake,
    /** Hands in what is due; `eager` does not wait for our own back-off, only for the server's Retry-After. Never rejects. */
    flush,
    /** The network is back: our own back-off has lost its reason. */
    forgive(): void {
      for (const lane of lanes) lane.retryAt = 0
    },
    stop(): void {
      stopped = true
      if (timer !== null) env.clearTimeout(timer)
      timer = null
      lease.release()
    }
  }
}

import { count, createBox, fit, type Box } from './box.js'
import { countedAs, LANES, type Catch, type Item } from './item.js'
import { createLease } from './lease.js'
import { choose, dueAt, isDue, namedIn, newLane, punish, soundOf, type Lane } from './lane.js'
import { BATCH_MAX } from '../settings.js'
import { NoSession, type Sessions } from '../login.js'
import type { Answer } from '../transport.js'
import type { Env, PhoneApi, Settings } from '../types.js'

/** An item is dropped after this many tries that are held against it. */
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
  // The start's own mark makes ids unique over restarts and copies, the counter within this start
  const mark = env.now().toString(36) + '-' + chance() + chance()
  const box = createBox(api, mark)
  const lease = createLease({ api, env, holder: mark, leaseMs })
  const lanes = LANES.map(newLane)
  let made = 0
  let active = 0
  let stopped = false
  let timer: unknown = null
  let timerAt = 0
  let heard: NoSession | null = null

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

  /** See below; a kit that was stopped still keeps, for the one that came after it. */
  function keep(catches: Catch[], settings: Settings, admit?: (box: Box) => string | null): string | null {
    if (!catches.length) return null
    const caughtAt = new Date(env.now()).toISOString()
    const items = catches.map((c) => Object.assign({ id: newId(), caughtAt }, c) as Item)
    let refusal: string | null = null
    let dropped: Item[] = []
    const now = box.change((b) => {
      refusal = admit ? admit(b) : null
      if (refusal !== null) return false
      for (const item of items) {
        b.items.push(item)
        count(b, `caught.${countedAs(item)}`)
      }
      dropped = fit(b, size)
      return undefined
    })
    if (refusal !== null) return refusal
    for (const item of items) say('caught', { item })
    for (const item of dropped) say('dropped: the outbox is full', { id: item.id, kind: countedAs(item) })
    wake(env.now() + (now.items.length >= settings.batchSize ? 0 : settings.flushMs))
    return null
  }

  async function sendOne(lane: Lane): Promise<boolean> {
    let answer: Answer
    let batch: Item[]
    try {
      await sessions!.get() // its settings say how large a batch may be
      batch = next(lane)
      if (!batch.length || stopped) return false
      const items = batch.map(lane.wire)
      const body = () => {
        lease.take() // prolongs it: logging in may have taken its time
        return lane.dated ? { sentAt: new Date(env.now()).toISOString(), items } : { items }
      }
      answer = await sessions!.call({ method: 'POST', path: lane.path, body })
    } catch (error) {
      say('no session', { error: String(error) })
      if (!(error instanceof NoSession)) setBack(lane, null)
      else if (error !== heard) {
        heard = error // one login failed for all lanes: each is set back, once
        for (const each of lanes) setBack(each, error.retryAfterMs)
      }
      return false
    }
    return !stopped && settle(lane, batch, answer)
  }

  /** Acts on the answer; true when the lane may go on at once. */
  function settle(lane: Lane, batch: Item[], answer: Answer): boolean {
    const { status } = answer
    if (status >= 200 && status < 300) return acknowledge(lane, batch, answer)
    say('not handed in', { path: lane.path, status, items: batch.length })
    if ((status === 400 || status === 413 || status === 422) && refuse(lane, batch, answer)) return true
    setBack(lane, answer.retryAfterMs)
    return false
  }

  /**
   * The server cannot take this batch. That is held against an item only when the server named it, or has taken others
   * while it refused this one: a server, or a gateway, that refuses everything costs nothing but time.
   */
  function refuse(lane: Lane, batch: Item[], answer: Answer): boolean {
    const named = namedIn(answer.body, batch)
    const alone = batch.length === 1
    if (!named.length && !alone) {
      for (const { id } of batch) if (!(id in lane.refusedAt)) lane.refusedAt[id] = lane.through
      lane.width = Math.ceil(batch.length / 2) // one bad item spoils a batch: halve until it stands alone
      return true
    }
    const guilty = named.length ? named : batch.filter(({ id }) => lane.through > lane.refusedAt[id])
    blame(lane, guilty)
    for (const { id } of named.length ? named : batch) {
      lane.aside[id] = true
      lane.refusedAt[id] = lane.through
    }
    if (alone) lane.turn += 1
    return guilty.length > 0 && soundOf(lane, box.read().items).length > 0
  }

  function acknowledge(lane: Lane, batch: Item[], answer: Answer): boolean {
    const verdicts: Record<string, string> = Object.create(null)
    const spoken = answer.body && Array.isArray(answer.body.items) ? answer.body.items : null
    for (const v of spoken || []) {
      if (v) verdicts[v.id] = /^(stored|duplicate|refused)$/.test(v.verdict) ? v.verdict : ''
      say('verdict', v)
    }
    // Opens are answered by a bare 202; a hotel's log-in page says 200
    if (!spoken && !lane.dated && answer.status === 202) for (const item of batch) verdicts[item.id] = 'stored'
    const settled: Record<string, true> = Object.create(null)
    let through = 0
    for (const { id } of batch) {
      if (verdicts[id]) {
        settled[id] = true
        through += 1
      }
    }
    if (through) {
      box.change((b) => {
        b.items = b.items.filter((item) => {
          if (!settled[item.id]) return true
          count(b, `acknowledged.${verdicts[item.id]}`)
          return false
        })
      })
      for (const { id } of batch) if (settled[id]) forget(lane, id)
    }
    // One that is passed over while others get their verdict, or gets none we know, will hardly get one tomorrow
    const over = batch.filter(({ id }) => !settled[id] && (through > 0 || verdicts[id] === ''))
    for (const { id } of over) lane.passed[id] = true
    blame(lane, over)
    lane.through += through
    if (through + over.length < batch.length) {
      setBack(lane, null)
      return false
    }
    lane.failures = 0
    lane.retryAt = 0
    lane.width = Math.min(BATCH_MAX, lane.width * 2)
    return true
  }

  /** One try that is held against each of these; after too many it is dropped. */
  function blame(lane: Lane, guilty: Item[]): void {
    if (!guilty.length) return
    box.change((b) => {
      const kept: Item[] = []
      for (const item of b.items) {
        const tries = (item.bad || 0) + 1
        if (!guilty.some(({ id }) => id === item.id)) kept.push(item)
        else if (tries < BAD_TRIES) kept.push(Object.assign({}, item, { bad: tries }))
        else {
          count(b, `dropped.${countedAs(item)}`)
          forget(lane, item.id)
          say('dropped: the server cannot read it', { item })
        }
      }
      b.items = kept
    })
  }
  function forget(lane: Lane, id: string): void {
    delete lane.aside[id]
    delete lane.passed[id]
    delete lane.refusedAt[id]
  }

  const setBack = (lane: Lane, retryAfterMs: number | null) => punish(lane, env.now(), env.random(), retryAfterMs)
  const next = (lane: Lane) => choose(lane, box.read().items, sessions!.settings().batchSize)

  /** Sends until nothing is due. 0, or the moment until which another copy holds the lease. */
  async function round(lane: Lane, eager: boolean): Promise<number> {
    if (next(lane).length) lane.passed = Object.create(null)
    while (!stopped && isDue(lane, env.now(), eager) && next(lane).length) {
      const busyUntil = lease.take()
      if (busyUntil) return busyUntil
      if (!(await sendOne(lane))) break
    }
    return 0
  }

  /** Each lane goes its own way: one that hangs keeps no other waiting. */
  function run(lane: Lane, eager: boolean): Promise<void> {
    if (lane.running) {
      if (!eager) return lane.running
      // what is on its way may have left long ago: who is in a hurry gets a round of their own
      if (!lane.next) {
        lane.next = lane.running.then(() => {
          lane.next = null
          return run(lane, true)
        })
      }
      return lane.next
    }
    if (stopped) return Promise.resolve()
    const over = (busyUntil: number) => {
      lane.running = null
      active -= 1
      if (stopped) return
      if (!active) lease.release()
      const now = env.now()
      if (next(lane).length) wake(Math.max(busyUntil, now + 1, dueAt(lane, now)))
    }
    active += 1
    lane.running = round(lane, eager).then(over, (error) => {
      say('flush failed', { error: String(error) })
      over(env.now() + sessions!.settings().flushMs)
    })
    return lane.running
  }

  function flush(eager = false): Promise<void> {
    if (stopped || !sessions) return Promise.resolve()
    return Promise.all(lanes.map((lane) => run(lane, eager))).then(() => undefined)
  }

  return {
    /**
     * Puts catches into storage, at once; they travel later. `admit` joins the same read and write: it may note
     * something in the box, or answer why they are not wanted, and then nothing is kept. Answers that reason, or null.
     */
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
      box.save()
      lease.release()
    }
  }
}

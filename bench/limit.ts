import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import type { Connection } from 'mongoose'
import { seeded } from '../demo/random.js'
import { openEmbedded } from '../server/embedded/embedded.js'
import { createBudget } from '../server/messages/budget.js'
import type { Pace } from '../server/messages/pace.js'
import { leadMsOf, nextBlockAt, slotsWanted } from '../server/messages/rhythm.js'
import { volley } from '../server/messages/volley.js'
import { connectMongo } from '../server/platform/mongo.js'
import { judged, type Figure } from './figure.js'
import { worstSecondOf } from './worst-second.js'

const SECTION = 'sender'
const WORKERS = [1, 4, 16]
const PER_SECOND = 100
const SECONDS = 120
const LIMITS = { perSecond: PER_SECOND, perDay: 10_000_000, inFlight: 200 }
/** Clocks are off by so much, either way, and run too fast or too slow by so much. */
const SKEW_MS = 5_000
const DRIFT = 50e-6
/** What a way to the store, to WeChat and an answer of WeChat take, and how late a timer wakes up. */
const STORE_MS = { from: 0.3, to: 1.5, spike: 0.01, spikeFrom: 20, spikeTo: 80 }
const JITTER_MS = 10
const TIMER_MS = 2
const LATENCY_MS = { from: 200, to: 500 }
const EPOCH = Date.parse('2090-03-02T04:00:00Z')

/** What a run came to. */
export type Use = {
  workers: number
  killed: number
  /** Messages that reached WeChat, as a share of what its limit allows. */
  used: number
  /** Most messages that reached WeChat within one second, wherever it begins. */
  worstSecond: number
  /** Commands of the store. */
  commands: number
}

/** Time that passes only when everybody waits for it. */
function createTime() {
  let now = 0
  let working = 0
  let order = 0
  const waiting: { at: number; order: number; go: () => void }[] = []
  const at = (when: number, go: () => void) => void waiting.push({ at: when, order: order++, go })
  return {
    now: () => now,
    at,
    sleep: (ms: number) => new Promise<void>((resolve) => at(now + Math.max(0, ms), resolve)),

    /** Something real that takes no time of this world. */
    async meanwhile<T>(work: () => Promise<T>): Promise<T> {
      working += 1
      try {
        return await work()
      } finally {
        working -= 1
      }
    },

    async runTo(end: number): Promise<void> {
      for (;;) {
        do await new Promise<void>((resolve) => setImmediate(resolve))
        while (working > 0)
        waiting.sort((a, b) => b.at - a.at || b.order - a.order)
        const next = waiting.at(-1)
        if (next === undefined || next.at > end) break
        waiting.pop()
        now = next.at
        next.go()
      }
      now = end
    }
  }
}
type Time = ReturnType<typeof createTime>

/**
 * Workers that share one interface's limit by the product's own slots, its own sizes of blocks and its own firing, on a
 * real store; only time is made. Half of them die half-way, with the slots they had. `now`: the store's time.
 */
export async function share(
  db: Connection,
  time: Time,
  { workers, seconds, seed, id }: { workers: number; seconds: number; seed: number; id: string }
): Promise<Use> {
  const chance = seeded(seed)
  const between = ({ from, to }: { from: number; to: number }) => from + (to - from) * chance()
  const way = () =>
    chance() < STORE_MS.spike ? between({ from: STORE_MS.spikeFrom, to: STORE_MS.spikeTo }) : between(STORE_MS)
  const end = seconds * 1000
  const killed = Math.floor(workers / 2)
  const reached: number[] = []
  let commands = 0

  async function work(dies: number): Promise<void> {
    const skew = (chance() * 2 - 1) * SKEW_MS
    const drift = 1 + (chance() * 2 - 1) * DRIFT
    let onTheWay = 0
    const pace: Pace = {
      monotonic: () => (time.now() + onTheWay) * drift + skew,
      // as of a timer, which never wakes up early
      sleep: (ms) => time.sleep(Math.max(ms / drift, 0) + TIMER_MS * chance())
    }
    const budget = createBudget({ db, pace })
    const dead = () => time.now() >= dies
    let inFlight = 0
    let pending = 0
    let leadMs = 0
    while (!dead()) {
      const k = slotsWanted(LIMITS, { queued: 1_000, inFlight, pending, latencyMs: 350 })
      if (k === 0) {
        await time.sleep(5)
        continue
      }
      await time.sleep(way())
      onTheWay = way()
      commands += 1
      const slots = await time.meanwhile(() => budget.reserve(id, 'legacy', 'bulk', k, LIMITS, leadMs))
      const back = onTheWay
      onTheWay = 0
      await time.sleep(back)
      if (slots.granted === 0) {
        await time.sleep(50)
        continue
      }
      // M8: the rows say sending before anything leaves
      const marking = way() + way()
      await time.sleep(marking)
      leadMs = leadMsOf(marking, leadMs)
      const items = Array.from({ length: slots.granted }, () => null)
      let open = items.length
      pending += open
      const go = () => {
        pending -= 1
        open -= 1
        inFlight += 1
        reached.push(time.now() + JITTER_MS * chance())
        time.at(time.now() + between(LATENCY_MS), () => (inFlight -= 1))
      }
      const room = () => inFlight < LIMITS.inFlight
      void volley(items, slots, { pace, room, over: dead, freed: (ms) => pace.sleep(ms) }, go).then(
        () => (pending -= open)
      )
      await pace.sleep(nextBlockAt(slots, leadMs) - pace.monotonic())
    }
  }

  for (let worker = 0; worker < workers; worker++) void work(worker < killed ? end / 2 : end)
  await time.runTo(end)
  const used = reached.filter((at) => at < end).length / (PER_SECOND * seconds)
  // who waits until after the end wakes up and finds it is over
  await time.runTo(end + 10_000)
  return { workers, killed, used, worstSecond: worstSecondOf(reached), commands }
}

/** Runs every number of workers on a store of its own. */
export async function shares(seconds: number, seed: number, done: (use: Use) => void): Promise<Use[]> {
  const dir = mkdtempSync(path.join(tmpdir(), 'hongyan-limit-'))
  const uses: Use[] = []
  try {
    for (const workers of WORKERS) {
      const time = createTime()
      const start = EPOCH + uses.length * 86_400_000
      const store = await openEmbedded({
        dir: path.join(dir, String(workers)),
        worker: false,
        durability: 'commit',
        now: () => new Date(start + Math.floor(time.now()))
      })
      const db = await connectMongo(store.uri, { dbName: 'limit' })
      try {
        const use = await share(db, time, { workers, seconds, seed: seed + workers, id: `a${workers}` })
        uses.push(use)
        done(use)
      } finally {
        await db.close()
        await store.close()
      }
    }
  } finally {
    rmSync(dir, { recursive: true, force: true })
  }
  return uses
}

/**
 * How much of WeChat's limit is used by 1, 4 and 16 workers whose clocks are off, half of which die, and whether it is ever
 * overstepped.
 */
export async function senderLimit(say: (line: string) => void): Promise<Figure[]> {
  const uses = await shares(SECONDS, 1, ({ workers, killed, used, worstSecond }) =>
    say(
      `${workers} workers, ${killed} killed: ${(100 * used).toFixed(1)} % of ${PER_SECOND}/s, worst second ${worstSecond}`
    )
  )
  const each = (of: (use: Use) => string) => uses.map((use) => `${use.workers}: ${of(use)}`).join(', ')
  const note = `${SECONDS} s of made time at ${PER_SECOND}/s, clocks ±5 s, half killed half-way`
  return [
    judged(
      SECTION,
      'limit used, least of 1, 4, 16 workers',
      Math.min(...uses.map(({ used }) => used)),
      { atLeast: 0.95 },
      `${note}; ${each(({ used }) => `${(100 * used).toFixed(1)} %`)}`
    ),
    judged(
      SECTION,
      'worst sliding second ÷ limit',
      Math.max(...uses.map(({ worstSecond }) => worstSecond)) / PER_SECOND,
      { atMost: 1 },
      each(({ worstSecond }) => `${worstSecond} of ${PER_SECOND}`)
    )
  ]
}

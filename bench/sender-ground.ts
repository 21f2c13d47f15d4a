import { availableParallelism } from 'node:os'
import { setTimeout as sleep } from 'node:timers/promises'
import type { AccountLimits } from '../shared/account.js'
import { cpuSecondsOf } from '../demo/process-figures.js'
import type { z } from 'zod'
import { startChild, type Child } from './child.js'
import type { Seen } from './fake-wechat.js'
import { median } from './figure.js'
import { withGround } from './ground.js'
import type { Cost } from './sender-host.js'
import { openLoad, type Load } from './sender-load.js'
import { undisturbed } from './undisturbed.js'

/** How long WeChat takes, in ms: each answer anything between the two. */
export type Latency = { minMs: number; maxMs: number }
/** What the customer's table says of WeChat on a usual day. */
export const USUAL: Latency = { minMs: 200, maxMs: 500 }
export const AT_ONCE: Latency = { minMs: 0, maxMs: 0 }
export const meanOf = ({ minMs, maxMs }: Latency): number => (minMs + maxMs) / 2

/** What sending a run took and cost; times in ms from the operator's "resume". */
export type Sent = {
  count: number
  /** The first request at WeChat. */
  firstMs: number
  /** The last answer of WeChat. */
  wallMs: number
  /** The last answer is stored. */
  storedMs: number
  cpuMicros: number
  storeCpuMicros: number
  cost: Cost
  seen: Seen
  /** Commands a message beyond what the worker asks at rest, and all there were. */
  commands: number
  allCommands: number
}

/** How many messages a second this machine's cores carry at most, at what each cost sender and store; WeChat not counted. */
export function carriedBy(sent: readonly Sent[]): { perSecond: number; words: string } {
  const own = median(sent.map(({ cpuMicros }) => cpuMicros))
  const stores = median(sent.map(({ storeCpuMicros }) => storeCpuMicros))
  const cores = availableParallelism()
  const perSecond = (cores * 1e6) / (own + stores)
  const words =
    `a message took ${own.toFixed(0)} µs of the sender's processor time and ${stores.toFixed(0)} µs of the store's: ` +
    `${cores} cores carry ${perSecond.toFixed(0)} a second at most, WeChat's side not counted`
  return { perSecond, words }
}

/** A worker, a store, WeChat: each a process of its own. */
export type SenderGround = {
  uri: string
  wechat: string
  fake: Child
  /** An account with this many people; its limits may be beyond WeChat's. */
  account(limits: z.infer<typeof AccountLimits>, people: number): Promise<string>
  /** MB the worker has in use, garbage not counted. */
  live(): Promise<number>
  /** Sends a message to each of `count` people of the account. @throws Error when not all were accepted */
  send(accountId: string, count: number, latency: Latency): Promise<Sent>
}

const REST_MS = 3_000
const LOOK_MS = 20

/** Everything ends and is removed afterwards, whatever happens. */
export async function withSender<T>(
  say: (line: string) => void,
  use: (ground: SenderGround) => Promise<T>
): Promise<T> {
  return withGround(async ({ dir, processes }) => {
    const store = await processes.start('store', ['store'], { env: { HONGYAN_DATA: dir } })
    const uri = store.facts.uri!
    const fake = startChild('fake-wechat')
    const host = startChild('sender-host', ['--expose-gc'])
    let load: Load | null = null
    try {
      const wechat = await fake.ask<string>('where')
      await host.ask('open', { uri, dir, apiBase: wechat })
      const hands = (load = await openLoad(dir, uri, say))
      let accounts = 0
      let atRest: Record<string, number> | null = null

      /** Commands a second of a worker with nothing to send. */
      async function resting(): Promise<Record<string, number>> {
        await host.ask('watch')
        const began = performance.now()
        await sleep(REST_MS)
        const { commands } = await host.ask<Cost>('seen')
        const seconds = (performance.now() - began) / 1000
        return Object.fromEntries(Object.entries(commands).map(([name, n]) => [name, n / seconds]))
      }

      async function send(accountId: string, count: number, latency: Latency): Promise<Sent> {
        const wave = hands.wave(accountId, count)
        // paused before there is anything to send, or the first would be on their way at once
        await host.ask('run', { ...wave, born: count })
        await hands.fill(wave)
        atRest ??= await undisturbed(say, resting)
        await fake.ask('begin', latency)
        await host.ask('watch')
        const [mine, theirs] = [performance.now(), cpuSecondsOf(store.pid)]
        const at = await host.ask<number>('go', wave)
        while ((await fake.ask<number>('sends')) < count) await sleep(LOOK_MS)
        while (!(await hands.through(accountId))) await sleep(LOOK_MS)
        const storedAt = performance.timeOrigin + performance.now()
        while (!(await hands.followed(accountId))) await sleep(5 * LOOK_MS)
        const seconds = (performance.now() - mine) / 1000
        const cost = await host.ask<Cost>('seen')
        const storeCpu = cpuSecondsOf(store.pid) - theirs
        const accepted = await hands.accepted(wave.runId)
        const last = await fake.ask<Seen>('seen')
        if (accepted !== count || last.sends !== count) {
          throw new Error(`of ${count} messages ${accepted} were accepted, with ${last.sends} requests`)
        }
        return {
          count,
          firstMs: last.firstAt - at,
          wallMs: last.answeredAt - at,
          storedMs: storedAt - at,
          cpuMicros: (cost.cpuSeconds / count) * 1e6,
          storeCpuMicros: (storeCpu / count) * 1e6,
          cost,
          seen: last,
          commands: beyond(cost.commands, atRest, seconds) / count,
          allCommands: beyond(cost.commands, {}, seconds) / count
        }
      }

      return await use({
        uri,
        wechat,
        fake,
        async account(limits, people) {
          accounts += 1
          const appId = `wx${String(accounts).padStart(16, '0')}`
          const id = await host.ask<string>('account', { kind: 'miniprogram', appId, limits })
          await hands.crowd(id, people)
          atRest = null
          return id
        },
        live: () => host.ask<number>('live'),
        send: (...wish) => undisturbed(say, () => send(...wish))
      })
    } finally {
      await load?.close()
      await host.stop()
      await fake.stop()
      await processes.stop(store)
    }
  })
}

/** Looking for jobs is asked as often whether messages go or not. */
const JOBS = / agendaJobs$/

/** Commands there would not have been in as many seconds at rest. */
function beyond(commands: Record<string, number>, atRest: Record<string, number>, seconds: number): number {
  return Object.entries(commands).reduce((all, [name, n]) => {
    const rest = JOBS.test(name) && atRest[name] !== undefined ? n : (atRest[name] ?? 0) * seconds
    return all + Math.max(0, n - rest)
  }, 0)
}

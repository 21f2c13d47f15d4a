import { monitorEventLoopDelay, PerformanceObserver, type IntervalHistogram } from 'node:perf_hooks'
import type { CommandStartedEvent } from 'mongodb'
import { buildApp, type App } from '../server/app.js'
import { openGround, type Ground } from '../server/commands/ground.js'
import { readConfig } from '../server/config.js'
import type { AccountCreate } from '../shared/account.js'
import { DAY_MS } from '../shared/limits.js'
import { createLog } from '../server/platform/log.js'
import { ownMbOf } from '../demo/process-figures.js'
import { answerParent } from './child.js'

// A worker as `hongyan worker` is one, pumps, follower and jobs, that counts what it asks of its store, and can be asked
// what it cost.

/** What the worker is to stand on; accounts are made in it past the API, which would not take limits beyond WeChat's. */
export type Opening = { uri: string; dir: string; apiBase: string }
export type AccountWish = Pick<AccountCreate, 'kind' | 'appId' | 'limits'>
export type RunWish = { runId: string; campaignId: string; accountId: string; templateId: string; born: number }

/** What it cost since `watch`. */
export type Cost = {
  cpuSeconds: number
  /** Commands sent to the store, by name and collection. */
  commands: Record<string, number>
  delayP99Ms: number
  delayMaxMs: number
  /** The longest collection of garbage. */
  longestGcMs: number
  mostRssMb: number
}

const RESOLUTION_MS = 5
const SAMPLE_MS = 50

let ground: Ground | null = null
let server: App | null = null
let commands: Record<string, number> = {}
let delays: IntervalHistogram | null = null
let sampling: NodeJS.Timeout | null = null
let mostMb = 0
let cpu = process.cpuUsage()
let longestGcMs = 0

new PerformanceObserver((list) => {
  for (const { duration } of list.getEntries()) longestGcMs = Math.max(longestGcMs, duration)
}).observe({ entryTypes: ['gc'] })

const ownMb = () => ownMbOf(process.pid)

function note({ commandName, command }: CommandStartedEvent): void {
  const name = `${commandName} ${String(commandName === 'getMore' ? command.collection : command[commandName])}`
  commands[name] = (commands[name] ?? 0) + 1
}

answerParent(
  {
    async open({ uri, dir, apiBase }: Opening) {
      const config = readConfig(
        {
          HONGYAN_DATA: dir,
          HONGYAN_API_BASE: apiBase,
          MONGODB_URI: `${uri}${uri.includes('?') ? '&' : '?'}monitorCommands=true`
        },
        { terminal: false }
      )
      const log = createLog({ level: 'warn' })
      ground = await openGround(config, log)
      const { db, clock, sealer } = ground
      db.getClient().on('commandStarted', note)
      server = await buildApp({ config, db, clock, log, sealer, random: Math.random, works: true, serves: false })
      await server.start()
    },

    async account({ kind, appId, limits }: AccountWish) {
      const caps = { perPersonPerDay: 50 }
      const body = { kind, appId, limits, caps, name: 'bench', secret: 'b'.repeat(32), mode: 'live' as const }
      return (await server!.rooms.accounts.create(body)).id
    },

    /** A run all of whose messages are planned, at rest until `go`. */
    async run({ runId, campaignId, accountId, templateId, born }: RunWish) {
      const { runs } = server!.rooms.messages
      const instant = ground!.clock.now()
      const snapshot = { template: { kind: 'legacy' } }
      const notAfter = new Date(instant.getTime() + DAY_MS)
      await runs.open({ id: runId, campaignId, accountId, templateId, lane: 'bulk', instant, notAfter, snapshot })
      await runs.setPaused(campaignId, true)
      await runs.checkpoint(runId, { from: null, to: null, born, again: false })
    },

    /** Lets it go on, as an operator's "resume" does. @returns when, in ms since 1970 */
    async go({ campaignId, accountId }: { campaignId: string; accountId: string }) {
      const at = performance.timeOrigin + performance.now()
      await server!.rooms.messages.runs.setPaused(campaignId, false)
      server!.rooms.messages.wake(accountId)
      return at
    },

    async watch() {
      globalThis.gc?.()
      mostMb = await ownMb()
      sampling = setInterval(() => void ownMb().then((mb) => (mostMb = Math.max(mostMb, mb))), SAMPLE_MS)
      delays = monitorEventLoopDelay({ resolution: RESOLUTION_MS })
      delays.enable()
      commands = {}
      longestGcMs = 0
      cpu = process.cpuUsage()
    },

    /** MB that are still in use after everything else was collected. */
    async live(): Promise<number> {
      globalThis.gc?.()
      const { heapUsed, external } = process.memoryUsage()
      return (heapUsed + external) / 2 ** 20
    },

    async seen(): Promise<Cost> {
      const { user, system } = process.cpuUsage(cpu)
      clearInterval(sampling!)
      delays!.disable()
      return {
        cpuSeconds: (user + system) / 1e6,
        commands,
        delayP99Ms: Math.max(0, delays!.percentile(99) / 1e6 - RESOLUTION_MS),
        longestGcMs,
        delayMaxMs: Math.max(0, delays!.max / 1e6 - RESOLUTION_MS),
        mostRssMb: mostMb
      }
    }
  },
  async () => {
    await server?.stop()
    await ground?.close()
  }
)

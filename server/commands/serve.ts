import { setFlagsFromString } from 'node:v8'
import { buildApp } from '../app.js'
import { VERSION } from '../version.js'
import { readConfig, type Config } from '../config.js'
import { listenForScrapes } from '../metrics/routes.js'
import type { SyncedClock } from '../platform/clock-sync.js'
import { createLog } from '../platform/log.js'
import { readArguments, readPort, type Command, type Io } from './command.js'
import { openGround } from './ground.js'
import { listenFault, tryPort, untilSignal } from './process.js'

/** What a process is there for. */
export type Duty = { serves: boolean; works: boolean }

const OPTIONS = {
  port: { type: 'string', short: 'p' },
  host: { type: 'string' },
  data: { type: 'string' },
  pretty: { type: 'boolean' }
} as const
const FLAGS = '[--port N] [--host ADDRESS] [--data DIR] [--pretty]'
/**
 * Rows on their way outlive a collection or two, then are garbage. Left to itself, the heap would grow to several times of
 * what is alive before it is looked through; so at most as much again.
 */
const HEAP = '--heap-growing-percent=100'
/** More than this is no drift any more. */
const MOST_SKEW_S = 60
/** A stop that hangs longer than this is ended by force. */
const STOP_MS = 20_000

export const serveCommand: Command = {
  usage: `hongyan serve ${FLAGS}`,
  run: (argv, io) => serve({ serves: true, works: true }, argv, io)
}
export const apiCommand: Command = {
  usage: `hongyan api ${FLAGS}`,
  run: (argv, io) => serve({ serves: true, works: false }, argv, io)
}
export const workerCommand: Command = {
  usage: `hongyan worker ${FLAGS}`,
  run: (argv, io) => serve({ serves: false, works: true }, argv, io)
}

async function serve(duty: Duty, argv: string[], io: Io): Promise<number> {
  const { values } = readArguments(argv, OPTIONS)
  setFlagsFromString(HEAP)
  const config = configWith(values, io.env)
  const listens = duty.serves || values.port !== undefined
  const pretty = values.pretty ?? config.logPretty
  const log = createLog({ level: config.logLevel, pretty })
  if (listens) {
    // Before anything is opened: a taken port is the commonest slip, and callback urls need the number of a free one.
    const port = await tryPort(config.host, config.port)
    if (config.port === 0 && !io.env.HONGYAN_PUBLIC_URL) config.publicUrl = config.publicUrl.replace(/:0$/, `:${port}`)
    config.port = port
  }

  const stopped = untilSignal()
  const ground = await openGround(config, log)
  const { db, clock, sealer, synced, store } = ground
  const server = await buildApp({
    config,
    db,
    clock,
    log,
    sealer,
    random: Math.random,
    works: duty.works,
    serves: duty.serves,
    checks: [
      { name: 'keys', check: ground.keysFault },
      { name: 'clock', check: async () => clockFault(synced) }
    ]
  })
  let scrapes: { url: string; close(): Promise<void> } | null = null
  try {
    if (config.adminEmail !== null && config.adminPassword !== null) {
      await server.rooms.operators.ready()
      if (await server.rooms.operators.ensureOwner(config.adminEmail, config.adminPassword)) {
        log.info('the owner of HONGYAN_ADMIN_EMAIL was made')
      }
    }
    server.rooms.metrics.watchProcess()
    if (config.metrics !== null) {
      const { host, port } = config.metrics
      scrapes = await listenForScrapes(server.rooms.metrics, config.metrics).catch((error: unknown) => {
        throw listenFault(error, host, port)
      })
    }
    await server.start()
    const url = listens ? await listen(server.app, config) : null
    const facts = {
      url,
      store: store.kind,
      ownsStore: store.owner,
      works: duty.works,
      pid: process.pid,
      ...(scrapes !== null && { metrics: scrapes.url })
    }
    log.info(facts, listens ? 'listening' : 'working')
    if (duty.serves) await greet(io, url!, pretty, await server.rooms.operators.setupCode(), log)
    process.send?.({ kind: 'ready', ...facts })

    log.info({ signal: await stopped.signal }, 'stopping')
    return 0
  } finally {
    stopped.off()
    const force = setTimeout(() => {
      log.error('stopping took too long; ending by force')
      process.exit(1)
    }, STOP_MS)
    await server.stop()
    await scrapes?.close()
    await ground.close()
    clearTimeout(force)
    log.info('stopped')
    log.flush()
  }
}

/** What is due and what is leased goes by the store's time; a machine far from it has logs nobody can read beside others. */
function clockFault(synced: SyncedClock): string | null {
  if (!synced.fresh()) return 'the time of the store is not known'
  const seconds = Math.round(Math.abs(synced.offsetMs()) / 1000)
  return seconds <= MOST_SKEW_S ? null : `this machine's clock is ${seconds} s off the store's: set it by NTP`
}

function configWith(flags: { port?: string; host?: string; data?: string }, env: Io['env']): Config {
  if (flags.port !== undefined) readPort(flags.port)
  return readConfig({
    ...env,
    ...(flags.port !== undefined && { HONGYAN_PORT: flags.port }),
    ...(flags.host !== undefined && { HONGYAN_HOST: flags.host }),
    ...(flags.data !== undefined && { HONGYAN_DATA: flags.data })
  })
}

async function greet(
  io: Io,
  url: string,
  pretty: boolean,
  setupCode: string | null,
  log: ReturnType<typeof createLog>
): Promise<void> {
  if (!pretty) {
    if (setupCode !== null) log.warn({ setupCode }, 'not set up yet: POST /v1/setup with this code')
    return
  }
  io.out(`\n鸿雁 Hongyan ${VERSION}\n  API   ${url}/v1\n  docs  ${url}/docs\n`)
  if (setupCode === null) return
  const body = `{"code":"${setupCode}","email":"you@example.com","password":"…"}`
  io.out(`  First run. Set-up code: ${setupCode}`)
  io.out(`  curl -X POST ${url}/v1/setup -H 'content-type: application/json' -d '${body}'\n`)
}

async function listen(app: { listen(to: { host: string; port: number }): Promise<string> }, { host, port }: Config) {
  try {
    return await app.listen({ host, port })
  } catch (error) {
    throw listenFault(error, host, port)
  }
}

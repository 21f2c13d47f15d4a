import { rmSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { extname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { setTimeout as sleep } from 'node:timers/promises'
import { createClient, type Client } from './client.js'
import { createOperator } from './operator.js'
import { createProcesses, type Processes, type Running } from './processes.js'

/** A whole installation on this machine: store, server, worker and a local WeChat, each a process. */
export type Stage = {
  dir: string
  processes: Processes
  /** The server, called with an API key of all scopes. */
  api: Client
  key: string
  /** Opens the console as the demo's own operator: the part behind # never leaves the browser. */
  consoleUrl: string
  sandbox: Client
  /** Moves server and WeChat to this moment (ms), of a stage built with `startAt`. */
  moveTo(at: number): Promise<void>
  /** kill -9 of the worker, and another one in its place. */
  replaceWorker(): Promise<void>
  /** Ends all processes in order and removes the directory. */
  strike(): Promise<void>
}

/** The server whose clock can be moved, compiled or not, as this file itself is. */
const MOVED_SERVER = fileURLToPath(new URL(`./campaigns/moved-server${extname(import.meta.url)}`, import.meta.url))
const EMAIL = 'demo@example.com'
const WORKER = ['worker']

/**
 * Builds the stage in a fresh temporary directory. `step` hears what is going on. `whole`: one `serve` with the store in
 * it, as a small installation has it, instead of a process for each part. `startAt` (ms): that one process, with a clock
 * that begins there and can be moved.
 */
export async function buildStage({
  seed,
  step,
  startAt,
  whole = startAt !== undefined
}: {
  seed: number
  step: (line: string) => void
  startAt?: number
  whole?: boolean
}): Promise<Stage> {
  const dir = await mkdtemp(join(tmpdir(), 'hongyan-demo-'))
  const processes = createProcesses({ dir })
  const clients: Client[] = []
  // Whoever leaves before the stage stands leaves nothing behind either.
  const tidy = () => rmSync(dir, { recursive: true, force: true })
  process.once('exit', tidy)
  try {
    const sandboxArgs = ['sandbox', '--port', '0', '--seed', String(seed)]
    const data = { HONGYAN_DATA: dir, HONGYAN_LOG_LEVEL: 'warn', HONGYAN_LOG_PRETTY: 'false' }
    const [store, wechat] = await Promise.all([
      whole ? null : processes.start('store', ['store'], { env: { HONGYAN_DATA: dir } }),
      processes.start('sandbox', sandboxArgs, { by: 'line' })
    ])
    const sandboxUrl = wechat.facts.url
    if (sandboxUrl === undefined) throw new Error(`the sandbox does not say where it is: ${wechat.facts.line}`)
    step(`${whole ? 'the sandbox runs' : 'store and sandbox run'} (${sandboxUrl})`)

    const operator = createOperator(EMAIL)
    const env = { ...data, ...(store && { MONGODB_URI: store.facts.uri! }), HONGYAN_API_BASE: sandboxUrl }
    const admin = operator.settings
    const [server, first] = await Promise.all([
      startAt === undefined
        ? processes.start('api', [whole ? 'serve' : 'api', '--port', '0'], { env: { ...env, ...admin } })
        : processes.start('api', [String(startAt)], {
            env: { ...env, ...admin, HONGYAN_PORT: '0' },
            script: MOVED_SERVER
          }),
      whole ? null : processes.start('worker', WORKER, { env })
    ])
    let worker = first
    step(`${whole ? 'the server runs' : 'server and worker run'} (${server.facts.url})`)

    const door = createClient(server.facts.url!)
    const sandbox = createClient(sandboxUrl)
    const hands = server.facts.clock === undefined ? null : createClient(server.facts.clock)
    clients.push(door, sandbox, ...(hands === null ? [] : [hands]))
    if (startAt !== undefined) await sandbox.post('/sandbox/clock', { set: startAt })
    const key = await operator.makeKey(door, 'demo')

    const stopInOrder = async (running: (Running | null)[]) => {
      for (const each of running) if (each !== null) await processes.stop(each)
    }
    return {
      dir,
      processes,
      api: door.as(key),
      key,
      consoleUrl: `${server.facts.url}/#demo=${operator.password}`,
      sandbox,
      async moveTo(at) {
        if (hands === null) throw new Error('the clock of this stage is the machine’s')
        await Promise.all([hands.post('', { set: at }), sandbox.post('/sandbox/clock', { set: at })])
      },
      async replaceWorker() {
        if (worker === null) throw new Error('there is no worker apart from the server')
        await processes.kill(worker)
        worker = await processes.start('worker', WORKER, { env })
      },
      async strike() {
        await Promise.all(clients.map((client) => client.close()))
        await stopInOrder([worker, server, wechat, store])
        await processes.killAll()
        await rm(dir, { recursive: true, force: true })
      }
    }
  } catch (error) {
    await processes.killAll()
    throw Object.assign(error as Error, { dir })
  } finally {
    process.off('exit', tidy)
  }
}

/** Asks again every `everyMs` until `look` gives something other than null. @throws Error naming `what` after `withinMs` */
export async function until<T>(
  what: string,
  withinMs: number,
  look: () => Promise<T | null>,
  everyMs = 250
): Promise<T> {
  for (const end = performance.now() + withinMs; ;) {
    const found = await look()
    if (found !== null) return found
    if (performance.now() > end) throw new Error(`${what}: still not so after ${Math.round(withinMs / 1000)} s`)
    await sleep(everyMs)
  }
}

/** Waits for long work behind an operation. @throws Error when it failed */
export async function finished(api: Client, operation: { id: string; kind: string }, withinMs = 120_000): Promise<any> {
  return until(`operation ${operation.kind}`, withinMs, async () => {
    const { state, result, error } = await api.get(`/v1/operations/${operation.id}`)
    if (state === 'failed') throw new Error(`operation ${operation.kind} failed: ${error}`)
    return state === 'done' ? { result } : null
  })
}

import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { tryPort } from '../../server/commands/process.js'
import { createClient, type Client } from '../client.js'
import { createOperator } from '../operator.js'
import { createProcesses, type Processes, type Running } from '../processes.js'

/** Whom a kill -9 may hit. */
export type Victim = 'api' | 'worker' | 'store'

/** One store, some APIs and workers, and a local WeChat, each a process that can be killed and comes back. */
export type Installation = {
  dir: string
  processes: Processes
  /** The last API with a key of all scopes, at an address it keeps over its deaths. */
  api: Client
  /** All of them, the spared one first. */
  apis: readonly Client[]
  key: string
  sandbox: Client
  /** Where the store answers, also after it was killed. */
  storeUri: string
  /**
   * kill -9 of one that runs (of several the one `chance`, 0 to 1, points at), which is started again at once.
   * Resolves when it is gone; `false` when none of them runs right now.
   */
  kill(victim: Victim, chance: number): Promise<boolean>
  /** How many APIs and workers may be killed, and how many of them are APIs. */
  mortals: number
  mortalApis: number
  /** Whoever `kill` never hits but for the store, and the store. */
  lasting: readonly Running[]
  /** How many are not back yet. */
  down(): number
  /** Resolves when everything that was killed is back. */
  whole(): Promise<void>
  /** How often somebody could not be started, most likely because the store was away, and was started once more. */
  failedStarts(): number
  /** The last lines of those that ended by themselves after they had stood. */
  crashes(): readonly string[]
  /** Ends everything and removes the directory. */
  strike(): Promise<void>
}

const EMAIL = 'chaos@example.com'
const HOST = '127.0.0.1'
const AGAIN_MS = 200
const TRIES = 20

type Post = {
  victim: Victim
  spared: boolean
  start: () => Promise<Running>
  running: Running | null
  back: Promise<void>
}

/**
 * Builds one in a fresh temporary directory. `latency` is WeChat's, in ms; with `spare` the first API and the first worker
 * are never killed; `env` is for all but WeChat.
 */
export async function buildInstallation({
  seed,
  apis = 1,
  workers,
  latency,
  spare = false,
  env: more = {}
}: {
  seed: number
  apis?: number
  workers: number
  latency: { minMs: number; maxMs: number }
  spare?: boolean
  env?: Record<string, string>
}): Promise<Installation> {
  const dir = await mkdtemp(join(tmpdir(), 'hongyan-chaos-'))
  const processes = createProcesses({ dir })
  const posts: Post[] = []
  const crashes: string[] = []
  let failedStarts = 0
  let over = false

  /** Whoever was not killed and is gone all the same has crashed. */
  function onEnd(post: Post, running: Running): void {
    if (over || post.running !== running) return
    crashes.push(processes.tail(running.name))
    post.running = null
    post.back = bringBack(post)
    post.back.catch(() => {}) // told by whole()
  }

  /** As a supervisor does it: again and again, until it stands. */
  async function bringBack(post: Post): Promise<void> {
    for (let tries = 1; !over; tries++) {
      try {
        const running = await post.start()
        post.running = running
        void running.ended.then(() => onEnd(post, running))
        return
      } catch (error) {
        failedStarts += 1
        if (tries === TRIES) throw error
        await sleep(AGAIN_MS)
      }
    }
  }

  try {
    const storePort = await tryPort(HOST, 0)
    const span = `${latency.minMs}-${latency.maxMs}`
    const wechat = await processes.start(
      'sandbox',
      ['sandbox', '--port', '0', '--latency', span, '--seed', `${seed}`],
      {
        by: 'line'
      }
    )
    const sandbox = createClient(wechat.facts.url!)

    const man = async (victim: Victim, start: () => Promise<Running>, spared = false) => {
      const post: Post = { victim, spared, start, running: null, back: Promise.resolve() }
      posts.push(post)
      await bringBack(post)
      return post.running!
    }
    const passwordFile = join(dir, 'store.password')
    const storeArgs = ['store', '--listen', `${HOST}:${storePort}`, '--password-file', passwordFile]
    const store = await man('store', () => processes.start('store', storeArgs, { env: { ...more, HONGYAN_DATA: dir } }))
    const storeUri = store.facts.uri!
    const operator = createOperator(EMAIL)
    const env = {
      ...more,
      HONGYAN_DATA: dir,
      HONGYAN_LOG_LEVEL: 'warn',
      HONGYAN_LOG_PRETTY: 'false',
      HONGYAN_API_BASE: sandbox.url,
      ...operator.settings,
      MONGODB_URI: storeUri
    }
    const doors: Client[] = []
    for (let n = 1; n <= apis; n++) {
      const port = `${await tryPort(HOST, 0)}`
      const start = () => processes.start(n === 1 ? 'api' : `api-${n}`, ['api', '--port', port], { env })
      doors.push(createClient((await man('api', start, spare && n === 1)).facts.url!))
    }
    for (let n = 1; n <= workers; n++) {
      await man('worker', () => processes.start(`worker-${n}`, ['worker'], { env }), spare && n === 1)
    }
    const key = await operator.makeKey(doors[0]!, 'chaos')
    const keyed = doors.map((door) => door.as(key))
    const mortals = posts.filter(({ victim, spared }) => victim !== 'store' && !spared)

    return {
      dir,
      processes,
      api: keyed.at(-1)!,
      apis: keyed,
      key,
      mortals: mortals.length,
      mortalApis: mortals.filter(({ victim }) => victim === 'api').length,
      get lasting() {
        return posts.flatMap(({ victim, spared, running }) =>
          running !== null && (spared || victim === 'store') ? [running] : []
        )
      },
      sandbox,
      storeUri,
      async kill(victim, chance) {
        const standing = posts.filter((post) => post.victim === victim && !post.spared && post.running !== null)
        const post = standing[Math.floor(chance * standing.length)]
        if (post === undefined) return false
        const running = post.running!
        post.running = null
        await processes.kill(running)
        post.back = bringBack(post)
        post.back.catch(() => {}) // told by whole()
        return true
      },
      down: () => posts.filter(({ running }) => running === null).length,
      async whole() {
        await Promise.all(posts.map(({ back }) => back))
      },
      failedStarts: () => failedStarts,
      crashes: () => crashes,
      async strike() {
        over = true
        await Promise.all([...doors, sandbox].map((client) => client.close()))
        await processes.killAll()
        await Promise.all(posts.map(({ back }) => back.catch(() => {})))
        await processes.killAll()
        await rm(dir, { recursive: true, force: true })
      }
    }
  } catch (error) {
    over = true
    await processes.killAll()
    throw Object.assign(error as Error, { dir })
  }
}

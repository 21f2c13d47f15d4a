import { Agenda, InMemoryNotificationChannel, type Job as AgendaJob } from 'agenda'
import { MongoBackend } from '@agendajs/mongo-backend'
import { ObjectId } from 'bson'
import type { Connection } from 'mongoose'
import { createClock, type Clock } from './clock.js'
import { randomToken } from './ids.js'
import type { Log } from './log.js'
import { isDuplicateKey } from './mongo.js'

/** What a job's function is given. Its lock is kept alive while it runs; `signal` aborts when the process stops. */
export type Job = { data: any; touch(): Promise<void>; signal: AbortSignal }

export type JobOptions = {
  /** How many of this name one process runs at once: 1 to 4, default 1. */
  concurrency?: number
  /** How long a killed process keeps a job from the others; default 20 s. */
  lockLifetimeMs?: number
}

export type Jobs = {
  /** Says what a job of this name does. It may run twice (a killed process), so it must be repeatable. */
  define(name: string, run: (job: Job) => Promise<void>, options?: JobOptions): void
  /** Runs it now and then every `intervalMs` after each start: one row for all processes, kept over restarts. */
  every(intervalMs: number, name: string, data?: object): Promise<void>
  /** Keeps it running in this process alone, from start to stop: begun again a second after it returned or threw. */
  mine(name: string, data?: object): Promise<void>
  /** Runs it once, at once in this process if it works, else within a second in another. */
  now(name: string, data?: object, options?: { uniqueKey?: string }): Promise<void>
  /**
   * Runs it once at `when`. With `uniqueKey` at most one row of that name and key waits: asking again changes nothing
   * but to move it earlier. One that is already running does not count as waiting.
   */
  at(when: Date, name: string, data?: object, options?: { uniqueKey?: string }): Promise<void>
  /** Runs the function of this name here and now, past all rows; what it throws is thrown. For tests and commands. */
  run(name: string, data?: object): Promise<void>
  start(): Promise<void>
  /** Takes no more work, aborts the signals, waits up to 10 s for what runs, gives back what had not begun. */
  stop(): Promise<void>
  /** Does this process run jobs right now? */
  running(): boolean
  /** Why it does not, or is not seen to; null: it does. */
  fault(): string | null
}

type Definition = { run: (job: Job) => Promise<void>; concurrency: number; lockLifetimeMs: number }

const COLLECTION = 'agendaJobs'
const PROCESS_EVERY_MS = 1_000
/** More locks than can run make processes starve one another (agenda #1302). */
const MAX_CONCURRENCY = 4
const DRAIN_MS = 10_000
const LOCK_LIFETIME_MS = 20_000
/** A failed one-off is tried again after 1, 2, 4 … 60 s, this often. */
const ATTEMPTS = 20
const FAILED_LIFE_SECONDS = 7 * 86_400
const MINE_EVERY_MS = 1_000
/** A watch that was not kept for so long is a fault: the store or the scheduler hangs. */
const UNWATCHED_MS = 60_000
/** Rows of a killed process's own jobs, which nobody else may run, are swept after this. */
const ORPHAN_MS = 10 * 60_000

/**
 * Background jobs over Agenda on the store of `db`. With `enabled: false` (processes that only serve HTTP) jobs are
 * written for others and none is run here.
 */
export function createJobs({
  db,
  clock,
  log,
  enabled,
  lockLifetimeMs: usualLifetimeMs = LOCK_LIFETIME_MS
}: {
  db: Connection
  clock: Clock
  log: Log
  enabled: boolean
  /** The default of jobs that do not say otherwise. Agenda holds a stopped process for half of it: tests keep it short. */
  lockLifetimeMs?: number
}): Jobs {
  const definitions = new Map<string, Definition>()
  const repeated = new Set<string>()
  const worker = `worker-${randomToken(6)}`
  const controller = new AbortController()
  const cleaning = new Set<Promise<unknown>>()
  // Agenda compares rows with the machine's own clock, so `at` is turned into that.
  const machine = createClock()
  let agenda: Agenda | null = null
  let channel: InMemoryNotificationChannel | null = null
  /** Let go of by `watch`, with what was running in them then. */
  const retired = new Set<Promise<unknown>>()
  let watching: NodeJS.Timeout | null = null
  let watchedAt = -Infinity
  let suspects = new Set<string>()
  let prepared: Promise<void> | null = null

  const rows = () => db.getClient().db(db.name).collection(COLLECTION)

  function prepare(): Promise<void> {
    prepared ??= (async () => {
      await rows().createIndexes([
        // Which job of this name is next? (the shape Agenda asks in)
        { key: { name: 1, nextRunAt: 1, priority: -1, lockedAt: 1, disabled: 1 }, name: 'nextJob' },
        // A repeated job is one row, however many processes start at once.
        { key: { name: 1 }, name: 'oneRepeated', unique: true, partialFilterExpression: { type: 'single' } },
        // One-offs that failed for good are kept a week to be looked at.
        {
          key: { failedAt: 1 },
          name: 'failed',
          expireAfterSeconds: FAILED_LIFE_SECONDS,
          partialFilterExpression: { type: 'normal' }
        }
      ])
    })()
    // A failure must not be remembered, or the process would never get over a store that was away at start.
    prepared.catch(() => (prepared = null))
    return prepared
  }

  async function insert(when: Date, name: string, data: object, uniqueKey: string | undefined): Promise<void> {
    await prepare()
    const nextRunAt = new Date(machine.now().getTime() + (when.getTime() - clock.now().getTime()))
    const fresh = { type: 'normal', priority: 0, data, lastModifiedBy: null }
    const found =
      uniqueKey === undefined
        ? await rows().insertOne({ name, ...fresh, nextRunAt, lockedAt: null })
        : await rows().updateOne(
            { name, uniqueKey, lockedAt: null },
            { $min: { nextRunAt }, $setOnInsert: fresh },
            { upsert: true }
          )
    const id = 'insertedId' in found ? found.insertedId : found.upsertedId
    await channel?.publish({
      jobId: String(id ?? '') as never,
      jobName: name,
      nextRunAt,
      priority: 0,
      timestamp: machine.now()
    })
  }

  function handler(name: string, definition: Definition) {
    return async (job: AgendaJob) => {
      // Thrown, not returned: a one-off that returns is done and removed.
      if (controller.signal.aborted) throw new Error('stopping')
      const beat = setInterval(() => {
        job.touch().catch((error: unknown) => log.warn({ err: error, job: name }, 'a job could not keep its lock'))
      }, definition.lockLifetimeMs / 3)
      try {
        await definition.run({ data: job.attrs.data ?? {}, touch: () => job.touch(), signal: controller.signal })
      } catch (error) {
        if (!controller.signal.aborted) log.error({ err: error, job: name }, 'a job failed')
        throw error
      } finally {
        clearInterval(beat)
      }
    }
  }

  function teach(worker: Agenda, name: string, definition: Definition) {
    worker.define(name, handler(name, definition), {
      concurrency: definition.concurrency,
      lockLimit: definition.concurrency,
      lockLifetime: definition.lockLifetimeMs,
      backoff: ({ attempt }) =>
        repeated.has(name) || attempt >= ATTEMPTS ? null : Math.min(60_000, 1_000 * 2 ** (attempt - 1))
    })
  }

  async function repeat(
    intervalMs: number,
    name: string,
    data: object,
    owner: { mine: string } | object
  ): Promise<void> {
    repeated.add(name)
    await prepare()
    const now = machine.now()
    // Written by hand: Agenda's own `every` clears the lock of a run under way in another process.
    const filter = { name, type: 'single' }
    const update = {
      $set: { repeatInterval: intervalMs, data },
      $setOnInsert: { priority: 0, nextRunAt: now, lockedAt: null, lastModifiedBy: null, ...owner }
    }
    await rows()
      .updateOne(filter, update, { upsert: true })
      .catch((error: unknown) => {
        if (!isDuplicateKey(error)) throw error
        return rows().updateOne(filter, { $set: update.$set })
      })
    const latest = new Date(now.getTime() + intervalMs)
    await rows().updateOne({ ...filter, nextRunAt: { $gt: latest } }, { $set: { nextRunAt: latest } })
  }

  async function sweepOrphans(): Promise<void> {
    const silent = { $lt: new Date(machine.now().getTime() - ORPHAN_MS) }
    const mine = { $exists: true }
    await rows().deleteMany({ mine, lockedAt: silent })
    await rows().deleteMany({ mine, lockedAt: null, nextRunAt: silent })
  }

  async function begin(): Promise<void> {
    channel = new InMemoryNotificationChannel()
    // The Db comes from mongoose's copy of the driver; Agenda uses only its methods, and both share one bson.
    const backend = new MongoBackend({ mongo: db.getClient().db(db.name) as never, ensureIndex: false })
    const created = new Agenda({
      name: worker,
      backend,
      notificationChannel: channel,
      processEvery: PROCESS_EVERY_MS,
      maxConcurrency: 100,
      lockLimit: 100,
      defaultLockLimit: MAX_CONCURRENCY,
      defaultConcurrency: 1
    })
    created.on('error', (error: unknown) => log.warn({ err: error }, 'jobs had trouble'))
    created.on('complete', (job: AgendaJob) => {
      const { _id, nextRunAt, type, failCount } = job.attrs
      if (type !== 'normal' || nextRunAt || failCount) return
      // Removed here and not by Agenda, whose drain would wait for ever on a removal under way.
      const removal = rows()
        .deleteOne({ _id: new ObjectId(String(_id)), nextRunAt: null })
        .catch((error: unknown) => log.warn({ err: error }, 'a finished job was not removed'))
        .finally(() => cleaning.delete(removal))
      cleaning.add(removal)
    })
    for (const [name, definition] of definitions) teach(created, name, definition)
    agenda = created
    await created.start()
  }

  /**
   * A process that stood still for longer than a lock lives (a machine that slept) finds that rows it had taken to run
   * soon are no longer its own. Agenda drops those, but goes on counting them, and as many as may be taken never again
   * leave room for one of that name. So an Agenda that counts such rows is let go, and another takes its place; what still
   * runs in the old one ends there.
   */
  async function watch(): Promise<void> {
    const watched = agenda
    if (watched === null) return
    const { lockedJobs, runningJobs, queuedJobs } = await watched.getRunningStats(true)
    const known = new Set([...idsOf(runningJobs), ...idsOf(queuedJobs)])
    const lost = idsOf(lockedJobs).filter((id) => !known.has(id))
    const again = lost.filter((id) => suspects.has(id))
    suspects = new Set(lost)
    watchedAt = machine.monotonic()
    if (again.length === 0 || agenda !== watched) return
    suspects = new Set()
    log.warn({ jobs: again.length }, 'this process stood still for so long that it lost jobs; they are taken up anew')
    const ended: Promise<unknown> = watched
      .drain({ closeConnection: false })
      .catch((error: unknown) => log.warn({ err: error }, 'jobs that were let go did not end well'))
      .finally(() => retired.delete(ended))
    retired.add(ended)
    await begin()
  }

  return {
    define(name, run, options = {}) {
      const { concurrency = 1, lockLifetimeMs = usualLifetimeMs } = options
      if (concurrency < 1 || concurrency > MAX_CONCURRENCY) throw new RangeError(`${name}: concurrency is 1 to 4`)
      const definition = { run, concurrency, lockLifetimeMs }
      definitions.set(name, definition)
      if (agenda !== null) teach(agenda, name, definition)
    },
    every: (intervalMs, name, data = {}) => repeat(intervalMs, name, data, {}),
    async mine(name, data = {}) {
      if (enabled) await repeat(MINE_EVERY_MS, name, data, { mine: worker })
    },
    now: (name, data = {}, options = {}) => insert(clock.now(), name, data, options.uniqueKey),
    at: (when, name, data = {}, options = {}) => insert(when, name, data, options.uniqueKey),
    async run(name, data = {}) {
      const definition = definitions.get(name)
      if (definition === undefined) throw new Error(`no job is called ${name}`)
      await definition.run({ data, touch: async () => {}, signal: controller.signal })
    },
    async start() {
      if (!enabled || agenda !== null) return
      await prepare()
      await sweepOrphans()
      await begin()
      watchedAt = machine.monotonic()
      watching = setInterval(() => {
        watch().catch((error: unknown) => log.warn({ err: error }, 'jobs could not be looked after'))
      }, usualLifetimeMs / 4).unref()
    },
    async stop() {
      controller.abort()
      if (watching !== null) clearInterval(watching)
      const stopping = agenda
      if (stopping === null) return
      agenda = null
      channel = null
      const late = new Promise<false>((resolve) => setTimeout(resolve, DRAIN_MS, false).unref())
      const [{ timedOut, running }, ended] = await Promise.all([
        stopping.drain({ timeout: DRAIN_MS, closeConnection: false }),
        Promise.race([Promise.all(retired), late])
      ])
      const isDone = !timedOut && ended !== false
      if (!isDone) log.warn({ running, retired: retired.size }, 'jobs were still running at the end')
      await Promise.all(cleaning)
      if (!isDone) return
      await rows().deleteMany({ mine: worker })
      await rows().updateMany({ lastModifiedBy: worker, lockedAt: { $ne: null } }, { $set: { lockedAt: null } })
    },
    running: () => agenda !== null,
    fault() {
      if (agenda === null) return 'jobs are not running'
      const silentMs = machine.monotonic() - watchedAt
      return silentMs < UNWATCHED_MS ? null : `jobs were not looked after for ${Math.round(silentMs / 1000)} s`
    }
  }
}

/** The ids of jobs as Agenda's statistics list them; without details it gives their number. */
const idsOf = (jobs: number | readonly { _id?: unknown }[]): string[] =>
  typeof jobs === 'number' ? [] : jobs.map(({ _id }) => String(_id))

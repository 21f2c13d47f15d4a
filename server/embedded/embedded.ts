import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { resolve as resolvePath } from 'node:path'
import { Worker } from 'node:worker_threads'
import type { Listen } from './server.js'
import type { CheckResult } from './storage/check.js'
import type { Durability } from './storage/env.js'
import { prepareDirectory } from './storage/directory.js'
import { findOwner } from './storage/ownership.js'
import { EmbeddedStoreError } from './storage/store-error.js'
import type { StoreErrorCode } from './storage/store-error.js'
import { createTenure } from './tenure.js'
import type { Own } from './tenure.js'
import type { FromWorker } from './worker.js'

export { EmbeddedStoreError } from './storage/store-error.js'

/** Copies a store to an empty directory, whether it is in use or at rest; see storage/backup.ts. @throws EmbeddedStoreError */
export const backupStore = async (dir: string, to: string): Promise<void> =>
  (await import('./storage/backup.js')).backupStore(dir, to)

/** Compares a store's documents, index entries and counts, whether it is in use or at rest. @throws EmbeddedStoreError */
export const checkStore = async (dir: string): Promise<CheckResult> =>
  (await import('./storage/backup.js')).checkStore(dir)

/** How to open a store. */
export type EmbeddedOptions = {
  /** The directory of the store's files; made if need be. One process owns it, others are led to that one. */
  dir: string
  /** false: serve from this thread (tests). Otherwise a worker thread does, and this one's event loop is not held. */
  worker?: boolean
  /** Listen on TCP too, with SCRAM-SHA-256; the uri then carries the password. */
  listen?: Listen
  /** What TTL indexes and `$$NOW` go by; only without a worker. */
  now?: () => Date
  /** 'flush' (default): a write is answered when it is on the disk; 'commit': when it would survive this process. */
  durability?: Durability
  /** Told of oddities, one lower-case phrase with facts. */
  log?: (event: string, facts: Record<string, unknown>) => void
}

/** An open store. */
export type Embedded = {
  /** A MongoDB connection string, for mongoose, the mongodb driver and whatever speaks to MongoDB 7. */
  readonly uri: string
  /** false while another process (or an earlier call) owns the directory and answers at `uri`. */
  readonly owner: boolean
  /** Ends connections, finishes writes under way and gives the directory back, within seconds. */
  close(): Promise<void>
}

const CLOSE_MS = 6_000
/** What a store makes is garbage at once, or stays: a small nursery serves it as well as a large one. */
const LIMITS = { maxYoungGenerationSizeMb: 16 }

/**
 * Opens the store in a directory as a MongoDB server on a unix socket of mode 0600 (Windows: TCP with a password). When
 * another process has it open already, that one serves us too; once it ends, in whatever way, one of those it served
 * opens the store in its place, under the same uri.
 * @throws EmbeddedStoreError when the directory cannot be used; its message says what to do
 */
export async function openEmbedded(options: EmbeddedOptions): Promise<Embedded> {
  const { worker = true, now, log = () => {}, listen, durability } = options
  const dir = resolvePath(options.dir)
  if (worker && now) throw new TypeError('openEmbedded: `now` needs worker: false')
  await prepareDirectory(dir)
  return createTenure({
    log,
    find: () => findOwner(dir),
    async own(like) {
      const given = { dir, listen: listen ?? like ?? undefined, durability }
      if (worker) return startWorker(given, log)
      // Asked for only here: a thread that has a worker do it needs neither lmdb nor the rest.
      const { startServer } = await import('./server.js')
      const { uri, owner, close } = await startServer({ ...given, now: now ?? (() => new Date()), log })
      return { uri, owner, close, lost: new Promise(() => {}) } // a thread does not outlive its own server
    }
  })
}

function startWorker(workerData: Record<string, unknown>, log: NonNullable<EmbeddedOptions['log']>): Promise<Own> {
  return new Promise((resolve, reject) => {
    const worker = newWorker(workerData)
    let ended = false
    let closing: Promise<void> | null = null
    let onEnd = () => {}
    let lose = () => {}
    const lost = new Promise<void>((done) => (lose = done))
    worker.once('error', (error) => {
      log('store worker failed', { reason: error.message })
      reject(error)
    })
    worker.once('exit', (code) => {
      ended = true
      onEnd()
      if (closing === null) lose()
      reject(
        new EmbeddedStoreError(
          'store.not-started',
          `The store's worker thread ended with code ${code} before it was ready.`
        )
      )
    })
    const end = () =>
      new Promise<void>((done) => {
        if (ended) return done()
        const limit = setTimeout(() => void worker.terminate(), CLOSE_MS)
        onEnd = () => {
          clearTimeout(limit)
          done()
        }
        worker.ref() // or this process might end before the store has
        worker.postMessage('close')
      })
    const close = () => (closing ??= end())
    worker.on('message', (message: FromWorker) => {
      if (message.kind === 'log') return log(message.event, message.facts)
      if (message.kind === 'failed') {
        void close()
        reject(
          message.code
            ? new EmbeddedStoreError(message.code as StoreErrorCode, message.message)
            : new Error(message.message)
        )
      }
      if (message.kind !== 'ready') return
      const { uri, owner } = message
      // A process that has nothing else to do may end; its store then needs no recovery beyond what a crash would.
      worker.unref()
      resolve({ uri, owner, close, lost })
    })
  })
}

/** worker.js beside this file once compiled. From the sources it is worker.ts, which a thread only reads with tsx's help. */
function newWorker(workerData: Record<string, unknown>): Worker {
  const compiled = new URL('./worker.js', import.meta.url)
  if (existsSync(fileURLToPath(compiled)))
    return new Worker(compiled, { workerData, execArgv: [], resourceLimits: LIMITS })
  const source = JSON.stringify(new URL('./worker.ts', import.meta.url).href)
  const start = `import('tsx/esm/api').then(({ register }) => { register(); return import(${source}) })`
  return new Worker(start, { workerData, execArgv: [], resourceLimits: LIMITS, eval: true })
}

import { open, ABORT } from 'lmdb'
import type { Database, DatabaseOptions, RootDatabase } from 'lmdb'
import { take } from '../bson/slab.js'
import { inspectDataFile } from './data-file.js'
import { explainStoreError } from './store-error.js'

/** When a write is answered: once it is on the disk, or once it is committed and would survive this process's death only. */
export type Durability = 'flush' | 'commit'

type Table = Database<Buffer, Buffer>
/**
 * A value in memory that lmdb owns: good until the next read, and longer than the value, of which only the first `size`
 * bytes count. Whoever keeps something of it copies that.
 */
export type Borrowed = { raw: Buffer; size: number }
/** `recs` as scans read it: nothing is copied, and a key read is the record's number alone. */
type Walk = Database<Borrowed, Buffer>
type Job = {
  /** `hurried`: others wait who have little to do. */
  run: (hurried: boolean) => unknown
  /** true: whoever waits wants to go on after the commit, and waits for the disk later. */
  early: boolean
  /** Much work, which lets that which came with it go first, once. */
  long: boolean
  /** It has let others go first. */
  waited: boolean
  resolve: (value: any) => void
  reject: (error: unknown) => void
}

/** What a write did, committed; `durable` resolves when that is on the disk too. */
export type Committed<T> = { value: T; durable: Promise<void> }

/** Jobs of one transaction stop being taken from the queue after this long, so that answers do not wait for strangers. */
const BATCH_MS = 25
/** The same for long jobs while short ones come: a transaction with one of them aboard sails soon. */
const HURRIED_BATCH_MS = 6
const HURRY_MS = 250
/** Transactions that may be on their way to the disk while the next one runs. */
const FLUSHES = 2
const CLOSE_MS = 3_000
const CAUSE_MS = 500
const NEVER_NEEDED = Promise.resolve()
const MAP_BYTES = 64 * 2 ** 30

const RECORD_KEYS = {
  writeKey(key: Buffer, target: Buffer, start: number): number {
    target.set(key, start)
    return start + key.length
  },
  // The last six bytes; see records.ts.
  readKey: (source: Buffer, _start: number, end: number): number =>
    (source[end - 6] * 0x100 + source[end - 5]) * 0x100000000 +
    source[end - 4] * 0x1000000 +
    source[end - 3] * 0x10000 +
    source[end - 2] * 0x100 +
    source[end - 1]
}

// One object for all values: it is looked at before the next is read, or not at all.
const borrowed: Borrowed = { raw: Buffer.alloc(0), size: 0 }
const BORROW = {
  encode: (value: Borrowed) => value.raw.subarray(0, value.size),
  decode(bytes: Buffer): Borrowed {
    borrowed.size = bytes.length
    // lmdb pretends that its buffer is as long as the value, which makes every access to it slow: a plain view of it serves.
    if (bytes.buffer !== borrowed.raw.buffer || bytes.byteOffset !== borrowed.raw.byteOffset) {
      const { isGlobal, maxLength } = bytes as Buffer & { isGlobal?: boolean; maxLength?: number }
      borrowed.raw = Buffer.from(bytes.buffer, bytes.byteOffset, isGlobal ? (maxLength ?? bytes.length) : bytes.length)
    }
    return borrowed
  }
}

// lmdb's own types do not know of keyEncoder.
const WALKING = { encoding: 'binary', keyEncoder: RECORD_KEYS, encoder: BORROW } as DatabaseOptions

export type Env = ReturnType<typeof openEnv>

/**
 * Opens the lmdb files in `dir`: `recs`, `idx` and `meta`, raw bytes to raw bytes. Only the owner of the directory may.
 * @throws EmbeddedStoreError
 */
export function openEnv(dir: string, options: { durability?: Durability } = {}) {
  const { durability = 'flush' } = options
  let root: RootDatabase<Buffer, Buffer>
  let recs: Table
  let walk: Walk
  let idx: Table
  let meta: Table
  inspectDataFile(dir)
  const binary = { encoding: 'binary', keyEncoding: 'binary' } as const
  try {
    root = open(dir, {
      ...binary,
      noSubdir: false,
      maxDbs: 8,
      eventTurnBatching: false,
      // Address space, not memory; lmdb grows it when need be. Windows would make the file that large.
      ...(process.platform === 'win32' ? {} : { mapSize: MAP_BYTES })
    })
    recs = root.openDB<Buffer, Buffer>('recs', binary)
    walk = root.openDB<Borrowed, Buffer>('recs', WALKING)
    idx = root.openDB<Buffer, Buffer>('idx', binary)
    meta = root.openDB<Buffer, Buffer>('meta', binary)
  } catch (error) {
    throw explainStoreError(dir, error)
  }

  let queue: Job[] = []
  let running: Promise<void> | null = null
  let pending = 0
  /** Transactions on their way to the disk, the oldest first. */
  const flushing: Promise<void>[] = []
  let lastFlush: Promise<void> = Promise.resolve()
  /** When a short job ran last: soon after it more of them are on their way. */
  let shortAt = -Infinity
  let closed = false
  let puts = 0
  let beforeCommit = () => {}
  let afterAbort = () => {}

  /** Runs what is queued in one transaction; returns the jobs that have to be tried alone because one of them broke off. */
  async function runBatch(batch: Job[], alone: boolean): Promise<Job[]> {
    const outcomes: { job: Job; value?: unknown; error?: unknown }[] = []
    let broken: { job: Job; error: unknown } | null = null
    let flushed: Promise<unknown> = NEVER_NEEDED
    if (batch.some(({ long }) => !long)) shortAt = performance.now()
    const hurried = performance.now() < shortAt + HURRY_MS
    try {
      const committed = root.childTransaction(() => {
        const began = performance.now()
        for (let i = 0; i < batch.length; i++) {
          const { long, waited } = batch[i]
          if (i > 0 && performance.now() > began + (hurried && long && !waited ? HURRIED_BATCH_MS : BATCH_MS)) {
            const left = batch.splice(i)
            for (const job of left) job.waited = true
            queue = left.concat(queue)
            break
          }
          const job = batch[i]
          puts = 0
          try {
            outcomes.push({ job, value: job.run(hurried) })
          } catch (error) {
            if (puts > 0) {
              broken = { job, error } // half an operation: nothing of this transaction may stay
              return ABORT
            }
            outcomes.push({ job, error })
          }
        }
        beforeCommit()
        return null
      })
      flushed = Promise.resolve(root.flushed) // asked for at once, this is the flush of this transaction
      flushed.catch(() => {}) // it may fail with the commit, which says so itself
      await committed
    } catch (error) {
      const cause = await commitCause(error)
      afterAbort()
      for (const job of batch) finish(job, undefined, explainStoreError(dir, cause), NEVER_NEEDED)
      return []
    }
    if (broken) {
      afterAbort()
      const { job: culprit, error } = broken as { job: Job; error: unknown }
      if (alone) {
        finish(culprit, undefined, explainStoreError(dir, error), NEVER_NEEDED)
        return []
      }
      return batch
    }
    if (durability === 'commit') {
      for (const { job, value, error } of outcomes) finish(job, value, error, Promise.resolve())
      return []
    }
    const durable = Promise.all([flushed, lastFlush]).then(
      () => {},
      (error) => {
        throw explainStoreError(dir, error)
      }
    )
    lastFlush = durable.catch(() => {}).finally(() => void flushing.shift()) // whoever waits for it is told
    flushing.push(lastFlush)
    const waiting = outcomes.filter(({ job, value, error }) => {
      if (job.early) finish(job, value, error, durable)
      return !job.early
    })
    durable.then(
      () => {
        for (const { job, value, error } of waiting) finish(job, value, error, durable)
      },
      (refusal) => {
        for (const { job } of waiting) finish(job, undefined, refusal, durable)
      }
    )
    return []
  }

  function finish(job: Job, value: unknown, error: unknown, durable: Promise<void>): void {
    pending--
    if (error !== undefined) job.reject(error)
    else job.resolve(job.early ? { value, durable } : value)
  }

  async function pump(): Promise<void> {
    while (queue.length > 0) {
      // Waiting for an earlier flush lets this transaction gather everyone who comes meanwhile.
      while (flushing.length >= FLUSHES) await flushing[0]
      const last = (job: Job) => job.long && !job.waited
      const batch = [...queue.filter((job) => !last(job)), ...queue.filter(last)]
      queue = []
      const again = await runBatch(batch, false)
      for (const job of again) await runBatch([job], true)
    }
    running = null
  }

  function enqueue(run: Job['run'], early: boolean, long: boolean): Promise<unknown> {
    if (closed) return Promise.reject(new Error('the store is closed'))
    return new Promise((resolve, reject) => {
      pending++
      queue.push({ run, early, long, waited: false, resolve, reject })
      running ??= pump()
    })
  }

  return {
    dir,
    recs,
    walk,
    idx,
    meta,
    root,
    /**
     * Runs `job` inside a write transaction shared with others waiting, and resolves once it is durable. A job must look
     * before it writes: when it throws after its first put, the transaction is undone and the others are repeated.
     */
    write: <T>(run: () => T): Promise<T> => enqueue(run, false, false) as Promise<T>,
    /**
     * The same, but resolves at the commit: for work in several steps, which waits for the disk once, at its end. What is
     * `long` runs behind what waits beside it, and is told to be brief while there is such.
     */
    step: <T>(run: (hurried: boolean) => T, long: boolean): Promise<Committed<T>> =>
      enqueue(run, true, long) as Promise<Committed<T>>,
    /** Makes everything committed so far visible to the reads that follow. */
    refresh(): void {
      root.resetReadTxn()
    },
    /** A value for use within this transaction: cut from shared memory, it must not be kept for long. */
    read(table: Table, key: Buffer): Buffer | undefined {
      const found = table.getBinaryFast(key) as (Buffer & { isGlobal?: boolean }) | undefined
      if (found === undefined) return undefined
      // lmdb's own buffer holds the value until the next read, and is longer than it.
      const value = found.isGlobal ? found.subarray(0, (table as Table & { lastSize: number }).lastSize) : found
      const bytes = take(value.length)
      bytes.set(value)
      return bytes
    },
    put(table: Table, key: Buffer, value: Buffer): void {
      puts++
      table.put(key, value)
    },
    remove(table: Table, key: Buffer): void {
      puts++
      table.remove(key)
    },
    /** How many writes are not yet answered. */
    pending: () => pending,
    /** What to do at the end of each transaction, inside it, and after its failure. */
    hooks(hooks: { beforeCommit: () => void; afterAbort: () => void }): void {
      beforeCommit = hooks.beforeCommit
      afterAbort = hooks.afterAbort
    },
    /** Finishes what is queued and closes the files, within a time limit. */
    async close(): Promise<void> {
      if (closed) return
      closed = true
      const limit = timer(CLOSE_MS)
      if (running) await Promise.race([running, limit.promise])
      await Promise.race([lastFlush, limit.promise])
      await Promise.race([Promise.resolve(root.close()).catch(() => {}), limit.promise])
      limit.clear()
    }
  }
}

/** lmdb rejects a failed commit with a general error that holds a promise of the real one. */
async function commitCause(error: unknown): Promise<unknown> {
  const promise = (error as { commitError?: Promise<unknown> } | null)?.commitError
  if (!promise) return error
  const limit = timer(CAUSE_MS)
  try {
    await Promise.race([promise, limit.promise])
    return error
  } catch (cause) {
    return cause
  } finally {
    limit.clear()
  }
}

function timer(ms: number): { promise: Promise<void>; clear: () => void } {
  let handle: NodeJS.Timeout
  const promise = new Promise<void>((resolve) => {
    handle = setTimeout(resolve, ms)
  })
  return { promise, clear: () => clearTimeout(handle) }
}

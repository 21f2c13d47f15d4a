import type { Connection } from 'mongoose'
import { createClock, type Clock } from './clock.js'
import type { Log } from './log.js'
import { storeTime } from './mongo.js'

const EVERY_MS = 30_000
const PROBES = 5
const FRESH_MS = 5 * 60_000
const MAX_ERROR_MS = 1_000

/** A clock that shows the store's time, so that all processes agree on what is due. */
export type SyncedClock = {
  clock: Clock
  /** Measures once now, then every 30 s until stopped. Failures are logged and keep the last offset. */
  start(db: Connection): Promise<void>
  stop(): void
  /** Is the offset younger than 5 min and known to within a second? Without that nothing may be leased. */
  fresh(): boolean
  /** How far the store's time is from this machine's, ms; 0 until it is known. */
  offsetMs(): number
}

export function createSyncedClock(log: Log): SyncedClock {
  const machine = createClock()
  let offsetMs = 0
  let errorMs = Infinity
  let measuredAt = -Infinity
  let timer: NodeJS.Timeout | null = null

  async function measure(db: Connection): Promise<void> {
    let best = { errorMs: Infinity, offsetMs: 0 }
    for (let probe = 0; probe < PROBES; probe++) {
      const begin = machine.monotonic()
      const told = await storeTime(db)
      const half = (machine.monotonic() - begin) / 2
      // Of several tries the quickest is the truest: the store read its clock somewhere inside the round trip.
      const offset = told.getTime() + half - machine.now().getTime()
      if (half < best.errorMs) best = { errorMs: half, offsetMs: offset }
    }
    // The store's clock has whole milliseconds: an offset within the error of the measurement is none.
    offsetMs = Math.abs(best.offsetMs) <= best.errorMs + 1 ? 0 : best.offsetMs
    errorMs = best.errorMs
    measuredAt = machine.monotonic()
  }

  return {
    clock: createClock(() => offsetMs),
    async start(db) {
      const run = () =>
        measure(db).catch((error: unknown) => log.warn({ err: error }, 'the store did not tell its time'))
      await run()
      timer = setInterval(() => void run(), EVERY_MS)
      timer.unref()
    },
    stop() {
      if (timer !== null) clearInterval(timer)
      timer = null
    },
    offsetMs: () => offsetMs,
    fresh: () => machine.monotonic() - measuredAt < FRESH_MS && errorMs <= MAX_ERROR_MS
  }
}

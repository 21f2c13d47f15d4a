import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { monitorEventLoopDelay } from 'node:perf_hooks'
import { isMainThread } from 'node:worker_threads'

// Preloaded (NODE_OPTIONS --import) into every process of a soak: how long its event loop let things wait, from when it stands
// until it ends.
const RESOLUTION_MS = 10
const EVERY_MS = 2_000
/** Loading its code takes a process some seconds in which nobody asks it for anything. */
const STANDS_AFTER_MS = 5_000
const dir = process.env['SOAK_PROBES']

const role = process.argv[2] ?? 'other'

if (isMainThread && dir !== undefined) {
  const delays = monitorEventLoopDelay({ resolution: RESOLUTION_MS })
  const write = () => {
    const p99Ms = Math.max(0, delays.percentile(99) / 1e6 - RESOLUTION_MS)
    writeFileSync(join(dir, `${role}-${process.pid}.loop`), p99Ms.toFixed(1))
  }
  setTimeout(() => {
    delays.enable()
    setInterval(write, EVERY_MS).unref()
  }, STANDS_AFTER_MS).unref()
}

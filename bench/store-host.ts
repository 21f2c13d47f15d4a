import { monitorEventLoopDelay, type IntervalHistogram } from 'node:perf_hooks'
import { openEmbedded, type Embedded } from '../server/embedded/embedded.js'
import { ownMbOf } from '../demo/process-figures.js'
import { answerParent } from './child.js'

// The application a store lives in: like `serve`, it holds the store in its worker thread and keeps its own loop free.
const RESOLUTION_MS = 5
const SAMPLE_MS = 50

let store: Embedded | null = null
let delays: IntervalHistogram | null = null
let sampling: NodeJS.Timeout | null = null
let least = Infinity
let most = 0

async function sample(): Promise<void> {
  const now = await ownMbOf(process.pid)
  least = Math.min(least, now)
  most = Math.max(most, now)
}

answerParent(
  {
    /** Opens the store; `ms` is how long the call took. */
    async open(dir: string) {
      const began = performance.now()
      store = await openEmbedded({ dir })
      return { uri: store.uri, ms: performance.now() - began }
    },
    /** Begins to watch the longest this thread was held up, and this process's own memory. */
    async watch() {
      least = Infinity
      most = 0
      await sample()
      sampling = setInterval(() => void sample(), SAMPLE_MS)
      delays = monitorEventLoopDelay({ resolution: RESOLUTION_MS })
      delays.enable()
    },
    /** What was seen since; delays in ms beyond the pace of looking, memory in MB. */
    async seen() {
      clearInterval(sampling!)
      delays!.disable()
      await sample()
      const p99 = delays!.percentile(99) / 1e6
      return { p99: Math.max(0, p99 - RESOLUTION_MS), max: delays!.max / 1e6, leastMb: least, mostMb: most }
    }
  },
  async () => store?.close()
)

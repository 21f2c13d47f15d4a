import { setMaxListeners } from 'node:events'
import { request } from 'undici'
import { pause } from '../chaos/trouble.js'

const AGAIN_MS = 1_000

/**
 * Browsers that show the console's dashboard: each reads the stream of one API, and connects again when it ends.
 * @returns how many times one was told something
 */
export async function watchDashboards(
  { url, key, count, zone = 'Asia/Shanghai' }: { url: string; key: string; count: number; zone?: string },
  over: AbortSignal
): Promise<number> {
  setMaxListeners(0, over)
  let told = 0
  const headers = { accept: 'text/event-stream', authorization: `Bearer ${key}` }
  async function watch(): Promise<void> {
    while (!over.aborted) {
      try {
        const { statusCode, body } = await request(`${url}/v1/stream?zone=${encodeURIComponent(zone)}`, {
          headers,
          signal: over,
          bodyTimeout: 0
        })
        if (statusCode !== 200) await body.dump()
        else for await (const part of body) told += String(part).split('event: dashboard').length - 1
      } catch {
        // its API was killed, or the soak is over
      }
      if (!over.aborted) await pause(AGAIN_MS, over)
    }
  }
  await Promise.all(Array.from({ length: count }, watch))
  return told
}

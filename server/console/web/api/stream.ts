import type { z } from 'zod'
import type { DashboardSummary } from '../../../../shared/report.js'
import { api, call } from './http.js'
import type { Query } from './send.js'

export type Summary = z.input<typeof DashboardSummary>
/** `live`: told as it happens; `asking`: the stream is not to be had, so it is asked for again and again. */
export type Line = 'live' | 'asking' | 'broken'

const POLL_MS = 5_000
const AGAIN_MS = 2_000

/**
 * Follows the dashboard until the function returned is called: by the stream, and by asking while there is none. A
 * server that goes and comes back is found again.
 */
export function followDashboard(query: Query, tell: (summary: Summary) => void, line: (now: Line) => void): () => void {
  const over = new AbortController()
  const { signal } = over
  const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms))

  async function listen(): Promise<void> {
    const headers = { accept: 'text/event-stream' }
    const response = await call('GET', '/v1/stream', { query: { topics: 'dashboard', ...query }, headers, signal })
    const reader = response.body!.pipeThrough(new TextDecoderStream()).getReader()
    let text = ''
    for (;;) {
      const { done, value } = await reader.read()
      if (done) return
      text += value
      const events = text.split('\n\n')
      text = events.pop()!
      const data = events.at(-1)?.split('\n').find((each) => each.startsWith('data: ')) // prettier-ignore
      if (data === undefined) continue
      line('live')
      tell(JSON.parse(data.slice('data: '.length)) as Summary)
    }
  }
  async function ask(): Promise<void> {
    tell(await api.get<Summary>('/v1/dashboard/summary', query, signal))
    line('asking')
  }
  async function follow(): Promise<void> {
    while (!signal.aborted) {
      try {
        await listen()
      } catch {
        if (signal.aborted) return
        await ask()
          .then(() => pause(POLL_MS))
          .catch(() => !signal.aborted && line('broken'))
      }
      if (!signal.aborted) await pause(AGAIN_MS)
    }
  }
  void follow()
  return () => over.abort()
}

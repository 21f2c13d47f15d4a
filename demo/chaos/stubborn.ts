import { setTimeout as sleep } from 'node:timers/promises'
import { Refused, type Client } from '../client.js'

/** A backend that does not take no for an answer while the other side is down: the same request until it is taken. */
export type Stubborn = Pick<Client, 'get' | 'post'> & {
  /** How often it had to ask again, by what it was told. */
  again: Record<string, number>
}

const PAUSE_MS = 150
const TRIES = 1200

/** Its calls throw Refused for what asking again cannot mend, and the last trouble after some minutes. */
export function createStubborn(api: Client): Stubborn {
  const again: Record<string, number> = {}

  async function insist<T>(ask: () => Promise<T>): Promise<T> {
    for (let tries = 1; ; tries++) {
      try {
        return await ask()
      } catch (error) {
        if (!passes(error) || tries === TRIES) throw error
        const why = whyOf(error)
        again[why] = (again[why] ?? 0) + 1
        await sleep(PAUSE_MS)
      }
    }
  }
  return {
    again,
    get: (path) => insist(() => api.get(path)),
    post: (path, body, headers) => insist(() => api.post(path, body, headers))
  }
}

/** Whoever was killed comes back; a first request that died with its process leaves its key behind for a while. */
function passes(error: unknown): boolean {
  if (!(error instanceof Refused)) return true
  const code = (error.body as { code?: string } | null)?.code
  return error.status >= 500 || error.status === 429 || code === 'idempotency.running'
}

function whyOf(error: unknown): string {
  if (error instanceof Refused) return `answered ${error.status}`
  return (error as NodeJS.ErrnoException).code ?? (error as Error).name
}

import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createClient, type Client } from '../demo/client.js'
import { createOperator } from '../demo/operator.js'
import { createProcesses, type Processes, type Running } from '../demo/processes.js'

/** Processes and a data directory of one measurement, gone afterwards whatever happens. */
export async function withGround<T>(measure: (ground: Ground) => Promise<T>): Promise<T> {
  const dir = await mkdtemp(join(tmpdir(), 'hongyan-bench-'))
  const processes = createProcesses({ dir })
  try {
    return await measure({ dir, processes, serve: (...how) => serve(dir, processes, ...how) })
  } finally {
    await processes.killAll()
    await rm(dir, { recursive: true, force: true })
  }
}

export type Ground = {
  dir: string
  processes: Processes
  /** `hongyan serve` on the directory (embedded store), sending to `apiBase`, with an API key of all scopes. */
  serve(apiBase?: string, email?: string): Promise<Served>
}

/** `key` is what `api` calls with; `password` the one of the owner of `email`. */
export type Served = { running: Running; api: Client; key: string; password: string }

/** An address nobody answers at: most measurements send nothing. */
const NOWHERE = 'http://127.0.0.1:9'

async function serve(
  dir: string,
  processes: Processes,
  apiBase = NOWHERE,
  email = 'bench@example.com'
): Promise<Served> {
  const operator = createOperator(email)
  const running = await processes.start('serve', ['serve', '--port', '0'], {
    env: {
      HONGYAN_DATA: dir,
      HONGYAN_API_BASE: apiBase,
      HONGYAN_LOG_LEVEL: 'warn',
      HONGYAN_LOG_PRETTY: 'false',
      // Fifty phones stand for all there are.
      HONGYAN_RATE_LIMITS: 'off',
      ...operator.settings
    }
  })
  const door = createClient(running.facts.url!)
  const key = await operator.makeKey(door, 'bench')
  return { running, api: door.as(key), key, password: operator.password }
}

import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
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
    return await measure({ dir, processes, serve: (apiBase) => serve(dir, processes, apiBase) })
  } finally {
    await processes.killAll()
    await rm(dir, { recursive: true, force: true })
  }
}

export type Ground = {
  dir: string
  processes: Processes
  /** `hongyan serve` on the directory (embedded store), sending to `apiBase`, with an API key of all scopes. */
  serve(apiBase?: string): Promise<{ running: Running; api: Client }>
}

/** An address nobody answers at: most measurements send nothing. */
const NOWHERE = 'http://127.0.0.1:9'

async function serve(dir: string, processes: Processes, apiBase = NOWHERE) {
  const operator = createOperator('bench@example.com')
  const running = await processes.start('serve', ['serve', '--port', '0'], {
    env: {
      HONGYAN_DATA: dir,
      HONGYAN_API_BASE: apiBase,
      HONGYAN_LOG_LEVEL: 'warn',
      HONGYAN_LOG_PRETTY: 'false',
      ...operator.settings
    }
  })
  const door = createClient(running.facts.url!)
  return { running, api: door.as(await operator.makeKey(door, 'bench')) }
}

/** Resident memory of a process in MB: all of it, and without the pages of mapped files. */
export async function memoryOf(pid: number): Promise<{ rssMb: number; anonymousMb: number | null }> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8').catch(() => null)
  if (status === null) {
    const kb = Number(execFileSync('ps', ['-o', 'rss=', '-p', String(pid)]).toString())
    return { rssMb: kb / 1024, anonymousMb: null }
  }
  const kb = (name: string) => Number(new RegExp(`^${name}:\\s+(\\d+) kB`, 'm').exec(status)?.[1] ?? NaN)
  return { rssMb: kb('VmRSS') / 1024, anonymousMb: kb('RssAnon') / 1024 }
}

/** Memory of a process's own in MB: without the pages of mapped files, where the system tells them apart. */
export async function ownMbOf(pid: number): Promise<number> {
  const { rssMb, anonymousMb } = await memoryOf(pid)
  return anonymousMb ?? rssMb
}

/** Processor time a process has taken so far: what neighbours on the machine do not change. NaN where the system does not tell. */
export function cpuSecondsOf(pid: number): number {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
    // after the name in brackets, which may hold anything: user and system time in hundredths
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    return (Number(fields[11]) + Number(fields[12])) / 100
  } catch {
    return NaN
  }
}

import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { readFile } from 'node:fs/promises'

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

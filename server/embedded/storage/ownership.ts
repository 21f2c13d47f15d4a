import { randomBytes } from 'node:crypto'
import { readFile, readdir, rename, rm, stat, writeFile } from 'node:fs/promises'
import { uptime } from 'node:os'
import { join } from 'node:path'
import { readFileSync } from 'node:fs'
import { setTimeout as wait } from 'node:timers/promises'
import { knock, removeSocket } from './socket.js'
import type { Endpoint } from './socket.js'
import { EmbeddedStoreError, explainStoreError } from './store-error.js'

/** A live owner: where its store is served, and where it can be watched. */
export type Owner = { uri: string; endpoint: Endpoint }

type OwnerFile = Owner & {
  pid: number
  started: string | null
  at: number
  /** Which directory this is: in a copy of it the file means nothing. */
  place: string
  ready: boolean
}

const PREFIX = 'owner-'
const READY_MS = 15_000
const GONE_MS = 1_000

/** The live process that owns the store in `dir`; null when there is none. Waits for one that is starting or leaving. */
export async function findOwner(dir: string): Promise<Owner | null> {
  const giveUp = performance.now() + READY_MS
  for (;;) {
    let starting = false
    for (const name of await ownerNames(dir)) {
      const owner = await readAlive(dir, name)
      if (owner?.ready) return { uri: owner.uri, endpoint: owner.endpoint }
      starting ||= owner !== null
    }
    if (!starting) return null
    if (performance.now() > giveUp) {
      throw new EmbeddedStoreError(
        'store.in-use',
        `Another process is opening the store in ${dir} and does not get ready. Look for it, stop it, and start again.`
      )
    }
    await wait(20)
  }
}

/**
 * Tries to become the only owner of `dir`. The endpoint must already be listening: whoever finds our file takes it for
 * alive as long as the endpoint answers, and for dead as soon as it does not. Everyone announces first and looks second,
 * and steps back when somebody else is alive: of two at the same time at least one sees the other.
 * null: somebody else is there; look for them with `findOwner` and perhaps try again.
 */
export async function claimDirectory(dir: string, endpoint: Endpoint) {
  const name = `${PREFIX}${randomBytes(8).toString('hex')}.json`
  const file = join(dir, name)
  const owner: OwnerFile = {
    pid: process.pid,
    started: processStart(process.pid),
    at: Date.now(),
    place: await placeOf(dir),
    ready: false,
    endpoint,
    uri: ''
  }
  await writeWhole(file, owner)
  for (const other of await ownerNames(dir)) {
    if (other === name) continue
    if ((await readAlive(dir, other)) !== null) {
      await rm(file, { force: true })
      return null
    }
    await removeLeftovers(dir, other)
  }
  return {
    /** From now on others connect instead of waiting. */
    ready: (at: Endpoint, uri: string) => writeWhole(file, { ...owner, ready: true, endpoint: at, uri }),
    /** From now on others wait until we are gone, instead of connecting. */
    leaving: (at: Endpoint) => writeWhole(file, { ...owner, endpoint: at }),
    /** Gives the directory back. */
    release: () => rm(file, { force: true })
  }
}

async function ownerNames(dir: string): Promise<string[]> {
  try {
    return (await readdir(dir)).filter((name) => name.startsWith(PREFIX) && name.endsWith('.json'))
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return []
    throw explainStoreError(dir, error)
  }
}

/** An owner's file; null when it is gone or no such file. */
async function readOwner(dir: string, name: string): Promise<OwnerFile | null> {
  try {
    const owner = JSON.parse(await readFile(join(dir, name), 'utf8')) as OwnerFile
    return typeof owner?.uri === 'string' && owner.endpoint && owner.place === (await placeOf(dir)) ? owner : null
  } catch {
    return null
  }
}

/** An owner's file if that owner lives. Read anew at each look: its socket moves when it gets ready, and when it leaves. */
async function readAlive(dir: string, name: string): Promise<OwnerFile | null> {
  for (let waited = 0; ; waited += 50) {
    const owner = await readOwner(dir, name)
    if (owner === null) return null
    const answer = await knock(owner.endpoint)
    if (answer === 'open') return owner
    if (answer === 'closed') return null
    if (owner.at < Date.now() - uptime() * 1000 || !isRunning(owner)) return null
    if (waited >= GONE_MS) {
      // A cleaner of temporary files has taken the socket from under a living process.
      throw new EmbeddedStoreError(
        'store.in-use',
        `The store in ${dir} is held by process ${owner.pid}, but its socket is gone. Stop that process and start again.`
      )
    }
    await wait(50)
  }
}

/** A directory's identity on this machine, whatever path leads to it. */
async function placeOf(dir: string): Promise<string> {
  const { dev, ino } = await stat(dir, { bigint: true })
  return `${dev}:${ino}`
}

function isRunning(owner: OwnerFile): boolean {
  try {
    process.kill(owner.pid, 0)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ESRCH') return false
  }
  return owner.started === null || owner.started === processStart(owner.pid)
}

/** Linux' start time of a process, which tells a reused pid from the old one; null on other systems. */
function processStart(pid: number): string | null {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19] ?? null
  } catch {
    return null
  }
}

async function removeLeftovers(dir: string, name: string): Promise<void> {
  const owner = await readOwner(dir, name)
  await rm(join(dir, name), { force: true })
  if (owner && 'path' in owner.endpoint) await removeSocket(owner.endpoint.path)
}

async function writeWhole(file: string, owner: OwnerFile): Promise<void> {
  const draft = `${file}.new`
  try {
    await writeFile(draft, JSON.stringify(owner), { mode: 0o600 })
    await rename(draft, file)
  } catch (error) {
    await rm(draft, { force: true })
    throw error
  }
}

import { randomBytes } from 'node:crypto'
import { mkdir, readdir, readFile, rename, rm, rmdir, unlink, writeFile } from 'node:fs/promises'
import { createConnection } from 'node:net'
import { uptime } from 'node:os'
import { dirname, join } from 'node:path'
import { existsSync, readFileSync } from 'node:fs'
import { setTimeout as wait } from 'node:timers/promises'
import { EmbeddedStoreError, explainStoreError } from './store-error.js'

/** Where an owner can be reached: a unix socket's path, or a TCP port of this machine. */
export type Endpoint = { path: string } | { host: string; port: number }

type OwnerFile = { pid: number; started: string | null; at: number; ready: boolean; endpoint: Endpoint; uri: string }

const PREFIX = 'owner-'
const PROBE_MS = 1_000
const READY_MS = 15_000
const GONE_MS = 1_000

/** The URI of the live process that owns the store in `dir`; null when there is none. Waits for one that is starting. */
export async function findOwner(dir: string): Promise<string | null> {
  const giveUp = performance.now() + READY_MS
  for (;;) {
    let starting = false
    for (const { name, owner } of await readOwners(dir)) {
      if (!owner || !(await isAlive(dir, name, owner))) continue
      if (owner.ready) return owner.uri
      starting = true
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
export async function claimDirectory(dir: string, endpoint: Endpoint, uri: string) {
  const name = `${PREFIX}${randomBytes(8).toString('hex')}.json`
  const file = join(dir, name)
  const owner: OwnerFile = {
    pid: process.pid,
    started: processStart(process.pid),
    at: Date.now(),
    ready: false,
    endpoint,
    uri
  }
  await writeWhole(file, owner)
  for (const other of await readOwners(dir)) {
    if (other.name === name) continue
    if (other.owner && (await isAlive(dir, other.name, other.owner))) {
      await rm(file, { force: true })
      return null
    }
    await removeLeftovers(dir, other.name, other.owner)
  }
  return {
    /** From now on others connect instead of waiting. */
    ready: () => writeWhole(file, { ...owner, ready: true }),
    /** From now on others wait until we are gone, instead of connecting. */
    leaving: () => writeWhole(file, owner),
    /** Gives the directory back. */
    release: () => rm(file, { force: true })
  }
}

/** Makes sure that `dir` exists and can be written. @throws EmbeddedStoreError */
export async function prepareDirectory(dir: string): Promise<void> {
  try {
    await mkdir(dir, { recursive: true, mode: 0o700 })
    const probe = join(dir, `.probe-${randomBytes(6).toString('hex')}`)
    await writeFile(probe, '')
    await unlink(probe)
  } catch (error) {
    throw explainStoreError(dir, error)
  }
}

async function readOwners(dir: string): Promise<{ name: string; owner: OwnerFile | null }[]> {
  let names: string[]
  try {
    names = await readdir(dir)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return []
    throw explainStoreError(dir, error)
  }
  const owners: { name: string; owner: OwnerFile | null }[] = []
  for (const name of names) {
    if (!name.startsWith(PREFIX) || !name.endsWith('.json')) continue
    try {
      const owner = JSON.parse(await readFile(join(dir, name), 'utf8')) as OwnerFile
      owners.push({ name, owner: typeof owner?.uri === 'string' && owner.endpoint ? owner : null })
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') continue // its owner left meanwhile
      owners.push({ name, owner: null })
    }
  }
  return owners
}

async function isAlive(dir: string, name: string, owner: OwnerFile): Promise<boolean> {
  for (let waited = 0; ; waited += 50) {
    const answer = await knock(owner.endpoint)
    if (answer !== 'gone') return answer === 'open'
    if (owner.at < Date.now() - uptime() * 1000 || !isRunning(owner)) return false
    // Who leaves in good order takes the file away first, the socket second.
    if (!existsSync(join(dir, name))) return false
    if (waited >= GONE_MS) break
    await wait(50)
  }
  // A cleaner of temporary files has taken the socket from under a living process.
  throw new EmbeddedStoreError(
    'store.in-use',
    `The store in ${dir} is held by process ${owner.pid}, but its socket is gone. Stop that process and start again.`
  )
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

function knock(endpoint: Endpoint): Promise<'open' | 'closed' | 'gone'> {
  return new Promise((resolve) => {
    const socket = createConnection(endpoint)
    const done = (answer: 'open' | 'closed' | 'gone') => {
      socket.removeAllListeners()
      socket.on('error', () => {})
      socket.destroy()
      resolve(answer)
    }
    socket.setTimeout(PROBE_MS, () => done('open')) // a listener too busy to accept is alive
    socket.once('connect', () => done('open'))
    socket.once('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') done('gone')
      else done(error.code === 'ECONNREFUSED' || error.code === 'ENOTSOCK' ? 'closed' : 'open')
    })
  })
}

async function removeLeftovers(dir: string, name: string, owner: OwnerFile | null): Promise<void> {
  await rm(join(dir, name), { force: true })
  if (owner && 'path' in owner.endpoint) {
    await rm(owner.endpoint.path, { force: true })
    await rmdir(dirname(owner.endpoint.path)).catch(() => {}) // not empty, or gone: not ours to mind
  }
}

async function writeWhole(file: string, owner: OwnerFile): Promise<void> {
  const draft = `${file}.new`
  await writeFile(draft, JSON.stringify(owner), { mode: 0o600 })
  await rename(draft, file)
}

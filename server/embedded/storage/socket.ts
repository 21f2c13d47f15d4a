import { createHash, randomBytes } from 'node:crypto'
import { existsSync } from 'node:fs'
import { chmod, lstat, mkdir, mkdtemp, realpath, rename, rm, rmdir } from 'node:fs/promises'
import { createConnection, createServer } from 'node:net'
import type { Server, Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { basename, dirname, join } from 'node:path'

/** Linux takes 107 bytes, others 103. */
const PATH_BYTES = 103
const PROBE_MS = 1_000
const FRESH = 'hongyan-s-'
const ENDING = '.sock' // the driver knows a socket by this ending

/** Where an owner can be reached: a unix socket's path, or a TCP port of this machine. */
export type Endpoint = { path: string } | { host: string; port: number }

/** Where a store's socket may lie: at `name`.sock in `dir`. `passing`: only this once, for this process alone. */
type Place = { dir: string; name: string; passing: boolean }

/** A unix socket of mode 0600 on which a store is served. */
export type StoreSocket = {
  /** Where it answers now. */
  path(): string
  /** Where it answers once published; the same for every owner of the directory. */
  stable: string
  /** Does somebody answer in the stable place already? */
  taken(): Promise<boolean>
  /** Puts it in the stable place, over whatever a dead owner left there. Only the owner of the directory may. */
  publish(): Promise<void>
  /** Takes it away from there again, so that a successor may publish its own; it still answers at `path()`. */
  retreat(): Promise<void>
  /** Listens anew when a cleaner of temporary files took the published socket away. */
  keep(): Promise<void>
  close(): Promise<void>
}

/**
 * Listens for the store in `dir`, at first under a name of its own. The lasting place is `s.sock` in the directory itself,
 * which is this user's alone; or, when that path is too long or no socket can be made there, a name made of the directory's
 * path in a private directory among the temporary files.
 */
export async function openSocket(dir: string, accept: (socket: Socket) => void): Promise<StoreSocket> {
  const servers: Server[] = []
  const place = await firstThatListens()
  const stable = pathAt(place)
  let path = place.path // it is published when this is the stable one

  async function firstThatListens(): Promise<Place & { path: string }> {
    let refusal: unknown
    for await (const each of placesFor(dir)) {
      try {
        return { ...each, path: await listen(each) }
      } catch (error) {
        refusal = error // not every file system can hold sockets
      }
    }
    throw refusal
  }

  async function listen(at: Place): Promise<string> {
    const own = at.passing ? pathAt(at) : passingPath(at)
    servers.push(await listenAt({ path: own }, accept))
    await chmod(own, 0o600) // the directory is closed to others, so nobody came before this
    return own
  }

  async function publish(): Promise<void> {
    if (path === stable) return
    await rename(path, stable)
    path = stable
  }

  return {
    path: () => path,
    stable,
    taken: async () => !place.passing && (await knock({ path: stable })) === 'open',
    publish,
    async retreat() {
      if (path !== stable || place.passing) return
      const own = passingPath(place)
      await rename(stable, own)
      path = own
    },
    async keep() {
      if (path !== stable || place.passing || existsSync(stable)) return
      path = await listen(place)
      await publish()
    },
    async close() {
      for (const server of servers) server.close()
      // Published, it may be a successor's by now: what answers there is theirs, and what does not hurts nobody.
      if (place.passing || path !== stable) await rm(path, { force: true })
      if (place.passing) await rmdir(place.dir).catch(() => {})
    }
  }
}

const pathAt = ({ dir, name }: { dir: string; name: string }) => join(dir, `${name}${ENDING}`)
const passingPath = ({ dir, name }: { dir: string; name: string }) =>
  join(dir, `${name}-${randomBytes(4).toString('hex')}${ENDING}`)

/** Where the sockets of the store in `dir` may lie, best first. The last can always be had, but only for this once. */
async function* placesFor(dir: string): AsyncGenerator<Place> {
  const real = await realpath(dir)
  const inside: Place = { dir: real, name: 's', passing: false }
  if (fits(inside) && (await isOurs(real))) yield inside
  const user = process.geteuid?.() ?? 0
  const name = createHash('sha256').update(real).digest('hex').slice(0, 16)
  const base = fits({ dir: join(tmpdir(), `hongyan-${user}`), name }) ? tmpdir() : '/tmp'
  const shared = join(base, `hongyan-${user}`)
  await mkdir(shared, { mode: 0o700 }).catch(() => {})
  if (await isOurs(shared)) yield { dir: shared, name, passing: false }
  // Somebody else was there before us: a fresh directory with an unknown name is nobody else's.
  yield { dir: await mkdtemp(join(base, FRESH)), name: 's', passing: true }
}

const fits = (place: { dir: string; name: string }) => Buffer.byteLength(passingPath(place)) <= PATH_BYTES

/** Is this a real directory, this user's, that no other user can look into or change? */
async function isOurs(dir: string): Promise<boolean> {
  const found = await lstat(dir).catch(() => null)
  return found !== null && found.isDirectory() && found.uid === process.geteuid?.() && (found.mode & 0o077) === 0
}

/** Removes the socket of a dead process, unless a successor's may lie in its place by now. */
export async function removeSocket(path: string): Promise<void> {
  const fresh = basename(dirname(path)).startsWith(FRESH)
  if (!fresh && !/-[0-9a-f]{8}\.sock$/.test(path)) return
  await rm(path, { force: true })
  if (fresh) await rmdir(dirname(path)).catch(() => {}) // not empty, or gone: not ours to mind
}

/** A server that listens there. Rejects with the system's error when it cannot. */
export async function listenAt(endpoint: Endpoint, accept: (socket: Socket) => void): Promise<Server> {
  const server = createServer(accept)
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(endpoint, () => {
      server.off('error', reject)
      server.on('error', () => {}) // a refused connection is not the end of the server
      resolve()
    })
  })
  return server
}

/** Whether somebody listens there; 'gone' when there is nothing to knock at. */
export function knock(endpoint: Endpoint): Promise<'open' | 'closed' | 'gone'> {
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

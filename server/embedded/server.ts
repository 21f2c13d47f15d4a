import { randomBytes } from 'node:crypto'
import { chmod, mkdir, rm } from 'node:fs/promises'
import { createServer } from 'node:net'
import type { AddressInfo, Server, Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { answer } from './commands/dispatch.js'
import { createCursors } from './commands/cursors.js'
import type { Engine } from './commands/command.js'
import type { Durability } from './storage/env.js'
import { claimDirectory, findOwner, prepareDirectory } from './storage/ownership.js'
import type { Endpoint } from './storage/ownership.js'
import { openStore } from './storage/store.js'
import { EmbeddedStoreError } from './storage/store-error.js'
import { serveConnection } from './wire/connection.js'
import { createScramUser } from './wire/scram.js'

/** Where to listen over TCP besides the socket; without a password one is made up. Port 0 takes any free one. */
export type Listen = { host: string; port: number; password?: string }

export type ServerOptions = {
  dir: string
  listen?: Listen
  durability?: Durability
  now: () => Date
  log: (event: string, facts: Record<string, unknown>) => void
}

export type RunningServer = { uri: string; owner: boolean; close(): Promise<void> }

const USER = 'hongyan'
const DATABASE = 'hongyan'
const OPTIONS = 'directConnection=true&retryWrites=false&retryReads=false'
const SWEEP_MS = 60_000
const CLOSE_MS = 4_000
const SOCKET_PATH_BYTES = 100
const ATTEMPTS = 200

/**
 * Serves the store in `dir` from this thread, or finds the process that already does.
 * @throws EmbeddedStoreError
 */
export async function startServer(options: ServerOptions): Promise<RunningServer> {
  const { dir } = options
  await prepareDirectory(dir)
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    const uri = await findOwner(dir)
    if (uri !== null) return { uri, owner: false, close: async () => {} }
    const server = await tryToOwn(options)
    if (server) return server
    await new Promise((resolve) => setTimeout(resolve, 5 + randomBytes(1)[0] / 8))
  }
  throw new EmbeddedStoreError(
    'store.in-use',
    `Other processes keep opening the store in ${dir} and leaving it. Start only one.`
  )
}

async function tryToOwn(options: ServerOptions): Promise<RunningServer | null> {
  const { dir, log } = options
  const onTcp = options.listen ?? (process.platform === 'win32' ? { host: '127.0.0.1', port: 0 } : null)
  const password = onTcp ? (onTcp.password ?? randomBytes(24).toString('base64url')) : ''
  const user = onTcp ? createScramUser(USER, password) : null

  let accept: (socket: Socket, trusted: boolean) => void = (socket) => socket.destroy()
  const sockets = new Set<Socket>()
  const track = (socket: Socket, trusted: boolean) => {
    sockets.add(socket)
    socket.once('close', () => sockets.delete(socket))
    accept(socket, trusted)
  }
  const servers: Server[] = []
  const socketPath =
    process.platform === 'win32' ? null : await listenOnSocket(servers, (socket) => track(socket, true))
  const port = onTcp ? await listenOnTcp(servers, onTcp, (socket) => track(socket, false)) : null
  const tcpUri =
    onTcp &&
    `mongodb://${USER}:${encodeURIComponent(password)}@${onTcp.host}:${port}/${DATABASE}?authSource=admin&authMechanism=SCRAM-SHA-256&${OPTIONS}`
  const socketUri = socketPath && `mongodb://${encodeURIComponent(socketPath)}/${DATABASE}?${OPTIONS}`
  const endpoint: Endpoint = socketPath ? { path: socketPath } : { host: onTcp!.host, port: port! }

  const leave = async () => {
    for (const server of servers) server.close()
    for (const socket of sockets) socket.destroy()
    if (socketPath) await rm(dirname(socketPath), { recursive: true, force: true })
  }
  let claim: Awaited<ReturnType<typeof claimDirectory>> = null
  let engine: Engine
  try {
    claim = await claimDirectory(dir, endpoint, (socketUri || tcpUri) as string)
    if (!claim) {
      await leave()
      return null
    }
    const store = openStore(dir, options)
    engine = {
      store,
      cursors: createCursors(store.env, () => performance.now()),
      user,
      startedAt: store.now(),
      log
    }
    await store.indexes.giveUpUnfinished()
  } catch (error) {
    await claim?.release().catch(() => {})
    await leave()
    throw error
  }

  let nextId = 0
  accept = (socket, trusted) =>
    serveConnection(socket, {
      id: ++nextId,
      trusted: trusted || user === null,
      answer: (request, session) => answer(engine, request, session),
      log
    })
  for (const socket of sockets) accept(socket, socketPath !== null && socket.remotePort === undefined)
  const sweeping = setInterval(() => {
    engine.cursors.expire()
    engine.store.sweep().catch((error) => log('sweep failed', { reason: String(error) }))
  }, SWEEP_MS)
  sweeping.unref()
  engine.store.indexes.clear().catch((error) => log('clearing failed', { reason: String(error) }))
  await claim.ready()

  const held = claim
  let closing: Promise<void> | null = null
  const close = async () => {
    clearInterval(sweeping)
    await held.leaving().catch(() => {}) // a directory removed under our feet needs no notice
    accept = (socket) => socket.destroy() // the socket itself stays until the store is closed: it says that we are still here
    for (const socket of sockets) socket.destroy()
    await withLimit(engine.store.close(), CLOSE_MS)
    await held.release()
    await leave()
  }
  return { uri: (onTcp ? tcpUri : socketUri) as string, owner: true, close: () => (closing ??= close()) }
}

async function listenOnSocket(servers: Server[], accept: (socket: Socket) => void): Promise<string> {
  let base = tmpdir()
  const name = `hongyan-${randomBytes(6).toString('hex')}`
  if (Buffer.byteLength(join(base, name, 's.sock')) > SOCKET_PATH_BYTES) base = '/tmp'
  // The directory is the caller's alone, so that nobody connects before the socket's own mode is set.
  const dir = join(base, name)
  await mkdir(dir, { mode: 0o700 })
  const path = join(dir, 's.sock') // the driver knows a socket by this ending
  const server = createServer(accept)
  await listening(server, { path })
  servers.push(server)
  await chmod(path, 0o600)
  return path
}

async function listenOnTcp(servers: Server[], listen: Listen, accept: (socket: Socket) => void): Promise<number> {
  const server = createServer(accept)
  await listening(server, { host: listen.host, port: listen.port })
  servers.push(server)
  return (server.address() as AddressInfo).port
}

function listening(server: Server, where: { path: string } | { host: string; port: number }): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject)
    server.listen(where, () => {
      server.off('error', reject)
      server.on('error', () => {}) // a refused connection is not the end of the server
      resolve()
    })
  })
}

async function withLimit(work: Promise<void>, ms: number): Promise<void> {
  let handle: NodeJS.Timeout | undefined
  const limit = new Promise<void>((resolve) => {
    handle = setTimeout(resolve, ms)
  })
  await Promise.race([work, limit])
  clearTimeout(handle)
}

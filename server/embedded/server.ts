import { randomBytes } from 'node:crypto'
import type { AddressInfo, Server, Socket } from 'node:net'
import { answer } from './commands/dispatch.js'
import { createCursors } from './commands/cursors.js'
import type { Engine } from './commands/command.js'
import type { Durability } from './storage/env.js'
import { keepPrivate, prepareDirectory } from './storage/directory.js'
import { claimDirectory, findOwner } from './storage/ownership.js'
import { listenAt, openSocket } from './storage/socket.js'
import type { Endpoint, StoreSocket } from './storage/socket.js'
import { openStore } from './storage/store.js'
import { EmbeddedStoreError, explainStoreError } from './storage/store-error.js'
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

/** Serves here, or (`owner: false`) another process does. */
export type RunningServer = { uri: string; owner: boolean; close(): Promise<void> }

const USER = 'hongyan'
const DATABASE = 'hongyan'
const OPTIONS = 'directConnection=true&retryWrites=false&retryReads=false'
const SWEEP_MS = 60_000
const CLOSE_MS = 4_000
const KEEP_MS = 5_000
const ATTEMPTS = 200

/**
 * Serves the store in `dir` from this thread, or finds the process that already does.
 * @throws EmbeddedStoreError
 */
export async function startServer(options: ServerOptions): Promise<RunningServer> {
  const { dir } = options
  await prepareDirectory(dir)
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    const other = await findOwner(dir)
    if (other !== null) return { uri: other.uri, owner: false, close: async () => {} }
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
  let socket: StoreSocket | null = null
  let server: Server | null = null
  const leave = async () => {
    server?.close()
    for (const each of sockets) each.destroy()
    await socket?.close()
  }
  let claim: Awaited<ReturnType<typeof claimDirectory>> = null
  let engine: Engine
  let port = 0
  const endpoint = (): Endpoint => (socket ? { path: socket.path() } : { host: onTcp!.host, port })
  try {
    if (process.platform !== 'win32') socket = await openSocket(dir, (each) => track(each, true))
    if (onTcp) {
      server = await listenAt({ host: onTcp.host, port: onTcp.port }, (each) => track(each, false))
      port = (server.address() as AddressInfo).port
    }
    claim = await claimDirectory(dir, endpoint()).catch((error) => {
      throw explainStoreError(dir, error)
    })
    if (!claim) {
      await leave()
      return null
    }
    if (await socket?.taken()) throw new EmbeddedStoreError('store.in-use', heldUnsaid(dir, socket!.stable))
    const store = openStore(dir, options)
    engine = {
      store,
      cursors: createCursors(store.env, () => performance.now()),
      user,
      startedAt: store.now(),
      log
    }
    await keepPrivate(dir)
    await store.indexes.giveUpUnfinished()
  } catch (error) {
    await claim?.release().catch(() => {})
    await leave()
    throw error
  }

  const held = claim
  let nextId = 0
  accept = (each, trusted) =>
    serveConnection(each, {
      id: ++nextId,
      trusted: trusted || user === null,
      answer: (request, session) => answer(engine, request, session),
      log
    })
  for (const each of sockets) accept(each, socket !== null && each.remotePort === undefined)
  const sweeping = setInterval(() => {
    engine.cursors.expire()
    engine.store.sweep().catch((error) => log('sweep failed', { reason: String(error) }))
  }, SWEEP_MS)
  sweeping.unref()
  engine.store.indexes.clear().catch((error) => log('clearing failed', { reason: String(error) }))
  const keeping = setInterval(() => void socket?.keep().catch(() => {}), KEEP_MS)
  keeping.unref()

  const tcpUri =
    onTcp &&
    `mongodb://${USER}:${encodeURIComponent(password)}@${hostInUri(onTcp.host)}:${port}/${DATABASE}?authSource=admin&authMechanism=SCRAM-SHA-256&${OPTIONS}`
  const socketUri = socket && `mongodb://${encodeURIComponent(socket.stable)}/${DATABASE}?${OPTIONS}`
  let closing: Promise<void> | null = null
  const close = async () => {
    clearInterval(sweeping)
    clearInterval(keeping)
    await socket?.retreat().catch(() => {})
    await held.leaving(endpoint()).catch(() => {}) // a directory removed under our feet needs no notice
    accept = (each) => each.destroy() // the socket itself stays until the store is closed: it says that we are still here
    for (const each of sockets) each.destroy()
    await withLimit(engine.store.close(), CLOSE_MS)
    await held.release()
    await leave()
  }
  try {
    await socket?.publish()
    await held.ready(endpoint(), (socketUri ?? tcpUri) as string)
  } catch (error) {
    await close()
    throw explainStoreError(dir, error)
  }
  return { uri: (onTcp ? tcpUri : socketUri) as string, owner: true, close: () => (closing ??= close()) }
}

const heldUnsaid = (dir: string, path: string) =>
  `The store in ${dir} is held by a process that answers at ${path}, although its owner-….json is gone. Stop that process and start again.`

/** IPv6 addresses stand in brackets. */
const hostInUri = (host: string) => (host.includes(':') ? `[${host}]` : host)

async function withLimit(work: Promise<void>, ms: number): Promise<void> {
  let handle: NodeJS.Timeout | undefined
  const limit = new Promise<void>((resolve) => {
    handle = setTimeout(resolve, ms)
  })
  await Promise.race([work, limit])
  clearTimeout(handle)
}

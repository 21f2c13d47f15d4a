import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { pathToFileURL } from 'node:url'
import { buildApp } from '../../server/app.js'
import { openEmbedded } from '../../server/embedded/embedded.js'
import { createClock } from '../../server/platform/clock.js'
import { newId } from '../../server/platform/ids.js'
import { silentLog } from '../../server/platform/log.js'
import { connectMongo } from '../../server/platform/mongo.js'
import { createSealer } from '../../server/platform/sealing.js'
import { createSandbox } from '../../server/sandbox/sandbox.js'

/** The appIds and secrets every sandbox begins with. */
export const SHOP = { appId: 'wx5b1a2c3d4e5f6001', secret: '6001a1b2c3d4e5f60718293a4b5c6d7e' }
export const BRAND = { appId: 'wx5b1a2c3d4e5f6003', secret: '6003a1b2c3d4e5f60718293a4b5c6d7e' }

/** Server and local WeChat as a newcomer runs them: real ports, real time, jobs running. */
export async function liveApp(t: { teardown(fn: () => Promise<void>): void }) {
  const dir = mkdtempSync(path.join(tmpdir(), 'hongyan-live-'))
  const given = process.env.MONGODB_URI
  const store = given ? { uri: given, close: async () => {} } : await openEmbedded({ dir, worker: false })
  const db = await connectMongo(store.uri, { dbName: `live_${newId()}` })
  const sandbox = await createSandbox({ latency: { minMs: 5, maxMs: 20 }, seed: 7 })
  const server = await buildApp({
    config: { apiBase: sandbox.url, publicUrl: 'http://127.0.0.1:1', trustProxy: false },
    db,
    clock: createClock(),
    log: silentLog(),
    sealer: createSealer({ sealing: [{ id: 'k1', key: Buffer.alloc(32, 3) }], hash: Buffer.alloc(32, 4) }),
    random: () => 0.5,
    // Agenda loses a job whose lock lapses before it was started; a busy machine takes seconds for its first answers.
    lockLifetimeMs: 10_000,
    works: true,
    serves: true,
    ...consoleElsewhere()
  })
  await server.start()
  const url = await server.app.listen({ host: '127.0.0.1', port: 0 })
  t.teardown(async () => {
    await server.stop()
    await sandbox.close()
    await db.dropDatabase()
    await db.close()
    await store.close()
    rmSync(dir, { recursive: true, force: true })
  })
  return { url, sandbox, rooms: server.rooms, db }
}

/** A console built elsewhere than dist/, so that several people can work on it at once. */
function consoleElsewhere(): { consolePlace?: URL } {
  const out = process.env.HONGYAN_CONSOLE_OUT
  return out === undefined ? {} : { consolePlace: pathToFileURL(`${out}/`) }
}

/** Asks until the answer is the one waited for; the journey's own patience, in real time. */
export async function until<T>(
  what: string,
  ask: () => Promise<T>,
  good: (value: T) => boolean,
  withinMs = 15_000
): Promise<T> {
  const end = performance.now() + withinMs
  for (;;) {
    const value = await ask()
    if (good(value)) return value
    if (performance.now() > end) throw new Error(`${what} did not come about; last: ${JSON.stringify(value)}`)
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
}

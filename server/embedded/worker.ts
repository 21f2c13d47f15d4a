import { parentPort, workerData } from 'node:worker_threads'
import { startServer } from './server.js'
import type { RunningServer, ServerOptions } from './server.js'
import { EmbeddedStoreError } from './storage/store-error.js'

/** What the worker tells the thread that started it. */
export type FromWorker =
  | { kind: 'ready'; uri: string; owner: boolean }
  | { kind: 'failed'; code: string | null; message: string }
  | { kind: 'log'; event: string; facts: Record<string, unknown> }

const port = parentPort
if (!port) throw new Error('worker.js is started by embedded.js, as a worker thread')
const say = (message: FromWorker) => port.postMessage(message)

const options = workerData as Pick<ServerOptions, 'dir' | 'listen' | 'durability'>
let server: RunningServer | null = null
try {
  server = await startServer({
    ...options,
    now: () => new Date(),
    log: (event, facts) => say({ kind: 'log', event, facts })
  })
  say({ kind: 'ready', uri: server.uri, owner: server.owner })
} catch (error) {
  say({
    kind: 'failed',
    code: error instanceof EmbeddedStoreError ? error.code : null,
    message: error instanceof Error ? error.message : String(error)
  })
}

port.on('message', async (message) => {
  if (message !== 'close') return
  await server?.close()
  port.close()
})

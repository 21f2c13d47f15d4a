import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createClient, type Client } from '../../demo/client.js'
import { createProcesses } from '../../demo/processes.js'
import { connectMongo } from '../../server/platform/mongo.js'
import { newId } from '../../server/platform/ids.js'

const EMAIL = 'owner@example.com'
const PASSWORD = 'correct horse battery'

/**
 * Servers on one store and a local WeChat, each a process of its own, as in production: real ports, real time. Each
 * server is called as the owner. Everything ends with the test.
 */
export async function liveProcesses(
  t: { teardown(fn: () => Promise<void>): void },
  { servers: count, sandboxArgs = [] }: { servers: number; sandboxArgs?: string[] }
) {
  const dir = mkdtempSync(join(tmpdir(), 'hongyan-processes-'))
  const processes = createProcesses({ dir })
  const clients: Client[] = []
  const open = (url: string) => {
    const client = createClient(url)
    clients.push(client)
    return client
  }
  const given = process.env.MONGODB_URI
  const [store, wechat] = await Promise.all([
    given ? null : processes.start('store', ['store'], { env: { HONGYAN_DATA: dir } }),
    processes.start('sandbox', ['sandbox', '--port', '0', ...sandboxArgs], { by: 'line' })
  ])
  const sandbox = open(/https?:\/\/\S+/.exec(wechat.facts.line ?? '')![0])
  // A database of its own also on a server that was there before.
  const at = new URL(given ?? store!.facts.uri!)
  if (given) at.pathname = `/live_${newId()}`
  const uri = at.toString()
  const db = await connectMongo(uri)
  t.teardown(async () => {
    await Promise.all(clients.map((client) => client.close()))
    if (given) await db.dropDatabase()
    await db.close()
    await processes.killAll()
    rmSync(dir, { recursive: true, force: true })
  })

  const env = {
    HONGYAN_DATA: dir,
    HONGYAN_LOG_LEVEL: 'warn',
    HONGYAN_LOG_PRETTY: 'false',
    HONGYAN_API_BASE: sandbox.url,
    HONGYAN_ADMIN_EMAIL: EMAIL,
    HONGYAN_ADMIN_PASSWORD: PASSWORD,
    MONGODB_URI: uri
  }
  const servers: Client[] = []
  // One after the other: the first makes the owner.
  for (let i = 0; i < count; i++) {
    const running = await processes.start(`server-${i}`, ['serve', '--port', '0'], { env })
    servers.push(open(running.facts.url!))
  }
  const { token } = await servers[0]!.post('/v1/auth/login', { email: EMAIL, password: PASSWORD })
  return { servers: servers.map((server) => server.as(token)), sandbox, db }
}

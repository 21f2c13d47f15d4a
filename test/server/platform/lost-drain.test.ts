import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import t from 'tap'
import { openEmbedded } from '../../../server/embedded/embedded.js'
import { connectMongo } from '../../../server/platform/mongo.js'

type Wire = {
  socket: { destroy(): void }
  command(ns: { db: string }, command: object, options: object): Promise<unknown>
}
type Inner = { topology: { s: { servers: Map<string, { monitor: { connection: Wire } }> } } }

t.test('a command written to a socket that has just gone fails, and the server is found again', async (t) => {
  const dir = mkdtempSync(path.join(tmpdir(), 'hongyan-drain-'))
  const store = await openEmbedded({ dir })
  const db = await connectMongo(store.uri, { dbName: 'drain' })
  t.teardown(async () => {
    await db.close()
    await store.close()
    rmSync(dir, { recursive: true, force: true })
  })
  const [server] = [...(db.getClient() as unknown as Inner).topology.s.servers.values()]
  const { connection } = server!.monitor
  // It is gone, and nobody has been told yet.
  connection.socket.destroy()
  await t.rejects(connection.command({ db: 'admin' }, { hello: 1 }, {}), { name: 'MongoNetworkError' })
  t.ok(await db.getClient().db('admin').command({ ping: 1 }))
})

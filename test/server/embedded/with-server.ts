import { randomBytes } from 'node:crypto'
import { MongoClient } from 'mongodb'
import type { Db } from 'mongodb'
import type { Test } from 'tap'
import { withStore } from './with-store.js'

/**
 * A database of its own for one test: of a store, or, when MONGODB_URI is set, of the MongoDB there, so that the same
 * scenario shows whether the two agree. It is gone after the test.
 */
export async function withServer(t: Test): Promise<{ uri: string; db: Db; embedded: boolean }> {
  const given = process.env.MONGODB_URI
  if (!given) {
    const { store, db } = await withStore(t)
    return { uri: store.uri, db, embedded: true }
  }
  const [, server, path = '', options = ''] = /^(mongodb(?:\+srv)?:\/\/[^/?]+)\/?([^?]*)\??(.*)$/.exec(given)!
  const query = new URLSearchParams(options)
  // Who may come in is asked of the database named in the address, unless it says otherwise.
  if (server.includes('@') && path !== '' && !query.has('authSource')) query.set('authSource', path)
  const uri = `${server}/hongyan_test_${randomBytes(6).toString('hex')}?${query}`
  const client = await new MongoClient(uri).connect()
  t.teardown(async () => {
    await client.db().dropDatabase()
    await client.close()
  })
  return { uri, db: client.db(), embedded: false }
}

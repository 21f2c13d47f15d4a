import { randomBytes } from 'node:crypto'
import { MongoClient } from 'mongodb'
import t from 'tap'
import { openEmbedded } from '../../../../server/embedded/embedded.js'
import { createRunner } from './runner.js'
import { readTestFiles } from './unified.js'

const LEAST_CASES = 300

/** Where the cases run: on the server MONGODB_URI names, or on a store of their own. */
async function openServer(): Promise<{ uri: string; close: () => Promise<void> }> {
  const uri = process.env.MONGODB_URI
  if (uri) return { uri, close: async () => {} }
  return openEmbedded({ dir: t.testdir(), worker: false, durability: 'commit', log: () => {} })
}

const files = await readTestFiles()
const count = files.reduce((sum, { file }) => sum + file.tests.length, 0)
const databaseName = `conformance_${randomBytes(6).toString('hex')}`
const server = await openServer()
const client = await new MongoClient(server.uri, { retryWrites: false, retryReads: false }).connect()
const runner = createRunner(client, databaseName)
t.teardown(async () => {
  await client.db(databaseName).dropDatabase()
  await client.close()
  await server.close()
})
t.comment(`conformance: ${count} cases in ${files.length} files`)

for (const { name, file } of files) {
  t.test(`${name}: ${file.description}`, async (t) => {
    for (const test of file.tests) {
      const wrong = await runner.run(file, test)
      t.same(wrong, [], test.description)
    }
  })
}

t.test(`there are at least ${LEAST_CASES} cases`, async (t) => {
  t.ok(count >= LEAST_CASES, `${count} cases`)
})

/*
 * Started by crash.test.ts and killed at a random moment. Opens the store in the directory named by its argument, writes with
 * many clients at once, and prints a line for each write that was acknowledged.
 */
import { writeSync } from 'node:fs'
import { MongoClient } from 'mongodb'
import { openEmbedded } from '../../../server/embedded/embedded.js'

const [, , dir, round, writers] = process.argv
const store = await openEmbedded({ dir })
const client = await new MongoClient(store.uri, { maxPoolSize: 32 }).connect()
const rows = client.db().collection<any>('rows')
await rows.createIndex({ group: 1, n: -1 })
await rows.createIndex({ key: 1 }, { unique: true })
await rows.createIndex({ tags: 1 }, { partialFilterExpression: { open: true } })
const say = (line: string) => writeSync(1, `${line}\n`)
say(`ready ${store.owner}`)

async function write(writer: number): Promise<void> {
  for (let i = 0; ; i++) {
    const id = `${round}-${writer}-${i}`
    await rows.insertOne({ _id: id, key: id, group: writer, n: 0, tags: [i % 3, i % 5], open: i % 2 === 0 })
    say(`insert ${id}`)
    if (i % 3 === 0) {
      await rows.updateOne({ _id: id, group: writer }, { $inc: { n: 1 }, $set: { open: i % 2 === 1 } })
      say(`update ${id}`)
    }
    if (i % 7 === 0) {
      await rows.bulkWrite([
        { insertOne: { document: { _id: `${id}+`, key: `${id}+`, group: writer, n: 5 } } },
        { deleteOne: { filter: { _id: id } } }
      ])
      say(`swap ${id}`)
    }
    await rows.updateOne(
      { _id: `count ${writer}` },
      { $inc: { n: 1 }, $setOnInsert: { key: `count ${writer}` } },
      { upsert: true }
    )
    say(`count ${writer}`)
  }
}
await Promise.all(Array.from({ length: Number(writers) }, (_, i) => write(i)))

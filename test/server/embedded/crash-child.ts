/*
 * Started by crash.test.ts and killed at a random moment. Opens the store in the directory named by its argument, writes with
 * many clients at once as crash-script.ts tells, and prints a line for each write that was acknowledged.
 */
import { writeSync } from 'node:fs'
import { MongoClient, MongoServerError } from 'mongodb'
import type { Collection } from 'mongodb'
import { openEmbedded } from '../../../server/embedded/embedded.js'
import { fresh, script } from './crash-script.js'
import type { Op, Row } from './crash-script.js'

const [, , dir, round, writers, thread] = process.argv
const store = await openEmbedded({ dir, worker: thread !== 'own' })
const client = await new MongoClient(store.uri, { maxPoolSize: 32 }).connect()
const rows = client.db().collection<Row>('rows')
await rows.createIndex({ writer: 1, n: -1 })
await rows.createIndex({ key: 1 }, { unique: true })
await rows.createIndex({ tags: 1 }, { partialFilterExpression: { open: true } })
const say = (line: string) => writeSync(1, `${line}\n`)
say(`ready ${store.owner}`)

const toggle = [{ $set: { n: { $add: ['$n', 1] }, open: { $not: '$open' } } }]

async function carryOut(rows: Collection<Row>, op: Op, writer: number): Promise<string> {
  const own = (id: string) => ({ _id: id, writer })
  switch (op.kind) {
    case 'insert':
      await rows.insertOne(fresh(op.id, writer))
      return 'inserted'
    case 'update':
      await rows.updateOne(own(op.id), toggle)
      return 'updated'
    case 'remove':
      await rows.deleteOne(own(op.id))
      return 'removed'
    case 'bulk': {
      const { insert, update, remove } = op.bulk
      await rows.bulkWrite([
        { insertOne: { document: fresh(insert, writer) } },
        { updateOne: { filter: own(update!), update: toggle } },
        { deleteOne: { filter: own(remove!) } }
      ])
      return 'bulk'
    }
    case 'many':
      // The races of this round are not this writer's to count.
      await rows.updateMany({ writer, key: { $gte: `${round}-`, $lt: `${round}.` } }, { $inc: { m: 1 } })
      return 'many'
    case 'twice':
      return refused(rows.insertOne({ ...fresh(op.id, writer), _id: `${op.id} again` }))
    case 'race':
      return refused(rows.insertOne(fresh(op.id, writer)))
  }
}

/** 'won', or 'lost' to whoever had the unique key first. */
async function refused(insert: Promise<unknown>): Promise<string> {
  try {
    await insert
    return 'won'
  } catch (error) {
    if (error instanceof MongoServerError && error.code === 11000) return 'lost'
    throw error
  }
}

async function write(writer: number): Promise<void> {
  for (const { op } of script(Number(round), writer)) say(`${writer} ${await carryOut(rows, op, writer)}`)
}
await Promise.all(Array.from({ length: Number(writers) }, (_, i) => write(i)))

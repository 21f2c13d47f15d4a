import { Double, Long } from 'mongodb'
import type { Collection, Document } from 'mongodb'
import t from 'tap'
import { withStore } from './with-store.js'

/** What a filter finds by whatever way the store takes, and by looking at every document. */
async function bothWays(c: Collection<any>, filter: Document): Promise<unknown[][]> {
  const ids = (rows: Document[]) => rows.map(({ _id }) => _id).sort()
  return [ids(await c.find(filter).toArray()), ids(await c.find(filter).hint({ $natural: 1 }).toArray())]
}

t.test('a document found by the key of a unique index is the one a look at all documents finds', async (t) => {
  const { db } = await withStore(t)
  const c = db.collection<any>('c')
  await c.createIndex({ k: 1 }, { unique: true })
  await c.createIndex({ a: 1, b: -1 }, { unique: true })
  await c.createIndex({ part: 1 }, { unique: true, partialFilterExpression: { open: true } })
  await c.createIndex({ thin: 1 }, { unique: true, sparse: true })
  await c.createIndex({ 'deep.key': 1 }, { unique: true, sparse: true })
  await c.insertMany([
    { _id: 1, k: 5, a: 1, b: 1, part: 'x', open: true, thin: 1, deep: { key: 1 } },
    { _id: 2, k: '5', a: 1, b: 2, part: 'x', open: false, deep: { key: 2 } },
    { _id: 3, k: 5.5, a: 2, b: 1, part: 'x', thin: 'y' },
    { _id: 4, a: null, b: 1, part: 'y', open: true },
    { _id: 5, k: { n: 1 }, a: 3, part: 'z' },
    { _id: 6, k: new Date(0), a: NaN, b: NaN },
    { _id: 7, k: 'k'.repeat(100), a: 'x', b: true }
  ])
  const filters: Document[] = [
    { k: 5 },
    { k: Long.fromNumber(5) },
    { k: new Double(5) },
    { k: '5' },
    { k: 6 },
    { k: null },
    { k: { n: 1 } },
    { k: { n: new Double(1) } },
    { k: new Date(0) },
    { k: /^5/ },
    { k: 'k'.repeat(100) },
    { k: 5, a: 2 },
    { k: 5, a: 1 },
    { $and: [{ k: 5 }, { k: 6 }] },
    { $or: [{ k: 5 }, { k: '5' }] },
    { a: 1, b: 2 },
    { b: 2, a: 1 },
    { a: 1 },
    { a: null, b: 1 },
    { a: 3, b: null },
    { a: NaN, b: NaN },
    { a: { $ne: 1 }, b: 1 },
    { part: 'x' },
    { part: 'x', open: true },
    { part: 'x', open: false },
    { thin: 1 },
    { thin: 'y', k: 5.5 },
    { 'deep.key': 2 },
    { _id: 3, k: 5 },
    { _id: 3, k: 5.5 },
    { _id: { $in: [1, 2] }, k: 5 }
  ]
  const same = async (what: string) => {
    for (const filter of filters) {
      const [found, all] = await bothWays(c, filter)
      t.same(found, all, `${what} ${JSON.stringify(filter)}`)
    }
  }
  await same('one value a document')
  t.same(await bothWays(c, { k: 5 }), [[1], [1]], 'and there is something to find')

  await c.insertMany([
    { _id: 8, k: [7, [8]], a: [9, 10], b: 7 },
    { _id: 9, k: 'l'.repeat(4_000), a: 'y', b: 'l'.repeat(4_000) }
  ])
  filters.push({ k: 7 }, { k: 8 }, { k: [8] }, { k: [7, [8]] }, { a: 9, b: 7 }, { a: [9, 10], b: 7 })
  filters.push({ k: 'l'.repeat(4_000) }, { k: 'l'.repeat(4_001) }, { a: 'y', b: 'l'.repeat(4_000) })
  await same('arrays and long keys')
})

t.test('an update by such a key changes that document, and inserts it when there is none', async (t) => {
  const { db } = await withStore(t)
  const c = db.collection<any>('c')
  await c.createIndex({ k: 1 }, { unique: true })
  await c.insertMany([
    { _id: 1, k: 'a', n: 0 },
    { _id: 2, k: 'b', n: 0 }
  ])
  t.match(await c.updateOne({ k: 'b', n: 0 }, { $inc: { n: 1 } }), { matchedCount: 1, modifiedCount: 1 })
  t.match(await c.updateOne({ k: 'b', n: 0 }, { $inc: { n: 1 } }), { matchedCount: 0 }, 'the rest of the filter counts')
  t.match(await c.updateOne({ k: 'c' }, { $inc: { n: 1 } }, { upsert: true }), { upsertedCount: 1 })
  t.match(await c.findOneAndUpdate({ k: 'a' }, { $set: { k: 'd' } }, { returnDocument: 'after' }), { _id: 1, k: 'd' })
  t.equal(await c.findOne({ k: 'a' }), null)
  t.match(await c.deleteOne({ k: 'd' }), { deletedCount: 1 })
  t.same((await c.find().toArray()).map(({ k, n }) => [k, n]).sort(), [
    ['b', 1],
    ['c', 1]
  ])
})

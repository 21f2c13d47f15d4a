import type { Collection } from 'mongodb'
import t from 'tap'
import { refusal, withStore } from './with-store.js'

const stageOf = (explained: any): any => {
  let stage = explained.queryPlanner.winningPlan
  const stages = [stage.stage]
  while ((stage = stage.inputStage)) stages.push(stage.indexName ? `${stage.stage} ${stage.indexName}` : stage.stage)
  return stages.join(' < ')
}
const examined = (explained: any) => [
  explained.executionStats.totalKeysExamined,
  explained.executionStats.totalDocsExamined
]

t.test('indexes', async (t) => {
  const { db } = await withStore(t)
  const fill = async (name: string, docs: object[]): Promise<Collection<any>> => {
    const collection = db.collection<any>(name)
    await collection.insertMany(docs)
    return collection
  }

  t.test('are made over what is there, listed, made again harmlessly, and dropped', async (t) => {
    const c = await fill(
      'made',
      Array.from({ length: 700 }, (_, i) => ({ _id: i, a: i % 10, b: -i }))
    )
    t.equal(await c.createIndex({ a: 1, b: -1 }, { background: true }), 'a_1_b_-1')
    t.match(
      await db.command({
        createIndexes: 'made',
        indexes: [{ key: { a: 1, b: -1 }, name: 'a_1_b_-1', background: true }]
      }),
      { note: 'all indexes already exist', numIndexesBefore: 2, numIndexesAfter: 2 }
    )
    t.equal((await refusal(c.createIndex({ a: 1, b: -1 }, { unique: true }))).code, 86)
    t.equal((await refusal(c.createIndex({ a: 1, b: -1 }, { name: 'other' }))).code, 85)
    t.equal((await refusal(c.createIndex({ b: 1 }, { name: 'a_1_b_-1' }))).code, 86)
    for (const bad of [{ a: 'text' }, { a: '2dsphere' }, { '$**': 1 }, { a: 0 }, { '': 1 }])
      t.equal((await refusal(c.createIndex(bad as any))).code, 67)
    t.equal((await refusal(c.createIndex({ a: 1 }, { collation: { locale: 'en' } }))).code, 72)
    t.match(await c.indexes(), [
      { key: { _id: 1 } },
      { v: 2, key: { a: 1, b: -1 }, name: 'a_1_b_-1', background: true }
    ])
    const explained = await c.find({ a: 3 }).sort({ b: 1 }).limit(2).explain('executionStats')
    t.same([stageOf(explained), examined(explained)[1]], ['FETCH < IXSCAN a_1_b_-1', 2], 'backwards, no sort')
    t.same(
      (await c.find({ a: 3 }).sort({ b: 1 }).limit(2).toArray()).map(({ b }) => b),
      [-693, -683]
    )
    await c.dropIndex('a_1_b_-1')
    t.equal((await refusal(c.dropIndex('a_1_b_-1'))).code, 27)
    t.equal((await refusal(c.dropIndex('_id_'))).code, 72)
    t.equal(stageOf(await c.find({ a: 3 }).explain()), 'COLLSCAN')
    t.equal((await refusal(db.collection('none').indexes())).code, 26)
    t.match(await db.command({ validate: 'made' }), { valid: true, keysPerIndex: { _id_: 700 } })
  })

  t.test('unique ones refuse the second, on upsert and update too, with key and value', async (t) => {
    const c = await fill('unique', [
      { _id: 1, k: 'x', n: 1 },
      { _id: 2, k: 'y', n: 1 }
    ])
    t.match(await refusal(c.createIndex({ n: 1 }, { unique: true })), { code: 11000 })
    t.equal((await c.indexes()).length, 1, 'a failed build leaves nothing')
    await c.createIndex({ k: 1, d: 1 }, { unique: true })
    t.match(await refusal(c.insertOne({ _id: 3, k: 'x' })), {
      code: 11000,
      message: /E11000 duplicate key error collection: hongyan.unique index: k_1_d_1 dup key: \{ k: "x", d: null \}/,
      error: { keyPattern: { k: 1, d: 1 }, keyValue: { k: 'x', d: null } }
    })
    t.equal((await refusal(c.updateOne({ _id: 2 }, { $set: { k: 'x' } }))).code, 11000)
    t.equal((await refusal(c.updateOne({ _id: 9, k: 'x' }, { $set: { n: 2 } }, { upsert: true }))).code, 11000)
    t.equal((await refusal(c.findOneAndUpdate({ _id: 9, k: 'y' }, { $set: { n: 2 } }, { upsert: true }))).code, 11000)
    await c.updateOne({ _id: 2 }, { $set: { k: 'z' } })
    await c.insertOne({ _id: 3, k: 'y' })
    const long = 'q'.repeat(5_000)
    await c.insertOne({ _id: 4, k: `${long}1` })
    await c.insertOne({ _id: 5, k: `${long}2` })
    t.equal((await refusal(c.insertOne({ _id: 6, k: `${long}2` }))).code, 11000)
    t.equal((await c.findOne({ k: `${long}2` }))?._id, 5)
    t.match(await db.command({ validate: 'unique' }), { valid: true })
  })

  t.test('sparse and partial ones hold what they say, and serve only filters that stay within', async (t) => {
    const c = await fill(
      'partial',
      Array.from({ length: 300 }, (_, i) => ({
        _id: i,
        todo: i % 30 === 0 ? true : undefined,
        held: i % 50 === 0 ? 1 : 0,
        due: 300 - i,
        ...(i % 2 ? { s: i } : {})
      }))
    )
    await c.createIndex({ due: 1 }, { partialFilterExpression: { todo: true } })
    await c.createIndex({ held: 1, due: 1 }, { partialFilterExpression: { held: { $gt: 0 } } })
    await c.createIndex({ s: 1 }, { sparse: true, unique: true })
    t.match(await db.command({ validate: 'partial' }), {
      valid: true,
      keysPerIndex: { due_1: 10, held_1_due_1: 6, s_1: 150 }
    })
    const plan = async (filter: object) => stageOf(await c.find(filter).explain())
    t.equal(await plan({ todo: true, due: { $lte: 100 } }), 'FETCH < IXSCAN due_1')
    t.equal(stageOf(await c.find({ todo: true }).sort({ due: 1 }).limit(5).explain()), 'FETCH < IXSCAN due_1')
    t.equal(await plan({ due: { $lte: 100 } }), 'COLLSCAN')
    t.equal(await plan({ held: { $gt: 0 }, due: 3 }), 'FETCH < IXSCAN held_1_due_1')
    t.equal(await plan({ held: 1 }), 'FETCH < IXSCAN held_1_due_1')
    t.equal(await plan({ held: { $gte: 0 } }), 'COLLSCAN')
    t.equal(await plan({ s: 7 }), 'FETCH < IXSCAN s_1')
    t.equal(await plan({ s: null }), 'COLLSCAN')
    t.equal(await c.countDocuments({ s: null }), 150)
    t.same(
      (
        await c
          .find({ held: { $gt: 0 } })
          .sort({ due: 1 })
          .toArray()
      ).map(({ _id }) => _id),
      [250, 200, 150, 100, 50, 0]
    )
    await c.updateMany({ todo: true }, { $unset: { todo: 1 } })
    await c.updateMany({ _id: { $lt: 5 } }, { $set: { held: 0, todo: true } })
    t.match(await db.command({ validate: 'partial' }), { valid: true, keysPerIndex: { due_1: 5, held_1_due_1: 5 } })
    t.equal((await refusal(c.createIndex({ q: 1 }, { partialFilterExpression: { q: { $ne: 1 } } }))).code, 67)
  })

  t.test('of arrays find each element once, and never take two elements for one', async (t) => {
    const c = await fill('multi', [
      {
        _id: 1,
        a: [1, 9],
        l: [
          { x: 1, y: 9 },
          { x: 9, y: 2 }
        ]
      },
      { _id: 2, a: [5], l: [{ x: 1, y: 2 }] },
      { _id: 3, a: 5, l: [] },
      { _id: 4, a: [], l: null },
      { _id: 5, a: [[5], null] }
    ])
    const asked = [
      { a: 5 },
      { a: { $gt: 3, $lt: 7 } },
      { a: null },
      { a: { $in: [1, 9] } },
      { a: [5] },
      { a: [] },
      { 'l.x': 1, 'l.y': 2 },
      { l: { $elemMatch: { x: 1, y: 2 } } },
      { 'l.x': null },
      { a: { $ne: 5 } },
      { $or: [{ a: 1 }, { a: 9 }, { 'l.x': 1 }] }
    ]
    const answer = async () =>
      Promise.all(
        asked.map(async (filter) =>
          (
            await c
              .find(filter as any)
              .sort({ _id: 1 })
              .toArray()
          ).map(({ _id }) => _id)
        )
      )
    const before = await answer()
    await c.createIndex({ a: 1 })
    await c.createIndex({ 'l.x': 1, 'l.y': 1 })
    t.same(await answer(), before)
    t.same(before[6], [1, 2])
    t.same(
      (await c.find().sort({ a: 1 }).toArray()).map(({ _id }) => _id),
      [4, 5, 1, 2, 3]
    )
    t.equal((await refusal(c.createIndex({ a: 1, l: 1 }))).code, 171)
    t.match(await db.command({ validate: 'multi' }), { valid: true })
  })

  t.test('serve $in, $or, ranges, hints and counts without looking at more than they must', async (t) => {
    const c = await fill(
      'plans',
      Array.from({ length: 1_000 }, (_, i) => ({
        _id: i,
        name: `n${i % 10}`,
        state: i % 4,
        due: new Date(i),
        key: `k${i}`
      }))
    )
    await c.createIndex({ name: 1, due: -1 })
    await c.createIndex({ state: 1 })
    await c.createIndex({ key: 1 }, { unique: true })
    const look = async (filter: object, options = {}) => {
      const explained = await c.find(filter, options).explain('executionStats')
      return [stageOf(explained), ...examined(explained)]
    }
    t.same(await look({ _id: { $in: [5, 6, 7, 5_000] } }), ['FETCH < IXSCAN _id_', 4, 3])
    t.same(await look({ key: 'k5', state: 1 }), ['FETCH < IXSCAN key_1', 1, 1])
    t.same(await look({ name: 'n3', due: { $gte: new Date(100), $lt: new Date(150) } }), [
      'FETCH < IXSCAN name_1_due_-1',
      5,
      5
    ])
    t.same(await look({ name: { $in: ['n1', 'n2'] }, due: { $gt: new Date(980) } }), [
      'FETCH < IXSCAN name_1_due_-1',
      4,
      4
    ])
    t.same(
      (await look({ $or: [{ key: 'k1' }, { key: 'k2' }, { _id: 1 }] })).slice(1),
      [3, 2],
      'one document by two ways is one'
    )
    t.same(await look({ state: 1, name: 'n1' }, { hint: { state: 1 } }), ['FETCH < IXSCAN state_1', 250, 250])
    t.same((await look({ state: 1 }, { hint: '$natural' as any, limit: 1 }))[0], 'COLLSCAN')
    t.equal((await refusal(c.find({ state: 1 }, { hint: 'nope' }).toArray())).code, 2)
    t.equal(await c.countDocuments({ name: 'n3', due: { $lt: new Date(500) } }), 50)
    t.equal(await c.countDocuments({ state: { $in: [1, 2] } }), 500)
    t.equal(
      (await c.find({ $or: [{ key: 'k1' }, { _id: 1 }, { name: 'n1', due: { $lt: new Date(12) } }] }).toArray()).length,
      2
    )
    t.same(
      (await c.find({ name: 'n1' }).sort({ due: 1 }).limit(2).toArray()).map(({ _id }) => _id),
      [1, 11]
    )
  })

  t.test('expire what is past, by the clock they are given', async (t) => {
    let now = new Date('2030-01-01T00:00:00Z')
    const own = await withStore(t, { dir: t.testdir(), now: () => now })
    const c = own.db.collection<any>('ttl')
    await c.createIndex({ at: 1 }, { expireAfterSeconds: 60 })
    await c.createIndex({ soft: 1 }, { expireAfterSeconds: 0, partialFilterExpression: { dead: true } })
    await c.insertMany([
      { _id: 1, at: new Date('2029-12-31T23:59:30Z') },
      { _id: 2, at: [new Date('2031-01-01T00:00:00Z'), new Date('2029-12-31T23:59:10Z')] },
      { _id: 3, at: 'no date' },
      { _id: 4 },
      { _id: 5, soft: new Date('2029-01-01'), dead: true },
      { _id: 6, soft: new Date('2029-01-01') },
      { _id: 7, at: null }
    ])
    const sweep = async () => (await own.db.command({ hongyanSweep: 1 })).expired
    t.equal(await sweep(), 1)
    now = new Date('2030-01-01T00:00:31Z')
    t.equal(await sweep(), 2)
    t.same(
      (await c.find().toArray()).map(({ _id }) => _id),
      [3, 4, 6, 7]
    )
    t.same((await own.db.admin().command({ hello: 1 })).localTime, now)
    now = new Date('2029-01-01')
    const { value } = await own.db.command({
      findAndModify: 'ttl',
      query: { _id: 4 },
      update: [{ $set: { at: '$$NOW' } }],
      new: true
    })
    t.same(value.at, new Date('2030-01-01T00:00:31Z'), '$$NOW does not go back')
  })
})

t.test('indexes that share their keys are told apart by name', async (t) => {
  const { db } = await withStore(t)
  const c = db.collection('twins')
  await c.createIndex({ a: 1 }, { name: 'all' })
  await c.createIndex({ a: 1 }, { name: 'some', sparse: true })
  t.equal((await refusal(db.command({ dropIndexes: 'twins', index: { a: 1 } }))).code, 181)
  await c.dropIndex('some')
  t.match(await db.command({ dropIndexes: 'twins', index: { a: 1 } }), { nIndexesWas: 2 })
})

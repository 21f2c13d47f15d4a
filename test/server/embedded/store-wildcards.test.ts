import t from 'tap'
import { refusal, withStore } from './with-store.js'

const N = 3_000
const LIVE = { gone: null }

t.test('a wildcard index', async (t) => {
  const { db } = await withStore(t)
  const people = db.collection<any>('people')
  for (const field of ['facts', 'tags']) {
    await people.createIndex({ [`${field}.$**`]: 1 }, { partialFilterExpression: LIVE })
  }
  await people.insertMany(
    Array.from({ length: N }, (_, i) => ({
      _id: i,
      gone: i % 100 === 0 ? new Date(0) : null,
      facts: { city: `c${i % 10}`, age: i % 50, ...(i % 7 === 0 && { deep: { x: i % 3 }, list: [i % 2, 'a', 'a'] }) },
      tags: i % 3 === 0 ? { level: `l${i % 4}`, vip: true } : {}
    }))
  )

  t.test('serves questions about any path below its field', async (t) => {
    const asked: [object, index: string | null][] = [
      [{ 'facts.city': 'c3' }, 'facts.$**_1'],
      [{ 'facts.age': { $gte: 10, $lt: 20 } }, 'facts.$**_1'],
      [{ 'facts.city': { $in: ['c1', 'c2'] }, 'tags.level': 'l1' }, 'tags.$**_1'],
      [{ 'facts.list': 'a' }, 'facts.$**_1'],
      [{ 'facts.deep.x': 1 }, 'facts.$**_1'],
      [{ 'facts.deep': { $exists: true } }, 'facts.$**_1'],
      [{ 'tags.vip': true, 'facts.city': { $ne: 'c3' } }, 'tags.$**_1'],
      // what it does not hold, or holds in another way
      [{ 'facts.city': { $ne: 'c3' } }, null],
      [{ 'facts.deep': null }, null],
      [{ 'facts.deep': { x: 1 } }, null],
      [{ 'facts.list.0': 1 }, null]
    ]
    for (const [wanted, index] of asked) {
      const query = { ...LIVE, ...wanted }
      const told = JSON.stringify(wanted)
      const { winningPlan } = (await people.find(query).explain()).queryPlanner as any
      t.equal(winningPlan.inputStage?.indexName ?? null, index, told)
      const right = (await people.find(query).hint({ $natural: 1 }).toArray()).map(({ _id }) => _id)
      t.ok(right.length > 0, told)
      t.equal(await people.countDocuments(query), right.length, told)
      t.same((await people.find(query).toArray()).map(({ _id }) => _id).sort(), right.sort(), told)
    }
  })

  t.test('keeps up with what changes', async (t) => {
    await people.updateOne({ _id: 3 }, { $set: { 'tags.level': 'new' } })
    t.same(
      await people
        .find({ ...LIVE, 'tags.level': 'new' })
        .project({ _id: 1 })
        .toArray(),
      [{ _id: 3 }]
    )
    await people.updateOne({ _id: 3 }, { $unset: { 'tags.level': '' } })
    t.equal(await people.countDocuments({ ...LIVE, 'tags.level': 'new' }), 0)
    await people.updateOne({ _id: 6 }, { $set: { gone: new Date(0) } })
    t.equal(await people.countDocuments({ ...LIVE, _id: 6, 'tags.vip': true }), 0)
    await people.deleteOne({ _id: 9 })
    t.equal(await people.countDocuments({ ...LIVE, _id: 9, 'tags.vip': true }), 0)
  })

  t.test('stands alone, below a field, with nothing unique about it', async (t) => {
    for (const [keys, options] of [
      [{ '$**': 1 }, {}],
      [{ 'facts.$**': 1, city: 1 }, {}],
      [{ 'facts.$**.city': 1 }, {}],
      [{ 'facts.$**': 1 }, { unique: true }],
      [{ 'facts.$**': 1 }, { expireAfterSeconds: 5 }]
    ] as const) {
      t.match(await refusal(people.createIndex(keys as any, options)), { code: 67 }, JSON.stringify([keys, options]))
    }
  })
})

t.test('a count of plain facts reads no document', async (t) => {
  const { db } = await withStore(t)
  const people = db.collection<any>('people')
  await people.createIndex({ 'facts.$**': 1 }, { partialFilterExpression: LIVE })
  await people.createIndex({ 'tags.$**': 1 }, { partialFilterExpression: LIVE })
  await people.insertMany(
    Array.from({ length: N }, (_, i) => ({
      _id: i,
      gone: null,
      facts: { city: `c${i % 10}`, age: i % 50 },
      tags: i % 7 === 0 ? { vip: true } : {}
    }))
  )
  const told = async (query: object) => {
    const explained = await db.command({ explain: { count: 'people', query }, verbosity: 'executionStats' })
    const { winningPlan } = explained.queryPlanner
    return [
      winningPlan.inputStage.stage,
      explained.executionStats.totalDocsExamined,
      await people.countDocuments(query)
    ]
  }
  t.same(await told({ ...LIVE, 'facts.city': 'c3' }), ['COUNT_SCAN', 0, 300])
  t.same(await told({ ...LIVE, 'facts.age': { $gte: 10, $lt: 20 } }), ['COUNT_SCAN', 0, 600])
  t.same(await told({ ...LIVE, 'facts.city': 'c3', 'tags.vip': true }), ['AND_HASH', 0, 42])
  const aged = { ...LIVE, 'facts.city': 'c3', 'facts.age': { $gte: 10, $lte: 14 }, 'tags.vip': true }
  t.same(await told(aged), ['AND_HASH', 0, 9])
  await people.insertOne({ _id: -1, gone: null, facts: { rare: 1 }, tags: { vip: true } })
  const rare = { ...LIVE, 'facts.rare': 1, 'tags.vip': true }
  t.same(await told(rare), ['FETCH', 1, 1], 'one document is read sooner than hundreds of entries are compared')
  t.same(await told({ 'facts.city': 'c3' }), ['COLLSCAN', N + 1, 300], 'of those it does not hold it knows nothing')
})

t.test('a range on a descending index goes down to the first value of its type', async (t) => {
  const { db } = await withStore(t)
  const rows = db.collection<any>('rows')
  await rows.createIndex({ a: -1 })
  await rows.insertMany(['', 'a', 'b', 0, 5, null].map((a, _id) => ({ _id, a })))
  t.same(
    (await rows.find({ a: { $lt: 'b' } }).toArray()).map(({ a }) => a),
    ['a', '']
  )
  t.same(
    (await rows.find({ a: { $lte: 5 } }).toArray()).map(({ a }) => a),
    [5, 0]
  )
})

t.test('choosing a plan costs the same however wide the plans not chosen are', async (t) => {
  const { db } = await withStore(t)
  const rows = db.collection<any>('rows')
  await rows.createIndex({ all: 1 })
  await rows.createIndex({ owner: 1 })
  await rows.insertMany(Array.from({ length: N }, (_, _id) => ({ _id, all: 1, owner: _id % 300 })))
  const explained = await rows.find({ all: 1, owner: { $in: [1, 2, 3] } }).explain('executionStats')
  t.equal(explained.queryPlanner.winningPlan.inputStage.indexName, 'owner_1')
  t.equal(explained.executionStats.totalDocsExamined, 30)
})

import fc from 'fast-check'
import t from 'tap'
import { withStore } from './with-store.js'

const scalar = fc.oneof(
  fc.integer({ min: -3, max: 6 }),
  fc.constantFrom(null, true, false, 1.5, -0.5, NaN, 'a', 'b', 'ab', '', new Date(0), new Date(5)),
  fc.constantFrom({ x: 1 }, { x: 1, y: 2 }, {})
)
const value = fc.oneof({ weight: 5, arbitrary: scalar }, { weight: 1, arbitrary: fc.array(scalar, { maxLength: 3 }) })
const part = fc.record({ b: value, c: scalar }, { requiredKeys: [] })
const document = fc.record(
  {
    a: value,
    d: scalar,
    todo: fc.boolean(),
    n: fc.integer({ min: -2, max: 3 }),
    l: fc.oneof(part, fc.array(part, { maxLength: 3 }))
  },
  { requiredKeys: [] }
)
const path = fc.constantFrom('a', 'd', 'n', 'l.b', 'l.c', 'l', '_id', 'todo')
const condition = fc.oneof(
  { weight: 4, arbitrary: value },
  { weight: 1, arbitrary: fc.record({ $in: fc.array(value, { maxLength: 4 }) }) },
  {
    weight: 1,
    arbitrary: fc.constantFrom(
      { $exists: true },
      { $exists: false },
      { $ne: null },
      { $ne: 1 },
      { $type: 'number' },
      { $not: { $gt: 1 } },
      { $elemMatch: { $gt: 0, $lt: 3 } }
    )
  },
  {
    weight: 4,
    arbitrary: fc.dictionary(fc.constantFrom('$gt', '$gte', '$lt', '$lte'), scalar, {
      minKeys: 1,
      maxKeys: 2,
      noNullPrototype: true
    })
  }
)
const clause = fc.tuple(path, condition).map(([name, wanted]): Record<string, unknown> => ({ [name]: wanted }))
const flat = fc
  .array(clause, { minLength: 1, maxLength: 3 })
  .map((clauses) => (clauses.length === 1 ? clauses[0] : { $and: clauses }))
const filter = fc.oneof(
  { weight: 4, arbitrary: flat },
  { weight: 1, arbitrary: fc.array(flat, { minLength: 1, maxLength: 3 }).map(($or) => ({ $or })) },
  {
    weight: 1,
    arbitrary: fc
      .tuple(flat, fc.array(flat, { minLength: 2, maxLength: 2 }))
      .map(([first, $or]) => ({ $and: [first, { $or }] }))
  },
  { weight: 2, arbitrary: flat.map((inner) => ({ $and: [inner, { todo: true }] })) },
  { weight: 2, arbitrary: flat.map((inner) => ({ $and: [inner, { n: { $gt: 0 } }] })) }
)
const sort = fc.constantFrom(null, { a: 1 }, { a: -1, d: 1 }, { n: 1, a: -1 }, { 'l.b': 1 }, { d: -1 }, { _id: -1 })
const INDEXES = [
  [{ a: 1, d: -1 }],
  [{ d: 1 }],
  [{ n: -1, a: 1 }, { partialFilterExpression: { n: { $gt: 0 } } }],
  [{ d: 1, a: 1 }, { partialFilterExpression: { todo: true } }],
  [{ 'l.b': 1, 'l.c': 1 }], // of documents in an array
  [{ 'l.c': 1 }, { sparse: true }]
] as const

t.test('whatever the plan, the answer is that of looking at every document', { timeout: 60_000 }, async (t) => {
  const { db } = await withStore(t)
  let round = 0
  await fc.assert(
    fc.asyncProperty(
      fc.array(document, { minLength: 5, maxLength: 40 }),
      fc.array(fc.tuple(filter, sort), { minLength: 12, maxLength: 12 }),
      fc.array(document, { minLength: 4, maxLength: 4 }),
      async (documents, questions, changes) => {
        const rows = db.collection<any>(`r${round++}`)
        for (const [keys, options] of INDEXES) await rows.createIndex(keys as any, options)
        await rows.insertMany(documents.map((doc, _id) => ({ _id, ...doc })))
        for (const [i, doc] of changes.entries()) await rows.replaceOne({ _id: i * 2 }, doc)
        await rows.deleteOne({ _id: 1 })
        for (const [wanted, order] of questions) {
          const options = order ? { sort: order as any } : {}
          const planned = await rows.find(wanted, options).toArray()
          const scanned = await rows.find(wanted, { ...options, hint: { $natural: 1 } }).toArray()
          const ids = (found: any[]) => found.map(({ _id }) => _id)
          const sorted = (found: any[]) => ids(found).sort((x, y) => x - y)
          const told = JSON.stringify({ wanted, order })
          if (JSON.stringify(sorted(planned)) !== JSON.stringify(sorted(scanned)))
            throw new Error(`other documents: ${told}: ${ids(planned)} instead of ${ids(scanned)}`)
          if ((await rows.countDocuments(wanted)) !== scanned.length) throw new Error(`another count: ${told}`)
          if (order) {
            // Documents of one sort key may come in any order, so the keys are compared: by sorting once more, stably.
            const [again] = await rows
              .aggregate([{ $match: { _id: { $in: ids(planned) } } }, { $group: { _id: null, n: { $sum: 1 } } }])
              .toArray()
            if ((again?.n ?? 0) !== planned.length) throw new Error(`lost: ${told}`)
            const limited = await rows.find(wanted, { ...options, limit: 3 }).toArray()
            if (limited.length !== Math.min(3, planned.length)) throw new Error(`limited: ${told}`)
          }
        }
        const { valid, errors } = await db.command({ validate: rows.collectionName })
        if (!valid) throw new Error(errors.join('\n'))
        await rows.drop()
      }
    ),
    { numRuns: 25, endOnFailure: true }
  )
  t.pass(`${round} collections asked`)
})

t.test('an order taken from an index is the order sorting gives', async (t) => {
  const { db } = await withStore(t)
  const rows = db.collection<any>('rows')
  const values = [
    1,
    -5,
    2.5,
    'b',
    'a',
    '',
    null,
    undefined,
    true,
    false,
    new Date(0),
    { x: 1 },
    { x: 0 },
    NaN,
    Infinity
  ]
  await rows.insertMany(
    values.flatMap((a, i) =>
      values.map((d, j) => ({ _id: i * 100 + j, ...(a === undefined ? {} : { a }), ...(d === undefined ? {} : { d }) }))
    )
  )
  for (const order of [
    { a: 1, d: -1, _id: 1 },
    { a: -1, d: 1, _id: 1 },
    { d: 1, _id: -1 }
  ] as const) {
    const before = (
      await rows
        .find()
        .sort(order as any)
        .toArray()
    ).map(({ _id }) => _id)
    await rows.createIndex(order as any)
    const explained: any = await rows
      .find()
      .sort(order as any)
      .explain()
    t.equal(explained.queryPlanner.winningPlan.stage, 'FETCH')
    t.same(
      (
        await rows
          .find()
          .sort(order as any)
          .toArray()
      ).map(({ _id }) => _id),
      before
    )
    await rows.dropIndexes()
  }
})

t.test('of many usable indexes the narrow one is taken, whatever the size', async (t) => {
  const { db } = await withStore(t)
  const rows = db.collection<any>('rows')
  await rows.createIndex({ account: 1, lane: 1, due: 1 })
  await rows.createIndex({ account: 1, seq: 1 }, { partialFilterExpression: { todo: true }, name: 'todo' })
  await rows.createIndex({ account: 1, person: 1, state: 1, ends: 1 })
  await rows.createIndex({ ends: 1 })
  const day = (n: number) => new Date(n * 86_400_000)
  await rows.insertMany(
    Array.from({ length: 6_000 }, (_, i) => ({
      ...{ _id: `m${i}`, account: 'a', lane: i % 10 === 0 ? 'high' : 'bulk', due: day(i % 3_000), seq: i },
      ...{ todo: i % 20 === 0, person: `p${i % 3_000}`, state: i % 2 ? 'live' : 'dead', ends: day(i % 7) }
    }))
  )
  const ids = Array.from({ length: 500 }, (_, i) => `m${i * 11}`)
  const people = Array.from({ length: 500 }, (_, i) => `p${i * 5}`)
  const questions: { wanted: any; index: string; atMost: number; options?: any }[] = [
    {
      wanted: { account: 'a', _id: { $in: ids }, state: 'live', due: { $lte: day(9_999) } },
      index: '_id_',
      atMost: 500
    },
    { wanted: { account: 'a', _id: { $in: ids }, lease: 'x' }, index: '_id_', atMost: 500 },
    { wanted: { account: 'a', _id: { $in: ids.slice(0, 20) } }, index: '_id_', atMost: 20 },
    { wanted: { account: 'a', lane: 'bulk', _id: { $in: ids } }, index: '_id_', atMost: 500 },
    { wanted: { account: 'a', _id: 'm7', lease: 'x', state: { $in: ['live', 'dead'] } }, index: '_id_', atMost: 1 },
    { wanted: { account: 'a', todo: true }, index: 'todo', atMost: 300 },
    { wanted: { account: 'a', todo: true }, index: 'todo', atMost: 100, options: { limit: 100 } },
    {
      ...{ wanted: { account: 'a', person: { $in: people }, state: 'live' } },
      ...{ index: 'account_1_person_1_state_1_ends_1', atMost: 500 }
    },
    {
      ...{ wanted: { account: 'a', lane: 'bulk', due: { $lte: day(2_000) }, state: { $in: ['live', 'dead'] } } },
      ...{ index: 'account_1_lane_1_due_1', atMost: 50, options: { sort: { due: 1 }, limit: 50 } }
    },
    { wanted: { account: 'a', lane: 'high', due: { $lt: day(30) } }, index: 'account_1_lane_1_due_1', atMost: 6 },
    { wanted: { account: 'a', ends: day(3), person: 'p10' }, index: 'account_1_person_1_state_1_ends_1', atMost: 2 },
    {
      wanted: { $or: [{ _id: { $in: ids } }, { account: 'a', person: 'p3' }], lane: { $ne: 'x' } },
      index: 'OR',
      atMost: 502
    }
  ]
  for (const { wanted, index, atMost, options } of questions) {
    const explained: any = await rows.find(wanted, options).explain('executionStats')
    const plan = explained.queryPlanner.winningPlan
    const told = JSON.stringify(wanted).slice(0, 90)
    t.equal(plan.inputStage?.indexName ?? plan.stage, index, told)
    t.ok(explained.executionStats.totalDocsExamined <= atMost, `${explained.executionStats.totalDocsExamined}: ${told}`)
  }
})

t.test('explain says which way is taken, and what was looked at on it', async (t) => {
  const { db } = await withStore(t)
  const rows = db.collection<any>('rows')
  await rows.insertMany(Array.from({ length: 100 }, (_, i) => ({ _id: i, a: i % 10, b: i, tags: [i, -i] })))
  await rows.createIndex({ a: 1, b: -1 })
  await rows.createIndex({ b: 1 })
  await rows.createIndex({ tags: 1 })
  const told = (command: object) => db.command({ explain: command, verbosity: 'executionStats' })
  const ways: [string, object, object, [number, number, number]][] = [
    ['a scan', { find: 'rows', filter: { c: 1 } }, { stage: 'COLLSCAN', direction: 'forward' }, [0, 0, 100]],
    [
      'backwards',
      { find: 'rows', hint: { $natural: -1 } },
      { stage: 'COLLSCAN', direction: 'backward' },
      [100, 0, 100]
    ],
    [
      'an index',
      { find: 'rows', filter: { a: 3 } },
      {
        stage: 'FETCH',
        inputStage: { stage: 'IXSCAN', indexName: 'a_1_b_-1', keyPattern: { a: 1, b: -1 }, isMultiKey: false }
      },
      [10, 10, 10]
    ],
    [
      'an order from an index',
      { find: 'rows', filter: { a: 3 }, sort: { b: 1 }, limit: 2 },
      { stage: 'FETCH', inputStage: { stage: 'IXSCAN', indexName: 'a_1_b_-1', direction: 'backward' } },
      [2, 2, 2]
    ],
    [
      'an order that is made',
      { find: 'rows', filter: { a: 3 }, sort: { tags: 1 } },
      { stage: 'SORT', inputStage: { stage: 'FETCH' } },
      [10, 10, 10]
    ],
    [
      'several values',
      { find: 'rows', filter: { b: { $in: [1, 5, 999] } } },
      { stage: 'FETCH', inputStage: { indexName: 'b_1', ranges: 3 } },
      [2, 2, 2]
    ],
    [
      'a union',
      { find: 'rows', filter: { $or: [{ a: 3 }, { tags: 7 }] } },
      {
        stage: 'OR',
        inputStages: [
          { inputStage: { indexName: 'a_1_b_-1' } },
          { inputStage: { indexName: 'tags_1', isMultiKey: true } }
        ]
      },
      [11, 11, 11]
    ],
    [
      'a covered count',
      { count: 'rows', query: { b: { $gte: 90 } } },
      { stage: 'COUNT', inputStage: { stage: 'COUNT_SCAN', indexName: 'b_1' } },
      [0, 10, 0]
    ],
    ['a count of all', { count: 'rows' }, { stage: 'RECORD_STORE_FAST_COUNT' }, [0, 0, 0]],
    [
      'a count that must look',
      { count: 'rows', query: { tags: { $gte: 90 } } },
      { stage: 'COUNT', inputStage: { stage: 'FETCH' } },
      [0, 10, 10]
    ],
    [
      'an update of one',
      { update: 'rows', updates: [{ q: { a: 3 }, u: { $set: { c: 1 } } }] },
      { stage: 'UPDATE', inputStage: { stage: 'FETCH', inputStage: { indexName: 'a_1_b_-1' } } },
      [1, 1, 1]
    ],
    [
      'an update with a hint of its own',
      { update: 'rows', updates: [{ q: { a: 3 }, u: { $set: { c: 1 } }, multi: true, hint: 'b_1' }] },
      { stage: 'UPDATE', inputStage: { inputStage: { indexName: 'b_1' } } },
      [10, 100, 100]
    ],
    [
      'a deletion',
      { delete: 'rows', deletes: [{ q: { b: { $lt: 5 } }, limit: 0 }] },
      { stage: 'DELETE', inputStage: { inputStage: { indexName: 'b_1' } } },
      [5, 5, 5]
    ],
    [
      'findAndModify by its sort',
      { findAndModify: 'rows', query: { a: 3 }, sort: { b: -1 }, update: { $set: { c: 1 } } },
      { stage: 'UPDATE', inputStage: { inputStage: { indexName: 'a_1_b_-1', direction: 'forward' } } },
      [1, 1, 1]
    ],
    [
      'a pipeline',
      { aggregate: 'rows', pipeline: [{ $match: { b: { $gte: 95 } } }, { $group: { _id: '$a' } }], cursor: {} },
      { stage: 'FETCH', inputStage: { indexName: 'b_1' } },
      [5, 5, 5]
    ]
  ]
  for (const [what, command, plan, [returned, keys, documents]] of ways) {
    const { queryPlanner, executionStats: stats } = await told(command)
    t.match(queryPlanner.winningPlan, plan, what)
    t.same([stats.nReturned, stats.totalKeysExamined, stats.totalDocsExamined], [returned, keys, documents], what)
  }
  t.equal(await rows.countDocuments({ c: { $exists: true } }), 0, 'nothing was written')
  t.equal(await rows.countDocuments(), 100, 'nothing was deleted')
  t.match(await db.command({ explain: { find: 'nothing' } }), { queryPlanner: { winningPlan: { stage: 'EOF' } } })
})

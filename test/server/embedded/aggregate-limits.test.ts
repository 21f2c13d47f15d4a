import t from 'tap'
import { compilePipeline, PAUSE } from '../../../server/embedded/aggregate/pipeline.js'
import type { AggregateContext } from '../../../server/embedded/aggregate/pipeline.js'
import { fromPlain } from '../../../server/embedded/bson/document.js'
import { refusal, withStore } from './with-store.js'

const MB = 1024 * 1024

function run(stages: object[], docs: Iterable<Record<string, unknown>>, memoryLimit: number): unknown[] {
  const context: AggregateContext = { now: new Date(0), memoryLimit, random: () => 0.5, foreign: () => [] }
  const pipeline = compilePipeline(
    stages.map((stage) => fromPlain(stage as Record<string, unknown>)),
    context
  )
  function* source() {
    for (const one of docs) yield fromPlain(one)
  }
  return [...pipeline.run(source())].filter((one) => one !== PAUSE)
}

/** Many documents of about a kilobyte. */
function* many(count: number) {
  for (let i = 0; i < count; i++) yield { _id: i, group: i % 5, n: (i * 7919) % count, pad: 'x'.repeat(1_000) }
}

t.test('what a stage holds is counted', async (t) => {
  const whole = '$$ROOT'
  for (const stage of [
    { $group: { _id: '$_id', first: { $first: whole } } },
    { $group: { _id: '$_id', last: { $last: whole } } },
    { $group: { _id: '$_id', max: { $max: whole } } },
    { $group: { _id: '$_id', all: { $mergeObjects: whole } } },
    { $group: { _id: '$_id', all: { $addToSet: whole } } },
    { $group: { _id: null, best: { $topN: { n: 1_900, sortBy: { n: 1 }, output: whole } } } },
    { $group: { _id: null, some: { $firstN: { n: 1_900, input: whole } } } },
    { $group: { _id: '$pad', _: { $sum: 1 } } },
    { $sort: { n: 1 } },
    { $facet: { a: [{ $count: 'n' }] } },
    { $sample: { size: 1_900 } }
  ]) {
    const fits = JSON.stringify(stage).includes('$pad') // one group, whatever the number
    if (fits) t.equal(run([stage], many(2_000), MB).length, 1)
    else t.throws(() => run([stage], many(2_000), MB), { code: 292 }, JSON.stringify(stage))
  }
  t.test('and what it let go is not', async (t) => {
    for (const stage of [
      { $group: { _id: '$group', first: { $first: whole }, last: { $last: whole }, max: { $max: whole } } },
      { $group: { _id: '$group', merged: { $mergeObjects: whole } } },
      { $group: { _id: '$group', best: { $topN: { n: 3, sortBy: { n: 1 }, output: whole } } } },
      { $group: { _id: '$group', worst: { $bottomN: { n: 3, sortBy: { n: 1 }, output: whole } } } },
      { $group: { _id: '$group', some: { $lastN: { n: 3, input: whole } } } },
      { $group: { _id: '$group', some: { $maxN: { n: 3, input: whole } } } }
    ])
      t.equal(run([stage], many(5_000), MB).length, 5, JSON.stringify(stage))
    t.equal(run([{ $sample: { size: 9 } }], many(5_000), MB).length, 9)
  })
  t.test('of a sort only the best, when a limit comes behind, at once or later', async (t) => {
    const stages = [{ $sort: { n: -1 } }, { $set: { m: '$n' } }, { $skip: 1 }, { $project: { m: 1 } }, { $limit: 2 }]
    t.same(
      run(stages, many(5_000), 3 * MB).map((doc) => (doc as Map<string, unknown>).get('m')),
      [4_998, 4_997]
    )
    t.throws(() => run([{ $sort: { n: -1 } }, { $match: {} }, { $limit: 2 }], many(5_000), 3 * MB), { code: 292 })
  })
})

t.test('an expression that grows without end is refused, and the store goes on', { timeout: 60_000 }, async (t) => {
  const { db } = await withStore(t)
  await db.collection<any>('one').insertOne({ _id: 1, x: [1, 2] })
  const twice = (of: string, what: object) => ({ $reduce: { input: { $range: [0, 500] }, initialValue: of, in: what } })
  const grown: [object[], number][] = [
    [[{ $set: { y: twice('abc', { $concat: ['$$value', '$$value'] }) } }], 13548],
    [[{ $set: { y: twice('aba', { $replaceAll: { input: '$$value', find: 'a', replacement: 'aaa' } }) } }], 13548],
    [[{ $set: { y: twice('$x', { $concatArrays: ['$$value', '$$value'] }) } }], 146],
    [[{ $set: { y: twice('$x', ['$$value', '$$value'] as object) } }], 146],
    [[{ $set: { y: { $map: { input: { $range: [0, 9e5] }, in: { $range: [0, 9e5] } } } } }], 146],
    [[{ $set: { y: { $range: [0, 5e6] } } }], 146],
    [[{ $set: { y: { $range: [0, 1.5e6] } } }], 10334],
    [Array.from({ length: 60 }, () => ({ $set: { x: ['$x', '$x'] } })), 10334],
    [[...Array.from({ length: 60 }, () => ({ $set: { x: ['$x', '$x'] } })), { $sort: { x: 1 } }], 292],
    [[...Array.from({ length: 60 }, () => ({ $set: { x: ['$x', '$x'] } })), { $group: { _id: '$x' } }], 10334]
  ]
  for (const [pipeline, code] of grown)
    t.equal(
      (await refusal(db.collection('one').aggregate(pipeline).toArray())).code,
      code,
      JSON.stringify(pipeline.at(-1))
    )
  t.equal((await refusal(db.collection<any>('one').updateOne({ _id: 1 }, [grown[6][0][0]] as any))).code, 10334)
  t.same(await db.collection('one').find().toArray(), [{ _id: 1, x: [1, 2] }])
})

t.test('a result beyond 16 MB is refused', { timeout: 60_000 }, async (t) => {
  const { db } = await withStore(t)
  const rows = db.collection<any>('rows')
  await rows.insertMany(Array.from({ length: 20 }, (_, _id) => ({ _id, pad: 'x'.repeat(MB) })))
  t.equal((await refusal(rows.aggregate([{ $group: { _id: 1, all: { $push: '$pad' } } }]).toArray())).code, 10334)
  t.equal((await refusal(rows.aggregate([{ $facet: { all: [] } }]).toArray())).code, 10334)
  t.equal((await rows.aggregate([{ $sort: { _id: -1 } }]).toArray()).length, 20, 'but not many of a megabyte')
  const more = await rows.aggregate([{ $group: { _id: null, n: { $sum: { $strLenCP: '$pad' } } } }]).toArray()
  t.same(more, [{ _id: null, n: 20 * MB }])
})

t.test('$bucket takes constants of one type', async (t) => {
  const bucket = (boundaries: unknown[], more = {}) =>
    run([{ $bucket: { groupBy: '$n', boundaries, ...more } }], [], MB)
  t.throws(() => bucket([1, '$n']), { code: 40191 })
  t.throws(() => bucket([1, '$$NOW']), { code: 40191 })
  t.throws(() => bucket([1, 'a']), { code: 40193 })
  t.throws(() => bucket([1, 5], { default: { $add: ['$n', 1] } }), { code: 40195 })
  t.same(bucket([{ $add: [0, 1] }, 5, { $literal: 9 }], { default: 'other' }), [])
})

t.test('a pipeline that makes much of little gives others a turn', (t) => {
  const context: AggregateContext = { now: new Date(0), memoryLimit: 200 * MB, random: () => 0.5, foreign: () => [] }
  const one = fromPlain({ _id: 1, x: Array.from({ length: 100_000 }, (_, i) => i) })
  for (const stages of [
    [{ $unwind: '$x' }, { $match: { x: -1 } }],
    [{ $unwind: '$x' }, { $group: { _id: '$x' } }, { $match: { _id: -1 } }],
    [{ $facet: { a: [{ $unwind: '$x' }, { $match: { x: -1 } }] } }]
  ]) {
    const compiled = compilePipeline(stages.map(fromPlain), context)
    let pauses = 0
    for (const doc of compiled.run([one])) if (doc === PAUSE) pauses++
    t.ok(pauses > 2, `${JSON.stringify(stages)}: ${pauses}`)
  }
  t.end()
})

t.test('maxTimeMS ends what takes long, wherever it is', { timeout: 60_000 }, async (t) => {
  const { db } = await withStore(t)
  const rows = db.collection<any>('rows')
  await rows.insertOne({ _id: 0, x: Array.from({ length: 200_000 }, (_, i) => i) })
  const slow = [{ $unwind: '$x' }, { $group: { _id: '$x' } }, { $sort: { _id: 1 } }]
  const range = [
    { $set: { y: { $map: { input: { $range: [0, 200_000] }, in: { $add: ['$$this', 1] } } } } },
    { $unset: 'y' }
  ]
  for (const pipeline of [slow, range, [{ $facet: { a: slow, b: [{ $count: 'n' }] } }], [...slow, { $out: 'other' }]])
    t.equal((await refusal(rows.aggregate(pipeline, { maxTimeMS: 5 }).toArray())).code, 50, JSON.stringify(pipeline))
  t.same(await db.listCollections({ name: /other|tmp/ }).toArray(), [], 'and $out leaves nothing')

  await rows.deleteMany({})
  await rows.insertMany(Array.from({ length: 20_000 }, (_, _id) => ({ _id, a: _id, b: _id, c: 1 })))
  const update = { update: 'rows', updates: [{ q: {}, u: [{ $set: { c: 2 } }], multi: true }], maxTimeMS: 2 }
  t.equal((await refusal(db.command(update))).code, 50)
  t.ok((await rows.countDocuments({ c: 1 })) > 0, 'an update of many stops at it')

  const indexes = [
    { key: { a: 1 }, name: 'a' },
    { key: { b: 1 }, name: 'b' }
  ]
  t.equal((await refusal(db.command({ createIndexes: 'rows', indexes, maxTimeMS: 8 }))).code, 50)
  t.same(
    (await rows.indexes()).map(({ name }) => name),
    ['_id_']
  )
  t.same(await rows.createIndexes(indexes as any), ['a', 'b'], 'and are built when there is time')
  t.equal(await rows.countDocuments({ b: { $gte: 10 } }, { hint: 'b' }), 19_990)
})

t.test('an index that cannot be built takes those asked for with it back', async (t) => {
  const { db } = await withStore(t)
  const rows = db.collection<any>('rows')
  await rows.insertMany([
    { _id: 1, a: 1, b: 1 },
    { _id: 2, a: 1, b: 2 }
  ])
  const indexes = [
    { key: { b: 1 }, name: 'b' },
    { key: { a: 1 }, name: 'a', unique: true },
    { key: { c: 1 }, name: 'c' }
  ]
  t.equal((await refusal(db.command({ createIndexes: 'rows', indexes }))).code, 11000)
  t.same(
    (await rows.indexes()).map(({ name }) => name),
    ['_id_']
  )
  t.match(await db.command({ createIndexes: 'rows', indexes: [indexes[2]] }), {
    numIndexesBefore: 1,
    numIndexesAfter: 2
  })
})

import * as bson from 'bson'
import fc from 'fast-check'
import t from 'tap'
import {
  compilePipeline,
  PAUSE,
  STAGE_NAMES,
  type AggregateContext
} from '../../../server/embedded/aggregate/pipeline.js'
import { decode, decodeFields, encode, fromPlain, toPlain, type Doc } from '../../../server/embedded/bson/document.js'
import { MongoError } from '../../../server/embedded/bson/errors.js'

type Plain = Record<string, unknown>
const now = new Date('2024-03-10T12:00:00Z')

const OTHERS: Record<string, Plain[]> = {
  people: [
    { _id: 1, name: 'ann', tags: ['x', 'y'], age: 30 },
    { _id: 2, name: 'bob', tags: ['y'], age: 40 },
    { _id: 3, name: null, age: 50 }
  ]
}

function context(limit = 100 * 1024 * 1024): AggregateContext & { asked: unknown[] } {
  const asked: unknown[] = []
  return {
    now,
    asked,
    memoryLimit: limit,
    random: () => 0.5,
    *foreign(collection, filter) {
      asked.push(filter.node)
      for (const one of OTHERS[collection] ?? []) {
        yield PAUSE
        const doc = fromPlain(one)
        if (filter.test(doc)) yield doc
      }
    }
  }
}

function* source(docs: Plain[], fields?: ReadonlySet<string>) {
  for (const one of docs) {
    yield PAUSE
    const raw = encode(fromPlain(one))
    yield fields === undefined ? decode(raw) : decodeFields(raw, fields)
  }
}

function run(stages: Plain[], docs: Plain[], using = context()): Plain[] {
  const pipeline = compilePipeline(stages.map(fromPlain), using)
  const collect = (fields?: ReadonlySet<string>) =>
    [...pipeline.run(source(docs, fields))].filter((one): one is Doc => one !== PAUSE)
  const results = collect()
  if (pipeline.fields !== undefined) {
    // reading only the fields the pipeline says it needs must change nothing
    const partial = collect(pipeline.fields)
    if (JSON.stringify(partial.map(toPlain)) !== JSON.stringify(results.map(toPlain)))
      throw new Error('fields is wrong')
  }
  return results.map(toPlain)
}

const rows: Plain[] = [
  { _id: 1, k: 'a', n: 1, l: [1, 2] },
  { _id: 2, k: 'b', n: 5, l: [] },
  { _id: 3, k: 'a', n: 3 },
  { _id: 4, n: 10, l: 7 },
  { _id: 5, k: 'b', n: 2, l: null }
]

const CASES: [string, Plain[], Plain[], Plain[]?][] = [
  [
    '$match',
    [{ $match: { n: { $gte: 5 } } }, { $project: { n: 1 } }],
    [
      { _id: 2, n: 5 },
      { _id: 4, n: 10 }
    ]
  ],
  [
    '$sort, $skip, $limit',
    [{ $sort: { n: -1 } }, { $skip: 1 }, { $limit: 2 }, { $project: { n: 1, _id: 0 } }],
    [{ n: 5 }, { n: 3 }]
  ],
  [
    '$sort by two, missing first',
    [{ $sort: { k: 1, n: -1 } }, { $project: { _id: 1 } }],
    [{ _id: 4 }, { _id: 3 }, { _id: 1 }, { _id: 2 }, { _id: 5 }]
  ],
  [
    '$project computed and dropped',
    [{ $limit: 1 }, { $project: { l: 0, k: 0 } }, { $addFields: { 'm.x': { $add: ['$n', 1] } } }],
    [{ _id: 1, n: 1, m: { x: 2 } }]
  ],
  ['$set, $unset', [{ $limit: 1 }, { $set: { n: '$$REMOVE', z: 1 } }, { $unset: ['l', 'k'] }], [{ _id: 1, z: 1 }]],
  [
    '$addFields through arrays',
    [{ $addFields: { 'a.b': 1 } }],
    [{ a: [{ b: 1 }, { c: 2, b: 1 }] }],
    [{ a: [5, { c: 2 }] }]
  ],
  ['$replaceRoot', [{ $replaceRoot: { newRoot: '$d' } }], [{ x: 1 }], [{ d: { x: 1 } }]],
  ['$count', [{ $match: { k: 'a' } }, { $count: 'total' }], [{ total: 2 }]],
  ['$count of nothing', [{ $match: { k: 'zz' } }, { $count: 'total' }], []],
  [
    '$group with its accumulators',
    [
      { $sort: { _id: 1 } },
      {
        $group: {
          _id: '$k',
          sum: { $sum: '$n' },
          avg: { $avg: '$n' },
          min: { $min: '$n' },
          max: { $max: '$n' },
          first: { $first: '$n' },
          last: { $last: '$n' },
          all: { $push: '$n' },
          n: { $count: {} }
        }
      },
      { $sort: { _id: 1 } }
    ],
    [
      { _id: null, sum: 10, avg: 10, min: 10, max: 10, first: 10, last: 10, all: [10], n: 1 },
      { _id: 'a', sum: 4, avg: 2, min: 1, max: 3, first: 1, last: 3, all: [1, 3], n: 2 },
      { _id: 'b', sum: 7, avg: 3.5, min: 2, max: 5, first: 5, last: 2, all: [5, 2], n: 2 }
    ]
  ],
  [
    '$group all into one',
    [{ $group: { _id: null, n: { $sum: 1 }, set: { $addToSet: '$k' } } }],
    [{ _id: null, n: 5, set: ['a', 'b'] }]
  ],
  [
    '$group by equal numbers of different types',
    [{ $group: { _id: '$n', c: { $sum: 1 } } }],
    [{ _id: 1, c: 3 }],
    [{ n: 1 }, { n: bson.Long.fromNumber(1) }, { n: bson.Decimal128.fromString('1.0') }]
  ],
  [
    '$group by a document',
    [{ $group: { _id: { k: '$k', big: { $gt: ['$n', 4] } }, c: { $sum: 1 } } }, { $sort: { c: -1 } }, { $limit: 1 }],
    [{ _id: { k: 'a', big: false }, c: 2 }]
  ],
  [
    '$group with $top and $maxN',
    [
      {
        $group: {
          _id: null,
          top: { $top: { sortBy: { n: -1 }, output: '$_id' } },
          best: { $maxN: { input: '$n', n: 2 } }
        }
      }
    ],
    [{ _id: null, top: 4, best: [10, 5] }]
  ],
  [
    '$group with $stdDevPop and $mergeObjects',
    [{ $match: { k: 'a' } }, { $group: { _id: 1, d: { $stdDevPop: '$n' }, m: { $mergeObjects: { n: '$n' } } } }],
    [{ _id: 1, d: 1, m: { n: 3 } }]
  ],
  [
    '$unwind',
    [{ $match: { _id: { $lte: 4 } } }, { $unwind: '$l' }, { $project: { l: 1 } }],
    [
      { _id: 1, l: 1 },
      { _id: 1, l: 2 },
      { _id: 4, l: 7 }
    ]
  ],
  [
    '$unwind keeping empties, with positions',
    [
      { $unwind: { path: '$l', preserveNullAndEmptyArrays: true, includeArrayIndex: 'i' } },
      { $project: { l: 1, i: 1 } }
    ],
    [
      { _id: 1, l: 1, i: 0 },
      { _id: 1, l: 2, i: 1 },
      { _id: 2, i: null },
      { _id: 3, i: null },
      { _id: 4, l: 7, i: null },
      { _id: 5, l: null, i: null }
    ]
  ],
  [
    '$sortByCount',
    [{ $match: { k: { $exists: true } } }, { $sortByCount: '$k' }],
    [
      { _id: 'a', count: 2 },
      { _id: 'b', count: 2 }
    ]
  ],
  [
    '$bucket, upper bounds open',
    [{ $bucket: { groupBy: '$n', boundaries: [1, 3, 10], default: 'other' } }],
    [
      { _id: 1, count: 2 },
      { _id: 3, count: 2 },
      { _id: 'other', count: 1 }
    ]
  ],
  [
    '$bucket with output',
    [{ $bucket: { groupBy: '$n', boundaries: [0, 100], output: { s: { $sum: '$n' } } } }],
    [{ _id: 0, s: 21 }]
  ],
  [
    '$facet',
    [{ $facet: { a: [{ $count: 'n' }], b: [{ $match: { k: 'b' } }, { $project: { _id: 1 } }] } }],
    [{ a: [{ n: 5 }], b: [{ _id: 2 }, { _id: 5 }] }]
  ],
  [
    '$lookup by a field',
    [
      { $match: { _id: { $lte: 2 } } },
      { $project: { p: '$_id' } },
      { $lookup: { from: 'people', localField: 'p', foreignField: '_id', as: 'who.is' } },
      { $project: { 'who.is.name': 1 } }
    ],
    [
      { _id: 1, who: { is: [{ name: 'ann' }] } },
      { _id: 2, who: { is: [{ name: 'bob' }] } }
    ]
  ],
  [
    '$lookup by an array, and by missing',
    [
      { $lookup: { from: 'people', localField: 'x', foreignField: 'name', as: 'p' } },
      { $project: { p: '$p._id', _id: 0 } }
    ],
    [{ p: [1, 2] }, { p: [3] }],
    [{ x: ['ann', 'bob'] }, {}]
  ],
  [
    '$lookup into an array field',
    [{ $lookup: { from: 'people', localField: 'x', foreignField: 'tags', as: 'p' } }, { $project: { p: '$p._id' } }],
    [{ p: [1, 2] }],
    [{ x: 'y' }]
  ],
  [
    '$lookup by a pipeline with let',
    [
      { $limit: 1 },
      {
        $lookup: {
          from: 'people',
          let: { limit: 35 },
          pipeline: [{ $match: { $expr: { $gt: ['$age', '$$limit'] } } }, { $project: { _id: 1 } }],
          as: 'p'
        }
      },
      { $project: { p: 1 } }
    ],
    [{ _id: 1, p: [{ _id: 2 }, { _id: 3 }] }]
  ],
  [
    '$lookup by a field and a pipeline',
    [
      {
        $lookup: {
          from: 'people',
          localField: 'x',
          foreignField: 'tags',
          let: { m: '$max' },
          pipeline: [{ $match: { $expr: { $lt: ['$age', '$$m'] } } }, { $project: { _id: 1 } }],
          as: 'p'
        }
      }
    ],
    [{ x: 'y', max: 35, p: [{ _id: 1 }] }],
    [{ x: 'y', max: 35 }]
  ],
  [
    '$lookup into nothing',
    [
      { $limit: 1 },
      { $project: { _id: 1 } },
      { $lookup: { from: 'none', localField: '_id', foreignField: 'x', as: 'p' } }
    ],
    [{ _id: 1, p: [] }]
  ],
  [
    '$unionWith',
    [
      { $match: { _id: 1 } },
      { $project: { _id: 1 } },
      { $unionWith: { coll: 'people', pipeline: [{ $match: { age: { $gt: 35 } } }, { $project: { name: 1 } }] } }
    ],
    [{ _id: 1 }, { _id: 2, name: 'bob' }, { _id: 3, name: null }]
  ],
  [
    '$$NOW and dates',
    [
      { $limit: 1 },
      { $replaceWith: { day: { $dateTrunc: { date: '$$NOW', unit: 'day', timezone: 'Asia/Shanghai' } } } }
    ],
    [{ day: new Date('2024-03-09T16:00:00Z') }]
  ]
]

const FAILS: [number, Plain[], Plain[]?][] = [
  [40324, [{ $foo: {} }]],
  [40324, [{ $setWindowFields: {} }]],
  [40323, [{ $match: {}, $limit: 1 }]],
  [40323, [{}]],
  [15959, [{ $match: 1 }]],
  [2, [{ $match: { $where: 'x' } }]],
  [15958, [{ $limit: 0 }]],
  [5107201, [{ $limit: 'x' }]],
  [5107200, [{ $skip: -1 }]],
  [15976, [{ $sort: {} }]],
  [15975, [{ $sort: { a: 2 } }]],
  [15955, [{ $group: { a: { $sum: 1 } } }]],
  [15952, [{ $group: { _id: 1, a: { $foo: 1 } } }]],
  [40234, [{ $group: { _id: 1, a: 1 } }]],
  [40235, [{ $group: { _id: 1, 'a.b': { $sum: 1 } } }]],
  [28818, [{ $unwind: 'a' }]],
  [28812, [{ $unwind: {} }]],
  [40157, [{ $count: '' }]],
  [28745, [{ $sample: 1 }]],
  [28749, [{ $sample: {} }]],
  [28747, [{ $sample: { size: -1 } }]],
  [40198, [{ $bucket: {} }]],
  [40194, [{ $bucket: { groupBy: '$a', boundaries: [2, 1] } }]],
  [40066, [{ $bucket: { groupBy: '$n', boundaries: [2, 3] } }]],
  [40600, [{ $facet: { a: [{ $facet: { b: [] } }] } }]],
  [9, [{ $lookup: { from: 'x' } }]],
  [9, [{ $lookup: { from: 'x', as: 'y' } }]],
  [40324, [{ $lookup: { from: 'x', as: 'y', pipeline: [{ $foo: 1 }] } }]],
  [51272, [{ $project: {} }]],
  [31254, [{ $project: { a: 1, b: 0 } }]],
  [40228, [{ $replaceWith: '$n' }]],
  [40601, [{ $out: 'x' }, { $match: {} }]],
  [51178, [{ $merge: { into: 5 } }]],
  [9, [{ $merge: { into: 'x', whenMatched: 'explode' } }]]
]

t.test('a pipeline', async (t) => {
  for (const [what, stages, wanted, docs] of CASES) t.strictSame(run(stages, docs ?? rows), wanted, what)
  for (const [code, stages, docs] of FAILS)
    t.throws(() => run(stages, docs ?? rows), { code }, `${code} ${JSON.stringify(stages)}`)

  t.test('hands pauses on from its source', async (t) => {
    const pipeline = compilePipeline(
      [{ $sort: { n: 1 } }, { $group: { _id: '$k', n: { $sum: 1 } } }].map(fromPlain),
      context()
    )
    t.ok([...pipeline.run(source(rows))].filter((one) => one === PAUSE).length >= rows.length)
  })
  t.test('stops reading when a limit is met', async (t) => {
    let read = 0
    function* endless() {
      for (;;) yield fromPlain({ n: read++ })
    }
    const results = compilePipeline([{ $match: {} }, { $limit: 3 }].map(fromPlain), context()).run(endless())
    t.equal([...results].filter((one) => one !== PAUSE).length, 3)
    t.equal(read, 3)
  })
  t.test('holds only the best of a limited sort', async (t) => {
    const many = Array.from({ length: 5000 }, (_, i) => ({ _id: i, n: (i * 7919) % 5000, pad: 'x'.repeat(100) }))
    const tight = context(600_000)
    t.same(run([{ $sort: { n: 1 } }, { $skip: 1 }, { $limit: 2 }, { $project: { n: 1, _id: 0 } }], many, tight), [
      { n: 1 },
      { n: 2 }
    ])
    t.throws(() => run([{ $sort: { n: 1 } }], many, tight), { code: 292 })
    t.throws(() => run([{ $group: { _id: '$_id', all: { $push: '$$ROOT' } } }], many, tight), { code: 292 })
    t.throws(() => run([{ $facet: { a: [] } }], many, tight), { code: 292 })
  })
  t.test('asks for joined documents by a filter an index can serve', async (t) => {
    const using = context()
    run(
      [
        { $limit: 1 },
        {
          $lookup: {
            from: 'people',
            localField: '_id',
            foreignField: '_id',
            pipeline: [{ $match: { age: 30 } }],
            as: 'p'
          }
        }
      ],
      rows,
      using
    )
    t.same(using.asked[0], {
      op: 'and',
      children: [
        { op: 'cmp', path: '_id', cmp: '$eq', value: 1 },
        { op: 'cmp', path: 'age', cmp: '$eq', value: 30 }
      ]
    })
  })
  t.test('runs an uncorrelated lookup once', async (t) => {
    const using = context()
    const pipeline = compilePipeline([fromPlain({ $lookup: { from: 'people', pipeline: [], as: 'p' } })], using)
    t.equal([...pipeline.run(rows.map(fromPlain))].filter((one) => one !== PAUSE).length, 5)
    t.equal(using.asked.length, 1)
  })
  t.test('says which fields it reads, when it can', async (t) => {
    const fields = (...stages: Plain[]) => {
      const found = compilePipeline(stages.map(fromPlain), context()).fields
      return found === undefined ? undefined : [...found].sort()
    }
    t.same(
      fields({ $match: { 'a.b': 1, $or: [{ c: 1 }] } }, { $group: { _id: '$d.e', n: { $sum: { $add: ['$f', 1] } } } }),
      ['a', 'c', 'd', 'f']
    )
    t.same(fields({ $match: { a: 1 } }), undefined)
    t.same(fields({ $group: { _id: null, all: { $push: '$$ROOT' } } }), undefined)
    t.same(fields({ $count: 'n' }), [])
    t.same(fields({ $project: { a: 1, b: '$c.d' } }), ['_id', 'a', 'b', 'c'])
    t.same(fields({ $project: { a: 0 } }), undefined)
  })
  t.test('samples without repetition and gives $out and $merge to its caller', async (t) => {
    t.equal(new Set(run([{ $sample: { size: 3 } }], rows).map(({ _id }) => _id)).size, 3)
    t.same(compilePipeline([fromPlain({ $out: { db: 'd', coll: 'c' } })], context()).tail, {
      stage: '$out',
      db: 'd',
      collection: 'c'
    })
    t.match(compilePipeline([fromPlain({ $merge: 'c' })], context()).tail, {
      stage: '$merge',
      collection: 'c',
      on: ['_id'],
      whenMatched: 'merge',
      whenNotMatched: 'insert'
    })
  })
  t.test('of any shape runs or is refused by a MongoError', async () => {
    const leaf = fc.constantFrom<unknown>(
      1,
      0,
      -1,
      'a',
      '$k',
      '$n',
      null,
      [],
      {},
      { _id: '$k' },
      { path: '$l' },
      { size: 2 },
      { n: 1 },
      { n: -1 },
      { from: 'people', as: 'p', localField: 'n', foreignField: '_id' },
      { groupBy: '$n', boundaries: [0, 5] },
      { a: [{ $match: {} }] },
      'people',
      true
    )
    const stage = fc
      .tuple(
        fc.constantFrom(...STAGE_NAMES, '$bad', '$bucketAuto', '$graphLookup'),
        fc.oneof(
          leaf,
          fc.dictionary(fc.constantFrom('_id', 'n', 'k', 'x.y', 'newRoot', 'coll', 'pipeline'), leaf, { maxKeys: 2 })
        )
      )
      .map(([name, spec]) => ({ [name]: spec }))
    fc.assert(
      fc.property(fc.array(stage, { minLength: 1, maxLength: 3 }), (stages) => {
        try {
          run(stages as Plain[], rows)
        } catch (error) {
          if (!(error instanceof MongoError)) throw error
        }
      }),
      { numRuns: 2000 }
    )
  })
})

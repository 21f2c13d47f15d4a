import * as bson from 'bson'
import fc from 'fast-check'
import t from 'tap'
import { compileExpression, evaluateLet, EXPRESSION_OPERATORS } from '../../../server/embedded/aggregate/expressions.js'
import { varsOf } from '../../../server/embedded/aggregate/scope.js'
import { fromPlain, valueFromPlain, valueToPlain } from '../../../server/embedded/bson/document.js'
import { MongoError } from '../../../server/embedded/bson/errors.js'
import { compileFilter } from '../../../server/embedded/bson/match.js'
import { typeName, type Value } from '../../../server/embedded/bson/value.js'

type Plain = Record<string, unknown>
const now = new Date('2024-03-10T12:34:56.789Z')

function raw(spec: unknown, one: Plain = {}): Value | undefined {
  const vars = varsOf({ now, let: fromPlain({ outer: { x: 7 } }) })
  return compileExpression(valueFromPlain(spec), vars)({ root: fromPlain(one), vars })
}
const evaluate = (spec: unknown, one?: Plain) => valueToPlain(raw(spec, one))
const dec = (text: string) => bson.Decimal128.fromString(text)
const long = (n: number) => bson.Long.fromNumber(n)
const id = new bson.ObjectId('65ed9c000000000000000000')
const at = (text: string) => new Date(text)

const CASES: [unknown, unknown, Plain?][] = [
  ['$a.b', 1, { a: { b: 1 } }],
  ['$a.b', [1, 2], { a: [{ b: 1 }, 5, { b: 2 }, {}] }],
  ['$a.0', [], { a: [1] }],
  ['$missing', undefined],
  ['$$ROOT.a', 1, { a: 1 }],
  ['$$CURRENT', { a: 1 }, { a: 1 }],
  ['$$outer.x', 7],
  ['$$NOW', now],
  ['text', 'text'],
  [{ $literal: '$a' }, '$a'],
  [{ a: '$x', b: { c: '$y' }, d: '$$REMOVE' }, { a: 1, b: {} }, { x: 1 }],
  [['$x', '$y'], [1, null], { x: 1 }],
  [{ $add: [1, 2, 3.5] }, 6.5],
  [{ $add: ['$x', 1] }, null],
  [{ $add: [2147483647, 1] }, 2147483648],
  [{ $add: [dec('0.1'), 0.2] }, dec('0.3')],
  [{ $add: [now, 1000] }, new Date(now.getTime() + 1000)],
  [{ $subtract: [5, 7] }, -2],
  [{ $subtract: [now, 1000] }, new Date(now.getTime() - 1000)],
  [{ $subtract: [now, new Date(now.getTime() - 5)] }, 5],
  [{ $multiply: [2, 3, 4] }, 24],
  [{ $multiply: [] }, 1],
  [{ $divide: [7, 2] }, 3.5],
  [{ $divide: [dec('1'), 8] }, dec('0.125')],
  [{ $mod: [-7, 3] }, -1],
  [{ $mod: [5.5, 2] }, 1.5],
  [{ $abs: -5 }, 5],
  [{ $ceil: 1.2 }, 2],
  [{ $floor: -1.2 }, -2],
  [{ $round: 2.5 }, 2],
  [{ $round: [1.255, 2] }, 1.26],
  [{ $round: [155, -1] }, 160],
  [{ $trunc: -1.9 }, -1],
  [{ $trunc: [1.299, 2] }, 1.29],
  [{ $sqrt: 9 }, 3],
  [{ $pow: [2, 10] }, 1024],
  [{ $log: [8, 2] }, 3],
  [{ $log10: 1000 }, 3],
  [{ $min: [3, 1, null] }, 1],
  [{ $max: '$a' }, 'x', { a: [1, 'x', null] }],
  [{ $sum: '$a' }, 6, { a: [1, 'x', 5] }],
  [{ $avg: [1, 2, 'x'] }, 1.5],
  [{ $avg: ['x'] }, null],
  [{ $eq: [1, long(1)] }, true],
  [{ $eq: ['$x', null] }, false],
  [{ $lt: ['$x', null] }, true],
  [{ $gt: ['a', 1] }, true],
  [{ $cmp: [1, 2] }, -1],
  [{ $and: [1, 'x', true] }, true],
  [{ $and: [] }, true],
  [{ $or: [0, null] }, false],
  [{ $not: [0] }, true],
  [{ $cond: [{ $gt: ['$a', 1] }, 'y', 'n'] }, 'y', { a: 2 }],
  [{ $cond: { if: false, then: 1, else: 2 } }, 2],
  [{ $ifNull: ['$a', null, 3] }, 3],
  [
    {
      $switch: {
        branches: [
          { case: false, then: 1 },
          { case: true, then: 2 }
        ],
        default: 3
      }
    },
    2
  ],
  [{ $let: { vars: { a: 2, b: '$x' }, in: { $multiply: ['$$a', '$$b'] } } }, 6, { x: 3 }],
  [{ $size: '$a' }, 2, { a: [1, 2] }],
  [{ $in: [2, [1, long(2)]] }, true],
  [{ $isArray: '$a' }, true, { a: [] }],
  [{ $map: { input: [1, 2], as: 'n', in: { $add: ['$$n', '$x'] } } }, [11, 12], { x: 10 }],
  [{ $filter: { input: [1, 2, 3, 4], cond: { $gt: ['$$this', 1] }, limit: 2 } }, [2, 3]],
  [{ $reduce: { input: ['a', 'b'], initialValue: '', in: { $concat: ['$$value', '$$this'] } } }, 'ab'],
  [{ $arrayElemAt: [[1, 2, 3], -1] }, 3],
  [{ $arrayElemAt: [[1], 5] }, undefined],
  [{ $first: '$a' }, 1, { a: [1, 2] }],
  [{ $last: '$a' }, 2, { a: [1, 2] }],
  [{ $slice: [[1, 2, 3], 2] }, [1, 2]],
  [{ $slice: [[1, 2, 3], -2] }, [2, 3]],
  [{ $slice: [[1, 2, 3, 4], 1, 2] }, [2, 3]],
  [{ $concatArrays: [[1], [2]] }, [1, 2]],
  [{ $concatArrays: [[1], '$x'] }, null],
  [{ $reverseArray: [[1, 2]] }, [2, 1]],
  [{ $sortArray: { input: [{ a: 2 }, { a: 1 }], sortBy: { a: 1 } } }, [{ a: 1 }, { a: 2 }]],
  [{ $sortArray: { input: [1, 3, 2], sortBy: -1 } }, [3, 2, 1]],
  [{ $range: [0, 6, 2] }, [0, 2, 4]],
  [
    { $zip: { inputs: [[1, 2], [3]], useLongestLength: true, defaults: [0, 9] } },
    [
      [1, 3],
      [2, 9]
    ]
  ],
  [{ $indexOfArray: [['a', 'b'], 'b'] }, 1],
  [{ $firstN: { input: [1, 2, 3], n: 2 } }, [1, 2]],
  [{ $maxN: { input: [1, 3, null, 2], n: 2 } }, [3, 2]],
  [
    {
      $setUnion: [
        [2, 1],
        [1.0, 3]
      ]
    },
    [1, 2, 3]
  ],
  [
    {
      $setIntersection: [
        [1, 2, 2],
        [2, 3]
      ]
    },
    [2]
  ],
  [{ $setDifference: [[1, 2, 2, 3], [3]] }, [1, 2]],
  [
    {
      $setEquals: [
        [1, 2],
        [2, 1, 1]
      ]
    },
    true
  ],
  [{ $setIsSubset: [[1], [1, 2]] }, true],
  [{ $allElementsTrue: [[1, true]] }, true],
  [{ $anyElementTrue: [[0, null]] }, false],
  [{ $concat: ['a', 'b'] }, 'ab'],
  [{ $concat: ['a', null] }, null],
  [{ $toUpper: 'aé' }, 'Aé'],
  [{ $toLower: '$x' }, ''],
  [{ $substrCP: ['鸿雁传书', 1, 2] }, '雁传'],
  [{ $substrBytes: ['abc', 1, -1] }, 'bc'],
  [{ $strLenCP: '😀a' }, 2],
  [{ $strLenBytes: '文' }, 3],
  [{ $split: ['a-b-c', '-'] }, ['a', 'b', 'c']],
  [{ $indexOfCP: ['文字a', 'a'] }, 2],
  [{ $indexOfBytes: ['文a', 'a'] }, 3],
  [{ $trim: { input: '  a\n' } }, 'a'],
  [{ $ltrim: { input: 'xxa', chars: 'x' } }, 'a'],
  [{ $replaceAll: { input: 'a.a', find: 'a', replacement: { $literal: '$&' } } }, '$&.$&'],
  [{ $replaceOne: { input: 'aa', find: 'a', replacement: 'b' } }, 'ba'],
  [{ $regexMatch: { input: 'Abc', regex: /^a/i } }, true],
  [{ $regexFind: { input: '文b1', regex: '([a-z])(\\d)' } }, { match: 'b1', idx: 1, captures: ['b', '1'] }],
  [
    { $regexFindAll: { input: 'a1b2', regex: '\\d' } },
    [
      { match: '1', idx: 1, captures: [] },
      { match: '2', idx: 3, captures: [] }
    ]
  ],
  [{ $strcasecmp: ['a', 'B'] }, -1],
  [{ $toString: 1.5 }, '1.5'],
  [{ $toString: now }, '2024-03-10T12:34:56.789Z'],
  [{ $toString: id }, id.toHexString()],
  [{ $toInt: '42' }, 42],
  [{ $toInt: -1.9 }, -1],
  [{ $toLong: now }, now.getTime()],
  [{ $toDouble: '1e3' }, 1000],
  [{ $toDecimal: 0.1 }, dec('0.100000000000000')],
  [{ $toBool: 'false' }, true],
  [{ $toDate: long(5) }, new Date(5)],
  [{ $toDate: '2024-01-31T08:00:00+08:00' }, at('2024-01-31T00:00:00Z')],
  [{ $toDate: id }, id.getTimestamp()],
  [{ $toObjectId: id.toHexString() }, id],
  [{ $toInt: null }, null],
  [{ $convert: { input: 'x', to: 'int', onError: 'bad' } }, 'bad'],
  [{ $convert: { input: null, to: 'int', onNull: 0 } }, 0],
  [{ $type: '$x' }, 'missing'],
  [{ $type: long(1) }, 'long'],
  [{ $isNumber: dec('1') }, true],
  [{ $mergeObjects: [{ a: 1, b: 1 }, null, { b: 2 }] }, { a: 1, b: 2 }],
  [
    { $objectToArray: { b: 1, a: 2 } },
    [
      { k: 'b', v: 1 },
      { k: 'a', v: 2 }
    ]
  ],
  [
    {
      $arrayToObject: [
        [
          ['a', 1],
          ['b', 2]
        ]
      ]
    },
    { a: 1, b: 2 }
  ],
  [{ $arrayToObject: '$l' }, { a: 1 }, { l: [{ k: 'a', v: 1 }] }],
  [{ $getField: 'a.b' }, 3, { 'a.b': 3 }],
  [{ $getField: { field: { $literal: '$x' }, input: '$o' } }, 4, { o: { $x: 4 } }],
  [{ $setField: { field: 'a', input: '$$ROOT', value: 2 } }, { a: 2 }, { a: 1 }],
  [{ $unsetField: { field: 'a', input: '$$ROOT' } }, { b: 1 }, { a: 1, b: 1 }],
  [{ $bsonSize: { a: 1 } }, 12],
  [{ $binarySize: '文' }, 3],
  // dates: New York springs forward 2024-03-10T07:00Z and falls back 2024-11-03T06:00Z; Shanghai is +08 all year
  [{ $hour: now }, 12],
  [{ $hour: { date: now, timezone: 'America/New_York' } }, 8],
  [{ $dayOfWeek: now }, 1],
  [{ $isoDayOfWeek: now }, 7],
  [{ $dayOfYear: now }, 70],
  [{ $isoWeek: at('2021-01-03T00:00:00Z') }, 53],
  [{ $isoWeekYear: at('2021-01-03T00:00:00Z') }, 2020],
  [{ $week: at('2024-01-07T00:00:00Z') }, 1],
  [{ $dateToString: { date: now } }, '2024-03-10T12:34:56.789Z'],
  [
    { $dateToString: { date: at('2024-03-10T20:00:00Z'), format: '%Y-%m-%d %H:%M %z', timezone: 'Asia/Shanghai' } },
    '2024-03-11 04:00 +0800'
  ],
  [{ $dateToString: { date: '$x', onNull: 'none' } }, 'none'],
  [{ $dateToString: { date: now, format: '%G-W%V-%u %j %L %%' } }, '2024-W10-7 070 789 %'],
  [{ $dateFromString: { dateString: '2024-03-10 08:00', timezone: 'Asia/Shanghai' } }, at('2024-03-10T00:00:00Z')],
  [{ $dateFromString: { dateString: '10/03/2024', format: '%d/%m/%Y' } }, at('2024-03-10T00:00:00Z')],
  [{ $dateFromString: { dateString: 'x', onError: 'bad' } }, 'bad'],
  [{ $dateFromParts: { year: 2024, month: 14, day: 1, timezone: '+08:00' } }, at('2025-01-31T16:00:00Z')],
  [{ $dateFromParts: { isoWeekYear: 2024, isoWeek: 10, isoDayOfWeek: 7 } }, at('2024-03-10T00:00:00Z')],
  [
    { $dateToParts: { date: now, timezone: 'Asia/Shanghai' } },
    { year: 2024, month: 3, day: 10, hour: 20, minute: 34, second: 56, millisecond: 789 }
  ],
  [{ $dateTrunc: { date: now, unit: 'day', timezone: 'Asia/Shanghai' } }, at('2024-03-09T16:00:00Z')],
  [
    { $dateTrunc: { date: at('2024-03-10T20:00:00Z'), unit: 'day', timezone: 'America/New_York' } },
    at('2024-03-10T05:00:00Z')
  ],
  [{ $dateTrunc: { date: now, unit: 'week' } }, at('2024-03-10T00:00:00Z')],
  [{ $dateTrunc: { date: now, unit: 'week', startOfWeek: 'monday' } }, at('2024-03-04T00:00:00Z')],
  [{ $dateTrunc: { date: now, unit: 'month' } }, at('2024-03-01T00:00:00Z')],
  [{ $dateTrunc: { date: now, unit: 'quarter' } }, at('2024-01-01T00:00:00Z')],
  [{ $dateTrunc: { date: now, unit: 'minute', binSize: 15 } }, at('2024-03-10T12:30:00Z')],
  [{ $dateTrunc: { date: now, unit: 'hour', timezone: 'Asia/Kolkata' } }, at('2024-03-10T12:30:00Z')],
  [
    { $dateAdd: { startDate: at('2024-03-09T12:00:00Z'), unit: 'day', amount: 1, timezone: 'America/New_York' } },
    at('2024-03-10T11:00:00Z')
  ],
  [
    { $dateAdd: { startDate: at('2024-03-09T12:00:00Z'), unit: 'hour', amount: 24, timezone: 'America/New_York' } },
    at('2024-03-10T12:00:00Z')
  ],
  [
    { $dateAdd: { startDate: at('2024-03-09T07:30:00Z'), unit: 'day', amount: 1, timezone: 'America/New_York' } },
    at('2024-03-10T07:30:00Z')
  ],
  [{ $dateAdd: { startDate: at('2024-01-31T00:00:00Z'), unit: 'month', amount: 1 } }, at('2024-02-29T00:00:00Z')],
  [
    { $dateSubtract: { startDate: at('2024-11-04T05:00:00Z'), unit: 'day', amount: 1, timezone: 'America/New_York' } },
    at('2024-11-03T04:00:00Z')
  ],
  [
    {
      $dateDiff: {
        startDate: at('2024-03-09T15:59:00Z'),
        endDate: at('2024-03-09T16:01:00Z'),
        unit: 'day',
        timezone: 'Asia/Shanghai'
      }
    },
    1
  ],
  [{ $dateDiff: { startDate: at('2023-12-31T23:00:00Z'), endDate: at('2024-01-01T01:00:00Z'), unit: 'year' } }, 1],
  [
    {
      $dateDiff: {
        startDate: at('2024-03-10T05:00:00Z'),
        endDate: at('2024-03-11T04:00:00Z'),
        unit: 'hour',
        timezone: 'America/New_York'
      }
    },
    23
  ],
  [{ $dateDiff: { startDate: at('2024-03-09T00:00:00Z'), endDate: at('2024-03-10T00:00:00Z'), unit: 'week' } }, 1],
  [{ $tsSecond: '$s' }, 9, { s: new bson.Timestamp({ t: 9, i: 1 }) }]
]

const FAILS: [number, unknown, Plain?][] = [
  [168, { $foo: 1 }],
  [168, { $function: {} }],
  [15983, { $add: [1], $sum: 1 }],
  [16020, { $subtract: [1] }],
  [17276, '$$nothing'],
  [16872, '$'],
  [15998, '$a..b'],
  [14, { $add: ['x', 1] }],
  [14, { $subtract: ['x', 1] }],
  [14, { $multiply: ['x'] }],
  [2, { $divide: [1, 0] }],
  [16610, { $mod: [1, 0] }],
  [28765, { $abs: 'x' }],
  [28714, { $sqrt: -1 }],
  [17124, { $size: '$a' }, { a: 1 }],
  [40081, { $in: [1, 2] }],
  [28689, { $arrayElemAt: [1, 0] }],
  [16702, { $concat: [1] }],
  [241, { $toInt: 'x' }],
  [241, { $toInt: 1e10 }],
  [241, { $toObjectId: 'x' }],
  [241, { $toDate: 'x' }],
  [40485, { $hour: { date: now, timezone: 'Nowhere/Else' } }],
  [9, { $dateTrunc: { date: now, unit: 'eon' } }],
  [9, { $dateTrunc: { date: now, unit: 'day', other: 1 } }],
  [9, { $dateAdd: { startDate: now, unit: 'day' } }],
  [16006, { $hour: 'x' }],
  [18536, { $dateToString: { date: now, format: '%q' } }],
  [40066, { $switch: { branches: [{ case: false, then: 1 }] } }],
  [17081, { $cond: { if: 1, else: 2 } }],
  [40400, { $mergeObjects: [1] }],
  [146, { $range: [0, 2147483647] }],
  [16410, { a: { b: 1, $c: 2 } }]
]

t.test('an expression', async (t) => {
  for (const [spec, wanted, one] of CASES) t.strictSame(evaluate(spec, one), wanted, JSON.stringify(spec))
  for (const [code, spec, one] of FAILS) t.throws(() => raw(spec, one), { code }, `${code} ${JSON.stringify(spec)}`)

  t.test('keeps number types as MongoDB does', async (t) => {
    const type = (spec: unknown) => typeName(raw(spec))
    t.same(
      [
        { $add: [1, 2] },
        { $add: [1, long(2)] },
        { $add: [1, 2.5] },
        { $add: [long(1), 2.5] },
        { $add: [1, dec('1')] }
      ].map(type),
      ['int', 'long', 'double', 'double', 'decimal']
    )
    t.same(
      [
        { $add: [2147483647, 1] },
        { $add: [2n ** 63n - 1n, 1] },
        { $divide: [4, 2] },
        { $round: 2.5 },
        { $ceil: 1.5 }
      ].map(type),
      ['long', 'double', 'double', 'double', 'double']
    )
    t.same(
      [{ $toLong: 1 }, { $toDouble: 1 }, { $toInt: 1.0 }, { $subtract: [now, now] }, { $multiply: [long(2), 3] }].map(
        type
      ),
      ['long', 'double', 'int', 'long', 'long']
    )
    t.equal(raw({ $add: [9007199254740993n, 0] }), 9007199254740993n)
  })
  t.test('gives a command its variables, and planners what $expr implies', async (t) => {
    t.same(valueToPlain(evaluateLet(fromPlain({ a: { $add: [1, 2] }, b: '$$NOW', c: 'x' }), now)), {
      a: 3,
      b: now,
      c: 'x'
    })
    t.throws(() => evaluateLet(fromPlain({ A: 1 }), now), { code: 9 })
    const { node } = compileFilter(fromPlain({ $expr: { $eq: ['$k', '$$wanted'] } }), {
      let: fromPlain({ wanted: 'v' })
    })
    t.match(node, { op: 'expr', implied: [{ op: 'cmp', path: 'k', cmp: '$eq', value: 'v' }] })
  })
  t.test('of any shape is evaluated or refused by a MongoError', async () => {
    const leaf = fc.constantFrom<unknown>(
      1,
      'a',
      '$a',
      '$a.b',
      null,
      [1, 2],
      [['a', 1]],
      {},
      { input: '$a' },
      now,
      /x/,
      '$$ROOT',
      '$$x',
      true,
      -1.5
    )
    const operator = fc.constantFrom(...EXPRESSION_OPERATORS)
    const spec = fc.letrec<{ spec: unknown }>((tie) => ({
      spec: fc.oneof(
        { maxDepth: 3 },
        leaf,
        fc
          .tuple(
            operator,
            fc.oneof(
              tie('spec'),
              fc.array(tie('spec'), { maxLength: 3 }),
              fc.dictionary(
                fc.constantFrom('input', 'date', 'in', 'cond', 'vars', 'as', 'unit', 'to', 'n'),
                tie('spec'),
                { maxKeys: 3 }
              )
            )
          )
          .map(([name, operand]) => ({ [name]: operand }))
      )
    })).spec
    fc.assert(
      fc.property(spec, fc.constantFrom<Plain>({}, { a: 1 }, { a: [1, { b: 2 }] }, { a: 'x' }), (given, one) => {
        try {
          raw(given, one)
        } catch (error) {
          if (!(error instanceof MongoError)) throw error
        }
      }),
      { numRuns: 3000 }
    )
  })
})

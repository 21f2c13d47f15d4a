import * as bson from 'bson'
import fc from 'fast-check'
import t from 'tap'
import { encode, fromPlain } from '../../../server/embedded/bson/document.js'
import { MongoError } from '../../../server/embedded/bson/errors.js'
import { compileFilter } from '../../../server/embedded/bson/match.js'
import { compileProjection } from '../../../server/embedded/bson/project.js'
import { toPlain } from '../../../server/embedded/bson/document.js'
import { upsertBase } from '../../../server/embedded/bson/update.js'

type Plain = Record<string, unknown>
const id = new bson.ObjectId()

function matches(filter: Plain, one: Plain): boolean {
  const compiled = compileFilter(fromPlain(filter), { now: new Date(0), let: fromPlain({ five: 5 }) })
  const doc = fromPlain(one)
  const decided = compiled.test(doc)
  if (compiled.testRaw(encode(doc)) !== decided) throw new Error('raw and decoded disagree')
  return decided
}

const YES: [string, Plain, Plain][] = [
  ['equality', { a: 1 }, { a: 1 }],
  ['equality across number types', { a: 5 }, { a: bson.Long.fromNumber(5) }],
  ['equality of an int64 beyond 2^53', { a: 2n ** 53n + 1n }, { a: 2n ** 53n + 1n }],
  ['equality of a decimal', { a: 1.5 }, { a: bson.Decimal128.fromString('1.50') }],
  ['equality of binaries', { a: Buffer.from([255]) }, { a: Buffer.from([255]) }],
  ['equality with an element', { a: 2 }, { a: [1, 2] }],
  ['equality with a whole array', { a: [1, 2] }, { a: [1, 2] }],
  ['equality with an array in an array', { a: [1, 2] }, { a: [[1, 2]] }],
  ['equality of documents', { a: { b: 1, c: 2 } }, { a: { b: 1, c: 2 } }],
  ['null for missing', { a: null }, {}],
  ['null inside an array', { a: null }, { a: [1, null] }],
  ['null for missing in one document of an array', { 'a.b': null }, { a: [{ b: 1 }, {}] }],
  ['null through a scalar', { 'a.b': null }, { a: 4 }],
  ['a dotted path', { 'a.b.c': 1 }, { a: { b: { c: 1 } } }],
  ['a dotted path through arrays', { 'a.b.c': 1 }, { a: [{ b: [{ c: 0 }, { c: 1 }] }] }],
  ['a numeric segment', { 'a.1': 2 }, { a: [1, 2] }],
  ['a numeric segment, then a field', { 'a.1.b': 2 }, { a: [{ b: 1 }, { b: 2 }] }],
  ['a numeric segment as a field name', { 'a.1': 2 }, { a: { 1: 2 } }],
  ['$gt', { a: { $gt: 1 } }, { a: 2 }],
  ['$gt on strings', { a: { $gt: 'a' } }, { a: 'b' }],
  ['$gte null', { a: { $gte: null } }, {}],
  ['$lte of a date', { a: { $lte: new Date(5) } }, { a: new Date(5) }],
  ['a range met by two elements', { a: { $gt: 5, $lt: 3 } }, { a: [1, 9] }],
  ['$gte NaN', { a: { $gte: NaN } }, { a: NaN }],
  ['$lt MaxKey, any type', { a: { $lt: new bson.MaxKey() } }, { a: 'x' }],
  ['$gt an array as a whole', { a: { $gt: [1] } }, { a: [1, 2] }],
  ['$ne', { a: { $ne: 1 } }, { a: 2 }],
  ['$ne of missing', { a: { $ne: 1 } }, {}],
  ['$in', { a: { $in: [1, 'x', id] } }, { a: id }],
  ['$in null', { a: { $in: [null] } }, {}],
  ['$in with a pattern', { a: { $in: [1, /^x/] } }, { a: ['b', 'xy'] }],
  ['$in an array as a whole', { a: { $in: [[1]] } }, { a: [1] }],
  ['$nin', { a: { $nin: [1] } }, {}],
  ['$exists', { a: { $exists: true } }, { a: null }],
  ['$exists false', { 'a.0': { $exists: false } }, { a: [] }],
  ['$exists with a number', { a: { $exists: 0 } }, {}],
  ['$type by name', { a: { $type: 'objectId' } }, { a: id }],
  ['$type null', { a: { $type: 'null' } }, { a: null }],
  ['$type by number', { a: { $type: 2 } }, { a: 'x' }],
  ['$type number', { a: { $type: ['bool', 'number'] } }, { a: bson.Decimal128.fromString('1') }],
  ['$type array', { a: { $type: 'array' } }, { a: [] }],
  ['$type double of a whole double', { a: { $type: 'double' } }, { a: new bson.Double(2) }],
  ['a regular expression', { a: /^X/i }, { a: 'xy' }],
  ['$regex and $options', { a: { $regex: '^ x # comment', $options: 'ix' } }, { a: 'X' }],
  ['$regex with an inline flag', { a: { $regex: '(?i)abc' } }, { a: 'xABC' }],
  ['$regex on an element', { a: { $regex: 'b' } }, { a: ['a', 'b'] }],
  ['$not', { a: { $not: { $gt: 5 } } }, {}],
  ['$not with a pattern', { a: { $not: /x/ } }, { a: 'y' }],
  ['$mod', { a: { $mod: [4, 0] } }, { a: 8 }],
  ['$mod truncates', { a: { $mod: [4.7, 1] } }, { a: 5.9 }],
  ['$mod of negatives', { a: { $mod: [4, -1] } }, { a: -5 }],
  ['$size', { a: { $size: 2 } }, { a: [1, 2] }],
  ['$all', { a: { $all: [2, 1] } }, { a: [1, 2, 3] }],
  ['$all on a scalar', { a: { $all: [1] } }, { a: 1 }],
  [
    '$all with $elemMatch',
    { a: { $all: [{ $elemMatch: { b: 1 } }, { $elemMatch: { b: 2 } }] } },
    { a: [{ b: 1 }, { b: 2 }] }
  ],
  ['$elemMatch on values', { a: { $elemMatch: { $gt: 1, $lt: 3 } } }, { a: [0, 2] }],
  [
    '$elemMatch on documents',
    { a: { $elemMatch: { b: 1, c: { $gt: 1 } } } },
    {
      a: [
        { b: 1, c: 1 },
        { b: 1, c: 2 }
      ]
    }
  ],
  ['$elemMatch with $or', { a: { $elemMatch: { $or: [{ b: 9 }, { c: 1 }] } } }, { a: [{ c: 1 }] }],
  ['$elemMatch through documents', { 'a.b': { $elemMatch: { $eq: 2 } } }, { a: [{ b: [1] }, { b: [2] }] }],
  ['$and, $or, $nor', { $and: [{ a: 1 }, { $or: [{ b: 1 }, { b: 2 }] }], $nor: [{ c: 1 }] }, { a: 1, b: 2 }],
  ['$expr', { $expr: { $gt: ['$a', '$b'] } }, { a: 2, b: 1 }],
  [
    '$expr with let and $$NOW',
    { $expr: { $and: [{ $eq: ['$a', '$$five'] }, { $lte: ['$$NOW', new Date(0)] }] } },
    { a: 5 }
  ],
  ['$comment', { a: { $eq: 1, $comment: 'why' }, $comment: 'because' }, { a: 1 }],
  ['$bitsAllSet', { a: { $bitsAllSet: 5 } }, { a: 7 }],
  ['$bitsAnyClear by positions', { a: { $bitsAnyClear: [0, 1] } }, { a: 1 }],
  ['names of Object.prototype', { constructor: null, toString: { $exists: false } }, {}]
]

const NO: [string, Plain, Plain][] = [
  ['equality of documents in another key order', { a: { b: 1, c: 2 } }, { a: { c: 2, b: 1 } }],
  ['equality of different binaries', { a: Buffer.from([255]) }, { a: Buffer.from([254]) }],
  ['equality of an int64 next to it', { a: 2n ** 53n + 1n }, { a: 2 ** 53 }],
  ['type bracketing', { a: { $gt: 1 } }, { a: 'x' }],
  ['$lt on NaN', { a: { $lt: 1 } }, { a: NaN }],
  ['$ne on an array that holds it', { a: { $ne: 1 } }, { a: [1, 2] }],
  ['null through an array of scalars', { 'a.b': null }, { a: [1, 2] }],
  ['null for an empty array', { a: null }, { a: [] }],
  ['a path into an array in an array', { 'a.b': 1 }, { a: [[{ b: 1 }]] }],
  ['$size of a scalar', { a: { $size: 1 } }, { a: 1 }],
  ['$all of nothing', { a: { $all: [] } }, { a: [] }],
  ['$in of nothing', { a: { $in: [] } }, {}],
  ['$elemMatch split over elements', { a: { $elemMatch: { b: 1, c: 2 } } }, { a: [{ b: 1 }, { c: 2 }] }],
  ['$elemMatch on a document', { a: { $elemMatch: { b: 1 } } }, { a: { b: 1 } }],
  ['$eq with a pattern as a value', { a: { $eq: /x/ } }, { a: 'x' }],
  ['$exists through a missing element', { 'a.3': { $exists: true } }, { a: [1] }],
  ['$gt null', { a: { $gt: null } }, { a: 1 }],
  ['$not over a range an element meets', { a: { $not: { $gt: 1, $lt: 3 } } }, { a: [0, 2] }]
]

t.test('a filter', async (t) => {
  for (const [what, filter, one] of YES) t.equal(matches(filter, one), true, `matches: ${what}`)
  for (const [what, filter, one] of NO) t.equal(matches(filter, one), false, `does not match: ${what}`)

  const REFUSED: [number, Plain][] = [
    [2, { a: { $foo: 1 } }],
    [2, { $foo: 1 }],
    [2, { $where: 'true' }],
    [2, { $text: { $search: 'x' } }],
    [2, { $jsonSchema: {} }],
    [2, { a: { $near: [0, 0] } }],
    [2, { $and: [] }],
    [2, { $or: {} }],
    [2, { a: { $in: 1 } }],
    [2, { a: { $in: [{ $gt: 1 }] } }],
    [2, { a: { $not: 1 } }],
    [2, { a: { $not: {} } }],
    [2, { a: { $ne: /x/ } }],
    [2, { a: { $mod: [0, 1] } }],
    [2, { a: { $mod: [1] } }],
    [9, { a: { $size: -1 } }],
    [9, { a: { $size: 'x' } }],
    [2, { a: { $type: 'nothing' } }],
    [2, { a: { $elemMatch: 1 } }],
    [2, { a: { $all: 1 } }],
    [2, { a: { $options: 'i' } }],
    [51091, { a: { $regex: '(' } }],
    [51108, { a: { $regex: 'x', $options: 'q' } }],
    [168, { $expr: { $foo: 1 } }],
    [17276, { $expr: '$$nothing' }],
    [2, { a: { $elemMatch: { $expr: true } } }],
    [2, { a: { $eq: 1, b: 2 } }]
  ]
  for (const [code, filter] of REFUSED)
    t.throws(() => compileFilter(fromPlain(filter)), { code }, JSON.stringify(filter))

  t.test('tells which array position matched', async (t) => {
    const at = (filter: Plain, one: Plain) => compileFilter(fromPlain(filter)).arrayIndex(fromPlain(one))
    t.equal(at({ a: 2 }, { a: [1, 2] }), 1)
    t.equal(at({ 'a.b': 2 }, { a: [{ b: 1 }, { b: [1, 2] }] }), 1)
    t.equal(at({ a: { $elemMatch: { b: 1 } } }, { a: [{}, {}, { b: 1 }] }), 2)
    t.equal(at({ a: 1 }, { a: 1 }), undefined)
    t.equal(at({ a: 9 }, { a: [1] }), undefined)
  })
  t.test('shows planners its tree and gives upserts their fields', async (t) => {
    const { node } = compileFilter(fromPlain({ a: 1, b: { $gt: 2, $lte: 4 }, $or: [{ c: 1 }] }))
    t.same(node, {
      op: 'and',
      children: [
        { op: 'cmp', path: 'a', cmp: '$eq', value: 1 },
        { op: 'cmp', path: 'b', cmp: '$gt', value: 2 },
        { op: 'cmp', path: 'b', cmp: '$lte', value: 4 },
        { op: 'or', children: [{ op: 'cmp', path: 'c', cmp: '$eq', value: 1 }] }
      ]
    })
    const base = (filter: Plain, kind: 'modifiers' | 'replacement' = 'modifiers') =>
      toPlain(upsertBase(compileFilter(fromPlain(filter)).node, kind))
    t.same(base({ a: 1, 'b.c': 2, d: { $gt: 1 }, e: { $in: [5] }, $and: [{ f: { $eq: 6 } }] }), {
      a: 1,
      b: { c: 2 },
      e: 5,
      f: 6
    })
    t.same(base({ _id: 1, a: 2 }, 'replacement'), { _id: 1 })
    t.throws(() => base({ a: 1, $and: [{ a: 2 }] }), { code: 54 })
    t.throws(() => base({ a: {}, 'a.b': 2 }), { code: 54 })
  })
  t.test('of any shape is compiled or refused, and agrees with itself on raw bytes', async () => {
    const leaf = fc.constantFrom<unknown>(1, 'a', null, [1], [{ b: 1 }], { b: 1 }, /a/, true, {}, [])
    const operator = fc.constantFrom(
      '$eq',
      '$ne',
      '$gt',
      '$lte',
      '$in',
      '$nin',
      '$exists',
      '$type',
      '$regex',
      '$options',
      '$mod',
      '$all',
      '$elemMatch',
      '$size',
      '$not',
      '$expr',
      '$bitsAllSet',
      '$bad'
    )
    const filter = fc.letrec<{ filter: unknown }>((tie) => ({
      filter: fc.oneof(
        { maxDepth: 3 },
        leaf,
        fc.dictionary(fc.oneof(operator, fc.constantFrom('a', 'a.b', 'a.0', '$and', '$or', '$nor')), tie('filter'), {
          maxKeys: 2
        }),
        fc.array(tie('filter'), { maxLength: 2 })
      )
    })).filter
    const docs: Plain[] = [{}, { a: 1 }, { a: [1, { b: 1 }] }, { a: { b: ['a'] } }, { a: null }, { a: [[]] }]
    fc.assert(
      fc.property(
        fc.dictionary(fc.constantFrom('a', 'a.b', '$and', '$or', '$expr'), filter, { maxKeys: 2 }),
        (given) => {
          try {
            for (const one of docs) matches(given, one)
          } catch (error) {
            if (!(error instanceof MongoError)) throw error
          }
        }
      ),
      { numRuns: 1500 }
    )
  })
})

t.test('a projection', async (t) => {
  const project = (spec: Plain, one: Plain, at?: number) =>
    toPlain(compileProjection(fromPlain(spec)).apply(fromPlain(one), at))
  const one = { _id: 1, a: 1, b: { c: 2, d: 3 }, e: [{ f: 1, g: 2 }, 5, { f: 3 }], n: [1, 2, 3, 4] }
  const CASES: [string, Plain, unknown][] = [
    ['keeps all when empty', {}, one],
    ['keeps what it names, and _id', { a: 1 }, { _id: 1, a: 1 }],
    ['drops _id on request', { a: true, _id: 0 }, { a: 1 }],
    ['of _id alone', { _id: 1 }, { _id: 1 }],
    ['drops what it names', { a: 0, b: false, e: 0, n: 0 }, { _id: 1 }],
    ['drops _id only', { _id: 0, e: 0, n: 0, b: 0 }, { a: 1 }],
    ['goes into documents', { 'b.c': 1, _id: 0 }, { b: { c: 2 } }],
    ['takes nested documents as paths', { b: { d: 1 }, _id: 0 }, { b: { d: 3 } }],
    ['goes through arrays, dropping scalars', { 'e.f': 1, _id: 0 }, { e: [{ f: 1 }, { f: 3 }] }],
    ['drops through arrays, keeping scalars', { 'e.f': 0, _id: 0, a: 0, b: 0, n: 0 }, { e: [{ g: 2 }, 5, {}] }],
    ['slices from the front', { n: { $slice: 2 }, a: 1, _id: 0 }, { a: 1, n: [1, 2] }],
    ['slices from the end and keeps the rest', { n: { $slice: -1 }, e: 0, b: 0 }, { _id: 1, a: 1, n: [4] }],
    ['slices with skip and limit', { n: { $slice: [1, 2] }, a: 1, _id: 0 }, { a: 1, n: [2, 3] }],
    ['keeps the first element that matches', { e: { $elemMatch: { f: 3 } } }, { _id: 1, e: [{ f: 3 }] }],
    ['leaves out an array without a match', { e: { $elemMatch: { f: 9 } } }, { _id: 1 }],
    ['computes', { sum: { $add: ['$a', '$b.c'] }, text: 'x' }, { _id: 1, sum: 3, text: 'x' }],
    ['renames', { a: '$b.d', _id: 0 }, { a: 3 }]
  ]
  for (const [what, spec, wanted] of CASES) t.same(project(spec, one), wanted, what)
  t.same(project({ 'n.$': 1 }, one, 2), { _id: 1, n: [3] })
  t.throws(() => project({ 'n.$': 1 }, one), { code: 51246 })
  t.throws(() => project({ a: 1, b: 0 }, one), { code: 31254 })
  t.throws(() => project({ a: 0, b: 1 }, one), { code: 31253 })
  t.throws(() => project({ a: 1, 'a.b': 1 }, one), { code: 31249 })
  t.throws(() => project({ a: { $meta: 'textScore' } }, one), { code: 2 })
  t.same([...compileProjection(fromPlain({ a: 1, x: { $add: ['$y.z', 1] } })).fields!].sort(), ['_id', 'a', 'x', 'y'])
  t.equal(compileProjection(fromPlain({ a: 0 })).fields, undefined)
})

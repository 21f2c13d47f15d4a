import * as bson from 'bson'
import fc from 'fast-check'
import t from 'tap'
import {
  decode,
  decodePart,
  encode,
  encodeChanges,
  fromPlain,
  toPlain,
  type Doc
} from '../../../server/embedded/bson/document.js'
import { MongoError } from '../../../server/embedded/bson/errors.js'
import { compileFilter } from '../../../server/embedded/bson/match.js'
import { compileUpdate } from '../../../server/embedded/bson/update.js'
import { typeName } from '../../../server/embedded/bson/value.js'

type Plain = Record<string, unknown>
type How = { arrayFilters?: Plain[]; query?: Plain; isInsert?: boolean }
const now = new Date('2024-03-10T12:00:00Z')

function run(update: Plain | Plain[], one: Plain, how: How = {}): { doc: Doc; changed: boolean } {
  const doc = fromPlain(one)
  const before = encode(doc)
  const updater = compileUpdate(Array.isArray(update) ? update.map(fromPlain) : fromPlain(update), {
    now,
    arrayFilters: how.arrayFilters?.map(fromPlain)
  })
  const positional = how.query === undefined ? undefined : compileFilter(fromPlain(how.query)).arrayIndex(doc)
  const result = updater.apply(doc, { positional, isInsert: how.isInsert === true })
  if (Buffer.compare(encode(doc), before) !== 0) throw new Error('the document given was changed')
  if (result.changed === (Buffer.compare(encode(result.doc), before) === 0)) throw new Error('changed is wrong')
  if (updater.fields !== null && !updater.positional) {
    // Applied to the fields it names alone, and put back into the bytes, it must come to the same bytes.
    const part = decodePart(before, new Set(updater.fields))!
    const patched = updater.apply(part.doc, { isInsert: how.isInsert === true })
    if (patched.changed !== result.changed) throw new Error('changed is wrong for a part')
    if (Buffer.compare(encodeChanges(before, part, patched.doc), encode(result.doc)) !== 0)
      throw new Error('a part makes other bytes')
  }
  return result
}
const after = (update: Plain | Plain[], one: Plain, how?: How) => toPlain(run(update, one, how).doc)

const CASES: [string, Plain | Plain[], Plain, Plain, How?][] = [
  ['$set makes documents on the way', { $set: { 'a.b.c': 1 } }, {}, { a: { b: { c: 1 } } }],
  [
    '$set makes new fields in name order, numbers by value',
    { $set: { b: 1, a10: 0, a: 2, 10: 1, 9: 1 } },
    {},
    { 9: 1, 10: 1, a: 2, a10: 0, b: 1 }
  ],
  ['$set keeps a field in its place', { $set: { a: 9 } }, { a: 1, b: 2 }, { a: 9, b: 2 }],
  ['$set in an array by position', { $set: { 'a.1': 9 } }, { a: [1, 2] }, { a: [1, 9] }],
  ['$set past the end pads with null', { $set: { 'a.3': 9 } }, { a: [1] }, { a: [1, null, null, 9] }],
  ['$set a number-like name makes a field', { $set: { 'a.0': 1 } }, {}, { a: { 0: 1 } }],
  ['$set nothing', { $set: {} }, { a: 1 }, { a: 1 }],
  ['$unset', { $unset: { a: '', 'b.c': 1, 'x.y': 1 } }, { a: 1, b: { c: 1, d: 2 } }, { b: { d: 2 } }],
  ['$unset in an array leaves null', { $unset: { 'a.0': 1 } }, { a: [1, 2] }, { a: [null, 2] }],
  ['$unset through a scalar does nothing', { $unset: { 'a.b': 1 } }, { a: 5 }, { a: 5 }],
  ['$inc', { $inc: { a: 2, b: -1 } }, { a: 1 }, { a: 3, b: -1 }],
  ['$mul', { $mul: { a: 3, b: 5 } }, { a: 2 }, { a: 6, b: 0 }],
  ['$min and $max', { $min: { a: 1, c: 5 }, $max: { b: 1, d: 5 } }, { a: 2, b: 2 }, { a: 1, b: 2, c: 5, d: 5 }],
  ['$max across types', { $max: { a: 'x' } }, { a: 5 }, { a: 'x' }],
  ['$rename', { $rename: { a: 'b.c', x: 'y' } }, { a: 1, z: 2 }, { z: 2, b: { c: 1 } }],
  ['$rename over a field', { $rename: { a: 'b' } }, { a: 1, b: 2 }, { b: 1 }],
  ['$currentDate', { $currentDate: { a: true, b: { $type: 'date' } } }, {}, { a: now, b: now }],
  ['$setOnInsert on an update', { $setOnInsert: { a: 1 }, $set: { b: 1 } }, {}, { b: 1 }],
  ['$setOnInsert on an insert', { $setOnInsert: { a: 1 }, $set: { b: 1 } }, {}, { a: 1, b: 1 }, { isInsert: true }],
  ['$bit', { $bit: { a: { and: 6, or: 8 }, b: { xor: 3 } } }, { a: 7, b: 1 }, { a: 14, b: 2 }],
  ['$push', { $push: { a: 3, b: 1 } }, { a: [1] }, { a: [1, 3], b: [1] }],
  ['$push an array as one element', { $push: { a: [2, 3] } }, { a: [1] }, { a: [1, [2, 3]] }],
  [
    '$push with $each, $sort and $slice on a missing field',
    { $push: { a: { $each: [3, 1, 2], $sort: -1, $slice: 2 } } },
    {},
    { a: [3, 2] }
  ],
  [
    '$push with $sort by field and $slice from the end',
    { $push: { a: { $each: [{ n: 1 }], $sort: { n: 1 }, $slice: -2 } } },
    { a: [{ n: 3 }, { n: 2 }] },
    { a: [{ n: 2 }, { n: 3 }] }
  ],
  ['$push with $position', { $push: { a: { $each: [8, 9], $position: 1 } } }, { a: [1, 2] }, { a: [1, 8, 9, 2] }],
  [
    '$push with $position from the end',
    { $push: { a: { $each: [9], $position: -1 } } },
    { a: [1, 2] },
    { a: [1, 9, 2] }
  ],
  ['$push with $slice 0', { $push: { a: { $each: [1], $slice: 0 } } }, { a: [1, 2] }, { a: [] }],
  ['$addToSet', { $addToSet: { a: 1, b: { $each: [2, 2, 3] } } }, { a: [1], b: [3] }, { a: [1], b: [3, 2] }],
  [
    '$addToSet minds key order',
    { $addToSet: { a: { y: 1, x: 1 } } },
    { a: [{ x: 1, y: 1 }] },
    {
      a: [
        { x: 1, y: 1 },
        { y: 1, x: 1 }
      ]
    }
  ],
  ['$pull a value', { $pull: { a: 1 } }, { a: [1, 2, 1] }, { a: [2] }],
  ['$pull by a condition', { $pull: { a: { $gte: 2 } } }, { a: [1, 2, 3] }, { a: [1] }],
  [
    '$pull by fields',
    { $pull: { a: { b: { $in: [1, 2] }, c: 1 } } },
    {
      a: [
        { b: 1, c: 1 },
        { b: 1, c: 2 },
        { b: 2, c: 1, d: 3 }
      ]
    },
    { a: [{ b: 1, c: 2 }] }
  ],
  ['$pull by a pattern', { $pull: { a: /^x/ } }, { a: ['xy', 'y'] }, { a: ['y'] }],
  ['$pull from a missing field', { $pull: { a: 1 } }, {}, {}],
  ['$pullAll', { $pullAll: { a: [1, { b: 1 }] } }, { a: [1, 2, { b: 1 }] }, { a: [2] }],
  ['$pop', { $pop: { a: 1, b: -1, c: 1 } }, { a: [1, 2], b: [1, 2] }, { a: [1], b: [2] }],
  ['$', { $set: { 'a.$': 9 } }, { a: [1, 2] }, { a: [1, 9] }, { query: { a: 2 } }],
  [
    '$ with a field',
    { $inc: { 'a.$.n': 1 } },
    {
      a: [
        { k: 1, n: 1 },
        { k: 2, n: 1 }
      ]
    },
    {
      a: [
        { k: 1, n: 1 },
        { k: 2, n: 2 }
      ]
    },
    { query: { 'a.k': 2 } }
  ],
  [
    '$[]',
    { $inc: { 'a.$[]': 1, 'b.$[].c': 1 } },
    { a: [1, 2], b: [{ c: 1 }, {}] },
    { a: [2, 3], b: [{ c: 2 }, { c: 1 }] }
  ],
  [
    '$[id]',
    { $set: { 'a.$[x].b': 9 } },
    { a: [{ b: 1 }, { b: 5 }] },
    { a: [{ b: 1 }, { b: 9 }] },
    { arrayFilters: [{ 'x.b': { $gte: 5 } }] }
  ],
  [
    '$[id] on values, with $or',
    { $set: { 'a.$[x]': 0 } },
    { a: [1, 2, 3] },
    { a: [0, 2, 0] },
    { arrayFilters: [{ $or: [{ x: 1 }, { x: 3 }] }] }
  ],
  [
    '$[] and $[id] nested',
    { $inc: { 'a.$[].b.$[x]': 10 } },
    { a: [{ b: [1, 2] }, { b: [3] }] },
    { a: [{ b: [1, 12] }, { b: [13] }] },
    { arrayFilters: [{ x: { $gt: 1 } }] }
  ],
  ['a replacement keeps _id', { a: 1 }, { _id: 7, b: 2 }, { _id: 7, a: 1 }],
  ['an empty replacement', {}, { _id: 7, b: 2 }, { _id: 7 }],
  ['a pipeline with $set', [{ $set: { a: { $add: ['$a', 1] }, 'b.c': '$$NOW' } }], { a: 1 }, { a: 2, b: { c: now } }],
  [
    'a pipeline of several stages',
    [{ $set: { t: 1 } }, { $unset: ['a', 'b'] }, { $addFields: { u: '$t' } }],
    { a: 1, b: 2 },
    { t: 1, u: 1 }
  ],
  [
    'a pipeline with $replaceWith',
    [{ $replaceWith: { $mergeObjects: ['$$ROOT', { b: 2 }] } }],
    { _id: 1, a: 1 },
    { _id: 1, a: 1, b: 2 }
  ],
  ['a pipeline with $project', [{ $project: { a: 1 } }], { _id: 1, a: 1, b: 2 }, { _id: 1, a: 1 }]
]

const FAILS: [number, string | RegExp, Plain | Plain[], Plain, How?][] = [
  [28, "Cannot create field 'b' in element {a: 5}", { $set: { 'a.b': 1 } }, { a: 5 }],
  [28, "Cannot create field 'b' in element {a: null}", { $set: { 'a.b': 1 } }, { a: null }],
  [28, /Cannot create field 'x' in element \{a: \[ 1 \]\}/, { $set: { 'a.x': 1 } }, { a: [1] }],
  [
    14,
    /Cannot apply \$inc to a value of non-numeric type. \{_id: 1\} has the field 'a' of non-numeric type string/,
    { $inc: { a: 1 } },
    { _id: 1, a: 'x' }
  ],
  [14, /Cannot increment with non-numeric argument: \{a: "x"\}/, { $inc: { a: 'x' } }, {}],
  [2, /Failed to apply \$inc/, { $inc: { a: 1 } }, { a: 2n ** 63n - 1n }],
  [40, "Updating the path 'a' would create a conflict at 'a'", { $set: { a: 1 }, $inc: { a: 1 } }, {}],
  [40, "Updating the path 'a.b' would create a conflict at 'a'", { $set: { a: 1 }, $unset: { 'a.b': 1 } }, {}],
  [40, /conflict/, { $rename: { a: 'b' }, $set: { b: 1 } }, { a: 1 }],
  [
    66,
    "Performing an update on the path '_id' would modify the immutable field '_id'",
    { $set: { _id: 2 } },
    { _id: 1 }
  ],
  [66, /immutable/, { $unset: { _id: 1 } }, { _id: 1 }],
  [66, /altered to _id: 2/, { _id: 2, a: 1 }, { _id: 1 }],
  [66, /altered to _id: 2/, [{ $set: { _id: 2 } }], { _id: 1 }],
  [9, /Unknown modifier: \$foo/, { $foo: { a: 1 } }, {}],
  [9, /Unknown modifier: a/, { $set: { b: 1 }, a: 1 }, {}],
  [9, /Modifiers operate on fields/, { $set: 5 }, {}],
  [2, "The field 'a' must be an array but is of type int in document {_id: 1}", { $push: { a: 1 } }, { _id: 1, a: 1 }],
  [2, /Unrecognized clause in \$push/, { $push: { a: { $each: [], $foo: 1 } } }, {}],
  [2, /\$each in \$push must be an array/, { $push: { a: { $each: 1 } } }, {}],
  [2, /\$slice must be an integer/, { $push: { a: { $each: [], $slice: 'x' } } }, {}],
  [2, /Cannot apply \$addToSet to non-array field/, { $addToSet: { a: 1 } }, { a: 1 }],
  [2, 'Cannot apply $pull to a non-array value', { $pull: { a: 1 } }, { a: 1 }],
  [2, /\$pullAll requires an array argument/, { $pullAll: { a: 1 } }, {}],
  [9, /\$pop expects 1 or -1/, { $pop: { a: 2 } }, {}],
  [14, /non-array type/, { $pop: { a: 1 } }, { a: 1 }],
  [2, /positional operator did not find the match/, { $set: { 'a.$': 1 } }, { a: [1] }],
  [2, /must exist in the document in order to apply array updates/, { $set: { 'a.$[]': 1 } }, {}],
  [2, /Cannot apply array updates to non-array element a: 5/, { $set: { 'a.$[]': 1 } }, { a: 5 }],
  [2, /No array filter found for identifier 'x'/, { $set: { 'a.$[x]': 1 } }, { a: [] }],
  [9, /was not used in the update/, { $set: { a: 1 } }, {}, { arrayFilters: [{ x: 1 }] }],
  [
    9,
    /Expected a single top-level field name/,
    { $set: { 'a.$[x]': 1 } },
    { a: [] },
    { arrayFilters: [{ x: 1, y: 1 }] }
  ],
  [2, /must be a string/, { $rename: { a: 1 } }, {}],
  [2, /must differ/, { $rename: { a: 'a' } }, {}],
  [2, /array field called 'a'/, { $rename: { 'a.0': 'b' } }, { _id: 1, a: [1] }],
  [2, /not valid type for \$currentDate/, { $currentDate: { a: 1 } }, {}],
  [2, /\$bit modifier/, { $bit: { a: { or: 1.5 } } }, {}],
  [2, /backfill/, { $set: { 'a.2000000': 1 } }, { a: [] }],
  [56, /empty update path/, { $set: { '': 1 } }, {}],
  [56, /empty field name/, { $set: { 'a..b': 1 } }, {}],
  [52, /dollar/, { $set: { 'a.$b': 1 } }, {}],
  [52, /replacement document/, { a: 1, $set: { b: 1 } }, {}],
  [72, /\$match is not allowed/, [{ $match: {} }], {}],
  [40324, /Unrecognized pipeline stage name/, [{ $foo: {} }], {}],
  [168, /Unrecognized expression/, [{ $set: { a: { $foo: 1 } } }], {}]
]

t.test('an update', async (t) => {
  for (const [what, update, one, wanted, how] of CASES) {
    const result = after(update, one, how)
    t.same(result, wanted, what)
    t.same(Object.keys(result), Object.keys(wanted), `${what}: order of fields`)
  }
  for (const [code, message, update, one, how] of FAILS)
    t.throws(() => run(update, one, how), { code, message }, `${code} ${String(message)}`)

  t.test('keeps number types as MongoDB does', async (t) => {
    const typeAfter = (update: Plain, a: unknown) => typeName(run(update, { a }).doc.get('a'))
    t.equal(typeAfter({ $inc: { a: 1 } }, 1), 'int')
    t.equal(typeAfter({ $inc: { a: 1 } }, 2147483647), 'long')
    t.equal(typeAfter({ $inc: { a: 1 } }, bson.Long.fromNumber(1)), 'long')
    t.equal(typeAfter({ $inc: { a: bson.Long.fromNumber(1) } }, 1), 'long')
    t.equal(typeAfter({ $inc: { a: 1 } }, new bson.Double(1)), 'double')
    t.equal(typeAfter({ $inc: { a: bson.Decimal128.fromString('0.1') } }, 1), 'decimal')
    t.equal(String(run({ $inc: { a: bson.Decimal128.fromString('0.1') } }, { a: 0.2 }).doc.get('a')), '0.3')
    t.equal(run({ $inc: { a: 1 } }, { a: 2n ** 53n }).doc.get('a'), 2n ** 53n + 1n)
    t.equal(run({ $set: { a: new bson.Double(1) } }, { a: 1 }).changed, true)
    t.equal(
      run({ $set: { b: 1 } }, { a: new bson.Double(2) })
        .doc.get('a')
        ?.toString(),
      '2'
    )
  })
  t.test('says when it changed nothing', async (t) => {
    t.equal(
      run(
        { $set: { a: { b: 1 } }, $max: { c: 1 }, $addToSet: { d: 1 }, $pull: { e: 9 }, $unset: { x: 1 } },
        { a: { b: 1 }, c: 2, d: [1], e: [1] }
      ).changed,
      false
    )
    t.equal(run({ _id: 1, a: 1 }, { _id: 1, a: 1 }).changed, false)
    t.equal(run([{ $set: { a: 1 } }], { a: 1 }).changed, false)
  })
  t.test('in a pipeline does date and int64 arithmetic exactly', async (t) => {
    const limiter = (clock: Plain) => [
      { $set: { tat: { $add: [{ $max: ['$tat', clock] }, { $multiply: ['$g', 20.6] }] } } }
    ]
    const ms = now.getTime()
    const asDouble = run(limiter({ $toDouble: '$$NOW' }), { tat: 5, g: 3 }).doc.get('tat')
    t.equal(asDouble, ms + 3 * 20.6)
    const asLong = run(limiter({ $toLong: '$$NOW' }), { tat: 5, g: 3 }).doc.get('tat')
    t.equal(asLong, ms + 3 * 20.6)
    t.equal(run([{ $set: { a: { $add: [{ $toLong: '$$NOW' }, 1] } } }], {}).doc.get('a'), BigInt(ms) + 1n)
    t.same(run([{ $set: { a: { $add: ['$$NOW', 1500] } } }], {}).doc.get('a'), new Date(ms + 1500))
    t.equal(run([{ $set: { a: { $subtract: ['$$NOW', '$b'] } } }], { b: new Date(ms - 5) }).doc.get('a'), 5n)
  })
  t.test('of any shape is carried out or refused by a MongoError', async () => {
    const leaf = fc.constantFrom<unknown>(
      1,
      -1,
      'a',
      'b.c',
      null,
      [1, 2],
      { b: 1 },
      { $each: [1, 2] },
      { $each: [2], $slice: 1 },
      { $gt: 1 },
      true,
      /x/,
      new Date(0)
    )
    const path = fc.constantFrom('a', 'a.b', 'a.0', 'a.$', 'a.$[]', 'a.$[x]', 'b', '_id', '', 'a..b', '$x', '__proto__')
    const fields = fc.oneof(leaf, fc.dictionary(path, leaf, { maxKeys: 2 }))
    const names = fc.constantFrom(
      '$set',
      '$unset',
      '$inc',
      '$mul',
      '$min',
      '$rename',
      '$currentDate',
      '$setOnInsert',
      '$bit',
      '$push',
      '$addToSet',
      '$pull',
      '$pullAll',
      '$pop',
      '$bad'
    )
    const docs: Plain[] = [{}, { _id: 1, a: 1 }, { a: [1, { b: 1 }] }, { a: { b: [1] } }, { a: null, b: 'x' }]
    fc.assert(
      fc.property(
        fc.dictionary(names, fields, { maxKeys: 3 }),
        fc.constantFrom<How>({}, { arrayFilters: [{ x: 1 }] }, { query: { a: 1 } }),
        (update, how) => {
          for (const one of docs)
            try {
              decode(encode(run(update, one, how).doc))
            } catch (error) {
              if (!(error instanceof MongoError)) throw error
            }
        }
      ),
      { numRuns: 1500 }
    )
  })
})

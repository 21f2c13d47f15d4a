import * as bson from 'bson'
import fc from 'fast-check'
import t from 'tap'
import { compareValues, equalValues, identicalValues } from '../../../server/embedded/bson/compare.js'
import * as decimal from '../../../server/embedded/bson/decimal.js'
import {
  decode,
  decodeFields,
  encode,
  fromPlain,
  keys,
  toPlain,
  valueFromPlain
} from '../../../server/embedded/bson/document.js'
import { MongoError } from '../../../server/embedded/bson/errors.js'
import {
  encodeBound,
  encodeKey,
  encodeRange,
  highestOf,
  isTruncated,
  lowestOf
} from '../../../server/embedded/bson/keys.js'
import { indexValues } from '../../../server/embedded/bson/index-values.js'
import { CROSSES_ARRAY, probe } from '../../../server/embedded/bson/raw.js'
import { compileSort } from '../../../server/embedded/bson/sort.js'
import { double, Opaque, UNDEFINED, type Doc, type Value } from '../../../server/embedded/bson/value.js'

const dec = (text: string) => bson.Decimal128.fromString(text)
const v = valueFromPlain

const text = fc.string({
  unit: fc.constantFrom('a', 'b', 'z', '\0', '\u0001', 'é', '文', '\uffee', '😀'),
  maxLength: 5
})
const name = fc.oneof(
  fc.constantFrom('a', 'b', '1', '10', '2', '__proto__', 'constructor', 'é'),
  fc.string({ unit: fc.constantFrom('x', 'y'), maxLength: 3 })
)
const number: fc.Arbitrary<Value> = fc.oneof(
  fc.constantFrom<Value>(
    0,
    -0,
    double(0),
    1,
    double(1),
    1n,
    -1,
    1.5,
    NaN,
    Infinity,
    -Infinity,
    5e-324,
    1.7976931348623157e308
  ),
  fc.constantFrom<Value>(2 ** 53, 2n ** 53n, 2n ** 53n + 1n, 2n ** 63n - 1n, -(2n ** 63n), 2 ** 63, 0.1, 0.3),
  fc
    .constantFrom(
      '0',
      '-0',
      'NaN',
      'Infinity',
      '-Infinity',
      '1',
      '1.0',
      '0.1',
      '0.3',
      '1E-400',
      '-1E+400',
      '1E+6144',
      '9007199254740993'
    )
    .map(dec),
  fc
    .constantFrom(
      '0.1000000000000000055511151231257827',
      '0.1000000000000000055511151231257828',
      '9223372036854775807.5'
    )
    .map(dec),
  fc.integer(),
  fc.double(),
  fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }),
  fc
    .tuple(fc.bigInt({ min: -(10n ** 33n), max: 10n ** 33n }), fc.integer({ min: -60, max: 60 }))
    .map(([c, e]) => dec(`${c}E${e}`))
)
const scalar: fc.Arbitrary<Value> = fc.oneof(
  { weight: 4, arbitrary: number },
  { weight: 3, arbitrary: text },
  fc.constantFrom<Value>(null, true, false, UNDEFINED, new bson.MinKey(), new bson.MaxKey()),
  fc.date({ noInvalidDate: true }),
  fc.constantFrom(new bson.ObjectId('00112233445566778899aabb'), new bson.ObjectId('ff112233445566778899aabb')),
  fc
    .tuple(fc.uint8Array({ maxLength: 4 }), fc.constantFrom(0, 4, 128))
    .map(([bytes, subtype]) => new bson.Binary(bytes, subtype)),
  fc.tuple(fc.nat({ max: 3 }), fc.nat({ max: 3 })).map(([high, low]) => new bson.Timestamp({ t: high, i: low })),
  fc.constantFrom(new bson.BSONRegExp('a'), new bson.BSONRegExp('a', 'i'), new bson.BSONRegExp('b'))
)
const value: fc.Arbitrary<Value> = fc.letrec<{ value: Value }>((tie) => ({
  value: fc.oneof(
    { maxDepth: 3, withCrossShrink: true },
    { weight: 6, arbitrary: scalar },
    fc.array(tie('value'), { maxLength: 3 }),
    fc.array(fc.tuple(name, tie('value')), { maxLength: 3 }).map((entries): Doc => new Map(entries))
  )
})).value
const doc = fc.array(fc.tuple(name, value), { maxLength: 5 }).map((entries): Doc => new Map(entries))

t.test('a document', async (t) => {
  t.test('comes back as the same bytes, whatever its types', async (t) => {
    const raw = bson.serialize({
      _id: new bson.ObjectId(),
      int: 1,
      whole: new bson.Double(2),
      long: bson.Long.fromNumber(5),
      dec: dec('1.50'),
      text: '鸿雁',
      code: new bson.Code('x'),
      scoped: new bson.Code('x', { a: 1 }),
      symbol: new bson.BSONSymbol('s'),
      min: new bson.MinKey(),
      max: new bson.MaxKey(),
      list: [1, [2], { a: null }],
      bin: new bson.Binary(Buffer.from([255, 254]), 4),
      re: /x/im,
      at: new Date(0),
      stamp: new bson.Timestamp({ t: 4294967295, i: 7 }),
      yes: true
    })
    t.same(Buffer.from(encode(decode(raw))), Buffer.from(raw))
  })
  t.test('comes back value by value for any content', async () => {
    fc.assert(
      fc.property(doc, (one) => {
        const raw = encode(one)
        return identicalValues(decode(raw), one) && Buffer.compare(encode(decode(raw)), raw) === 0
      }),
      { numRuns: 300 }
    )
  })
  t.test('keeps the order of number-like names and is not fooled by __proto__', async (t) => {
    const one: Doc = new Map<string, Value>([
      ['b', 1],
      ['1', 2],
      ['__proto__', 3]
    ])
    t.same(keys(decode(encode(one))), ['b', '1', '__proto__'])
    t.equal(Object.getPrototypeOf(toPlain(one)), Object.prototype)
    t.equal(({} as any).polluted, undefined)
  })
  t.test('keeps dates JavaScript cannot say', async (t) => {
    const raw = Buffer.from(encode(new Map([['d', new Date(0)]])))
    raw.writeBigInt64LE(2n ** 62n, 7)
    const far = decode(raw).get('d')!
    t.ok(far instanceof Opaque)
    t.same(Buffer.from(encode(decode(raw))), raw)
    t.equal(compareValues(far, new Date(0)), 1)
    t.ok(Buffer.compare(encodeKey([far], [1]), encodeKey([new Date(0)], [1])) > 0)
  })
  t.test('of malformed bytes is refused with code 22 or 15, never anything else', async () => {
    const raw = Buffer.from(encode(fromPlain({ a: 1, b: 'text', c: { d: [1, 2] }, e: /x/, f: Buffer.from([1]) })))
    fc.assert(
      fc.property(
        fc.nat({ max: raw.length - 1 }),
        fc.nat({ max: 255 }),
        fc.nat({ max: raw.length }),
        (at, byte, length) => {
          const bad = Buffer.from(raw.subarray(0, length))
          if (at < bad.length) bad[at] = byte
          try {
            decode(bad)
          } catch (error) {
            return error instanceof MongoError && (error.code === 22 || error.code === 15)
          }
          return true
        }
      ),
      { numRuns: 500 }
    )
  })
  t.test('nested beyond reason is refused with code 15', async (t) => {
    let deep: Value = null
    for (let i = 0; i < 500; i++) deep = [deep]
    t.throws(() => encode(new Map([['a', deep]])), { code: 15 })
  })
  t.test('is read in part, and by one path off its bytes', async (t) => {
    const raw = encode(fromPlain({ a: 1, b: { c: 'x', d: [1, { e: 2 }] }, f: null }))
    t.same(keys(decodeFields(raw, new Set(['f', 'a', 'zz']))), ['a', 'f'])
    t.same(
      [probe(raw, 'b.c'), probe(raw, 'b.x'), probe(raw, 'f'), probe(raw, 'a.b')],
      ['x', undefined, null, undefined]
    )
    t.same(probe(raw, 'b.d'), [1, new Map([['e', 2]])])
    t.equal(probe(raw, 'b.d.e'), CROSSES_ARRAY)
  })
})

t.test('the order of values', async (t) => {
  t.test('goes by type, then by value', async (t) => {
    const ascending: Value[] = [
      new bson.MinKey(),
      UNDEFINED,
      null,
      NaN,
      -Infinity,
      dec('-1E+400'),
      -5n,
      -1.5,
      0,
      dec('1E-400'),
      5e-324,
      double(1),
      1.5,
      2n ** 53n,
      2n ** 53n + 1n,
      2 ** 60,
      dec('1E+400'),
      Infinity,
      '',
      'a',
      'a\0',
      'b',
      '\uffee',
      '😀',
      new Map(),
      v({ a: 1 }),
      v({ a: 1, b: 1 }),
      v({ b: 1 }),
      v({ a: 'x' }),
      [],
      [1],
      [1, 2],
      [2],
      new bson.Binary(Buffer.from([255])),
      new bson.Binary(Buffer.from([0]), 4),
      new bson.Binary(Buffer.from([0, 0])),
      new bson.ObjectId('00'.repeat(12)),
      false,
      true,
      new Date(-1),
      new Date(1),
      new bson.Timestamp({ t: 1, i: 1 }),
      new bson.BSONRegExp('a'),
      new bson.MaxKey()
    ]
    for (let i = 1; i < ascending.length; i++) {
      t.equal(compareValues(ascending[i - 1], ascending[i]), -1, `place ${i}`)
      t.equal(compareValues(ascending[i], ascending[i - 1]), 1, `place ${i} turned`)
    }
  })
  t.test('takes numbers by their exact value across types', async (t) => {
    t.ok([double(1), 1n, dec('1'), dec('1.000')].every((one) => equalValues(one, 1)))
    t.notOk(equalValues(2 ** 53, 2n ** 53n + 1n))
    t.notOk(equalValues(0.1, dec('0.1')))
    t.ok(equalValues(0.5, dec('0.5')))
    t.ok(equalValues(-0, 0) && equalValues(NaN, dec('NaN')))
    t.notOk(identicalValues(double(1), 1))
  })
  t.test('is the order of the encoded keys, in both directions', async () => {
    const sign = (n: number) => Math.sign(n)
    fc.assert(
      fc.property(value, value, (a, b) => {
        const order = compareValues(a, b)
        const up = sign(Buffer.compare(encodeKey([a], [1]), encodeKey([b], [1])))
        const down = sign(Buffer.compare(encodeKey([a], [-1]), encodeKey([b], [-1])))
        return up === order && down === -order + 0
      }),
      { numRuns: 3000 }
    )
    fc.assert(
      fc.property(
        number,
        number,
        (a, b) => sign(Buffer.compare(encodeKey([a], [1]), encodeKey([b], [1]))) === compareValues(a, b)
      ),
      { numRuns: 4000 }
    )
    fc.assert(
      fc.property(fc.tuple(value, value), fc.tuple(value, value), (a, b) => {
        const order = compareValues(a[0], b[0]) || -compareValues(a[1], b[1])
        return sign(Buffer.compare(encodeKey(a, [1, -1]), encodeKey(b, [1, -1]))) === order + 0
      }),
      { numRuns: 1000 }
    )
  })
  t.test('is a total order', async () => {
    fc.assert(
      fc.property(
        value,
        value,
        value,
        (a, b, c) => !(compareValues(a, b) <= 0 && compareValues(b, c) <= 0) || compareValues(a, c) <= 0
      ),
      { numRuns: 1500 }
    )
  })
  t.test('of a sort takes the least of an array upwards and the greatest downwards', async (t) => {
    const one = fromPlain({ a: [5, 2, 9], b: 1 })
    t.same(compileSort(fromPlain({ a: 1 })).key(one), [2])
    t.same(compileSort(fromPlain({ a: -1, b: 1 })).key(one), [9, 1])
    t.same(compileSort(fromPlain({ x: 1 })).key(one), [null])
    t.throws(() => compileSort(fromPlain({ a: 2 })), { code: 15975 })
    t.throws(() => compileSort(fromPlain({ a: 1, c: 1 })).key(fromPlain({ a: [1], c: [1] })), { code: 2 })
  })
})

t.test('an index', async (t) => {
  const entries = (one: object, ...paths: string[]) => indexValues(fromPlain(one as Record<string, unknown>), paths)
  t.test('holds null for what is missing and undefined for an empty array', async (t) => {
    t.same(entries({ a: 1 }, 'a', 'b'), { tuples: [[1, null]], multikey: false })
    t.same(entries({ a: [] }, 'a'), { tuples: [[UNDEFINED]], multikey: true })
    t.same(entries({ a: [] }, 'a.b'), { tuples: [[null]], multikey: true })
  })
  t.test('holds one entry per distinct element, and walks documents in arrays together', async (t) => {
    t.same(entries({ a: [1, 2, 1], b: 'x' }, 'b', 'a').tuples, [
      ['x', 1],
      ['x', 2]
    ])
    t.same(entries({ a: [{ b: 1, c: 2 }, { b: 3 }] }, 'a.b', 'a.c').tuples, [
      [1, 2],
      [3, null]
    ])
    t.same(entries({ a: [[1, 2], 3] }, 'a').tuples, [[[1, 2]], [3]])
    t.same(entries({ a: [7, 8] }, 'a.1').tuples, [[8]])
    t.same(entries({ a: [{ b: [1, 2] }, { b: 3 }] }, 'a.b').tuples, [[1], [2], [3]])
  })
  t.test('refuses parallel arrays with code 171', async (t) => {
    t.throws(() => entries({ a: [1], b: [2] }, 'a', 'b'), { code: 171 })
  })
  t.test('cuts keys over its limit, keeps equal ones equal and says so', async (t) => {
    const long = 'x'.repeat(3000)
    const [one, same, other] = [long, long, `${long}y`].map((text) => encodeKey([text], [1])) as [
      Buffer,
      Buffer,
      Buffer
    ]
    t.equal(one.length, 1900)
    t.ok(isTruncated(one) && !isTruncated(encodeKey(['x'], [1])))
    t.equal(Buffer.compare(one, same), 0)
    t.not(Buffer.compare(one, other), 0)
    t.equal(encodeBound([long], [1], 'low').exact, false)
  })
  t.test('finds by range exactly what compares inside it', async () => {
    fc.assert(
      fc.property(
        scalar,
        scalar,
        scalar,
        fc.boolean(),
        fc.boolean(),
        fc.constantFrom<1 | -1>(1, -1),
        (low, high, one, lowOpen, highOpen, direction) => {
          const range = encodeRange(['p'], [1, direction], { low, lowOpen, high, highOpen })
          const key = Buffer.from([...encodeKey(['p', one], [1, direction]), 0, 0, 1])
          const inside = Buffer.compare(key, range.start) >= 0 && Buffer.compare(key, range.end) < 0
          const [fromLow, toHigh] = [compareValues(one, low), compareValues(one, high)]
          return inside === ((lowOpen ? fromLow > 0 : fromLow >= 0) && (highOpen ? toHigh < 0 : toHigh <= 0))
        }
      ),
      { numRuns: 1500 }
    )
  })
  t.test('finds by type bracket all of the type and nothing else', async (t) => {
    const range = encodeRange([], [1], { low: lowestOf(1), lowOpen: false, high: highestOf(1), highOpen: true })
    const inside = (one: Value) => {
      const key = encodeKey([one], [1])
      return Buffer.compare(key, range.start) >= 0 && Buffer.compare(key, range.end) < 0
    }
    t.ok([-Infinity, Infinity, 0, 5n, dec('1E+400')].every(inside))
    t.notOk([NaN, null, '', new Date(0)].some(inside))
  })
})

t.test('decimal arithmetic', async (t) => {
  const of = (one: decimal.Decimal) => decimal.toDecimal128(one).toString()
  const d = (text: string) => decimal.fromDecimal128(dec(text))
  t.equal(of(decimal.add(d('0.1'), d('0.2'))), '0.3')
  t.equal(of(decimal.multiply(d('1.10'), d('3'))), '3.30')
  t.equal(of(decimal.divide(d('1'), d('3'))), `0.${'3'.repeat(34)}`)
  t.equal(of(decimal.divide(d('6'), d('3'))), '2')
  t.equal(of(decimal.toPlace(d('2.5'), 0, 'half-even')), '2')
  t.equal(of(decimal.toPlace(d('-2.1'), 0, 'floor')), '-3')
  t.equal(of(decimal.remainder(d('7.5'), d('2'))), '1.5')
  t.equal(of(decimal.fromDouble(0.1)), '0.1')
  t.equal(of(decimal.add(d('Infinity'), d('-Infinity'))), 'NaN')
  fc.assert(
    fc.property(
      fc.bigInt({ min: -(10n ** 34n) + 1n, max: 10n ** 34n - 1n }),
      fc.integer({ min: -100, max: 100 }),
      (c, e) => {
        const written = dec(`${c}E${e}`)
        return (
          Buffer.compare(
            Buffer.from(decimal.toDecimal128(decimal.fromDecimal128(written)).bytes),
            Buffer.from(written.bytes)
          ) === 0
        )
      }
    ),
    { numRuns: 300 }
  )
})

import * as bson from 'bson'
import fc from 'fast-check'
import { UNDEFINED, double, Opaque } from '../../../server/embedded/bson/value.js'
import type { Doc, Value } from '../../../server/embedded/bson/value.js'

const dec = (text: string) => bson.Decimal128.fromString(text)
const bytes = (tag: number, value: Uint8Array) => new Opaque(tag, value)

function int32Text(text: string): Buffer {
  const raw = Buffer.from(`${text}\0`)
  const length = Buffer.alloc(4)
  length.writeInt32LE(raw.length)
  return Buffer.concat([length, raw])
}

/** Texts with what goes wrong easiest: NULs, the bytes around them, code points beyond 16 bits, and very long ones. */
export const text = fc.oneof(
  { weight: 8, arbitrary: fc.string({ unit: fc.constantFrom(...'ab\0\u0001\u0002\x7fé文\uffee😀'), maxLength: 6 }) },
  { weight: 1, arbitrary: fc.nat({ max: 3 }).map((n) => 'x'.repeat(1_880 + n * 7)) }
)

/** Numbers of all four types, crowded where they meet: around 0, 2^53, 2^63, and decimals beside doubles. */
export const number: fc.Arbitrary<Value> = fc.oneof(
  fc.constantFrom<Value>(0, -0, double(0), NaN, Infinity, -Infinity, 5e-324, -5e-324, Number.MAX_VALUE, 0.1, 1 / 3),
  fc
    .tuple(fc.constantFrom(2 ** 31, 2 ** 53, 2 ** 63, -(2 ** 53), -(2 ** 63)), fc.integer({ min: -3, max: 3 }))
    .map(([base, n]) => base + n)
    .map((n) => (Number.isInteger(n) ? double(n) : n)),
  fc
    .tuple(fc.constantFrom(0n, 2n ** 31n, 2n ** 53n, -(2n ** 53n), 2n ** 62n), fc.bigInt({ min: -3n, max: 3n }))
    .map(([base, n]) => base + n),
  fc.constantFrom<Value>(2n ** 63n - 1n, -(2n ** 63n)),
  fc
    .constantFrom('0', '-0', 'NaN', 'Infinity', '-Infinity', '1', '1.000', '0.1', '1E-6176', '9E+6144', '-1E+400')
    .map(dec),
  fc
    .tuple(fc.constantFrom('9007199254740992', '9223372036854775807', '0'), fc.constantFrom('', '.5', '.000001', '.10'))
    .map(([whole, rest]) => dec(whole + rest)),
  fc.double({ noNaN: true }).map((n) => dec(n.toPrecision(fc.hash(String(n)) % 2 ? 17 : 5))),
  fc.integer({ min: -5, max: 5 }),
  fc.integer({ min: -5, max: 5 }).map((n) => double(n)),
  fc.integer({ min: -50, max: 50 }).map((n) => n / 8),
  fc.double()
)

const opaque: fc.Arbitrary<Value> = fc.oneof(
  fc.constantFrom('a', 'b', 'ab').map((code) => bytes(13, int32Text(code))),
  fc.constantFrom('a', 'b\0', '文').map((symbol) => bytes(14, int32Text(symbol))),
  fc.constantFrom(0, 255).map((n) => bytes(12, Buffer.concat([int32Text('db.c'), Buffer.alloc(12, n)]))),
  fc.constantFrom(2n ** 62n, -(2n ** 62n), 8_640_000_000_000_001n).map((ms) => {
    const far = Buffer.alloc(8)
    far.writeBigInt64LE(ms)
    return bytes(9, far)
  })
)

const scalar: fc.Arbitrary<Value> = fc.oneof(
  { weight: 6, arbitrary: number },
  { weight: 4, arbitrary: text },
  {
    weight: 3,
    arbitrary: fc.constantFrom<Value>(null, null, true, false, UNDEFINED, new bson.MinKey(), new bson.MaxKey())
  },
  fc.constantFrom(-1, 0, 1, 4294967295, 4294967296, -4294967297, 8.64e15, -8.64e15).map((ms) => new Date(ms)),
  fc.constantFrom('00', '7f', 'ff').map((byte) => new bson.ObjectId(byte.repeat(12))),
  fc
    .tuple(fc.uint8Array({ maxLength: 3, max: 2 }), fc.constantFrom(0, 3, 4, 5, 128))
    .map(([value, subtype]) => new bson.Binary(value, subtype)),
  fc.tuple(fc.constantFrom(0, 1, 4294967295), fc.constantFrom(0, 7)).map(([high, low]) => {
    return new bson.Timestamp({ t: high, i: low })
  }),
  fc.constantFrom(['a', ''], ['a', 'i'], ['ab', ''], ['', 'm']).map(([p, o]) => new bson.BSONRegExp(p, o)),
  opaque
)
const name = fc.constantFrom('a', 'b', 'aa', '0', '1', '10', '__proto__', 'é', '')

/** A value of any type BSON has, nested up to three levels. */
export const value: fc.Arbitrary<Value> = fc.letrec<{ value: Value }>((tie) => ({
  value: fc.oneof(
    { maxDepth: 3, withCrossShrink: true },
    { weight: 6, arbitrary: scalar },
    fc.array(tie('value'), { maxLength: 3 }),
    fc.array(fc.tuple(name, tie('value')), { maxLength: 3 }).map((fields): Doc => new Map(fields))
  )
})).value

/** A document of such values, its `_id` first. */
export const document = fc
  .array(fc.tuple(fc.constantFrom('a', 'b', 'c', 'd', 'e', '__proto__', '文'), value), { maxLength: 6 })
  .map((fields): Doc => new Map<string, Value>([['_id', 1], ...fields]))

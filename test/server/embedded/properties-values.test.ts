import type * as bson from 'bson'
import fc from 'fast-check'
import t from 'tap'
import { compareValues, identicalValues } from '../../../server/embedded/bson/compare.js'
import {
  decode,
  decodeFields,
  decodePart,
  encode,
  encodeChanges,
  fromPlain
} from '../../../server/embedded/bson/document.js'
import { MongoError } from '../../../server/embedded/bson/errors.js'
import { encodeKey, isTruncated } from '../../../server/embedded/bson/keys.js'
import { compileUpdate } from '../../../server/embedded/bson/update.js'
import { double, Opaque, typeTag } from '../../../server/embedded/bson/value.js'
import type { Doc, Value } from '../../../server/embedded/bson/value.js'
import { document, number, value } from './properties-values.js'

const SEED = 20_240_331

// BSON's order once more, written from its description alone: types first, numbers as fractions of whole numbers.
const RANKS: Record<number, number> = {
  ...{ [-1]: 0, 6: 1, 10: 2, 1: 3, 16: 3, 18: 3, 19: 3, 2: 4, 14: 4, 3: 5, 4: 6, 5: 7, 7: 8, 8: 9, 9: 10, 17: 11 },
  ...{ 11: 12, 12: 13, 13: 14, 15: 15, 127: 16 }
}
type Fraction = { over: bigint; under: bigint } | 'nan' | 'infinite' | '-infinite'

function fraction(value: Value): Fraction {
  if (typeof value === 'bigint') return { over: value, under: 1n }
  const plain = typeof value === 'number' ? value : typeTag(value) === 1 ? (value as bson.Double).value : String(value)
  if (typeof plain === 'string') {
    if (plain === 'NaN') return 'nan'
    if (plain.endsWith('Infinity')) return plain.startsWith('-') ? '-infinite' : 'infinite'
    const [, sign, whole, rest = '', exponent = '0'] = /^(-?)(\d+)(?:\.(\d+))?(?:E([+-]?\d+))?$/.exec(plain)!
    const digits = BigInt(`${sign}${whole}${rest}`)
    const power = Number(exponent) - rest.length
    return power >= 0
      ? { over: digits * 10n ** BigInt(power), under: 1n }
      : { over: digits, under: 10n ** BigInt(-power) }
  }
  if (Number.isNaN(plain)) return 'nan'
  if (!Number.isFinite(plain)) return plain < 0 ? '-infinite' : 'infinite'
  let [over, under] = [plain, 1n]
  while (!Number.isInteger(over)) {
    over *= 2
    under *= 2n
  }
  return { over: BigInt(over), under }
}

function orderOfFractions(a: Fraction, b: Fraction): number {
  const place = (one: Fraction) =>
    ['nan', '-infinite', undefined, 'infinite'].indexOf(typeof one === 'string' ? one : undefined)
  if (typeof a === 'string' || typeof b === 'string') return Math.sign(place(a) - place(b))
  const difference = a.over * b.under - b.over * a.under
  return difference < 0n ? -1 : difference > 0n ? 1 : 0
}

const utf8 = (a: string, b: string) => Buffer.compare(Buffer.from(a), Buffer.from(b))
const rank = (value: Value) => RANKS[typeTag(value)]
const inOrder = (...steps: (() => number)[]) => steps.reduce((order, step) => order || step(), 0)
const textOf = (one: Value) =>
  one instanceof Opaque ? Buffer.from(one.bytes).toString('utf8', 4).slice(0, -1) : String(one)
const millis = (one: Value) =>
  one instanceof Opaque ? Buffer.from(one.bytes).readBigInt64LE() : BigInt((one as Date).getTime())

function reference(a: Value, b: Value): number {
  if (rank(a) !== rank(b)) return Math.sign(rank(a) - rank(b))
  switch (rank(a)) {
    case 3:
      return orderOfFractions(fraction(a), fraction(b))
    case 4:
      return utf8(textOf(a), textOf(b))
    case 5: {
      const [x, y] = [[...(a as Doc)], [...(b as Doc)]]
      for (let i = 0; i < Math.min(x.length, y.length); i++) {
        const [[nameA, valueA], [nameB, valueB]] = [x[i], y[i]]
        const order = inOrder(
          () => Math.sign(rank(valueA) - rank(valueB)),
          () => utf8(nameA, nameB),
          () => reference(valueA, valueB)
        )
        if (order !== 0) return order
      }
      return Math.sign(x.length - y.length)
    }
    case 6: {
      const [x, y] = [a as Value[], b as Value[]]
      for (let i = 0; i < Math.min(x.length, y.length); i++) {
        const order = reference(x[i], y[i])
        if (order !== 0) return order
      }
      return Math.sign(x.length - y.length)
    }
    case 7: {
      const [x, y] = [a as bson.Binary, b as bson.Binary]
      return inOrder(
        () => Math.sign(x.length() - y.length()),
        () => Math.sign(x.sub_type - y.sub_type),
        () => Buffer.compare(x.value(), y.value())
      )
    }
    case 8:
      return utf8((a as bson.ObjectId).toHexString(), (b as bson.ObjectId).toHexString())
    case 9:
      return Number(a) - Number(b)
    case 10:
      return millis(a) < millis(b) ? -1 : millis(a) > millis(b) ? 1 : 0
    case 11: {
      const [x, y] = [a as bson.Timestamp, b as bson.Timestamp]
      return Math.sign(x.t - y.t || x.i - y.i)
    }
    case 12: {
      const [x, y] = [a as bson.BSONRegExp, b as bson.BSONRegExp]
      return utf8(x.pattern, y.pattern) || utf8(x.options, y.options)
    }
    case 13:
    case 14: {
      const [x, y] = [(a as Opaque).bytes, (b as Opaque).bytes]
      return Math.sign(x.length - y.length) || Buffer.compare(x, y)
    }
    default:
      return 0
  }
}

t.test('the order of values', async (t) => {
  const check = (of: fc.Arbitrary<Value>, numRuns: number) =>
    fc.assert(
      fc.property(of, of, (a, b) => {
        const order = compareValues(a, b)
        if (order !== reference(a, b) || compareValues(b, a) !== 0 - order) return false
        for (const direction of [1, -1] as const) {
          const [x, y] = [encodeKey([a], [direction]), encodeKey([b], [direction])]
          const found = Buffer.compare(x, y)
          // Cut keys tell what is equal, and no more.
          if (isTruncated(x) || isTruncated(y) ? (found === 0) !== (order === 0) : found !== direction * order + 0)
            return false
        }
        return true
      }),
      { numRuns, seed: SEED }
    )
  t.test('is BSON’s, and that of their keys, upward and downward', async () => check(value, 6_000))
  t.test('is exact for numbers of different types', async () => check(number, 8_000))
  t.test('of several together is that of their key, in any mix of directions', async () => {
    const direction = fc.constantFrom<1 | -1>(1, -1)
    fc.assert(
      fc.property(
        fc.array(direction, { minLength: 2, maxLength: 3 }),
        fc.array(value, { minLength: 6, maxLength: 6 }),
        fc.nat({ max: 2 }),
        (directions, values, same) => {
          const a = values.slice(0, directions.length)
          // The first fields alike, so that the later ones decide.
          const b = values.slice(3, 3 + directions.length).map((one, i) => (i < same ? a[i] : one))
          const order = a.reduce<number>((before, one, i) => before || directions[i] * compareValues(one, b[i]), 0)
          const [x, y] = [encodeKey(a, directions), encodeKey(b, directions)]
          if (isTruncated(x) || isTruncated(y)) return Buffer.compare(x, y) === 0 ? order === 0 : order !== 0
          return Buffer.compare(x, y) === order + 0
        }
      ),
      { numRuns: 4_000, seed: SEED }
    )
  })
})

// Updates: of any operator with operands of any type, on paths that are there, or not, or lead through arrays.
const path = fc.constantFrom('a', 'b', 'c', 'a.b', 'b.0', 'c.a', 'd.1.a', 'new', 'new.deep', 'e.$[]', '__proto__', '文')
const fieldsOf = (operand: fc.Arbitrary<Value>) =>
  fc.array(fc.tuple(path, operand), { minLength: 1, maxLength: 3 }).map((fields): Doc => new Map(fields))
const operation: fc.Arbitrary<[string, Doc]> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.tuple(fc.constant('$set'), fieldsOf(fc.oneof(value, fc.constantFrom<Value>(null, false))))
  },
  fc.tuple(fc.constantFrom('$max', '$min', '$push', '$addToSet', '$pull', '$setOnInsert'), fieldsOf(value)),
  fc.tuple(fc.constantFrom('$inc', '$mul'), fieldsOf(number)),
  fc.tuple(fc.constant('$unset'), fieldsOf(fc.constant(''))),
  fc.tuple(fc.constant('$pop'), fieldsOf(fc.constantFrom<Value>(1, -1))),
  fc.tuple(fc.constant('$rename'), fieldsOf(fc.constantFrom<Value>('a', 'b', 'renamed', 'c.x'))),
  fc.tuple(fc.constant('$bit'), fieldsOf(fc.constant<Value>(new Map([['or', 5]])))),
  fc.tuple(fc.constant('$currentDate'), fieldsOf(fc.constant(true)))
)
const update = fc.array(operation, { minLength: 1, maxLength: 2 }).map((operations): Doc => new Map(operations))

/** The bytes of each top-level field of a document, by its name. */
function elements(raw: Uint8Array): Map<string, string> {
  const { places } = decodePart(raw, new Set(decode(raw).keys()))!
  const names = [...decode(raw).keys()]
  return new Map(
    names.map((name, i) => [name, Buffer.from(raw.subarray(places[2 * i], places[2 * i + 1])).toString('hex')])
  )
}

t.test('an update patched into the bytes', async (t) => {
  t.test('is that of the whole document, and leaves every other byte alone', async (t) => {
    let changed = 0
    let refused = 0
    fc.assert(
      fc.property(document, update, (doc, operations) => {
        const raw = encode(doc)
        const outcome = (work: () => Uint8Array | null) => {
          try {
            return work()
          } catch (error) {
            if (error instanceof MongoError) return error.code
            throw error
          }
        }
        const compiled = outcome(() => (compileUpdate(operations, { now: new Date(5) }), null))
        if (typeof compiled === 'number') return true
        const updater = compileUpdate(operations, { now: new Date(5) })
        const whole = outcome(() => {
          const { doc: after } = updater.apply(decode(raw))
          return encode(after)
        })
        const patched = outcome(() => {
          const part = decodePart(raw, new Set(updater.fields!))!
          const { doc: after } = updater.apply(part.doc)
          return encodeChanges(raw, part, after)
        })
        if (typeof whole === 'number' || typeof patched === 'number') {
          refused++
          return whole === patched
        }
        if (Buffer.compare(whole!, patched!) !== 0) return false
        if (Buffer.compare(raw, whole!) !== 0) changed++
        const [before, after] = [elements(raw), elements(whole!)]
        return [...before].every(([name, bytes]) => updater.fields!.includes(name) || after.get(name) === bytes)
      }),
      { numRuns: 4_000, seed: SEED }
    )
    t.ok(changed > 500 && refused > 200, `${changed} changed, ${refused} refused`)
  })

  t.test('keeps a number’s type', async (t) => {
    const whole = double(2)
    const one: Doc = new Map<string, Value>([
      ['_id', double(1)],
      ['double', whole],
      ['long', 5n],
      ['list', [double(3), 4n, 5]],
      ['deep', new Map<string, Value>([['double', double(7)]])]
    ])
    const { doc } = compileUpdate(fromPlain({ $set: { 'deep.x': 1, 'list.2': 9 }, $inc: { long: 1, double: 1 } }), {
      now: new Date(0)
    }).apply(one)
    const tags = (value: Value): unknown =>
      value instanceof Map ? [...value.values()].map(tags) : Array.isArray(value) ? value.map(tags) : typeTag(value)
    t.same(tags(decode(encode(doc))), [1, 1, 18, [1, 18, 16], [1, 16]])
  })

  t.test('and what is read in part is what is there', async () => {
    fc.assert(
      fc.property(document, fc.subarray(['_id', 'a', 'b', 'c', '__proto__', '文', 'z']), (doc, names) => {
        const part = decodeFields(encode(doc), new Set(names))
        const wanted = new Map([...doc].filter(([name]) => names.includes(name)))
        return identicalValues(part, wanted)
      }),
      { numRuns: 500, seed: SEED }
    )
  })
})

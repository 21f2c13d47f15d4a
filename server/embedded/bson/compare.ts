import { compareDecimals, compareDecimalToDouble, fromBigInt, fromDecimal128 } from './decimal.js'
import { asBuffer } from './document.js'
import { Binary, BSONRegExp, Decimal128, Double, isNumber, ObjectId, Opaque, Timestamp, typeTag } from './value.js'
import type { Doc, Value } from './value.js'

// Canonical order of BSON types (MongoDB manual, "Comparison/Sort Order"); types of one rank compare with each other.
const RANKS: Record<number, number> = {
  [-1]: 1,
  0: 2,
  6: 2,
  10: 3,
  1: 4,
  16: 4,
  18: 4,
  19: 4,
  2: 5,
  14: 5,
  3: 6,
  4: 7,
  5: 8,
  7: 9,
  8: 10,
  9: 11,
  17: 12,
  11: 13,
  12: 14,
  13: 15,
  15: 16,
  127: 17
}

/** The place of a value's type in BSON's order, 1 (MinKey) to 17 (MaxKey); missing ranks as undefined, below null. */
export function typeRank(value: Value | undefined): number {
  if (typeof value === 'string') return 5
  if (typeof value === 'number') return 4
  return RANKS[typeTag(value)]!
}

const isNaNValue = (value: number | bigint | Decimal128) =>
  typeof value === 'number' ? Number.isNaN(value) : value instanceof Decimal128 && fromDecimal128(value).kind === 'nan'

/** Order of two numbers of any BSON types by exact value; NaN is lowest and equal to itself, -0 equals 0. */
export function compareNumbers(
  x: number | bigint | Double | Decimal128,
  y: number | bigint | Double | Decimal128
): number {
  const a = x instanceof Double ? x.value : x
  const b = y instanceof Double ? y.value : y
  if (typeof a === 'number' && typeof b === 'number') {
    if (a < b) return -1
    if (a > b) return 1
    if (a === b) return 0
  }
  if (isNaNValue(a)) return isNaNValue(b) ? 0 : -1
  if (isNaNValue(b)) return 1
  if (a instanceof Decimal128) {
    const decimal = fromDecimal128(a)
    if (b instanceof Decimal128) return compareDecimals(decimal, fromDecimal128(b))
    if (typeof b === 'bigint') return compareDecimals(decimal, fromBigInt(b))
    return compareDecimalToDouble(decimal, b)
  }
  if (b instanceof Decimal128) {
    const decimal = fromDecimal128(b)
    return typeof a === 'bigint' ? compareDecimals(fromBigInt(a), decimal) : -compareDecimalToDouble(decimal, a) || 0
  }
  return a < b ? -1 : a > b ? 1 : 0
}

/** Order of two strings by their UTF-8 bytes (which is code point order; JavaScript's own order is by UTF-16 units). */
export function compareStrings(a: string, b: string): number {
  const length = Math.min(a.length, b.length)
  for (let i = 0; i < length; i++) {
    const x = a.charCodeAt(i)
    const y = b.charCodeAt(i)
    if (x !== y) {
      if (x < 0xd800 || y < 0xd800) return x < y ? -1 : 1
      // surrogates (astral code points) sort after U+E000..U+FFFF
      const left = x >= 0xe000 ? x - 0x800 : x + 0x2000
      const right = y >= 0xe000 ? y - 0x800 : y + 0x2000
      return left < right ? -1 : 1
    }
  }
  return Math.sign(a.length - b.length)
}

/** The text of a string or symbol. */
export const textOf = (value: Value): string =>
  typeof value === 'string'
    ? value
    : asBuffer((value as Opaque).bytes).toString('utf8', 4, (value as Opaque).bytes.length - 1)

/** Milliseconds of a date; a bigint only beyond JavaScript's range. */
export const millisOf = (value: Date | Opaque): number | bigint =>
  value instanceof Date ? value.getTime() : asBuffer(value.bytes).readBigInt64LE(0)

const bytesOrder = (a: Uint8Array, b: Uint8Array) => Buffer.compare(a, b)

function compareDocs(a: Doc, b: Doc): number {
  const left = a.entries()
  const right = b.entries()
  for (;;) {
    const x = left.next()
    const y = right.next()
    if (x.done === true) return y.done === true ? 0 : -1
    if (y.done === true) return 1
    const [nameA, valueA] = x.value
    const [nameB, valueB] = y.value
    const order = typeRank(valueA) - typeRank(valueB) || compareStrings(nameA, nameB) || compareValues(valueA, valueB)
    if (order !== 0) return order < 0 ? -1 : 1
  }
}

function compareArrays(a: Value[], b: Value[]): number {
  const length = Math.min(a.length, b.length)
  for (let i = 0; i < length; i++) {
    const order = compareValues(a[i], b[i])
    if (order !== 0) return order
  }
  return Math.sign(a.length - b.length)
}

/**
 * BSON order of two values across all types: -1, 0 or 1. Missing (`undefined`) ranks with BSON's undefined, below null;
 * indexes and sorts turn missing into null before they compare.
 */
export function compareValues(a: Value | undefined, b: Value | undefined): number {
  if (a === b && typeof a !== 'number') return 0
  const rank = typeRank(a)
  const other = typeRank(b)
  if (rank !== other) return rank < other ? -1 : 1
  switch (rank) {
    case 4:
      return compareNumbers(a as number, b as number)
    case 5:
      return compareStrings(textOf(a!), textOf(b!))
    case 6:
      return compareDocs(a as Doc, b as Doc)
    case 7:
      return compareArrays(a as Value[], b as Value[])
    case 8: {
      const [x, y] = [a as Binary, b as Binary]
      const order = x.length() - y.length() || x.sub_type - y.sub_type || bytesOrder(x.value(), y.value())
      return Math.sign(order)
    }
    case 9:
      return bytesOrder((a as ObjectId).id, (b as ObjectId).id)
    case 10:
      return Number(a) - Number(b)
    case 11: {
      const [x, y] = [millisOf(a as Date), millisOf(b as Date)]
      return x < y ? -1 : x > y ? 1 : 0
    }
    case 12: {
      const [x, y] = [a as Timestamp, b as Timestamp]
      return Math.sign(x.t - y.t || x.i - y.i)
    }
    case 13: {
      const [x, y] = [a as BSONRegExp, b as BSONRegExp]
      return compareStrings(x.pattern, y.pattern) || compareStrings(x.options, y.options)
    }
    case 14:
    case 15:
    case 16: {
      const [x, y] = [(a as Opaque).bytes, (b as Opaque).bytes]
      return Math.sign(x.length - y.length || bytesOrder(x, y))
    }
    default:
      return 0
  }
}

/** Whether two values are equal in BSON's order (1 equals 1.0, field order matters). */
export const equalValues = (a: Value | undefined, b: Value | undefined): boolean => compareValues(a, b) === 0

/** Whether two values would be stored as the same bytes: equal, with equal types everywhere inside. */
export function identicalValues(a: Value | undefined, b: Value | undefined): boolean {
  if (a === b) return !(typeof a === 'number' && a === 0) || Object.is(a, b)
  if (typeTag(a) !== typeTag(b)) return false
  if (a instanceof Map) {
    const other = b as Doc
    if (a.size !== other.size) return false
    const right = other.entries()
    for (const [name, value] of a) {
      const [otherName, otherValue] = right.next().value as [string, Value]
      if (name !== otherName || !identicalValues(value, otherValue)) return false
    }
    return true
  }
  if (Array.isArray(a))
    return a.length === (b as Value[]).length && a.every((item, i) => identicalValues(item, (b as Value[])[i]))
  if (isNumber(a)) {
    if (a instanceof Decimal128) return bytesOrder(a.bytes, (b as Decimal128).bytes) === 0
    const [x, y] = [a instanceof Double ? a.value : a, b instanceof Double ? b.value : (b as number)]
    return Object.is(x, y)
  }
  return compareValues(a, b) === 0
}

import * as decimal from './decimal.js'
import { Decimal128, Double, double, integer } from './value.js'

/** The four number types. */
export type Numeric = number | bigint | Double | Decimal128

const MAX_LONG = 2n ** 63n - 1n
const MIN_LONG = -(2n ** 63n)
const isLong = (n: bigint) => n >= MIN_LONG && n <= MAX_LONG

/** Whether a number is stored as int32 or int64. */
export const isIntegral = (n: Numeric): n is number | bigint =>
  typeof n === 'bigint' || (typeof n === 'number' && (n | 0) === n && !Object.is(n, -0))

/** A number of any type as a decimal; doubles by their first 15 digits, as MongoDB mixes them. */
export function asDecimal(n: Numeric): decimal.Decimal {
  if (n instanceof Decimal128) return decimal.fromDecimal128(n)
  if (typeof n === 'bigint') return decimal.fromBigInt(n)
  const plain = n instanceof Double ? n.value : n
  return isIntegral(plain) ? decimal.fromBigInt(BigInt(plain)) : decimal.fromDouble(plain)
}

/** A number that is no Decimal128 as a JavaScript double. */
export const asDouble = (n: Exclude<Numeric, Decimal128>): number =>
  typeof n === 'number' ? n : typeof n === 'bigint' ? Number(n) : n.value

function combine(
  a: Numeric,
  b: Numeric,
  ints: (x: bigint, y: bigint) => bigint,
  doubles: (x: number, y: number) => number,
  decimals: (x: decimal.Decimal, y: decimal.Decimal) => decimal.Decimal
): Numeric | undefined {
  if (a instanceof Decimal128 || b instanceof Decimal128)
    return decimal.toDecimal128(decimals(asDecimal(a), asDecimal(b)))
  if (!isIntegral(a) || !isIntegral(b)) return double(doubles(asDouble(a), asDouble(b)))
  if (typeof a === 'number' && typeof b === 'number') {
    const quick = doubles(a, b)
    if (Number.isSafeInteger(quick)) return integer(quick)
  }
  const exact = ints(BigInt(a), BigInt(b))
  if (!isLong(exact)) return undefined
  return typeof a === 'bigint' || typeof b === 'bigint' ? exact : integer(exact)
}

/**
 * Sum by MongoDB's type rules: decimal beats double beats int64 beats int32; int32 overflows to int64.
 * Undefined when int64 overflows: updates refuse, expressions turn to double.
 */
export const addNumbers = (a: Numeric, b: Numeric): Numeric | undefined =>
  combine(
    a,
    b,
    (x, y) => x + y,
    (x, y) => x + y,
    decimal.add
  )

/** Difference, by the same rules. */
export const subtractNumbers = (a: Numeric, b: Numeric): Numeric | undefined =>
  combine(
    a,
    b,
    (x, y) => x - y,
    (x, y) => x - y,
    (x, y) => decimal.add(x, decimal.negate(y))
  )

/** Product, by the same rules. */
export const multiplyNumbers = (a: Numeric, b: Numeric): Numeric | undefined =>
  combine(
    a,
    b,
    (x, y) => x * y,
    (x, y) => x * y,
    decimal.multiply
  )

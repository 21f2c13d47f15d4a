import { asDecimal, asDouble, isIntegral, type Numeric } from '../bson/arithmetic.js'
import * as decimal from '../bson/decimal.js'
import { MongoError } from '../bson/errors.js'
import {
  Binary,
  Decimal128,
  Double,
  double,
  isNumber,
  isTruthy,
  ObjectId,
  Timestamp,
  toNumber,
  toInteger,
  typeName,
  TYPE_NAMES,
  type Value
} from '../bson/value.js'
import { isoText, parseDate } from './date-text.js'
import { isNullish, namedOf, unary, type Operators } from './expression-kit.js'
import type { Scope } from './scope.js'
import { UTC } from './zones.js'

const failed = (why: string) => new MongoError(241, `${why} in $convert with no onError value`)
const unsupported = (value: Value, to: string) => failed(`Unsupported conversion from ${typeName(value)} to ${to}`)

/** A number as MongoDB prints it: no trailing zeros, whole doubles without a point. */
export function numberText(value: Numeric): string {
  if (value instanceof Decimal128) return value.toString()
  const n = value instanceof Double ? value.value : value
  if (typeof n === 'number' && (Number.isNaN(n) || !Number.isFinite(n)))
    return Number.isNaN(n) ? 'NaN' : n < 0 ? '-Infinity' : 'Infinity'
  return Object.is(n, -0) ? '-0' : String(n)
}

function toWhole(value: Value, to: 'int' | 'long'): Value {
  const [low, high] = to === 'int' ? [-(2n ** 31n), 2n ** 31n - 1n] : [-(2n ** 63n), 2n ** 63n - 1n]
  let exact: bigint
  if (typeof value === 'boolean') exact = value ? 1n : 0n
  else if (typeof value === 'string') {
    if (!/^[+-]?\d+$/.test(value)) throw failed(`Failed to parse number '${value}'`)
    exact = BigInt(value.replace(/^\+/, ''))
  } else if (value instanceof Date && to === 'long') exact = BigInt(value.getTime())
  else if (isNumber(value)) {
    if (value instanceof Decimal128) {
      const whole = decimal.toPlace(asDecimal(value), 0, 'truncate')
      if (whole.kind !== 'finite' || whole.exponent > 40)
        throw failed('Attempt to convert NaN, infinity or a too large value to integer')
      exact = (whole.negative ? -1n : 1n) * whole.coefficient * decimal.pow10(Math.max(0, whole.exponent))
    } else if (isIntegral(value)) exact = BigInt(value)
    else {
      const n = asDouble(value)
      if (!Number.isFinite(n))
        throw failed(`Attempt to convert ${Number.isNaN(n) ? 'NaN' : 'infinity'} value to integer type`)
      exact = BigInt(Math.trunc(n))
    }
  } else throw unsupported(value, to)
  if (exact < low || exact > high) throw failed(`Conversion would overflow target type`)
  return to === 'int' ? Number(exact) : exact
}

function toFloat(value: Value): Value {
  if (typeof value === 'boolean') return double(value ? 1 : 0)
  if (value instanceof Date) return double(value.getTime())
  if (isNumber(value)) {
    const n = toNumber(value)
    if (value instanceof Decimal128 && !Number.isFinite(n) && asDecimal(value).kind === 'finite')
      throw failed('Conversion would overflow target type')
    return double(n)
  }
  if (typeof value !== 'string') throw unsupported(value, 'double')
  if (!/^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i.test(value)) {
    if (/^[+-]?(inf|infinity|nan)$/i.test(value))
      return /nan/i.test(value) ? NaN : value.startsWith('-') ? -Infinity : Infinity
    throw failed(`Failed to parse number '${value}'`)
  }
  return double(Number(value))
}

// A double counts for 15 significant digits, and MongoDB writes them all: 2.5 is 2.50000000000000.
function to15Digits(value: decimal.Decimal): decimal.Decimal {
  if (value.kind !== 'finite' || value.coefficient === 0n) return value
  const places = 15 - decimal.digits(value.coefficient)
  if (places <= 0) return value
  return { ...value, coefficient: value.coefficient * decimal.pow10(places), exponent: value.exponent - places }
}

function toDecimal(value: Value): Value {
  if (typeof value === 'boolean') return decimal.toDecimal128(decimal.fromBigInt(value ? 1n : 0n))
  if (value instanceof Date) return decimal.toDecimal128(decimal.fromBigInt(BigInt(value.getTime())))
  if (isNumber(value)) {
    if (value instanceof Decimal128) return value
    return decimal.toDecimal128(isIntegral(value) ? asDecimal(value) : to15Digits(decimal.fromDouble(asDouble(value))))
  }
  if (typeof value !== 'string') throw unsupported(value, 'decimal')
  const parsed = decimal.parse(value)
  if (parsed.kind === 'nan' && !/^[+-]?nan$/i.test(value)) throw failed(`Failed to parse number '${value}'`)
  return decimal.toDecimal128(parsed)
}

function toText(value: Value): Value {
  if (typeof value === 'string') return value
  if (typeof value === 'boolean') return String(value)
  if (isNumber(value)) return numberText(value)
  if (value instanceof Date) return isoText(value.getTime())
  if (value instanceof ObjectId) return value.toHexString()
  throw unsupported(value, 'string')
}

function toDate(value: Value): Value {
  let ms: number
  if (value instanceof Date) return value
  if (value instanceof ObjectId) ms = value.getTimestamp().getTime()
  else if (value instanceof Timestamp) ms = value.t * 1000
  else if (typeof value === 'string') ms = parseDate(value, UTC)
  else if (isNumber(value) && typeName(value) !== 'int') ms = Math.trunc(toNumber(value))
  else throw unsupported(value, 'date')
  const date = new Date(ms)
  if (Number.isNaN(date.getTime())) throw failed('Conversion would overflow target type')
  return date
}

function toObjectId(value: Value): Value {
  if (value instanceof ObjectId) return value
  if (typeof value !== 'string') throw unsupported(value, 'objectId')
  if (!/^[0-9a-fA-F]{24}$/.test(value))
    throw failed(
      value.length === 24
        ? `Failed to parse objectId '${value}' in $convert with no onError value: Invalid character found in hex string`
        : `Failed to parse objectId '${value}' in $convert with no onError value: Invalid string length for parsing to OID, expected 24 but found ${value.length}`
    )
  return new ObjectId(value)
}

function toUuid(value: Value): Value {
  if (value instanceof Binary) return value
  if (typeof value !== 'string' || !/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i.test(value))
    throw failed(`Invalid UUID string`)
  return new Binary(Buffer.from(value.replaceAll('-', ''), 'hex'), 4)
}

const toBool = (value: Value): Value => isTruthy(value)

const CONVERSIONS = new Map<number, (value: Value) => Value>([
  [1, toFloat],
  [2, toText],
  [5, toUuid],
  [7, toObjectId],
  [8, toBool],
  [9, toDate],
  [16, (value) => toWhole(value, 'int')],
  [18, (value) => toWhole(value, 'long')],
  [19, toDecimal]
])

const converting = (apply: (value: Value) => Value) => unary((value) => (isNullish(value) ? null : apply(value)))

/** Conversions between types, and questions about them. */
export const convertOperators: Operators = {
  $toInt: converting((value) => toWhole(value, 'int')),
  $toLong: converting((value) => toWhole(value, 'long')),
  $toDouble: converting(toFloat),
  $toDecimal: converting(toDecimal),
  $toString: converting(toText),
  $toBool: converting(toBool),
  $toDate: converting(toDate),
  $toObjectId: converting(toObjectId),
  $toUUID: converting(toUuid),
  $type: unary((value) => typeName(value)),
  $isNumber: unary((value) => isNumber(value)),
  $convert: (operand, compiler, name) => {
    const { input, to, onError, onNull } = namedOf(operand, compiler, name, ['input', 'to'], ['onError', 'onNull'])
    const target = (scope: Scope) => {
      const given = to!(scope)
      if (isNullish(given)) return undefined
      const tag =
        typeof given === 'string' ? [...TYPE_NAMES].find(([, alias]) => alias === given)?.[0] : toInteger(given)
      const conversion = tag === undefined ? undefined : CONVERSIONS.get(tag)
      if (conversion === undefined)
        throw new MongoError(9, `$convert's 'to' argument is not a type this store converts to`)
      return conversion
    }
    return (scope) => {
      const value = input!(scope)
      const conversion = target(scope)
      if (isNullish(value)) return onNull === undefined ? null : onNull(scope)
      if (conversion === undefined) return null
      try {
        return conversion(value)
      } catch (error) {
        if (onError !== undefined && error instanceof MongoError && error.code === 241) return onError(scope)
        throw error
      }
    }
  }
}

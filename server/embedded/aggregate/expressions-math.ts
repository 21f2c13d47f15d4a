import {
  addNumbers,
  asDecimal,
  asDouble,
  isIntegral,
  multiplyNumbers,
  subtractNumbers,
  type Numeric
} from '../bson/arithmetic.js'
import { compareValues } from '../bson/compare.js'
import * as decimal from '../bson/decimal.js'
import { badValue, MongoError, typeMismatch } from '../bson/errors.js'
import { Decimal128, double, integer, isNumber, toInteger, toNumber, typeName, type Value } from '../bson/value.js'
import { binary, isNullish, unary, variadic, type Operator, type Operators } from './expression-kit.js'

const orDouble = (
  result: Numeric | undefined,
  a: Numeric,
  b: Numeric,
  apply: (x: number, y: number) => number
): Numeric => result ?? double(apply(toNumber(a), toNumber(b)))

/** Sum for expressions and accumulators: an int64 overflow becomes a double. */
export const plus = (a: Numeric, b: Numeric): Numeric => orDouble(addNumbers(a, b), a, b, (x, y) => x + y)

function dateFrom(ms: number): Date {
  const date = new Date(Math.round(ms))
  if (Number.isNaN(date.getTime())) throw new MongoError(15, 'date overflow')
  return date
}

const add = variadic((values) => {
  let sum: Numeric = 0
  let date: Date | undefined
  for (const value of values) {
    if (isNullish(value)) return null
    if (value instanceof Date) {
      if (date !== undefined) throw new MongoError(16612, 'only one date allowed in an $add expression')
      date = value
    } else if (isNumber(value)) sum = plus(sum, value)
    else throw typeMismatch(`$add only supports numeric or date types, not ${typeName(value)}`)
  }
  return date === undefined ? sum : dateFrom(date.getTime() + toNumber(sum))
})

const subtract = binary((a, b) => {
  if (isNullish(a) || isNullish(b)) return null
  if (isNumber(a) && isNumber(b)) return orDouble(subtractNumbers(a, b), a, b, (x, y) => x - y)
  if (a instanceof Date && b instanceof Date) return BigInt(a.getTime() - b.getTime())
  if (a instanceof Date && isNumber(b)) return dateFrom(a.getTime() - toNumber(b))
  throw typeMismatch(`can't $subtract ${typeName(b)} from ${typeName(a)}`)
})

const multiply = variadic((values) => {
  let product: Numeric = 1
  let none = false
  for (const value of values) {
    if (isNullish(value)) none = true
    else if (isNumber(value)) product = orDouble(multiplyNumbers(product, value), product, value, (x, y) => x * y)
    else throw typeMismatch(`$multiply only supports numeric types, not ${typeName(value)}`)
  }
  return none ? null : product
})

const divide = binary((a, b) => {
  if (isNullish(a) || isNullish(b)) return null
  if (!isNumber(a) || !isNumber(b))
    throw typeMismatch(`$divide only supports numeric types, not ${typeName(a)} and ${typeName(b)}`)
  if (toNumber(b) === 0) throw badValue("can't $divide by zero")
  if (a instanceof Decimal128 || b instanceof Decimal128)
    return decimal.toDecimal128(decimal.divide(asDecimal(a), asDecimal(b)))
  return double(asDouble(a) / asDouble(b))
})

const mod = binary((a, b) => {
  if (isNullish(a) || isNullish(b)) return null
  if (!isNumber(a) || !isNumber(b))
    throw typeMismatch(`$mod only supports numeric types, not ${typeName(a)} and ${typeName(b)}`)
  if (toNumber(b) === 0) throw new MongoError(16610, "can't $mod by zero")
  if (a instanceof Decimal128 || b instanceof Decimal128)
    return decimal.toDecimal128(decimal.remainder(asDecimal(a), asDecimal(b)))
  if (isIntegral(a) && isIntegral(b)) {
    const rest = BigInt(a) % BigInt(b)
    return typeof a === 'bigint' || typeof b === 'bigint' ? rest : integer(rest)
  }
  return double(asDouble(a) % asDouble(b))
})

const numeric = (apply: (value: Numeric) => Value) =>
  unary((value, name) => {
    if (isNullish(value)) return null
    if (!isNumber(value)) throw new MongoError(28765, `${name} only supports numeric types, not ${typeName(value)}`)
    return apply(value)
  })

const abs = numeric((n) => {
  if (n instanceof Decimal128) return decimal.toDecimal128({ ...asDecimal(n), negative: false })
  if (!isIntegral(n)) return double(Math.abs(asDouble(n)))
  if (typeof n === 'number') return integer(Math.abs(n))
  if (n === -(2n ** 63n)) throw new MongoError(28680, "can't take $abs of long long min")
  return n < 0n ? -n : n
})

const stepped = (how: 'floor' | 'ceiling', apply: (n: number) => number) =>
  numeric((n) => {
    if (n instanceof Decimal128) return decimal.toDecimal128(decimal.toPlace(asDecimal(n), 0, how))
    return isIntegral(n) ? n : double(apply(asDouble(n)))
  })

// $round (half to even) and $trunc, with an optional place from -20 to 100.
const placed = (how: 'half-even' | 'truncate'): Operator =>
  variadic(
    ([value, given], name) => {
      if (isNullish(value) || given === null) return null
      if (!isNumber(value)) throw new MongoError(51081, `${name} only supports numeric types, not ${typeName(value)}`)
      const place = given === undefined ? 0 : toInteger(given)
      if (place === undefined) throw new MongoError(51082, `precision argument to ${name} must be a integral value`)
      if (place < -20 || place > 100)
        throw new MongoError(51083, `cannot apply ${name} with precision value ${place} value must be in [-20, 100]`)
      if (value instanceof Decimal128) return decimal.toDecimal128(decimal.toPlace(asDecimal(value), place, how))
      if (isIntegral(value)) {
        if (place >= 0) return value
        const rounded = decimal.toPlace(decimal.fromBigInt(BigInt(value)), place, how)
        const exact = rounded.coefficient * decimal.pow10(Math.max(0, rounded.exponent)) * (rounded.negative ? -1n : 1n)
        return typeof value === 'bigint' ? exact : integer(exact)
      }
      const n = asDouble(value)
      if (!Number.isFinite(n) || n === 0) return value
      return double(decimal.toDouble(decimal.toPlace(decimal.parse(String(n)), place, how)))
    },
    1,
    2
  )

const onDouble = (
  allowed: (n: number) => boolean,
  complaint: (name: string, n: number) => MongoError,
  apply: (n: number) => number
) =>
  unary((value, name) => {
    if (isNullish(value)) return null
    if (!isNumber(value)) throw new MongoError(28765, `${name} only supports numeric types, not ${typeName(value)}`)
    const n = toNumber(value)
    if (!Number.isNaN(n) && !allowed(n)) throw complaint(name, n)
    const result = apply(n)
    return value instanceof Decimal128 ? decimal.toDecimal128(decimal.fromDouble(result)) : double(result)
  })

const positive = (name: string, n: number) =>
  new MongoError(28766, `${name}'s argument must be a positive number, but is ${n}`)

const pow = binary((a, b, name) => {
  if (isNullish(a) || isNullish(b)) return null
  if (!isNumber(a)) throw new MongoError(28762, `${name}'s base must be numeric, not ${typeName(a)}`)
  if (!isNumber(b)) throw new MongoError(28763, `${name}'s exponent must be numeric, not ${typeName(b)}`)
  const [base, exponent] = [toNumber(a), toNumber(b)]
  if (base === 0 && exponent < 0) throw new MongoError(28764, `${name} cannot take a base of 0 and a negative exponent`)
  if (a instanceof Decimal128 || b instanceof Decimal128)
    throw new MongoError(28762, `${name} over Decimal128 is not supported by this store`)
  if (isIntegral(a) && isIntegral(b) && exponent >= 0 && exponent < 64) {
    const exact = BigInt(a) ** BigInt(b)
    if (BigInt.asIntN(64, exact) === exact)
      return typeof a === 'bigint' || typeof b === 'bigint' ? exact : integer(exact)
  }
  return double(base ** exponent)
})

const log = binary((a, b, name) => {
  if (isNullish(a) || isNullish(b)) return null
  if (!isNumber(a)) throw new MongoError(28756, `${name}'s argument must be numeric, not ${typeName(a)}`)
  if (!isNumber(b)) throw new MongoError(28757, `${name}'s base must be numeric, not ${typeName(b)}`)
  const [n, base] = [toNumber(a), toNumber(b)]
  if (n <= 0) throw new MongoError(28758, `${name}'s argument must be a positive number, but is ${n}`)
  if (base <= 0 || base === 1)
    throw new MongoError(28759, `${name}'s base must be a positive number not equal to 1, but is ${base}`)
  return double(Math.log(n) / Math.log(base))
})

// Given one array, these look into it; given a list, at the list.
const spread = (values: (Value | undefined)[]): (Value | undefined)[] =>
  values.length === 1 && Array.isArray(values[0]) ? values[0] : values

const extreme = (sign: 1 | -1) =>
  variadic((values) => {
    let best: Value | undefined
    for (const value of spread(values)) {
      if (isNullish(value)) continue
      if (best === undefined || compareValues(value, best) * sign > 0) best = value
    }
    return best ?? null
  })

/** Mean of the numbers among the values, null when there are none. */
export function average(values: (Value | undefined)[]): Value {
  let sum: Numeric = 0
  let count = 0
  for (const value of values)
    if (isNumber(value)) {
      sum = plus(sum, value)
      count++
    }
  if (count === 0) return null
  if (sum instanceof Decimal128) return decimal.toDecimal128(decimal.divide(asDecimal(sum), asDecimal(count)))
  return double(toNumber(sum) / count)
}

/** Arithmetic. */
export const mathOperators: Operators = {
  $add: add,
  $subtract: subtract,
  $multiply: multiply,
  $divide: divide,
  $mod: mod,
  $abs: abs,
  $floor: stepped('floor', Math.floor),
  $ceil: stepped('ceiling', Math.ceil),
  $round: placed('half-even'),
  $trunc: placed('truncate'),
  $sqrt: onDouble(
    (n) => n >= 0,
    () => new MongoError(28714, "$sqrt's argument must be greater than or equal to 0"),
    Math.sqrt
  ),
  $exp: onDouble(() => true, positive, Math.exp),
  $ln: onDouble((n) => n > 0, positive, Math.log),
  $log10: onDouble((n) => n > 0, positive, Math.log10),
  $log: log,
  $pow: pow,
  $min: extreme(-1),
  $max: extreme(1),
  $sum: variadic((values) =>
    spread(values).reduce<Numeric>((sum, value) => (isNumber(value) ? plus(sum, value) : sum), 0)
  ),
  $avg: variadic((values) => average(spread(values)))
}

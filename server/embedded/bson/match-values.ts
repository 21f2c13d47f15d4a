import { compareValues, equalValues, textOf, typeRank } from './compare.js'
import type { Comparison } from './filter-node.js'
import { regExpOf } from './regex.js'
import { Binary, BSONRegExp, Decimal128, Double, isNumber, MaxKey, MinKey, toNumber, typeTag } from './value.js'
import type { Value } from './value.js'

/** Tests one value a path led to; undefined is "missing". */
export type ValueTest = (value: Value | undefined) => boolean

const isNaNValue = (value: Value) => isNumber(value) && Number.isNaN(toNumber(value))

// $gt and its kin match only values of the operand's own type (type bracketing), except against MinKey and MaxKey.
function ordered(cmp: '$gt' | '$gte' | '$lt' | '$lte', operand: Value): ValueTest {
  const orEqual = cmp === '$gte' || cmp === '$lte'
  const up = cmp === '$gt' || cmp === '$gte'
  if (operand === null) return (value) => orEqual && (value === null || value === undefined)
  if (isNaNValue(operand)) return (value) => orEqual && value !== undefined && isNaNValue(value)
  const passes = (order: number) => (order === 0 ? orEqual : order > 0 === up)
  if (operand instanceof MinKey || operand instanceof MaxKey)
    return (value) => value !== undefined && passes(compareValues(value, operand))
  if (typeof operand === 'number')
    return (value) => {
      if (typeof value === 'number')
        return up
          ? value > operand || (orEqual && value === operand)
          : value < operand || (orEqual && value === operand)
      return value !== undefined && isNumber(value) && !isNaNValue(value) && passes(compareValues(value, operand))
    }
  if (operand instanceof Date) {
    const ms = operand.getTime()
    return (value) => {
      if (value instanceof Date) return passes(value.getTime() - ms)
      return value !== undefined && typeRank(value) === 11 && passes(compareValues(value, operand))
    }
  }
  const rank = typeRank(operand)
  return (value) =>
    value !== undefined && typeRank(value) === rank && !isNaNValue(value) && passes(compareValues(value, operand))
}

function equal(operand: Value): ValueTest {
  if (operand === null) return (value) => value === null || value === undefined
  if (typeof operand === 'string')
    return (value) => value === operand || (typeof value === 'object' && value !== null && equalValues(value, operand))
  return (value) => value !== undefined && equalValues(value, operand)
}

function pattern(operand: BSONRegExp): ValueTest {
  const regex = regExpOf(operand)
  return (value) => {
    if (typeof value === 'string') return regex.test(value)
    if (value === null || typeof value !== 'object') return false
    return value instanceof BSONRegExp
      ? equalValues(value, operand)
      : typeTag(value) === 14 && regex.test(textOf(value))
  }
}

function anyOf(operands: Value[]): ValueTest {
  const regexes = operands.filter((item): item is BSONRegExp => item instanceof BSONRegExp).map(pattern)
  const strings = new Set<Value | undefined>(operands.filter((item) => typeof item === 'string'))
  const rest = operands.filter((item) => typeof item !== 'string' && !(item instanceof BSONRegExp))
  const hasNull = rest.includes(null)
  const sorted = rest.filter((item) => item !== null).sort(compareValues)
  return (value) => {
    if (value === undefined || value === null) return hasNull
    if (typeof value === 'string' && strings.has(value)) return true
    let low = 0
    let high = sorted.length - 1
    while (low <= high) {
      const middle = (low + high) >> 1
      const order = compareValues(sorted[middle], value)
      if (order === 0) return true
      if (order < 0) low = middle + 1
      else high = middle - 1
    }
    return regexes.some((test) => test(value))
  }
}

function modulo(operand: Value[]): ValueTest {
  const [divisor, rest] = operand as [bigint, bigint]
  return (value) => {
    if (!isNumber(value)) return false
    if (typeof value === 'bigint') return value % divisor === rest
    const n = toNumber(value)
    if (!Number.isFinite(n) || Math.abs(n) >= 2 ** 63) return false
    return BigInt(Math.trunc(n)) % divisor === rest
  }
}

function bits(cmp: Comparison, positions: Value[]): ValueTest {
  const set = cmp === '$bitsAllSet' || cmp === '$bitsAnySet'
  const all = cmp === '$bitsAllSet' || cmp === '$bitsAllClear'
  return (value) => {
    let bit: (position: number) => boolean
    if (value instanceof Binary) {
      const bytes = value.value()
      bit = (position) => ((bytes[position >> 3] ?? 0) & (1 << (position & 7))) !== 0
    } else if (
      typeof value === 'number' ||
      typeof value === 'bigint' ||
      value instanceof Double ||
      value instanceof Decimal128
    ) {
      const n = typeof value === 'bigint' ? value : toNumber(value)
      if (typeof n === 'number' && (!Number.isInteger(n) || Math.abs(n) >= 2 ** 63)) return false
      const whole = BigInt(n)
      bit = (position) => ((whole >> BigInt(Math.min(position, 63))) & 1n) === 1n
    } else return false
    const test = (position: Value) => bit(position as number) === set
    return all ? positions.every(test) : positions.some(test)
  }
}

/** The test of one comparison against a single value; negations ($ne, $nin) are made by the caller. */
export function elementTest(cmp: Comparison, operand: Value): ValueTest {
  switch (cmp) {
    case '$eq':
      return equal(operand)
    case '$gt':
    case '$gte':
    case '$lt':
    case '$lte':
      return ordered(cmp, operand)
    case '$in':
      return anyOf(operand as Value[])
    case '$exists':
      return (value) => (value !== undefined) === operand
    case '$type': {
      const tags = new Set(operand as Value[])
      return (value) => value !== undefined && tags.has(typeTag(value))
    }
    case '$regex':
      return pattern(operand as BSONRegExp)
    case '$mod':
      return modulo(operand as Value[])
    case '$size':
      return (value) => Array.isArray(value) && value.length === operand
    case '$bitsAllSet':
    case '$bitsAllClear':
    case '$bitsAnySet':
    case '$bitsAnyClear':
      return bits(cmp, operand as Value[])
    case '$ne':
    case '$nin':
      throw new TypeError(`${cmp} is a negation`)
  }
}

import { compareValues } from '../bson/compare.js'
import { MongoError } from '../bson/errors.js'
import { typeName, type Value } from '../bson/value.js'
import { binary, isNullish, variadic, type Operators } from './expression-kit.js'

/** The distinct values, in BSON order. */
export function distinct(values: readonly Value[]): Value[] {
  const sorted = [...values].sort(compareValues)
  return sorted.filter((value, i) => i === 0 || compareValues(value, sorted[i - 1]) !== 0)
}

const includes = (sorted: Value[], value: Value): boolean => {
  let low = 0
  let high = sorted.length - 1
  while (low <= high) {
    const middle = (low + high) >> 1
    const order = compareValues(sorted[middle], value)
    if (order === 0) return true
    if (order < 0) low = middle + 1
    else high = middle - 1
  }
  return false
}

function arrays(values: (Value | undefined)[], name: string, code: number): Value[][] {
  return values.map((value) => {
    if (!Array.isArray(value))
      throw new MongoError(code, `All operands of ${name} must be arrays. One argument is of type: ${typeName(value)}`)
    return value
  })
}

/** Sets: arrays without order or repetition. */
export const setOperators: Operators = {
  $setUnion: variadic((values, name) => (values.some(isNullish) ? null : distinct(arrays(values, name, 17043).flat()))),
  $setIntersection: variadic((values, name) => {
    if (values.some(isNullish)) return null
    const [first, ...rest] = arrays(values, name, 17047).map(distinct)
    return (first ?? []).filter((value) => rest.every((other) => includes(other, value)))
  }),
  $setDifference: binary((a, b, name) => {
    if (isNullish(a) || isNullish(b)) return null
    const [left, right] = arrays([a, b], name, 17048) as [Value[], Value[]]
    const sorted = distinct(right)
    const seen: Value[] = []
    return left.filter((value) => {
      if (includes(sorted, value) || seen.some((other) => compareValues(other, value) === 0)) return false
      seen.push(value)
      return true
    })
  }),
  $setEquals: variadic((values, name) => {
    const sets = arrays(values, name, 17044).map(distinct)
    return sets.every((set) => compareValues(set, sets[0]) === 0)
  }, 2),
  $setIsSubset: binary((a, b, name) => {
    const [left, right] = arrays([a, b], name, 17046) as [Value[], Value[]]
    const sorted = distinct(right)
    return left.every((value) => includes(sorted, value))
  })
}

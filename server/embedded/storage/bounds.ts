import { compareValues } from '../bson/compare.js'
import type { Value } from '../bson/document.js'
import { encodeBound, highestOf, lowestOf } from '../bson/keys.js'
import type { Edge } from '../bson/keys.js'
import type { FilterNode } from '../bson/match.js'
import { UNDEFINED } from '../bson/value.js'
import { bracketOf, isNullish, isPlain } from './filters.js'

type Cmp = Extract<FilterNode, { op: 'cmp' }>
type Limit = { value: Value | Edge; open: boolean }

/** What a filter says about one field of an index: certain values, or one stretch of values. */
export type FieldBound =
  | { points: Value[]; exact: boolean; used: FilterNode[] }
  | { low: Limit; high: Limit; exact: boolean; used: FilterNode[] }

/** A stretch of index keys without the index's id: [low, high). */
export type KeyRange = { low: Uint8Array; high: Uint8Array; point: boolean }

/** Points of all fields multiplied, at most. */
const MOST_RANGES = 5_000

/**
 * The best bound for one field out of conditions that must all hold; null when they say nothing an index can use. On a
 * multikey index two conditions may be met by different elements, so only one of them may bound the field.
 */
export function boundOf(conditions: Cmp[], multikey: boolean): FieldBound | null {
  let points: { values: Value[]; node: Cmp } | null = null
  let low: { limit: Limit; node: Cmp } | null = null
  let high: { limit: Limit; node: Cmp } | null = null
  for (const node of conditions) {
    const value = node.value as Value
    switch (node.cmp) {
      case '$eq':
        if (isPlain(value) && (!points || points.values.length > 1)) points = { values: [value], node }
        break
      case '$in': {
        const items = node.value as Value[]
        if (items.every(isPlain) && (!points || points.values.length > items.length)) points = { values: items, node }
        break
      }
      case '$gt':
      case '$gte': {
        const limit = { value, open: node.cmp === '$gt' }
        if (isRangeable(value) && (!low || compareValues(value, low.limit.value as Value) > 0)) low = { limit, node }
        break
      }
      case '$lt':
      case '$lte': {
        const limit = { value, open: node.cmp === '$lt' }
        if (isRangeable(value) && (!high || compareValues(value, high.limit.value as Value) < 0)) high = { limit, node }
        break
      }
    }
  }
  if (points) {
    const nullish = points.values.some(isNullish)
    // A path through an empty array is kept as undefined, which null may or may not equal: the filter decides.
    const values = nullish ? [...points.values, null, UNDEFINED] : points.values
    return { points: distinct(values), exact: !nullish, used: [points.node] }
  }
  if (low && high && multikey) high = null
  if (!low && !high) return null
  const edge = (low ?? high)!.limit.value as Value
  return {
    low: low?.limit ?? { value: lowestOf(edge), open: false },
    high: high?.limit ?? { value: highestOf(edge), open: false },
    // Two types at once match nothing, though the keys between them are many.
    exact: !low || !high || bracketOf(low.limit.value as Value) === bracketOf(high.limit.value as Value),
    used: [low, high].flatMap((side) => (side ? [side.node] : []))
  }
}

/** Ranges compare within one type; null, NaN and the ends of everything have rules of their own, left to the filter. */
function isRangeable(value: Value): boolean {
  return (
    isPlain(value) && !isNullish(value) && String(value) !== 'NaN' && compareValues(value, value) === 0 && !isEnd(value)
  )
}

function isEnd(value: Value): boolean {
  const kind = (value as { _bsontype?: string })._bsontype
  return kind === 'MinKey' || kind === 'MaxKey'
}

function distinct(values: Value[]): Value[] {
  if (values.length < 2) return values
  const sorted = [...values].sort(compareValues)
  return sorted.filter((value, i) => i === 0 || compareValues(value, sorted[i - 1]) !== 0)
}

/**
 * The key ranges that hold every entry within the bounds of the leading fields, in key order. `exact` is false when keys
 * outside the bounds may lie in them too. null: too many.
 */
export function rangesOf(directions: (1 | -1)[], bounds: FieldBound[]): { ranges: KeyRange[]; exact: boolean } | null {
  let prefixes: Value[][] = [[]]
  let exact = true
  let range: Extract<FieldBound, { low: Limit }> | null = null
  for (const bound of bounds) {
    exact &&= bound.exact
    if ('points' in bound) {
      if (prefixes.length * bound.points.length > MOST_RANGES && bounds.length > 1) return null
      prefixes = prefixes.flatMap((prefix) => bound.points.map((point) => [...prefix, point]))
    } else {
      range = bound
    }
  }
  const whole = !range && bounds.length === directions.length
  const ranges = prefixes.map((prefix): KeyRange => {
    if (!range) {
      const low = encodeBound(prefix, directions, 'low')
      const high = encodeBound(prefix, directions, 'high')
      exact &&= low.exact && high.exact
      return { low: low.key, high: high.key, point: whole && low.exact }
    }
    const upward = directions[prefix.length] === 1
    const first = upward ? range.low : range.high
    const last = upward ? range.high : range.low
    const low = limitKey(prefix, first, directions, 'low')
    const high = limitKey(prefix, last, directions, 'high')
    exact &&= low.exact && high.exact
    return { low: low.key, high: high.key, point: false }
  })
  if (ranges.length > 1) ranges.sort((a, b) => Buffer.compare(a.low, b.low))
  return { ranges, exact }
}

/** The key at one end of a range; an open end leaves out all keys that begin with the limit itself. */
function limitKey(prefix: Value[], limit: Limit, directions: (1 | -1)[], side: 'low' | 'high') {
  const values = [...prefix, limit.value]
  if (!limit.open) return encodeBound(values, directions, side)
  const inner = encodeBound(values, directions, side === 'low' ? 'high' : 'low')
  return inner.exact ? inner : encodeBound(values, directions, side)
}

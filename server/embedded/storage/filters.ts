import { compareValues } from '../bson/compare.js'
import type { Value } from '../bson/document.js'
import type { FilterNode } from '../bson/match.js'
import { typeTag } from '../bson/value.js'

type Cmp = Extract<FilterNode, { op: 'cmp' }>

/** The parts that must all be true: the children of nested ands, and every other node as it is. */
export function conjuncts(node: FilterNode): FilterNode[] {
  return node.op === 'and' ? node.children.flatMap(conjuncts) : [node]
}

/** The group of types a range comparison stays in: all numbers are one, every other type its own. */
export function bracketOf(value: Value | undefined): number {
  const tag = typeTag(value)
  if (tag === 16 || tag === 18 || tag === 19) return 1
  if (tag === 14) return 2 // symbol sorts as string
  return tag === 0 || tag === 6 ? 10 : tag
}

/** Whether every document that satisfies all of `given` surely satisfies `wanted`. Says no when in doubt. */
export function implies(given: FilterNode[], wanted: FilterNode): boolean {
  if (wanted.op === 'and') return wanted.children.every((child) => implies(given, child))
  if (wanted.op === 'or') return wanted.children.some((child) => implies(given, child))
  if (wanted.op !== 'cmp') return false
  return given.some((node) => {
    if (node.op === 'or') return node.children.every((child) => implies(conjuncts(child), wanted))
    return node.op === 'cmp' && node.path === wanted.path && cmpImplies(node, wanted)
  })
}

function cmpImplies(given: Cmp, wanted: Cmp): boolean {
  if (given.cmp === '$in') {
    const items = given.value as Value[]
    return items.length > 0 && items.every((item) => cmpImplies({ ...given, cmp: '$eq', value: item } as Cmp, wanted))
  }
  switch (wanted.cmp) {
    case '$exists':
      if (wanted.value === false) return given.cmp === '$exists' && given.value === false
      if (given.cmp === '$exists') return given.value === true
      if (given.cmp === '$eq') return !isNullish(given.value) && isPlain(given.value)
      if (isRange(given.cmp)) return !isNullish(given.value) && isPlain(given.value)
      return given.cmp === '$type' || given.cmp === '$regex' || given.cmp === '$size' || given.cmp === '$mod'
    case '$eq':
      return given.cmp === '$eq' && same(given.value, wanted.value)
    case '$in':
      return given.cmp === '$eq' && (wanted.value as Value[]).some((item) => isPlain(item) && same(given.value, item))
    case '$gt':
    case '$gte':
    case '$lt':
    case '$lte':
      return rangeImplies(given, wanted)
    default:
      return given.cmp === wanted.cmp && same(given.value, wanted.value)
  }
}

function rangeImplies(given: Cmp, wanted: Cmp): boolean {
  const value = given.value as Value
  const limit = wanted.value as Value
  if (!isPlain(value) || !isPlain(limit) || bracketOf(value) !== bracketOf(limit) || isNaN(value) || isNaN(limit))
    return false
  const order = compareValues(value, limit)
  const upward = wanted.cmp === '$gt' || wanted.cmp === '$gte'
  const beyond = upward ? order > 0 : order < 0
  if (given.cmp === '$eq') return beyond || (order === 0 && wanted.cmp.length === 4)
  if (!isRange(given.cmp) || given.cmp.startsWith('$gt') !== upward) return false
  return beyond || (order === 0 && (wanted.cmp.length === 4 || given.cmp.length === 3))
}

const isRange = (cmp: string): boolean => cmp === '$gt' || cmp === '$gte' || cmp === '$lt' || cmp === '$lte'

const same = (a: unknown, b: unknown): boolean => compareValues(a as Value, b as Value) === 0

/** null and undefined: values an absent field is taken for. */
export const isNullish = (value: unknown): boolean => value === null || bracketOf(value as Value) === 10

/** Values an index holds one entry for, comparable by order: no arrays, no regular expressions. */
export function isPlain(value: unknown): boolean {
  if (Array.isArray(value)) return false
  return typeTag(value as Value) !== 11
}

function isNaN(value: Value): boolean {
  return Number.isNaN(value) || String(value) === 'NaN'
}

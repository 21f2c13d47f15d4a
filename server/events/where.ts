import { InvalidInput, pointerTo } from '../platform/errors.js'
import type { Where } from '../../shared/audience.js'

/** One comparison as rules and triggers write it. */
export type Comparison = 'eq' | 'ne' | 'in' | 'gt' | 'gte' | 'lt' | 'lte' | 'exists' | 'contains'

/**
 * Do an event's properties meet a `where`? Every named property must, and every comparison of one; no `where` is met by
 * all. As in MongoDB: order is only asked between values of one type, `ne` is met by a missing value, nothing else is.
 */
export function meets(where: Where | null | undefined, properties: Record<string, unknown>): boolean {
  if (where === null || where === undefined) return true
  return Object.entries(where).every(([name, wanted]) => {
    const actual = Object.hasOwn(properties, name) ? properties[name] : undefined
    if (typeof wanted !== 'object') return actual === wanted
    return Object.entries(wanted).every(([op, value]) => holds(op as Comparison, actual, value))
  })
}

/** Is `actual op wanted` true? */
export function holds(op: Comparison, actual: unknown, wanted: unknown): boolean {
  switch (op) {
    case 'eq':
      return actual === wanted
    case 'ne':
      return actual !== wanted
    case 'in':
      return Array.isArray(wanted) && wanted.includes(actual)
    case 'exists':
      return (actual !== undefined) === (wanted !== false)
    case 'contains':
      return typeof actual === 'string' && typeof wanted === 'string' && actual.includes(wanted)
    default:
      return comparable(actual, wanted) && ordered(op, actual as number, wanted as number)
  }
}

/**
 * Does the value fit its comparison (a list for `in`, text for `contains`, one value for the others)?
 * @throws InvalidInput naming `pointer`
 */
export function checkComparison(op: Comparison, value: unknown, pointer: string): void {
  const fits =
    op === 'in'
      ? Array.isArray(value)
      : op === 'exists'
        ? value === undefined || typeof value === 'boolean'
        : op === 'contains'
          ? typeof value === 'string' && value !== ''
          : value !== undefined && !Array.isArray(value)
  if (fits) return
  const message = `${op} needs ${WANTED[op] ?? 'one value'}`
  throw new InvalidInput(message, { errors: [{ pointer, code: 'rule.value', message }] })
}

/** @throws InvalidInput when a comparison of the `where` has a value it cannot use */
export function checkWhere(where: Where | null | undefined, pointer: string): void {
  for (const [name, wanted] of Object.entries(where ?? {})) {
    if (typeof wanted !== 'object') continue
    for (const [op, value] of Object.entries(wanted)) {
      checkComparison(op as Comparison, value, pointer + pointerTo([name, op]))
    }
  }
}

const WANTED: Partial<Record<Comparison, string>> = { in: 'a list', exists: 'true or false', contains: 'a text' }

function comparable(a: unknown, b: unknown): boolean {
  return typeof a === typeof b && (typeof a === 'number' || typeof a === 'string' || typeof a === 'boolean')
}

function ordered(op: Comparison, actual: number, wanted: number): boolean {
  if (op === 'gt') return actual > wanted
  if (op === 'gte') return actual >= wanted
  if (op === 'lt') return actual < wanted
  return actual <= wanted
}

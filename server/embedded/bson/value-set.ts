import { equalValues } from './compare.js'
import { encodeKey } from './keys.js'
import type { Value } from './value.js'

/** From this many comparisons on, making keys is cheaper than comparing each with each. */
const MANY = 64 * 64

/** Values told apart by `equalValues`. */
export interface ValueSet {
  has(value: Value): boolean
  add(value: Value): void
}

/** A set of `values` that will be asked about `questions` more: a plain list while they are few, hashed beyond. */
export function createValueSet(values: readonly Value[], questions: number): ValueSet {
  if (values.length * questions + questions * questions <= MANY) {
    const list = [...values]
    return { has: (value) => list.some((other) => equalValues(other, value)), add: (value) => void list.push(value) }
  }
  const buckets = new Map<string, Value[]>()
  // Equal values make equal keys; what shares a key (cut ones end in a hash) is still compared.
  const keyOf = (value: Value) => encodeKey([value], [1]).toString('latin1')
  const add = (value: Value) => {
    const key = keyOf(value)
    const bucket = buckets.get(key)
    if (bucket === undefined) buckets.set(key, [value])
    else if (!bucket.some((other) => equalValues(other, value))) bucket.push(value)
  }
  for (const value of values) add(value)
  return { has: (value) => buckets.get(keyOf(value))?.some((other) => equalValues(other, value)) ?? false, add }
}

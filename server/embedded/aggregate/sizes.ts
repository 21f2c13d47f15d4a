import { MongoError } from '../bson/errors.js'
import { Binary, isDoc, type Value } from '../bson/value.js'

/** Sizes above this are not told exactly: parts that are shared count each time, and may be very many. */
const LARGEST_SIZE = 128 * 1024 * 1024

/** About how many bytes a decoded value takes in memory. */
export function sizeOf(value: Value | undefined): number {
  if (typeof value === 'string') return 24 + value.length
  if (value === null || typeof value !== 'object') return 8
  if (isDoc(value)) {
    let bytes = 64
    for (const [key, field] of value) {
      bytes += 32 + key.length + sizeOf(field)
      if (bytes > LARGEST_SIZE) break
    }
    return bytes
  }
  if (Array.isArray(value)) {
    let bytes = 32
    for (const item of value) {
      bytes += 8 + sizeOf(item)
      if (bytes > LARGEST_SIZE) break
    }
    return bytes
  }
  return value instanceof Binary ? 96 + value.position : 64
}

/** The most elements one array of an expression may have; no document holds as many. */
const MOST_ELEMENTS = 4_000_000
/** The longest text an expression may make, as long as MongoDB's largest buffer. */
const LONGEST_TEXT = 64 * 1024 * 1024

/** @throws MongoError 146 when an expression makes an array of too many elements. */
export function checkElements(count: number, what: string): void {
  if (count > MOST_ELEMENTS)
    throw new MongoError(146, `${what} would use too much memory: an array of ${count} elements`)
}

/** @throws MongoError 13548 when an expression makes too long a text. */
export function checkText(length: number, what: string): void {
  if (length > LONGEST_TEXT)
    throw new MongoError(13548, `${what}: attempted to grow a string to ${length} bytes, past the 64MB limit`)
}

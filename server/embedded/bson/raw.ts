import { asBuffer, decodeValue, valueLength, type Value } from './document.js'

/** Answer of `probe` when the path runs through an array (more than one value may live there): decode and match instead. */
export const CROSSES_ARRAY: unique symbol = Symbol('crosses array')

/** A dotted path prepared for walking raw bytes. */
export type RawPath = { segments: string[]; names: Buffer[] }

/** Prepares a dotted path; reuse it for every document. */
export const rawPath = (path: string): RawPath => {
  const segments = path.split('.')
  return { segments, names: segments.map((segment) => Buffer.from(segment, 'utf8')) }
}

let foundTag = 0
let foundAt = 0
let foundSize = 0

// Finds `name` in the document at `start`; the result is left in found*. Sizes are trusted to nest: put() validated them.
function seek(buf: Buffer, start: number, name: Buffer): boolean {
  const stop = start + buf.readInt32LE(start) - 1
  const length = name.length
  let at = start + 4
  while (at < stop) {
    const tag = buf[at++]!
    let i = 0
    while (i < length && buf[at + i] === name[i]) i++
    const hit = i === length && buf[at + i] === 0
    at += i
    while (buf[at] !== 0) at++
    at++
    const size = valueLength(buf, tag, at, stop)
    if (hit) {
      foundTag = tag
      foundAt = at
      foundSize = size
      return true
    }
    at += size
  }
  return false
}

/**
 * Walks documents along the path until it ends or meets something that is not a document. Returns the value met and how
 * many segments were used; undefined value when a field on the way is missing. Exact for every document.
 */
export function walkRaw(raw: Uint8Array, path: RawPath): { value: Value | undefined; used: number } {
  const buf = asBuffer(raw)
  let start = 0
  const last = path.names.length - 1
  for (let i = 0; i <= last; i++) {
    if (!seek(buf, start, path.names[i]!)) return { value: undefined, used: i + 1 }
    if (i < last && foundTag === 3) {
      start = foundAt
      continue
    }
    return { value: decodeValue(buf, foundTag, foundAt, foundSize), used: i + 1 }
  }
  return { value: undefined, used: 0 }
}

/**
 * The value at a dotted path, read off the raw bytes: undefined when missing, CROSSES_ARRAY when an array lies before the
 * last segment. An array at the end of the path is returned whole.
 */
export function probe(raw: Uint8Array, path: string | RawPath): Value | undefined | typeof CROSSES_ARRAY {
  const prepared = typeof path === 'string' ? rawPath(path) : path
  const { value, used } = walkRaw(raw, prepared)
  if (used === prepared.names.length) return value
  return Array.isArray(value) ? CROSSES_ARRAY : undefined
}

import { Binary, BSONRegExp, Decimal128, MaxKey, MinKey, ObjectId, Timestamp } from 'bson'
import { MongoError } from './errors.js'
import { take } from './slab.js'
import { double, Opaque, UNDEFINED, type Doc, type Value } from './value.js'

/** Levels of nesting beyond which BSON is neither read nor written. */
export const MAX_DEPTH = 180
const invalid = (why: string) => new MongoError(22, `invalid BSON: ${why}`)

// Field names repeat from document to document: short ASCII ones are looked up by their bytes instead of built anew.
const NAME_SLOTS = 4096
const names: (string | undefined)[] = new Array(NAME_SLOTS).fill(undefined)
let nameEnd = 0

function readName(buf: Buffer, start: number, end: number): string {
  let hash = 0
  let at = start
  let ascii = true
  for (; at < end; at++) {
    const byte = buf[at]!
    if (byte === 0) break
    if (byte > 127) ascii = false
    hash = (Math.imul(hash, 31) + byte) | 0
  }
  if (at >= end) throw invalid('unterminated field name')
  nameEnd = at + 1
  if (!ascii) return buf.toString('utf8', start, at)
  const length = at - start
  const slot = (hash ^ (hash >>> 12)) & (NAME_SLOTS - 1)
  const known = names[slot]
  if (known !== undefined && known.length === length) {
    let same = 0
    while (same < length && known.charCodeAt(same) === buf[start + same]) same++
    if (same === length) return known
  }
  const name = buf.toString('latin1', start, at)
  if (length <= 64) names[slot] = name
  return name
}

function readString(buf: Buffer, start: number, length: number): string {
  if (length < 24) {
    let text = ''
    for (let i = 0; i < length; i++) {
      const byte = buf[start + i]!
      if (byte > 127) return buf.toString('utf8', start, start + length)
      text += String.fromCharCode(byte)
    }
    return text
  }
  return buf.toString('utf8', start, start + length)
}

const int32At = (buf: Uint8Array, at: number) =>
  buf[at]! | (buf[at + 1]! << 8) | (buf[at + 2]! << 16) | (buf[at + 3]! << 24)

/**
 * Length in bytes of the value of type `tag` that starts at `at`.
 * @throws MongoError 22 when the type is unknown or the value leaves the buffer.
 */
export function valueLength(buf: Uint8Array, tag: number, at: number, end: number): number {
  let size: number
  switch (tag) {
    case 0x01:
    case 0x09:
    case 0x11:
    case 0x12:
      size = 8
      break
    case 0x02:
    case 0x0d:
    case 0x0e:
      if (at + 4 > end) throw invalid('truncated')
      size = int32At(buf, at) + 4
      if (size < 5 || at + size > end || buf[at + size - 1] !== 0) throw invalid('bad string length')
      break
    case 0x03:
    case 0x04:
    case 0x0f:
      if (at + 4 > end) throw invalid('truncated')
      size = int32At(buf, at)
      if (size < 5) throw invalid('bad length of an embedded document')
      break
    case 0x05:
      if (at + 5 > end) throw invalid('truncated')
      size = int32At(buf, at) + 5
      if (size < 5) throw invalid('bad binary length')
      break
    case 0x06:
    case 0x0a:
    case 0xff:
    case 0x7f:
      return 0
    case 0x07:
      size = 12
      break
    case 0x08:
      size = 1
      break
    case 0x0b: {
      let zeros = 0
      let i = at
      while (i < end && zeros < 2) if (buf[i++] === 0) zeros++
      if (zeros < 2) throw invalid('unterminated regular expression')
      return i - at
    }
    case 0x0c:
      if (at + 4 > end) throw invalid('truncated')
      size = int32At(buf, at) + 16
      if (size < 17) throw invalid('bad DBPointer')
      break
    case 0x10:
      size = 4
      break
    case 0x13:
      size = 16
      break
    default:
      throw invalid(`unknown type 0x${tag.toString(16)}`)
  }
  if (at + size > end) throw invalid('a value leaves its document')
  return size
}

function readValue(buf: Buffer, tag: number, at: number, size: number, depth: number): Value {
  switch (tag) {
    case 0x01:
      return double(buf.readDoubleLE(at))
    case 0x02:
      return readString(buf, at + 4, size - 5)
    case 0x03:
      return readDoc(buf, at, at + size, depth + 1)
    case 0x04:
      return readArray(buf, at, at + size, depth + 1)
    case 0x05: {
      const subtype = buf[at + 4]!
      return new Binary(Buffer.from(buf.subarray(at + 5, at + size)), subtype)
    }
    case 0x06:
      return UNDEFINED
    case 0x07:
      return new ObjectId(buf.subarray(at, at + 12))
    case 0x08:
      if (buf[at]! > 1) throw invalid('bad boolean')
      return buf[at] === 1
    case 0x09: {
      const date = new Date(buf.readUInt32LE(at) + buf.readInt32LE(at + 4) * 4294967296)
      return Number.isNaN(date.getTime()) ? new Opaque(9, Buffer.from(buf.subarray(at, at + 8))) : date
    }
    case 0x0a:
      return null
    case 0x0b: {
      const middle = buf.indexOf(0, at)
      const pattern = buf.toString('utf8', at, middle)
      const options = buf.toString('utf8', middle + 1, at + size - 1)
      if (/[^imlsux]/.test(options)) throw invalid(`regular expression option in "${options}"`)
      return new BSONRegExp(pattern, options)
    }
    case 0x10:
      return buf.readInt32LE(at)
    case 0x11:
      return new Timestamp({ t: buf.readUInt32LE(at + 4), i: buf.readUInt32LE(at) })
    case 0x12:
      return buf.readBigInt64LE(at)
    case 0x13:
      return new Decimal128(Buffer.from(buf.subarray(at, at + 16)))
    case 0xff:
      return new MinKey()
    case 0x7f:
      return new MaxKey()
    default:
      return new Opaque(tag, Buffer.from(buf.subarray(at, at + size)))
  }
}

function bounds(buf: Buffer, start: number, end: number, depth: number): number {
  if (depth > MAX_DEPTH) throw new MongoError(15, `BSON nests deeper than ${MAX_DEPTH} levels`)
  if (start + 5 > end) throw invalid('truncated')
  const stop = start + int32At(buf, start)
  if (stop < start + 5 || stop > end || buf[stop - 1] !== 0) throw invalid('bad document length')
  return stop - 1
}

function readDoc(buf: Buffer, start: number, end: number, depth: number, only?: ReadonlySet<string>): Doc {
  const stop = bounds(buf, start, end, depth)
  const doc: Doc = new Map()
  let at = start + 4
  let left = only === undefined ? -1 : only.size
  while (at < stop) {
    const tag = buf[at]!
    const name = readName(buf, at + 1, stop)
    at = nameEnd
    const size = valueLength(buf, tag, at, stop)
    if (only === undefined || only.has(name)) {
      doc.set(name, readValue(buf, tag, at, size, depth))
      if (--left === 0) return doc
    }
    at += size
  }
  return doc
}

/** The document cut down to the named top-level fields, in stored order and byte for byte. */
export function pickFields(raw: Uint8Array, fields: ReadonlySet<string>): Buffer {
  const buf = asBuffer(raw)
  const stop = bounds(buf, 0, buf.length, 0)
  const picked = take(buf.length)
  let end = 4
  let left = fields.size
  let at = 4
  while (at < stop && left > 0) {
    const start = at
    const tag = buf[at]!
    const name = readName(buf, at + 1, stop)
    at = nameEnd + valueLength(buf, tag, nameEnd, stop)
    if (!fields.has(name)) continue
    picked.set(buf.subarray(start, at), end)
    end += at - start
    left--
  }
  picked[end++] = 0
  picked.writeInt32LE(end, 0)
  return picked.subarray(0, end)
}

/** Some top-level fields of a document, in stored order, and where each of them begins and ends in its bytes, two by two. */
export type PartialDoc = { doc: Doc; places: number[] }

/** Decodes the named top-level fields and remembers where they lie, for `encodeChanges`; null when one occurs twice. */
export function decodePart(raw: Uint8Array, fields: ReadonlySet<string>): PartialDoc | null {
  const buf = asBuffer(raw)
  const stop = bounds(buf, 0, buf.length, 0)
  const doc: Doc = new Map()
  const places: number[] = []
  let at = 4
  while (at < stop) {
    const start = at
    const tag = buf[at]!
    const name = readName(buf, at + 1, stop)
    at = nameEnd
    const size = valueLength(buf, tag, at, stop)
    if (fields.has(name)) {
      if (doc.has(name)) return null
      doc.set(name, readValue(buf, tag, at, size, 0))
      places.push(start, at + size)
    }
    at += size
  }
  return { doc, places }
}

/**
 * Checks a document about to be stored and decodes the named top-level fields of it; null when it cannot be stored as it
 * is: `_id` is not in front, a named field occurs twice, or a timestamp asks for the current time.
 * @throws MongoError 22 on malformed bytes anywhere in it, 15 on nesting beyond 180 levels
 */
export function decodeNew(raw: Uint8Array, fields: ReadonlySet<string>): Doc | null {
  const buf = asBuffer(raw)
  const stop = bounds(buf, 0, buf.length, 0)
  const doc: Doc = new Map()
  let fit = true
  let at = 4
  while (at < stop) {
    const first = at === 4
    const tag = buf[at]!
    const name = readName(buf, at + 1, stop)
    at = nameEnd
    const size = valueLength(buf, tag, at, stop)
    if (first !== (name === '_id') || (tag === 0x11 && isZero(buf, at))) fit = false
    if (fields.has(name)) {
      if (doc.has(name)) fit = false
      doc.set(name, readValue(buf, tag, at, size, 0))
    } else check(buf, tag, at, size, 0)
    at += size
  }
  return fit && doc.has('_id') ? doc : null
}

const isZero = (buf: Buffer, at: number): boolean => buf.readUInt32LE(at) === 0 && buf.readUInt32LE(at + 4) === 0

/** Whether `readValue` would take the value, without making it. @throws MongoError 22 or 15 */
function check(buf: Buffer, tag: number, at: number, size: number, depth: number): void {
  if (tag === 0x03 || tag === 0x04) {
    const stop = bounds(buf, at, at + size, depth + 1)
    for (let inner = at + 4; inner < stop;) {
      const innerTag = buf[inner++]!
      while (inner < stop && buf[inner] !== 0) inner++
      if (inner++ >= stop) throw invalid('unterminated field name')
      const innerSize = valueLength(buf, innerTag, inner, stop)
      check(buf, innerTag, inner, innerSize, depth + 1)
      inner += innerSize
    }
  } else if (tag === 0x08 || tag === 0x0b) readValue(buf, tag, at, size, depth)
}

function readArray(buf: Buffer, start: number, end: number, depth: number): Value[] {
  const stop = bounds(buf, start, end, depth)
  const items: Value[] = []
  let at = start + 4
  while (at < stop) {
    const tag = buf[at++]!
    while (at < stop && buf[at] !== 0) at++
    if (at++ >= stop) throw invalid('unterminated array index')
    const size = valueLength(buf, tag, at, stop)
    items.push(readValue(buf, tag, at, size, depth))
    at += size
  }
  return items
}

/** A Buffer over the same memory. */
export const asBuffer = (raw: Uint8Array): Buffer =>
  Buffer.isBuffer(raw) ? raw : Buffer.from(raw.buffer, raw.byteOffset, raw.byteLength)

/**
 * Decodes one BSON document. Nothing in the result refers to `raw`'s memory.
 * @throws MongoError 22 on malformed bytes, 15 on nesting beyond 180 levels.
 */
export function decode(raw: Uint8Array): Doc {
  const buf = asBuffer(raw)
  return readDoc(buf, 0, buf.length, 0)
}

/** Decodes only the named top-level fields, in stored order; for scans whose stages read few fields. */
export function decodeFields(raw: Uint8Array, fields: ReadonlySet<string>): Doc {
  const buf = asBuffer(raw)
  return fields.size === 0 ? new Map() : readDoc(buf, 0, buf.length, 0, fields)
}

/** Decodes the value of type `tag` that lies at `at` (as `valueLength` measured it). */
export const decodeValue = (buf: Buffer, tag: number, at: number, size: number): Value =>
  readValue(buf, tag, at, size, 0)

import { type Binary, type BSONRegExp, type Decimal128, Double, type ObjectId, type Timestamp } from 'bson'
import { MongoError } from './errors.js'
import { asBuffer, MAX_DEPTH, type PartialDoc } from './reader.js'
import { take } from './slab.js'
import { typeTag, type Doc, type Opaque, type Value } from './value.js'

let out = Buffer.allocUnsafeSlow(64 * 1024)
let pos = 0

/** The largest document written: MongoDB's 16 MB for what clients store, and 16 KB more for what a server puts around it. */
const MAX_WRITTEN = 16 * 1024 * 1024 + 16 * 1024
/** Room asked for is at most thrice the bytes written: an expression's result may be far larger than any document. */
const MAX_ROOM = 5 * MAX_WRITTEN

function tooLarge(bytes: number): MongoError {
  return new MongoError(10334, `BSONObj size: ${bytes} is invalid. Size must be between 0 and ${MAX_WRITTEN}(16MB)`)
}

function room(bytes: number): void {
  if (pos + bytes <= out.length) return
  if (pos > MAX_WRITTEN || pos + bytes > MAX_ROOM) throw tooLarge(pos + bytes)
  const bigger = Buffer.allocUnsafeSlow(Math.max(out.length * 2, pos + bytes))
  out.copy(bigger, 0, 0, pos)
  out = bigger
}

function writeName(name: string): void {
  const length = name.length
  room(length * 3 + 1)
  for (let i = 0; i < length; i++) {
    const code = name.charCodeAt(i)
    if (code > 127) {
      pos += out.write(name.slice(i), pos, 'utf8')
      out[pos++] = 0
      return
    }
    if (code === 0) throw new MongoError(2, 'field names must not contain null bytes')
    out[pos++] = code
  }
  out[pos++] = 0
}

function writeInt32(n: number): void {
  out[pos++] = n & 255
  out[pos++] = (n >> 8) & 255
  out[pos++] = (n >> 16) & 255
  out[pos++] = n >>> 24
}

// Short ASCII text is written byte by byte: cheaper than a call into the runtime.
function writeText(text: string, at: number): number {
  const length = text.length
  if (length > 32) return out.write(text, at, 'utf8')
  for (let i = 0; i < length; i++) {
    const code = text.charCodeAt(i)
    if (code > 127) return out.write(text, at, 'utf8')
    out[at + i] = code
  }
  return length
}

function writeBytes(bytes: Uint8Array): void {
  room(bytes.length + 16)
  out.set(bytes, pos)
  pos += bytes.length
}

function writeElement(name: string, value: Value, depth: number): void {
  const tag = typeTag(value)
  room(32)
  out[pos++] = tag & 255
  writeName(name)
  room(32)
  switch (tag) {
    case 1:
      out.writeDoubleLE(value instanceof Double ? value.value : (value as number), pos)
      pos += 8
      break
    case 2: {
      const text = value as string
      room(text.length * 3 + 8)
      const written = writeText(text, pos + 4)
      writeInt32(written + 1)
      pos += written
      out[pos++] = 0
      break
    }
    case 3:
      writeDoc(value as Doc, depth + 1)
      break
    case 4: {
      const start = open(depth + 1)
      const items = value as Value[]
      for (let i = 0; i < items.length; i++) writeElement(String(i), items[i] ?? null, depth + 1)
      close(start)
      break
    }
    case 5: {
      const binary = value as Binary
      const bytes = binary.value()
      writeInt32(bytes.length)
      out[pos++] = binary.sub_type
      writeBytes(bytes)
      break
    }
    case 7:
      writeBytes((value as ObjectId).id)
      break
    case 8:
      out[pos++] = value === true ? 1 : 0
      break
    case 9:
      if (value instanceof Date) {
        const ms = value.getTime()
        pos = out.writeUInt32LE(ms >>> 0, pos) // ToUint32 is modulo 2^32, negatives included
        pos = out.writeInt32LE(Math.floor(ms / 4294967296), pos)
      } else writeBytes((value as Opaque).bytes)
      break
    case 10:
    case -1:
    case 127:
      break
    case 11: {
      const regex = value as BSONRegExp
      writeName(regex.pattern)
      writeName(regex.options)
      break
    }
    case 16:
      writeInt32(value as number)
      break
    case 17: {
      const stamp = value as Timestamp
      writeInt32(stamp.i)
      writeInt32(stamp.t)
      break
    }
    case 18:
      out.writeBigInt64LE(BigInt.asIntN(64, value as bigint), pos)
      pos += 8
      break
    case 19:
      writeBytes((value as Decimal128).bytes)
      break
    default:
      writeBytes((value as Opaque).bytes)
  }
}

function open(depth: number): number {
  if (depth > MAX_DEPTH) throw new MongoError(15, `BSON nests deeper than ${MAX_DEPTH} levels`)
  room(8)
  pos += 4
  return pos - 4
}

function close(start: number): void {
  room(1)
  out[pos++] = 0
  out.writeInt32LE(pos - start, start)
}

function writeDoc(doc: Doc, depth: number): void {
  const start = open(depth)
  for (const [name, value] of doc) writeElement(name, value, depth)
  close(start)
}

/** Encodes a document to fresh bytes, keeping every value's BSON type and the order of fields. */
export function encode(doc: Doc): Uint8Array {
  pos = 0
  writeDoc(doc, 0)
  return written()
}

/**
 * A document's bytes with some of its top-level fields changed, as if all of it had been decoded, changed and encoded:
 * `after` is `before` with values replaced, removed or added. Every other byte is copied.
 */
export function encodeChanges(raw: Uint8Array, before: PartialDoc, after: Doc): Uint8Array {
  const source = asBuffer(raw)
  pos = 0
  const start = open(0)
  let copied = 4
  let i = 0
  for (const [name, value] of before.doc) {
    const from = before.places[i]!
    const to = before.places[i + 1]!
    i += 2
    const next = after.get(name)
    if (next === value) continue
    copy(source, copied, from)
    if (next !== undefined) writeElement(name, next, 0)
    copied = to
  }
  copy(source, copied, source.length - 1)
  for (const [name, value] of after) if (!before.doc.has(name)) writeElement(name, value, 0)
  close(start)
  return written()
}

function copy(source: Buffer, from: number, to: number): void {
  room(to - from)
  source.copy(out, pos, from, to)
  pos += to - from
}

function written(): Uint8Array {
  if (pos > MAX_WRITTEN) throw tooLarge(pos)
  const bytes = take(pos)
  out.copy(bytes, 0, 0, pos)
  if (out.length > 4 * 1024 * 1024) out = Buffer.allocUnsafeSlow(64 * 1024)
  return bytes
}

import { createHash } from 'node:crypto'
import { compareValues, millisOf, textOf } from './compare.js'
import {
  compareMagnitude,
  digits,
  doubleParts,
  fromBigInt,
  fromDecimal128,
  pow10,
  toDouble,
  type Decimal
} from './decimal.js'
import { MongoError } from './errors.js'
import { take } from './slab.js'
import { Decimal128, Double, isNumber, Opaque, typeTag } from './value.js'
import type { Binary, BSONRegExp, Doc, ObjectId, Timestamp, Value } from './value.js'

// First byte of each encoded value, in BSON's type order. Numbers use ten neighbouring bytes (their class is their type
// byte). 0xff never begins a value in either direction, so `key + 0xff` lies behind everything that starts with `key`.
const TYPE_BYTES: Record<number, number> = {
  [-1]: 0x04,
  0: 0x0c,
  6: 0x08,
  10: 0x0c,
  2: 0x30,
  14: 0x30,
  3: 0x34,
  4: 0x38,
  5: 0x3c,
  7: 0x40,
  8: 0x44,
  9: 0x48,
  17: 0x4c,
  11: 0x50,
  12: 0x54,
  13: 0x58,
  15: 0x5c,
  127: 0xf0
}
const NAN = 0x10
const MINUS_INFINITY = 0x11
const ZERO = 0x15
const PLUS_INFINITY = 0x19
const END = 0x01

/** Longest key `encodeKey` returns; a longer one is cut and ends in a hash (see `isTruncated`). */
export const KEY_LIMIT = 1900
const CUT = KEY_LIMIT - 32

/** One end of a type bracket, usable in bounds in place of a value. */
export class Edge {
  constructor(readonly byte: number) {}
}

/** A value of one document never takes more; what an expression made up may. */
const MAX_BYTES = 64 * 1024 * 1024
let out = Buffer.allocUnsafeSlow(8192)
let pos = 0

function room(bytes: number): void {
  if (pos + bytes <= out.length) return
  if (pos > MAX_BYTES) throw new MongoError(10334, `a key of more than ${MAX_BYTES} bytes`)
  const bigger = Buffer.allocUnsafeSlow(Math.max(out.length * 2, pos + bytes))
  out.copy(bigger, 0, 0, pos)
  out = bigger
}

function text(value: string): void {
  const { length } = value
  room(length * 3 + 2)
  const start = pos
  if (length <= 64) {
    // Short ASCII text is written byte by byte: cheaper than a call into the runtime.
    let i = 0
    for (; i < length; i++) {
      const code = value.charCodeAt(i)
      if (code === 0 || code > 127) break
      out[start + i] = code
    }
    if (i === length) {
      pos = start + length
      out[pos++] = 0
      out[pos++] = 1
      return
    }
  }
  pos += out.write(value, pos, 'utf8')
  if (value.includes('\0')) {
    const escaped: number[] = []
    for (let i = start; i < pos; i++) {
      escaped.push(out[i]!)
      if (out[i] === 0) escaped.push(0xff)
    }
    pos = start
    bytes(Uint8Array.from(escaped))
    room(2)
  }
  out[pos++] = 0
  out[pos++] = 1
}

function bytes(value: Uint8Array): void {
  room(value.length + 8)
  out.set(value, pos)
  pos += value.length
}

const FRACTION_BITS = 160n

function previous(n: number): number {
  const view = new DataView(new ArrayBuffer(8))
  view.setFloat64(0, n)
  view.setBigUint64(0, view.getBigUint64(0) - 1n)
  return view.getFloat64(0)
}

// |value| as the double just below or at it (8 bytes), then what is left over in units of that double's last place, two
// bytes at a time, each pair announced by 1 and the end by 0. Doubles therefore always take 9 bytes.
function magnitude(double: number, rest: bigint): void {
  pos = out.writeDoubleBE(double, pos)
  let left = rest
  for (let shift = FRACTION_BITS - 16n; left !== 0n; shift -= 16n) {
    out[pos++] = 1
    pos = out.writeUInt16BE(Number((left >> shift) & 0xffffn), pos)
    left &= (1n << shift) - 1n
  }
  out[pos++] = 0
}

function decimalMagnitude(value: Decimal, first: (kind: 'tiny' | 'normal' | 'huge') => void): void {
  let near = Math.abs(toDouble(value))
  if (Number.isFinite(near) && near !== 0 && compareMagnitude(value, near) < 0) near = previous(near)
  if (near === 0 || !Number.isFinite(near)) {
    first(near === 0 ? 'tiny' : 'huge')
    const pad = 34 - digits(value.coefficient)
    pos = out.writeUInt16BE(value.exponent - pad + 8000, pos)
    let coefficient = value.coefficient * pow10(pad)
    for (let i = 14; i >= 0; i--) {
      out[pos + i] = Number(coefficient & 255n)
      coefficient >>= 8n
    }
    pos += 15
    return
  }
  first('normal')
  const { mantissa, exponent } = doubleParts(near)
  // (coefficient * 10^e10 - mantissa * 2^e2) / 2^e2, with everything moved to integers
  let left = value.coefficient
  let scale = 1n
  if (value.exponent >= 0) left *= pow10(value.exponent)
  else scale = pow10(-value.exponent)
  if (exponent >= 0) scale <<= BigInt(exponent)
  else left <<= BigInt(-exponent)
  magnitude(near, ((left - mantissa * scale) << FRACTION_BITS) / scale)
}

function number(value: number | bigint | Double | Decimal128): void {
  const plain = value instanceof Double ? value.value : value
  const decimal =
    plain instanceof Decimal128 ? fromDecimal128(plain) : typeof plain === 'bigint' ? fromBigInt(plain) : undefined
  const negative = decimal === undefined ? (plain as number) < 0 : decimal.negative
  const first = (kind: 'tiny' | 'normal' | 'huge') => {
    const step = kind === 'tiny' ? 1 : kind === 'normal' ? 2 : 3
    out[pos++] = negative ? ZERO - step : ZERO + step
  }
  const start = pos
  if (decimal === undefined || (typeof plain === 'bigint' && BigInt.asIntN(54, plain) === plain)) {
    const n = Number(plain)
    if (Number.isNaN(n)) return void (out[pos++] = NAN)
    if (n === 0) return void (out[pos++] = ZERO)
    if (!Number.isFinite(n)) return void (out[pos++] = n < 0 ? MINUS_INFINITY : PLUS_INFINITY)
    first('normal')
    magnitude(Math.abs(n), 0n)
  } else {
    if (decimal.kind === 'nan') return void (out[pos++] = NAN)
    if (decimal.kind === 'infinity') return void (out[pos++] = negative ? MINUS_INFINITY : PLUS_INFINITY)
    if (decimal.coefficient === 0n) return void (out[pos++] = ZERO)
    decimalMagnitude(decimal, first)
  }
  if (negative) for (let i = start + 1; i < pos; i++) out[i] = ~out[i]! & 255
}

function write(value: Value | undefined): void {
  room(64)
  if (isNumber(value)) return number(value)
  const tag = typeTag(value)
  out[pos++] = TYPE_BYTES[tag]!
  switch (tag) {
    case 2:
    case 14:
      return text(textOf(value!))
    case 3:
      for (const [name, field] of value as Doc) {
        room(8)
        out[pos++] = isNumber(field) ? NAN : TYPE_BYTES[typeTag(field)]!
        text(name)
        write(field)
      }
      room(8)
      out[pos++] = END
      return
    case 4:
      for (const item of value as Value[]) write(item)
      room(8)
      out[pos++] = END
      return
    case 5: {
      const binary = value as Binary
      pos = out.writeUInt32BE(binary.length(), pos)
      out[pos++] = binary.sub_type
      return bytes(binary.value())
    }
    case 7:
      return bytes((value as ObjectId).id)
    case 8:
      out[pos++] = value === true ? 1 : 0
      return
    case 9: {
      if (value instanceof Date) {
        const ms = value.getTime()
        pos = out.writeUInt32BE((Math.floor(ms / 4294967296) ^ 0x80000000) >>> 0, pos)
        pos = out.writeUInt32BE(ms >>> 0, pos) // ToUint32 is modulo 2^32, negatives included
        return
      }
      const ms = BigInt(millisOf(value as Opaque))
      pos = out.writeBigUInt64BE(BigInt.asUintN(64, ms ^ (1n << 63n)), pos)
      return
    }
    case 11:
      text((value as BSONRegExp).pattern)
      return text((value as BSONRegExp).options)
    case 17:
      pos = out.writeUInt32BE((value as Timestamp).t, pos)
      pos = out.writeUInt32BE((value as Timestamp).i, pos)
      return
    case 12:
    case 13:
    case 15:
      pos = out.writeUInt32BE((value as Opaque).bytes.length, pos)
      return bytes((value as Opaque).bytes)
  }
}

function writeAll(values: readonly (Value | Edge | undefined)[], directions: readonly (1 | -1)[]): void {
  pos = 0
  for (let i = 0; i < values.length; i++) {
    const start = pos
    const value = values[i]
    if (value instanceof Edge) {
      room(1)
      out[pos++] = value.byte
    } else write(value)
    if (directions[i] === -1) for (let at = start; at < pos; at++) out[at] = ~out[at]! & 255
  }
}

/**
 * One index key: comparing keys with memcmp gives the order of `compareValues`, field by field, with -1 fields reversed.
 * Missing (undefined) counts as null. A key over KEY_LIMIT bytes is cut and ends in a SHA-256 of the whole, so equal
 * values still make equal keys, but order is exact only up to the cut. `head` and `tail` bytes are left free around it.
 */
export function encodeKey(
  values: readonly (Value | undefined)[],
  directions: readonly (1 | -1)[],
  head = 0,
  tail = 0
): Buffer {
  writeAll(values, directions)
  if (pos < KEY_LIMIT) {
    const whole = take(head + pos + tail)
    out.copy(whole, head, 0, pos)
    return whole
  }
  const key = take(head + KEY_LIMIT + tail)
  out.copy(key, head, 0, CUT)
  createHash('sha256')
    .update(out.subarray(0, pos))
    .digest()
    .copy(key, head + CUT)
  return key
}

/** Whether a key from `encodeKey` was cut: ranges over it need the residual filter and the stored document. */
export const isTruncated = (key: Uint8Array): boolean => key.length >= KEY_LIMIT

/**
 * A place before ('low') or behind ('high') all keys that begin with these values. `exact` is false when the values were
 * too long to keep whole: the place then still includes everything it must, and more.
 */
export function encodeBound(
  values: readonly (Value | Edge | undefined)[],
  directions: readonly (1 | -1)[],
  side: 'low' | 'high'
): { key: Uint8Array; exact: boolean } {
  writeAll(values, directions)
  const exact = pos < KEY_LIMIT
  const length = exact ? pos : CUT
  if (side === 'high' && exact && values.at(-1) instanceof Edge && directions[values.length - 1] === -1) {
    // Behind a type as a whole: the bytes of its values, reversed, may begin with 0xff themselves.
    out[length - 1]! += 1
    return { key: Buffer.from(out.subarray(0, length)), exact }
  }
  const key = Buffer.allocUnsafe(length + (side === 'high' ? 1 : 0))
  out.copy(key, 0, 0, length)
  if (side === 'high') key[length] = 0xff
  return { key, exact }
}

/** A range over one field behind equal values of the fields before it. */
export type KeyRange = { low: Value | Edge; lowOpen: boolean; high: Value | Edge; highOpen: boolean }

/**
 * Half-open [start, end) over keys whose leading fields equal `equal` and whose next field lies in `range`, in index
 * order whatever the directions. Not exact: a superset (keys were cut).
 */
export function encodeRange(
  equal: readonly (Value | undefined)[],
  directions: readonly (1 | -1)[],
  range?: KeyRange
): { start: Uint8Array; end: Uint8Array; exact: boolean } {
  const place = (end: Value | Edge, open: boolean, side: 'low' | 'high') => {
    const values = [...equal, end]
    const bound = encodeBound(values, directions, open ? (side === 'low' ? 'high' : 'low') : side)
    return bound.exact || !open ? bound : encodeBound(values, directions, side)
  }
  const ascending = directions[equal.length] !== -1
  const start =
    range === undefined
      ? encodeBound(equal, directions, 'low')
      : ascending
        ? place(range.low, range.lowOpen, 'low')
        : place(range.high, range.highOpen, 'low')
  const end =
    range === undefined
      ? encodeBound(equal, directions, 'high')
      : ascending
        ? place(range.high, range.highOpen, 'high')
        : place(range.low, range.lowOpen, 'high')
  return { start: start.key, end: end.key, exact: start.exact && end.exact }
}

/** The low end of the values a comparison with `value` can match ($lt, $lte): its type's lowest; NaN stands apart. */
export const lowestOf = (value: Value): Edge => new Edge(firstByte(value))

/** The high end of the values a comparison with `value` can match ($gt, $gte): behind its type's highest. */
export const highestOf = (value: Value): Edge => {
  const byte = firstByte(value)
  return new Edge(byte === MINUS_INFINITY ? PLUS_INFINITY + 1 : byte + 1)
}

function firstByte(value: Value): number {
  if (!isNumber(value)) return TYPE_BYTES[typeTag(value)]!
  return compareValues(value, NaN) === 0 ? NAN : MINUS_INFINITY
}

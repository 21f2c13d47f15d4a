import { Binary, BSONRegExp, Decimal128, deserialize, Double, Long, MaxKey, MinKey } from 'bson'
import { ObjectId, serialize, Timestamp } from 'bson'
import { decode, encode, type Doc, type Value } from '../embedded/bson/document.js'
import { double, isDoc, Opaque } from '../embedded/bson/value.js'

/**
 * One document as a line of JSON: `{"document":…}` in canonical Extended JSON v2, or `{"bson":"<base64>"}` where that would
 * not give back the very bytes: deprecated types, names like 2 or __proto__ that JSON readers move about, names like $oid.
 */
export function writeDocument(raw: Buffer): string {
  try {
    const line = JSON.stringify({ document: toJson(decode(raw)) })
    if (readDocument(JSON.parse(line))?.equals(raw)) return line
  } catch {
    // It does not come back at all: a name like $oid with something else behind it, a deprecated type.
  }
  return JSON.stringify({ bson: raw.toString('base64') })
}

/** The bytes of a document `writeDocument` wrote; null when the line holds none. @throws Error when they are damaged */
export function readDocument(line: Record<string, unknown>): Buffer | null {
  if (typeof line.bson === 'string') return Buffer.from(line.bson, 'base64')
  if (line.document === undefined) return null
  return Buffer.from(encode(fromJson(line.document) as Doc))
}

/** A value in canonical Extended JSON. @throws TypeError for a deprecated type */
export function toJson(value: Value): unknown {
  switch (typeof value) {
    case 'string':
    case 'boolean':
      return value
    case 'bigint':
      return { $numberLong: String(value) }
    case 'number':
      return Number.isInteger(value) && (value | 0) === value && !Object.is(value, -0)
        ? { $numberInt: String(value) }
        : { $numberDouble: doubleText(value) }
  }
  if (value === null) return null
  if (Array.isArray(value)) return value.map(toJson)
  if (isDoc(value)) return Object.fromEntries([...value].map(([name, inner]) => [name, toJson(inner)]))
  if (value instanceof Double) return { $numberDouble: doubleText(value.value) }
  if (value instanceof Date) return { $date: { $numberLong: String(value.getTime()) } }
  if (value instanceof ObjectId) return { $oid: value.toHexString() }
  if (value instanceof Decimal128) return { $numberDecimal: value.toString() }
  if (value instanceof Timestamp) return { $timestamp: { t: value.t, i: value.i } }
  if (value instanceof BSONRegExp) return { $regularExpression: { pattern: value.pattern, options: value.options } }
  if (value instanceof MinKey) return { $minKey: 1 }
  if (value instanceof MaxKey) return { $maxKey: 1 }
  if (value instanceof Binary) {
    const subType = value.sub_type.toString(16).padStart(2, '0')
    return { $binary: { base64: Buffer.from(value.value()).toString('base64'), subType } }
  }
  throw new TypeError('a deprecated type has no place here')
}

/** A double's text, which always tells it from an integer. */
function doubleText(value: number): string {
  if (Object.is(value, -0)) return '-0.0'
  return Number.isInteger(value) && !String(value).includes('e') ? `${value}.0` : String(value)
}

type Box = Record<string, any>

const READERS: Record<string, (box: Box) => Value> = {
  $numberInt: ({ $numberInt }) => Number($numberInt),
  $numberLong: ({ $numberLong }) => BigInt($numberLong),
  $numberDouble: ({ $numberDouble }) => double(Number($numberDouble)),
  $numberDecimal: ({ $numberDecimal }) => Decimal128.fromString($numberDecimal),
  $date: ({ $date }) => new Date(typeof $date === 'string' ? $date : Number($date.$numberLong)),
  $oid: ({ $oid }) => new ObjectId($oid as string),
  $timestamp: ({ $timestamp }) => new Timestamp({ t: $timestamp.t, i: $timestamp.i }),
  $regularExpression: ({ $regularExpression: { pattern, options } }) => new BSONRegExp(pattern, options),
  $binary: ({ $binary: { base64, subType } }) => new Binary(Buffer.from(base64, 'base64'), parseInt(subType, 16)),
  $minKey: () => new MinKey(),
  $maxKey: () => new MaxKey()
}

/** The value `toJson` wrote. @throws Error when it did not write this */
export function fromJson(json: unknown): Value {
  if (json === null || typeof json === 'string' || typeof json === 'boolean') return json
  if (Array.isArray(json)) return json.map(fromJson)
  if (typeof json !== 'object') throw new TypeError(`a bare ${typeof json} is not canonical Extended JSON`)
  const names = Object.keys(json as Box)
  if (names.length === 1 && Object.hasOwn(READERS, names[0])) return READERS[names[0]](json as Box)
  return new Map(names.map((name) => [name, fromJson((json as Box)[name])]))
}

/** A value as the driver writes it back to the same bytes. @throws Error for types no driver writes any more */
export function toDriver(value: Value): unknown {
  if (typeof value === 'bigint') return Long.fromBigInt(value)
  if (Array.isArray(value)) return value.map(toDriver)
  if (isDoc(value)) return new Map([...value].map(([name, inner]) => [name, toDriver(inner)]))
  if (value instanceof Opaque) return opaqueToDriver(value)
  return value
}

/** Code and symbols are written by drivers too; what does not come back the same is not. */
function opaqueToDriver({ tag, bytes }: Opaque): unknown {
  const raw = Buffer.concat([Buffer.from([0, 0, 0, 0, tag, 0x76, 0]), bytes, Buffer.from([0])])
  raw.writeInt32LE(raw.length, 0)
  try {
    const { v } = deserialize(raw, { promoteValues: false, bsonRegExp: true })
    if (raw.equals(serialize({ v }))) return v
  } catch {
    // not readable for a driver at all
  }
  throw new Error('a value that drivers cannot write: undefined, a DBPointer, or a date out of range')
}

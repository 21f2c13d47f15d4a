import { Binary, BSONRegExp, Code, Decimal128, Double, Long, MaxKey, MinKey, ObjectId, Timestamp } from 'bson'
import { asBuffer } from './reader.js'
import { double, isDoc, Opaque, UNDEFINED, type Doc, type Value } from './value.js'

export {
  asBuffer,
  decode,
  decodeFields,
  decodeNew,
  decodePart,
  decodeValue,
  pickFields,
  valueLength
} from './reader.js'
export type { PartialDoc } from './reader.js'
export type { Doc, Value } from './value.js'
export { encode, encodeChanges } from './writer.js'

/** A field's value, undefined when missing (top level only; dotted paths: path.ts). */
export const get = (doc: Doc, key: string): Value | undefined => doc.get(key)
/** Sets a field: in place when it exists, else at the end. */
export const set = (doc: Doc, key: string, value: Value): void => void doc.set(key, value)
/** Whether the field exists. */
export const has = (doc: Doc, key: string): boolean => doc.has(key)
/** Removes a field; true when it was there. */
export const remove = (doc: Doc, key: string): boolean => doc.delete(key)
/** The field names in stored order. */
export const keys = (doc: Doc): string[] => [...doc.keys()]

/**
 * A plain JavaScript value as BSON: numbers become int32 or double as the driver would write them, undefined fields are
 * dropped, RegExp, Uint8Array and the bson package's classes (any installed copy) keep their meaning. Maps pass as documents.
 */
export function valueFromPlain(value: unknown): Value {
  if (value === undefined || value === null) return null
  switch (typeof value) {
    case 'string':
    case 'boolean':
    case 'number':
    case 'bigint':
      return value
    case 'object':
      break
    default:
      throw new TypeError(`${typeof value} has no BSON form`)
  }
  if (Array.isArray(value)) return value.map(valueFromPlain)
  if (value instanceof Date || value instanceof Opaque) return value
  if (value instanceof Map) return new Map([...value].map(([k, v]) => [String(k), valueFromPlain(v)]))
  if (value instanceof RegExp) return new BSONRegExp(value.source, value.flags.replace(/[^imsu]/g, ''))
  if (value instanceof Uint8Array) return new Binary(Buffer.from(value))
  const boxed = value as { _bsontype?: string } & Record<string, any>
  switch (boxed._bsontype) {
    case undefined:
      return fromPlain(value as Record<string, unknown>)
    case 'Int32':
      return Number(boxed.value)
    case 'Double':
      return double(Number(boxed.value))
    case 'Long':
      return BigInt(boxed.toString())
    case 'ObjectId':
      return value instanceof ObjectId ? value : new ObjectId(boxed.toHexString() as string)
    case 'Decimal128':
      return value instanceof Decimal128 ? value : new Decimal128(boxed.bytes as Uint8Array)
    case 'Binary':
      return value instanceof Binary ? value : new Binary(boxed.value(), boxed.sub_type)
    case 'Timestamp':
      return value instanceof Timestamp ? value : new Timestamp({ t: boxed.t, i: boxed.i })
    case 'BSONRegExp':
      return value instanceof BSONRegExp ? value : new BSONRegExp(boxed.pattern, boxed.options)
    case 'MinKey':
      return new MinKey()
    case 'MaxKey':
      return new MaxKey()
    default:
      throw new TypeError(`${boxed._bsontype} has no place here`)
  }
}

/** A plain object as a document; see `valueFromPlain`. */
export function fromPlain(object: Record<string, unknown>): Doc {
  const doc: Doc = new Map()
  for (const key of Object.keys(object)) {
    const value = object[key]
    if (value !== undefined && typeof value !== 'function') doc.set(key, valueFromPlain(value))
  }
  return doc
}

/** A value for JavaScript callers: Double → number, int64 → number when safe, else Long; documents → plain objects. */
export function valueToPlain(value: Value | undefined): unknown {
  if (typeof value === 'bigint')
    return value >= -9007199254740991n && value <= 9007199254740991n ? Number(value) : Long.fromBigInt(value)
  if (value === null || typeof value !== 'object') return value
  if (value instanceof Double) return value.value
  if (Array.isArray(value)) return value.map(valueToPlain)
  if (isDoc(value)) return toPlain(value)
  if (value === UNDEFINED) return undefined
  if (value instanceof Opaque && (value.tag === 13 || value.tag === 14)) {
    const text = asBuffer(value.bytes).toString('utf8', 4, value.bytes.length - 1)
    return value.tag === 13 ? new Code(text) : text
  }
  return value
}

/** A document as a plain object whose prototype cannot be reached by a field name; loses number types. */
export function toPlain(doc: Doc): Record<string, any> {
  const object: Record<string, any> = {}
  for (const [key, value] of doc) {
    if (key === '__proto__')
      Object.defineProperty(object, key, {
        value: valueToPlain(value),
        enumerable: true,
        writable: true,
        configurable: true
      })
    else object[key] = valueToPlain(value)
  }
  return object
}

import { Binary, BSONRegExp, Decimal128, Double, MaxKey, MinKey, ObjectId, Timestamp } from 'bson'

/**
 * A BSON value whose type this store only carries and compares: `tag` is the BSON type byte, `bytes` the raw payload.
 * Covers undefined (6), DBPointer (12), code (13, 15), symbol (14), and dates outside JavaScript's range (9).
 */
export class Opaque {
  constructor(
    readonly tag: number,
    readonly bytes: Uint8Array
  ) {}
}

/** BSON's deprecated undefined; also what an index holds for an empty array. */
export const UNDEFINED = new Opaque(6, new Uint8Array(0))

/**
 * One decoded BSON value; JavaScript's own types wherever they are exact:
 * - `number` is an int32 when it is an integer in int32's range (and not -0), else a double;
 * - `Double` boxes only the doubles a plain number would confuse with an int32 (make them with `double()`);
 * - `bigint` is an int64; `Map` is a document (field order kept, any name safe); arrays are arrays.
 */
export type Value =
  | null
  | boolean
  | number
  | bigint
  | string
  | Date
  | Double
  | Decimal128
  | ObjectId
  | Binary
  | BSONRegExp
  | Timestamp
  | MinKey
  | MaxKey
  | Opaque
  | Doc
  | Value[]

/** A decoded document: field name to value, in stored order. */
export type Doc = Map<string, Value>

/** Whether a value is an embedded document. */
export const isDoc = (value: unknown): value is Doc => value instanceof Map

const isInt32 = (n: number) => (n | 0) === n && !Object.is(n, -0)

/** A BSON double: boxed when a plain number would read as int32. */
export const double = (n: number): number | Double => (isInt32(n) ? new Double(n) : n)

/** An integral result as BSON writes it: int32 when it fits, else int64. `n` must be a safe integer or a bigint. */
export const integer = (n: number | bigint): number | bigint => {
  if (typeof n === 'number') return isInt32(n) ? n : n === 0 ? 0 : BigInt(n)
  return n >= -2147483648n && n <= 2147483647n ? Number(n) : n
}

/** The BSON type byte of a value (-1 for MinKey, 127 for MaxKey, 0 when missing). */
export function typeTag(value: Value | undefined): number {
  switch (typeof value) {
    case 'number':
      return isInt32(value) ? 16 : 1
    case 'string':
      return 2
    case 'boolean':
      return 8
    case 'bigint':
      return 18
    case 'undefined':
      return 0
  }
  if (value === null) return 10
  if (value instanceof Map) return 3
  if (Array.isArray(value)) return 4
  if (value instanceof Date) return 9
  if (value instanceof Opaque) return value.tag
  switch (value._bsontype) {
    case 'ObjectId':
      return 7
    case 'Double':
      return 1
    case 'Binary':
      return 5
    case 'BSONRegExp':
      return 11
    case 'Timestamp':
      return 17
    case 'Decimal128':
      return 19
    case 'MinKey':
      return -1
    case 'MaxKey':
      return 127
    default:
      throw new TypeError('not a BSON value')
  }
}

/** $type's names of the BSON types, by type byte. */
export const TYPE_NAMES: ReadonlyMap<number, string> = new Map([
  [0, 'missing'],
  [1, 'double'],
  [2, 'string'],
  [3, 'object'],
  [4, 'array'],
  [5, 'binData'],
  [6, 'undefined'],
  [7, 'objectId'],
  [8, 'bool'],
  [9, 'date'],
  [10, 'null'],
  [11, 'regex'],
  [12, 'dbPointer'],
  [13, 'javascript'],
  [14, 'symbol'],
  [15, 'javascriptWithScope'],
  [16, 'int'],
  [17, 'timestamp'],
  [18, 'long'],
  [19, 'decimal'],
  [-1, 'minKey'],
  [127, 'maxKey']
])

/** The name $type and MongoDB's messages use for a value's type; 'missing' for undefined. */
export const typeName = (value: Value | undefined): string => TYPE_NAMES.get(typeTag(value)) ?? 'unknown'

/** Whether a value is of one of the four number types. */
export function isNumber(value: Value | undefined): value is number | bigint | Double | Decimal128 {
  const kind = typeof value
  if (kind === 'number' || kind === 'bigint') return true
  return kind === 'object' && (value instanceof Double || value instanceof Decimal128)
}

/** A number of any BSON type as the nearest double. */
export function toNumber(value: number | bigint | Double | Decimal128): number {
  if (typeof value === 'number') return value
  if (typeof value === 'bigint') return Number(value)
  return value instanceof Double ? value.value : Number(value.toString())
}

/** The value as an exact integer, or undefined when it is no number or has a fraction; int64 may lose nothing: bigint. */
export function toInteger(value: Value | undefined): number | undefined {
  if (!isNumber(value)) return undefined
  const n = toNumber(value)
  return Number.isSafeInteger(n) ? n : undefined
}

/** MongoDB's truth: false, 0, null, undefined and missing are false. */
export function isTruthy(value: Value | undefined): boolean {
  if (value === undefined || value === null || value === false || value === UNDEFINED) return false
  if (isNumber(value)) return toNumber(value) !== 0
  return !(value instanceof Opaque && value.tag === 6)
}

export { Binary, BSONRegExp, Decimal128, Double, MaxKey, MinKey, ObjectId, Timestamp }

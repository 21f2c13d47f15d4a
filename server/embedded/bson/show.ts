import { asBuffer } from './document.js'
import { Binary, BSONRegExp, Decimal128, Double, isDoc, ObjectId, Opaque, Timestamp, type Value } from './value.js'

/** A value as MongoDB's messages print it, like the shell: `{ a: 1, b: "x" }`, `ObjectId('…')`, `new Date(0)`. */
export function show(value: Value | undefined): string {
  if (value === undefined) return 'MISSING'
  if (value === null) return 'null'
  switch (typeof value) {
    case 'string':
      return JSON.stringify(value)
    case 'number':
    case 'boolean':
    case 'bigint':
      return String(value)
  }
  if (Array.isArray(value)) return value.length === 0 ? '[]' : `[ ${value.map(show).join(', ')} ]`
  if (isDoc(value)) {
    if (value.size === 0) return '{}'
    return `{ ${[...value].map(([key, field]) => `${key}: ${show(field)}`).join(', ')} }`
  }
  if (value instanceof Date) return `new Date(${value.getTime()})`
  if (value instanceof Double) return value.value.toFixed(1)
  if (value instanceof ObjectId) return `ObjectId('${value.toHexString()}')`
  if (value instanceof Decimal128) return value.toString()
  if (value instanceof Binary)
    return value.sub_type === 4 && value.length() === 16
      ? `UUID("${asBuffer(value.value())
          .toString('hex')
          .replace(/^(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-')}")`
      : `BinData(${value.sub_type}, ${asBuffer(value.value()).toString('hex').toUpperCase()})`
  if (value instanceof BSONRegExp) return `/${value.pattern}/${value.options}`
  if (value instanceof Timestamp) return `Timestamp(${value.t}, ${value.i})`
  if (value instanceof Opaque) return value.tag === 6 ? 'undefined' : `<type ${value.tag}>`
  return value._bsontype
}

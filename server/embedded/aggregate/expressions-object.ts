import { encode } from '../bson/document.js'
import { MongoError } from '../bson/errors.js'
import { Binary, isDoc, typeName, type Doc, type Value } from '../bson/value.js'
import { isNullish, unary, variadic, type Operator, type Operators } from './expression-kit.js'

const mergeObjects = variadic((values) => {
  const list = values.length === 1 && Array.isArray(values[0]) ? values[0] : values
  const merged: Doc = new Map()
  for (const value of list) {
    if (isNullish(value)) continue
    if (!isDoc(value))
      throw new MongoError(40400, `$mergeObjects requires object inputs, but input is of type ${typeName(value)}`)
    for (const [key, field] of value) merged.set(key, field)
  }
  return merged
})

const objectToArray = unary((value) => {
  if (isNullish(value)) return null
  if (!isDoc(value)) throw new MongoError(40390, `$objectToArray requires a document input, found: ${typeName(value)}`)
  return [...value].map(
    ([k, v]): Doc =>
      new Map<string, Value>([
        ['k', k],
        ['v', v]
      ])
  )
})

const arrayToObject = unary((value) => {
  if (isNullish(value)) return null
  if (!Array.isArray(value))
    throw new MongoError(40386, `$arrayToObject requires an array input, found: ${typeName(value)}`)
  const doc: Doc = new Map()
  for (const item of value) {
    let key: Value | undefined
    let field: Value | undefined
    if (Array.isArray(item)) {
      if (item.length !== 2)
        throw new MongoError(
          40397,
          `$arrayToObject requires an array of size 2 arrays,found array of size: ${item.length}`
        )
      ;[key, field] = item
    } else if (isDoc(item)) {
      if (item.size !== 2 || !item.has('k') || !item.has('v'))
        throw new MongoError(40393, "$arrayToObject requires an object with keys 'k' and 'v'")
      key = item.get('k')
      field = item.get('v')
    } else throw new MongoError(40398, `Unrecognised input type format for $arrayToObject: ${typeName(item)}`)
    if (typeof key !== 'string')
      throw new MongoError(
        40395,
        `$arrayToObject requires an array of key-value pairs, where the key must be of type string. Found key type: ${typeName(key)}`
      )
    doc.set(key, field!)
  }
  return doc
})

function fieldName(spec: Value | undefined, name: string): string {
  const literal = isDoc(spec) && spec.size === 1 ? (spec.get('$literal') ?? spec.get('$const')) : spec
  if (typeof literal !== 'string')
    throw new MongoError(5654602, `${name} requires 'field' to evaluate to a constant String`)
  if (literal.startsWith('$') && literal === spec)
    throw new MongoError(
      5654600,
      `A field path reference which begins with '$' is not allowed as a field name in ${name}`
    )
  return literal
}

const getField: Operator = (operand, compiler, name) => {
  if (!isDoc(operand) || operand.has('$literal') || operand.has('$const')) {
    const field = fieldName(operand, name)
    return ({ root }) => root.get(field)
  }
  for (const key of operand.keys())
    if (key !== 'field' && key !== 'input') throw new MongoError(3041701, `${name} found an unknown argument: ${key}`)
  if (!operand.has('field')) throw new MongoError(3041702, `${name} requires 'field' to be specified`)
  const field = fieldName(operand.get('field'), name)
  const input = compiler.compile(operand.get('input') ?? '$$CURRENT')
  return (scope) => {
    const value = input(scope)
    return isDoc(value) ? value.get(field) : isNullish(value) ? (value === undefined ? undefined : null) : undefined
  }
}

const setField =
  (unset: boolean): Operator =>
  (operand, compiler, name) => {
    const wanted = unset ? ['field', 'input'] : ['field', 'input', 'value']
    if (!isDoc(operand)) throw new MongoError(4161100, `${name} only supports an object as its argument`)
    for (const key of operand.keys())
      if (!wanted.includes(key)) throw new MongoError(4161101, `${name} found an unknown argument: ${key}`)
    for (const key of wanted)
      if (!operand.has(key)) throw new MongoError(4161102, `${name} requires '${key}' to be specified`)
    const field = fieldName(operand.get('field'), name)
    const input = compiler.compile(operand.get('input')!)
    const value = unset ? () => undefined : compiler.compile(operand.get('value')!)
    return (scope) => {
      const given = input(scope)
      if (isNullish(given)) return null
      if (!isDoc(given)) throw new MongoError(4161105, `${name} requires 'input' to evaluate to type Object`)
      const copy: Doc = new Map(given)
      const next = value(scope)
      if (next === undefined) copy.delete(field)
      else copy.set(field, next)
      return copy
    }
  }

/** Documents. */
export const objectOperators: Operators = {
  $mergeObjects: mergeObjects,
  $objectToArray: objectToArray,
  $arrayToObject: arrayToObject,
  $getField: getField,
  $setField: setField(false),
  $unsetField: setField(true),
  $bsonSize: unary((value) => {
    if (isNullish(value)) return null
    if (!isDoc(value)) throw new MongoError(31393, `$bsonSize requires a document input, found: ${typeName(value)}`)
    return encode(value).length
  }),
  $binarySize: unary((value) => {
    if (isNullish(value)) return null
    if (typeof value === 'string') return Buffer.byteLength(value)
    if (value instanceof Binary) return value.length()
    throw new MongoError(51276, `$binarySize requires a string or BinData argument, found: ${typeName(value)}`)
  })
}

import { compileExpression } from '../aggregate/expressions.js'
import { findVar, varsOf, type Env, type Vars } from '../aggregate/scope.js'
import { badValue, failedToParse, MongoError } from './errors.js'
import type { Comparison, FilterNode } from './filter-node.js'
import { toRegExp } from './regex.js'
import { show } from './show.js'
import {
  Binary,
  BSONRegExp,
  isDoc,
  isNumber,
  isTruthy,
  ObjectId,
  Opaque,
  toInteger,
  toNumber,
  typeName,
  TYPE_NAMES
} from './value.js'
import type { Doc, Value } from './value.js'

/** Query operators this store carries out; anything else that starts with `$` is refused. */
export const FILTER_OPERATORS = [
  ...['$eq', '$ne', '$gt', '$gte', '$lt', '$lte', '$in', '$nin', '$and', '$or', '$nor', '$not', '$exists', '$type'],
  ...['$expr', '$regex', '$options', '$mod', '$all', '$elemMatch', '$size', '$comment'],
  ...['$bitsAllSet', '$bitsAllClear', '$bitsAnySet', '$bitsAnyClear']
] as const

// MongoDB has these, this store does not: the message says so instead of calling them unknown.
const REFUSED = new Set(
  (
    '$where $text $jsonSchema $near $nearSphere $geoWithin $geoIntersects $within $geoNear $sampleRate $rand ' +
    '$alwaysTrue $alwaysFalse'
  ).split(' ')
)

const refuse = (name: string) =>
  badValue(REFUSED.has(name) ? `${name} is not supported by this store` : `unknown operator: ${name}`)

const never = (path: string): FilterNode => ({ op: 'cmp', path, cmp: '$in', value: [] })
const both = (children: FilterNode[]): FilterNode => (children.length === 1 ? children[0]! : { op: 'and', children })

/** Parses a filter to its tree. @throws MongoError 2, 9 or 51091; see `compileFilter`. */
export function parseFilter(filter: Doc, env: Env = {}): FilterNode {
  return parseTop(filter, env, true)
}

function parseTop(filter: Doc, env: Env, outermost: boolean): FilterNode {
  const children: FilterNode[] = []
  for (const [name, value] of filter) {
    if (!name.startsWith('$')) {
      children.push(...parseField(name, value, env))
      continue
    }
    switch (name) {
      case '$and':
      case '$or':
      case '$nor': {
        if (!Array.isArray(value)) throw badValue(`${name} must be an array`)
        if (value.length === 0) throw badValue('$and/$or/$nor must be a nonempty array')
        const parts = value.map((part) => {
          if (!isDoc(part)) throw badValue('$or/$and/$nor entries need to be full objects')
          return parseTop(part, env, outermost)
        })
        children.push({ op: name.slice(1) as 'and' | 'or' | 'nor', children: parts })
        break
      }
      case '$expr': {
        if (!outermost) throw badValue('$expr can only be applied to the top-level document')
        compileExpression(value, varsOf(env)) // refuses what cannot run before any document is read
        children.push({ op: 'expr', expression: value, implied: impliedBy(value, varsOf(env)) })
        break
      }
      case '$comment':
        break
      default:
        throw REFUSED.has(name)
          ? refuse(name)
          : badValue(
              `unknown top level operator: ${name}. If you have a field name that starts with a '$' symbol, consider using $getField or $setField.`
            )
    }
  }
  return children.length === 1 ? children[0]! : { op: 'and', children }
}

const isOperators = (value: Value): value is Doc => {
  if (!isDoc(value)) return false
  const first = value.keys().next()
  return first.done !== true && first.value.startsWith('$') && !['$ref', '$id', '$db'].includes(first.value)
}

function parseField(path: string, value: Value, env: Env): FilterNode[] {
  if (value instanceof BSONRegExp) return [regexNode(path, value)]
  if (isOperators(value)) return parseOperators(path, value, env)
  return [comparison(path, '$eq', value)]
}

function comparison(path: string, cmp: Comparison, value: Value): FilterNode {
  if (value instanceof Opaque && value.tag === 6) throw badValue('cannot compare to undefined')
  return { op: 'cmp', path, cmp, value }
}

function regexNode(path: string, value: BSONRegExp): FilterNode {
  toRegExp(value.pattern, value.options)
  return { op: 'cmp', path, cmp: '$regex', value }
}

function parseOperators(path: string, operators: Doc, env: Env): FilterNode[] {
  const children: FilterNode[] = []
  for (const [name, operand] of operators) {
    const node = parseOperator(path, name, operand, operators, env)
    if (node !== undefined) children.push(node)
  }
  return children
}

function parseOperator(path: string, name: string, operand: Value, all: Doc, env: Env): FilterNode | undefined {
  switch (name) {
    case '$eq':
      return comparison(path, name, operand)
    case '$ne':
      if (operand instanceof BSONRegExp) throw badValue("Can't have regex as arg to $ne.")
      return comparison(path, name, operand)
    case '$gt':
    case '$gte':
    case '$lt':
    case '$lte':
      if (operand instanceof BSONRegExp) throw badValue(`Can't have RegEx as arg to predicate over field '${path}'.`)
      return comparison(path, name, operand)
    case '$in':
    case '$nin': {
      if (!Array.isArray(operand)) throw badValue(`${name} needs an array`)
      for (const item of operand) {
        if (isOperators(item)) throw badValue(`cannot nest $ under ${name}`)
        if (item instanceof Opaque && item.tag === 6) throw badValue('InMatchExpression equality cannot be undefined')
        if (item instanceof BSONRegExp) toRegExp(item.pattern, item.options)
      }
      return { op: 'cmp', path, cmp: name, value: operand }
    }
    case '$exists':
      return { op: 'cmp', path, cmp: name, value: isTruthy(operand) }
    case '$type':
      return { op: 'cmp', path, cmp: name, value: typeTags(operand) }
    case '$regex': {
      const options = all.get('$options')
      if (options !== undefined && typeof options !== 'string') throw badValue('$options has to be a string')
      if (operand instanceof BSONRegExp) {
        if (options !== undefined && operand.options !== '')
          throw new MongoError(51075, 'options set in both $regex and $options')
        return regexNode(path, withOptions(operand.pattern, options ?? operand.options))
      }
      if (typeof operand !== 'string') throw badValue('$regex has to be a string')
      return regexNode(path, withOptions(operand, options ?? ''))
    }
    case '$options':
      if (!all.has('$regex')) throw badValue('$options needs a $regex')
      return undefined
    case '$comment':
      return undefined
    case '$mod':
      return { op: 'cmp', path, cmp: name, value: modOperands(operand) }
    case '$size': {
      const size = toInteger(operand)
      if (!isNumber(operand))
        throw failedToParse(`Failed to parse $size. Expected a number in: $size: ${show(operand)}`)
      if (size === undefined) throw failedToParse(`Failed to parse $size. Expected an integer: $size: ${show(operand)}`)
      if (size < 0)
        throw failedToParse(`Failed to parse $size. Expected a non-negative number in: $size: ${show(operand)}`)
      return { op: 'cmp', path, cmp: name, value: size }
    }
    case '$all':
      return parseAll(path, operand, env)
    case '$elemMatch':
      return parseElemMatch(path, operand, env)
    case '$not': {
      if (operand instanceof BSONRegExp) return { op: 'not', child: regexNode(path, operand) }
      if (!isDoc(operand)) throw badValue('$not needs a regex or a document')
      if (operand.size === 0) throw badValue('$not cannot be empty')
      for (const key of operand.keys()) if (!key.startsWith('$')) throw refuse(key)
      return { op: 'not', child: both(parseOperators(path, operand, env)) }
    }
    case '$bitsAllSet':
    case '$bitsAllClear':
    case '$bitsAnySet':
    case '$bitsAnyClear':
      return { op: 'cmp', path, cmp: name, value: bitPositions(name, operand) }
    default:
      throw refuse(name)
  }
}

function withOptions(pattern: string, options: string): BSONRegExp {
  for (const flag of options)
    if (!'imsxu'.includes(flag)) throw new MongoError(51108, `invalid flag in regex options: ${flag}`)
  if (pattern.includes('\0')) throw badValue('Regular expression cannot contain an embedded null byte')
  return new BSONRegExp(pattern, options)
}

function parseAll(path: string, operand: Value, env: Env): FilterNode {
  if (!Array.isArray(operand)) throw badValue('$all needs an array')
  if (operand.length === 0) return never(path)
  const elemMatches = operand.filter((item) => isDoc(item) && item.keys().next().value === '$elemMatch')
  if (elemMatches.length > 0 && elemMatches.length < operand.length) throw badValue('no $ expressions in $all')
  return both(
    operand.map((item): FilterNode => {
      if (elemMatches.length > 0) return parseElemMatch(path, (item as Doc).get('$elemMatch')!, env)
      if (isOperators(item)) throw badValue('no $ expressions in $all')
      return item instanceof BSONRegExp ? regexNode(path, item) : comparison(path, '$eq', item)
    })
  )
}

function parseElemMatch(path: string, operand: Value, env: Env): FilterNode {
  if (!isDoc(operand)) throw badValue('$elemMatch needs an Object')
  const first = operand.keys().next().value
  const onValues =
    first !== undefined &&
    first.startsWith('$') &&
    !['$and', '$or', '$nor', '$expr', '$where', '$comment'].includes(first)
  if (!onValues) return { op: 'elemMatch', path, value: false, child: parseTop(operand, env, false) }
  return { op: 'elemMatch', path, value: true, child: both(parseOperators('', operand, env)) }
}

function modOperands(operand: Value): Value[] {
  if (!Array.isArray(operand)) throw badValue('malformed mod, needs to be an array')
  if (operand.length < 2) throw badValue('malformed mod, not enough elements')
  if (operand.length > 2) throw badValue('malformed mod, too many elements')
  const [divisor, rest] = operand.map((item, i) => {
    if (typeof item === 'bigint') return item
    const what = i === 0 ? 'divisor' : 'remainder'
    if (!isNumber(item)) throw badValue(`malformed mod, ${what} not a number`)
    const n = toNumber(item)
    if (!Number.isFinite(n) || Math.abs(n) >= 2 ** 63) throw badValue(`malformed mod, ${what} value is invalid`)
    return BigInt(Math.trunc(n))
  })
  if (divisor === 0n) throw badValue('divisor cannot be 0')
  return [divisor!, rest!]
}

function typeTags(operand: Value): number[] {
  const tags = (Array.isArray(operand) ? operand : [operand]).flatMap((item): number[] => {
    if (typeof item === 'string') {
      if (item === 'number') return [1, 16, 18, 19]
      for (const [tag, name] of TYPE_NAMES) if (name === item && tag !== 0) return [tag]
      throw badValue(`Unknown type name alias: ${item}`)
    }
    if (!isNumber(item)) throw new MongoError(14, 'type must be represented as a number or a string')
    const tag = toInteger(item)
    if (tag === undefined || tag === 0 || !TYPE_NAMES.has(tag))
      throw badValue(`Invalid numerical type code: ${show(item)}`)
    return [tag]
  })
  if (tags.length === 0) throw failedToParse('$type must match at least one type')
  return tags
}

function bitPositions(name: string, operand: Value): number[] {
  if (Array.isArray(operand))
    return operand.map((item) => {
      const position = toInteger(item)
      if (position === undefined || position < 0)
        throw badValue(`bit positions must be an integer >= 0 but got: ${show(item)}`)
      return position
    })
  const positions: number[] = []
  if (operand instanceof Binary) {
    const bytes = operand.value()
    for (let i = 0; i < bytes.length * 8; i++) if ((bytes[i >> 3]! & (1 << (i & 7))) !== 0) positions.push(i)
    return positions
  }
  const mask = typeof operand === 'bigint' ? operand : toInteger(operand)
  if (mask === undefined)
    throw badValue(`${name} takes an Array, a number, or a BinData but received: ${typeName(operand)}`)
  if (mask < 0) throw failedToParse(`Expected a non-negative number in: ${name}: ${show(operand)}`)
  for (let rest = BigInt(mask), i = 0; rest > 0n; rest >>= 1n, i++) if (rest & 1n) positions.push(i)
  return positions
}

// { $expr: { $eq: ['$a', 5] } } and the like also bound a plain field; a planner may use that to choose an index. Arrays
// at `a` make the two differ only by what $expr rejects, never by what it accepts, as long as the constant is a scalar.
function impliedBy(expression: Value, vars: Vars | null): FilterNode[] {
  if (!isDoc(expression) || expression.size !== 1) return []
  const [name, operands] = expression.entries().next().value!
  if (!Array.isArray(operands)) return []
  if (name === '$and') return operands.flatMap((part) => impliedBy(part, vars))
  if (name !== '$eq' || operands.length !== 2) return []
  const at = operands.findIndex((item) => typeof item === 'string' && /^\$[^$.]+$/.test(item))
  if (at < 0) return []
  const given = operands[1 - at]!
  const isVariable = typeof given === 'string' && given.startsWith('$$')
  const constant = isVariable ? findVar(vars, given.slice(2))?.value : given
  const simple =
    isNumber(constant) || typeof constant === 'boolean' || constant instanceof Date || constant instanceof ObjectId
  const text = typeof constant === 'string' && (isVariable || !constant.startsWith('$'))
  return simple || text ? [{ op: 'cmp', path: (operands[at] as string).slice(1), cmp: '$eq', value: constant }] : []
}

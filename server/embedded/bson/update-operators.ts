import { addNumbers, isIntegral, multiplyNumbers, type Numeric } from './arithmetic.js'
import { compareValues, equalValues } from './compare.js'
import { badValue, failedToParse, MongoError, typeMismatch } from './errors.js'
import { compileFilter } from './match.js'
import { getPath, indexOf } from './path.js'
import { show } from './show.js'
import { compileSort } from './sort.js'
import { timestampOf } from './timestamp.js'
import { pathSegments, type Leaf, type UpdateContext } from './update-tree.js'
import { BSONRegExp, isDoc, isNumber, toInteger, toNumber, typeName } from './value.js'
import type { Doc, Value } from './value.js'
import { createValueSet } from './value-set.js'

const idOf = ({ original }: UpdateContext) => `{_id: ${show(original.get('_id'))}}`

const leaf = (apply: Leaf['apply']): Leaf => ({ creates: true, apply })
const onExisting = (apply: Leaf['apply']): Leaf => ({ creates: false, apply })

function arithmetic(name: '$inc' | '$mul', operand: Value, path: string): Leaf {
  const verb = name === '$inc' ? 'increment' : 'multiply'
  if (!isNumber(operand)) throw typeMismatch(`Cannot ${verb} with non-numeric argument: {${path}: ${show(operand)}}`)
  return leaf((current, context, at) => {
    if (current === undefined) return name === '$inc' ? operand : multiplyNumbers(operand, 0)
    if (!isNumber(current))
      throw typeMismatch(
        `Cannot apply ${name} to a value of non-numeric type. ${idOf(context)} has the field '${at.slice(at.lastIndexOf('.') + 1)}' of non-numeric type ${typeName(current)}`
      )
    const result: Numeric | undefined = (name === '$inc' ? addNumbers : multiplyNumbers)(current, operand)
    if (result === undefined)
      throw badValue(
        `Failed to apply ${name} operations to current value (${show(current)}) for document ${idOf(context)}`
      )
    return result
  })
}

function currentDate(operand: Value, now: Date): Leaf {
  const stamp = () => timestampOf(now)
  if (typeof operand === 'boolean') return leaf(() => now)
  if (isDoc(operand) && operand.size === 1 && operand.has('$type')) {
    const kind = operand.get('$type')
    if (kind === 'date') return leaf(() => now)
    if (kind === 'timestamp') return leaf(stamp)
    throw badValue(
      "The '$type' string field is required to be 'date' or 'timestamp': {$currentDate: {field : {$type: 'date'}}}"
    )
  }
  throw badValue(
    `${typeName(operand)} is not valid type for $currentDate. Please use a boolean ('true') or a $type expression ({$type: 'timestamp/date'}).`
  )
}

function bit(operand: Value, path: string): Leaf {
  if (!isDoc(operand) || operand.size === 0)
    throw badValue(
      `The $bit modifier is not compatible with a ${typeName(operand)}. You must pass in an embedded document: {$bit: {field: {and/or/xor: #}}`
    )
  const steps = [...operand].map(([name, mask]) => {
    if (!['and', 'or', 'xor'].includes(name))
      throw badValue(
        `The $bit modifier only supports 'and', 'or', and 'xor', not '${name}' which is an unknown operator: {${name}: ${show(mask)}}`
      )
    if (!isNumber(mask) || !isIntegral(mask))
      throw badValue(
        `The $bit modifier field must be an Integer(32/64 bit); a '${typeName(mask)}' is not supported here: {${name}: ${show(mask)}}`
      )
    return { name, mask }
  })
  return leaf((current, context) => {
    let value: Value = current ?? 0
    if (!isNumber(value) || !isIntegral(value))
      throw badValue(
        `Cannot apply $bit to a value of non-integral type.${idOf(context)} has the field ${path} of non-integer type ${typeName(value)}`
      )
    for (const { name, mask } of steps) {
      const long: boolean = typeof value === 'bigint' || typeof mask === 'bigint'
      const [x, y]: [bigint, bigint] = [BigInt(value as number | bigint), BigInt(mask)]
      const result: bigint = name === 'and' ? x & y : name === 'or' ? x | y : x ^ y
      value = long ? result : Number(result)
    }
    return value
  })
}

const compares = (wanted: 1 | -1, operand: Value): Leaf =>
  leaf((current) => (current === undefined || compareValues(operand, current) * wanted > 0 ? operand : current))

const notArray = (current: Value, context: UpdateContext, path: string) =>
  badValue(`The field '${path}' must be an array but is of type ${typeName(current)} in document ${idOf(context)}`)

function push(operand: Value): Leaf {
  const modifiers = isDoc(operand) && operand.has('$each') ? operand : undefined
  if (modifiers === undefined)
    return leaf((current, context, path) => {
      if (current !== undefined && !Array.isArray(current)) throw notArray(current, context, path)
      return [...(current ?? []), operand]
    })
  for (const name of modifiers.keys())
    if (!['$each', '$slice', '$sort', '$position'].includes(name))
      throw badValue(`Unrecognized clause in $push: ${name}`)
  const each = modifiers.get('$each')
  if (!Array.isArray(each))
    throw badValue(`The argument to $each in $push must be an array but it was of type: ${typeName(each)}`)
  const slice = whole('$slice', modifiers.get('$slice'))
  const position = whole('$position', modifiers.get('$position'))
  const order = pushOrder(modifiers.get('$sort'))
  return leaf((current, context, path) => {
    if (current !== undefined && !Array.isArray(current)) throw notArray(current, context, path)
    const items = [...(current ?? [])]
    const at =
      position === undefined
        ? items.length
        : position < 0
          ? Math.max(0, items.length + position)
          : Math.min(position, items.length)
    items.splice(at, 0, ...each)
    if (order !== undefined) items.sort(order)
    if (slice === undefined) return items
    return slice === 0 ? [] : slice > 0 ? items.slice(0, slice) : items.slice(slice)
  })
}

function whole(name: '$slice' | '$position', value: Value | undefined): number | undefined {
  if (value === undefined) return undefined
  const n = toInteger(value)
  if (n === undefined)
    throw badValue(
      name === '$slice'
        ? `The value for $slice must be an integer value but was given type: ${typeName(value)}`
        : `The value for $position must be an integer value, not of type: ${typeName(value)}`
    )
  return n
}

function pushOrder(value: Value | undefined): ((a: Value, b: Value) => number) | undefined {
  if (value === undefined) return undefined
  const wrong = () =>
    badValue('The $sort is invalid: use 1/-1 to sort the whole element, or {field:1/-1} to sort embedded fields')
  if (isNumber(value)) {
    const direction = toNumber(value)
    if (direction !== 1 && direction !== -1) throw badValue('The $sort element value must be either 1 or -1')
    return (a, b) => direction * compareValues(a, b)
  }
  if (!isDoc(value) || value.size === 0) throw wrong()
  for (const part of value.values())
    if (!isNumber(part) || Math.abs(toNumber(part)) !== 1)
      throw badValue('The $sort element value must be either 1 or -1')
  const sort = compileSort(value)
  const key = (item: Value) => sort.key(isDoc(item) ? item : new Map())
  return (a, b) => sort.compare(key(a), key(b))
}

function addToSet(operand: Value): Leaf {
  let each: Value[] = [operand]
  if (isDoc(operand) && operand.keys().next().value === '$each') {
    const given = operand.get('$each')
    if (!Array.isArray(given))
      throw typeMismatch(`The argument to $each in $addToSet must be an array but it was of type ${typeName(given)}`)
    for (const name of operand.keys())
      if (name !== '$each') throw badValue(`Found unexpected fields after $each in $addToSet: ${show(operand)}`)
    each = given
  }
  return leaf((current, _context, path) => {
    if (current !== undefined && !Array.isArray(current))
      throw badValue(
        `Cannot apply $addToSet to non-array field. Field named '${path}' has non-array type ${typeName(current)}`
      )
    const items = [...(current ?? [])]
    const known = createValueSet(items, each.length)
    for (const item of each) {
      if (known.has(item)) continue
      known.add(item)
      items.push(item)
    }
    return items
  })
}

function pull(operand: Value): Leaf {
  let matches: (item: Value) => boolean
  if (operand instanceof BSONRegExp || (isDoc(operand) && (operand.keys().next().value ?? '').startsWith('$'))) {
    const filter = compileFilter(new Map([['', operand]]))
    matches = (item) => filter.test(new Map([['', item]]))
  } else if (isDoc(operand)) {
    const filter = compileFilter(operand)
    matches = (item) => isDoc(item) && filter.test(item)
  } else matches = (item) => equalValues(item, operand)
  return removal(matches, 'Cannot apply $pull to a non-array value')
}

const removal = (matches: (item: Value) => boolean, message: string): Leaf =>
  onExisting((current) => {
    if (!Array.isArray(current)) throw badValue(message)
    return current.filter((item) => !matches(item))
  })

function pullAll(operand: Value): Leaf {
  if (!Array.isArray(operand))
    throw badValue(`$pullAll requires an array argument but was given a ${typeName(operand)}`)
  return onExisting((current) => {
    if (!Array.isArray(current)) throw badValue('Cannot apply $pull to a non-array value')
    const gone = createValueSet(operand, current.length)
    return current.filter((item) => !gone.has(item))
  })
}

function pop(operand: Value): Leaf {
  if (!isNumber(operand)) throw failedToParse(`Expected a number in: $pop: ${show(operand)}`)
  const side = toNumber(operand)
  if (side !== 1 && side !== -1) throw failedToParse(`$pop expects 1 or -1, found: ${show(operand)}`)
  return onExisting((current, _context, path) => {
    if (!Array.isArray(current))
      throw typeMismatch(`Path '${path}' contains an element of non-array type '${typeName(current)}'`)
    return side === 1 ? current.slice(0, -1) : current.slice(1)
  })
}

/** Whether a missing source only is not there: it cannot be below a value that has no fields. @throws MongoError 28 */
function refuseDeadEnd(source: string[], from: string, original: Doc): void {
  for (let i = 1; i < source.length; i++) {
    const above = getPath(original, source.slice(0, i))
    if (above === undefined) return
    if (isDoc(above) || (Array.isArray(above) && indexOf(source[i]!) >= 0)) continue
    const [last, shown] = [source[i - 1]!, show(above)]
    throw new MongoError(28, `cannot use the part (${last} of ${from}) to traverse the element ({${last}: ${shown}})`)
  }
}

function renaming(from: string, operand: Value): Placed[] {
  if (typeof operand !== 'string')
    throw badValue(`The 'to' field for $rename must be a string: ${from}: ${show(operand)}`)
  const [source, target] = [pathSegments(from), pathSegments(operand)]
  if (from === operand) throw badValue(`The source and target field for $rename must differ: ${from}: "${operand}"`)
  if (`${operand}.`.startsWith(`${from}.`) || `${from}.`.startsWith(`${operand}.`))
    throw badValue(`The source and target field for $rename must not be on the same path: ${from}: "${operand}"`)
  if (source.some((part) => part.startsWith('$')))
    throw badValue(`The source field for $rename may not be dynamic: ${from}`)
  if (target.some((part) => part.startsWith('$')))
    throw badValue(`The destination field for $rename may not be dynamic: ${operand}`)
  const active = (context: UpdateContext) => {
    if (getPath(context.original, source) !== undefined) return true
    refuseDeadEnd(source, from, context.original)
    return false
  }
  const noArray = (segments: string[], which: string, path: string, { original }: UpdateContext) => {
    for (let i = 1; i < segments.length; i++)
      if (Array.isArray(getPath(original, segments.slice(0, i))))
        throw badValue(
          `The ${which} field cannot be an array element, '${path}' in doc with _id: ${show(original.get('_id'))} has an array field called '${segments[i - 1]}'`
        )
  }
  const leave: Leaf = {
    active,
    creates: false,
    apply: (_current, context) => void noArray(source, 'source', from, context)
  }
  const arrive: Leaf = {
    active,
    creates: true,
    apply(_current, context) {
      noArray(target, 'destination', operand, context)
      return getPath(context.original, source)
    }
  }
  return [
    { path: from, leaf: leave },
    { path: operand, leaf: arrive }
  ]
}

type Build = (operand: Value, path: string, now: Date) => Leaf

const BUILDERS: Record<string, Build> = {
  $set: (operand) => leaf(() => operand),
  $setOnInsert: (operand) => ({ creates: true, active: ({ isInsert }) => isInsert, apply: () => operand }),
  $unset: () => onExisting(() => undefined),
  $inc: (operand, path) => arithmetic('$inc', operand, path),
  $mul: (operand, path) => arithmetic('$mul', operand, path),
  $min: (operand) => compares(-1, operand),
  $max: (operand) => compares(1, operand),
  $currentDate: (operand, _path, now) => currentDate(operand, now),
  $bit: (operand, path) => bit(operand, path),
  $push: (operand) => push(operand),
  $addToSet: (operand) => addToSet(operand),
  $pull: (operand) => pull(operand),
  $pullAll: (operand) => pullAll(operand),
  $pop: (operand) => pop(operand)
}

/** The update operators this store carries out. */
export const UPDATE_OPERATORS: readonly string[] = [...Object.keys(BUILDERS), '$rename']

/** Where an operator is put, and the operator. */
export type Placed = { path: string; leaf: Leaf }

/** One operator's fields as leaves, in their order. @throws MongoError 9 for an unknown operator, others for bad operands. */
export function leavesOf(name: string, fields: Value, now: Date, into: Placed[]): void {
  const build = Object.hasOwn(BUILDERS, name) ? BUILDERS[name] : undefined
  if (build === undefined && name !== '$rename')
    throw failedToParse(
      `Unknown modifier: ${name}. Expected a valid update modifier or pipeline-style update specified as an array`
    )
  if (!isDoc(fields))
    throw failedToParse(
      `Modifiers operate on fields but we found type ${typeName(fields)} instead. For example: {$mod: {<field>: ...}} not {${name}: ${show(fields)}}`
    )
  for (const [path, operand] of fields) {
    if (build === undefined) into.push(...renaming(path, operand))
    else into.push({ path, leaf: build(operand, path, now) })
  }
}

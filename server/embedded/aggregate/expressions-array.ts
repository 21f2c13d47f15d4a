import { compareValues, equalValues } from '../bson/compare.js'
import { MongoError } from '../bson/errors.js'
import { compileSort } from '../bson/sort.js'
import { integer, isDoc, isNumber, isTruthy, toInteger, toNumber, typeName, type Value } from '../bson/value.js'
import {
  argumentsOf,
  binary,
  isNullish,
  namedOf,
  unary,
  variadic,
  type Compiler,
  type Operator,
  type Operators
} from './expression-kit.js'
import type { Expression } from './scope.js'
import { checkElements, sizeOf } from './sizes.js'

const need = (value: Value | undefined, code: number, message: string): Value[] => {
  if (!Array.isArray(value)) throw new MongoError(code, message)
  return value
}

function position(value: Value | undefined, code: number, message: string): number {
  const n = toInteger(value)
  if (n === undefined) throw new MongoError(code, message)
  return n
}

// $map and $filter: `input`, an optional name for the element, and a body that sees it.
function looping(operand: Value, compiler: Compiler, name: string, body: string, optional: string[]) {
  if (!isDoc(operand)) throw new MongoError(16878, `${name} only supports an object as its argument`)
  for (const key of operand.keys())
    if (!['input', 'as', body, ...optional].includes(key))
      throw new MongoError(16879, `Unrecognized parameter to ${name}: ${key}`)
  for (const key of ['input', body])
    if (!operand.has(key)) throw new MongoError(16882, `Missing '${key}' parameter to ${name}`)
  const as = operand.get('as') ?? 'this'
  if (typeof as !== 'string') throw new MongoError(16882, `'as' of ${name} must be a string`)
  return { as, input: compiler.compile(operand.get('input')!), run: compiler.within([as]).compile(operand.get(body)!) }
}

const map: Operator = (operand, compiler, name) => {
  const { as, input, run } = looping(operand, compiler, name, 'in', [])
  return (scope) => {
    const list = input(scope)
    if (isNullish(list)) return null
    let inner = 0
    return need(list, 16883, `input to $map must be an array not ${typeName(list)}`).map((item) => {
      const value = run({ root: scope.root, vars: { name: as, value: item, next: scope.vars } }) ?? null
      if (Array.isArray(value)) checkElements((inner += value.length), name)
      return value
    })
  }
}

const filter: Operator = (operand, compiler, name) => {
  const { as, input, run } = looping(operand, compiler, name, 'cond', ['limit'])
  const most = isDoc(operand) && operand.has('limit') ? compiler.compile(operand.get('limit')!) : undefined
  return (scope) => {
    const list = input(scope)
    if (isNullish(list)) return null
    const given = most?.(scope)
    const limit = isNullish(given)
      ? Infinity
      : position(given, 327391, '$filter: limit must be represented as a 32-bit integral value')
    if (limit < 1) throw new MongoError(327392, '$filter: limit must be greater than 0')
    const kept: Value[] = []
    for (const item of need(list, 28651, `input to $filter must be an array not ${typeName(list)}`)) {
      if (kept.length >= limit) break
      if (isTruthy(run({ root: scope.root, vars: { name: as, value: item, next: scope.vars } }))) kept.push(item)
    }
    return kept
  }
}

/** How large a value $reduce may gather, looked at every so many turns. */
const MOST_REDUCED = 64 * 1024 * 1024
const TURNS_UNSEEN = 16

const reduce: Operator = (operand, compiler, name) => {
  if (!isDoc(operand)) throw new MongoError(40075, '$reduce requires an object as an argument')
  for (const key of operand.keys())
    if (!['input', 'initialValue', 'in'].includes(key))
      throw new MongoError(40076, `$reduce found an unknown argument: ${key}`)
  for (const key of ['input', 'initialValue', 'in'])
    if (!operand.has(key)) throw new MongoError(40077, `${name} requires '${key}' to be specified`)
  const input = compiler.compile(operand.get('input')!)
  const initial = compiler.compile(operand.get('initialValue')!)
  const run = compiler.within(['this', 'value']).compile(operand.get('in')!)
  return (scope) => {
    const list = input(scope)
    if (isNullish(list)) return null
    let value = initial(scope)
    let turns = 0
    for (const item of need(list, 40080, `$reduce requires that 'input' be an array, found: ${typeName(list)}`)) {
      const outer = { name: 'this', value: item, next: scope.vars }
      value = run({ root: scope.root, vars: { name: 'value', value, next: outer } })
      // What doubles with each turn is seen before it is too large to be walked.
      if (++turns % TURNS_UNSEEN === 0 && sizeOf(value) > MOST_REDUCED)
        throw new MongoError(146, `${name} would use too much memory: its value is beyond ${MOST_REDUCED} bytes`)
    }
    return value
  }
}

const elementAt = binary((list, at) => {
  if (isNullish(list) || isNullish(at)) return null
  const items = need(list, 28689, `$arrayElemAt's first argument must be an array, but is ${typeName(list)}`)
  if (!isNumber(at))
    throw new MongoError(28690, `$arrayElemAt's second argument must be a numeric value, but is ${typeName(at)}`)
  const i = position(
    at,
    28691,
    `$arrayElemAt's second argument must be representable as a 32-bit integer: ${toNumber(at)}`
  )
  return items[i < 0 ? items.length + i : i]
})

const slice = variadic(
  (values) => {
    const [list, a, b] = values
    if (isNullish(list) || isNullish(a) || (values.length === 3 && isNullish(b))) return null
    const items = need(list, 28724, `First argument to $slice must be an array, but is of type: ${typeName(list)}`)
    const first = position(
      a,
      28725,
      `Second argument to $slice must be a numeric value, but is of type: ${typeName(a)}`
    )
    if (values.length === 2) return first >= 0 ? items.slice(0, first) : items.slice(first)
    const count = position(b, 28727, `Third argument to $slice must be numeric, but is of type: ${typeName(b)}`)
    if (count <= 0) throw new MongoError(28729, `Third argument to $slice must be positive: ${count}`)
    const start = first >= 0 ? first : Math.max(0, items.length + first)
    return items.slice(start, start + count)
  },
  2,
  3
)

const sortArray: Operator = (operand, compiler, name) => {
  if (!isDoc(operand)) throw new MongoError(2942500, '$sortArray requires an object as an argument')
  const by = operand.get('sortBy')
  const { input } = namedOf(new Map([['input', operand.get('input') ?? null]]), compiler, name, ['input'])
  if (by === undefined || operand.size !== 2) throw new MongoError(2942502, '$sortArray requires input and sortBy')
  let order: (a: Value, b: Value) => number
  if (isDoc(by)) {
    const sort = compileSort(by)
    const key = (item: Value) => sort.key(isDoc(item) ? item : new Map())
    order = (a, b) => sort.compare(key(a), key(b))
  } else {
    const direction = toInteger(by)
    if (direction !== 1 && direction !== -1)
      throw new MongoError(15975, '$sort key ordering must be 1 (for ascending) or -1 (for descending)')
    order = (a, b) => direction * compareValues(a, b)
  }
  return (scope) => {
    const list = (input as Expression)(scope)
    return isNullish(list)
      ? null
      : [
          ...need(
            list,
            2942504,
            `The input argument to $sortArray must be an array, but was of type: ${typeName(list)}`
          )
        ].sort(order)
  }
}

const range = variadic(
  ([from, to, by]) => {
    const whole = (value: Value | undefined, what: string) =>
      position(value, 34444, `$range requires a numeric ${what} value representable as an int`)
    const [start, end, step] = [whole(from, 'starting'), whole(to, 'ending'), by === undefined ? 1 : whole(by, 'step')]
    if (step === 0) throw new MongoError(34449, '$range requires a non-zero step value')
    checkElements((end - start) / step, '$range')
    const items: Value[] = []
    for (let i = start; step > 0 ? i < end : i > end; i += step) items.push(integer(i))
    return items
  },
  2,
  3
)

const edge = (last: boolean): Operator =>
  unary((list, name) => {
    if (isNullish(list)) return null
    const items = need(list, 28689, `${name}'s argument must be an array, but is ${typeName(list)}`)
    return items[last ? items.length - 1 : 0]
  })

const some =
  (pick: (items: Value[], n: number) => Value[]): Operator =>
  (operand, compiler, name) => {
    const { input, n } = namedOf(operand, compiler, name, ['input', 'n'])
    return (scope) => {
      const list = input!(scope)
      const count = position(
        n!(scope),
        5787902,
        `Value for 'n' must be of integral type, but found ${typeName(n!(scope))}`
      )
      if (count <= 0) throw new MongoError(5787908, `'n' must be greater than 0, found ${count}`)
      return pick(need(list, 5788200, 'Input must be an array'), count)
    }
  }

const zip: Operator = (operand, compiler, name) => {
  const { inputs, useLongestLength, defaults } = namedOf(
    operand,
    compiler,
    name,
    ['inputs'],
    ['useLongestLength', 'defaults']
  )
  return (scope) => {
    const list = need(inputs!(scope), 34461, 'inputs must be an array of expressions')
    if (list.some(isNullish)) return null
    const rows = list.map((row) => need(row, 34468, `$zip found a non-array expression in input: ${typeName(row)}`))
    const longest = isTruthy(useLongestLength?.(scope))
    const fill = defaults?.(scope)
    if (!longest && !isNullish(fill))
      throw new MongoError(34466, 'cannot specify defaults unless useLongestLength is true')
    const lengths = rows.map((row) => row.length)
    const length = rows.length === 0 ? 0 : longest ? Math.max(...lengths) : Math.min(...lengths)
    checkElements(length * rows.length, name)
    return Array.from({ length }, (_, i) =>
      rows.map((row, at) => row[i] ?? (Array.isArray(fill) ? fill[at] : undefined) ?? null)
    )
  }
}

const indexOfArray: Operator = (operand, compiler, name) => {
  const parts = argumentsOf(operand, compiler, name, 2, 4)
  return (scope) => {
    const [list, wanted, from, to] = parts.map((part) => part(scope))
    if (isNullish(list)) return null
    const items = need(list, 40090, `$indexOfArray requires an array as a first argument, found: ${typeName(list)}`)
    const start = from === undefined ? 0 : position(from, 40096, '$indexOfArray requires an integral starting index')
    const end = to === undefined ? items.length : position(to, 40096, '$indexOfArray requires an integral ending index')
    if (start < 0 || end < 0) throw new MongoError(40097, '$indexOfArray requires a nonnegative index')
    for (let i = start; i < Math.min(end, items.length); i++) if (equalValues(items[i], wanted)) return i
    return -1
  }
}

/** Arrays. */
export const arrayOperators: Operators = {
  $size: unary(
    (list) => need(list, 17124, `The argument to $size must be an array, but was of type: ${typeName(list)}`).length
  ),
  $in: binary((value, list) =>
    need(list, 40081, `$in requires an array as a second argument, found: ${typeName(list)}`).some((item) =>
      equalValues(item, value)
    )
  ),
  $isArray: unary((value) => Array.isArray(value)),
  $map: map,
  $filter: filter,
  $reduce: reduce,
  $arrayElemAt: elementAt,
  $first: edge(false),
  $last: edge(true),
  $firstN: some((items, n) => items.slice(0, n)),
  $lastN: some((items, n) => items.slice(-n)),
  $minN: some((items, n) =>
    items
      .filter((item) => item !== null)
      .sort(compareValues)
      .slice(0, n)
  ),
  $maxN: some((items, n) =>
    items
      .filter((item) => item !== null)
      .sort((a, b) => compareValues(b, a))
      .slice(0, n)
  ),
  $slice: slice,
  $concatArrays: variadic((values) => {
    if (values.some(isNullish)) return null
    const lists = values.map((value) =>
      need(value, 28664, `$concatArrays only supports arrays, not ${typeName(value)}`)
    )
    checkElements(
      lists.reduce((sum, list) => sum + list.length, 0),
      '$concatArrays'
    )
    return ([] as Value[]).concat(...lists)
  }),
  $reverseArray: unary((list) =>
    isNullish(list)
      ? null
      : [
          ...need(list, 34435, `The argument to $reverseArray must be an array, but was of type: ${typeName(list)}`)
        ].reverse()
  ),
  $sortArray: sortArray,
  $range: range,
  $zip: zip,
  $indexOfArray: indexOfArray
}

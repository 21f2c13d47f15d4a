import { MongoError } from '../bson/errors.js'
import { show } from '../bson/show.js'
import { isDoc, type Doc, type Value } from '../bson/value.js'
import { arrayOperators } from './expressions-array.js'
import { convertOperators } from './expressions-convert.js'
import { dateOperators } from './expressions-date.js'
import type { Compiler, Operator, Operators } from './expression-kit.js'
import { logicOperators } from './expressions-logic.js'
import { mathOperators } from './expressions-math.js'
import { objectOperators } from './expressions-object.js'
import { setOperators } from './expressions-set.js'
import { stringOperators } from './expressions-string.js'
import { findVar, type Expression, type Vars } from './scope.js'

const OPERATORS = new Map<string, Operator>(
  [
    mathOperators,
    logicOperators,
    arrayOperators,
    setOperators,
    stringOperators,
    dateOperators,
    convertOperators,
    objectOperators
  ].flatMap((group: Operators) => Object.entries(group))
)

/** The expression operators this store evaluates; any other is refused with code 168. */
export const EXPRESSION_OPERATORS: readonly string[] = [...OPERATORS.keys(), '$literal']

/**
 * Compiles an expression. `vars` are the variables in reach: their names are checked here, their values read at run time.
 * @throws MongoError 168 unknown operator, 15983 more than one operator, 17276 unknown variable, and operand errors.
 */
export function compileExpression(spec: Value, vars: Vars | null): Expression {
  const names = new Set<string>()
  for (let at = vars; at !== null; at = at.next) names.add(at.name)
  return compilerFor(names).compile(spec)
}

/**
 * Evaluates a command's `let`: each value is an expression without a document, so field paths are missing.
 * @throws MongoError as `compileExpression` does.
 */
export function evaluateLet(spec: Doc, now: Date): Doc {
  const vars: Vars | null = { name: 'NOW', value: now, next: null }
  const values: Doc = new Map()
  for (const [name, value] of spec) {
    if (!USER_VARIABLE.test(name))
      throw new MongoError(9, `'${name}' starts with an invalid character for a user variable name`)
    values.set(name, compileExpression(value, vars)({ root: new Map(), vars }) ?? null)
  }
  return values
}

const USER_VARIABLE = /^[a-z\u0080-\uffff][A-Za-z0-9_\u0080-\uffff]*$/

function compilerFor(names: ReadonlySet<string>): Compiler {
  const compiler: Compiler = {
    compile: (spec) => compileSpec(spec, compiler, names),
    within: (added) => {
      for (const name of added)
        if (!USER_VARIABLE.test(name))
          throw new MongoError(9, `'${name}' starts with an invalid character for a user variable name`)
      return compilerFor(new Set([...names, ...added]))
    }
  }
  return compiler
}

function compileSpec(spec: Value, compiler: Compiler, names: ReadonlySet<string>): Expression {
  if (typeof spec === 'string') return spec.startsWith('$') ? reference(spec, names) : () => spec
  if (Array.isArray(spec)) {
    const items = spec.map((item) => compiler.compile(item))
    return (scope) => items.map((item) => item(scope) ?? null)
  }
  if (!isDoc(spec)) return () => spec
  const first = spec.keys().next().value
  if (first === undefined || !first.startsWith('$')) return objectExpression(spec, compiler)
  if (spec.size !== 1)
    throw new MongoError(
      15983,
      `an expression specification must contain exactly one field, the name of the expression. Found ${spec.size} fields in ${show(spec)}`
    )
  const operand = spec.get(first)!
  if (first === '$literal' || first === '$const') return () => operand
  const operator = OPERATORS.get(first)
  if (operator === undefined) throw new MongoError(168, `Unrecognized expression '${first}'`)
  return operator(operand, compiler, first)
}

function objectExpression(spec: Doc, compiler: Compiler): Expression {
  const fields: [string, Expression][] = []
  for (const [name, value] of spec) {
    if (name.startsWith('$'))
      throw new MongoError(
        16410,
        `FieldPath field names may not start with '$'. Consider using $getField or $setField.`
      )
    if (name.includes('.'))
      throw new MongoError(16412, `FieldPath field names may not contain '.'. Consider using $getField or $setField.`)
    if (name === '') throw new MongoError(40352, 'FieldPath cannot be constructed with empty string')
    fields.push([name, compiler.compile(value)])
  }
  return (scope) => {
    const doc: Doc = new Map()
    for (const [name, expression] of fields) {
      const value = expression(scope)
      if (value !== undefined) doc.set(name, value)
    }
    return doc
  }
}

function fieldSegments(path: string): string[] {
  const segments = path.split('.')
  for (const segment of segments) {
    if (segment === '') throw new MongoError(15998, 'FieldPath field names may not be empty strings.')
    if (segment.startsWith('$'))
      throw new MongoError(
        16410,
        `FieldPath field names may not start with '$'. Consider using $getField or $setField.`
      )
  }
  return segments
}

/** Follows field names through documents, and through arrays element by element (dropping what is missing). */
export function follow(value: Value | undefined, segments: readonly string[], from = 0): Value | undefined {
  let at = value
  for (let i = from; i < segments.length; i++) {
    if (isDoc(at)) at = at.get(segments[i]!)
    else if (Array.isArray(at)) {
      const found: Value[] = []
      for (const item of at) {
        if (!isDoc(item)) continue
        const inner = follow(item, segments, i)
        if (inner !== undefined) found.push(inner)
      }
      return found
    } else return undefined
  }
  return at
}

function reference(spec: string, names: ReadonlySet<string>): Expression {
  if (!spec.startsWith('$$')) {
    if (spec === '$') throw new MongoError(16872, `'$' by itself is not a valid FieldPath`)
    const segments = fieldSegments(spec.slice(1))
    if (segments.length === 1) {
      const name = segments[0]!
      return ({ root }) => root.get(name)
    }
    return ({ root }) => follow(root, segments)
  }
  const [name, ...rest] = spec.slice(2).split('.') as [string, ...string[]]
  if (name === '') throw new MongoError(16869, 'empty variable names are not allowed')
  const segments = rest.length > 0 ? fieldSegments(rest.join('.')) : []
  if (name === 'ROOT' || name === 'CURRENT') return ({ root }) => follow(root, segments)
  if (name === 'REMOVE') return () => undefined
  if (!names.has(name)) throw new MongoError(17276, `Use of undefined variable: ${name}`)
  return ({ vars }) => follow(findVar(vars, name)?.value, segments)
}

import { compareValues } from '../bson/compare.js'
import { MongoError } from '../bson/errors.js'
import { isDoc, isTruthy, type Value } from '../bson/value.js'
import {
  argumentsOf,
  binary,
  isNullish,
  namedOf,
  unary,
  variadic,
  type Operator,
  type Operators
} from './expression-kit.js'
import type { Expression } from './scope.js'

const compared = (passes: (order: number) => boolean) => binary((a, b) => passes(compareValues(a, b)))

const every: Operator = (operand, compiler, name) => {
  const list = argumentsOf(operand, compiler, name, 0, Infinity)
  return (scope) => list.every((part) => isTruthy(part(scope)))
}

const some: Operator = (operand, compiler, name) => {
  const list = argumentsOf(operand, compiler, name, 0, Infinity)
  return (scope) => list.some((part) => isTruthy(part(scope)))
}

const cond: Operator = (operand, compiler, name) => {
  let parts: Expression[]
  if (isDoc(operand)) {
    for (const key of operand.keys())
      if (!['if', 'then', 'else'].includes(key)) throw new MongoError(17083, `Unrecognized parameter to $cond: ${key}`)
    for (const [i, key] of ['if', 'then', 'else'].entries())
      if (!operand.has(key)) throw new MongoError(17080 + i, `Missing '${key}' parameter to $cond`)
    parts = ['if', 'then', 'else'].map((key) => compiler.compile(operand.get(key)!))
  } else parts = argumentsOf(operand, compiler, name, 3)
  const [test, yes, no] = parts as [Expression, Expression, Expression]
  return (scope) => (isTruthy(test(scope)) ? yes(scope) : no(scope))
}

const ifNull: Operator = (operand, compiler, name) => {
  const list = Array.isArray(operand) ? operand : [operand]
  if (list.length < 2) throw new MongoError(1257300, `${name} needs at least two arguments, had: ${list.length}`)
  const parts = list.map((part) => compiler.compile(part))
  return (scope) => {
    let value: Value | undefined
    for (const part of parts) {
      value = part(scope)
      if (!isNullish(value)) return value
    }
    return value
  }
}

const choose: Operator = (operand, compiler) => {
  if (!isDoc(operand)) throw new MongoError(40060, '$switch requires an object as an argument')
  for (const key of operand.keys())
    if (key !== 'branches' && key !== 'default')
      throw new MongoError(40067, `$switch found an unknown argument: ${key}`)
  const given = operand.get('branches')
  if (!Array.isArray(given)) throw new MongoError(40061, `$switch expected an array for 'branches'`)
  if (given.length === 0) throw new MongoError(40068, '$switch requires at least one branch.')
  const branches = given.map((branch) => {
    if (!isDoc(branch)) throw new MongoError(40062, '$switch expected each branch to be an object')
    for (const key of branch.keys())
      if (key !== 'case' && key !== 'then')
        throw new MongoError(40063, `$switch found an unknown argument to a branch: ${key}`)
    if (!branch.has('case')) throw new MongoError(40064, "$switch requires each branch have a 'case' expression")
    if (!branch.has('then')) throw new MongoError(40065, "$switch requires each branch have a 'then' expression.")
    return { test: compiler.compile(branch.get('case')!), then: compiler.compile(branch.get('then')!) }
  })
  const otherwise = operand.has('default') ? compiler.compile(operand.get('default')!) : undefined
  return (scope) => {
    for (const branch of branches) if (isTruthy(branch.test(scope))) return branch.then(scope)
    if (otherwise === undefined)
      throw new MongoError(
        40066,
        '$switch could not find a matching branch for an input, and no default was specified.'
      )
    return otherwise(scope)
  }
}

const letIn: Operator = (operand, compiler, name) => {
  if (!isDoc(operand)) throw new MongoError(16874, '$let only supports an object as its argument')
  namedOf(new Map([...operand].map(([key]) => [key, null])), compiler, name, ['vars', 'in'])
  const given = operand.get('vars')
  if (!isDoc(given)) throw new MongoError(10065, `invalid parameter: expected an object (vars)`)
  const vars = [...given].map(([key, spec]) => ({ name: key, value: compiler.compile(spec) }))
  const body = compiler.within([...given.keys()]).compile(operand.get('in')!)
  return (scope) => {
    let inner = scope.vars
    for (const variable of vars) inner = { name: variable.name, value: variable.value(scope), next: inner }
    return body({ root: scope.root, vars: inner })
  }
}

/** Comparisons, truth and choice. */
export const logicOperators: Operators = {
  $eq: compared((order) => order === 0),
  $ne: compared((order) => order !== 0),
  $gt: compared((order) => order > 0),
  $gte: compared((order) => order >= 0),
  $lt: compared((order) => order < 0),
  $lte: compared((order) => order <= 0),
  $cmp: binary((a, b) => compareValues(a, b)),
  $and: every,
  $or: some,
  $not: unary((value) => !isTruthy(value)),
  $cond: cond,
  $ifNull: ifNull,
  $switch: choose,
  $let: letIn,
  $allElementsTrue: variadic(
    ([list]) => {
      if (!Array.isArray(list)) throw new MongoError(17040, "$allElementsTrue's argument must be an array")
      return list.every(isTruthy)
    },
    1,
    1
  ),
  $anyElementTrue: variadic(
    ([list]) => {
      if (!Array.isArray(list)) throw new MongoError(17041, "$anyElementTrue's argument must be an array")
      return list.some(isTruthy)
    },
    1,
    1
  )
}

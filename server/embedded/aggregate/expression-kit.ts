import { MongoError } from '../bson/errors.js'
import { isDoc, UNDEFINED, type Value } from '../bson/value.js'
import type { Expression } from './scope.js'

/** Compiles sub-expressions; `within` adds variables for the inside of $let, $map and the like. */
export type Compiler = { compile(spec: Value): Expression; within(names: string[]): Compiler }

/** Turns one operator's operand into a compiled expression. @throws MongoError on a malformed operand. */
export type Operator = (operand: Value, compiler: Compiler, name: string) => Expression

/** A group of operators by name. */
export type Operators = Record<string, Operator>

/** null, undefined or missing: what most operators answer with null. */
export const isNullish = (value: Value | undefined): value is null | undefined =>
  value === undefined || value === null || value === UNDEFINED

/** The operand as a list of compiled arguments; a lone operand counts as a list of one. @throws MongoError 16020 */
export function argumentsOf(
  operand: Value,
  compiler: Compiler,
  name: string,
  least: number,
  most = least
): Expression[] {
  const list = Array.isArray(operand) ? operand : [operand]
  if (list.length < least || list.length > most) {
    if (least === most)
      throw new MongoError(16020, `Expression ${name} takes exactly ${least} arguments. ${list.length} were passed in.`)
    throw new MongoError(
      28667,
      `Expression ${name} takes at least ${least} arguments, and at most ${most}, but ${list.length} were passed in.`
    )
  }
  return list.map((item) => compiler.compile(item))
}

/** The operand's named arguments, compiled; absent optional ones are left out. @throws MongoError 9 */
export function namedOf(
  operand: Value,
  compiler: Compiler,
  name: string,
  required: string[],
  optional: string[] = []
): Record<string, Expression | undefined> {
  if (!isDoc(operand)) throw new MongoError(9, `${name} only supports an object as its argument`)
  const found: Record<string, Expression | undefined> = {}
  for (const [key, spec] of operand) {
    if (!required.includes(key) && !optional.includes(key))
      throw new MongoError(9, `Unrecognized argument to ${name}: ${key}`)
    found[key] = compiler.compile(spec)
  }
  for (const key of required)
    if (found[key] === undefined) throw new MongoError(9, `Missing '${key}' parameter to ${name}`)
  return found
}

/** An operator of exactly one argument. */
export const unary =
  (apply: (value: Value | undefined, name: string) => Value | undefined): Operator =>
  (operand, compiler, name) => {
    const [argument] = argumentsOf(operand, compiler, name, 1) as [Expression]
    return (scope) => apply(argument(scope), name)
  }

/** An operator of exactly two arguments. */
export const binary =
  (apply: (a: Value | undefined, b: Value | undefined, name: string) => Value | undefined): Operator =>
  (operand, compiler, name) => {
    const [left, right] = argumentsOf(operand, compiler, name, 2) as [Expression, Expression]
    return (scope) => apply(left(scope), right(scope), name)
  }

/** An operator of a list of arguments. */
export const variadic =
  (apply: (values: (Value | undefined)[], name: string) => Value | undefined, least = 0, most = Infinity): Operator =>
  (operand, compiler, name) => {
    const list = argumentsOf(operand, compiler, name, least, most)
    return (scope) =>
      apply(
        list.map((argument) => argument(scope)),
        name
      )
  }

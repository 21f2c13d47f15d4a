import { compareValues, typeRank } from '../bson/compare.js'
import { MongoError } from '../bson/errors.js'
import { show } from '../bson/show.js'
import { isDoc, typeName, type Doc, type Value } from '../bson/value.js'
import { compileAccumulator, groupKey, type Accumulation, type Accumulator } from './accumulators.js'
import { compileExpression } from './expressions.js'
import { contextVars, createMeter, PAUSE, type AggregateContext, type Stage } from './flow.js'
import type { Expression, Vars } from './scope.js'
import { sizeOf } from './sizes.js'

type Field = { name: string; accumulation: Accumulation }

function fieldsOf(entries: Iterable<[string, Value]>, vars: Vars | null): Field[] {
  return [...entries].map(([name, spec]) => ({ name, accumulation: compileAccumulator(name, spec, vars) }))
}

// Runs documents through accumulators, one set per group; `idOf` also decides which group a document belongs to.
function grouping(
  what: string,
  context: AggregateContext,
  vars: Vars | null,
  idOf: Expression,
  fields: Field[],
  order?: (a: Value, b: Value) => number
): Stage {
  return function* group(source) {
    const meter = createMeter(what, context.memoryLimit)
    const groups = new Map<string, { id: Value; parts: Accumulator[] }>()
    for (const doc of source) {
      if (doc === PAUSE) {
        yield doc
        continue
      }
      const scope = { root: doc, vars }
      const id = idOf(scope)
      const key = groupKey(id)
      let found = groups.get(key)
      if (found === undefined) {
        meter.add(200 + key.length + sizeOf(id) + 80 * fields.length)
        found = { id: id ?? null, parts: fields.map(({ accumulation }) => accumulation.begin(meter)) }
        groups.set(key, found)
      }
      const { parts } = found
      for (let i = 0; i < parts.length; i++) parts[i]!.add(fields[i]!.accumulation.argument(scope))
    }
    const list = [...groups.values()]
    if (order !== undefined) list.sort((a, b) => order(a.id, b.id))
    for (const { id, parts } of list) {
      const out: Doc = new Map([['_id', id]])
      for (let i = 0; i < parts.length; i++) out.set(fields[i]!.name, parts[i]!.value())
      yield out
    }
  }
}

/** $group, streaming: holds one set of accumulators per group, never the documents. */
export function group(spec: Value, context: AggregateContext): Stage {
  if (!isDoc(spec)) throw new MongoError(15947, "a group's fields must be specified in an object")
  if (!spec.has('_id')) throw new MongoError(15955, 'a group specification must include an _id')
  const vars = contextVars(context)
  const fields = fieldsOf(
    [...spec].filter(([name]) => name !== '_id'),
    vars
  )
  return grouping('$group', context, vars, compileExpression(spec.get('_id')!, vars), fields)
}

/** $sortByCount: groups by an expression, most frequent first. */
export function sortByCount(spec: Value, context: AggregateContext): Stage {
  const isText = typeof spec === 'string'
  if (!isText && !isDoc(spec))
    throw new MongoError(40149, 'the sortByCount field must be specified as a string or as an object')
  if (isText && !spec.startsWith('$'))
    throw new MongoError(
      40148,
      'the sortByCount field must be defined as a $-prefixed path or an expression inside an object'
    )
  if (isDoc(spec) && !(spec.keys().next().value ?? '').startsWith('$'))
    throw new MongoError(
      40147,
      'the sortByCount field must be defined as a $-prefixed path or an expression inside an object'
    )
  const vars = contextVars(context)
  const counted = fieldsOf([['count', new Map([['$sum', 1]])]], vars)
  const stage = grouping('$sortByCount', context, vars, compileExpression(spec, vars), counted)
  return function* sortedByCount(source) {
    const docs: Doc[] = []
    for (const doc of stage(source)) {
      if (doc === PAUSE) yield doc
      else docs.push(doc)
    }
    yield* docs.sort((a, b) => compareValues(b.get('count'), a.get('count')))
  }
}

// Reads neither a field nor a variable.
function isConstant(spec: Value): boolean {
  if (typeof spec === 'string') return !spec.startsWith('$')
  if (Array.isArray(spec)) return spec.every(isConstant)
  if (!isDoc(spec) || spec.has('$literal') || spec.has('$const')) return true
  return [...spec.values()].every(isConstant)
}

/** $bucket: groups by which half-open interval of `boundaries` a value falls into. */
export function bucket(spec: Value, context: AggregateContext): Stage {
  if (!isDoc(spec))
    throw new MongoError(40201, `Argument to $bucket stage must be an object, but found type: ${typeName(spec)}.`)
  for (const key of spec.keys())
    if (!['groupBy', 'boundaries', 'default', 'output'].includes(key))
      throw new MongoError(40197, `Unrecognized option to $bucket: ${key}.`)
  const [by, boundaries, other, output] = ['groupBy', 'boundaries', 'default', 'output'].map((key) => spec.get(key))
  if (by === undefined || boundaries === undefined)
    throw new MongoError(40198, "$bucket requires 'groupBy' and 'boundaries' to be specified.")
  if (!isDoc(by) && !(typeof by === 'string' && by.startsWith('$')))
    throw new MongoError(
      40202,
      `The $bucket 'groupBy' field must be defined as a $-prefixed path or an expression, but found: ${show(by)}.`
    )
  if (!Array.isArray(boundaries))
    throw new MongoError(
      40200,
      `The $bucket 'boundaries' field must be an array, but found type: ${typeName(boundaries)}.`
    )
  if (boundaries.length < 2)
    throw new MongoError(
      40192,
      `The $bucket 'boundaries' field must have at least 2 values, but found ${boundaries.length} value(s).`
    )
  const vars = contextVars(context)
  const constant = (value: Value) => compileExpression(value, vars)({ root: new Map(), vars }) ?? null
  for (const boundary of boundaries)
    if (!isConstant(boundary))
      throw new MongoError(
        40191,
        `The $bucket 'boundaries' field must be an array of constant values, but found value: ${show(boundary)}.`
      )
  const limits = boundaries.map(constant)
  for (const limit of limits)
    if (typeRank(limit) !== typeRank(limits[0]))
      throw new MongoError(
        40193,
        `All values in the 'boundaries' option to $bucket must have the same type. Found conflicting types ${typeName(limits[0])} and ${typeName(limit)}.`
      )
  for (let i = 1; i < limits.length; i++)
    if (compareValues(limits[i - 1], limits[i]) >= 0)
      throw new MongoError(
        40194,
        `The 'boundaries' option to $bucket must be sorted, but elements ${i - 1} and ${i} are not in ascending order (${show(limits[i - 1])} is not less than ${show(limits[i])}).`
      )
  if (other !== undefined && !isConstant(other))
    throw new MongoError(40195, `The $bucket 'default' field must be a constant expression, but found: ${show(other)}.`)
  const fallback = other === undefined ? undefined : constant(other)
  if (fallback !== undefined && compareValues(fallback, limits[0]) >= 0 && compareValues(fallback, limits.at(-1)) < 0)
    throw new MongoError(
      40199,
      "The $bucket 'default' field must be less than the lowest boundary or greater than or equal to the highest boundary."
    )
  if (output !== undefined && !isDoc(output))
    throw new MongoError(40196, `The $bucket 'output' field must be an object, but found type: ${typeName(output)}.`)
  const value = compileExpression(by, vars)
  const idOf: Expression = (scope) => {
    const at = value(scope)
    for (let i = limits.length - 2; i >= 0; i--)
      if (compareValues(at, limits[i]) >= 0 && compareValues(at, limits[i + 1]) < 0) return limits[i]
    if (fallback === undefined)
      throw new MongoError(
        40066,
        '$switch could not find a matching branch for an input, and no default was specified.'
      )
    return fallback
  }
  const fields = fieldsOf(output ?? [['count', new Map([['$sum', 1]])]], vars)
  return grouping('$bucket', context, vars, idOf, fields, compareValues)
}

import { parseProjection, shaper } from '../aggregate/projection-tree.js'
import { addReferences } from '../aggregate/references.js'
import { varsOf, type Env } from '../aggregate/scope.js'
import { MongoError } from './errors.js'
import { pathsOf } from './filter-node.js'
import { compileFilter, type Filter } from './match.js'
import { isDoc, isNumber, isTruthy, toInteger, typeName, type Doc, type Value } from './value.js'

/** A compiled find projection. */
export type Projection = {
  /** The projected copy; `positional` is the array position that matched the query, else the filter given is asked. */
  apply(doc: Doc, positional?: number): Doc
  /** Whether `field.$` occurs in it. */
  positional: boolean
  /** The top-level fields it reads, when it needs no others. */
  fields: ReadonlySet<string> | undefined
  /** Nothing but these fields, each as it is. */
  whole: boolean
}

type Change = { segments: string[]; apply(value: Value, positional: number | undefined): Value | undefined }

function change(
  value: Value | undefined,
  segments: string[],
  at: number,
  apply: (value: Value) => Value | undefined
): Value | undefined {
  if (value === undefined) return undefined
  if (at === segments.length) return apply(value)
  if (Array.isArray(value)) return value.map((item) => (isDoc(item) ? change(item, segments, at, apply)! : item))
  if (!isDoc(value)) return value
  const current = value.get(segments[at]!)
  const next = change(current, segments, at + 1, apply)
  if (next === current) return value
  const copy = new Map(value)
  if (next === undefined) copy.delete(segments[at]!)
  else copy.set(segments[at]!, next)
  return copy
}

function slice(operand: Value): (value: Value) => Value {
  const whole = (value: Value | undefined) => {
    const n = isNumber(value) ? toInteger(value) : undefined
    if (n === undefined)
      throw new MongoError(
        28667,
        `Invalid $slice syntax. The given syntax {$slice: ...} did not match the find() syntax`
      )
    return n
  }
  if (!Array.isArray(operand)) {
    const n = whole(operand)
    return (value) => (Array.isArray(value) ? (n >= 0 ? value.slice(0, n) : value.slice(n)) : value)
  }
  if (operand.length !== 2) throw new MongoError(28667, `Invalid $slice syntax: an array of two numbers was expected`)
  const [skip, limit] = operand.map(whole) as [number, number]
  if (limit <= 0) throw new MongoError(28724, '$slice limit must be positive')
  return (value) => {
    if (!Array.isArray(value)) return value
    const start = skip >= 0 ? skip : Math.max(0, value.length + skip)
    return value.slice(start, start + limit)
  }
}

/**
 * Compiles a find projection: inclusion, exclusion, the _id rule, nested and computed fields, $slice, $elemMatch, `field.$`.
 * @throws MongoError 31253, 31254 on mixing, 31249f on colliding paths, 2 on $meta and operators not carried out.
 */
export function compileProjection(spec: Doc, env: Env & { filter?: Filter | undefined } = {}): Projection {
  if (spec.size === 0) return { apply: (doc) => doc, positional: false, fields: undefined, whole: false }
  const vars = varsOf(env)
  const changes: Change[] = []
  let positional = false
  const parsed = parseProjection(spec, vars, (path, value) => {
    if (path.endsWith('.$')) {
      if (!isNumber(value) && typeof value !== 'boolean')
        throw new MongoError(31271, 'positional projection cannot be used with an expression or sub object')
      if (!isTruthy(value)) throw new MongoError(31395, 'positional projection cannot be used with exclusion')
      if (positional) throw new MongoError(31276, 'Cannot specify more than one positional projection per query.')
      positional = true
      const array = path.slice(0, -2)
      const head = array.split('.', 1)[0]
      if (env.filter && !pathsOf(env.filter.node).some((one) => one.split('.', 1)[0] === head))
        throw new MongoError(31277, `Positional projection '${path}' does not match the query document.`)
      changes.push({
        segments: array.split('.'),
        apply(items, at) {
          if (!Array.isArray(items)) return items
          if (at === undefined)
            throw new MongoError(
              51246,
              "Executor error during find command :: caused by :: positional operator '.$' couldn't find a matching element in the array"
            )
          return at < items.length ? [items[at]!] : []
        }
      })
      return { leaf: 'keep', path: array }
    }
    if (!isDoc(value) || value.size !== 1) return undefined
    const [name, operand] = value.entries().next().value!
    if (name === '$meta') throw new MongoError(2, '$meta is not supported by this store')
    if (name === '$slice' && !(Array.isArray(operand) && operand.length > 0 && typeof operand[0] === 'string')) {
      changes.push({ segments: path.split('.'), apply: slice(operand) })
      return { leaf: undefined, path }
    }
    if (name === '$elemMatch') {
      if (!isDoc(operand))
        throw new MongoError(31274, `elemMatch: Invalid argument, object required, but got ${typeName(operand)}`)
      if (path.includes('.')) throw new MongoError(31275, 'Cannot use $elemMatch projection on a nested field.')
      const filter = compileFilter(new Map([['x', new Map([['$elemMatch', operand]])]]), env)
      changes.push({
        segments: [path],
        apply(items) {
          if (!Array.isArray(items)) return undefined
          const at = filter.arrayIndex(new Map([['x', items]]))
          return at === undefined ? undefined : [items[at]!]
        }
      })
      return { leaf: 'keep', path }
    }
    return undefined
  })
  if (parsed.mode === 'include')
    for (const { segments } of changes) if (!parsed.tree.has(segments[0]!)) parsed.tree.set(segments[0]!, 'keep')
  const shape = shaper(parsed)
  const fields = new Set<string>(parsed.tree.keys())
  const known = parsed.mode === 'include' && addReferences(spec, fields)
  return {
    positional,
    fields: known ? fields : undefined,
    whole: known && changes.length === 0 && [...parsed.tree.values()].every((shape) => shape === 'keep'),
    apply(doc, given) {
      const at = positional ? (given ?? env.filter?.arrayIndex(doc)) : undefined
      let result = shape(doc, { root: doc, vars })
      for (const { segments, apply } of changes)
        result = change(result, segments, 0, (value) => apply(value, at)) as Doc
      return result
    }
  }
}

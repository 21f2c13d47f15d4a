import { MongoError } from '../bson/errors.js'
import { compileFilter } from '../bson/match.js'
import { show } from '../bson/show.js'
import { compileSort } from '../bson/sort.js'
import { integer, isDoc, isNumber, toInteger, typeName, type Doc, type Value } from '../bson/value.js'
import { envOf, createMeter, PAUSE, type AggregateContext, type Stage } from './flow.js'
import { sizeOf } from './sizes.js'

/** $match. */
export function match(spec: Value, context: AggregateContext): Stage {
  if (!isDoc(spec)) throw new MongoError(15959, 'the match filter must be an expression in an object')
  const filter = compileFilter(spec, envOf(context))
  return function* matched(source) {
    for (const doc of source) if (doc === PAUSE || filter.test(doc)) yield doc
  }
}

function wholeNumber(name: string, spec: Value, code: number): number {
  const n = isNumber(spec) ? toInteger(spec) : undefined
  if (n === undefined)
    throw new MongoError(code, `invalid argument to ${name} stage: Expected a number in: ${name}: ${show(spec)}`)
  if (n < 0)
    throw new MongoError(
      code,
      `invalid argument to ${name} stage: Expected a non-negative number in: ${name}: ${show(spec)}`
    )
  return n
}

/** The count of a $limit. @throws MongoError 5107201, 15958 */
export function limitOf(spec: Value): number {
  const n = wholeNumber('$limit', spec, 5107201)
  if (n === 0) throw new MongoError(15958, 'the limit must be positive')
  return n
}

/** The count of a $skip. @throws MongoError 5107200 */
export const skipOf = (spec: Value): number => wholeNumber('$skip', spec, 5107200)

/** $limit; stops reading its source when it has enough. */
export function limit(spec: Value): Stage {
  const most = limitOf(spec)
  return function* limited(source) {
    let left = most
    for (const doc of source) {
      yield doc
      if (doc !== PAUSE && --left === 0) return
    }
  }
}

/** $skip. */
export function skip(spec: Value): Stage {
  const first = skipOf(spec)
  return function* skipped(source) {
    let left = first
    for (const doc of source) {
      if (doc === PAUSE || left === 0) yield doc
      else left--
    }
  }
}

/** $sort; `most` is how many documents a $limit behind it will take, so only about twice as many are ever held. */
export function sort(spec: Value, context: AggregateContext, most = Infinity): Stage {
  if (!isDoc(spec)) throw new MongoError(15973, 'the $sort key specification must be an object')
  if (spec.size === 0) throw new MongoError(15976, '$sort stage must have at least one sort key')
  const order = compileSort(spec)
  return function* sorted(source) {
    type Held = { key: Value[]; doc: Doc; bytes: number }
    let held: Held[] = []
    let meter = createMeter('Sort', context.memoryLimit)
    const byKey = (a: Held, b: Held) => order.compare(a.key, b.key)
    const room = most * 2 + 1000
    for (const doc of source) {
      if (doc === PAUSE) {
        yield doc
        continue
      }
      const bytes = sizeOf(doc) + 64
      meter.add(bytes)
      held.push({ key: order.key(doc), doc, bytes })
      if (held.length < room) continue
      held.sort(byKey)
      held = held.slice(0, most)
      meter = createMeter('Sort', context.memoryLimit)
      for (const one of held) meter.add(one.bytes)
    }
    held.sort(byKey)
    const end = Math.min(held.length, most)
    for (let i = 0; i < end; i++) yield held[i]!.doc
  }
}

/** $count. */
export function count(spec: Value): Stage {
  if (typeof spec !== 'string') throw new MongoError(40156, 'the count field must be a non-empty string')
  if (spec === '') throw new MongoError(40157, 'the count field must be a non-empty string')
  if (spec.startsWith('$')) throw new MongoError(40158, 'the count field cannot be a $-prefixed path')
  if (spec.includes('.')) throw new MongoError(40160, "the count field cannot contain '.'")
  return function* counted(source) {
    let n = 0
    for (const doc of source) {
      if (doc === PAUSE) yield doc
      else n++
    }
    if (n > 0) yield new Map([[spec, integer(n)]])
  }
}

/** $sample: a uniform choice of `size` documents. */
export function sample(spec: Value, context: AggregateContext): Stage {
  if (!isDoc(spec)) throw new MongoError(28745, 'the $sample stage specification must be an object')
  for (const key of spec.keys())
    if (key !== 'size') throw new MongoError(28748, `unrecognized option to $sample: ${key}`)
  const given = spec.get('size')
  if (given === undefined) throw new MongoError(28749, '$sample stage must specify a size')
  if (!isNumber(given)) throw new MongoError(28746, 'size argument to $sample must be a number')
  const size = toInteger(given)
  if (size === undefined || size < 1) throw new MongoError(28747, 'size argument to $sample must be a positive integer')
  return function* sampled(source) {
    const meter = createMeter('$sample', context.memoryLimit)
    const held: Doc[] = []
    let seen = 0
    for (const doc of source) {
      if (doc === PAUSE) {
        yield doc
        continue
      }
      seen++
      if (held.length < size) {
        meter.add(sizeOf(doc))
        held.push(doc)
      } else {
        const at = Math.floor(context.random() * seen)
        if (at >= size) continue
        meter.add(sizeOf(doc) - sizeOf(held[at]))
        held[at] = doc
      }
    }
    for (let i = held.length - 1; i > 0; i--) {
      const at = Math.floor(context.random() * (i + 1))
      ;[held[i], held[at]] = [held[at]!, held[i]!]
    }
    yield* held
  }
}

/** A copy of the document with a dotted path set, or removed for undefined; non-documents on the way are replaced. */
export function withPath(doc: Doc, segments: readonly string[], value: Value | undefined, at = 0): Doc {
  const copy: Doc = new Map(doc)
  const name = segments[at]!
  if (at === segments.length - 1) {
    if (value === undefined) copy.delete(name)
    else copy.set(name, value)
    return copy
  }
  const inner = copy.get(name)
  copy.set(name, withPath(isDoc(inner) ? inner : new Map(), segments, value, at + 1))
  return copy
}

/** $unwind: one document per element of an array. */
export function unwind(spec: Value): Stage {
  let path = spec
  let indexPath: string[] | undefined
  let keep = false
  if (isDoc(spec)) {
    for (const [key, value] of spec) {
      if (key === 'path') continue
      if (key === 'preserveNullAndEmptyArrays') {
        if (typeof value !== 'boolean')
          throw new MongoError(
            28809,
            `expected a boolean for the preserveNullAndEmptyArrays option to $unwind stage, got ${typeName(value)}`
          )
        keep = value
      } else if (key === 'includeArrayIndex') {
        if (typeof value !== 'string' || value === '')
          throw new MongoError(
            28810,
            `expected a non-empty string for the includeArrayIndex  option to $unwind stage, got ${typeName(value)}`
          )
        if (value.startsWith('$'))
          throw new MongoError(
            28822,
            `includeArrayIndex option to $unwind stage should not be prefixed with a '$': ${value}`
          )
        indexPath = value.split('.')
      } else throw new MongoError(28811, `unrecognized option to $unwind stage: ${key}`)
    }
    path = spec.get('path') ?? null
    if (!spec.has('path')) throw new MongoError(28812, 'no path specified to $unwind stage')
  } else if (typeof spec !== 'string')
    throw new MongoError(
      15981,
      `expected either a string or an object as specification for $unwind stage, got ${typeName(spec)}`
    )
  if (typeof path !== 'string')
    throw new MongoError(28808, `expected a string as the path for $unwind stage, got ${typeName(path)}`)
  if (!path.startsWith('$') || path.startsWith('$$') || path === '$')
    throw new MongoError(28818, `path option to $unwind stage should be prefixed with a '$': ${path}`)
  const segments = path.slice(1).split('.')
  const valueAt = (doc: Doc): Value | undefined => {
    let at: Value | undefined = doc
    for (const segment of segments) at = isDoc(at) ? at.get(segment) : undefined
    return at
  }
  const indexed = (doc: Doc, index: bigint | null) => (indexPath === undefined ? doc : withPath(doc, indexPath, index))
  return function* unwound(source) {
    for (const doc of source) {
      if (doc === PAUSE) {
        yield doc
        continue
      }
      const value = valueAt(doc)
      if (Array.isArray(value)) {
        if (value.length === 0 && keep) yield indexed(withPath(doc, segments, undefined), null)
        for (let i = 0; i < value.length; i++) yield indexed(withPath(doc, segments, value[i]!), BigInt(i))
      } else if (value !== undefined && value !== null) yield indexed(doc, null)
      else if (keep) yield indexed(doc, null)
    }
  }
}

import { failedToParse, MongoError } from '../bson/errors.js'
import { compileFilter } from '../bson/match.js'
import { BSONRegExp, isDoc, typeName, type Doc, type Value } from '../bson/value.js'
import { DOCUMENT_STAGES, stageOf } from './document-stages.js'
import { compileExpression } from './expressions.js'
import { contextVars, createMeter, createWatch, envOf, paced, PAUSE } from './flow.js'
import type { AggregateContext, Flow, Stage } from './flow.js'
import { getPath } from '../bson/path.js'
import { neededFields } from './references.js'
import type { Vars } from './scope.js'
import { bucket, group, sortByCount } from './stages-group.js'
import { count, limit, limitOf, match, sample, skip, skipOf, sort, unwind, withPath } from './stages-simple.js'
import { parseTail, type Tail } from './tail.js'
import { sizeOf } from './sizes.js'

export { PAUSE, type AggregateContext, type Flow, type Pause } from './flow.js'
export type { Tail } from './tail.js'

/** A compiled pipeline. */
export type Pipeline = {
  /** The $out or $merge at its end, which the caller carries out over what `run` yields. */
  tail: Tail | undefined
  /** The top-level fields it reads of its source, when it passes no whole document on: decode only these. */
  fields: ReadonlySet<string> | undefined
  /**
   * Runs the stages over documents. Pauses of the source come through, and more are put in when the stages take their time.
   * @throws MongoError, lazily.
   */
  run(source: Flow): Flow
}

type Build = (spec: Value, context: AggregateContext) => Stage

const BUILDERS: Record<string, Build> = {
  $match: match,
  $sort: (spec, context) => sort(spec, context),
  $limit: limit,
  $skip: skip,
  $count: count,
  $sample: sample,
  $unwind: unwind,
  $group: group,
  $sortByCount: sortByCount,
  $bucket: bucket,
  $facet: facet,
  $lookup: lookup,
  $unionWith: unionWith
}
for (const [name, build] of Object.entries(DOCUMENT_STAGES))
  BUILDERS[name] = (spec, context) => {
    const apply = build(spec, contextVars(context), name)
    return function* each(source) {
      for (const doc of source) yield doc === PAUSE ? doc : apply(doc)
    }
  }

// What may give documents for long without asking for one.
const WIDENING = new Set(['$unwind', '$group', '$sortByCount', '$bucket', '$sort', '$sample', '$lookup', '$unionWith'])

/** The stages this store carries out; any other is refused with code 40324. */
export const STAGE_NAMES: readonly string[] = [...Object.keys(BUILDERS), '$out', '$merge']

/**
 * Compiles a pipeline. Everything that can be wrong without seeing a document is found here.
 * @throws MongoError 40323, 40324, 40601 and each stage's own codes.
 */
export function compilePipeline(stages: readonly Value[], context: AggregateContext): Pipeline {
  const steps: { stage: Stage; widens: boolean }[] = []
  let tail: Tail | undefined
  stages.forEach((stage, i) => {
    const { name, spec } = stageOf(stage)
    if (name === '$out' || name === '$merge') {
      if (i < stages.length - 1) throw new MongoError(40601, `${name} can only be the final stage in the pipeline`)
      tail = parseTail(name, spec)
      return
    }
    const build = Object.hasOwn(BUILDERS, name) ? BUILDERS[name] : undefined
    if (build === undefined) throw new MongoError(40324, `Unrecognized pipeline stage name: '${name}'`)
    steps.push({
      stage: name === '$sort' ? sort(spec, context, limitBehind(stages, i + 1)) : build(spec, context),
      widens: WIDENING.has(name)
    })
  })
  return {
    tail,
    fields: neededFields(stages),
    run(source) {
      const watch = createWatch()
      // Behind a stage that turns one document into one, what goes in keeps the time.
      return steps.reduce<Flow>(
        (flow, { stage, widens }) => {
          const next = stage(flow)
          return widens ? paced(next, watch) : next
        },
        steps.length > 0 ? paced(source, watch) : source
      )
    }
  }
}

/**
 * How many documents the $skip and $limit at `from` will take of a $sort before them, be there stages between that turn one
 * document into one; Infinity without a $limit.
 */
export function limitBehind(stages: readonly Value[], from: number): number {
  let skipped = 0
  for (let i = from; i < stages.length; i++) {
    const { name, spec } = stageOf(stages[i]!)
    if (name === '$skip') skipped += skipOf(spec)
    else if (!Object.hasOwn(DOCUMENT_STAGES, name)) return name === '$limit' ? skipped + limitOf(spec) : Infinity
  }
  return Infinity
}

function inner(stages: readonly Value[], context: AggregateContext, where: string): Pipeline {
  const pipeline = compilePipeline(stages, context)
  if (pipeline.tail !== undefined)
    throw new MongoError(51047, `${pipeline.tail.stage} is not allowed within a ${where} pipeline`)
  return pipeline
}

function facet(spec: Value, context: AggregateContext): Stage {
  if (!isDoc(spec) || spec.size === 0)
    throw new MongoError(40169, 'the $facet specification must be a non-empty object')
  const parts = [...spec].map(([name, stages]) => {
    if (name.includes('.') || name.startsWith('$'))
      throw new MongoError(16412, `FieldPath field names may not contain '.'. Consider using $getField or $setField.`)
    if (!Array.isArray(stages))
      throw new MongoError(40170, `arguments to $facet must be arrays, ${name} is type ${typeName(stages)}`)
    for (const stage of stages) {
      const { name: used } = stageOf(stage)
      if (used === '$facet' || used === '$out' || used === '$merge')
        throw new MongoError(40600, `${used} is not allowed to be used within a $facet stage`)
    }
    return { name, pipeline: inner(stages, context, '$facet') }
  })
  return function* facets(source) {
    const docs: Doc[] = []
    const meter = createMeter('$facet', context.memoryLimit)
    for (const doc of source) {
      if (doc === PAUSE) {
        yield doc
        continue
      }
      meter.add(sizeOf(doc))
      docs.push(doc)
    }
    const out: Doc = new Map()
    for (const { name, pipeline } of parts) {
      const found: Value[] = []
      for (const doc of pipeline.run(docs)) {
        if (doc === PAUSE) yield doc
        else found.push(doc)
      }
      yield PAUSE
      out.set(name, found)
    }
    yield out
  }
}

// { foreignField equals localValue }, as $lookup understands it: an array means any of its elements, missing means null.
function joinFilter(field: string, value: Value | undefined): Doc {
  if (!Array.isArray(value)) return new Map([[field, new Map([['$eq', value ?? null]])]])
  if (!value.some((item) => item instanceof BSONRegExp)) return new Map([[field, new Map([['$in', value]])]])
  return new Map([['$or', value.map((item): Doc => new Map([[field, new Map([['$eq', item]])]]))]])
}

// Joins a filter of its own to a pipeline that begins with $match, so that the store may use an index for both.
function splitMatch(stages: readonly Value[], join: Doc | undefined): { filter: Doc; rest: readonly Value[] } {
  const first = stages[0]
  const body = isDoc(first) ? first.get('$match') : undefined
  if (!isDoc(body)) return { filter: join ?? new Map(), rest: stages }
  return { filter: join === undefined ? body : new Map([['$and', [join, body]]]), rest: stages.slice(1) }
}

function lookup(spec: Value, context: AggregateContext): Stage {
  if (!isDoc(spec)) throw new MongoError(9, '$lookup argument must be an object')
  for (const key of spec.keys())
    if (!['from', 'as', 'localField', 'foreignField', 'let', 'pipeline'].includes(key))
      throw failedToParse(`unknown argument to $lookup: ${key}`)
  const text = (key: string) => {
    const value = spec.get(key)
    if (value !== undefined && typeof value !== 'string')
      throw failedToParse(`$lookup argument '${key}' must be a string, is type ${typeName(value)}`)
    return value
  }
  const [from, as, local, foreign] = [text('from'), text('as'), text('localField'), text('foreignField')]
  if (from === undefined) throw failedToParse("missing 'from' option to $lookup stage specification")
  if (as === undefined) throw failedToParse("must specify 'as' field for a $lookup")
  const stages = spec.get('pipeline')
  if (stages !== undefined && !Array.isArray(stages))
    throw new MongoError(9, "'pipeline' option must be specified as an array")
  if ((local === undefined) !== (foreign === undefined) || (local === undefined && stages === undefined))
    throw failedToParse(
      '$lookup requires both or neither of localField and foreignField to be specified, or a pipeline'
    )
  const outer = contextVars(context)
  const given = spec.get('let') ?? new Map()
  if (!isDoc(given)) throw failedToParse(`$lookup argument 'let: ${typeName(given)}' must be an object`)
  if (given.size > 0 && stages === undefined)
    throw failedToParse("$lookup with a 'let' argument must also specify 'pipeline'")
  for (const name of given.keys())
    if (!/^[a-z\u0080-\uffff][A-Za-z0-9_\u0080-\uffff]*$/.test(name))
      throw new MongoError(9, `'${name}' starts with an invalid character for a user variable name`)
  const variables = [...given].map(([name, value]) => ({ name, value: compileExpression(value, outer) }))
  const asPath = as.split('.')
  const body = stages ?? []
  const bind = (values: (Value | undefined)[]): AggregateContext => {
    let vars: Vars | null = outer
    variables.forEach(({ name }, i) => (vars = { name, value: values[i], next: vars }))
    return { ...context, let: undefined, vars }
  }
  inner(body, bind([]), '$lookup') // refuses what is wrong before any document is read
  const constant = local === undefined && variables.length === 0
  return function* joined(source) {
    let shared: Value[] | undefined
    for (const doc of source) {
      if (doc === PAUSE) {
        yield doc
        continue
      }
      let found = shared
      if (found === undefined) {
        found = []
        const bound = bind(variables.map(({ value }) => value({ root: doc, vars: outer })))
        const join = local === undefined ? undefined : joinFilter(foreign!, localValue(doc, local))
        const { filter, rest } = splitMatch(body, join)
        const meter = createMeter('$lookup', context.memoryLimit)
        const results = compilePipeline(rest, bound).run(context.foreign(from, compileFilter(filter, envOf(bound))))
        for (const other of results) {
          if (other === PAUSE) {
            yield other
            continue
          }
          meter.add(sizeOf(other))
          found.push(other)
        }
        if (constant) shared = found
      }
      yield withPath(doc, asPath, found)
    }
  }
}

// Like a field path in an expression, but a numeric segment may also name an array's element.
function localValue(doc: Doc, path: string): Value | undefined {
  const vars: Vars | null = null
  const exact = getPath(doc, path)
  return exact === undefined ? compileExpression(`$${path}`, vars)({ root: doc, vars }) : exact
}

function unionWith(spec: Value, context: AggregateContext): Stage {
  let collection: Value | undefined = spec
  let stages: Value = []
  if (isDoc(spec)) {
    for (const key of spec.keys())
      if (key !== 'coll' && key !== 'pipeline')
        throw new MongoError(40415, `BSON field '$unionWith.${key}' is an unknown field.`)
    collection = spec.get('coll')
    stages = spec.get('pipeline') ?? []
  }
  if (typeof collection !== 'string')
    throw failedToParse(`the $unionWith stage specification must be an object or string, but found ${typeName(spec)}`)
  if (!Array.isArray(stages))
    throw new MongoError(14, "BSON field '$unionWith.pipeline' is the wrong type, expected type 'array'")
  const { filter, rest } = splitMatch(stages, undefined)
  const pipeline = inner(rest, context, '$unionWith')
  const compiled = compileFilter(filter, envOf(context))
  const name = collection
  return function* united(source) {
    yield* source
    yield* pipeline.run(context.foreign(name, compiled))
  }
}

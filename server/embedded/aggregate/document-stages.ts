import { MongoError } from '../bson/errors.js'
import { show } from '../bson/show.js'
import { isDoc, typeName, type Doc, type Value } from '../bson/value.js'
import { compileExpression } from './expressions.js'
import { compute, parseFields, parseProjection, plant, shaper, type ShapeTree } from './projection-tree.js'
import type { Vars } from './scope.js'

/** A stage that turns one document into one document. */
export type DocumentStage = (doc: Doc) => Doc

function unset(spec: Value): DocumentStage {
  const names = Array.isArray(spec) ? spec : [spec]
  if (names.length === 0)
    throw new MongoError(31119, '$unset specification must be a string or an array with at least one field')
  const tree: ShapeTree = new Map()
  for (const name of names) {
    if (typeof name !== 'string')
      throw new MongoError(
        Array.isArray(spec) ? 31120 : 31002,
        '$unset specification must be a string or an array containing only string values'
      )
    plant(tree, name, 'drop')
  }
  const drop = shaper({ mode: 'exclude', tree })
  return (doc) => drop(doc, { root: doc, vars: null })
}

function project(spec: Value, vars: Vars | null): DocumentStage {
  if (!isDoc(spec)) throw new MongoError(15969, '$project specification must be an object')
  if (spec.size === 0)
    throw new MongoError(
      51272,
      'Invalid $project :: caused by :: projection specification must have at least one field'
    )
  const shape = shaper(parseProjection(spec, vars))
  return (doc) => shape(doc, { root: doc, vars })
}

function addFields(spec: Value, vars: Vars | null, name: string): DocumentStage {
  const tree = parseFields(spec, vars, name)
  return (doc) => compute(tree, doc, { root: doc, vars })
}

function replaceRoot(spec: Value, vars: Vars | null, name: string): DocumentStage {
  const expression = compileExpression(spec, vars)
  const what = name === '$replaceRoot' ? "'newRoot' expression " : "'replacement document' "
  return (doc) => {
    const value = expression({ root: doc, vars })
    if (isDoc(value)) return value
    throw new MongoError(
      40228,
      `${what}must evaluate to an object, but resulting value was: ${show(value)}. Type of resulting value: '${typeName(value)}'.`
    )
  }
}

function newRoot(spec: Value): Value {
  if (!isDoc(spec))
    throw new MongoError(40229, `expected an object as specification for $replaceRoot stage, got ${typeName(spec)}`)
  for (const key of spec.keys())
    if (key !== 'newRoot') throw new MongoError(40415, `BSON field '$replaceRoot.${key}' is an unknown field.`)
  const value = spec.get('newRoot')
  if (value === undefined)
    throw new MongoError(40414, "BSON field '$replaceRoot.newRoot' is missing but a required field")
  return value
}

/** Stages allowed in an update's pipeline; they also run in aggregations. */
export const DOCUMENT_STAGES: Record<string, (spec: Value, vars: Vars | null, name: string) => DocumentStage> = {
  $set: addFields,
  $addFields: addFields,
  $unset: unset,
  $project: project,
  $replaceRoot: (spec, vars, name) => replaceRoot(newRoot(spec), vars, name),
  $replaceWith: replaceRoot
}

/** The one name and body of a stage. @throws MongoError 40323 when there is not exactly one. */
export function stageOf(stage: Value): { name: string; spec: Value } {
  if (!isDoc(stage)) throw new MongoError(14, "Each element of the 'pipeline' array must be an object")
  if (stage.size !== 1)
    throw new MongoError(40323, 'A pipeline stage specification object must contain exactly one field.')
  const [name, spec] = stage.entries().next().value!
  return { name, spec }
}

/** Compiles an update's pipeline. @throws MongoError 72 for stages an update may not use, 40324 for unknown ones. */
export function compileDocumentStages(stages: readonly Value[], vars: Vars | null): DocumentStage {
  const steps = stages.map((stage) => {
    const { name, spec } = stageOf(stage)
    if (!Object.hasOwn(DOCUMENT_STAGES, name)) {
      if (OTHER_STAGES.has(name)) throw new MongoError(72, `${name} is not allowed to be used within an update`)
      throw new MongoError(40324, `Unrecognized pipeline stage name: '${name}'`)
    }
    return DOCUMENT_STAGES[name]!(spec, vars, name)
  })
  return (doc) => steps.reduce((at, step) => step(at), doc)
}

const OTHER_STAGES = new Set(
  (
    '$match $group $sort $limit $skip $unwind $count $sortByCount $facet $lookup $unionWith $sample $bucket $merge $out ' +
    '$bucketAuto $graphLookup $setWindowFields $densify $fill $redact $geoNear $indexStats $collStats'
  ).split(' ')
)

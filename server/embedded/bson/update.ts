import { compileDocumentStages } from '../aggregate/document-stages.js'
import { varsOf } from '../aggregate/scope.js'
import { equalValues, identicalValues } from './compare.js'
import { badValue, failedToParse, MongoError } from './errors.js'
import type { FilterNode } from './filter-node.js'
import { compileFilter, type Filter } from './match.js'
import { show } from './show.js'
import { withTimestamps } from './timestamp.js'
import { leavesOf, type Placed } from './update-operators.js'
import { addLeaf, applyNode, emptyNode, sortTree, type UpdateNode } from './update-tree.js'
import { BSONRegExp, isDoc, type Doc, type Value } from './value.js'

/** What a compiled update needs to know about the document at hand. */
export type UpdateTarget = {
  /** The array position that matched the query, for `$` (Filter.arrayIndex). */
  positional?: number | undefined
  /** True when `doc` is the start of an upsert ($setOnInsert runs). */
  isInsert?: boolean
}

/** A compiled update. */
export type Updater = {
  kind: 'modifiers' | 'replacement' | 'pipeline'
  /** Whether `$` occurs in it, so that the caller must find the matched array position. */
  positional: boolean
  /** The top-level fields it reads and writes, so that it may be applied to these alone; null: any. `_id` is among them. */
  fields: readonly string[] | null
  /** The changed document; `doc` itself is left alone and shares unchanged parts. `changed` is false for the same bytes. */
  apply(doc: Doc, target?: UpdateTarget): { doc: Doc; changed: boolean }
}

/** The command's arrayFilters, its one instant, and its evaluated `let` variables. */
export type UpdateOptions = { arrayFilters?: Doc[] | undefined; now: Date; let?: Doc | undefined }

/**
 * Compiles an update of any of the three forms.
 * @throws MongoError 9, 2, 14, 40, 52, 56 for what is wrong before any document is seen; `apply` throws 2, 14, 28, 66.
 */
export function compileUpdate(update: Doc | Doc[], options: UpdateOptions): Updater {
  if (Array.isArray(update)) {
    if (options.arrayFilters !== undefined && options.arrayFilters.length > 0)
      throw failedToParse('arrayFilters may not be specified for pipeline-syle updates')
    return pipeline(update, options)
  }
  const first = update.keys().next().value
  if (first === undefined || !first.startsWith('$')) return replacement(update, options)
  return modifiers(update, options)
}

function guardId(before: Doc, after: Doc, message: (next: Value | undefined) => string): void {
  const id = before.get('_id')
  if (id !== undefined && !equalValues(id, after.get('_id'))) throw new MongoError(66, message(after.get('_id')))
}

function modifiers(update: Doc, options: UpdateOptions): Updater {
  const placed: Placed[] = []
  for (const [name, fields] of update) leavesOf(name, fields, options.now, placed)
  const leaves = placed.map(({ leaf }) => leaf)
  const { root, fields } = treeOf(placed)
  const filters = arrayFilters(options)
  const used = new Set<string>()
  const positional = checkPositions(root, '', filters, used)
  for (const name of filters.keys())
    if (!used.has(name))
      throw failedToParse(`The array filter for identifier '${name}' was not used in the update ${show(update)}`)
  return {
    kind: 'modifiers',
    positional,
    fields,
    apply(doc, target = {}) {
      const context = { original: doc, isInsert: target.isInsert === true, positional: target.positional, leaves }
      const next = applyNode(root, doc, '', context, filters) as Doc
      if (next === doc) return { doc, changed: false }
      guardId(doc, next, () => "Performing an update on the path '_id' would modify the immutable field '_id'")
      return { doc: next, changed: true }
    }
  }
}

type Tree = { paths: string[]; root: UpdateNode; fields: readonly string[] }

/** Trees made lately. The statements of one bulk mostly name the same paths in the same order. */
const trees: Tree[] = []
const TREES = 8

function treeOf(placed: Placed[]): Tree {
  for (const tree of trees) {
    if (tree.paths.length === placed.length && tree.paths.every((path, i) => path === placed[i]!.path)) return tree
  }
  const root = emptyNode()
  placed.forEach(({ path }, i) => addLeaf(root, path, i))
  sortTree(root)
  const tree: Tree = {
    paths: placed.map(({ path }) => path),
    root,
    fields: [...new Set(['_id', ...root.children.keys()])]
  }
  if (trees.length >= TREES) trees.pop()
  trees.unshift(tree)
  return tree
}

function arrayFilters({ arrayFilters = [], let: variables, now }: UpdateOptions): Map<string, Filter> {
  const filters = new Map<string, Filter>()
  for (const filter of arrayFilters) {
    if (!isDoc(filter)) throw new MongoError(14, 'arrayFilters must be an array of documents')
    const names = new Set<string>()
    topNames(filter, names)
    if (names.size === 0) throw failedToParse('Cannot use an expression without a top-level field name in arrayFilters')
    const [name, other] = names
    if (other !== undefined)
      throw failedToParse(
        `Error parsing array filter :: caused by :: Expected a single top-level field name, found '${name}' and '${other}'`
      )
    if (!/^[a-z][A-Za-z0-9]*$/.test(name!))
      throw badValue(
        `Error parsing array filter :: caused by :: The top-level field name must be an alphanumeric string beginning with a lowercase letter, found '${name}'`
      )
    if (filters.has(name!))
      throw failedToParse(`Found multiple array filters with the same top-level field name ${name}`)
    filters.set(name!, compileFilter(filter, { now, let: variables }))
  }
  return filters
}

function topNames(filter: Doc, names: Set<string>): void {
  for (const [name, value] of filter) {
    if (!name.startsWith('$')) names.add(name.split('.')[0]!)
    else if (Array.isArray(value)) for (const part of value) if (isDoc(part)) topNames(part, names)
  }
}

// Every identifier must have its filter; answers whether `$` occurs.
function checkPositions(node: UpdateNode, path: string, filters: Map<string, Filter>, used: Set<string>): boolean {
  let positional = false
  for (const [segment, child] of node.children) {
    const at = path === '' ? segment : `${path}.${segment}`
    if (segment === '$') positional = true
    if (segment.startsWith('$[') && segment !== '$[]') {
      const name = segment.slice(2, -1)
      if (!filters.has(name)) throw badValue(`No array filter found for identifier '${name}' in path '${at}'`)
      used.add(name)
    }
    if (checkPositions(child, at, filters, used)) positional = true
  }
  return positional
}

function replacement(update: Doc, options: UpdateOptions): Updater {
  if (options.arrayFilters !== undefined && options.arrayFilters.length > 0)
    throw failedToParse('arrayFilters may not be specified for replacement-style updates')
  for (const name of update.keys())
    if (name.startsWith('$'))
      throw new MongoError(
        52,
        `The dollar ($) prefixed field '${name}' in '${name}' is not allowed in the context of an update's replacement document. Consider using an aggregation pipeline with $replaceWith.`
      )
  return {
    kind: 'replacement',
    positional: false,
    fields: null,
    apply(doc) {
      const id = doc.get('_id')
      const next: Doc = new Map()
      const given = update.get('_id') ?? id
      if (given !== undefined) next.set('_id', given) // stored first, wherever the replacement had it
      for (const [name, value] of withTimestamps(update, options.now)) next.set(name, value)
      guardId(
        doc,
        next,
        (given) =>
          `After applying the update, the (immutable) field '_id' was found to have been altered to _id: ${show(given)}`
      )
      if (id !== undefined) next.set('_id', id)
      return identicalValues(doc, next) ? { doc, changed: false } : { doc: next, changed: true }
    }
  }
}

function pipeline(stages: Doc[], options: UpdateOptions): Updater {
  const run = compileDocumentStages(stages, varsOf(options))
  return {
    kind: 'pipeline',
    positional: false,
    fields: null,
    apply(doc) {
      const made = run(doc)
      const id = doc.get('_id')
      // A pipeline that leaves the _id out leaves it as it was: $replaceWith need not name it.
      const next = id !== undefined && !made.has('_id') ? new Map([['_id', id], ...made]) : made
      guardId(
        doc,
        next,
        (given) =>
          `After applying the update, the (immutable) field '_id' was found to have been altered to _id: ${show(given)}`
      )
      return identicalValues(doc, next) ? { doc, changed: false } : { doc: next, changed: true }
    }
  }
}

/**
 * The document an upsert starts from: the filter's equality fields (only `_id` for a replacement).
 * @throws MongoError 54 when the filter names a path twice.
 */
export function upsertBase(node: FilterNode, kind: Updater['kind']): Doc {
  const equalities: { path: string; value: Value }[] = []
  collect(node, equalities)
  const doc: Doc = new Map()
  const taken: string[] = []
  for (const { path, value } of equalities) {
    if (kind === 'replacement' && path !== '_id') continue
    for (const other of taken) {
      if (other === path) throw new MongoError(54, `cannot infer query fields to set, path '${path}' is matched twice`)
      if (other.startsWith(`${path}.`) || path.startsWith(`${other}.`))
        throw new MongoError(54, `cannot infer query fields to set, both paths '${other}' and '${path}' are matched`)
    }
    taken.push(path)
    const segments = path.split('.')
    let at = doc
    for (const segment of segments.slice(0, -1)) {
      let child = at.get(segment)
      if (!isDoc(child)) at.set(segment, (child = new Map()))
      at = child
    }
    at.set(segments.at(-1)!, value)
  }
  return doc
}

function collect(node: FilterNode, into: { path: string; value: Value }[]): void {
  if (node.op === 'and' || (node.op === 'or' && node.children.length === 1))
    for (const child of node.children) collect(child, into)
  if (node.op !== 'cmp') return
  if (node.cmp === '$eq') into.push({ path: node.path, value: node.value })
  if (
    node.cmp === '$in' &&
    Array.isArray(node.value) &&
    node.value.length === 1 &&
    !(node.value[0] instanceof BSONRegExp)
  )
    into.push({ path: node.path, value: node.value[0]! })
}

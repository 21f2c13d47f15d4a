import { MongoError } from '../bson/errors.js'
import { isDoc, isNumber, isTruthy, type Doc, type Value } from '../bson/value.js'
import { compileExpression, EXPRESSION_OPERATORS } from './expressions.js'
import type { Expression, Scope, Vars } from './scope.js'

/** One place of a projection: keep the field, drop it, compute it, or look further down. */
export type Shape = 'keep' | 'drop' | Expression | ShapeTree
export type ShapeTree = Map<string, Shape>

const isTree = (shape: Shape | undefined): shape is ShapeTree => shape instanceof Map

/** Puts a leaf at a dotted path. @throws MongoError 31249, 31250 when paths collide, 40352ff on bad names. */
export function plant(tree: ShapeTree, path: string, leaf: Shape): void {
  const segments = path.split('.')
  let at = tree
  segments.forEach((segment, i) => {
    if (segment === '')
      throw new MongoError(path === '' ? 40352 : 15998, 'FieldPath field names may not be empty strings.')
    if (segment.startsWith('$'))
      throw new MongoError(
        16410,
        `FieldPath field names may not start with '$'. Consider using $getField or $setField.`
      )
    const found = at.get(segment)
    if (i === segments.length - 1) {
      if (found !== undefined)
        throw isTree(found)
          ? new MongoError(31250, `Path collision at ${path}`)
          : new MongoError(31250, `Path collision at ${path} remaining portion ${segment}`)
      at.set(segment, leaf)
    } else if (found === undefined) {
      const next: ShapeTree = new Map()
      at.set(segment, next)
      at = next
    } else if (isTree(found)) at = found
    else throw new MongoError(31249, `Path collision at ${path} remaining portion ${segments.slice(i + 1).join('.')}`)
  })
}

const KNOWN = new Set(['$const', ...EXPRESSION_OPERATORS])
const isKnown = (value: Doc) => KNOWN.has(value.keys().next().value ?? '')
const isExpression = (value: Doc) => (value.keys().next().value ?? '').startsWith('$')

/** Reads $addFields' body: nested documents are nested paths, everything else an expression. */
export function parseFields(spec: Value, vars: Vars | null, name: string): ShapeTree {
  if (!isDoc(spec)) throw new MongoError(40272, `${name} specification stage must be an object`)
  if (spec.size === 0)
    throw new MongoError(40177, `Invalid ${name} :: caused by :: specification must have at least one field`)
  const tree: ShapeTree = new Map()
  const visit = (doc: Doc, prefix: string) => {
    for (const [key, value] of doc) {
      const path = prefix + key
      if (isDoc(value) && value.size > 0 && !isExpression(value)) visit(value, `${path}.`)
      else plant(tree, path, compileExpression(value, vars))
    }
  }
  visit(spec, '')
  return tree
}

/** A parsed inclusion or exclusion. */
export type Shaped = { mode: 'include' | 'exclude'; tree: ShapeTree }

/**
 * Reads a projection: numbers and booleans keep or drop, other values are computed. `special` may claim a value at a path
 * (find's $slice and so on) by returning the leaf it stands for, or undefined when it counts for neither side.
 */
export function parseProjection(
  spec: Doc,
  vars: Vars | null,
  special: (path: string, value: Value) => { leaf: 'keep' | undefined; path: string } | undefined = () => undefined
): Shaped {
  let mode: Shaped['mode'] | undefined
  let id: 'keep' | 'drop' | undefined
  const tree: ShapeTree = new Map()
  const decide = (wanted: Shaped['mode'], path: string) => {
    if (mode !== undefined && mode !== wanted)
      throw wanted === 'include'
        ? new MongoError(31253, `Cannot do inclusion on field ${path} in exclusion projection`)
        : new MongoError(31254, `Cannot do exclusion on field ${path} in inclusion projection`)
    mode = wanted
  }
  const visit = (doc: Doc, prefix: string) => {
    for (const [key, value] of doc) {
      const path = prefix + key
      const claimed = special(path, value)
      if (claimed !== undefined) {
        if (claimed.leaf === undefined) continue
        decide('include', path)
        plant(tree, claimed.path, 'keep')
      } else if (isNumber(value) || typeof value === 'boolean') {
        const keep = isTruthy(value)
        if (path === '_id') id = keep ? 'keep' : 'drop'
        else {
          decide(keep ? 'include' : 'exclude', path)
          plant(tree, path, keep ? 'keep' : 'drop')
        }
      } else if (isDoc(value) && value.size === 1 && isExpression(value) && !isKnown(value)) {
        throw new MongoError(31325, `Unknown expression ${value.keys().next().value}`)
      } else if (isDoc(value) && !isExpression(value)) {
        if (value.size === 0)
          throw new MongoError(
            51270,
            `An empty sub-projection is not a valid value. Found empty object at path ${path}`
          )
        visit(value, `${path}.`)
      } else {
        decide('include', path)
        plant(tree, path, compileExpression(value, vars))
      }
    }
  }
  visit(spec, '')
  mode ??= id === 'keep' ? 'include' : 'exclude'
  if (mode === 'include' ? id !== 'drop' : id === 'drop')
    if (!tree.has('_id')) tree.set('_id', mode === 'include' ? 'keep' : 'drop')
  return { mode, tree }
}

const hasComputed = (tree: ShapeTree): boolean => {
  for (const shape of tree.values())
    if (typeof shape === 'function' || (isTree(shape) && hasComputed(shape))) return true
  return false
}

/** Compiles a parsed projection to a function over documents; expressions see the whole original document. */
export function shaper({ mode, tree }: Shaped): (doc: Doc, scope: Scope) => Doc {
  if (mode === 'exclude') return (doc) => excludeFrom(tree, doc)
  if (!hasComputed(tree)) return (doc) => includeFrom(tree, doc)
  return (doc, scope) => compute(tree, includeFrom(tree, doc), scope)
}

// A value that is no document stays where something is computed below it, as a place for what is computed.
function includeFrom(tree: ShapeTree, doc: Doc): Doc {
  const out: Doc = new Map()
  for (const [key, value] of doc) {
    const shape = tree.get(key)
    if (shape === 'keep') out.set(key, value)
    else if (isTree(shape)) {
      const inner = included(shape, value)
      if (inner !== undefined) out.set(key, inner)
    }
  }
  return out
}

function included(tree: ShapeTree, value: Value): Value | undefined {
  if (isDoc(value)) return includeFrom(tree, value)
  if (!Array.isArray(value)) return hasComputed(tree) ? new Map() : undefined
  return value.flatMap((item): Value[] => {
    const inner = included(tree, item)
    return inner === undefined ? [] : [inner]
  })
}

function excludeFrom(tree: ShapeTree, doc: Doc): Doc {
  const out: Doc = new Map()
  for (const [key, value] of doc) {
    const shape = tree.get(key)
    if (shape === undefined) out.set(key, value)
    else if (isTree(shape)) out.set(key, excluded(shape, value))
  }
  return out
}

function excluded(tree: ShapeTree, value: Value): Value {
  if (isDoc(value)) return excludeFrom(tree, value)
  return Array.isArray(value) ? value.map((item) => excluded(tree, item)) : value
}

/** Sets computed fields on a copy of a document: in place when they exist, else at the end; a missing result removes. */
export function compute(tree: ShapeTree, doc: Doc, scope: Scope): Doc {
  const out: Doc = new Map(doc)
  for (const [key, shape] of tree) {
    if (typeof shape === 'function') {
      const value = shape(scope)
      if (value === undefined) out.delete(key)
      else out.set(key, value)
    } else if (isTree(shape) && hasComputed(shape)) out.set(key, computed(shape, out.get(key), scope))
  }
  return out
}

function computed(tree: ShapeTree, value: Value | undefined, scope: Scope): Value {
  if (Array.isArray(value)) return value.map((item) => computed(tree, item, scope))
  return compute(tree, isDoc(value) ? value : new Map(), scope)
}

import { identicalValues } from './compare.js'
import { badValue, MongoError } from './errors.js'
import type { Filter } from './match.js'
import { indexOf } from './path.js'
import { show } from './show.js'
import { isDoc, type Doc, type Value } from './value.js'

/** What the operators of one update see of the document they change. */
export type UpdateContext = {
  original: Doc
  isInsert: boolean
  positional: number | undefined
  /** The operators, by the number their node has. */
  leaves: readonly Leaf[]
}

/** One operator at one path. `apply` gets the present value (undefined: missing) and returns the new one, or undefined. */
export type Leaf = {
  /** False when the operator does nothing to this document at all, e.g. $setOnInsert on an update. */
  active?(context: UpdateContext): boolean
  /** Whether a missing field (and the documents above it) is made. */
  creates: boolean
  apply(current: Value | undefined, context: UpdateContext, path: string): Value | undefined
}

/**
 * The paths of an update, merged, each with the number of its operator: many updates differ in their operands only, and
 * share one tree.
 */
export type UpdateNode = { leaf: number | undefined; children: Map<string, UpdateNode> }

export const emptyNode = (): UpdateNode => ({ leaf: undefined, children: new Map() })

/** Puts operator number `leaf` at its path. @throws MongoError 40 when two operators meet, 56 on empty names, 52 on `$` names. */
export function addLeaf(root: UpdateNode, path: string, leaf: number): void {
  const segments = pathSegments(path)
  let node = root
  segments.forEach((segment, i) => {
    if (node.leaf !== undefined) throw conflict(path, segments.slice(0, i).join('.'))
    let child = node.children.get(segment)
    if (child === undefined) node.children.set(segment, (child = emptyNode()))
    node = child
  })
  if (node.leaf !== undefined || node.children.size > 0) throw conflict(path, path)
  node.leaf = leaf
}

const conflict = (path: string, at: string) =>
  new MongoError(40, `Updating the path '${path}' would create a conflict at '${at}'`)

/** Splits and checks an update path. */
export function pathSegments(path: string): string[] {
  if (path === '') throw new MongoError(56, 'An empty update path is not valid.')
  const segments = path.split('.')
  segments.forEach((segment, i) => {
    if (segment === '')
      throw new MongoError(56, `The update path '${path}' contains an empty field name, which is not allowed.`)
    if (segment.startsWith('$') && segment !== '$' && !/^\$\[[A-Za-z0-9_]*\]$/.test(segment))
      throw new MongoError(52, `The dollar ($) prefixed field '${segment}' in '${path}' is not valid for storage.`)
    if (i === 0 && /^\$(\[.*\])?$/.test(segment))
      throw badValue(`Cannot have positional (i.e. '$') element in the first position in path '${path}'`)
  })
  if (segments.filter((segment) => segment === '$').length > 1)
    throw badValue(`Too many positional (i.e. '$') elements found in path '${path}'`)
  return segments
}

/** Orders children as MongoDB applies (and so creates) them: by name, numbers by value. */
export function sortTree(node: UpdateNode): void {
  const order = ([a]: [string, UpdateNode], [b]: [string, UpdateNode]) => {
    const [x, y] = [indexOf(a), indexOf(b)]
    if (x >= 0 && y >= 0) return x - y
    return a < b ? -1 : a > b ? 1 : 0
  }
  node.children = new Map([...node.children].sort(order))
  for (const child of node.children.values()) sortTree(child)
}

const isActive = (node: UpdateNode, context: UpdateContext): boolean => {
  if (node.leaf !== undefined) return context.leaves[node.leaf]!.active?.(context) ?? true
  for (const child of node.children.values()) if (isActive(child, context)) return true
  return false
}

const creates = (node: UpdateNode, context: UpdateContext): boolean => {
  if (node.leaf !== undefined) {
    const leaf = context.leaves[node.leaf]!
    return leaf.creates && (leaf.active?.(context) ?? true)
  }
  for (const child of node.children.values()) if (creates(child, context)) return true
  return false
}

const MAX_BACKFILL = 1_500_000
const last = (path: string) => path.slice(path.lastIndexOf('.') + 1)
const join = (path: string, segment: string | number) => (path === '' ? String(segment) : `${path}.${segment}`)

/** Applies a tree of operators; containers are copied only along changed paths, so identity tells whether anything changed. */
export function applyNode(
  node: UpdateNode,
  value: Value | undefined,
  path: string,
  context: UpdateContext,
  filters: ReadonlyMap<string, Filter>
): Value | undefined {
  if (!isActive(node, context)) return value
  if (node.leaf !== undefined) {
    const leaf = context.leaves[node.leaf]!
    if (value === undefined && !leaf.creates) return undefined
    const next = leaf.apply(value, context, path)
    return identicalValues(next, value) ? value : next
  }
  if (Array.isArray(value)) return applyToArray(node, value, path, context, filters)
  if (isDoc(value)) {
    let copy: Doc | undefined
    for (const [name, child] of node.children) {
      if (!isActive(child, context)) continue
      const segment = resolved(name, context)
      if (segment.startsWith('$['))
        throw badValue(`Cannot apply array updates to non-array element ${last(path)}: ${show(value)}`)
      const current = value.get(segment)
      const next = applyNode(child, current, join(path, segment), context, filters)
      if (next === current) continue
      copy ??= new Map(value)
      if (next === undefined) copy.delete(segment)
      else copy.set(segment, next)
    }
    return copy ?? value
  }
  for (const [name, child] of node.children) {
    if (name.startsWith('$[')) {
      if (value === undefined)
        throw badValue(`The path '${path}' must exist in the document in order to apply array updates.`)
      throw badValue(`Cannot apply array updates to non-array element ${last(path)}: ${show(value)}`)
    }
    if (value !== undefined && creates(child, context))
      throw new MongoError(
        28,
        `Cannot create field '${resolved(name, context)}' in element {${last(path)}: ${show(value)}}`
      )
  }
  if (value !== undefined || !creates(node, context)) return value
  const made = applyNode(node, new Map(), path, context, filters) as Doc
  return made.size === 0 ? undefined : made
}

function resolved(segment: string, context: UpdateContext): string {
  if (segment !== '$') return segment
  if (context.positional === undefined)
    throw badValue('The positional operator did not find the match needed from the query.')
  return String(context.positional)
}

function applyToArray(
  node: UpdateNode,
  items: Value[],
  path: string,
  context: UpdateContext,
  filters: ReadonlyMap<string, Filter>
): Value[] {
  const work = new Map<number, UpdateNode[]>()
  const plan = (position: number, child: UpdateNode) => {
    const planned = work.get(position)
    if (planned === undefined) work.set(position, [child])
    else if (child.leaf !== undefined || planned.some((other) => other.leaf !== undefined))
      throw conflict(join(path, position), join(path, position))
    else planned.push(child)
  }
  for (const [name, child] of node.children) {
    if (!isActive(child, context)) continue
    if (name.startsWith('$[')) {
      const filter = name === '$[]' ? undefined : filters.get(name.slice(2, -1))!
      items.forEach((item, i) => {
        if (filter === undefined || filter.test(new Map([[name.slice(2, -1), item]]))) plan(i, child)
      })
      continue
    }
    const segment = resolved(name, context)
    const position = indexOf(segment)
    if (position >= 0) {
      if (position < items.length || creates(child, context)) plan(position, child)
    } else if (creates(child, context))
      throw new MongoError(28, `Cannot create field '${segment}' in element {${last(path)}: ${show(items)}}`)
  }
  let copy: Value[] | undefined
  for (const [position, children] of [...work].sort(([a], [b]) => a - b))
    for (const child of children) {
      const current = (copy ?? items)[position]
      const next = applyNode(child, current, join(path, position), context, filters)
      if (next === current) continue
      copy ??= items.slice()
      if (position - copy.length > MAX_BACKFILL) throw badValue(`can't backfill more than ${MAX_BACKFILL} elements`)
      while (copy.length < position) copy.push(null)
      copy[position] = next ?? null // removing an array's element leaves null in its place
    }
  return copy ?? items
}

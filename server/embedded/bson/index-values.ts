import { MongoError } from './errors.js'
import { encodeKey } from './keys.js'
import { indexOf } from './path.js'
import { isDoc, UNDEFINED } from './value.js'
import type { Doc, Value } from './value.js'

/** What an index over some paths holds for one document. */
export type IndexValues = { tuples: Value[][]; multikey: boolean }

/**
 * The index entries of a document: one tuple of values per combination MongoDB would index. Missing is null, an empty
 * array undefined (BSON's), an array gives one entry per distinct element.
 * @throws MongoError 171 when two paths run through different arrays, 16746 on an ambiguous numeric field name.
 */
export function indexValues(doc: Doc, paths: readonly string[]): IndexValues {
  const plain: Value[] = []
  for (const path of paths) {
    const value = path.includes('.') ? undefined : doc.get(path)
    if (Array.isArray(value) || path.includes('.')) return expandAll(doc, paths)
    plain.push(value ?? null)
  }
  return { tuples: [plain], multikey: false }
}

function expandAll(doc: Doc, paths: readonly string[]): IndexValues {
  const result: IndexValues = { tuples: [], multikey: false }
  expand(
    paths.map((path) => ({ from: doc as Value | undefined, rest: path.split('.'), path })),
    result
  )
  if (result.tuples.length > 1) result.tuples = distinctTuples(result.tuples)
  return result
}

/**
 * What a wildcard index holds of one document: a tuple of path and value for everything below `prefix` (`attributes.`) that
 * is not itself a document with fields. Elements of arrays lie under the array's path.
 */
export function wildcardValues(doc: Doc, prefix: string): IndexValues {
  const result: IndexValues = { tuples: [], multikey: false }
  const steps = prefix.slice(0, -1).split('.')
  let root: Value | undefined = doc
  for (const step of steps) root = isDoc(root) ? root.get(step) : undefined
  if (root !== undefined) gatherLeaves(root, prefix.slice(0, -1), true, result)
  return result.multikey ? { tuples: distinctTuples(result.tuples), multikey: true } : result
}

function gatherLeaves(value: Value, path: string, outermost: boolean, result: IndexValues): void {
  if (isDoc(value) && (value.size > 0 || outermost)) {
    for (const [name, inner] of value) gatherLeaves(inner, `${path}.${name}`, false, result)
  } else if (Array.isArray(value)) {
    result.multikey = true
    if (value.length === 0) result.tuples.push([path, UNDEFINED])
    for (const item of value) {
      if (isDoc(item)) gatherLeaves(item, path, false, result)
      else result.tuples.push([path, item])
    }
  } else result.tuples.push([path, value])
}

function distinctTuples(tuples: Value[][]): Value[][] {
  const seen = new Set<string>()
  return tuples.filter((tuple) => {
    const key = encodeKey(
      tuple,
      tuple.map(() => 1 as const)
    ).toString('latin1')
    return !seen.has(key) && seen.add(key) !== undefined
  })
}

type Branch = { from: Value | undefined; rest: string[]; path: string }

// Follows each branch to its value or to the first array on its way; then lets all branches that met the same array run
// through its elements together.
function expand(branches: Branch[], result: IndexValues): void {
  let array: Value[] | undefined
  let arrayPath = ''
  const walked = branches.map((branch) => {
    let { from, rest } = branch
    for (;;) {
      if (Array.isArray(from)) {
        const position = rest.length > 0 ? indexOf(rest[0]!) : -1
        if (position >= 0) {
          if (from.some((item) => isDoc(item) && item.has(rest[0]!)))
            throw new MongoError(
              16746,
              'Ambiguous field name found in array (do not use numeric field names in embedded elements in an array)'
            )
          from = from[position]
          rest = rest.slice(1)
          continue
        }
        if (array !== undefined && array !== from)
          throw new MongoError(171, `cannot index parallel arrays [${branch.path.split('.').pop()}] [${arrayPath}]`)
        array = from
        arrayPath = branch.path.split('.').pop()!
        return { from: from as Value, rest, path: branch.path, open: true }
      }
      if (rest.length === 0) return { from, rest, path: branch.path, open: false }
      from = isDoc(from) ? from.get(rest[0]!) : undefined
      rest = rest.slice(1)
    }
  })
  if (array === undefined) {
    result.tuples.push(walked.map(({ from }) => (from === undefined ? null : from)))
    return
  }
  result.multikey = true
  const fixed = (value: Value | undefined, path: string): Branch => ({ from: value, rest: [], path })
  if ((array as Value[]).length === 0) {
    result.tuples.push(
      walked.map(({ from, rest, open }) => (!open ? (from ?? null) : rest.length === 0 ? UNDEFINED : null))
    )
    return
  }
  for (const item of array as Value[]) {
    const wrapped = walked.map(({ from, rest, path, open }): Branch => {
      if (!open) return fixed(from, path)
      if (rest.length === 0) return { from: new Leaf(item) as unknown as Value, rest, path }
      return isDoc(item) ? { from: item, rest, path } : fixed(null, path)
    })
    const part: IndexValues = { tuples: [], multikey: false }
    expand(wrapped, part)
    for (const tuple of part.tuples)
      result.tuples.push(tuple.map((value) => (value instanceof Leaf ? value.value : value)))
  }
}

// An array's element that is itself an array is indexed whole, so it must not be expanded again.
class Leaf {
  constructor(readonly value: Value) {}
}

import { compileExpression } from '../aggregate/expressions.js'
import { varsOf, type Env } from '../aggregate/scope.js'
import { decode, type Doc } from './document.js'
import type { FilterNode } from './filter-node.js'
import { elementTest, type ValueTest } from './match-values.js'
import { parseFilter } from './parse-filter.js'
import { indexOf, segmentsOf } from './path.js'
import { rawPath, walkRaw, type RawPath } from './raw.js'
import { isDoc, isTruthy, type Value } from './value.js'

export type { Comparison, FilterNode } from './filter-node.js'

/** A compiled query filter. */
export type Filter = {
  /** The parsed form, for planners. */
  node: FilterNode
  /** Whether the document matches. @throws MongoError only out of $expr. */
  test(doc: Doc): boolean
  /** The same, straight off BSON bytes; decodes only the values the filter looks at. Always decides. */
  testRaw(raw: Uint8Array): boolean
  /** The array position that made the document match (what `$` means in an update or projection), if an array did. */
  arrayIndex(doc: Doc): number | undefined
}

type Source = Doc | Uint8Array
type Test = (source: Source) => boolean

// Set while arrayIndex() runs: the outermost array position of the last successful array traversal.
let tracked: number | undefined

const asDoc = (source: Source): Doc => (isDoc(source) ? source : decode(source))

// Runs `test` on what the path names from `value` on, the way MongoDB walks arrays: into each document of an array, into
// the element a numeric segment names, and, at the end of the path, over the elements and then the array itself.
function walk(value: Value | undefined, segments: string[], at: number, test: ValueTest, whole: boolean): boolean {
  if (at === segments.length) {
    if (!whole && Array.isArray(value)) {
      for (let i = 0; i < value.length; i++)
        if (test(value[i])) {
          tracked = i
          return true
        }
    }
    return test(value)
  }
  if (isDoc(value)) return walk(value.get(segments[at]!), segments, at + 1, test, whole)
  if (Array.isArray(value)) {
    const position = indexOf(segments[at]!)
    for (let i = 0; i < value.length; i++) {
      const item = value[i]!
      if (isDoc(item) && (position < 0 || item.has(segments[at]!))) {
        if (walk(item, segments, at, test, whole)) {
          tracked = i
          return true
        }
      }
      if (i === position) {
        // the named element is a value in its own right; if it is an array, its elements count too
        if (walk(item, segments, at + 1, test, whole)) {
          tracked = i
          return true
        }
      }
    }
    return false
  }
  return test(undefined)
}

const paths = new Map<string, { segments: string[]; prepared: RawPath }>()
const PATHS = 1_000

// Filters of one kind come again and again: their paths are cut and encoded once.
function preparedPath(path: string): { segments: string[]; prepared: RawPath } {
  let known = paths.get(path)
  if (!known) {
    known = { segments: path === '' ? [''] : segmentsOf(path), prepared: rawPath(path) }
    if (paths.size >= PATHS) paths.clear()
    if (path.length <= 100) paths.set(path, known)
  }
  return known
}

function leaf(path: string, test: ValueTest, whole = false): Test {
  const { segments, prepared } = preparedPath(path)
  if (segments.length === 1) {
    const name = segments[0]!
    return (source) => {
      const value = isDoc(source) ? source.get(name) : walkRaw(source, prepared).value
      return Array.isArray(value) ? walk(value, segments, 1, test, whole) : test(value)
    }
  }
  return (source) => {
    if (isDoc(source)) return walk(source, segments, 0, test, whole)
    const { value, used } = walkRaw(source, prepared)
    return value === undefined ? test(undefined) : walk(value, segments, used, test, whole)
  }
}

// `element`: the filter is about one value of an array, which is not walked into should it be an array itself.
function compile(node: FilterNode, env: Env, element = false): Test {
  switch (node.op) {
    case 'and': {
      const tests = node.children.map((child) => compile(child, env, element))
      if (tests.length === 1) return tests[0]!
      return (source) => {
        for (const test of tests) if (!test(source)) return false
        return true
      }
    }
    case 'or':
    case 'nor': {
      const tests = node.children.map((child) => compile(child, env, element))
      const found = node.op === 'or'
      return (source) => {
        for (const test of tests) if (test(source)) return found
        return !found
      }
    }
    case 'not': {
      const test = compile(node.child, env, element)
      return (source) => !test(source)
    }
    case 'expr': {
      const vars = varsOf(env)
      const expression = compileExpression(node.expression, vars)
      return (source) => isTruthy(expression({ root: asDoc(source), vars }))
    }
    case 'elemMatch': {
      const child = compile(node.child, env, node.value)
      const matches = node.value
        ? (item: Value) => child(new Map([['', item]]))
        : (item: Value) => (isDoc(item) ? child(item) : Array.isArray(item) && child(arrayAsDoc(item)))
      return leaf(
        node.path,
        (value) => {
          if (!Array.isArray(value)) return false
          for (let i = 0; i < value.length; i++)
            if (matches(value[i]!)) {
              tracked = i
              return true
            }
          return false
        },
        true
      )
    }
    case 'cmp': {
      if (node.cmp === '$ne' || node.cmp === '$nin') {
        const test = leaf(node.path, elementTest(node.cmp === '$ne' ? '$eq' : '$in', node.value), element)
        return (source) => !test(source)
      }
      if (node.cmp === '$exists' && node.value === false) {
        const test = leaf(node.path, elementTest('$exists', true), true)
        return (source) => !test(source)
      }
      const whole = element || node.cmp === '$size' || node.cmp === '$exists'
      return leaf(node.path, elementTest(node.cmp, node.value), whole)
    }
  }
}

const arrayAsDoc = (items: Value[]): Doc => new Map(items.map((item, i) => [String(i), item]))

/**
 * Compiles a query filter. Every operator is either carried out as MongoDB documents it or refused.
 * @throws MongoError 2 on unknown or unsupported operators and bad operands, 51091 on bad regular expressions.
 */
export function compileFilter(filter: Doc, env: Env = {}): Filter {
  const node = parseFilter(filter, env)
  const test = compile(node, env)
  return {
    node,
    test,
    testRaw: test,
    arrayIndex(doc) {
      tracked = undefined
      return test(doc) ? tracked : undefined
    }
  }
}

import { compileExpression, evaluateLet } from '../aggregate/expressions.js'
import { varsOf } from '../aggregate/scope.js'
import { decode, decodeFields, encode, pickFields } from '../bson/document.js'
import type { Doc } from '../bson/document.js'
import { memoryExceeded, MongoError } from '../bson/errors.js'
import type { Filter } from '../bson/match.js'
import type { Projection } from '../bson/project.js'
import { compileSort } from '../bson/sort.js'
import type { Sort } from '../bson/sort.js'
import { isDoc, toInteger } from '../bson/value.js'
import type { Value } from '../bson/value.js'
import type { CollectionEntry } from '../storage/catalog.js'
import type { Plan } from '../storage/planner.js'
import type { Examined, Found } from '../storage/scan.js'
import type { Pause, Query, Store } from '../storage/store.js'
import { docField } from './command.js'
import type { Command } from './command.js'

/** Memory one sort or group may take; MongoDB's default. */
export const MEMORY_LIMIT = 100 * 1024 * 1024
const KEY_OVERHEAD = 128

/** A query with everything that decides its order. */
export type Selection = Query & { order: Sort | 'forward' | 'reverse' | null; skip: number; limit: number }

/** `sort`: null for none, a word for the order of insertion or its reverse. @throws MongoError 2, 15974 and on */
export function compileOrder(spec: Doc | undefined): Selection['order'] {
  if (!spec || spec.size === 0) return null
  if (!spec.has('$natural')) return compileSort(spec)
  const direction = toInteger(spec.get('$natural'))
  if (spec.size > 1 || (direction !== 1 && direction !== -1)) {
    throw new MongoError(
      2,
      '$natural sort cannot be set to a value other than -1 or 1, nor be combined with other keys'
    )
  }
  return direction === 1 ? 'forward' : 'reverse'
}

/** What `{ $natural: ±1 }` as a hint asks for; null for any other hint. @throws MongoError 2 */
function naturalHint(hint: Query['hint']): 'forward' | 'reverse' | null {
  if (!isDoc(hint ?? undefined) || !(hint as Doc).has('$natural')) return null
  return compileOrder(hint as Doc) as 'forward' | 'reverse'
}

/** The values of a command's `let`, whose expressions see no document. @throws MongoError */
export function letField(command: Command, path: string): Doc | undefined {
  const given = docField(command.body, path)
  return given && evaluateLet(given, command.now)
}

/** Expressions by name, evaluated once. @throws MongoError */
export function evaluate(expressions: Doc, now: Date, root: Doc = new Map()): Doc {
  const vars = varsOf({ now })
  return new Map(
    [...expressions].map(([name, value]) => [name, compileExpression(value, vars)({ root, vars }) ?? null])
  )
}

/** The plan of a selection, and the records it selects in their order. */
export function select(
  store: Store,
  entry: CollectionEntry,
  selection: Selection,
  examined: Examined = { keys: 0, documents: 0 }
) {
  const { order, skip, limit } = selection
  const sort = typeof order === 'object' ? order : null
  const natural = typeof order === 'string' ? order : naturalHint(selection.hint)
  const plan: Plan =
    natural !== null
      ? { kind: 'scan', reverse: natural === 'reverse' }
      : store.plan(entry, { ...selection, sort, wanted: selection.wanted ?? (limit > 0 ? skip + limit : 0) })
  const ordered = !sort || (plan.kind === 'index' && plan.sorted)
  const matches = store.matches(entry, selection, plan, examined)
  const sorted = sort && !ordered ? sortMatches(matches, sort, limit > 0 ? skip + limit : 0) : matches
  return { plan, examined, ordered, matches: skip > 0 || limit > 0 ? slice(sorted, skip, limit) : sorted }
}

function* slice(matches: Iterable<Found | Pause>, skip: number, limit: number): Generator<Found | Pause> {
  let seen = 0
  for (const found of matches) {
    if (typeof found === 'symbol') {
      yield found
      continue
    }
    seen++
    if (seen <= skip) continue
    yield found
    if (limit > 0 && seen >= skip + limit) return
  }
}

function* sortMatches(matches: Iterable<Found | Pause>, order: Sort, most: number): Generator<Found | Pause> {
  const fields = new Set(order.paths.map((path) => path.split('.', 1)[0]))
  let kept: { found: Found; key: Value[] }[] = []
  let bytes = 0
  const trim = () => {
    kept.sort((a, b) => order.compare(a.key, b.key))
    kept = kept.slice(0, most)
    bytes = kept.reduce((sum, { found }) => sum + found.raw.length + KEY_OVERHEAD, 0)
  }
  for (const found of matches) {
    if (typeof found === 'symbol') {
      yield found
      continue
    }
    kept.push({ found, key: order.key(decodeFields(found.raw, fields)) })
    bytes += found.raw.length + KEY_OVERHEAD
    if (most > 0 && kept.length >= 2 * most + 64) trim()
    if (bytes > MEMORY_LIMIT)
      throw memoryExceeded('Executor error during find command :: caused by :: Sort', MEMORY_LIMIT)
  }
  kept.sort((a, b) => order.compare(a.key, b.key))
  for (const { found } of most > 0 ? kept.slice(0, most) : kept) yield found
}

/** The records selected: by their key where the filter names one, else by a plan. */
export function findMatches(store: Store, entry: CollectionEntry, selection: Selection): Iterable<Found | Pause> {
  const { filter, hint, order, skip } = selection
  const direct = hint || order || skip ? undefined : store.byUnique(entry, filter)
  if (direct === undefined) return select(store, entry, selection).matches
  return direct === null ? [] : [direct]
}

/** The bytes to answer with: the stored ones where no projection asks for less. */
export function* project(
  matches: Iterable<Found | Pause>,
  projection: Projection | null,
  filter: Filter
): Generator<Uint8Array | Pause> {
  const fields = projection?.positional ? undefined : projection?.fields
  for (const found of matches) {
    if (typeof found === 'symbol') yield found
    else if (!projection) yield found.raw
    else if (fields && projection.whole) yield pickFields(found.raw, fields)
    else yield encode(projectOne(projection, filter, fields ? decodeFields(found.raw, fields) : decode(found.raw)))
  }
}

export function projectOne(projection: Projection, filter: Filter, doc: Doc): Doc {
  return projection.apply(doc, projection.positional ? filter.arrayIndex(doc) : undefined)
}

/** The first record selected, outside of any event loop turn; for use inside write jobs. */
export function firstMatch(store: Store, entry: CollectionEntry, selection: Selection): Found | null {
  for (const found of findMatches(store, entry, { ...selection, limit: 1, wanted: 1, pauses: false })) {
    if (typeof found !== 'symbol') return found
  }
  return null
}

import type { Env } from './env.js'
import type { CollectionEntry, IndexEntry } from './catalog.js'
import type { FilterNode } from '../bson/match.js'
import { indexOf } from '../bson/path.js'
import { isDoc, type Value } from '../bson/value.js'
import { boundOf, rangesOf } from './bounds.js'
import type { FieldBound, KeyRange } from './bounds.js'
import { conjuncts, implies, isNullish } from './filters.js'
import { entryPrefix, PATH_AND_VALUE, prefixKey, shapeOf } from './records.js'
import { MongoError } from '../bson/errors.js'

type Cmp = Extract<FilterNode, { op: 'cmp' }>

/** A stretch of index entries, keys with the index's id. `point`: of a unique index, `low` is the one possible key. */
export type Span = { low: Buffer; high: Buffer; point: Buffer | null }

/** How the candidates of a filter are found. Whatever the plan, the filter has the last word. */
export type Plan = { kind: 'scan'; reverse: boolean } | IndexPlan | { kind: 'union'; branches: IndexPlan[] }

export type IndexPlan = {
  kind: 'index'
  index: IndexEntry
  spans: Span[]
  reverse: boolean
  /** Candidates come in the order asked for. */
  sorted: boolean
  /** Every entry in the spans satisfies the whole filter: counting entries is counting documents. */
  exact: boolean
  bounded: number
}

export type SortSpec = { paths: string[]; directions: (1 | -1)[] }

export type PlanRequest = {
  node: FilterNode
  sort: SortSpec | null
  /** How many documents are wanted; 0: all. When they are few, an order for nothing is worth much. */
  wanted: number
  hint: string | null
}

/** How many entries are counted to tell a narrow plan from a wide one: at first, and when all are wide, up to the largest. */
const PROBE = 48
const PROBE_GROWTH = 8
const LARGEST_PROBE = PROBE * PROBE_GROWTH ** 3
/** Of a plan of very many spans about this many are counted. */
const SPANS_COUNTED = 32

/** Chooses how to find what a filter asks for. @throws MongoError 2 for a hint that names no usable index. */
export function planQuery(env: Env, entry: CollectionEntry, request: PlanRequest): Plan {
  const { node, sort, hint } = request
  const wanted = conjuncts(node)
  if (hint === '$natural') return { kind: 'scan', reverse: false }
  if (hint !== null) {
    const index = entry.indexes.find((other) => other.name === hint && other.ready)
    if (!index)
      throw new MongoError(
        2,
        `error processing query: planner returned error :: caused by :: hint provided does not correspond to an existing index`
      )
    return plansOver(index, wanted, sort, true)[0] ?? { kind: 'scan', reverse: false }
  }
  const plans: IndexPlan[] = []
  for (const index of entry.indexes) {
    if (!index.ready) continue
    for (const plan of plansOver(index, wanted, sort, false)) {
      if (plan.spans.length === 1 && plan.spans[0].point) return plan
      plans.push(plan)
    }
  }
  const usable = plans.filter((plan) => plan.bounded > 0)
  const bounded = withoutWider(usable, request)
  const alternatives = wanted.some((one) => one.op === 'or')
  if (bounded.length === 1 && !alternatives) return bounded[0]
  if (usable.length === 1 && (usable[0].sorted || !sort)) return usable[0]
  if (bounded.length > 0) {
    const best = narrowest(env, bounded, request)
    if (best.width < PROBE) return best.plan
    return unionPlan(env, entry, wanted, request, best) ?? best.plan
  }
  const union = unionPlan(env, entry, wanted, request, null)
  if (union) return union
  const inOrder = sort ? plans.find((plan) => plan.sorted) : undefined
  return inOrder ?? { kind: 'scan', reverse: false }
}

/** The plans over one index: none where it cannot serve the filter, of a wildcard index one for each path asked about. */
export function plansOver(
  index: IndexEntry,
  wanted: FilterNode[],
  sort: SortSpec | null,
  forced: boolean
): IndexPlan[] {
  const { wildcard, holds } = shapeOf(index)
  if (wildcard === null) {
    const plan = indexPlan(index, wanted, sort, forced)
    return plan ? [plan] : []
  }
  if (holds && !implies(wanted, holds.node)) return []
  const paths = new Set(wanted.flatMap((node) => (node.op === 'cmp' && serves(wildcard, node) ? [node.path] : [])))
  return [...paths].flatMap((path) => {
    const conditions = wanted.filter(
      (node): node is Cmp => node.op === 'cmp' && node.path === path && serves(wildcard, node)
    )
    const at: FieldBound = { points: [path], exact: true, used: [] }
    const bound = boundOf(conditions, index.multikey)
    const found = bound ? rangesOf(PATH_AND_VALUE, [at, bound]) : anythingAt(path, at)
    return found ? [planOf(index, found, bound?.used ?? [], wanted, null, 1)] : []
  })
}

/** All that a wildcard index holds at a path, and below it where a document lies there. */
function anythingAt(path: string, at: FieldBound): { ranges: KeyRange[]; exact: boolean } {
  const low = { value: `${path}.`, open: false }
  const high = { value: `${path}/`, open: true } // the character behind the dot
  const below: FieldBound = { low, high, exact: true, used: [] }
  const ranges = [at, below].flatMap((bound) => rangesOf(PATH_AND_VALUE, [bound])!.ranges)
  return { ranges, exact: false }
}

/**
 * Whether a wildcard index holds every document that meets a condition: what is missing it does not hold, nor documents
 * as such, and a number in a path may mean a place in an array.
 */
function serves(wildcard: string, { path, cmp, value }: Cmp): boolean {
  if (!path.startsWith(wildcard) || path.split('.').some((step) => indexOf(step) >= 0)) return false
  const leaf = (one: unknown) => !isNullish(one) && !isDoc(one as Value)
  switch (cmp) {
    case '$exists':
      return value === true
    case '$in':
      return (value as Value[]).every(leaf)
    case '$eq':
    case '$gt':
    case '$gte':
    case '$lt':
    case '$lte':
      return leaf(value)
    default:
      return false
  }
}

/** The plan over one index, null when the index cannot serve the filter or would serve it no better than a scan. */
function indexPlan(index: IndexEntry, wanted: FilterNode[], sort: SortSpec | null, forced: boolean): IndexPlan | null {
  const shape = shapeOf(index)
  // Asked for by name, a sparse index serves as it is, and what it does not hold is not found: MongoDB has it so.
  const asIs = forced && index.sparse && !index.partial
  if (shape.holds && !asIs && !implies(wanted, shape.holds.node)) return null
  const bounds: FieldBound[] = []
  const heads = new Set<string>()
  for (const { path } of index.fields) {
    const head = path.split('.', 1)[0]
    // Conditions on two paths into one array may be met by different elements, which never share an entry.
    if (index.multikey && heads.has(head)) break
    const conditions = wanted.filter((node): node is Cmp => node.op === 'cmp' && node.path === path)
    const bound = conditions.length > 0 ? boundOf(conditions, index.multikey) : null
    if (!bound) break
    heads.add(head)
    bounds.push(bound)
    if (!('points' in bound)) break
  }
  let found = rangesOf(shape.directions, bounds)
  while (!found && bounds.length > 1) {
    bounds.pop()
    found = rangesOf(shape.directions, bounds)
  }
  if (!found) return null
  const order = sort && !index.multikey && !index.cut ? orderOf(index, bounds, sort) : null
  if (bounds.length === 0 && order === null && !forced) return null
  return planOf(
    index,
    found,
    bounds.flatMap((bound) => bound.used),
    wanted,
    order,
    bounds.length
  )
}

function planOf(
  index: IndexEntry,
  found: { ranges: KeyRange[]; exact: boolean },
  used: FilterNode[],
  wanted: FilterNode[],
  order: 'forward' | 'reverse' | null,
  bounded: number
): IndexPlan {
  const { partial } = shapeOf(index)
  const held = partial ? conjuncts(partial.node) : []
  const met = (node: FilterNode) => used.includes(node) || implies(held, node)
  return {
    kind: 'index',
    index,
    spans:
      bounded === 0
        ? [{ low: prefixKey(index.id), high: prefixKey(index.id + 1), point: null }]
        : found.ranges.map((range) => ({
            low: entryPrefix(index, range.low),
            high: entryPrefix(index, range.high),
            point: index.unique && range.point && !index.cut ? entryPrefix(index, range.low) : null
          })),
    reverse: order === 'reverse',
    sorted: order !== null,
    exact: found.exact && !index.multikey && !index.cut && wanted.every(met),
    bounded
  }
}

/** Whether walking the index within the bounds gives the order asked for, and in which direction. */
function orderOf(index: IndexEntry, bounds: FieldBound[], sort: SortSpec): 'forward' | 'reverse' | null {
  const fixed = new Set<string>()
  bounds.forEach((bound, i) => {
    if ('points' in bound && bound.points.length === 1) fixed.add(index.fields[i].path)
  })
  let reverse: boolean | null = null
  let at = 0
  for (let i = 0; i < sort.paths.length; i++) {
    if (fixed.has(sort.paths[i])) continue
    while (at < index.fields.length && fixed.has(index.fields[at].path)) at++
    const field = index.fields[at++]
    if (!field || field.path !== sort.paths[i]) return null
    const turned = field.direction !== sort.directions[i]
    if (reverse !== null && reverse !== turned) return null
    reverse = turned
  }
  return reverse ? 'reverse' : 'forward'
}

/**
 * The plan with the fewest entries to look at. Entries are counted up to a limit that grows until some plan stays below it,
 * so that choosing costs a small part of what the choice saves. Ties go to the plan that needs no sorting, then to more
 * bounded fields, then to an index that holds nothing but what the filter asks for.
 */
function narrowest(env: Env, plans: IndexPlan[], request: PlanRequest): { plan: IndexPlan; width: number } {
  let widths: number[] = []
  const most = Math.min(LARGEST_PROBE, ...plans.map((plan) => readsOf(plan, request) + 1))
  for (let limit = PROBE; ; limit = Math.min(limit * PROBE_GROWTH, most)) {
    let enough = Math.min(limit, most) // nothing wider than the narrowest known needs to be counted
    widths = plans.map((plan) => {
      const width = Math.min(widthOf(env, plan, enough), readsOf(plan, request))
      enough = Math.min(enough, width + 1)
      return width
    })
    if (limit >= most || widths.some((width) => width < limit)) break
  }
  let best = 0
  for (let i = 1; i < plans.length; i++) {
    const wins = widths[i] - widths[best] || rankOf(plans[best], request) - rankOf(plans[i], request)
    if (wins < 0) best = i
  }
  return { plan: plans[best], width: widths[best] }
}

/** Without those plans that cannot be the narrowest, which need no counting: all they narrow down another narrows down too. */
function withoutWider(plans: IndexPlan[], request: PlanRequest): IndexPlan[] {
  if (plans.length < 2) return plans
  const simple = (plan: IndexPlan) => !plan.index.multikey && shapeOf(plan.index).wildcard === null
  const paths = plans.map(({ index, bounded }) => shapeOf(index).paths.slice(0, bounded))
  const isWider = (i: number, j: number) => {
    const [plan, other] = [plans[i], plans[j]]
    if (i === j || plan.index.partial || plan.index.sparse || !simple(plan) || !simple(other)) return false
    if (request.sort && plan.sorted && !other.sorted) return false
    if (!paths[i].every((path) => paths[j].includes(path))) return false
    const ahead = rankOf(other, request) - rankOf(plan, request)
    return ahead > 0 || (ahead === 0 && j < i)
  }
  return plans.filter((_, i) => !plans.some((_, j) => isWider(i, j)))
}

/** How many entries a walk will look at by experience: one in the order asked for ends when it has enough. */
function readsOf(plan: IndexPlan, { sort, wanted }: PlanRequest): number {
  return sort && plan.sorted && wanted > 0 ? Math.max(PROBE, wanted * 4) : Infinity
}

function rankOf(plan: IndexPlan, { sort, wanted }: PlanRequest): number {
  const unsorted = sort && !plan.sorted ? (wanted > 0 ? 100 : 50) : 0
  return plan.bounded * 4 + (plan.index.partial ? 1 : 0) - (plan.spans.length > 1 ? 2 : 0) - unsorted
}

/** How many entries lie in a plan's spans, at most `limit`; of many spans some are counted and speak for the others. */
export function widthOf(env: Env, plan: IndexPlan, limit: number): number {
  const { spans } = plan
  const step = Math.max(1, Math.floor(spans.length / SPANS_COUNTED))
  let width = 0
  for (let i = 0; i < spans.length; i += step) {
    const { point, low, high } = spans[i]
    if (point) width += step
    else width += Math.max(1, entriesIn(env, low, high, limit - width)) * step
    if (width >= limit) return limit
  }
  return width
}

/** How many entries lie in a stretch, at most `limit`. lmdb's own count knows no limit, but passes over entries as fast. */
function entriesIn(env: Env, start: Buffer, end: Buffer, limit: number): number {
  if (limit < Infinity) for (const _ of env.idx.getKeys({ start, end, offset: limit - 1, limit: 1 })) return limit
  return env.idx.getKeysCount({ start, end })
}

/** A union of index plans for a filter with an $or each of whose branches has an index. */
function unionPlan(
  env: Env,
  entry: CollectionEntry,
  wanted: FilterNode[],
  request: PlanRequest,
  instead: { plan: IndexPlan; width: number } | null
): Plan | null {
  for (const node of wanted) {
    if (node.op !== 'or') continue
    const rest = wanted.filter((other) => other !== node)
    const branches: IndexPlan[] = []
    for (const child of node.children) {
      const all = [...rest, ...conjuncts(child)]
      const plans = entry.indexes.flatMap((index) => {
        return index.ready ? plansOver(index, all, null, false).filter((plan) => plan.bounded > 0) : []
      })
      if (plans.length === 0) break
      branches.push(plans.length === 1 ? plans[0] : narrowest(env, plans, { ...request, sort: null }).plan)
    }
    if (branches.length !== node.children.length) continue
    if (instead && branches.reduce((sum, branch) => sum + widthOf(env, branch, instead.width), 0) >= instead.width) {
      return null
    }
    return { kind: 'union', branches }
  }
  return null
}

import type { Env } from './env.js'
import type { CollectionEntry, IndexEntry } from './catalog.js'
import type { FilterNode } from '../bson/match.js'
import { boundOf, rangesOf } from './bounds.js'
import type { FieldBound } from './bounds.js'
import { conjuncts, implies } from './filters.js'
import { entryPrefix, prefixKey, shapeOf } from './records.js'
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
    return indexPlan(index, wanted, sort, true) ?? { kind: 'scan', reverse: false }
  }
  const plans: IndexPlan[] = []
  for (const index of entry.indexes) {
    if (!index.ready) continue
    const plan = indexPlan(index, wanted, sort, false)
    if (!plan) continue
    if (plan.spans.length === 1 && plan.spans[0].point) return plan
    plans.push(plan)
  }
  const bounded = plans.filter((plan) => plan.bounded > 0)
  if (bounded.length === 1 && (bounded[0].sorted || !sort)) return bounded[0]
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
  let found = rangesOf(index, bounds)
  while (!found && bounds.length > 1) {
    bounds.pop()
    found = rangesOf(index, bounds)
  }
  if (!found) return null
  const order = sort && !index.multikey && !index.cut ? orderOf(index, bounds, sort) : null
  if (bounds.length === 0 && order === null && !forced) return null
  const used = new Set(bounds.flatMap((bound) => bound.used))
  return {
    kind: 'index',
    index,
    spans:
      bounds.length === 0
        ? [{ low: prefixKey(index.id), high: prefixKey(index.id + 1), point: null }]
        : found.ranges.map((range) => ({
            low: entryPrefix(index, range.low),
            high: entryPrefix(index, range.high),
            point: index.unique && range.point && !index.cut ? entryPrefix(index, range.low) : null
          })),
    reverse: order === 'reverse',
    sorted: order !== null,
    exact: found.exact && !index.multikey && !index.cut && wanted.every((node) => used.has(node)),
    bounded: bounds.length
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
  for (let limit = PROBE; limit <= LARGEST_PROBE; limit *= PROBE_GROWTH) {
    let enough = limit // nothing wider than the narrowest known needs to be counted
    widths = plans.map((plan) => {
      const width = Math.min(widthOf(env, plan, enough), readsOf(plan, request))
      enough = Math.min(enough, width + 1)
      return width
    })
    if (widths.some((width) => width < limit)) break
  }
  let best = 0
  for (let i = 1; i < plans.length; i++) {
    const wins = widths[i] - widths[best] || rankOf(plans[best], request) - rankOf(plans[i], request)
    if (wins < 0) best = i
  }
  return { plan: plans[best], width: widths[best] }
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
function widthOf(env: Env, plan: IndexPlan, limit: number): number {
  const { spans } = plan
  const step = Math.max(1, Math.floor(spans.length / SPANS_COUNTED))
  let width = 0
  for (let i = 0; i < spans.length; i += step) {
    const { point, low, high } = spans[i]
    if (point) width += step
    else width += Math.max(1, env.idx.getKeysCount({ start: low, end: high, limit: limit - width })) * step
    if (width >= limit) return limit
  }
  return width
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
        const plan = index.ready ? indexPlan(index, all, null, false) : null
        return plan && plan.bounded > 0 ? [plan] : []
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

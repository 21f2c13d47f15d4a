import type { PAUSE } from '../aggregate/pipeline.js'
import type { CollectionEntry } from './catalog.js'
import type { Env } from './env.js'
import type { FilterNode } from '../bson/match.js'
import { conjuncts, implies } from './filters.js'
import { planQuery, plansOver, widthOf, type IndexPlan, type Plan, type PlanRequest } from './planner.js'
import { shapeOf } from './records.js'
import { createWatch, walkIndex, type Examined } from './scan.js'

/** How documents are counted: as they are found, or as the records that several indexes have in common. */
export type CountPlan = Plan | { kind: 'intersection'; branches: IndexPlan[] }

/** Reading a document costs about as much as looking at this many index entries. */
const DOCUMENT_COST = 4
/** The narrowest index's records are remembered while they are compared; more than this would be a lot of memory. */
const MOST_RECORDS = 2_000_000

/**
 * Chooses how to count. Where no single index says everything but several do together, their common records are counted
 * and no document is read, unless one of them is so narrow that reading its documents is less work.
 */
export function planCount(env: Env, entry: CollectionEntry, request: PlanRequest): CountPlan {
  const plan = planQuery(env, entry, request)
  if (request.hint !== null || plan.kind === 'union' || (plan.kind === 'index' && plan.exact)) return plan
  const branches = branchesOf(entry, request)
  if (branches === null) return plan
  const widths = branches.map((branch) => widthOf(env, branch, Infinity))
  const narrowest = Math.min(...widths)
  const fetching = plan.kind === 'index' ? narrowest * DOCUMENT_COST : entry.count
  if (narrowest > MOST_RECORDS || widths.reduce((sum, width) => sum + width, 0) > fetching) return plan
  const order = branches.map((branch, i) => ({ branch, width: widths[i] })).sort((a, b) => a.width - b.width)
  return { kind: 'intersection', branches: order.map(({ branch }) => branch) }
}

/** Exact plans that together say everything the filter asks; null when some part of it has none. */
function branchesOf(entry: CollectionEntry, { node }: PlanRequest): IndexPlan[] | null {
  const wanted = conjuncts(node)
  const partials = entry.indexes.flatMap((index) => (index.ready ? (shapeOf(index).partial ?? []) : []))
  const side = wanted.filter((each) => partials.some((partial) => implies(conjuncts(partial.node), each)))
  const branches: IndexPlan[] = []
  const held = new Set<unknown>()
  const questions = new Map<unknown, FilterNode[]>()
  for (const each of wanted) {
    if (side.includes(each)) continue
    const about = each.op === 'cmp' ? each.path : each // both ends of a range are one question
    questions.set(about, [...(questions.get(about) ?? []), each])
  }
  for (const together of questions.values()) {
    const [exact] = entry.indexes.flatMap((index) =>
      index.ready
        ? plansOver(index, [...together, ...side], null, false).filter((plan) => plan.exact && plan.bounded > 0)
        : []
    )
    if (!exact) return null
    branches.push(exact)
    const partial = shapeOf(exact.index).partial
    for (const other of side) if (partial && implies(conjuncts(partial.node), other)) held.add(other)
  }
  return branches.length > 1 && side.every((each) => held.has(each)) ? branches : null
}

/** Counts the records all branches have in common with the narrowest first. */
export function* countCommon(env: Env, branches: IndexPlan[], examined: Examined): Generator<number | typeof PAUSE> {
  const watch = createWatch(true)
  let common: Set<number> | null = null
  for (const [i, branch] of branches.entries()) {
    const last = i === branches.length - 1
    const next = new Set<number>()
    for (const record of walkIndex(env, branch, examined, watch)) {
      if (typeof record === 'symbol') yield record
      else if (common !== null && !common.has(record)) continue
      else if (last) yield 1
      else next.add(record)
    }
    common = next
  }
}

import type { Filter } from 'mongodb'
import type { Rule, Where } from '../../shared/audience.js'
import { DAY_MS } from '../../shared/limits.js'
import { checkComparison, checkWhere, type Comparison } from '../events/where.js'
import { InvalidInput } from '../platform/errors.js'

/** A filter over `people`, made of nothing but allow-listed operators. */
export type PeopleFilter = Filter<any>

/** A rule with everything MongoDB can answer from `people` alone folded into filters. */
export type Part =
  | { kind: 'people'; filter: PeopleFilter }
  | { kind: 'did'; name: string; where: Where | null; atLeast: number; withinMs: number | null }
  | { kind: 'reachable'; templateId: string | null }
  | { kind: 'all' | 'any' | 'none'; parts: Part[] }

/** `filter` is met by every member (so a scan starts from it); `rest` is what must then be asked of events or rights. */
export type CompiledRule = { filter: PeopleFilter; rest: Part | null }

const MAX_DEPTH = 8
const MAX_PARTS = 200
const ATTRIBUTE = /^[A-Za-z_][A-Za-z0-9_]{0,63}$/

/**
 * Compiles a rule from the allow-list. `not` is met by whoever meets none of its parts; an empty `all` by everybody.
 * @throws InvalidInput naming the part that cannot be used
 */
export function compileRule(rule: Rule): CompiledRule {
  let count = 0
  const whole = part(rule, '/rule', 1)
  if (whole.kind === 'people') return { filter: whole.filter, rest: null }
  if (whole.kind !== 'all') return { filter: {}, rest: whole }
  const known = whole.parts.find((each) => each.kind === 'people')
  const asked = whole.parts.filter((each) => each.kind !== 'people')
  return { filter: known?.filter ?? {}, rest: asked.length === 1 ? asked[0]! : { kind: 'all', parts: asked } }

  function part(each: Rule, pointer: string, depth: number): Part {
    count += 1
    if (depth > MAX_DEPTH || count > MAX_PARTS) {
      throw invalid(pointer, 'rule.tooLarge', `at most ${MAX_PARTS} parts, ${MAX_DEPTH} deep`)
    }
    const parts = (rules: Rule[], name: string) =>
      rules.map((one, i) => part(one, `${pointer}/${name}/${i}`, depth + 1))
    if ('all' in each) return fold('all', parts(each.all, 'all'))
    if ('any' in each) return fold('any', parts(each.any, 'any'))
    if ('not' in each) return fold('none', parts(each.not, 'not'))
    if ('attribute' in each) {
      if (!ATTRIBUTE.test(each.attribute)) {
        throw invalid(`${pointer}/attribute`, 'rule.attribute', 'letters, digits and _ only, not a digit first')
      }
      return compared(`attributes.${each.attribute}`, each.op, each.value, pointer)
    }
    if ('tag' in each) {
      if (/[.$\0]/.test(each.tag)) throw invalid(`${pointer}/tag`, 'rule.tag', 'a tag name holds no dot, $ or NUL')
      return compared(`tags.${each.tag}`, each.op, each.value, pointer)
    }
    if ('did' in each) {
      const where = (each.where ?? null) as Where | null
      checkWhere(where, `${pointer}/where`)
      const withinMs = each.withinDays === undefined ? null : each.withinDays * DAY_MS
      return { kind: 'did', name: each.did, where, atLeast: each.atLeast ?? 1, withinMs }
    }
    return { kind: 'reachable', templateId: each.templateId ?? null }
  }
}

/** Joins the parts that are filters into one; what is left is all filter, or a list with at most one filter in it. */
function fold(kind: 'all' | 'any' | 'none', parts: Part[]): Part {
  const filters = parts.flatMap((part) => (part.kind === 'people' ? [part.filter] : []))
  const others = parts.flatMap((part) =>
    part.kind === 'people' ? [] : part.kind === kind && kind !== 'none' ? part.parts : [part]
  )
  if (others.length === 0) return { kind: 'people', filter: joined(kind, filters) }
  // Of a flattened inner list, a filter may have come along: fold once more so that one filter remains.
  if (others.some((part) => part.kind === 'people')) {
    return fold(kind, [...filters.map((filter): Part => ({ kind: 'people', filter })), ...others])
  }
  if (filters.length === 0) return { kind, parts: others }
  // "none of" keeps its filters as they are (any of them excludes), so they are joined by or.
  const filter = joined(kind === 'all' ? 'all' : 'any', filters)
  return { kind, parts: [{ kind: 'people', filter }, ...others] }
}

function joined(kind: 'all' | 'any' | 'none', filters: PeopleFilter[]): PeopleFilter {
  if (kind === 'none') return { $nor: filters }
  if (filters.length === 1) return filters[0]!
  if (filters.length === 0) return {}
  return { [kind === 'all' ? '$and' : '$or']: filters }
}

function compared(path: string, op: Comparison, value: unknown, pointer: string): Part {
  checkComparison(op, value, `${pointer}/value`)
  return { kind: 'people', filter: { [path]: test(op, value) } }
}

function test(op: Comparison, value: unknown): unknown {
  if (op === 'exists') return { $exists: value !== false }
  if (op === 'contains') return { $regex: (value as string).replace(/[\\^$.*+?()[\]{}|]/g, '\\$&') }
  return { [`$${op}`]: value }
}

function invalid(pointer: string, code: string, message: string): InvalidInput {
  return new InvalidInput(message, { errors: [{ pointer, code, message }] })
}

import type { Rule } from '../../api/audiences.js'
import { spanExactly } from '../../look/time.js'
import { DAY_MS } from '../../../../../shared/limits.js'
import type { Op } from './rule-draft.js'
import { audienceWords } from './words.js'

type Where = Readonly<Record<string, unknown>>

function comparisonInWords(name: string, op: Op, value: unknown): string {
  const t = audienceWords.value
  if (op === 'exists') return value === false ? t.lacks(name) : t.has(name)
  return `${name} ${t.ops[op]} ${Array.isArray(value) ? value.join(', ') : String(value)}`
}

/** Conditions on properties, each as a person reads it. */
export function comparisonsInWords(where: Where): string[] {
  return Object.entries(where).flatMap(([name, wanted]) =>
    typeof wanted === 'object' && wanted !== null
      ? Object.entries(wanted).map(([op, value]) => comparisonInWords(name, op as Op, value))
      : [comparisonInWords(name, 'eq', wanted)]
  )
}

/** A rule as a line a person reads; groups within groups in brackets. */
export function inWords(rule: Rule, inside = false): string {
  const t = audienceWords.value
  const join = (rules: Rule[], mode: 'all' | 'any' | 'not') => {
    const text = rules.map((each) => inWords(each, true)).join(mode === 'all' ? ' · ' : ' / ')
    if (mode === 'not') return `${t.modes.not} (${text})`
    return inside && rules.length > 1 ? `(${text})` : text
  }
  if ('all' in rule) return rule.all.length === 0 ? t.everybody : join(rule.all, 'all')
  if ('any' in rule) return join(rule.any, 'any')
  if ('not' in rule) return join(rule.not, 'not')
  if ('reachable' in rule) return t.kinds.reachable + (rule.templateId === undefined ? '' : ` (${rule.templateId})`)
  if ('did' in rule) {
    const { did, atLeast = 1, withinDays, where } = rule
    const times = atLeast > 1 ? ` × ${atLeast}` : ''
    const days = withinDays === undefined ? '' : ` ≤ ${spanExactly(withinDays * DAY_MS)}`
    const which = where === undefined ? '' : ` (${comparisonsInWords(where).join(' · ')})`
    return `${t.kinds.did}: ${did}${which}${times}${days}`
  }
  const name = 'attribute' in rule ? rule.attribute : rule.tag
  return comparisonInWords(name, rule.op, rule.value)
}

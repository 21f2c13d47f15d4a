import type { Rule } from '../../api/audiences.js'
import { audienceWords } from './words.js'

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
  if ('reachable' in rule) return t.kinds.reachable
  if ('did' in rule) {
    const days = rule.withinDays === undefined ? '' : ` ≤ ${rule.withinDays} d`
    return `${t.kinds.did}: ${rule.did}${(rule.atLeast ?? 1) > 1 ? ` × ${rule.atLeast}` : ''}${days}`
  }
  const name = 'attribute' in rule ? rule.attribute : rule.tag
  if (rule.op === 'exists') return `${rule.value === false ? t.absent : t.exists} ${name}`
  return `${name} ${t.ops[rule.op]} ${Array.isArray(rule.value) ? rule.value.join(', ') : String(rule.value)}`
}

import type { Rule } from '../../api/audiences.js'

export type Mode = 'all' | 'any' | 'not'
export type Op = 'eq' | 'ne' | 'in' | 'gt' | 'gte' | 'lt' | 'lte' | 'exists' | 'contains'
export type ValueType = 'text' | 'number' | 'yesno'
type Typed = { op: Op; type: ValueType; text: string }
/**
 * One comparison as it is typed: the text means a number or yes/no only where it is said to. `stored` is what it was read
 * from, which stays as it is until something of it is typed anew: not every value can be told as text.
 */
export type Comparison = Typed & { name: string; stored?: Typed & { value: unknown } }
export type Node = { key: number } & (
  | { kind: 'group'; mode: Mode; children: Node[] }
  | ({ kind: 'attribute' } & Comparison)
  | ({ kind: 'tag' } & Comparison)
  | { kind: 'did'; name: string; atLeast: number; withinDays: number; where: Comparison[] }
  | { kind: 'reachable'; templateId?: string }
)
export type Group = Extract<Node, { kind: 'group' }>
type Value = string | number | boolean

let last = 0
const fresh = () => ({ key: ++last })
export const newComparison = (): Comparison => ({ name: '', op: 'eq', type: 'text', text: '' })
export const newGroup = (mode: Mode = 'all', children: Node[] = []): Group => ({
  ...fresh(),
  kind: 'group',
  mode,
  children
})

/** An empty line of a kind, to be filled in. */
export function newNode(kind: Node['kind']): Node {
  if (kind === 'group') return newGroup('any', [newNode('attribute')])
  if (kind === 'did') return { ...fresh(), kind, name: '', atLeast: 1, withinDays: 30, where: [] }
  if (kind === 'reachable') return { ...fresh(), kind }
  return { ...fresh(), kind, ...newComparison(), ...(kind === 'tag' && { op: 'exists' as const }) }
}

/** A stored rule as lines to edit; the outermost is always a group. */
export function draftOf(rule: Rule): Group {
  const node = nodeOf(rule)
  return node.kind === 'group' ? node : newGroup('all', [node])
}

function nodeOf(rule: Rule): Node {
  if ('all' in rule) return newGroup('all', rule.all.map(nodeOf))
  if ('any' in rule) return newGroup('any', rule.any.map(nodeOf))
  if ('not' in rule) return newGroup('not', rule.not.map(nodeOf))
  if ('reachable' in rule) {
    return { ...fresh(), kind: 'reachable', ...(rule.templateId !== undefined && { templateId: rule.templateId }) }
  }
  if ('did' in rule) {
    const { did: name, atLeast = 1, withinDays = 0, where = {} } = rule
    return { ...fresh(), kind: 'did', name, atLeast, withinDays, where: Object.entries(where).flatMap(comparisonsOf) }
  }
  const [kind, name] = 'attribute' in rule ? (['attribute', rule.attribute] as const) : (['tag', rule.tag] as const)
  return { ...fresh(), kind, ...comparisonOf(name, rule.op, rule.value) }
}

function comparisonsOf([name, wanted]: [string, unknown]): Comparison[] {
  if (typeof wanted !== 'object' || wanted === null) return [comparisonOf(name, 'eq', wanted)]
  return Object.entries(wanted).map(([op, value]) => comparisonOf(name, op as Op, value))
}

function comparisonOf(name: string, op: Op, value: unknown): Comparison {
  const one = Array.isArray(value) ? value[0] : value
  const type =
    op === 'exists' ? 'text' : typeof one === 'number' ? 'number' : typeof one === 'boolean' ? 'yesno' : 'text'
  const text = Array.isArray(value) ? value.join(', ') : value === undefined ? '' : String(value)
  return { name, op, type, text, ...(value !== undefined && { stored: { op, type, text, value } }) }
}

const valueOf = (type: ValueType, text: string): Value => (type === 'number' ? Number(text) : text)

/** What is compared with; undefined: it is not filled in. */
export function wantedOf({ op, type, text, stored }: Comparison): Value | Value[] | undefined {
  if (stored?.op === op && stored.type === type && stored.text === text) return stored.value as Value | Value[]
  if (op === 'exists') return text !== 'false'
  // What its select shows.
  if (type === 'yesno') return op === 'in' ? [text !== 'false'] : text !== 'false'
  const parts =
    op === 'in'
      ? text
          .split(/[,，]/)
          .map((part) => part.trim())
          .filter((part) => part !== '')
      : [text.trim()]
  if (
    parts.length === 0 ||
    parts.some((part) => part === '' || (type === 'number' && !Number.isFinite(Number(part))))
  ) {
    return undefined
  }
  const values = parts.map((part) => valueOf(type, part))
  return op === 'in' ? values : values[0]
}

/** The rule of a draft; lines that are not filled in yet are left out, groups that hold nothing too. */
export function ruleOf(node: Group): Rule {
  return ruleIn(node) ?? { all: [] }
}

function ruleIn(node: Node): Rule | null {
  if (node.kind === 'reachable') {
    return { reachable: true, ...(node.templateId !== undefined && { templateId: node.templateId }) }
  }
  if (node.kind === 'group') {
    const inside = node.children.flatMap((child) => ruleIn(child) ?? [])
    if (inside.length === 0) return null
    return node.mode === 'all' ? { all: inside } : node.mode === 'any' ? { any: inside } : { not: inside }
  }
  if (node.name.trim() === '') return null
  const name = node.name.trim()
  if (node.kind === 'did') {
    const where: Record<string, Record<string, unknown>> = {}
    for (const each of node.where) {
      const wanted = wantedOf(each)
      if (each.name.trim() !== '' && wanted !== undefined) (where[each.name.trim()] ??= {})[each.op] = wanted
    }
    return {
      did: name,
      ...(Object.keys(where).length > 0 && { where }),
      ...(node.atLeast > 1 && { atLeast: node.atLeast }),
      ...(node.withinDays > 0 && { withinDays: node.withinDays })
    }
  }
  const value = wantedOf(node)
  if (value === undefined) return null
  return node.kind === 'attribute' ? { attribute: name, op: node.op, value } : { tag: name, op: node.op, value }
}

/** Is there a line that is not filled in yet? */
export function isUnfinished(node: Node): boolean {
  if (node.kind === 'group') return node.children.some(isUnfinished)
  const isOpen = (line: Comparison) => line.name.trim() === '' || wantedOf(line) === undefined
  return ruleIn(node) === null || (node.kind === 'did' && node.where.some(isOpen))
}

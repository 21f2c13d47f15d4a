import type { RuleInput } from './control-shapes.js'
import type { Chance } from './chance.js'

/** A fault to come: which calls it strikes and how often it did. */
export interface Rule extends RuleInput {
  id: string
  seen: number
  fired: number
}

/** Faults by rule. The first rule that fires wins; rules are tried in the order they were made. */
export function createRules(chance: Chance) {
  let rules: Rule[] = []
  let ids = 0

  return {
    add(input: RuleInput): Rule {
      const rule = { ...input, id: `rule_${++ids}`, seen: 0, fired: 0 }
      rules.push(rule)
      return rule
    },
    list: () => rules,
    /** Removes one rule, or all without an id; returns how many went. */
    remove(id?: string): number {
      const before = rules.length
      rules = id === undefined ? [] : rules.filter((rule) => rule.id !== id)
      return before - rules.length
    },
    some: () => rules.length > 0,

    /** The rule that strikes this call, if any; every rule that matches counts it as seen. */
    strike(path: string, appid: string | undefined, openid: string | undefined): Rule | undefined {
      let struck: Rule | undefined
      for (const rule of rules) {
        if (rule.path !== undefined && !matches(rule.path, path)) continue
        if (rule.appid !== undefined && rule.appid !== appid) continue
        if (rule.openid !== undefined && rule.openid !== openid) continue
        rule.seen++
        if (struck !== undefined) continue
        const times = rule.times ?? (rule.nth === undefined ? Infinity : 1)
        if (rule.fired >= times) continue
        if (rule.nth !== undefined && rule.seen < rule.nth) continue
        if (rule.every !== undefined && rule.seen % rule.every !== 0) continue
        if (rule.probability !== undefined && chance.next() >= rule.probability) continue
        rule.fired++
        struck = rule
      }
      return struck
    }
  }
}

/** What `createRules` makes. */
export type Rules = ReturnType<typeof createRules>

const matches = (pattern: string, path: string) =>
  pattern.endsWith('*') ? path.startsWith(pattern.slice(0, -1)) : pattern === path

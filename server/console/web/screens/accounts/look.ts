import type { Account } from '../../api/accounts.js'
import type { Mood } from '../../parts/state-tag.vue'
import { accountWords } from './words.js'

/** Whose a default is: WeChat's own limit, what the customer agreed to, or the kit's. */
export type Whose = 'wechat' | 'agreed' | 'builtIn'

/** Where a value in force comes from: the account's own setting or the default, and whose the default is. */
export function originOf(value: unknown, standard: unknown, shown: string, whose: Whose): string {
  const t = accountWords.value
  const name = { wechat: t.originWechat, agreed: t.originOurs, builtIn: t.originBuiltIn }[whose]
  return value === standard ? t.originDefault(shown, name) : t.originHere(shown, name)
}

export const moodOf = (account: Account): Mood =>
  account.state === 'ready' ? 'good' : account.state === 'limited' ? 'warn' : 'bad'

/** Each function of an account: what it is called, whether it works, and what is missing for it. */
export function functionsOf({ functions }: Account): { name: string; ok: boolean; missing: string }[] {
  const names: Record<string, string> = accountWords.value.functionNames
  return Object.entries(functions).map(([key, { ok, missing }]) => ({
    name: names[key] ?? key,
    ok,
    missing: missing.join(', ')
  }))
}

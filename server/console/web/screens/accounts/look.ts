import type { Account } from '../../api/accounts.js'
import type { Mood } from '../../parts/state-tag.vue'
import { accountWords } from './words.js'

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

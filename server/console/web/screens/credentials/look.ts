import type { Source } from '../../../../../shared/credential.js'
import type { Expiring, StatGroup } from '../../api/credentials.js'
import { whyOf } from '../messages/look.js'
import { credentialWords } from './words.js'

/** Why a right is none any more: what somebody did, or what WeChat answered. */
export function deathInWords(why: string): string {
  const known: Readonly<Record<string, string>> = credentialWords.value.deaths
  return known[why] ?? whyOf(why)?.what ?? why
}

/** A line of a right's history: `spent`, `burned 43101`. */
export function historyInWords(what: string): string {
  const known: Readonly<Record<string, string>> = credentialWords.value.historyWords
  const [head = '', ...rest] = what.split(' ')
  return [known[head] ?? head, ...rest.map(deathInWords)].join(' · ')
}

/** Days by sources, as a table wants them. */
export function byDay(days: readonly Expiring[]): {
  sources: Source[]
  rows: { day: string; of: Map<Source, number> }[]
} {
  const sources = [...new Set(days.map(({ source }) => source))].sort()
  const rows = new Map<string, Map<Source, number>>()
  for (const { day, source, expiring } of days) {
    const row = rows.get(day) ?? new Map<Source, number>()
    rows.set(day, row.set(source, (row.get(source) ?? 0) + expiring))
  }
  return { sources, rows: [...rows].sort(([a], [b]) => a.localeCompare(b)).map(([day, of]) => ({ day, of })) }
}

/** Of all sends that have come to an end, those nobody used; null before any has. */
export const wastedShare = ({ wasted, spent }: Pick<StatGroup, 'wasted' | 'spent'>): number | null =>
  wasted + spent === 0 ? null : wasted / (wasted + spent)

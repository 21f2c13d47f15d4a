import type { SettingsPatch, Thresholds } from '../../shared/settings.js'

/** Every figure as it comes. Whoever changes none keeps them, also when a later version finds better ones. */
export const DEFAULTS: Thresholds = {
  failures: { enabled: true, share: 0.2, clearShare: 0.1, atLeast: 50, windowMinutes: 15 },
  credentials: { enabled: true, days: 3, clearDays: 5, atLeast: 20 },
  queue: { enabled: true, behindMs: 300_000, clearMs: 60_000 },
  account: { enabled: true, calmMinutes: 60 },
  breaker: { enabled: true, calmMinutes: 5 },
  webhook: { enabled: true }
}

/** What somebody set apart from the defaults, group by group. */
export type Differences = { [Group in keyof Thresholds]?: Partial<Thresholds[Group]> }

const groups = Object.keys(DEFAULTS) as (keyof Thresholds)[]

/** The figures in force. */
export function inForce(differences: Differences): Thresholds {
  const all = groups.map((group) => [group, { ...DEFAULTS[group], ...differences[group] }])
  return Object.fromEntries(all) as Thresholds
}

/** The differences after a patch: fields are merged, null drops a group, what equals its default is none. */
export function merged(differences: Differences, patch: NonNullable<SettingsPatch['alerts']>): Differences {
  const out: Record<string, Record<string, unknown>> = {}
  for (const group of groups) {
    const change = patch[group]
    if (change === null) continue
    const usual: Record<string, unknown> = DEFAULTS[group]
    const fields = Object.entries({ ...differences[group], ...change })
    const kept = fields.filter(([name, value]) => value !== undefined && value !== usual[name])
    if (kept.length > 0) out[group] = Object.fromEntries(kept)
  }
  return out as Differences
}

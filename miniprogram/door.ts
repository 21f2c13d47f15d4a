import type { Box } from './outbox/box.js'
import type { Settings } from './types.js'

const DAY_MS = 86_400_000
/** Days are counted in Asia/Shanghai, where the people are; it knows no summer time. */
export const dayOf = (now: number): number => Math.floor((now + 8 * 3_600_000) / DAY_MS)

/** Why the server does not want this form catch now; null when it does. Payments and grants are never capped. */
export function refuseForm(settings: Settings, box: Box, now: number): 'capped' | 'tooSoon' | null {
  if (settings.capPerDay > 0 && box.day === dayOf(now) && box.today >= settings.capPerDay) return 'capped'
  const since = now - box.lastFormAt
  // a clock that went back makes `since` negative: no reason to refuse
  if (settings.minIntervalMs > 0 && since >= 0 && since < settings.minIntervalMs) return 'tooSoon'
  return null
}

/** Notes a kept form catch, for the next decision. */
export function noteForm(box: Box, now: number): void {
  const day = dayOf(now)
  box.today = box.day === day ? box.today + 1 : 1
  box.day = day
  box.lastFormAt = now
}

import { DAY_MS } from '../../shared/limits.js'

/** Asia/Shanghai, by whose days we count, is this far ahead of UTC (no daylight saving since 1991). */
export const SHANGHAI_MS = 8 * 3_600_000

/** The day there `at` falls on, as 2026-03-01, and when it starts and ends. */
export function dayOf(at: Date): { day: string; start: Date; end: Date } {
  const number = Math.floor((at.getTime() + SHANGHAI_MS) / DAY_MS)
  const start = new Date(number * DAY_MS - SHANGHAI_MS)
  const day = new Date(number * DAY_MS).toISOString().slice(0, 10)
  return { day, start, end: new Date(start.getTime() + DAY_MS) }
}

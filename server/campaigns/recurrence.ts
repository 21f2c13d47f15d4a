import { DateTime, IANAZone } from 'luxon'
import { DAY_MS } from '../../shared/limits.js'
import type { Recurring } from '../../shared/trigger.js'

/**
 * When a recurring trigger fires, in order, later than `after` and within `from` and `until` (both included). Times are
 * those of its zone: one that the clocks jump over comes as much later as they jump, one that comes twice is taken the
 * first time (RFC 5545's reading, and Temporal's "compatible"). A day of the month beyond its end is its last day.
 */
export function* occurrences(trigger: Recurring, after: Date): Generator<Date> {
  const { from, until } = trigger
  const zone = IANAZone.create(trigger.zone)
  let last = Math.max(after.getTime(), from.getTime() - 1, 0)
  const end = Math.min(until?.getTime() ?? Infinity, LAST)
  // Days are those of the calendar, told in UTC; the first is the one before, for whatever offset the zone has.
  let day: DateTime = DateTime.fromMillis(last, { zone: 'utc' }).startOf('day').minus({ days: 2 })
  for (; day.toMillis() - 2 * DAY_MS <= end; day = nextDay(trigger, day)) {
    if (!fires(trigger, day)) continue
    for (const at of trigger.times.map((time) => instantOf(day, time, zone)).sort((a, b) => a - b)) {
      if (at > end) return
      if (at > last) yield new Date((last = at))
    }
  }
}

/** Later than any plan. */
const LAST = Date.UTC(9000, 0, 1)

/** Is something sent on this day? */
function fires({ every, days = [] }: Recurring, day: DateTime): boolean {
  if (every === 'day') return true
  if (every === 'week') return days.includes(day.weekday)
  return days.some((wanted) => day.day === Math.min(wanted, day.daysInMonth!))
}

/** The next day worth looking at. */
function nextDay({ every, days = [] }: Recurring, day: DateTime): DateTime {
  if (every !== 'month') return day.plus({ days: 1 })
  const later = days.map((wanted) => Math.min(wanted, day.daysInMonth!)).filter((wanted) => wanted > day.day)
  if (later.length > 0) return day.set({ day: Math.min(...later) })
  const next = day.startOf('month').plus({ months: 1 })
  return next.set({ day: Math.min(...days, next.daysInMonth!) })
}

/** The instant (ms) of a time of day in a zone. */
function instantOf(day: DateTime, time: string, zone: IANAZone): number {
  const [hour, minute] = time.split(':').map(Number) as [number, number]
  const local = day.toMillis() + (hour * 60 + minute) * 60_000
  const before = local - zone.offset(local - DAY_MS) * 60_000
  const after = local - zone.offset(local + DAY_MS) * 60_000
  const real = [before, after].filter((at) => at + zone.offset(at) * 60_000 === local)
  return real.length === 0 ? before : Math.min(...real)
}

import { DateTime } from 'luxon'
import type { Interval } from '../../shared/report.js'

/**
 * When the minutes, hours, days, weeks (from Monday) or months start that cover `from` up to `to` by the clocks of
 * `zone`: in order, without gaps, the first not after `from`. Hours are real ones where clocks are changed, and a day
 * whose midnight is left out starts when the clocks say it does. Stops after `limit` starts.
 */
export function bucketStarts(from: Date, to: Date, interval: Interval, zone: string, limit = Infinity): Date[] {
  const starts: Date[] = []
  let start: DateTime = DateTime.fromJSDate(from, { zone }).startOf(interval)
  while (start.toMillis() < to.getTime() && starts.length < limit) {
    starts.push(start.toJSDate())
    start = after(start, interval)
  }
  return starts
}

function after(start: DateTime, interval: Interval): DateTime {
  const moved = start.plus({ [interval]: 1 })
  const next = moved.startOf(interval)
  // where clocks go back by half an hour, the hour that follows starts before it is over
  return next > start ? next : moved
}

/** The bucket `at` falls into, by number; `starts` in order, the first not after `at`. */
export function bucketOf(starts: readonly Date[], at: Date): number {
  let [low, high] = [0, starts.length - 1]
  while (low < high) {
    const middle = Math.ceil((low + high) / 2)
    if (starts[middle]! <= at) low = middle
    else high = middle - 1
  }
  return low
}

import { IANAZone } from 'luxon'
import { MINUTE_MS } from '../../shared/limits.js'

export type QuietHours = { from: string; to: string }

const DAY_MINUTES = 1_440

const minuteOf = (text: string): number => {
  const [hour, minute] = text.split(':').map(Number)
  return hour! * 60 + minute!
}

/**
 * The zone a person lives by: their attribute `zone` where it names an IANA zone, else the account's. A fixed offset or a
 * city of no zone is no answer.
 */
export function zoneOf(attribute: unknown, ofAccount: string): string {
  if (typeof attribute !== 'string' || attribute === '' || attribute.length > 64) return ofAccount
  return IANAZone.create(attribute).isValid ? attribute : ofAccount
}

/**
 * The end of the quiet hours `now` falls into, or null outside them. Quiet is when the clocks of `zone` show a time from
 * `from` (HH:mm) up to `to`; a window may cross midnight, and one that ends where it starts lasts the whole day. Clocks
 * that are changed meanwhile make it longer or shorter, as they do for the people who sleep by them.
 */
export function quietUntil(now: Date, quiet: QuietHours, zone: string): Date | null {
  const clocks = IANAZone.create(zone)
  const [from, to] = [minuteOf(quiet.from), minuteOf(quiet.to)]
  const shown = (at: number) => {
    const minutes = Math.floor(at / MINUTE_MS) + clocks.offset(at)
    return ((minutes % DAY_MINUTES) + DAY_MINUTES) % DAY_MINUTES
  }
  const isQuiet = (minute: number) => (from < to ? minute >= from && minute < to : minute >= from || minute < to)
  let at = Math.floor(now.getTime() / MINUTE_MS) * MINUTE_MS
  if (!isQuiet(shown(at))) return null
  for (;;) {
    const end = at + (((to - shown(at) + DAY_MINUTES - 1) % DAY_MINUTES) + 1) * MINUTE_MS
    const changed = firstChange(clocks, at, end)
    if (changed === null) return new Date(end)
    at = changed
    if (!isQuiet(shown(at))) return new Date(at)
    if (from === to) return new Date(at)
  }
}

/** The first minute after `from`, up to `to`, at which the clocks have been changed; null when they are not. */
function firstChange(clocks: IANAZone, from: number, to: number): number | null {
  const was = clocks.offset(from)
  if (clocks.offset(to) === was) return null
  let [before, after] = [from, to]
  while (after - before > MINUTE_MS) {
    const middle = Math.floor((before + after) / 2 / MINUTE_MS) * MINUTE_MS
    if (clocks.offset(middle) === was) before = middle
    else after = middle
  }
  return after
}

import { IANAZone } from 'luxon'
import { MongoError } from '../bson/errors.js'

const DAY = 86_400_000
const SLOT = 900_000 // zones change their offset on quarter hours of UTC, but for the days before standard time

/** A time zone: instants are milliseconds UTC, local times are the same number line read as if they were UTC. */
export type Zone = {
  /** Local minus UTC at an instant, in milliseconds. */
  offset(ms: number): number
  /** The instant of a local time: the earlier of two, and behind a gap by the gap's length. */
  instant(local: number): number
}

/** UTC. */
export const UTC: Zone = { offset: () => 0, instant: (local) => local }

const fixed = (offset: number): Zone =>
  offset === 0 ? UTC : { offset: () => offset, instant: (local) => local - offset }

const zones = new Map<string, Zone>([
  ['UTC', UTC],
  ['GMT', UTC],
  ['Z', UTC]
])

/** The zone of an Olson name or an offset such as +08, +0800 or -03:30. @throws MongoError 40485 for anything else. */
export function zoneOf(name: string): Zone {
  const known = zones.get(name)
  if (known !== undefined) return known
  const numeric = /^([+-])(\d{2})(?::?(\d{2}))?$/.exec(name)
  let zone: Zone
  if (numeric !== null)
    zone = fixed((numeric[1] === '-' ? -1 : 1) * (Number(numeric[2]) * 60 + Number(numeric[3] ?? 0)) * 60_000)
  else {
    if (!IANAZone.isValidZone(name)) throw new MongoError(40485, `unrecognized time zone identifier: "${name}"`)
    zone = named(IANAZone.create(name))
  }
  if (zones.size > 1000) zones.clear()
  zones.set(name, zone)
  return zone
}

function named(source: IANAZone): Zone {
  const slots = new Map<number, number>()
  const exact = (ms: number) => Math.round(source.offset(ms) * 60_000)
  const offset = (ms: number) => {
    const slot = Math.floor(ms / SLOT)
    let found = slots.get(slot)
    if (found === undefined) {
      found = exact(slot * SLOT)
      if (found !== exact((slot + 1) * SLOT - 1)) found = NaN // changes within: looked up each time
      if (slots.size > 100_000) slots.clear()
      slots.set(slot, found)
    }
    return Number.isNaN(found) ? exact(ms) : found
  }
  return {
    offset,
    instant(local) {
      const before = offset(local - DAY)
      const after = offset(local + DAY)
      if (before === after) return local - before
      const early = local - Math.max(before, after)
      return offset(early) === Math.max(before, after) ? early : local - Math.min(before, after)
    }
  }
}

/** The units of $dateTrunc, $dateAdd and $dateDiff. */
export const UNITS = ['year', 'quarter', 'month', 'week', 'day', 'hour', 'minute', 'second', 'millisecond'] as const
export type Unit = (typeof UNITS)[number]

const MS: Record<'week' | 'day' | 'hour' | 'minute' | 'second' | 'millisecond', number> = {
  week: 7 * DAY,
  day: DAY,
  hour: 3_600_000,
  minute: 60_000,
  second: 1000,
  millisecond: 1
}

const DAYS = ['monday', 'tuesday', 'wednesday', 'thursday', 'friday', 'saturday', 'sunday']

/** Days since Monday (0) of a day of the week by its English name, full or of three letters. */
export function weekday(name: string): number {
  const wanted = name.toLowerCase()
  const found = DAYS.findIndex((day) => day === wanted || day.slice(0, 3) === wanted)
  if (found < 0)
    throw new MongoError(9, `parameter 'startOfWeek' value cannot be recognized as a day of a week: ${name}`)
  return found
}

const months = (local: number) => {
  const date = new Date(local)
  return date.getUTCFullYear() * 12 + date.getUTCMonth()
}

/** Midnight of the first day of a month, counted in months since year 0, as a local time. */
const monthStart = (count: number): number => {
  const date = new Date(0)
  date.setUTCFullYear(Math.floor(count / 12), ((count % 12) + 12) % 12, 1)
  return date.getTime()
}

const REFERENCE_MONTH = 2000 * 12
const REFERENCE_DAY = Date.UTC(2000, 0, 1)
const REFERENCE_MONDAY = Date.UTC(2000, 0, 3)

/**
 * $dateTrunc: the start of the bin of `size` units that holds the instant. Bins are counted from local midnight of
 * 2000-01-01: calendar units by the local calendar, hours and smaller ones in real time, whatever the clock did since.
 */
export function truncate(ms: number, unit: Unit, size: number, zone: Zone, firstDay: number): number {
  const local = ms + zone.offset(ms)
  switch (unit) {
    case 'year':
    case 'quarter':
    case 'month': {
      const step = size * (unit === 'year' ? 12 : unit === 'quarter' ? 3 : 1)
      return zone.instant(monthStart(REFERENCE_MONTH + Math.floor((months(local) - REFERENCE_MONTH) / step) * step))
    }
    case 'week': {
      const start = REFERENCE_DAY + ((firstDay + 2) % 7) * DAY // 2000-01-01 was a Saturday
      return zone.instant(start + Math.floor((local - start) / (size * MS.week)) * size * MS.week)
    }
    case 'day':
      return zone.instant(REFERENCE_DAY + Math.floor((local - REFERENCE_DAY) / (size * DAY)) * size * DAY)
    default: {
      const step = size * MS[unit]
      const reference = REFERENCE_DAY - zone.offset(REFERENCE_DAY)
      return reference + Math.floor((ms - reference) / step) * step
    }
  }
}

/** $dateAdd: calendar units move the local clock (clamped to the month's last day), smaller ones real time. */
export function shift(ms: number, unit: Unit, amount: number, zone: Zone): number {
  if (unit === 'year' || unit === 'quarter' || unit === 'month') {
    const local = ms + zone.offset(ms)
    const target = months(local) + amount * (unit === 'year' ? 12 : unit === 'quarter' ? 3 : 1)
    const start = monthStart(target)
    const day = Math.min(new Date(local).getUTCDate(), Math.round((monthStart(target + 1) - start) / DAY))
    const clock = ((local % DAY) + DAY) % DAY
    return zone.instant(start + (day - 1) * DAY + clock)
  }
  if (unit === 'week' || unit === 'day') return zone.instant(ms + zone.offset(ms) + amount * MS[unit])
  return ms + amount * MS[unit]
}

/** $dateDiff: how many unit boundaries of the local calendar lie between two instants; negative when the end is earlier. */
export function difference(start: number, end: number, unit: Unit, zone: Zone, firstDay: number): number {
  const [from, to] = [start + zone.offset(start), end + zone.offset(end)]
  switch (unit) {
    case 'year':
    case 'quarter':
    case 'month': {
      const step = unit === 'year' ? 12 : unit === 'quarter' ? 3 : 1
      return Math.floor(months(to) / step) - Math.floor(months(from) / step)
    }
    case 'week': {
      const first = REFERENCE_MONDAY + firstDay * DAY
      return Math.floor((to - first) / MS.week) - Math.floor((from - first) / MS.week)
    }
    case 'day':
      return Math.floor(to / DAY) - Math.floor(from / DAY)
    case 'hour':
    case 'minute': {
      const step = MS[unit]
      const turned = zone.offset(end) - zone.offset(start)
      return Math.floor(to / step) - Math.floor(from / step) - Math.trunc(turned / step)
    }
    default:
      return Math.floor(end / MS[unit]) - Math.floor(start / MS[unit])
  }
}

/** ISO 8601 week of a local time: its year, week (1-53) and day (1 Monday to 7 Sunday). */
export function isoWeek(local: number): { year: number; week: number; day: number } {
  const days = Math.floor(local / DAY)
  const day = ((((days + 3) % 7) + 7) % 7) + 1
  const thursday = new Date((days - day + 4) * DAY)
  const year = thursday.getUTCFullYear()
  const first = new Date(0)
  first.setUTCFullYear(year, 0, 1)
  return { year, week: Math.floor((thursday.getTime() - first.getTime()) / (7 * DAY)) + 1, day }
}

/** Day of the year of a local time, 1 to 366. */
export function dayOfYear(local: number): number {
  const first = new Date(0)
  first.setUTCFullYear(new Date(local).getUTCFullYear(), 0, 1)
  return Math.floor((local - first.getTime()) / DAY) + 1
}

/** A local time from parts that may overflow their ranges (month 14 is February of the next year). */
export function localFrom(
  year: number,
  month: number,
  day: number,
  hour: number,
  minute: number,
  second: number,
  ms: number
): number {
  return monthStart(year * 12 + month - 1) + (day - 1) * DAY + hour * MS.hour + minute * MS.minute + second * 1000 + ms
}

/** The local midnight an ISO week year, week and day stand for. */
export function localFromIso(year: number, week: number, day: number): number {
  const fourth = monthStart(year * 12) + 3 * DAY
  return fourth - (isoWeek(fourth).day - 1) * DAY + ((week - 1) * 7 + day - 1) * DAY
}

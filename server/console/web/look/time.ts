import { computed, ref, watchEffect } from 'vue'
import { language } from '../words/language.js'

const KEY = 'hongyan.zone'

/** The zone all times are shown and typed in. */
export const zone = ref(localStorage.getItem(KEY) ?? 'Asia/Shanghai')
watchEffect(() => localStorage.setItem(KEY, zone.value))

/** Zones to choose from: the one of this browser and those of our users first. */
export const zones = (): string[] => {
  const own = Intl.DateTimeFormat().resolvedOptions().timeZone
  return [...new Set(['Asia/Shanghai', own, 'UTC', ...Intl.supportedValuesOf('timeZone')])]
}

const parts = {
  year: 'numeric',
  month: '2-digit',
  day: '2-digit',
  hour: '2-digit',
  minute: '2-digit',
  hourCycle: 'h23'
} as const
/** English dates year first, so that nobody takes the day for the month. */
const numeric = () => (language.value === 'en' ? 'en-CA' : language.value)
const formats = computed(() => ({
  minute: new Intl.DateTimeFormat(numeric(), { ...parts, timeZone: zone.value }),
  second: new Intl.DateTimeFormat(numeric(), { ...parts, second: '2-digit', timeZone: zone.value }),
  time: new Intl.DateTimeFormat(language.value, {
    hour: '2-digit',
    minute: '2-digit',
    hourCycle: 'h23',
    timeZone: zone.value
  }),
  date: new Intl.DateTimeFormat(language.value, { month: 'numeric', day: 'numeric', timeZone: zone.value }),
  ago: new Intl.RelativeTimeFormat(language.value, { numeric: 'auto' }),
  number: new Intl.NumberFormat(language.value),
  share: new Intl.NumberFormat(language.value, { style: 'percent', maximumFractionDigits: 1 })
}))

/** An instant to the minute, in the chosen zone; `–` for none. */
export const atMinute = (instant: string | null | undefined): string =>
  instant ? formats.value.minute.format(new Date(instant)) : '–'
/** The same in another zone than the chosen one. */
export const atMinuteIn = (instant: string, timeZone: string): string =>
  instant === '' ? '–' : new Intl.DateTimeFormat(numeric(), { ...parts, timeZone }).format(new Date(instant))
export const atSecond = (instant: string | null | undefined): string =>
  instant ? formats.value.second.format(new Date(instant)) : '–'
/** The time of day alone, and the day without its year: for axes. */
export const atTime = (instant: string): string => formats.value.time.format(new Date(instant))
export const atDate = (instant: string): string => formats.value.date.format(new Date(instant))
export const count = (number: number): string => formats.value.number.format(number)
/** `null`: nothing to take a share of. */
export const share = (part: number | null): string => (part === null ? '–' : formats.value.share.format(part))

/** A short time: 340 ms, 1.2 s. */
export const millis = (ms: number): string =>
  ms < 1000 ? `${count(Math.round(ms))} ms` : `${count(Math.round(ms / 100) / 10)} s`

const UNITS = [
  ['day', 86_400_000],
  ['hour', 3_600_000],
  ['minute', 60_000]
] as const

/** How long ago, or until, in the largest unit that fits. */
export function ago(instant: string, now = Date.now()): string {
  const ms = Date.parse(instant) - now
  const [unit, size] = UNITS.find(([, size]) => Math.abs(ms) >= size) ?? ['second', 1000]
  return formats.value.ago.format(Math.round(ms / size), unit)
}

/** A length of time in words a person reads: 1.5 h, 3 d. */
export function span(ms: number): string {
  const [unit, size] = UNITS.find(([, size]) => ms >= size) ?? (['second', 1000] as const)
  return new Intl.NumberFormat(language.value, {
    style: 'unit',
    unit,
    unitDisplay: 'short',
    maximumFractionDigits: 1
  }).format(ms / size)
}

/** A length of time to the second, in as many units as that takes: 1 d 1 h. */
export function spanExactly(ms: number): string {
  let left = Math.round(ms / 1000) * 1000
  const pieces: string[] = []
  for (const [unit, size] of [...UNITS, ['second', 1000] as const]) {
    const n = Math.floor(left / size)
    left -= n * size
    if (n === 0 && !(unit === 'second' && pieces.length === 0)) continue
    pieces.push(new Intl.NumberFormat(language.value, { style: 'unit', unit, unitDisplay: 'short' }).format(n))
  }
  return pieces.join(language.value === 'en' ? ' ' : '')
}

/** How far the clocks of a zone are ahead of UTC at an instant, in ms. */
function offsetAt(at: number, timeZone: string): number {
  const format = new Intl.DateTimeFormat('en-US', { ...parts, second: '2-digit', timeZone })
  const field = Object.fromEntries(format.formatToParts(at).map(({ type, value }) => [type, Number(value)]))
  const wall = Date.UTC(field.year!, field.month! - 1, field.day!, field.hour!, field.minute!, field.second!)
  return wall - Math.floor(at / 1000) * 1000
}

/** What the clocks of the chosen zone show, as `<input type="datetime-local">` takes it; empty for none. */
export function toWall(instant: string | null | undefined, timeZone = zone.value): string {
  if (!instant) return ''
  const at = Date.parse(instant)
  return new Date(at + offsetAt(at, timeZone)).toISOString().slice(0, 16)
}

/** The instant at which the clocks of the chosen zone show this; null for an empty or broken text. */
export function fromWall(wall: string, timeZone = zone.value): string | null {
  const asUtc = Date.parse(`${wall}Z`)
  if (Number.isNaN(asUtc)) return null
  const near = asUtc - offsetAt(asUtc, timeZone)
  return new Date(asUtc - offsetAt(near, timeZone)).toISOString()
}

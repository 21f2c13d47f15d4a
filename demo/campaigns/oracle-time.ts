import { MINUTE_MS } from './story.js'
import type { Actor, Condition, Timing, WhereOf } from './story.js'

/** Days, zones and conditions as the oracle reads them: slowly and plainly. */

const SHANGHAI_MS = 8 * 3_600_000
const WEEKDAYS = ['Mon', 'Tue', 'Wed', 'Thu', 'Fri', 'Sat', 'Sun']

/** The number of the day in Shanghai, where WeChat counts. */
export const shanghaiDay = (at: number): number => Math.floor((at + SHANGHAI_MS) / 86_400_000)

/** "09:30" as minutes since midnight. */
export function minutesOf(time: string): number {
  const [hour, minute] = time.split(':').map(Number) as [number, number]
  return hour * 60 + minute
}

const formats = new Map<string, Intl.DateTimeFormat>()
function local(at: number, zone: string): { minute: number; weekday: number } {
  let format = formats.get(zone)
  if (format === undefined) {
    const how = { hour: '2-digit', minute: '2-digit', weekday: 'short', hourCycle: 'h23' } as const
    formats.set(zone, (format = new Intl.DateTimeFormat('en-US', { timeZone: zone, ...how })))
  }
  const parts = Object.fromEntries(format.formatToParts(at).map(({ type, value }) => [type, value]))
  const minute = minutesOf(`${parts['hour']}:${parts['minute']}`)
  return { minute, weekday: WEEKDAYS.indexOf(parts['weekday']!) + 1 }
}

/** Minutes since midnight, by the clock on the wall of that zone. */
export const minuteOfDay = (at: number, zone: string): number => local(at, zone).minute

const known = new Map<Timing, number[]>()
/** When a timing fires by itself: every minute of its time is looked at. */
export function instantsOf(timing: Timing): number[] {
  if (timing.kind === 'once') return [timing.at]
  if (timing.kind !== 'recurring') return []
  let found = known.get(timing)
  if (found === undefined) {
    const times = new Set(timing.times.map(minutesOf))
    found = []
    for (let at = timing.from; at <= timing.until; at += MINUTE_MS) {
      const { minute, weekday } = local(at, timing.zone)
      if (times.has(minute) && (timing.every === 'day' || timing.days!.includes(weekday))) found.push(at)
    }
    known.set(timing, found)
  }
  return found
}

/** Do an event's properties meet the conditions? */
export function whereHolds(where: WhereOf | undefined, properties: Record<string, unknown>): boolean {
  return Object.entries(where ?? {}).every(([name, wanted]) => {
    const value = properties[name]
    return typeof wanted === 'object' ? typeof value === 'number' && value >= wanted.gte : value === wanted
  })
}

/** Is this person in the audience? Everybody carries the act they play in as a tag. */
export function isMember(actor: Actor, rule: Condition): boolean {
  if ('all' in rule) return rule.all.every((each) => isMember(actor, each))
  if ('any' in rule) return rule.any.some((each) => isMember(actor, each))
  if ('not' in rule) return !rule.not.some((each) => isMember(actor, each))
  if ('tag' in rule) return rule.tag === 'act' && actor.act === rule.value
  const value = actor.attributes[rule.attribute]
  if (rule.op === 'exists') return (value !== undefined) === (rule.value ?? true)
  if (rule.op === 'eq') return value === rule.value
  return typeof value === 'number' && value >= Number(rule.value)
}

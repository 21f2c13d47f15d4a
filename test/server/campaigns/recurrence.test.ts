import { Temporal } from '@js-temporal/polyfill'
import t from 'tap'
import { occurrences } from '../../../server/campaigns/recurrence.js'
import { Trigger, type Recurring } from '../../../shared/trigger.js'
import { seeded } from '../../../demo/random.js'

const first = (trigger: Recurring, after: string, count: number): string[] => {
  const found: string[] = []
  for (const at of occurrences(trigger, new Date(after))) {
    if (found.length === count) break
    found.push(at.toISOString().replace(':00.000Z', 'Z'))
  }
  return found
}
const daily: Recurring = {
  kind: 'recurring',
  from: new Date('2026-03-01T00:00:00Z'),
  zone: 'Asia/Shanghai',
  every: 'day',
  times: ['09:00', '20:30']
}

t.test('every day', async (t) => {
  t.same(first(daily, '2026-03-01T00:00:00Z', 3), ['2026-03-01T01:00Z', '2026-03-01T12:30Z', '2026-03-02T01:00Z'])
  t.same(first(daily, '2026-03-01T01:00:00Z', 1), ['2026-03-01T12:30Z'], 'later than, not at')
  t.same(first(daily, '2020-01-01T00:00:00Z', 1), ['2026-03-01T01:00Z'], 'not before it begins')
  const at = { ...daily, from: new Date('2026-03-01T01:00:00Z'), until: new Date('2026-03-02T01:00:00Z') }
  const all = ['2026-03-01T01:00Z', '2026-03-01T12:30Z', '2026-03-02T01:00Z']
  t.same(first(at, '2020-01-01T00:00:00Z', 9), all, 'both ends count')
  t.same(first({ ...daily, times: ['20:30', '09:00'] }, '2026-03-01T00:00:00Z', 2), all.slice(0, 2), 'in order')
})

t.test('every week and month', async (t) => {
  const weekly: Recurring = { ...daily, every: 'week', days: [7, 1], times: ['00:00'] }
  t.same(first(weekly, '2026-03-01T00:00:00Z', 3), ['2026-03-01T16:00Z', '2026-03-07T16:00Z', '2026-03-08T16:00Z'])
  const monthly: Recurring = { ...daily, every: 'month', days: [31, 15], times: ['12:00'], zone: 'UTC' }
  t.same(
    first(monthly, '2026-03-20T00:00:00Z', 5),
    ['2026-03-31T12:00Z', '2026-04-15T12:00Z', '2026-04-30T12:00Z', '2026-05-15T12:00Z', '2026-05-31T12:00Z'],
    'the last day of a month that has no 31st'
  )
  const ends: Recurring = { ...monthly, days: [29, 30, 31] }
  t.same(
    first(ends, '2027-02-01T00:00:00Z', 3),
    ['2027-02-28T12:00Z', '2027-03-29T12:00Z', '2027-03-30T12:00Z'],
    'three days that fall on one count once'
  )
})

t.test('when clocks change', async (t) => {
  const berlin: Recurring = { ...daily, zone: 'Europe/Berlin', times: ['02:30', '03:30'] }
  t.same(
    first(berlin, '2026-03-28T12:00:00Z', 3),
    ['2026-03-29T01:30Z', '2026-03-30T00:30Z', '2026-03-30T01:30Z'],
    'a time that is jumped over comes later, and not twice when another is there already'
  )
  t.same(first(berlin, '2026-10-24T12:00:00Z', 2), ['2026-10-25T00:30Z', '2026-10-25T02:30Z'], 'the first of two')
})

t.test('a rule that cannot be', async (t) => {
  const faults = (more: object): string[] => {
    const read = Trigger.safeParse({ ...daily, from: '2026-03-01T00:00:00Z', ...more })
    return read.success ? [] : read.error.issues.map(({ path }) => path.join('.'))
  }
  t.same(faults({}), [])
  t.same(faults({ every: 'week', days: [1, 7] }), [])
  t.same(faults({ every: 'week' }), ['days'])
  t.same(faults({ days: [1] }), ['days'])
  t.same(faults({ every: 'week', days: [8] }), ['days'])
  t.same(faults({ every: 'month', days: [1, 1] }), ['days'])
  t.same(faults({ times: ['9:00'] }), ['times.0'])
  t.same(faults({ times: ['24:00'] }), ['times.0'])
  t.same(faults({ times: ['09:00', '09:00'] }), ['times'])
  t.same(faults({ times: [] }), ['times'])
  t.same(faults({ until: '2026-02-28T00:00:00Z' }), ['until'])
  t.same(faults({ zone: 'Asia/Nowhere' }), ['zone'])
})

const ZONES = [
  'Asia/Shanghai',
  'UTC',
  'Europe/Berlin',
  'Europe/London',
  'America/New_York',
  'America/Sao_Paulo',
  'America/Santiago',
  'Australia/Lord_Howe',
  'Africa/Casablanca',
  'Asia/Kathmandu',
  'Pacific/Apia',
  'Asia/Tehran'
]

/** What Temporal, another library with data of its own, says of the same rule. */
function byTemporal({ zone, every, days = [], times, from, until }: Recurring): number[] {
  const found = new Set<number>()
  const end = Temporal.Instant.fromEpochMilliseconds(until!.getTime())
  const last = end.toZonedDateTimeISO(zone).toPlainDate()
  let day = Temporal.Instant.fromEpochMilliseconds(from.getTime()).toZonedDateTimeISO(zone).toPlainDate()
  for (; Temporal.PlainDate.compare(day, last) <= 0; day = day.add({ days: 1 })) {
    if (every === 'week' && !days.includes(day.dayOfWeek)) continue
    if (every === 'month' && !days.some((wanted) => Math.min(wanted, day.daysInMonth) === day.day)) continue
    for (const time of times) {
      const at = day.toZonedDateTime({ timeZone: zone, plainTime: time }).epochMilliseconds
      if (at >= from.getTime() && at <= until!.getTime()) found.add(at)
    }
  }
  return [...found].sort((a, b) => a - b)
}

t.test('twenty years in twelve zones are what another library says', { timeout: 120_000 }, async (t) => {
  const random = seeded(20260302)
  const pick = (n: number) => Math.floor(random() * n)
  const two = (n: number) => String(n).padStart(2, '0')
  let compared = 0
  for (const zone of ZONES) {
    const kinds = ['day', 'week', 'month'] as const
    for (const every of zone.startsWith('Europe') ? kinds : kinds.slice(1)) {
      const from = new Date(Date.UTC(2008, pick(12), 1 + pick(28), pick(24), pick(60)))
      const until = new Date(from.getTime() + 20 * 365.25 * 86_400_000)
      const night = `0${pick(4)}:${two(pick(60))}` // when clocks change
      const times = every !== 'month' ? [night] : [...new Set([night, '00:00', `${two(pick(24))}:30`])]
      const most = every === 'week' ? 7 : 31
      const days = [...new Set([1 + pick(most), 1 + pick(most), most])]
      const rule: Recurring = { kind: 'recurring', zone, every, from, until, times, ...(every !== 'day' && { days }) }
      const ours = [...occurrences(rule, new Date(0))].map((at) => at.getTime())
      t.same(ours, byTemporal(rule), `${zone}, every ${every} ${days.join()} at ${times.join()}`)
      compared += ours.length
    }
  }
  t.comment(`${compared} occurrences compared`)
  t.ok(compared > 50_000)
})

import t from 'tap'
import fc from 'fast-check'
import { Temporal } from '@js-temporal/polyfill'
import { bucketOf, bucketStarts } from '../../../server/reports/buckets.js'
import type { Interval } from '../../../shared/report.js'

const iso = (dates: Date[]) => dates.map((date) => date.toISOString().slice(0, 16))
const starts = (from: string, to: string, interval: Interval, zone: string) =>
  iso(bucketStarts(new Date(from), new Date(to), interval, zone))

t.test('buckets', async (t) => {
  t.test('are those of the zone, the first from before the beginning', async (t) => {
    t.same(starts('2026-03-01T20:10Z', '2026-03-03T16:00Z', 'day', 'Asia/Shanghai'), [
      '2026-03-01T16:00',
      '2026-03-02T16:00'
    ])
    t.same(starts('2026-03-05T00:00Z', '2026-03-16T00:00Z', 'week', 'UTC'), ['2026-03-02T00:00', '2026-03-09T00:00'])
    t.same(starts('2026-01-31T23:00Z', '2026-03-02T00:00Z', 'month', 'America/New_York'), [
      '2026-01-01T05:00',
      '2026-02-01T05:00',
      '2026-03-01T05:00'
    ])
    t.same(starts('2026-03-01T00:00Z', '2026-03-01T01:00Z', 'hour', 'Asia/Kolkata'), [
      '2026-02-28T23:30',
      '2026-03-01T00:30'
    ])
  })

  t.test('of a day on which clocks change are shorter, longer, or start at one', async (t) => {
    const day = (from: string, zone: string) => {
      const [first, second] = bucketStarts(
        new Date(from),
        new Date(new Date(from).getTime() + 172_800_000),
        'day',
        zone
      )
      return (second!.getTime() - first!.getTime()) / 3_600_000
    }
    t.equal(day('2026-03-29T05:00Z', 'Europe/Berlin'), 23)
    t.equal(day('2026-10-25T05:00Z', 'Europe/Berlin'), 25)
    t.same(starts('2026-04-24T10:00Z', '2026-04-24T12:00Z', 'day', 'Africa/Cairo'), ['2026-04-23T22:00'])
    t.equal(day('2026-04-24T10:00Z', 'Africa/Cairo'), 23, 'midnight is left out there')
    t.same(starts('2026-10-25T00:00Z', '2026-10-25T02:00Z', 'hour', 'Europe/Berlin'), [
      '2026-10-25T00:00',
      '2026-10-25T01:00'
    ])
  })

  t.test('stop at the limit', async (t) => {
    t.equal(bucketStarts(new Date(0), new Date(), 'minute', 'UTC', 10).length, 10)
  })

  t.test('hold every minute once, and only minutes of their own day, week or month', async (t) => {
    const zones = [
      'Asia/Shanghai',
      'Europe/Berlin',
      'America/New_York',
      'America/St_Johns',
      'Australia/Lord_Howe',
      'Africa/Cairo',
      'Asia/Kathmandu',
      'Pacific/Apia',
      'UTC'
    ]
    const label = (at: Date, interval: Interval, zone: string): string => {
      const local = Temporal.Instant.fromEpochMilliseconds(at.getTime()).toZonedDateTimeISO(zone)
      if (interval === 'month') return local.toPlainDate().toString().slice(0, 7)
      if (interval === 'week') return `${local.yearOfWeek}-${local.weekOfYear}`
      if (interval === 'day') return local.toPlainDate().toString()
      return interval === 'minute' ? String(local.minute) : String(local.hour)
    }
    const some = fc.record({
      zone: fc.constantFrom(...zones),
      interval: fc.constantFrom<Interval>('minute', 'hour', 'day', 'week', 'month'),
      from: fc.integer({ min: Date.UTC(2010, 0, 1) / 60_000, max: Date.UTC(2030, 0, 1) / 60_000 }),
      minutes: fc.array(fc.integer({ min: 0, max: 2_000 }), { minLength: 3, maxLength: 6 })
    })
    const result = fc.check(
      fc.property(some, ({ zone, interval, from, minutes }) => {
        const begin = new Date(from * 60_000)
        const end = new Date((from + 2_001) * 60_000)
        const found = bucketStarts(begin, end, interval, zone)
        if (found[0]! > begin || found.at(-1)! >= end) return false
        if (found.some((start, i) => i > 0 && start <= found[i - 1]!)) return false
        return minutes.every((minute) => {
          const at = new Date((from + minute) * 60_000)
          const i = bucketOf(found, at)
          const within = found[i]! <= at && (found[i + 1] === undefined || at < found[i + 1]!)
          return within && label(found[i]!, interval, zone) === label(at, interval, zone)
        })
      }),
      { numRuns: 60, seed: 7 }
    )
    t.notOk(result.failed, JSON.stringify(result.counterexample))
  })
})

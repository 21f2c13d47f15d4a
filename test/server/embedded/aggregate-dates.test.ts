import fc from 'fast-check'
import { DateTime } from 'luxon'
import t from 'tap'
import { compileExpression } from '../../../server/embedded/aggregate/expressions.js'
import { UNITS, zoneOf } from '../../../server/embedded/aggregate/zones.js'
import { valueFromPlain, valueToPlain } from '../../../server/embedded/bson/document.js'

const NEW_YORK = 'America/New_York' // forward on 2024-03-10 at 07:00Z, back on 2024-11-03 at 06:00Z
const LONDON = 'Europe/London' // forward on 2024-03-31 at 01:00Z, back on 2024-10-27 at 01:00Z
const SHANGHAI = 'Asia/Shanghai' // +08; +09 in the summers of 1986 to 1991; local mean time before 1901
const LORD_HOWE = 'Australia/Lord_Howe' // +10:30, half an hour more in summer

const at = (text: string) => new Date(`${text}Z`)
const evaluate = (expression: object) =>
  valueToPlain(compileExpression(valueFromPlain(expression), null)({ root: new Map(), vars: null }))

const add = (start: string, unit: string, amount: number, timezone: string) => ({
  $dateAdd: { startDate: at(start), unit, amount, timezone }
})
const trunc = (date: string, unit: string, timezone: string, more = {}) => ({
  $dateTrunc: { date: at(date), unit, timezone, ...more }
})
const diff = (start: string, end: string, unit: string, timezone: string) => ({
  $dateDiff: { startDate: at(start), endDate: at(end), unit, timezone }
})
const shown = (date: string, timezone: string) => ({
  $dateToString: { date: at(date), format: '%Y-%m-%d %H:%M:%S %z', timezone }
})
const made = (timezone: string, month: number, day: number, hour: number, minute = 0) => ({
  $dateFromParts: { year: 2024, month, day, hour, minute, timezone }
})
const read = (dateString: string, timezone?: string, format?: string) => ({
  $dateFromString: { dateString, ...(timezone ? { timezone } : {}), ...(format ? { format } : {}) }
})

const TABLE: [object, unknown][] = [
  // what the clock on the wall shows
  [shown('2024-03-10T06:59:59', NEW_YORK), '2024-03-10 01:59:59 -0500'],
  [shown('2024-03-10T07:00:00', NEW_YORK), '2024-03-10 03:00:00 -0400'],
  [shown('2024-11-03T05:59:59', NEW_YORK), '2024-11-03 01:59:59 -0400'],
  [shown('2024-11-03T06:00:00', NEW_YORK), '2024-11-03 01:00:00 -0500'],
  [shown('2024-03-31T00:59:59', LONDON), '2024-03-31 00:59:59 +0000'],
  [shown('2024-03-31T01:00:00', LONDON), '2024-03-31 02:00:00 +0100'],
  [shown('2024-10-27T00:59:59', LONDON), '2024-10-27 01:59:59 +0100'],
  [shown('2024-10-27T01:00:00', LONDON), '2024-10-27 01:00:00 +0000'],
  [shown('2024-03-10T16:00:00', SHANGHAI), '2024-03-11 00:00:00 +0800'],
  [shown('1988-07-01T00:00:00', SHANGHAI), '1988-07-01 09:00:00 +0900'],
  [shown('2024-07-01T00:00:00', LORD_HOWE), '2024-07-01 10:30:00 +1030'],
  [shown('2024-12-01T00:00:00', LORD_HOWE), '2024-12-01 11:00:00 +1100'],
  [shown('2024-07-01T00:00:00', '-03:30'), '2024-06-30 20:30:00 -0330'],
  [{ $hour: { date: at('2024-03-10T07:30:00'), timezone: NEW_YORK } }, 3],
  [{ $dayOfMonth: { date: at('2024-03-10T04:59:00'), timezone: NEW_YORK } }, 9],
  [{ $dayOfYear: { date: at('2024-12-31T16:00:00'), timezone: SHANGHAI } }, 1],
  [{ $isoWeek: { date: at('2024-12-29T16:00:00'), timezone: SHANGHAI } }, 1],
  [{ $isoWeekYear: { date: at('2024-12-29T16:00:00'), timezone: SHANGHAI } }, 2025],

  // a day is as long as the clock makes it: 23, 24 or 25 hours
  [add('2024-03-09T17:00:00', 'day', 1, NEW_YORK), at('2024-03-10T16:00:00')],
  [add('2024-03-09T17:00:00', 'hour', 24, NEW_YORK), at('2024-03-10T17:00:00')],
  [add('2024-11-02T16:00:00', 'day', 1, NEW_YORK), at('2024-11-03T17:00:00')],
  [add('2024-11-03T05:30:00', 'hour', 1, NEW_YORK), at('2024-11-03T06:30:00')],
  [add('2024-03-09T07:30:00', 'day', 1, NEW_YORK), at('2024-03-10T07:30:00')], // 02:30 does not exist: 03:30
  [add('2024-03-10T16:00:00', 'week', 1, NEW_YORK), at('2024-03-17T16:00:00')],
  [add('2024-02-29T17:00:00', 'month', 1, NEW_YORK), at('2024-03-29T16:00:00')],
  [add('2024-03-31T16:00:00', 'month', -1, NEW_YORK), at('2024-02-29T17:00:00')],
  [add('2024-08-31T04:00:00', 'quarter', 2, NEW_YORK), at('2025-02-28T05:00:00')],
  [add('2024-02-29T12:00:00', 'year', 1, LONDON), at('2025-02-28T12:00:00')],
  [add('2024-03-30T12:00:00', 'day', 1, LONDON), at('2024-03-31T11:00:00')],
  [add('2024-10-26T11:00:00', 'day', 1, LONDON), at('2024-10-27T12:00:00')],
  [add('2024-03-30T12:00:00', 'day', 1, SHANGHAI), at('2024-03-31T12:00:00')],
  [add('2024-01-31T16:00:00', 'month', 1, SHANGHAI), at('2024-02-29T16:00:00')],
  [
    { $dateSubtract: { startDate: at('2024-03-11T04:00:00'), unit: 'day', amount: 1, timezone: NEW_YORK } },
    at('2024-03-10T05:00:00')
  ],

  // bins begin at local midnight
  [trunc('2024-03-10T20:00:00', 'day', NEW_YORK), at('2024-03-10T05:00:00')],
  [trunc('2024-03-11T03:59:59', 'day', NEW_YORK), at('2024-03-10T05:00:00')],
  [trunc('2024-11-04T04:59:59', 'day', NEW_YORK), at('2024-11-03T04:00:00')],
  [trunc('2024-03-12T00:00:00', 'week', NEW_YORK), at('2024-03-10T05:00:00')],
  [trunc('2024-03-12T00:00:00', 'week', NEW_YORK, { startOfWeek: 'Monday' }), at('2024-03-11T04:00:00')],
  [trunc('2024-03-12T00:00:00', 'month', NEW_YORK), at('2024-03-01T05:00:00')],
  [trunc('2024-04-12T00:00:00', 'quarter', NEW_YORK), at('2024-04-01T04:00:00')],
  [trunc('2024-04-12T00:00:00', 'year', NEW_YORK), at('2024-01-01T05:00:00')],
  [trunc('2024-07-01T00:00:00', 'month', LONDON), at('2024-06-30T23:00:00')],
  [trunc('2024-10-27T12:00:00', 'day', LONDON), at('2024-10-26T23:00:00')],
  [trunc('2024-03-10T15:59:59', 'day', SHANGHAI), at('2024-03-09T16:00:00')],
  [trunc('2024-03-10T16:00:00', 'day', SHANGHAI), at('2024-03-10T16:00:00')],
  [trunc('2024-03-10T16:00:00', 'week', SHANGHAI, { startOfWeek: 'mon' }), at('2024-03-10T16:00:00')],
  [trunc('1988-07-01T00:00:00', 'day', SHANGHAI), at('1988-06-30T15:00:00')],
  [trunc('2024-11-03T05:30:00', 'hour', NEW_YORK), at('2024-11-03T05:00:00')],
  [trunc('2024-11-03T06:30:00', 'hour', NEW_YORK), at('2024-11-03T06:00:00')],
  [trunc('2024-03-10T12:44:00', 'hour', 'Asia/Kolkata'), at('2024-03-10T12:30:00')],
  // hours are counted in real time from 2000-01-01, local midnight: six of them end at 01:00 in summer
  [trunc('2024-01-10T12:00:00', 'hour', NEW_YORK, { binSize: 6 }), at('2024-01-10T11:00:00')],
  [trunc('2024-07-10T12:00:00', 'hour', NEW_YORK, { binSize: 6 }), at('2024-07-10T11:00:00')],
  [trunc('2024-07-01T00:45:00', 'hour', LORD_HOWE), at('2024-07-01T00:00:00')],
  [trunc('2024-03-10T12:44:59', 'minute', SHANGHAI, { binSize: 15 }), at('2024-03-10T12:30:00')],
  [trunc('1999-12-31T12:00:00', 'day', 'UTC', { binSize: 7 }), at('1999-12-25T00:00:00')],

  // boundaries crossed, by the local calendar
  [diff('2024-03-10T04:59:00', '2024-03-10T05:01:00', 'day', NEW_YORK), 1],
  [diff('2024-03-10T05:00:00', '2024-03-11T04:00:00', 'hour', NEW_YORK), 23],
  [diff('2024-11-03T04:00:00', '2024-11-04T05:00:00', 'hour', NEW_YORK), 25],
  [diff('2024-11-04T05:00:00', '2024-11-03T04:00:00', 'hour', NEW_YORK), -25],
  [diff('2024-03-10T06:30:00', '2024-03-10T07:30:00', 'minute', NEW_YORK), 60],
  [diff('2024-03-30T12:00:00', '2024-03-31T12:00:00', 'hour', LONDON), 24],
  [diff('2024-03-30T23:59:00', '2024-03-31T23:01:00', 'day', LONDON), 2],
  [diff('2024-12-31T15:59:00', '2024-12-31T16:00:00', 'year', SHANGHAI), 1],
  [diff('2024-12-31T15:59:00', '2024-12-31T16:00:00', 'month', 'UTC'), 0],
  [diff('2024-03-09T12:00:00', '2024-03-10T16:00:00', 'week', SHANGHAI), 1],

  // and back from the wall to the instant: the first of two, behind a gap by its length
  [made(NEW_YORK, 3, 10, 1, 59), at('2024-03-10T06:59:00')],
  [made(NEW_YORK, 3, 10, 2, 30), at('2024-03-10T07:30:00')],
  [made(NEW_YORK, 3, 10, 3), at('2024-03-10T07:00:00')],
  [made(NEW_YORK, 11, 3, 1, 30), at('2024-11-03T05:30:00')],
  [made(NEW_YORK, 11, 3, 2), at('2024-11-03T07:00:00')],
  [made(LONDON, 3, 31, 1, 30), at('2024-03-31T01:30:00')],
  [made(LONDON, 10, 27, 2), at('2024-10-27T02:00:00')],
  [made(SHANGHAI, 3, 10, 0), at('2024-03-09T16:00:00')],
  [read('2024-07-01 08:00:00', LONDON), at('2024-07-01T07:00:00')],
  [read('2024-07-01T08:00:00.25+08:00'), at('2024-07-01T00:00:00.250')],
  [read('2024-07-01T08:00:00Z', 'UTC'), at('2024-07-01T08:00:00')],
  [read('01.07.2024 +0800', undefined, '%d.%m.%Y %z'), at('2024-06-30T16:00:00')],
  [read('July 1 2024', NEW_YORK, '%B %d %Y'), at('2024-07-01T04:00:00')]
]

t.test('dates in their zones', async (t) => {
  for (const [expression, wanted] of TABLE) t.same(evaluate(expression), wanted, JSON.stringify(expression))

  t.test('are refused where a text says too little or too much', async (t) => {
    for (const expression of [
      read('2024-07-01T08:00:00Z', NEW_YORK), // which of the two?
      read('2024-07-01 08:00 +0800', SHANGHAI, '%Y-%m-%d %H:%M %z'),
      read('2024-07-01 08:00:00 Asia/Shanghai'),
      read('07/2024', undefined, '%m/%Y'),
      read('2024-02-30')
    ])
      t.throws(() => evaluate(expression), { code: 241 }, JSON.stringify(expression))
    t.throws(() => evaluate(trunc('2024-01-01T00:00:00', 'day', 'Mars/Olympus')), { code: 40485 })
  })

  t.test('agree with another calendar, for any instant', async () => {
    const zone = fc.constantFrom(NEW_YORK, LONDON, SHANGHAI, LORD_HOWE, 'America/Sao_Paulo', 'Pacific/Apia', 'UTC')
    const instant = fc.integer({ min: -2_500_000_000_000, max: 2_500_000_000_000 }) // 1890 to 2049
    const calendar = fc.constantFrom(...UNITS.filter((unit) => !['week', 'hour', 'minute'].includes(unit)).slice(0, 4))
    fc.assert(
      fc.property(zone, instant, calendar, fc.integer({ min: -50, max: 50 }), (name, ms, unit, amount) => {
        const local = DateTime.fromMillis(ms, { zone: name })
        if (zoneOf(name).offset(ms) !== Math.round(local.offset * 60_000)) return false
        const start = evaluate({ $dateTrunc: { date: new Date(ms), unit, timezone: name } }) as Date
        if (start.getTime() !== local.startOf(unit as 'day').toMillis()) return false
        const moved = evaluate({ $dateAdd: { startDate: new Date(ms), unit, amount, timezone: name } }) as Date
        const wanted = local.plus({ [`${unit}s`]: amount })
        // Where the clock skips or repeats that time, calendars differ in what they make of it.
        const clear = [-3, 3].every((hours) => wanted.plus({ hours }).offset === wanted.offset)
        return !clear || moved.getTime() === wanted.toMillis()
      }),
      { numRuns: 1500, seed: 8 }
    )
  })
})

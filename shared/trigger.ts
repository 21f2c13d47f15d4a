import { z } from 'zod'
import { Instant, Zone } from './instant.js'
import { Where } from './audience.js'

export const Reentry = z.union([z.enum(['once', 'each']), z.strictObject({ perDays: z.number().positive().max(365) })])
export type Reentry = z.infer<typeof Reentry>

const TimeOfDay = z.string().regex(/^([01]\d|2[0-3]):[0-5]\d$/, 'a time of day as 09:00')

/**
 * Again and again at times of day in a zone. `days`: of the week (1 Monday to 7 Sunday) or of the month (1 to 31; one that
 * a month lacks is its last day); every day without. `from` and `until` are included.
 */
const Recurring = z
  .strictObject({
    kind: z.literal('recurring'),
    from: Instant,
    until: Instant.optional(),
    zone: Zone.default('Asia/Shanghai'),
    every: z.enum(['day', 'week', 'month']),
    days: z.array(z.int().min(1).max(31)).min(1).max(31).optional(),
    times: z.array(TimeOfDay).min(1).max(24)
  })
  .check(({ value, issues }) => {
    const { every, days, times, from, until } = value
    const fault = (path: string, message: string) =>
      issues.push({ code: 'custom', path: [path], message, input: value })
    if (every === 'day' && days !== undefined) fault('days', 'every day has no days to choose')
    if (every !== 'day' && days === undefined) fault('days', `every ${every}: on which days?`)
    if (every === 'week' && days?.some((day) => day > 7)) fault('days', 'days of the week are 1 (Monday) to 7 (Sunday)')
    if (days !== undefined && new Set(days).size < days.length) fault('days', 'a day is there twice')
    if (new Set(times).size < times.length) fault('times', 'a time is there twice')
    if (until !== undefined && until < from) fault('until', 'it ends before it begins')
  })
export type Recurring = z.infer<typeof Recurring>

/** What makes a campaign send. */
export const Trigger = z.discriminatedUnion('kind', [
  z.strictObject({ kind: z.literal('once'), at: Instant, zone: Zone.default('Asia/Shanghai') }),
  Recurring,
  z.strictObject({
    kind: z.literal('event'),
    event: z.string().min(1).max(64),
    where: Where.optional(),
    reentry: Reentry.default('each')
  })
])
export type Trigger = z.infer<typeof Trigger>

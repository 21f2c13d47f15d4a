import { z } from 'zod'
import { Instant, Zone } from './instant.js'
import { Where } from './audience.js'
import { DAY_MS } from './limits.js'

export const Reentry = z.union([z.enum(['once', 'each']), z.strictObject({ perDays: z.number().positive().max(365) })])
export type Reentry = z.infer<typeof Reentry>

const TimeOfDay = z.string().regex(/^([01]\d|2[0-3]):[0-5]\d$/, 'a time of day as 09:00')

/**
 * Again and again at times of day in a zone. `days`: of the week (1 Monday to 7 Sunday) or of the month (1 to 31; one that
 * a month lacks is its last day); every day without. `from` and `until` are included.
 */
export const Recurring = z
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

/** The longest anything is waited for: what happened is kept 400 days, and some of that is needed for latecomers. */
export const WAIT_MAX_MS = 365 * DAY_MS

const EventName = z.string().min(1).max(64)
const Property = z.string().min(1).max(64)
const span = (minMs: number) => z.int().min(minMs).max(WAIT_MAX_MS)

/** What an answer to `event` has in common, whether or not something else must stay away. */
const answered = {
  event: EventName,
  /** Conditions on the event's own properties. */
  where: Where.optional(),
  /**
   * The property that says what an event is about (an order, an appointment): a newer event with the same value takes the
   * place of the one that waits. Without it a person has one wait at a time.
   */
  key: Property.optional(),
  reentry: Reentry.default('each')
}

/**
 * When something happened: at once, `delayMs` later, or `before.ms` before the instant a property of the event names.
 * `cancelOn` takes it back as long as it has not been sent.
 */
const OnEvent = z
  .strictObject({
    kind: z.literal('event'),
    ...answered,
    delayMs: span(1_000).optional(),
    before: z.strictObject({ property: Property, ms: span(60_000) }).optional(),
    cancelOn: z.strictObject({ event: EventName, where: Where.optional() }).optional()
  })
  .refine(({ delayMs, before }) => delayMs === undefined || before === undefined, {
    path: ['before'],
    message: 'delayMs or before, not both'
  })

/** When something happened and `missing` did not follow within `withinMs`. */
const OnNotFollowed = z.strictObject({
  kind: z.literal('notFollowed'),
  ...answered,
  missing: EventName,
  withinMs: span(1_000)
})

/** What makes a campaign send. */
export const Trigger = z.discriminatedUnion('kind', [
  z.strictObject({ kind: z.literal('once'), at: Instant, zone: Zone.default('Asia/Shanghai') }),
  Recurring,
  OnEvent,
  OnNotFollowed
])
export type Trigger = z.infer<typeof Trigger>
/** The two kinds that answer what people do. */
export type EventTrigger = Extract<Trigger, { kind: 'event' | 'notFollowed' }>

export const WaitState = z.enum(['waiting', 'fired', 'stopped', 'dropped'])
export type WaitState = z.infer<typeof WaitState>

/** Why a wait was given up without anybody having stopped it. */
export const WaitDropReason = z.enum([
  'noInstant', // the event's property holds no RFC 3339 instant
  'tooFar', // the instant it names is further ahead than events are kept
  'late', // nobody was there in time (an outage, a pause), or the moment had passed when the event came
  'cancelled', // the campaign is over
  'notInAudience',
  'reentry', // the campaign does not take this person again yet
  'erased', // the person, or what the event said
  'eventGone'
])
export type WaitDropReason = z.infer<typeof WaitDropReason>

/** One event that a campaign waits with. */
export const WaitView = z.object({
  id: z.string(),
  state: WaitState,
  /** Set for `dropped`. */
  reason: WaitDropReason.nullable(),
  personId: z.string().nullable(),
  eventId: z.string(),
  /** When that event happened. */
  at: Instant,
  /** What the event is about, as text; null: the campaign has no key, or the event no such property. */
  key: z.string().nullable(),
  /** When it is decided. */
  due: Instant,
  /** The event that stopped it; of a fired one: that took its message back, unless that had been sent. */
  stoppedBy: z.object({ eventId: z.string(), name: z.string(), at: Instant }).nullable(),
  settledAt: Instant.nullable()
})
export type WaitView = z.infer<typeof WaitView>

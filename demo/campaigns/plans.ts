import { castOf } from './cast.js'
import { DAY_MS, HOUR_MS, MINUTE_MS, on } from './story.js'
import type { Condition, Plan, Story } from './story.js'

const actOf = (value: string): Condition => ({ tag: 'act', op: 'eq', value })
const LIFE = { lifeMs: DAY_MS }

/** What the operator set up before the story begins. */
const PLANS: Plan[] = [
  {
    key: 'once',
    app: 'shop',
    template: 'shipped',
    lane: 'bulk',
    audience: {
      all: [
        actOf('once'),
        { attribute: 'city', op: 'eq', value: '上海' },
        { not: [{ attribute: 'age', op: 'exists', value: false }] },
        { attribute: 'age', op: 'gte', value: 18 }
      ]
    },
    timing: { kind: 'once', at: on(1, '10:00') },
    topic: 'offers',
    needs: 'name',
    ...LIFE
  },
  ...(['14:00', '15:00', '16:00', '17:00'] as const).map((time, n): Plan => ({
    key: `caps ${n + 1}`,
    app: 'shop',
    template: 'shipped',
    lane: 'bulk',
    audience: actOf('caps'),
    timing: { kind: 'once', at: on(1, time) },
    ...LIFE
  })),
  {
    key: 'caps next day',
    app: 'shop',
    template: 'shipped',
    lane: 'bulk',
    audience: actOf('caps'),
    timing: { kind: 'once', at: on(2, '10:00') },
    ...LIFE
  },
  {
    key: 'shipped',
    app: 'shop',
    template: 'pickup',
    lane: 'transactional',
    audience: null,
    timing: { kind: 'event', event: 'order_shipped' },
    ...LIFE
  },
  {
    key: 'evening',
    app: 'shop',
    template: 'shipped',
    lane: 'bulk',
    audience: actOf('quiet'),
    timing: { kind: 'once', at: on(1, '22:30') },
    ...LIFE
  },
  {
    key: 'tonight only',
    app: 'shop',
    template: 'shipped',
    lane: 'bulk',
    audience: actOf('quiet'),
    timing: { kind: 'once', at: on(1, '22:30') },
    lifeMs: 2 * HOUR_MS
  },
  {
    key: 'reminder',
    app: 'clinic',
    template: 'booking',
    lane: 'transactional',
    audience: null,
    timing: {
      kind: 'event',
      event: 'booked',
      before: { property: 'startsAt', ms: HOUR_MS },
      cancelOn: { event: 'booking_cancelled' },
      key: 'bookingId'
    },
    lifeMs: 3 * HOUR_MS
  },
  {
    key: 'welcome',
    app: 'shop',
    template: 'pickup',
    lane: 'transactional',
    audience: actOf('signups'),
    timing: {
      kind: 'event',
      event: 'signed_up',
      where: { plan: 'pro', seats: { gte: 3 } },
      delayMs: 2 * HOUR_MS,
      reentry: 'once'
    },
    ...LIFE
  },
  {
    key: 'tip of the day',
    app: 'shop',
    template: 'pickup',
    lane: 'transactional',
    audience: actOf('signups'),
    timing: { kind: 'event', event: 'signed_up', reentry: { perDays: 0.5 } },
    ...LIFE
  },
  {
    key: 'unpaid',
    app: 'shop',
    template: 'pickup',
    lane: 'transactional',
    audience: null,
    timing: {
      kind: 'notFollowed',
      event: 'order_placed',
      where: { amount: { gte: 100 } },
      missing: 'order_paid',
      withinMs: 30 * MINUTE_MS,
      key: 'orderId'
    },
    ...LIFE
  },
  {
    key: 'free places',
    app: 'clinic',
    template: 'booking',
    lane: 'bulk',
    audience: actOf('parking'),
    timing: { kind: 'once', at: on(1, '14:00') },
    waitForCredential: true,
    lifeMs: 170 * MINUTE_MS
  },
  {
    key: 'daily',
    app: 'service',
    template: 'brand',
    lane: 'bulk',
    audience: actOf('followers'),
    timing: {
      kind: 'recurring',
      from: on(1, '00:00'),
      until: on(3, '12:00'),
      zone: 'Asia/Shanghai',
      every: 'day',
      times: ['11:00']
    },
    ...LIFE
  },
  {
    key: 'weekdays',
    app: 'service',
    template: 'brand',
    lane: 'bulk',
    audience: actOf('followers'),
    timing: {
      kind: 'recurring',
      from: on(1, '00:00'),
      until: on(7, '00:00'),
      zone: 'Asia/Tokyo',
      every: 'week',
      days: [1, 3],
      times: ['15:00', '17:00']
    },
    ...LIFE
  },
  {
    key: 'cannot be sent',
    app: 'clinic',
    template: 'visit',
    lane: 'bulk',
    audience: actOf('refused'),
    timing: { kind: 'once', at: on(3, '14:00') },
    ...LIFE
  },
  {
    key: 'stands behind it',
    app: 'clinic',
    template: 'visit',
    lane: 'bulk',
    audience: actOf('breaker'),
    timing: { kind: 'once', at: on(3, '16:00') },
    lateWithinMs: 3 * HOUR_MS,
    ...LIFE
  },
  {
    key: 'tried first',
    app: 'service',
    template: 'brand',
    lane: 'bulk',
    audience: actOf('ladder'),
    timing: { kind: 'once', at: on(3, '17:00') },
    lateComer: true,
    ...LIFE
  },
  {
    key: 'once a day of two',
    app: 'service',
    template: 'brand',
    lane: 'bulk',
    audience: actOf('followers'),
    timing: {
      kind: 'recurring',
      from: on(2, '00:00'),
      until: on(2, '23:00'),
      zone: 'Asia/Shanghai',
      every: 'day',
      times: ['12:00', '14:00']
    },
    perPersonPerDay: 1,
    ...LIFE
  },
  ...(['15:00', '17:00'] as const).map((time): Plan => ({
    key: `at ${time}`,
    app: 'service',
    template: 'brand',
    lane: 'bulk',
    audience: actOf('followers'),
    timing: { kind: 'once', at: on(1, time) },
    ...LIFE
  }))
]

/** The whole story: three days of a shop, a clinic and a service account. */
export function storyOf(): Story {
  return {
    houses: {
      shop: {
        perPersonPerDay: 3,
        quiet: { from: '22:00', to: '08:00', dying: 'skip' },
        zone: 'Asia/Shanghai',
        windowForBulk: true
      },
      clinic: { perPersonPerDay: 3, quiet: null, zone: 'Asia/Shanghai', windowForBulk: true },
      service: { perPersonPerDay: null, quiet: null, zone: 'Asia/Shanghai', windowForBulk: true }
    },
    plans: PLANS,
    cast: castOf(),
    breaker: { app: 'clinic', template: 'visit', from: on(3, '11:00'), least: 10, share: 0.3, restMs: 200 * MINUTE_MS },
    visits: [
      ...['09:30', '10:00', '11:00', '11:15', '11:30', '11:45', '12:00', '13:00', '14:00', '14:30'].map((time) =>
        on(1, time)
      ),
      ...['15:00', '15:30', '16:00', '17:00', '22:30'].map((time) => on(1, time)),
      ...['07:00', '08:00', '10:00', '11:00', '12:00', '14:00'].map((time) => on(2, time)),
      ...['11:00', '14:00', '16:00', '17:00', '17:30'].map((time) => on(3, time))
    ]
  }
}

import t from 'tap'
import { Trigger } from '../../../shared/trigger.js'
import { CampaignCreate } from '../../../shared/campaign.js'
import { longestWaitMs, windowFault } from '../../../server/campaigns/schedule.js'
import { stopperOf, stops } from '../../../server/triggers/judge.js'
import { keyOf, timesOf, waits } from '../../../server/triggers/timing.js'
import { minutes, notFollowed, onEvent } from './processes.js'

const MINUTE = 60_000
const HOUR = 60 * MINUTE
const DAY = 24 * HOUR

t.test('a trigger', async (t) => {
  const fits = (trigger: object) => Trigger.safeParse(trigger).success
  const event = { kind: 'event', event: 'a' }
  const missing = { kind: 'notFollowed', event: 'a', missing: 'b', withinMs: MINUTE }
  for (const [what, trigger, expected] of [
    ['an event', event, true],
    ['a delay', { ...event, delayMs: MINUTE }, true],
    ['a moment before', { ...event, before: { property: 'startsAt', ms: HOUR } }, true],
    ['both', { ...event, delayMs: MINUTE, before: { property: 'startsAt', ms: HOUR } }, false],
    ['a delay of nothing', { ...event, delayMs: 0 }, false],
    ['a delay of half a millisecond', { ...event, delayMs: 1_000.5 }, false],
    ['a delay of a year', { ...event, delayMs: 365 * DAY }, true],
    ['a delay of more', { ...event, delayMs: 365 * DAY + 1 }, false],
    ['a moment hardly before', { ...event, before: { property: 'startsAt', ms: 59_999 } }, false],
    ['a moment before nothing', { ...event, before: { ms: HOUR } }, false],
    ['a cancelling event', { ...event, cancelOn: { event: 'b', where: { n: 1 } }, key: 'order' }, true],
    ['an unknown word', { ...event, cancelWith: 'b' }, false],
    ['an unknown word in before', { ...event, before: { property: 'p', ms: HOUR, zone: 'x' } }, false],
    ['an unknown word in cancelOn', { ...event, cancelOn: { event: 'b', key: 'order' } }, false],
    ['a missing event', { ...missing, where: { n: { gte: 1 } }, key: 'order', reentry: 'once' }, true],
    ['a missing event without a window', { kind: 'notFollowed', event: 'a', missing: 'b' }, false],
    ['a missing event with a delay', { ...missing, delayMs: MINUTE }, false],
    ['nothing missing', { kind: 'notFollowed', event: 'a', withinMs: MINUTE }, false]
  ] as const) {
    t.equal(fits(trigger), expected, what)
  }
  t.match(CampaignCreate.shape.trigger.parse(missing), { reentry: 'each' })

  t.test('owns waits unless it answers at once and nothing takes that back', async (t) => {
    t.notOk(waits(onEvent({ where: { n: 1 } })))
    for (const more of [{ delayMs: MINUTE }, { before: { property: 'p', ms: HOUR } }, { key: 'k' }]) {
      t.ok(waits(onEvent(more)))
    }
    t.ok(waits(onEvent({ cancelOn: { event: 'b' } })))
    t.ok(waits(notFollowed()))
  })

  t.test('does not wait longer than the events it looks at are kept', async (t) => {
    t.equal(longestWaitMs(notFollowed()), 365 * DAY)
    t.equal(longestWaitMs(onEvent({ cancelOn: { event: '$push:unsubscribe' } })), 23 * DAY - MINUTE)
    t.equal(windowFault(notFollowed({ withinMs: 365 * DAY })), null)
    t.match(windowFault(notFollowed({ missing: '$push:scan', withinMs: 23 * DAY })), { pointer: '/trigger/withinMs' })
    t.match(windowFault(onEvent({ event: '$push:scan', delayMs: 24 * DAY })), {
      pointer: '/trigger/delayMs',
      code: 'trigger.window'
    })
    t.equal(windowFault(onEvent({ event: '$push:scan', delayMs: 22 * DAY })), null)
  })
})

t.test('the moments of a wait', async (t) => {
  const event = (properties: Record<string, unknown> = {}) => ({
    at: minutes(0),
    receivedAt: minutes(1),
    properties
  })
  const life = 5 * MINUTE
  const at = (due: number, end: number, notAfter: number) => ({
    due: minutes(due),
    end: minutes(end),
    notAfter: minutes(notAfter)
  })
  const before = onEvent({ before: { property: 'startsAt', ms: HOUR } })
  const starts = (text: unknown) => timesOf(before, event({ startsAt: text }), life)
  for (const [what, actual, expected] of [
    ['at once', timesOf(onEvent({ key: 'k' }), event(), life), at(0, 5, 5)],
    ['delayed', timesOf(onEvent({ delayMs: HOUR }), event(), life), at(60, 65, 65)],
    ['missing: a minute of grace', timesOf(notFollowed(), event(), life), at(31, 30, 36)],
    ['before', starts('2026-03-02T12:00:00+08:00'), at(120, 125, 125)],
    ['before, in UTC', starts('2026-03-02T04:00:00Z'), at(120, 125, 125)],
    [
      'before, but the life is longer than that',
      timesOf(before, event({ startsAt: '2026-03-02T04:00:00Z' }), 2 * HOUR),
      at(120, 180, 180)
    ],
    ['before, and past', starts('2026-03-02T00:30:00Z'), at(-90, -85, -85)],
    ['before no instant', starts('tomorrow'), { fault: 'noInstant' }],
    ['before a local time', starts('2026-03-02T12:00:00'), { fault: 'noInstant' }],
    ['before a number', starts(1_772_000_000_000), { fault: 'noInstant' }],
    ['before nothing', timesOf(before, event(), life), { fault: 'noInstant' }],
    ['before something far', starts('2027-03-02T02:01:00Z'), at(365 * 1440 + 1, 365 * 1440 + 6, 365 * 1440 + 6)],
    ['before something further', starts('2027-03-02T02:01:01Z'), { fault: 'tooFar' }]
  ] as const) {
    t.same(actual, expected, what)
  }
})

t.test('what an event is about', async (t) => {
  t.equal(keyOf(undefined, { order: 7 }), null)
  t.equal(keyOf('order', { order: 7 }), keyOf('order', { order: '7' }))
  t.equal(keyOf('order', { order: false }), 'false')
  t.equal(keyOf('order', { other: 7 }), null)
  t.equal(keyOf('toString', {}), null)
  t.not(keyOf('order', { order: '' }), null)
})

t.test('a wait', async (t) => {
  const event = (name: string, at: number, properties = {}, _id = `${name}${at}`) => ({
    _id,
    name,
    at: minutes(at),
    properties
  })
  const wait = (more = {}) => ({
    eventId: 'a0',
    key: null,
    aAt: minutes(0),
    due: minutes(31),
    end: minutes(30),
    ...more
  })
  const about = { key: 'order' }
  const seven = { key: '7' }
  const missing = notFollowed()
  const delayed = onEvent({ delayMs: HOUR, cancelOn: { event: 'b', where: { ok: true } } })
  const atOnce = onEvent({ cancelOn: { event: 'b' } })
  const hour = { due: minutes(60), end: minutes(65) }
  for (const [what, trigger, waiting, seen, expected] of [
    ['by what was missing', missing, wait(), event('b', 5), true],
    ['by what was missing, at the same instant', missing, wait(), event('b', 0), true],
    ['by what was missing, at the end', missing, wait(), event('b', 30), true],
    ['not by what came after the window, though within the grace', missing, wait(), event('b', 30.5), false],
    ['not by what came before', missing, wait(), event('b', -1), false],
    ['not by something else', missing, wait(), event('c', 5), false],
    ['not by itself', missing, wait(), event('a', 0), false],
    ['by a newer one', missing, wait(), event('a', 5), true],
    ['not by a newer one after the window', missing, wait(), event('a', 31), false],
    ['by the later id of the same instant', missing, wait(), event('a', 0, {}, 'a1'), true],
    ['not by the earlier id of the same instant', missing, wait(), event('a', 0, {}, 'A'), false],
    [
      'not by a newer one that does not count',
      notFollowed({ where: { n: 1 } }),
      wait(),
      event('a', 5, { n: 2 }),
      false
    ],
    ['by the missing one of its key', notFollowed(about), wait(seven), event('b', 5, { order: 7 }), true],
    ['not by the missing one of another key', notFollowed(about), wait(seven), event('b', 5, { order: 8 }), false],
    ['not by the missing one without a key', notFollowed(about), wait(seven), event('b', 5), false],
    ['without a key by the missing one without', notFollowed(about), wait(), event('b', 5), true],
    [
      'by the same again, where that is what was to be missing',
      notFollowed({ missing: 'a' }),
      wait(),
      event('a', 5),
      true
    ],
    [
      'not by itself, where that is what was to be missing',
      notFollowed({ missing: 'a' }),
      wait(),
      event('a', 0),
      false
    ],
    ['by what cancels', delayed, wait(hour), event('b', 5, { ok: true }), true],
    ['not by what would cancel under other conditions', delayed, wait(hour), event('b', 5, { ok: false }), false],
    ['by what cancels as long as its message may go', delayed, wait(hour), event('b', 65, { ok: true }), true],
    ['not by what cancels later', delayed, wait(hour), event('b', 66, { ok: true }), false],
    ['by a newer one while it waits', delayed, wait(hour), event('a', 60), true],
    ['not by a newer one once its message is on its way', delayed, wait(hour), event('a', 61), false],
    [
      'by a newer one of its key even then',
      onEvent({ delayMs: HOUR, ...about }),
      wait({ ...hour, ...seven }),
      event('a', 61, { order: '7' }),
      true
    ],
    [
      'not by a newer one, answered at once',
      atOnce,
      wait({ due: minutes(0), end: minutes(5) }),
      event('a', 0, {}, 'a1'),
      false
    ],
    ['by what cancels, answered at once', atOnce, wait({ due: minutes(0), end: minutes(5) }), event('b', 3), true]
  ] as const) {
    t.equal(stops(trigger, waiting, seen), expected, `is stopped ${what}`)
  }
  t.equal(stopperOf(missing, wait(), [event('b', 9), event('c', 1), event('b', 4), event('b', 7)])?._id, 'b4')
  t.equal(stopperOf(missing, wait(), [event('b', -9)]), null)
})

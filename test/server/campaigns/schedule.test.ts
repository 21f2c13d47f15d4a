import t from 'tap'
import { decide, instantsAfter, lifeOf, nextInstant } from '../../../server/campaigns/schedule.js'
import type { Trigger } from '../../../shared/trigger.js'
import { openFaults } from '../../../server/messages/direct.js'

const noon = new Date('2026-03-01T12:00:00Z')
const minutes = (n: number) => new Date(noon.getTime() + n * 60_000)
const once: Trigger = { kind: 'once', at: noon, zone: 'Asia/Shanghai' }
const onEvent: Trigger = { kind: 'event', event: 'bought', reentry: 'each' }

t.test('a run planned for noon', async (t) => {
  const table: [string, number, Parameters<typeof decide>[2], ReturnType<typeof decide>][] = [
    ['waits before noon', -1, undefined, 'wait'],
    ['starts at noon', 0, undefined, 'start'],
    ['starts an hour late', 60, undefined, 'start'],
    ['is missed after more than an hour', 61, undefined, 'missed'],
    ['is missed sooner if the campaign says so', 11, { lateWithinMs: 600_000 }, 'missed'],
    ['starts later if the campaign says so', 90, { lateWithinMs: 2 * 3_600_000 }, 'start'],
    ['forgives a minute even when missed runs are skipped', 1, 'skip', 'start'],
    ['is skipped when missed', 2, 'skip', 'missed']
  ]
  for (const [name, late, missed, expected] of table) {
    t.test(name, async (t) => t.equal(decide(noon, minutes(late), missed), expected))
  }
})

t.test('the instants of a trigger', async (t) => {
  t.same(instantsAfter(once, minutes(-1), 5), [noon])
  t.same(instantsAfter(once, noon, 5), [], 'what is due now is not to come')
  t.same(instantsAfter(onEvent, noon, 5), [])
  const twice: Trigger = { kind: 'recurring', from: noon, zone: 'UTC', every: 'day', times: ['12:00', '18:00'] }
  t.same(instantsAfter(twice, noon, 3), [minutes(360), minutes(1440), minutes(1800)])
  t.same(instantsAfter({ ...twice, until: minutes(360) }, noon, 3), [minutes(360)])
})

t.test('a campaign that goes online owes', async (t) => {
  const daily: Trigger = { kind: 'recurring', from: minutes(-9_999), zone: 'UTC', every: 'day', times: ['12:00'] }
  const next = (trigger: Trigger, now: Date, runId: string | null = null) => nextInstant({ trigger, runId }, now)
  t.same(next(once, minutes(30)), noon, 'its one run, however late')
  t.equal(next(once, minutes(30), 'run'), null, 'not a second one')
  t.same(next(daily, noon), noon, 'the run of this very moment')
  t.same(next(daily, minutes(1), 'run'), minutes(1440), 'no run of the time it was not online')
  t.equal(next({ ...daily, until: noon }, minutes(1)), null)
  t.equal(next(onEvent, noon), null)
})

t.test('the life of a message', async (t) => {
  t.equal(lifeOf({}), 86_400_000, 'is a day')
  t.equal(lifeOf({ scene: 'payment' }), 60_000, 'is what its scene tolerates')
  t.equal(lifeOf({ scene: 'logistics', lifeMs: 90_000 }), 90_000, 'is what the campaign says before all')
})

t.test('what a card opens', async (t) => {
  const codes = (kind: 'miniprogram' | 'service', open: Parameters<typeof openFaults>[1]) =>
    openFaults({ kind }, open).map(({ pointer, code }) => `${pointer} ${code}`)
  t.same(codes('miniprogram', undefined), [])
  t.same(codes('miniprogram', { page: 'pages/a?b=1' }), [])
  t.same(codes('miniprogram', { page: '/pages/a' }), ['/open/page open.leading-slash'])
  t.same(codes('miniprogram', { url: 'https://a.cn' }), ['/open/url open.url-on-miniprogram'])
  t.same(codes('miniprogram', { miniprogram: { appId: 'wx' } }), ['/open/miniprogram open.miniprogram-on-miniprogram'])
  t.same(codes('service', { url: 'https://a.cn', miniprogram: { appId: 'wx', page: 'a' } }), [])
  t.same(codes('service', { page: 'a' }), ['/open/page open.page-on-service'])
  t.same(codes('service', { miniprogram: { appId: 'wx', page: '/a' } }), ['/open/miniprogram/page open.leading-slash'])
})

import t from 'tap'
import { fatesOf, standstillOf } from '../../demo/campaigns/oracle.js'
import { instantsOf } from '../../demo/campaigns/oracle-time.js'
import { storyOf } from '../../demo/campaigns/plans.js'
import { HOUR_MS, on, type Actor, type Plan, type Story } from '../../demo/campaigns/story.js'

const house = { perPersonPerDay: 3, quiet: null, zone: 'Asia/Shanghai', windowForBulk: true }
const plan = (more: Partial<Plan>): Plan => ({
  key: 'k',
  app: 'shop',
  template: 'pickup',
  lane: 'bulk',
  audience: null,
  timing: { kind: 'event', event: 'e' },
  lifeMs: HOUR_MS,
  ...more
})
const actor = (deeds: Actor['deeds'], more: Partial<Actor> = {}): Actor => {
  return { name: 'a', act: 'x', about: '', apps: ['shop'], attributes: {}, deeds, ...more }
}
const told = (
  plans: Plan[],
  who: Actor,
  visits = ['09:00', '10:00', '11:00', '12:00'],
  quiet: Story['houses']['shop']['quiet'] = null
) => {
  const breaker: Story['breaker'] = { app: 'clinic', template: 'visit', from: 0, least: 99, share: 1, restMs: 0 }
  const houses = { shop: { ...house, quiet }, clinic: house, service: house }
  const story: Story = { houses, plans, breaker, cast: [who], visits: visits.map((time) => on(1, time)) }
  return fatesOf(story, who).map(({ what, visit }) => (visit === null ? what : `${what} ${visit}`))
}
const granted = { at: on(1, '09:00'), does: 'hand in', app: 'shop', source: 'grant', template: 'pickup' } as const
const happens = (time: string, happened = time, properties = {}) =>
  ({ at: on(1, time), does: 'event', name: 'e', happened: on(1, happened), properties }) as const

t.test('the oracle', async (t) => {
  t.same(told([plan({})], actor([granted, happens('10:00')])), ['delivered 1'], 'sends to whoever gave a right')
  t.same(told([plan({})], actor([happens('10:00')])), ['skipped noCredential'])
  t.same(told([plan({})], actor([granted, happens('11:00', '09:30')])), ['expired'], 'and not too late')
  const delayed = plan({ timing: { kind: 'event', event: 'e', delayMs: HOUR_MS } })
  t.same(told([delayed], actor([granted, happens('10:00')])), ['delivered 2', 'wait fired'])
  const again = actor([granted, happens('10:00'), happens('10:00', '09:59')])
  t.same(told([delayed], again), ['delivered 2', 'wait fired', 'wait stopped'], 'to the newer of two')
  const night = { from: '09:30', to: '11:30', dying: 'skip' } as const
  const patient = plan({ lifeMs: 5 * HOUR_MS })
  t.same(told([patient], actor([granted, happens('10:00')]), undefined, night), ['delivered 3'], 'after the night')
  const tokyo = actor([granted, happens('11:00')], { attributes: { zone: 'Asia/Tokyo' } })
  t.same(told([patient], tokyo, undefined, night), ['delivered 2'], "in the person's own zone")
  const parked = plan({ waitForCredential: true, lifeMs: 90 * 60_000 })
  const gives = (time: string) => ({ ...granted, at: on(1, time) })
  t.same(told([parked], actor([happens('10:00'), gives('11:00')])), ['delivered 2'], 'as soon as a right comes')
  t.same(told([parked], actor([happens('10:00'), gives('12:00')])), ['expired'])
})

t.test('occurrences are found by looking at every minute', async (t) => {
  const week = { kind: 'recurring', from: on(1, '00:00'), until: on(7, '23:59'), every: 'week' } as const
  const found = instantsOf({ ...week, zone: 'Asia/Tokyo', days: [1, 3], times: ['10:00'] })
  t.same(found, [on(1, '09:00'), on(3, '09:00')])
})

t.test('the story', async (t) => {
  const story = storyOf()
  t.equal(new Set(story.cast.map(({ name }) => name)).size, 376)
  t.match(standstillOf(story), { template: 'visit', failed: 15, answers: 15 }, 'trips its breaker')
  const moments = new Set(story.visits)
  const missed = story.cast.flatMap(({ name, deeds }) => deeds.filter(({ at }) => !moments.has(at)).map(() => name))
  t.same(missed, [], 'has nobody do anything while no one looks')
})

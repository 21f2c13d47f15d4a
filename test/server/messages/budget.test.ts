import t from 'tap'
import { openEmbedded } from '../../../server/embedded/embedded.js'
import { createBound, createBudget, nextReset } from '../../../server/messages/budget.js'
import { connectMongo } from '../../../server/platform/mongo.js'

t.test('the bound of the clocks is the tightest seen lately', async (t) => {
  const bound = createBound(1000)
  t.equal(bound(0, 50), 50)
  t.equal(bound(100, 40), 50, 'an answer that was slow on its way proves nothing')
  t.equal(bound(200, 60), 60)
  t.equal(bound(1100, 10), 60, 'a store whose clock was set back is believed')
  t.equal(bound(2200, 12), 12, 'after two windows at the latest')
  t.equal(bound(10_000, 5), 5, 'after a long silence at once')
})

t.test("the day's quota starts afresh at midnight in Shanghai", async (t) => {
  const table = [
    ['2026-11-21T15:59:59.999Z', '2026-11-21T16:00:00.000Z'],
    ['2026-11-21T16:00:00.000Z', '2026-11-22T16:00:00.000Z']
  ] as const
  for (const [now, reset] of table) t.equal(nextReset(new Date(now)).toISOString(), reset)
})

t.test('one slow answer at first does not put the slots off, which the next one would put back', async (t) => {
  let now = Date.parse('2090-03-02T04:00:00Z')
  const ways = [80, 3, 2, 4, 1, 2]
  const store = await openEmbedded({ dir: t.testdir(), worker: false, durability: 'commit', now: () => new Date(now) })
  const db = await connectMongo(store.uri, { dbName: 'budget' })
  t.teardown(async () => {
    await db.close()
    await store.close()
  })
  const pace = { monotonic: () => now, sleep: async () => {} }
  const limits = { perSecond: 100, perDay: 100_000 }
  const budget = createBudget({ db, pace: { ...pace, monotonic: () => now + (asking ? ways.shift()! : 0) } })
  let asking = false
  const reserve = async (id: string) => {
    asking = true
    const slots = await budget.reserve(id, 'legacy', 'bulk', 10, limits)
    asking = false
    return slots
  }
  ways.unshift(0) // it looks at the clock before it asks
  const first = await reserve('a')
  now += 50
  ways.unshift(0)
  const second = await reserve('a')
  const gap = second.firstAt - (first.firstAt + 9 * first.everyMs)
  t.ok(gap >= first.everyMs - 3, `${gap} ms between the last of a block and the first of the next`)
  t.equal(first.granted + second.granted, 20)
})

import t from 'tap'
import { createBound, nextReset } from '../../../server/messages/budget.js'

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

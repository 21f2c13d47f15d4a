import t from 'tap'
import { dayOf } from '../../../server/platform/shanghai.js'

t.test('a day is one of Asia/Shanghai', async (t) => {
  const eve = dayOf(new Date('2026-03-01T15:59:59.999Z'))
  const next = dayOf(new Date('2026-03-01T16:00:00Z'))
  t.same([eve.day, next.day], ['2026-03-01', '2026-03-02'])
  t.same(eve.end, next.start)
  t.same(next.start, new Date('2026-03-01T16:00:00Z'))
})

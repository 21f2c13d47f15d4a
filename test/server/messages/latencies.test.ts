import t from 'tap'
import { createLatencies } from '../../../server/messages/latencies.js'

const at = new Date('2026-03-01T00:00:00Z')
const row = (...took: (number | null)[]) => ({
  log: took.map((latencyMs) => ({ at, code: 0, kind: 'accepted', latencyMs, rid: null, note: null }))
})

t.test('half of the latest answers took no longer than p50, 19 of 20 no longer than p95', async (t) => {
  const latencies = createLatencies()
  t.equal(latencies.take('a', [], at), null)
  t.equal(latencies.take('a', [row(), row(null)], at), null, 'what nobody answered took no time at all')
  const hundred = Array.from({ length: 100 }, (_, i) => row(9_999, 100 - i))
  t.same(latencies.take('a', hundred, at), { p50: 50, p95: 95, at }, 'of each row its last answer')
  t.same(latencies.take('b', [row(7)], at), { p50: 7, p95: 7, at }, 'each account by itself')
  const later = Array.from({ length: 500 }, () => row(3))
  t.same(latencies.take('a', later, at), { p50: 3, p95: 3, at }, 'what is long ago is forgotten')
})

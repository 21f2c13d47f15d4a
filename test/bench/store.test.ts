import t from 'tap'
import { store } from '../../bench/store.js'
import { keyOf, PLACES, rowOf } from '../../bench/store-data.js'

t.test('rows are always the same, and unlike each other', async (t) => {
  t.same(rowOf(7), rowOf(7))
  t.equal(rowOf(7).key, keyOf(7))
  const rows = Array.from({ length: 2_000 }, (_, i) => rowOf(i))
  t.equal(new Set(rows.map(({ key }) => key)).size, rows.length)
  t.equal(new Set(rows.map(({ place }) => place)).size, PLACES)
  t.ok(rows.filter(({ status }) => status === 'free').length > 1_500, 'most can be claimed')
})

t.test('the section measures every figure of its table, at whatever size', { timeout: 120_000 }, async (t) => {
  const said: string[] = []
  const figures = await store((line) => said.push(line), { many: 3_000, few: 600, claims: 40, finds: 40, updates: 40 })
  t.same(
    figures.map(({ id, goal }) => `${id} ${goal}`),
    [
      'claim-many-to-few ≥ 0.7',
      'find-many-to-few ≤ 1.5',
      'bulk-to-single ≥ 10',
      'cold-start ≤ 200',
      'group-memory ≤ 100',
      'group-to-mingo ≥ 3',
      'scan-over-walk ≤ 3',
      'app-stall ≤ 30'
    ]
  )
  for (const { section, id, figure, note } of figures) {
    t.equal(section, 'store')
    t.ok(Number.isFinite(figure), `${id} is a number`)
    t.match(note, /\d/, `${id} gives absolute numbers`)
  }
  t.ok(said.length > 5)
})

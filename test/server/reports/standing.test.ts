import t from 'tap'
import { createStanding } from '../../../server/reports/standing.js'

type Row = { accountId: string; runId: string | null; channel: 'legacy'; minute: Date; n: Record<string, number>; opened?: number } // prettier-ignore

const at = (minute: number) => new Date(Date.UTC(2026, 2, 1, 0, minute))

/** Counters of a few minutes, and how many of them each look read. */
function arranged() {
  const rows: Row[] = []
  const reads: number[] = []
  const find = async (filter: Record<string, any>) => {
    const kind = filter.accountId === undefined ? 'runId' : 'accountId'
    const found = rows.filter((row) => filter[kind].$in.includes(row[kind]) && row.minute <= filter.minute.$lte && row.minute >= (filter.minute.$gte ?? at(0))) // prettier-ignore
    reads.push(found.length)
    return found
  }
  const put = (minute: number, accepted: number, more: Partial<Row> = {}) =>
    rows.push({ accountId: 'a', runId: 'r', channel: 'legacy', minute: at(minute), n: { accepted }, ...more })
  return { standing: createStanding({ find }), put, reads }
}
const total = (summands: { n: Record<string, number> }[] | undefined) =>
  (summands ?? []).reduce((sum, { n }) => sum + (n.accepted ?? 0), 0)

t.test('what is over is read once, what is told is always the sum of all', async (t) => {
  const { standing, put, reads } = arranged()
  for (let minute = 0; minute < 600; minute++) put(minute, 1)
  t.equal(total((await standing('accountId', ['a'], null, at(600))).get('a')), 600)
  for (const minute of [600, 601, 603]) {
    put(minute, 1)
    put(minute, 1, { runId: null, opened: 3 })
  }
  t.equal(total((await standing('accountId', ['a'], null, at(605))).get('a')), 606)
  t.ok(reads.at(-1)! <= 20, `${reads.at(-1)} rows were read`)
  t.equal(total((await standing('accountId', ['a'], null, at(605))).get('a')), 606, 'and again')
  const opened = (await standing('accountId', ['a'], null, at(618))).get('a')!
  t.equal(opened.reduce((sum, each) => sum + (each.opened ?? 0), 0), 9) // prettier-ignore
  t.equal(total(opened), 606)
})

t.test('a minute that was counted into late is told once all is read again', async (t) => {
  const { standing, put } = arranged()
  put(0, 5)
  t.equal(total((await standing('runId', ['r'], null, at(30))).get('r')), 5)
  put(1, 2)
  t.equal(total((await standing('runId', ['r'], null, at(31))).get('r')), 5)
  t.equal(total((await standing('runId', ['r'], null, at(41))).get('r')), 7)
})

t.test('two looks at once count nothing twice, and a day is not another day', async (t) => {
  const { standing, put } = arranged()
  for (let minute = 0; minute < 60; minute++) put(minute, 1)
  await standing('accountId', ['a'], null, at(40))
  const both = await Promise.all([1, 2].map(() => standing('accountId', ['a', 'b'], null, at(49))))
  t.same(both.map((found) => [total(found.get('a')), total(found.get('b'))]), [[50, 0], [50, 0]]) // prettier-ignore
  t.equal(total((await standing('accountId', ['a'], null, at(49))).get('a')), 50)
  t.equal(total((await standing('accountId', ['a'], at(40), at(49))).get('a')), 10)
})

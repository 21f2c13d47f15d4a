import t from 'tap'
import { buildLedger, closeTestStore } from '../../support/ledger.js'
import { createCrashWorld, type CrashPoint } from './crash-world.js'

t.teardown(closeTestStore)

// The seed decides the people, the faults and the command each process breaks at. HONGYAN_CRASH_SEEDS=100-200 looks further.
const [first, last] = (process.env.HONGYAN_CRASH_SEEDS ?? '1-3').split('-').map(Number) as [number, number]
const ROUNDS = 3
t.setTimeout(60_000 + (last - first) * 20_000)

const points: CrashPoint[] = []
for (let seed = first; seed <= last; seed++) {
  t.test(`processes that break at any command leave two ledgers that agree (seed ${seed})`, async (t) => {
    const ledger = await buildLedger(t)
    const world = await createCrashWorld(ledger, seed)
    for (let round = 1; round <= ROUNDS; round++) {
      await world.round()
      await world.idle()
      t.same(await world.disagreements(), [], `round ${round}`)
    }
    await world.operator()
    await world.push()
    await world.again()
    await world.idle()
    t.same(await world.disagreements(), [], 'after the operator, and what failed once more')
    points.push(...world.points)
  })
}

t.test('the crash points were many, and everywhere', async (t) => {
  const by = (key: keyof CrashPoint) => {
    const counts = new Map<string, number>()
    for (const point of points) counts.set(point[key], (counts.get(point[key]) ?? 0) + 1)
    return [...counts].map(([name, n]) => `${name} ${n}`).join(', ')
  }
  t.comment(`${points.length} crash points: ${by('fate')}`)
  t.comment(by('where'))
  t.ok(points.length >= 20)
})

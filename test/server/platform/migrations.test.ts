import t, { type Test } from 'tap'
import { createClock } from '../../../server/platform/clock.js'
import { silentLog } from '../../../server/platform/log.js'
import { migrate, MIGRATIONS, type Migration } from '../../../server/platform/migrations.js'
import { buildTestApp, testDb } from '../../support/build-app.js'

async function ground(t: Test) {
  const db = await testDb(t)
  const store = db.getClient().db(db.name)
  const form = () => store.collection<any>('settings').findOne({ _id: 'schema' })
  const run = (migrations: readonly Migration[], leaseMs = 30_000) =>
    migrate({ db, clock: createClock(), log: silentLog(), migrations, leaseMs })
  return { store, form, run }
}

t.test('of many processes that start at once one does each step, in order', async (t) => {
  const { form, run } = await ground(t)
  const done: string[] = []
  const steps = (who: number): Migration[] =>
    [1, 2, 3].map((version) => ({
      version,
      name: `step ${version}`,
      run: async () => {
        done.push(`${version} begins`)
        await new Promise((resolve) => setImmediate(resolve))
        done.push(`${version} ends`)
        t.ok(who >= 0)
      }
    }))
  await Promise.all([0, 1, 2, 3, 4].map((who) => run(steps(who))))
  t.same(done, ['1 begins', '1 ends', '2 begins', '2 ends', '3 begins', '3 ends'])
  t.match(await form(), { version: 3, lease: null })
  await run(steps(9))
  t.equal(done.length, 6, 'and nobody does them again')
})

t.test('one that was killed in the middle is followed by another, one that failed is told', async (t) => {
  const { store, form, run } = await ground(t)
  await store.collection<any>('settings').insertOne({
    _id: 'schema',
    version: 1,
    lease: { by: 'the dead', until: new Date(Date.now() - 1) }
  })
  let ran = 0
  const steps: Migration[] = [
    { version: 1, name: 'before', run: async () => t.fail('this was done') as never },
    { version: 2, name: 'again', run: async () => void (ran += 1) }
  ]
  await run(steps)
  t.equal(ran, 1)
  const broken: Migration = { version: 3, name: 'broken', run: async () => Promise.reject(new Error('no room')) }
  await t.rejects(run([...steps, broken]), { message: 'no room' })
  t.match(await form(), { version: 2, lease: null }, 'the next start may try at once')
})

t.test('who lost the lease does not say that the step is done', async (t) => {
  const { store, form, run } = await ground(t)
  const settings = store.collection<any>('settings')
  const seen: boolean[] = []
  let turn = 0
  await run(
    [
      {
        version: 1,
        name: 'slow',
        run: async (_db, signal) => {
          turn += 1
          if (turn > 1) return
          // This process stood still: another took the step over, and went.
          await settings.updateOne({ _id: 'schema' }, { $set: { 'lease.by': 'another', 'lease.until': new Date(0) } })
          await new Promise((resolve) => signal.addEventListener('abort', resolve))
          seen.push(signal.aborted)
        }
      }
    ],
    60
  )
  t.same(seen, [true], 'it is told to stop')
  t.equal(turn, 2, 'and begins anew under a lease of its own')
  t.match(await form(), { version: 1, lease: null })
})

t.test('a store of a newer version is left alone', async (t) => {
  const { store, run } = await ground(t)
  await store.collection<any>('settings').insertOne({ _id: 'schema', version: 99, lease: null })
  await t.rejects(run(MIGRATIONS), {
    code: 'store.too-new',
    message: /form 99, this version of Hongyan knows \d+: run/
  })
})

t.test('a server does so when it starts', async (t) => {
  const { db } = await buildTestApp(t)
  const form = await db.collection<any>('settings').findOne({ _id: 'schema' })
  t.equal(form?.version, Math.max(...MIGRATIONS.map(({ version }) => version)))
  t.same(
    MIGRATIONS.map(({ version }) => version),
    MIGRATIONS.map((_, index) => index + 1),
    'one after the other, none left out'
  )
})

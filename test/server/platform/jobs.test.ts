import type { Connection } from 'mongoose'
import t from 'tap'
import { createClock } from '../../../server/platform/clock.js'
import { createJobs, type Jobs } from '../../../server/platform/jobs.js'
import { silentLog } from '../../../server/platform/log.js'
import { testDb } from '../../support/build-app.js'

const clock = createClock()
const jobsOn = (t: Tap, db: Connection, enabled = true): Jobs => {
  const jobs = createJobs({ db, clock, log: silentLog(), enabled, lockLifetimeMs: 2_000 })
  t.teardown(() => jobs.stop())
  return jobs
}
type Tap = { teardown(fn: () => Promise<void>): void }

/** Resolves with what the job was given, `times` runs later. */
function heard() {
  const runs: any[] = []
  const waiting: { times: number; tell: () => void }[] = []
  return {
    runs,
    run: async ({ data }: { data: any }) => {
      runs.push(data)
      for (const { times, tell } of waiting) if (runs.length >= times) tell()
    },
    times: (times: number) =>
      new Promise<void>((tell) => (runs.length >= times ? tell() : waiting.push({ times, tell })))
  }
}
const rowsOf = (db: Connection) => db.collection<any>('agendaJobs')
const until = async (check: () => Promise<boolean>) => {
  while (!(await check())) await new Promise((next) => setImmediate(next))
}

t.test('a job', async (t) => {
  const db = await testDb(t)
  const jobs = jobsOn(t, db)
  const greet = heard()
  jobs.define('greet', greet.run, { concurrency: 2 })
  await jobs.start()

  t.test('asked for now runs at once and leaves no row', async (t) => {
    const begin = clock.monotonic()
    await jobs.now('greet', { who: 'you' })
    await greet.times(1)
    t.same(greet.runs, [{ who: 'you' }])
    t.ok(clock.monotonic() - begin < 900, 'before the next look at the store')
    await until(async () => (await rowsOf(db).countDocuments({})) === 0)
  })
  t.test('asked for twice under one key waits once, at the earlier time', async (t) => {
    const later = new Date(clock.now().getTime() + 3_600_000)
    const sooner = new Date(later.getTime() - 60_000)
    await Promise.all([
      jobs.at(later, 'greet', { n: 1 }, { uniqueKey: 'k' }),
      jobs.at(later, 'greet', { n: 1 }, { uniqueKey: 'other' })
    ])
    await jobs.at(sooner, 'greet', { n: 2 }, { uniqueKey: 'k' })
    await jobs.at(later, 'greet', { n: 3 }, { uniqueKey: 'k' })
    const rows = await rowsOf(db).find({ uniqueKey: 'k' }).toArray()
    t.equal(rows.length, 1)
    t.ok(Math.abs(rows[0].nextRunAt.getTime() - sooner.getTime()) < 50)
    t.equal(await rowsOf(db).countDocuments({}), 2)
  })
  t.test('that fails is tried again, and stays to be seen until then', async (t) => {
    let tries = 0
    const done = heard()
    jobs.define('shaky', async (job) => {
      tries += 1
      if (tries === 1) throw new Error('the first time is hard')
      await done.run(job)
    })
    await jobs.now('shaky', { n: 7 })
    await until(async () => (await rowsOf(db).countDocuments({ name: 'shaky', failCount: 1 })) === 1)
    const [row] = await rowsOf(db).find({ name: 'shaky' }).toArray()
    t.match(row, { failReason: 'the first time is hard' })
    t.ok(row.nextRunAt > row.failedAt)
    await done.times(1)
    t.same(done.runs, [{ n: 7 }])
    await until(async () => (await rowsOf(db).countDocuments({ name: 'shaky' })) === 0)
  })
  t.test('can be run by hand', async (t) => {
    const before = greet.runs.length
    await jobs.run('greet', { by: 'hand' })
    t.same(greet.runs.slice(before), [{ by: 'hand' }])
    await t.rejects(jobs.run('nobody'), { message: 'no job is called nobody' })
  })
  t.test('may be four at once in one process, no more', async (t) => {
    t.throws(() => jobs.define('many', async () => {}, { concurrency: 5 }), RangeError)
  })
})

t.test('a repeated job', async (t) => {
  const db = await testDb(t)

  t.test('is one row however many processes ask for it at once', async (t) => {
    const all = Array.from({ length: 6 }, () => jobsOn(t, db, false))
    await Promise.all(all.map((jobs) => jobs.every(60_000, 'sweep', { n: 1 })))
    t.equal(await rowsOf(db).countDocuments({ name: 'sweep' }), 1)
  })
  t.test('keeps its hour and its lock over a restart, and takes a shorter interval up', async (t) => {
    const soon = new Date(clock.now().getTime() + 30_000)
    const lockedAt = clock.now()
    await rowsOf(db).updateOne({ name: 'sweep' }, { $set: { nextRunAt: soon, lockedAt } })
    const jobs = jobsOn(t, db, false)
    await jobs.every(60_000, 'sweep')
    t.match(await rowsOf(db).findOne({ name: 'sweep' }), {
      nextRunAt: soon.toISOString(),
      lockedAt: lockedAt.toISOString()
    })
    await jobs.every(5_000, 'sweep')
    t.ok((await rowsOf(db).findOne({ name: 'sweep' })).nextRunAt < soon)
    await rowsOf(db).updateOne({ name: 'sweep' }, { $set: { lockedAt: null } })
  })
  t.test('goes on in one of two processes, and is given back when that one stops', async (t) => {
    const one = jobsOn(t, db)
    const two = jobsOn(t, db)
    let inside = 0
    let most = 0
    const beats = heard()
    for (const jobs of [one, two]) {
      jobs.define('beat', async (job) => {
        inside += 1
        most = Math.max(most, inside)
        await new Promise((next) => setImmediate(next))
        inside -= 1
        await beats.run(job)
      })
      await jobs.every(10, 'beat')
      await jobs.start()
    }
    await beats.times(2)
    await one.stop()
    await beats.times(beats.runs.length + 1)
    t.equal(most, 1)
    await two.stop()
    t.equal(await rowsOf(db).countDocuments({ lockedAt: { $ne: null } }), 0)
  })
})

t.test('a process', async (t) => {
  t.test('that only serves writes jobs for others and runs none', async (t) => {
    const db = await testDb(t)
    const api = jobsOn(t, db, false)
    const ran = heard()
    api.define('work', async () => void t.fail('not here'))
    await api.start()
    await api.mine('own')
    t.notOk(api.running())
    await api.now('work', { n: 1 })
    t.equal(await rowsOf(db).countDocuments({ name: 'work' }), 1)
    const worker = jobsOn(t, db)
    worker.define('work', ran.run)
    await worker.start()
    t.ok(worker.running())
    await ran.times(1)
    t.same(ran.runs, [{ n: 1 }])
  })
  t.test('that stops aborts what runs, waits for it, and takes its own jobs along', async (t) => {
    const db = await testDb(t)
    const jobs = jobsOn(t, db)
    let ended = false
    const begun = heard()
    jobs.define('pump of mine', async (job) => {
      const aborted = new Promise((stop) => job.signal.addEventListener('abort', stop))
      await begun.run(job)
      await aborted
      ended = true
    })
    await jobs.mine('pump of mine')
    await jobs.start()
    await begun.times(1)
    await jobs.stop()
    t.ok(ended)
    t.equal(await rowsOf(db).countDocuments({}), 0)
  })
  t.test('sweeps away the own jobs of one that was killed', async (t) => {
    const db = await testDb(t)
    const old = new Date(clock.now().getTime() - 3_600_000)
    await rowsOf(db).insertMany([
      { name: 'pump a', type: 'single', mine: 'worker-dead', lockedAt: old, nextRunAt: old },
      { name: 'pump b', type: 'single', mine: 'worker-dead', lockedAt: null, nextRunAt: old },
      { name: 'pump c', type: 'single', mine: 'worker-alive', lockedAt: clock.now(), nextRunAt: old }
    ])
    await jobsOn(t, db).start()
    t.same(
      (await rowsOf(db).find().toArray()).map(({ name }) => name),
      ['pump c']
    )
  })
})

t.test('a process that stands still for longer than locks live takes all its jobs up again', async (t) => {
  const db = await testDb(t)
  const jobs = jobsOn(t, db)
  const names = Array.from({ length: 12 }, (_, i) => `look ${i}`)
  const looks = new Map(names.map((name) => [name, heard()]))
  for (const [name, { run }] of looks) jobs.define(name, run)
  await jobs.start()
  for (const name of names) await jobs.every(1_500, name)
  await Promise.all([...looks.values()].map(({ times }) => times(2)))
  // Rows are taken up to a second before their time: at these moments they lie ready.
  for (let i = 0; i < 2; i++) {
    await new Promise((next) => setTimeout(next, 1_250))
    const until = performance.now() + 2_200
    while (performance.now() < until);
  }
  const now = new Map([...looks].map(([name, { runs }]) => [name, runs.length]))
  await Promise.all([...looks].map(([name, { times }]) => times(now.get(name)! + 3)))
  t.pass('each of them goes on')
})

import { Agenda } from 'agenda'
import { MongoBackend } from '@agendajs/mongo-backend'
import type { Db } from 'mongodb'
import t from 'tap'
import { withServer } from './with-server.js'

/** Long for these jobs, short for a test: agenda keeps a timer of half of it for each job it ran. */
const LOCK_MS = 5_000
/** No more are locked than run at once: a lock that lapses while its job still waits is rightly another's. */
const AT_ONCE = 5

/** Two schedulers that know of one another only through the store; `first` is what both ask for before they start. */
async function pair(db: Db, define: (agenda: Agenda) => void, first: (agenda: Agenda) => unknown = () => {}) {
  const agendas = ['one', 'two'].map((name) => {
    const backend = new MongoBackend({ mongo: db as never, collection: 'agendaJobs' })
    const agenda = new Agenda({
      backend,
      name,
      processEvery: 25,
      defaultConcurrency: AT_ONCE,
      defaultLockLimit: AT_ONCE,
      defaultLockLifetime: LOCK_MS
    })
    define(agenda)
    return agenda
  })
  await Promise.all(agendas.map(first))
  for (const agenda of agendas) await agenda.start()
  return { agendas, stop: () => Promise.all(agendas.map((agenda) => agenda.drain())) }
}

t.test('two schedulers on one store run each job once', async (t) => {
  const { db } = await withServer(t)
  const runs = new Map<string, number>()
  let expected = 0
  let allDone = () => {}
  const done = new Promise<void>((resolve) => (allDone = resolve))
  const note = (name: string) => {
    runs.set(name, (runs.get(name) ?? 0) + 1)
    if (expected > 0 && runs.size >= expected) allDone()
  }
  const { agendas, stop } = await pair(
    db,
    (agenda) => {
      agenda.define('once', async (job: any) => note(`once ${job.attrs.data.i}`))
      agenda.define('later', async () => note('later'))
      agenda.define('often', async () => note('often'))
      agenda.define('unique', async () => note('unique'))
    },
    // Asked for later, agenda's `every` takes the lock away from a run that is under way in the other one.
    (agenda) => agenda.every('1 hour', 'often')
  )
  await Promise.all(Array.from({ length: 80 }, (_, i) => agendas[i % 2].now('once', { i })))
  await agendas[0].schedule(new Date(Date.now() + 200), 'later', {})
  const due = new Date(Date.now() + 500) // the same for both: the second only finds the first's job
  for (const agenda of agendas) {
    await agenda.create('unique', { person: 1 }).unique({ 'data.person': 1 }).schedule(due).save()
  }
  t.equal(await db.collection('agendaJobs').countDocuments({ name: 'unique' }), 1)
  t.equal(await db.collection('agendaJobs').countDocuments({ name: 'often' }), 1)
  expected = 83
  if (runs.size < expected) await done
  await stop()
  t.same(
    [...runs].filter(([, times]) => times !== 1),
    [],
    'no double runs'
  )
  t.equal(await db.collection('agendaJobs').countDocuments({ lastFinishedAt: null }), 0)
  const { jobs, total } = await agendas[0].queryJobs({ name: 'once' })
  t.ok(jobs.length > 0 && total >= 80)
})

t.test('a job that comes again and again never runs beside itself', async (t) => {
  const { db } = await withServer(t)
  let inside = 0
  let most = 0
  const starts: number[] = []
  let enough = () => {}
  const done = new Promise<void>((resolve) => (enough = resolve))
  const { stop } = await pair(
    db,
    (agenda) => {
      agenda.define('tick', async (job: any) => {
        most = Math.max(most, ++inside)
        starts.push(job.attrs.lastRunAt.getTime())
        await db.collection('ticks').insertOne({ at: job.attrs.lastRunAt })
        inside--
        if (starts.length === 6) enough()
      })
    },
    (agenda) => agenda.every('0.1 seconds', 'tick')
  )
  await done
  await stop()
  t.equal(most, 1, 'one at a time')
  t.equal(new Set(starts).size, starts.length, 'and each time once')
  t.equal(await db.collection('agendaJobs').countDocuments({ name: 'tick' }), 1)
  t.equal(await db.collection('ticks').countDocuments(), starts.length)
})

t.test('a lock holds while it lasts, and no longer', async (t) => {
  const { db } = await withServer(t)
  const ran: string[] = []
  let enough = () => {}
  const done = new Promise<void>((resolve) => (enough = resolve))
  // Jobs as a scheduler left them that died at work: one just now, the other longer ago than a lock may last.
  const jobs = db.collection<any>('agendaJobs')
  const now = Date.now()
  await jobs.insertMany(
    [now, now - LOCK_MS - 1_000].map((lockedAt, i) => ({
      name: 'left',
      data: { i },
      type: 'normal',
      priority: 0,
      nextRunAt: new Date(now - 60_000),
      lockedAt: new Date(lockedAt)
    }))
  )
  const { agendas, stop } = await pair(db, (agenda) => {
    agenda.define('left', async (job: any) => void ran.push(`left ${job.attrs.data.i}`))
    agenda.define('last', async () => (ran.push('last'), enough()))
  })
  await agendas[0].now('last')
  await done
  while (!ran.includes('left 1')) await new Promise((resolve) => setImmediate(resolve))
  const held = await jobs.findOne({ name: 'left', 'data.i': 0 })
  await stop()
  if (Date.now() - now < LOCK_MS) {
    t.same(ran.sort(), ['last', 'left 1'])
    t.equal(held.lockedAt.getTime(), now)
  }
  t.equal(ran.filter((one) => one === 'left 1').length, 1, 'one scheduler took over, not both')
})

t.test('jobs are found, cancelled and purged', async (t) => {
  const { db } = await withServer(t)
  const { agendas, stop } = await pair(db, (agenda) => agenda.define('later', async () => {}))
  await Promise.all([1, 2, 3].map((n) => agendas[n % 2].schedule('in 1 hour', 'later', { n })))
  const { jobs, total } = await agendas[1].queryJobs({ name: 'later', limit: 2 })
  t.same([jobs.length, total], [2, 3])
  t.equal(await agendas[0].cancel({ name: 'later', data: { n: 2 } }), 1)
  t.equal(await agendas[1].cancel({ name: 'later' }), 2)
  t.equal(await db.collection('agendaJobs').countDocuments(), 0)
  await stop()
})

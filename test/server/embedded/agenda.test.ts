import { Agenda } from 'agenda'
import { MongoBackend } from '@agendajs/mongo-backend'
import type { Db } from 'mongodb'
import t from 'tap'
import { withStore } from './with-store.js'

/** Long for these jobs, short for a test: agenda keeps a timer of half of it for each job it ran. */
const LOCK_MS = 3_000

/** Two schedulers that know of one another only through the store. */
async function pair(db: Db, define: (agenda: Agenda) => void) {
  const agendas = ['one', 'two'].map((name) => {
    const backend = new MongoBackend({ mongo: db as never, collection: 'agendaJobs' })
    const agenda = new Agenda({ backend, name, processEvery: 25, defaultConcurrency: 5, defaultLockLifetime: LOCK_MS })
    define(agenda)
    return agenda
  })
  for (const agenda of agendas) await agenda.start()
  return { agendas, stop: () => Promise.all(agendas.map((agenda) => agenda.drain())) }
}

t.test('two schedulers on one store run each job once', async (t) => {
  const { db } = await withStore(t)
  const runs = new Map<string, number>()
  let expected = 0
  let allDone = () => {}
  const done = new Promise<void>((resolve) => (allDone = resolve))
  const note = (name: string) => {
    runs.set(name, (runs.get(name) ?? 0) + 1)
    if (expected > 0 && runs.size >= expected) allDone()
  }
  const { agendas, stop } = await pair(db, (agenda) => {
    agenda.define('once', async (job: any) => note(`once ${job.attrs.data.i}`))
    agenda.define('later', async () => note('later'))
    agenda.define('often', async () => note('often'))
    agenda.define('unique', async () => note('unique'))
  })
  await Promise.all(Array.from({ length: 80 }, (_, i) => agendas[i % 2].now('once', { i })))
  await agendas[0].schedule(new Date(Date.now() + 200), 'later', {})
  await Promise.all(agendas.map((agenda) => agenda.every('1 hour', 'often')))
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

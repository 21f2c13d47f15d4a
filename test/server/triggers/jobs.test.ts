import t from 'tap'
import { triggerJobs } from '../../../server/triggers/jobs.js'
import { openStore } from '../campaigns/rooms.js'
import { arranged, minutes, onEvent } from './processes.js'

const store = await openStore(t)

t.test('the jobs', async (t) => {
  t.test('decide what is due each second', async (t) => {
    const { jobs, triggers, did, post, clock, waits, db } = await arranged(store, t, onEvent({ delayMs: 60_000 }))
    await triggerJobs({ jobs, triggers })
    t.match(await db.collection('agendaJobs').findOne({ name: 'waits.due' }), { type: 'single', repeatInterval: 1_000 })
    await post([did('a')])
    clock.set(minutes(1))
    await jobs.run('waits.due')
    t.same(await waits(), ['fired'])
    t.equal(await db.collection('agendaJobs').countDocuments({ name: 'waits.help' }), 0, 'alone')
  })

  t.test('ask others for help with more than one can take at once, and no more than two', async (t) => {
    const { jobs, triggers, crowd, did, post, clock, rows, db } = await arranged(
      store,
      t,
      onEvent({ delayMs: 60_000, key: 'n' })
    )
    await triggerJobs({ jobs, triggers })
    await post(Array.from({ length: 1_100 }, (_, n) => did('a', { n }, { who: n % crowd.length })))
    clock.set(minutes(1))
    await Promise.all([jobs.run('waits.due'), jobs.run('waits.help'), jobs.run('waits.help')])
    t.equal((await rows()).length, 1_100)
    t.equal(await triggers.waits.countDocuments({ state: 'fired' }), 1_100)
    await jobs.run('waits.due')
    t.equal(await db.collection('agendaJobs').countDocuments({ name: 'waits.help' }), 2)
  })
})

import t from 'tap'
import type { Trigger } from '../../../shared/trigger.js'
import { arranged, work } from './arranged.js'
import { openStore } from './rooms.js'

const store = await openStore(t)

/** The rooms' clocks begin at 01:00 UTC on 2 March 2026: nine in the morning, in Shanghai. */
const DAILY: Trigger = {
  kind: 'recurring',
  from: new Date('2026-03-01T00:00:00Z'),
  zone: 'Asia/Shanghai',
  every: 'day',
  times: ['10:00', '18:00']
}
const at = (text: string) => new Date(`2026-03-${text}:00Z`)
/** For `t.match`, which compares no two Dates. */
const iso = (text: string) => at(text).toISOString()

t.test('a recurring campaign', async (t) => {
  t.test('sends at each of its times, each person once a run, and ends with its last', async (t) => {
    const trigger = { ...DAILY, until: at('03T02:00') }
    const arrangement = await arranged(store, t, 3, { trigger })
    const { campaigns, clock, id, rows, messages } = arrangement
    t.match(await campaigns.check(id), {
      ready: true,
      nextRuns: [iso('02T02:00'), iso('02T10:00'), iso('03T02:00')],
      forecast: { matched: 3 }
    })
    await campaigns.activate(id)
    t.match(await campaigns.get(id), { state: 'online', nextAt: iso('02T02:00'), runId: null })
    for (const [time, runs] of [
      ['02T01:59', 0],
      ['02T02:00', 1],
      ['02T10:00', 2],
      ['03T02:00', 3]
    ] as const) {
      clock.set(at(time))
      await campaigns.tick()
      await work(arrangement)
      t.equal((await rows()).length, 3 * runs, time)
    }
    const all = await messages.runs.ofCampaign(id)
    t.same(
      all.map((run) => run.instant),
      [at('03T02:00'), at('02T10:00'), at('02T02:00')]
    )
    t.match(await campaigns.get(id), { state: 'online', nextAt: null }, 'its last run is not over')
    await messages.runs.rows.updateMany({ instant: { $gt: at('02T02:00') } }, { $set: { state: 'finished' } })
    await campaigns.tick()
    t.match(await campaigns.get(id), { state: 'online' }, 'nor is its first')
    await messages.runs.rows.updateMany({}, { $set: { state: 'finished' } })
    await campaigns.tick()
    t.match(await campaigns.get(id), { state: 'finished', stateReason: null })
  })

  t.test('starts the last of several runs that came due while nobody was there, and tells the others', async (t) => {
    const { campaigns, clock, id, messages, rows } = await arranged(store, t, 2, { trigger: DAILY })
    await campaigns.activate(id)
    clock.set(at('04T10:30'))
    await campaigns.tick()
    const all = await messages.runs.ofCampaign(id)
    t.same(
      all.map(({ instant, state }) => [instant, state === 'missed']),
      [
        [at('04T10:00'), false],
        [at('04T02:00'), true],
        [at('03T10:00'), true],
        [at('03T02:00'), true],
        [at('02T10:00'), true],
        [at('02T02:00'), true]
      ]
    )
    t.equal((await rows()).length, 2)
    t.match(await campaigns.get(id), { state: 'online', nextAt: iso('05T02:00') })
  })

  t.test('misses a run that nobody was there for in time, and stays online', async (t) => {
    const { campaigns, clock, id, messages, rows } = await arranged(store, t, 2, { trigger: DAILY, missed: 'skip' })
    await campaigns.activate(id)
    clock.set(at('02T02:02'))
    await campaigns.tick()
    t.match(await messages.runs.ofCampaign(id), [{ state: 'missed', instant: iso('02T02:00') }])
    t.same(await rows(), [])
    t.match(await campaigns.get(id), { state: 'online', nextAt: iso('02T10:00') })
  })

  t.test('does not call a run missed that another scheduler has started', async (t) => {
    const { campaigns, clock, id, messages, start } = await arranged(store, t, 2, { trigger: DAILY })
    await campaigns.activate(id)
    clock.set(at('02T02:00'))
    const seen = await campaigns.get(id)
    await campaigns.tick()
    const rival = start()
    await rival.campaigns.rows.updateOne({ _id: id }, { $set: { nextAt: seen.nextAt } }) // as one who read it before
    clock.set(at('02T10:00'))
    await rival.campaigns.tick()
    t.match(await messages.runs.ofCampaign(id), [{ state: 'sending' }, { state: 'sending' }])
  })

  t.test('opens one run a time, whatever three schedulers do at once', async (t) => {
    const arrangement = await arranged(store, t, 5, { trigger: DAILY })
    const { campaigns, clock, id, rows, messages, start } = arrangement
    await campaigns.activate(id)
    const rivals = [campaigns, start().campaigns, start().campaigns]
    for (const time of ['02T02:00', '02T10:00']) {
      clock.set(at(time))
      await Promise.all(rivals.map((each) => each.tick()))
      await work(arrangement)
    }
    t.equal((await messages.runs.ofCampaign(id)).length, 2)
    t.equal((await rows()).length, 10)
  })

  t.test('owes nothing for the time it was paused, and takes new times', async (t) => {
    const { campaigns, clock, id, messages } = await arranged(store, t, 2, { trigger: DAILY })
    await campaigns.activate(id)
    await campaigns.pause(id)
    clock.set(at('02T10:30'))
    await campaigns.tick()
    await campaigns.patch(id, { trigger: { ...DAILY, times: ['19:00'] } as Trigger })
    await campaigns.resume(id)
    t.match(await campaigns.get(id), { state: 'online', nextAt: iso('02T11:00') })
    t.same(await messages.runs.ofCampaign(id), [])
    clock.set(at('02T11:00'))
    await campaigns.tick()
    t.match(await messages.runs.ofCampaign(id), [{ instant: iso('02T11:00'), state: 'sending' }])
  })

  t.test('takes the audience of each time anew', async (t) => {
    const { campaigns, clock, id, audiences, audience, rows, people, accountId } = await arranged(store, t, 2, {
      trigger: DAILY
    })
    await campaigns.activate(id)
    clock.set(at('02T02:00'))
    await campaigns.tick()
    const late = await people.recipient(accountId, 'open-late')
    await people.patch(late.personId, { attributes: { name: '新人' } })
    await audiences.patch(audience.id, { rule: { attribute: 'name', op: 'eq', value: '新人' } })
    clock.set(at('02T10:00'))
    await campaigns.tick()
    t.same((await rows({ recipientId: late.id })).length, 1)
    t.equal((await rows()).length, 3)
  })

  t.test('with no time left is not ready', async (t) => {
    const { campaigns, id } = await arranged(store, t, 1, { trigger: { ...DAILY, until: at('02T00:30') } })
    t.match(await campaigns.check(id), {
      ready: false,
      problems: [{ pointer: '/trigger/until', code: 'trigger.past' }]
    })
    await t.rejects(campaigns.activate(id), { code: 'campaigns.not-ready' })
  })

  t.test('whose expansion lost its job gets another', async (t) => {
    const { campaigns, clock, id, db, rows, jobs, messages, start } = await arranged(store, t, 1_500, {
      trigger: DAILY
    })
    await campaigns.activate(id)
    clock.set(at('02T02:00'))
    await campaigns.tick()
    t.equal((await rows()).length, 1_000, 'the first slice')
    await db.collection('agendaJobs').deleteMany({ type: 'normal' })
    clock.advance(61_000)
    await start().campaigns.tick()
    await work({ db, jobs })
    t.equal((await rows()).length, 1_500)
    t.match(await messages.runs.ofCampaign(id), [{ state: 'sending' }])
  })
})

import t from 'tap'
import type { CampaignCreate } from '../../../shared/campaign.js'
import { openStore } from '../campaigns/rooms.js'
import { arranged as arrange, onEvent, told } from './processes.js'

const store = await openStore(t)
type Arranged = Parameters<typeof arrange>
const arranged = (t: Arranged[1], trigger: Arranged[2], more: Partial<CampaignCreate> = {}, people = 3) =>
  arrange(store, t, trigger, more, people)

const MINUTE = 60_000
const HOUR = 60 * MINUTE
const DAY = 24 * HOUR

t.test('an appointment', async (t) => {
  const trigger = onEvent({
    event: 'booked',
    before: { property: 'startsAt', ms: HOUR },
    cancelOn: { event: 'called_off' },
    key: 'appointment'
  })
  const booked = { appointment: 'A1', startsAt: '2026-03-02T14:00:00+08:00' } // 300 minutes after nine
  const arrangedAppointment = (t: Arranged[1], more: Partial<CampaignCreate> = {}) =>
    arranged(t, trigger, { scene: 'appointment', ...more })

  t.test('is told of an hour before', async (t) => {
    const { did, post, at, rows, waits } = await arrangedAppointment(t)
    await post([did('booked', booked)])
    await at(239.9)
    t.same(await rows(), [])
    await at(240)
    t.match(await rows(), [{ dueAt: told(240), notAfter: told(245) }])
    t.same(await waits(), ['fired'])
  })

  t.test('that is moved is told of an hour before its new time only', async (t) => {
    const { did, post, at, rows, waits } = await arrangedAppointment(t)
    await post([did('booked', booked)])
    await at(100)
    await post([did('booked', { ...booked, startsAt: '2026-03-02T16:00:00+08:00' })])
    await at(240)
    t.same(await rows(), [])
    await at(360)
    t.match(await rows(), [{ dueAt: told(360) }])
    t.same(await waits(), ['stopped by booked', 'fired'])
  })

  t.test('that is moved closer is told of an hour before that', async (t) => {
    const { did, post, at, rows } = await arrangedAppointment(t)
    await post([did('booked', booked)])
    await at(100)
    await post([did('booked', { ...booked, startsAt: '2026-03-02T12:00:00+08:00' })])
    for (const minute of [120, 240, 300]) await at(minute)
    t.match(await rows(), [{ dueAt: told(120) }])
  })

  t.test('that is moved while its reminder waits for a right takes that back', async (t) => {
    const { did, post, at, waits } = await arrangedAppointment(t)
    await post([did('booked', booked)])
    await at(240)
    await at(241)
    await post([did('booked', { ...booked, startsAt: '2026-03-02T16:00:00+08:00' })])
    t.same(await waits(), ['fired by booked', 'waiting'])
  })

  t.test('that is moved to a time nobody can read is not told of at the old one', async (t) => {
    const { did, post, at, rows, waits } = await arrangedAppointment(t)
    await post([did('booked', booked)])
    await at(100)
    await post([did('booked', { ...booked, startsAt: 'later' })])
    await at(240)
    t.same(await rows(), [])
    t.same(await waits(), ['stopped by booked', 'dropped noInstant'])
  })

  t.test('that is called off is not told of, another one is', async (t) => {
    const { did, post, at, rows, waits } = await arrangedAppointment(t)
    await post([did('booked', booked), did('booked', { ...booked, appointment: 'A2' })])
    await at(200)
    await post([did('called_off', { appointment: 'A1' })])
    await at(240)
    t.same((await waits()).sort(), ['fired', 'stopped by called_off'])
    t.equal((await rows()).length, 1)
  })

  t.test('booked after its reminder was due is told of at once, if the scene tolerates that', async (t) => {
    const { did, post, at, rows, waits } = await arrangedAppointment(t)
    await at(244)
    await post([did('booked', booked)])
    t.match(await rows(), [{ dueAt: told(244), notAfter: told(245) }])
    await post([did('booked', { ...booked, startsAt: '2026-03-02T13:58:00+08:00' }, { who: 1 })])
    t.same((await waits()).sort(), ['dropped late', 'fired'])
  })

  t.test('that has begun is not told of, however late a message may be', async (t) => {
    const { did, post, at, rows, waits } = await arrangedAppointment(t, { lifeMs: DAY })
    await at(299)
    await post([did('booked', booked)])
    t.match(await rows(), [{ notAfter: told(300) }])
    await at(301)
    await post([did('booked', booked, { who: 1 })])
    t.same(await waits(), ['fired', 'dropped late'])
    t.equal((await rows()).length, 1)
  })

  t.test('in more than a year is dropped, for all to see', async (t) => {
    const { did, post, waits } = await arrangedAppointment(t)
    await post([did('booked', { ...booked, startsAt: '2027-03-03T14:00:00+08:00' })])
    t.same(await waits(), ['dropped tooFar'])
  })
})

import t from 'tap'
import type { CampaignCreate } from '../../../shared/campaign.js'
import { openStore } from '../campaigns/rooms.js'
import { arranged as arrange, minutes, notFollowed, onEvent, told } from './processes.js'

const store = await openStore(t)
type Arranged = Parameters<typeof arrange>
const arranged = (t: Arranged[1], trigger: Arranged[2], more: Partial<CampaignCreate> = {}, people = 3) =>
  arrange(store, t, trigger, more, people)

const MINUTE = 60_000
const HOUR = 60 * MINUTE
const DAY = 24 * HOUR

t.test('a wait', async (t) => {
  t.test('is for members: when the event comes, and again when it is due', async (t) => {
    const { campaigns, audiences, people, wanted, crowd, did, post, at, rows, triggers } = await arranged(
      t,
      onEvent({ event: 'other' })
    )
    const audience = await audiences.create({ name: 'a', rule: { attribute: 'city', op: 'eq', value: '上海' } })
    const made = await campaigns.create({ ...wanted, audienceId: audience.id, trigger: notFollowed() })
    await campaigns.activate(made._id)
    await people.patch(crowd[2]!.personId, { attributes: { city: '上海' } })
    await post([0, 1, 2].map((who) => did('a', {}, { who })))
    const all = () => triggers.waits.find({ campaignId: made._id }).sort({ state: 1 }).toArray()
    t.equal((await all()).length, 2)
    await people.patch(crowd[2]!.personId, { attributes: { city: '北京' } })
    await people.patch(crowd[0]!.personId, { attributes: { city: '上海' } })
    await at(31)
    t.match(await all(), [{ state: 'dropped', reason: 'notInAudience' }, { state: 'fired' }])
    t.match(await rows(), [{ recipientId: crowd[1]!.id }])
  })

  t.test('enters the campaign when it is due, so that one that was replaced uses no entry up', async (t) => {
    const { did, post, at, waits } = await arranged(t, onEvent({ delayMs: HOUR, reentry: { perDays: 7 } }))
    await post([did('a')])
    await at(30)
    await post([did('a')])
    await at(90)
    await at(100)
    await post([did('a')])
    await at(160)
    t.same(await waits(), ['stopped by a', 'fired', 'dropped reentry'])
    await at(90 + 7 * 1440 - 60)
    await post([did('a')])
    await at(90 + 7 * 1440)
    t.equal((await waits()).at(-1), 'fired')
  })

  t.test('that came due first enters first, also when many are decided together', async (t) => {
    const { did, post, at, triggers, clock } = await arranged(
      t,
      onEvent({ delayMs: HOUR, key: 'order', reentry: 'once' })
    )
    for (const order of [1, 2, 3, 4, 5, 6]) {
      clock.set(minutes(order))
      await post([did('a', { order })])
    }
    await at(100)
    t.match(await triggers.waits.find({ state: 'fired' }).toArray(), [{ key: '1' }])
    t.equal(await triggers.waits.countDocuments({ reason: 'reentry' }), 5)
  })

  t.test('of somebody erased is over', async (t) => {
    const { did, post, at, rows, waits, people, crowd, triggers } = await arranged(t, notFollowed({ key: 'order' }))
    await post([did('a', { order: 'secret' }), did('a', { order: 'secret' }, { who: 1 })])
    await people.erase(crowd[0]!.personId)
    t.same((await waits()).sort(), ['dropped erased', 'waiting'])
    t.match(await triggers.waits.findOne({ reason: 'erased' }), { personId: null, key: null })
    await at(40)
    t.match(await rows(), [{ personId: crowd[1]!.personId }])
  })

  t.test('of a paused campaign fires when it goes on, if that is in time', async (t) => {
    const { did, post, at, rows, waits, campaigns, id, crowd } = await arranged(t, notFollowed(), { lifeMs: HOUR })
    await post([did('a')])
    await at(5)
    await campaigns.pause(id)
    await at(10)
    await post([did('a', {}, { who: 1 }), did('a', {}, { who: 2 })])
    await at(20)
    await post([did('b', {}, { who: 2 })])
    for (const minute of [31, 60, 91]) await at(minute)
    t.same((await waits()).sort(), ['dropped late', 'stopped by b', 'waiting'])
    t.same(await rows(), [])
    await campaigns.resume(id)
    await at(91)
    t.same((await waits()).sort(), ['dropped late', 'fired', 'stopped by b'])
    t.match(await rows(), [{ recipientId: crowd[1]!.id, notAfter: told(41 + 60) }])
  })

  t.test('of a cancelled campaign is over, also where nobody was told', async (t) => {
    const world = await arranged(t, notFollowed())
    const { did, post, at, rows, waits, campaigns, wanted, id, triggers } = world
    const other = await campaigns.create(wanted)
    await campaigns.activate(other._id)
    await post([did('a')])
    await campaigns.cancel(id)
    t.same(await waits(), ['dropped cancelled'])
    await campaigns.rows.updateOne({ _id: other._id }, { $set: { state: 'cancelled' } }) // as by one who died then
    await at(31)
    t.match(await triggers.waits.findOne({ campaignId: other._id }), { state: 'dropped', reason: 'cancelled' })
    t.same(await rows(), [])
  })

  t.test('keeps waiting where its message would stop the campaign', async (t) => {
    const { did, post, at, rows, waits, campaigns, people, id, crowd, clock } = await arranged(t, notFollowed(), {
      missingVariable: 'stop'
    })
    await post([did('a'), did('a', {}, { who: 1 })])
    await people.patch(crowd[0]!.personId, { attributes: { name: null } })
    await people.patch(crowd[1]!.personId, { attributes: { name: null } })
    await at(31)
    t.match(await campaigns.get(id), { state: 'paused', stateReason: /^missingVariable thing1/ })
    t.same(await waits(), ['waiting', 'waiting'])
    for (const who of [0, 1]) await people.patch(crowd[who]!.personId, { attributes: { name: '有' } })
    await campaigns.resume(id)
    clock.advance(1_000)
    await at(32)
    t.same(await waits(), ['fired', 'fired'])
    t.equal((await rows()).length, 2)
  })

  t.test('files by the day its moment falls on, in a run that is open for it', async (t) => {
    const { did, post, at, rows, messages, id } = await arranged(t, onEvent({ delayMs: 20 * HOUR }), {
      lifeMs: 2 * DAY
    })
    await post([did('a')])
    await at(20 * 60 + 2 * 1440 - 1) // two days late
    const [row] = await rows()
    t.match(await messages.runs.ofCampaign(id), [
      {
        _id: row!.runId,
        instant: '2026-03-02T16:00:00Z',
        openUntil: '2026-03-05T22:00:00Z'
      }
    ])
  })

  t.test('comes to the same message and run when it is decided again after midnight', async (t) => {
    const { did, post, at, rows, messages, id, triggers } = await arranged(t, onEvent({ delayMs: HOUR }))
    await post([did('a')])
    await at(60)
    await triggers.waits.updateMany({}, { $set: { state: 'waiting', lookAt: minutes(60) } }) // as after a lost mark
    await at(16 * 60)
    t.equal((await rows()).length, 1)
    t.equal((await messages.runs.ofCampaign(id)).length, 1)
  })

  t.test('is kept a month after its message could have gone', async (t) => {
    const { did, post, triggers } = await arranged(t, onEvent({ delayMs: 40 * DAY }), { lifeMs: DAY })
    await post([did('a')])
    t.match(await triggers.waits.findOne(), { expireAt: told((40 + 1 + 30) * 1440) })
  })
})

t.test('a campaign that waits', async (t) => {
  t.test('cannot be given a key others waited without, nor windows beyond what is kept', async (t) => {
    const { campaigns, wanted, id } = await arranged(t, notFollowed())
    await campaigns.pause(id)
    await t.rejects(campaigns.patch(id, { trigger: notFollowed({ key: 'order' }) }), {
      code: 'campaigns.trigger-fixed'
    })
    await t.rejects(campaigns.patch(id, { trigger: onEvent() }), { code: 'campaigns.trigger-fixed' })
    await campaigns.patch(id, { trigger: notFollowed({ withinMs: HOUR }) })
    const far = onEvent({ event: '$push:scan', delayMs: 24 * DAY })
    const fault = { errors: [{ pointer: '/trigger/delayMs', code: 'trigger.window' }] }
    await t.rejects(campaigns.create({ ...wanted, trigger: far }), fault)
    await campaigns.rows.updateOne({ _id: id }, { $set: { trigger: far } }) // as of an older version
    t.match(await campaigns.check(id), { ready: false, problems: fault.errors })
  })

  t.test('with conditions nothing can meet is refused, wherever they stand', async (t) => {
    const { campaigns, wanted } = await arranged(t, notFollowed())
    const where = { n: { in: 7 } } as never
    for (const [trigger, pointer] of [
      [notFollowed({ where }), '/trigger/where/n/in'],
      [onEvent({ where }), '/trigger/where/n/in'],
      [onEvent({ cancelOn: { event: 'c', where } }), '/trigger/cancelOn/where/n/in']
    ] as const) {
      await t.rejects(campaigns.create({ ...wanted, trigger }), { errors: [{ pointer }] })
    }
  })
})

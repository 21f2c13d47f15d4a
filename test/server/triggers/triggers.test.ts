import t from 'tap'
import type { CampaignCreate } from '../../../shared/campaign.js'
import type { Trigger } from '../../../shared/trigger.js'
import type { EventRow } from '../../../server/events/events.js'
import { reentryUpdate } from '../../../server/triggers/reentry.js'
import { CONTENT, openStore } from '../campaigns/rooms.js'

const store = await openStore(t)
const backend = { kind: 'key' as const, id: 'k' }
const DAY_MS = 86_400_000

/** Rooms with an account, three people of it, and a campaign online that answers `bought`. */
async function arranged(
  t: Parameters<typeof store.rooms>[0],
  trigger: Partial<Trigger & { kind: 'event' }> = {},
  more: Partial<CampaignCreate> = {}
) {
  const rooms = await store.rooms(t)
  const account = await rooms.account()
  const crowd = await rooms.crowd(account.id, [{ name: '甲' }, { name: '乙', city: '上海' }, {}])
  const wanted: CampaignCreate = {
    name: '下单',
    accountId: account.id,
    templateId: 'T',
    lane: 'transactional',
    trigger: { kind: 'event', event: 'bought', reentry: 'each', ...trigger },
    content: CONTENT,
    missingVariable: 'skip',
    waitForCredential: true,
    ...more
  }
  const campaign = await rooms.campaigns.create(wanted)
  await rooms.campaigns.activate(campaign._id)
  let n = 0
  const event = (who: number, properties: EventRow['properties'] = { amount: 8 }, also: object = {}) => ({
    id: `e${n++}`,
    name: 'bought',
    at: rooms.clock.now(),
    properties,
    personId: crowd[who]!.personId,
    recipientId: null,
    ...also
  })
  const post = async (...items: ReturnType<typeof event>[]) => {
    await rooms.events.intake(backend, null, items)
    await rooms.events.idle()
  }
  return { ...rooms, accountId: account.id, crowd, id: campaign._id, wanted, event, post }
}

t.test('an event', async (t) => {
  t.test('becomes one message for its person, with what it brought along', async (t) => {
    const { event, post, rows, crowd, clock, id, accountId, messages } = await arranged(t)
    const now = clock.now()
    await post(event(1, { amount: 120 }, { at: new Date(now.getTime() - 60_000) }), event(0, {}, { name: 'left' }))
    const [row, ...others] = await rows()
    t.same(others, [])
    t.match(row, {
      accountId,
      recipientId: crowd[1]!.id,
      personId: crowd[1]!.personId,
      campaignId: id,
      state: 'planned',
      lane: 'transactional',
      channel: 'subscribe',
      data: { thing1: { value: '乙的订单' }, amount2: { value: '120' } },
      dueAt: now.toISOString(), // t.match compares dates with texts only
      notAfter: new Date(now.getTime() - 60_000 + DAY_MS).toISOString(),
      waitForCredential: true
    })
    t.match(await messages.runs.ofCampaign(id), [{ _id: row!.runId, state: 'sending' }])
  })

  t.test('that does not meet the conditions becomes nothing', async (t) => {
    const { event, post, rows } = await arranged(t, { where: { amount: { gte: 100 }, city: '上海' } })
    await post(event(0, { amount: 100 }), event(0, { city: '上海' }), event(0, { amount: 99, city: '上海' }))
    t.same(await rows(), [])
    await post(event(0, { amount: 100, city: '上海' }))
    t.equal((await rows()).length, 1)
  })

  t.test('of somebody outside the audience becomes nothing', async (t) => {
    const { event, post, rows, crowd, campaigns, audiences, wanted } = await arranged(t, { event: 'other' })
    const audience = await audiences.create({ name: 'a', rule: { attribute: 'city', op: 'eq', value: '上海' } })
    const trigger: Trigger = { kind: 'event', event: 'bought', reentry: 'each' }
    const made = await campaigns.create({ ...wanted, audienceId: audience.id, trigger })
    await campaigns.activate(made._id)
    await post(event(0), event(1))
    t.match(await rows(), [{ recipientId: crowd[1]!.id }])
  })

  t.test('of somebody the account does not know, or whose text has holes, is filed as skipped', async (t) => {
    const { event, post, rows, people, crowd } = await arranged(t)
    const stranger = await people.identify({ externalId: 's', attributes: { name: '客' } })
    await post(event(0, {}, { personId: stranger.id }), event(2), event(1, { amount: 'viel' }))
    const all = await rows()
    const of = (personId: string) => all.find((row) => row.personId === personId)
    t.match(of(stranger.id), { state: 'skipped', reason: 'notInAccount', recipientId: null })
    t.match(of(crowd[2]!.personId), { state: 'skipped', reason: 'missingVariable', detail: /^thing1/ })
    t.match(of(crowd[1]!.personId), { state: 'skipped', reason: 'invalidValue', detail: 'amount2: amount' })
  })

  t.test('of nobody, or of somebody erased, becomes nothing and is done', async (t) => {
    const { event, post, rows, people, crowd, events } = await arranged(t)
    await people.erase(crowd[0]!.personId)
    await post(event(0), event(1, {}, { personId: null }))
    t.same(await rows(), [])
    t.equal(await events.rows.countDocuments({ todo: true }), 0)
  })

  t.test('under an id a person had before a merge reaches them', async (t) => {
    const { event, post, rows, people, crowd, clock, accountId } = await arranged(t)
    clock.advance(1_000)
    const young = await people.identify({ externalId: 'y' })
    await people.identify({ externalId: 'y', accountId, openId: 'open-1' })
    await post(event(0, {}, { personId: young.id }))
    t.match(await rows(), [{ recipientId: crowd[1]!.id, personId: crowd[1]!.personId }])
  })

  t.test('that only names a recipient reaches its person', async (t) => {
    const { event, post, rows, crowd, accountId, events } = await arranged(t)
    await events.intake({ kind: 'phone', id: crowd[1]!.id }, accountId, [
      event(0, {}, { personId: null, recipientId: crowd[1]!.id })
    ])
    await post()
    t.match(await rows(), [{ recipientId: crowd[1]!.id, personId: crowd[1]!.personId }])
  })

  t.test('answers every campaign that waits for it, and none that is paused or cancelled', async (t) => {
    const { event, post, rows, campaigns, id, wanted } = await arranged(t)
    const other = await campaigns.create(wanted)
    await campaigns.activate(other._id)
    await post(event(1))
    t.equal((await rows()).length, 2)
    await campaigns.pause(id)
    await post(event(1))
    t.equal((await rows()).length, 3)
    await campaigns.resume(id)
    await campaigns.cancel(other._id)
    await post(event(1))
    t.same((await rows({ state: 'planned' })).map((row) => row.campaignId).sort(), [id, id])
  })
})

t.test('the same event', async (t) => {
  t.test('posted twice is one message', async (t) => {
    const { event, post, rows } = await arranged(t)
    const one = event(1)
    await post(one)
    await post(one)
    t.equal((await rows()).length, 1)
  })

  t.test('applied twice, in two processes at once, and after midnight is one message of one run', async (t) => {
    const { event, post, rows, events, triggers, start, clock, id, messages } = await arranged(t)
    await post(event(0), event(1))
    const stored = await events.rows.find().toArray()
    const rivals = [triggers, start().triggers, start().triggers]
    await Promise.all(rivals.map((each) => each.consume(stored)))
    clock.advance(DAY_MS)
    await start().triggers.consume(stored)
    t.equal((await rows()).length, 2)
    t.equal((await messages.runs.ofCampaign(id)).length, 1)
  })

  t.test('comes again after a crash between its message and its being done', async (t) => {
    const { event, rows, events, start, clock } = await arranged(t, { reentry: 'once' })
    const update = events.rows.updateMany
    events.rows.updateMany = () => Promise.reject(new Error('killed'))
    await events.intake(backend, null, [event(0), event(1)])
    await events.idle()
    events.rows.updateMany = update
    t.equal(await events.rows.countDocuments({ todo: true }), 2)
    t.equal((await rows()).length, 2)
    clock.advance(2_000)
    const next = start()
    t.equal(await next.events.sweep(), 2)
    t.equal((await rows()).length, 2, 'and its own entry does not keep it out')
    t.equal(await events.rows.countDocuments({ todo: true }), 0)
  })

  t.test('comes again after a crash before its message', async (t) => {
    const { event, rows, events, start, clock, messages } = await arranged(t, { reentry: 'once' })
    messages.plan = () => Promise.reject(new Error('killed'))
    await events.intake(backend, null, [event(0)])
    await events.idle()
    t.same(await rows(), [])
    clock.advance(4_000)
    await start().events.sweep()
    t.equal((await rows()).length, 1)
  })
})

t.test('who was let in', async (t) => {
  t.test('once is not let in again', async (t) => {
    const { event, post, rows, clock } = await arranged(t, { reentry: 'once' })
    await post(event(0), event(0), event(1))
    clock.advance(400 * DAY_MS)
    await post(event(0))
    t.equal((await rows()).length, 2)
  })

  t.test('is let in again after the days the campaign says, by the time of the events', async (t) => {
    const { event, post, rows, clock } = await arranged(t, { reentry: { perDays: 7 } })
    await post(event(0))
    clock.advance(7 * DAY_MS - 1)
    await post(event(0))
    t.equal((await rows()).length, 1)
    clock.advance(1)
    await post(event(0))
    t.equal((await rows()).length, 2)
    await post(event(0, {}, { at: new Date(clock.now().getTime() - 60 * DAY_MS) }))
    t.equal((await rows()).length, 2, 'an old event that comes late is no new entry')
  })

  t.test('by two processes at once is let in once', async (t) => {
    const { event, rows, events, triggers, start, clock } = await arranged(t, { reentry: 'once' })
    await events.stop()
    await events.intake(backend, null, [event(0), event(0), event(0)])
    const [a, b, c] = await events.rows.find().toArray()
    clock.advance(1)
    await Promise.all([triggers.consume([a!]), start().triggers.consume([b!]), start().triggers.consume([c!])])
    t.equal((await rows()).length, 1)
  })

  t.test('is asked for by its event or its age', async (t) => {
    const at = new Date('2026-03-09T00:00:00Z')
    t.same(reentryUpdate('c:r', 'once', 'e', at).filter, { _id: 'c:r', by: 'e' })
    t.same(reentryUpdate('c:r', { perDays: 1 }, 'e', at).filter, {
      _id: 'c:r',
      $or: [{ at: { $lte: new Date('2026-03-08T00:00:00Z') } }, { by: 'e' }]
    })
  })
})

t.test('a campaign', async (t) => {
  t.test('files by the day of Asia/Shanghai, in a run that stays open for latecomers', async (t) => {
    const { event, post, rows, clock, id, messages } = await arranged(t)
    clock.set('2026-03-02T15:59:59Z')
    await post(event(1))
    clock.set('2026-03-02T16:00:00Z')
    await post(event(1))
    t.equal(new Set((await rows()).map((row) => row.runId)).size, 2)
    t.match(await messages.runs.ofCampaign(id), [
      { instant: '2026-03-02T16:00:00Z' },
      { instant: '2026-03-01T16:00:00Z', openUntil: '2026-03-02T22:00:00Z' }
    ])
  })

  t.test('keeps to what its scene tolerates', async (t) => {
    const { event, post, rows, clock } = await arranged(t, {}, { scene: 'payment' })
    await post(event(1))
    t.match(await rows(), [{ notAfter: new Date(clock.now().getTime() + 60_000).toISOString() }])
  })

  t.test('pauses itself where a missing variable is to stop it', async (t) => {
    const { event, post, rows, campaigns, id } = await arranged(t, {}, { missingVariable: 'stop' })
    await post(event(2))
    t.match(await campaigns.get(id), { state: 'paused', stateReason: /^missingVariable thing1/ })
    await post(event(1))
    t.same(await rows(), [])
  })

  t.test('whose audience is gone pauses itself, and the event is done', async (t) => {
    const { event, post, rows, campaigns, audiences, events, id } = await arranged(t)
    const audience = await audiences.create({ name: 'a', rule: { all: [] } })
    await campaigns.pause(id)
    await campaigns.patch(id, { audienceId: audience.id })
    await campaigns.resume(id)
    await audiences.rows.deleteOne({ _id: audience.id })
    await post(event(1))
    t.match(await campaigns.get(id), { state: 'paused', stateReason: 'audienceMissing' })
    t.same(await rows(), [])
    t.equal(await events.rows.countDocuments({ todo: true }), 0)
  })
})

import t, { type Test } from 'tap'
import { templateModels } from '../../../server/templates/model.js'
import { buildTestApp } from '../../support/build-app.js'

const MINUTE = 60_000

/** A server, an account with template `T`, two people of it, and a caller who may do all of this. */
async function arranged(t: Test, trigger: object) {
  const test = await buildTestApp(t, { now: new Date() })
  const account = await test.account()
  await templateModels(test.db).rows.insertOne({
    _id: `${account.id}:T`,
    accountId: account.id,
    templateId: 'T',
    kind: 'subscribe',
    title: '待付款提醒',
    fields: [{ key: 'thing1', name: '商品', type: 'thing' }],
    content: '',
    example: '',
    grantType: 'once',
    choices: {},
    state: 'live',
    syncedAt: test.clock.now(),
    deletedAt: null
  })
  const headers = await test.key(['campaigns:read', 'campaigns:write', 'events:write'])
  const call = async (method: 'GET' | 'POST', url: string, body?: object, as = headers) => {
    const answer = await test.app.inject({ method, url, headers: as, ...(body !== undefined && { payload: body }) })
    return { status: answer.statusCode, body: answer.json() }
  }
  const wanted = {
    name: '待付款提醒',
    accountId: account.appId,
    templateId: 'T',
    lane: 'transactional',
    trigger,
    content: { thing1: '{{ event.item }}' },
    waitForCredential: true
  }
  const post = async (...items: object[]) => {
    const at = test.clock.now().toISOString()
    t.match(
      await call('POST', '/v1/events', { accountId: account.id, items: items.map((item) => ({ at, ...item })) }),
      { status: 202 }
    )
    await test.rooms.events.idle()
  }
  return { ...test, connected: account, call, wanted, post }
}

const TRIGGER = {
  kind: 'notFollowed',
  event: 'order_placed',
  where: { amount: { gte: 100 } },
  missing: 'order_paid',
  withinMs: 30 * MINUTE,
  key: 'orderId'
}

t.test('a backend', async (t) => {
  t.test('sees what a campaign waits with, and what became of it', async (t) => {
    const { call, wanted, post, clock, rooms } = await arranged(t, TRIGGER)
    const made = await call('POST', '/v1/campaigns', wanted)
    t.match(made, { status: 201, body: { trigger: { ...TRIGGER, reentry: 'each' } } })
    const url = `/v1/campaigns/${made.body.id}`
    t.match(await call('POST', `${url}/check`), { body: { ready: true, nextRuns: [] } })
    t.match(await call('POST', `${url}/activate`), { status: 200 })
    t.match(await call('GET', '/v1/campaigns?trigger.kind=notFollowed'), { body: { data: [{ id: made.body.id }] } })
    t.match(await call('GET', '/v1/campaigns?trigger.kind=event'), { body: { data: [] } })

    const order = (id: string, orderId: string) => ({
      id,
      openId: 'open-1',
      name: 'order_placed',
      properties: { amount: 100, orderId, item: '茶' }
    })
    await post(order('1', 'o1'), order('2', 'o2'))
    const paid = clock.now()
    await post({ id: '3', openId: 'open-1', name: 'order_paid', properties: { orderId: 'o1' } })
    clock.advance(31 * MINUTE)
    await post(order('4', 'o3'))
    await rooms.triggers.fireDue()

    const all = await call('GET', `${url}/waits?count=true`)
    t.match(all, { status: 200, body: { page: { total: 3, nextCursor: null } } })
    t.match(all.body.data[0], { key: 'o3', state: 'waiting', reason: null, stoppedBy: null, settledAt: null })
    const ended = all.body.data.slice(1).sort((a: { key: string }, b: { key: string }) => (a.key < b.key ? -1 : 1))
    t.match(ended, [
      {
        key: 'o1',
        state: 'stopped',
        stoppedBy: { name: 'order_paid', at: paid.toISOString() },
        at: paid.toISOString(),
        due: new Date(paid.getTime() + 31 * MINUTE).toISOString()
      },
      { key: 'o2', state: 'fired', stoppedBy: null, settledAt: clock.now().toISOString() }
    ])
    t.match(await call('GET', `${url}/waits?state=fired,waiting`), { body: { data: [{ key: 'o3' }, { key: 'o2' }] } })
    const first = await call('GET', `${url}/waits?limit=2&sort=due`)
    const second = await call('GET', `${url}/waits?limit=2&sort=due&cursor=${first.body.page.nextCursor}`)
    t.equal(first.body.data.length, 2)
    t.match(second.body.data, [{ key: 'o3' }])
    t.match(await call('GET', `${url}/waits?state=open`), { status: 422 })
    t.match(await call('GET', `${url}/waits?sort=key`), { status: 422 })
  })

  t.test('is refused windows and words that cannot be', async (t) => {
    const { call, wanted } = await arranged(t, TRIGGER)
    for (const trigger of [
      { ...TRIGGER, withinMs: 366 * 1440 * MINUTE },
      { ...TRIGGER, within: 5 },
      { ...TRIGGER, missing: '$push:scan', withinMs: 25 * 1440 * MINUTE },
      { kind: 'event', event: 'a', delayMs: 5_000, before: { property: 'p', ms: 60_000 } },
      { kind: 'event', event: 'a', cancelOn: { event: 'b', where: { n: { in: 7 } } } }
    ]) {
      t.match(await call('POST', '/v1/campaigns', { ...wanted, trigger }), { status: 422 })
    }
  })

  t.test('does not see the waits of accounts that are none of its own', async (t) => {
    const { call, wanted, key, connected } = await arranged(t, TRIGGER)
    const made = await call('POST', '/v1/campaigns', wanted)
    const url = `/v1/campaigns/${made.body.id}/waits`
    const other = await key(['campaigns:read'], ['someone-elses'])
    t.match(await call('GET', url, undefined, other), { status: 404, body: { code: 'campaigns.not-found' } })
    t.match(await call('GET', url, undefined, await key(['campaigns:read'], [connected.id])), { status: 200 })
    t.match(await call('GET', url, undefined, await key(['events:read'])), { status: 403 })
  })

  t.test('calls a reminder off that waits for a right: the right that comes then stays', async (t) => {
    const { call, wanted, post, clock, rooms, connected } = await arranged(t, {
      kind: 'event',
      event: 'booked',
      before: { property: 'startsAt', ms: 60 * MINUTE },
      cancelOn: { event: 'called_off' },
      key: 'appointment'
    })
    const made = await call('POST', '/v1/campaigns', wanted)
    await call('POST', `/v1/campaigns/${made.body.id}/activate`)
    const startsAt = new Date(clock.now().getTime() + 120 * MINUTE).toISOString()
    await post({ id: '1', openId: 'open-1', name: 'booked', properties: { appointment: 'A', startsAt, item: '理发' } })
    clock.advance(61 * MINUTE)
    await rooms.triggers.fireDue()
    await rooms.messages.settleAll()
    const row = () => rooms.messages.rows.findOne({ campaignId: made.body.id })
    t.match(await row(), { state: 'planned', parked: true, data: { thing1: { value: '理发' } } })
    await post({ id: '2', openId: 'open-1', name: 'called_off', properties: { appointment: 'A' } })
    const [recipient] = await rooms.people.recipients(connected.id, ['open-1'])
    await rooms.credentials.keep(connected, [
      { id: 'g', recipientId: recipient!.id, source: 'grant', templateId: 'T', result: 'accept', caughtAt: clock.now() }
    ])
    await rooms.messages.settleAll()
    t.match(await row(), { state: 'skipped', reason: 'cancelled', detail: 'the wait was stopped' })
    t.match(
      await rooms.credentials.reachableAny(
        connected.id,
        [{ recipientId: recipient!.id, channel: 'subscribe', templateId: 'T' }],
        []
      ),
      [recipient!.id]
    )
  })
})

import t, { type Test } from 'tap'
import type { Scope } from '../../../shared/operator.js'
import { templateModels } from '../../../server/templates/model.js'
import { buildTestApp } from '../../support/build-app.js'

const SCOPES: Scope[] = [
  'campaigns:read',
  'campaigns:write',
  'audiences:read',
  'audiences:write',
  'events:read',
  'events:write'
]

/** A server, an account with template `T`, two people of it, and a caller who may do all of this. */
async function arranged(t: Test) {
  const test = await buildTestApp(t, { now: '2026-03-02T01:00:00Z' })
  const account = await test.account()
  const now = test.clock.now()
  await templateModels(test.db).rows.insertOne({
    _id: `${account.id}:T`,
    accountId: account.id,
    templateId: 'T',
    kind: 'subscribe',
    title: '下单通知',
    fields: [{ key: 'thing1', name: '商品', type: 'thing' }],
    content: '',
    example: '',
    grantType: 'once',
    choices: {},
    state: 'live',
    syncedAt: now,
    deletedAt: null
  })
  const [one, two] = await test.rooms.people.recipients(account.id, ['open-1', 'open-2'])
  await test.rooms.people.patch(one!.personId, { attributes: { city: '上海' } })
  const headers = await test.key(SCOPES)
  const call = async (
    method: 'GET' | 'POST' | 'PATCH' | 'DELETE',
    url: string,
    body?: object | string,
    more: object = {}
  ) => {
    const answer = await test.app.inject({
      method,
      url,
      headers: { ...headers, ...more },
      ...(body !== undefined && { payload: body })
    })
    return { status: answer.statusCode, headers: answer.headers, body: answer.body === '' ? null : answer.json() }
  }
  const wanted = {
    name: '提醒',
    accountId: account.appId,
    templateId: 'T',
    lane: 'transactional',
    trigger: { kind: 'event', event: 'bought', where: { amount: { gte: 100 } }, reentry: { perDays: 7 } },
    content: { thing1: '{{ event.item }}' }
  }
  return { ...test, connected: account, one: one!, two: two!, call, wanted }
}

t.test('a backend', async (t) => {
  t.test('sets up a campaign, switches it on, and its event becomes a message', async (t) => {
    const { call, wanted, connected: account, rooms, one } = await arranged(t)
    const made = await call('POST', '/v1/campaigns', wanted)
    t.match(made, { status: 201, headers: { etag: '"1"' }, body: { state: 'draft', accountId: account.id } })
    t.same(made.body.trigger, wanted.trigger)
    const at = `/v1/campaigns/${made.body.id}`
    t.match(await call('PATCH', at, { scene: 'logistics' }, { 'if-match': '"9"' }), { status: 412 })
    t.match(await call('PATCH', at, { scene: 'logistics' }, { 'if-match': '"1"' }), { headers: { etag: '"2"' } })
    t.match(await call('POST', `${at}/check`), { status: 200, body: { ready: true, problems: [], nextRuns: [] } })
    t.match(await call('POST', `${at}/activate`), { status: 200, body: { state: 'online' } })
    t.match(await call('PATCH', at, { name: 'x' }), { status: 409, body: { code: 'campaigns.state' } })
    t.match(await call('DELETE', at), { status: 409 })

    const items = [
      {
        id: '1',
        openId: 'open-1',
        name: 'bought',
        at: '2026-03-02T08:59:30+08:00',
        properties: { amount: 200, item: '茶' }
      },
      { id: '2', openId: 'open-2', name: 'bought', at: '2026-03-02T01:00:00Z', properties: { amount: 20, item: '茶' } },
      { id: '3', personId: 'nobody', name: 'bought', at: '2026-03-02T01:00:00Z' },
      { id: '1', openId: 'open-1', name: 'bought', at: '2026-03-02T01:00:00Z' }
    ]
    t.match(await call('POST', '/v1/events', { accountId: account.appId, items }), {
      status: 202,
      body: {
        items: [
          { id: '1', verdict: 'stored' },
          { id: '2', verdict: 'stored' },
          { id: '3', verdict: 'refused', reason: 'unknownPerson' },
          { id: '1', verdict: 'duplicate' }
        ]
      }
    })
    await rooms.events.idle()
    const rows = await rooms.messages.rows.find().toArray()
    t.equal(rows.length, 1)
    t.match(rows[0], {
      recipientId: one.id,
      data: { thing1: { value: '茶' } },
      notAfter: '2026-03-02T01:29:30.000Z'
    })
    t.match(await call('GET', `/v1/events?personId=${one.personId}&name=bought&at[gte]=2026-03-02T00:00:00Z`), {
      body: { data: [{ name: 'bought', at: '2026-03-02T00:59:30.000Z', properties: { item: '茶' } }] }
    })
    t.match(await call('GET', '/v1/event-names'), { body: { data: [{ name: 'bought' }] } })

    await rooms.messages.follower.drain(account.id)
    const runs = await call('GET', `${at}/runs`)
    t.match(runs, { body: { data: [{ state: 'sending', counts: { total: 1, byState: { open: 1 } } }] } })
    const run = `/v1/runs/${runs.body.data[0].id}`
    t.match(await call('GET', run), { body: { campaignId: made.body.id, instant: '2026-03-01T16:00:00.000Z' } })
    t.match(await call('POST', `${at}/cancel`), { body: { state: 'cancelled' } })
    t.match(await call('GET', '/v1/campaigns?state=cancelled,finished'), { body: { data: [{ id: made.body.id }] } })
    t.match(await call('POST', `${run}/retry`, { states: ['skipped'] }), { status: 409, body: { code: 'runs.state' } })
    t.match(await call('POST', `${at}/duplicate`), { status: 201, body: { state: 'draft', name: '提醒 (2)' } })
  })

  t.test('has a run’s skipped messages tried again, and says what the unknown ones were', async (t) => {
    const { call, wanted, connected: account, rooms, clock } = await arranged(t)
    const audience = await call('POST', '/v1/audiences', { name: '全部', rule: { all: [] } })
    const trigger = { kind: 'once', at: '2026-03-02T09:00:00+08:00' }
    const body = { ...wanted, audienceId: audience.body.id, trigger, content: { thing1: '好' } }
    const made = await call('POST', '/v1/campaigns', body)
    t.match(await call('POST', `/v1/campaigns/${made.body.id}/check`), {
      body: { ready: true, forecast: { matched: 2, reachableNow: 0 }, warnings: [{ code: 'audiences.unreachable' }] }
    })
    t.match(await call('POST', `/v1/campaigns/${made.body.id}/activate`), { status: 200 })
    const [row, other] = await rooms.messages.rows.find().toArray()
    const { runId } = row!
    const skipped = { state: 'skipped' as const, reason: 'noCredential' }
    await rooms.messages.rows.updateOne({ _id: row!._id }, { $set: skipped })
    await rooms.messages.rows.updateOne({ _id: other!._id }, { $set: { state: 'unknown' } })
    clock.advance(3_600_000)
    const retry = (body: object) => call('POST', `/v1/runs/${runId}/retry`, body)
    t.match(await retry({ states: ['unknown'] }), { status: 422 })
    t.match(await retry({ states: ['skipped'], reasons: ['capped'] }), { status: 200, body: { retried: 0 } })
    t.match(await retry({ states: ['skipped'], reasons: ['noCredential'] }), { body: { retried: 1 } })
    const again = await rooms.messages.rows.findOne({ _id: row!._id })
    t.match(again, { state: 'planned', notAfter: '2026-03-03T02:00:00.000Z' })
    t.match(await call('POST', `/v1/runs/${runId}/resolve-unknown`, { as: 'failed' }), { body: { resolved: 1 } })
    t.match(await rooms.messages.rows.findOne({ _id: other!._id }), { state: 'failed', by: 'operator' })
    t.match(await call('GET', '/v1/runs/none'), { status: 404, body: { code: 'runs.not-found' } })
    t.equal((await call('GET', `/v1/campaigns/${made.body.id}/runs`)).body.data[0].accountId, account.id)
  })

  t.test('asks who an audience is before saving it', async (t) => {
    const { call, connected: account, one } = await arranged(t)
    const rule = { attribute: 'city', op: 'eq', value: '上海' }
    t.match(await call('POST', '/v1/audiences/preview', { accountId: account.appId, rule }), {
      status: 200,
      body: { count: 1, reachable: 0, samples: [{ personId: one.personId, attributes: { city: '上海' } }] }
    })
    const made = await call('POST', '/v1/audiences', { name: '上海', rule })
    t.match(made, { status: 201, body: { rule, personIds: null } })
    const at = `/v1/audiences/${made.body.id}`
    t.match(await call('PATCH', at, { name: '沪' }), { body: { name: '沪', rule } })
    t.match(await call('GET', '/v1/audiences'), { body: { data: [{ id: made.body.id }] } })
    t.equal((await call('DELETE', at)).status, 204)
    t.equal((await call('GET', at)).status, 404)
  })
})

t.test('an audience that a campaign sends to', async (t) => {
  const { call, wanted, connected: account, key } = await arranged(t)
  const { body: audience } = await call('POST', '/v1/audiences', { name: '上海', rule: { all: [] } })
  const at = `/v1/audiences/${audience.id}`
  const { body: campaign } = await call('POST', '/v1/campaigns', { ...wanted, audienceId: audience.id })
  const inUse = (state: string) => ({
    status: 409,
    headers: { 'content-type': /^application\/problem\+json/ },
    body: {
      code: 'audiences.in-use',
      detail: /“提醒”/,
      facts: { campaigns: [{ id: campaign.id, name: '提醒', state }] }
    }
  })

  t.test('is not deleted before that is over', async (t) => {
    t.match(await call('DELETE', at), inUse('draft'))
    await call('POST', `/v1/campaigns/${campaign.id}/activate`)
    t.match(await call('DELETE', at), inUse('online'))
    await call('POST', `/v1/campaigns/${campaign.id}/pause`)
    t.match(await call('DELETE', at), inUse('paused'))
  })
  t.test('names the campaign to nobody who may not see it', async (t) => {
    const mine = await key(SCOPES, [account.id])
    t.match(await call('DELETE', at, undefined, mine), inUse('paused'))
    const refused = await call('DELETE', at, undefined, await key(SCOPES, ['another']))
    t.match(refused, { status: 409, body: { facts: { campaigns: [] } } })
    t.notMatch(JSON.stringify(refused.body), new RegExp(`提醒|${campaign.id}`))
  })
  t.test('is deleted then, and cannot be named any more', async (t) => {
    await call('POST', `/v1/campaigns/${campaign.id}/cancel`)
    t.equal((await call('DELETE', at)).status, 204)
    t.match(await call('POST', '/v1/campaigns', { ...wanted, audienceId: audience.id, templateId: 'nope' }), {
      status: 422,
      body: { errors: [{ pointer: '/templateId' }, { pointer: '/audienceId', code: 'audiences.not-found' }] }
    })
  })
})

t.test('bad input is told its place', async (t) => {
  const { call, wanted, connected: account } = await arranged(t)
  const pointers = async (url: string, body: object) => {
    const answer = await call('POST', url, body)
    return [answer.status, answer.body.errors?.map(({ pointer }: { pointer: string }) => pointer)]
  }
  t.same(await pointers('/v1/campaigns', { ...wanted, open: { page: '/a' } }), [422, ['/open/page']])
  t.same(await pointers('/v1/campaigns', { ...wanted, colour: 'red' }), [422, ['/colour']])
  t.same(await pointers('/v1/campaigns', { ...wanted, trigger: { ...wanted.trigger, where: { a: { in: 1 } } } }), [
    422,
    ['/trigger/where/a/in']
  ])
  t.match(await call('POST', '/v1/campaigns', { ...wanted, accountId: 'wx0000000000000000' }), { status: 404 })
  const nested = `{"name":"x","rule":${'{"not":['.repeat(20_000)}{"all":[]}${']}'.repeat(20_000)}}`
  const json = { 'content-type': 'application/json' }
  t.equal((await call('POST', '/v1/audiences', nested, json)).status, 422)
  let deep: object = { all: [] }
  for (let i = 0; i < 9; i++) deep = { not: [deep] }
  t.match(await call('POST', '/v1/audiences', { name: 'x', rule: deep }), {
    status: 422,
    body: { errors: [{ code: 'rule.tooLarge' }] }
  })
  const item = { id: '1', openId: 'o', name: 'bought', at: '2026-03-02T01:00:00Z' }
  const many = Array.from({ length: 501 }, (_, i) => ({ ...item, id: String(i) }))
  t.equal((await call('POST', '/v1/events', { accountId: account.id, items: many })).status, 422)
  t.equal(
    (await call('POST', '/v1/events', { accountId: account.id, items: [{ ...item, name: '$paid' }] })).status,
    422
  )
  t.equal((await call('POST', '/v1/events', { accountId: account.id, items: [] })).status, 422)
})

t.test('who is bound to other accounts', async (t) => {
  const s = await arranged(t)
  const { call, wanted, connected: account, key, login } = s
  const made = await call('POST', '/v1/campaigns', wanted)
  const at = `/v1/campaigns/${made.body.id}`
  const stranger = await key(SCOPES, ['another'])
  const item = { id: '1', openId: 'o', name: 'bought', at: '2026-03-02T01:00:00Z' }
  t.test('sees and does nothing of this one', async (t) => {
    for (const url of [at, `${at}/runs`]) t.equal((await call('GET', url, undefined, stranger)).status, 404)
    for (const verb of ['activate', 'pause', 'resume', 'cancel', 'check', 'duplicate']) {
      t.equal((await call('POST', `${at}/${verb}`, undefined, stranger)).status, 404, verb)
    }
    t.equal((await call('DELETE', at, undefined, stranger)).status, 404)
    t.match(await call('GET', '/v1/campaigns', undefined, stranger), { body: { data: [] } })
    t.equal((await call('POST', '/v1/campaigns', wanted, stranger)).status, 404)
    t.equal((await call('POST', '/v1/events', { accountId: account.id, items: [item] }, stranger)).status, 404)
    t.equal((await call('POST', '/v1/events', { items: [item] }, stranger)).status, 422)
    const preview = { accountId: account.id, rule: { all: [] } }
    t.equal((await call('POST', '/v1/audiences/preview', preview, stranger)).status, 404)
  })
  t.test('is shown and may write to nobody that only others know', async (t) => {
    const { account: makeAccount, rooms, one, two } = s
    const other = await makeAccount()
    const theirs = await rooms.people.recipient(other.id, 'open-9')
    await rooms.people.identify({ externalId: 'member-1', accountId: account.id, openId: 'open-1' })
    const bound = await key(SCOPES, [other.id])
    const preview = await call('POST', '/v1/audiences/preview', { accountId: other.id, rule: { all: [] } }, bound)
    t.match(preview.body, { count: 3, reachable: 0 })
    t.same(
      preview.body.samples.map(({ personId }: { personId: string }) => personId),
      [theirs.personId]
    )
    const { openId: _, ...rest } = item
    const items = [
      { ...rest, id: '1', personId: one.personId },
      { ...rest, id: '2', personId: two.personId },
      { ...rest, id: '3', externalId: 'member-1' },
      { ...rest, id: '4', externalId: 'nobody-yet' },
      { ...rest, id: '5', personId: theirs.personId }
    ]
    t.match(await call('POST', '/v1/events', { accountId: other.id, items }, bound), {
      status: 202,
      body: {
        items: [
          { verdict: 'refused', reason: 'unknownPerson' },
          { verdict: 'refused', reason: 'unknownPerson' },
          { verdict: 'refused', reason: 'unknownPerson' },
          { verdict: 'stored' },
          { verdict: 'stored' }
        ]
      }
    })
  })
  t.test('or may only look, cannot act', async (t) => {
    const viewer = await login('viewer')
    t.equal((await call('GET', at, undefined, viewer)).status, 200)
    t.equal((await call('PATCH', at, { name: 'x' }, viewer)).status, 403)
    const editor = await login('editor')
    t.equal((await call('PATCH', at, { name: 'x' }, editor)).status, 200)
    t.equal((await call('POST', `${at}/activate`, undefined, editor)).status, 403)
    const reader = await key(['campaigns:read'])
    t.equal((await call('POST', `${at}/activate`, undefined, reader)).status, 403)
    t.equal((await call('POST', '/v1/events', { items: [item] }, reader)).status, 403)
  })
})

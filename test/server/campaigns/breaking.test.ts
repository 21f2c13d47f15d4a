import t, { type Test } from 'tap'
import { templateModels } from '../../../server/templates/model.js'
import { buildTestApp } from '../../support/build-app.js'

/** An account with templates T and U, somebody in it, and a campaign of T that is online. */
async function arranged(t: Test) {
  const built = await buildTestApp(t, { now: '2026-03-02T01:00:00Z' })
  const { app, rooms, db, clock, account, login } = built
  const { id: accountId } = await account()
  await templateModels(db).rows.insertMany(
    ['T', 'U'].map((templateId) => ({
      _id: `${accountId}:${templateId}`,
      accountId,
      templateId,
      kind: 'subscribe' as const,
      title: '取件提醒',
      fields: [{ key: 'thing1', name: '物品名称', type: 'thing' }],
      content: '',
      example: '',
      grantType: 'once' as const,
      choices: {},
      state: 'live' as const,
      syncedAt: clock.now(),
      deletedAt: null
    }))
  )
  await rooms.people.recipients(accountId, ['open-ann'])
  const audience = await rooms.audiences.create({ name: '全部', rule: { all: [] } })
  let owner = await login('owner')
  const ask = async (method: 'GET' | 'POST' | 'PATCH', url: string, payload?: object) => {
    const answer = await app.inject({ method, url, headers: owner, ...(payload !== undefined && { payload }) })
    return { status: answer.statusCode, body: answer.json() }
  }
  const draft = async (more: object = {}) =>
    (
      await ask('POST', '/v1/campaigns', {
        name: '取件',
        accountId,
        audienceId: audience.id,
        templateId: 'T',
        trigger: { kind: 'once', at: new Date(clock.now().getTime() + 7_200_000).toISOString(), zone: 'Asia/Shanghai' },
        content: { thing1: '书' },
        ...more
      })
    ).body.id as string
  const online = async (more: object = {}) => {
    const id = await draft(more)
    await ask('POST', `/v1/campaigns/${id}/activate`)
    return id
  }
  let batch = 0
  return {
    ...built,
    accountId,
    ask,
    draft,
    online,
    stateOf: async (id: string) => {
      const { state, stateReason } = await rooms.campaigns.get(id)
      return [state, stateReason].filter((each) => each !== null).join(' ')
    },
    /** So many answers of a template, as the follower tells of them. */
    hear: (templateId: string, code: number, n: number) =>
      rooms.breakers.hear(accountId, ++batch, new Date(Math.floor(clock.now().getTime() / 60_000) * 60_000), [
        { templateId, code, n }
      ]),
    async rest(minutes = 30) {
      clock.advance(minutes * 60_000)
      owner = await login('owner')
      await rooms.breakers.sweep()
    }
  }
}

t.test('campaigns follow the breaker of their template', async (t) => {
  const at = await arranged(t)
  const [one, two, other] = [
    await at.online(),
    await at.online({ lane: 'transactional' }),
    await at.online({ templateId: 'U' })
  ]
  const idle = await at.draft()
  await at.hear('T', 43101, 60)
  const reason = `paused breaker ${at.accountId}:T`
  t.same(await Promise.all([one, two, other, idle].map(at.stateOf)), [reason, reason, 'online', 'draft'])
  const refused = await at.ask('POST', `/v1/campaigns/${idle}/activate`)
  t.match(refused, { status: 422, body: { errors: [{ pointer: '/templateId', code: 'breakers.open' }] } })
  t.equal((await at.ask('POST', `/v1/campaigns/${one}/resume`)).status, 422)

  await at.rest()
  t.same(await Promise.all([one, two, other].map(at.stateOf)), ['online', 'online', 'online'])
  await at.hear('T', 43101, 60)
  t.same(await Promise.all([one, two].map(at.stateOf)), [reason, reason], 'the try failed')
  await at.rest(60)
  await at.hear('T', 0, 60)
  at.clock.advance(10_000)
  await at.rooms.breakers.sweep()
  t.same(await Promise.all([one, two].map(at.stateOf)), ['online', 'online'])
})

t.test('whoever touched a campaign meanwhile decides when it goes on', async (t) => {
  const at = await arranged(t)
  const [paused, changed, cancelled, mine] = [
    await at.online(),
    await at.online(),
    await at.online(),
    await at.online()
  ]
  await at.ask('POST', `/v1/campaigns/${mine}/pause`)
  await at.hear('T', 43101, 60)
  t.equal((await at.ask('POST', `/v1/campaigns/${paused}/pause`)).status, 200)
  await at.ask('PATCH', `/v1/campaigns/${changed}`, { content: { thing1: '另一本书' } })
  await at.ask('POST', `/v1/campaigns/${cancelled}/cancel`)
  await at.rest()
  t.same(await Promise.all([paused, changed, cancelled, mine].map(at.stateOf)), [
    'paused',
    'paused changed',
    'cancelled breaker ' + `${at.accountId}:T`,
    'paused'
  ])
  t.equal((await at.ask('POST', `/v1/campaigns/${changed}/resume`)).status, 200)
})

t.test('two breakers in the way: both must be out of it', async (t) => {
  const at = await arranged(t)
  const id = await at.online()
  await at.rooms.accounts.patch(at.accountId, { breaker: { minAccountMessages: 60 } })
  await at.hear('T', 43101, 50)
  t.equal(await at.stateOf(id), `paused breaker ${at.accountId}:T`)
  at.clock.advance(5 * 60_000)
  for (let i = 0; i < 3; i++) await at.hear(`X${i}`, 43101, 20)
  t.match(await at.rooms.breakers.find(at.accountId), { state: 'open' })
  await at.rest(25)
  t.match(await at.rooms.breakers.find(`${at.accountId}:T`), { state: 'halfOpen' })
  t.equal(await at.stateOf(id), `paused breaker ${at.accountId}:T`, 'the account’s is open yet')
  await at.rest(5)
  t.match(await at.rooms.breakers.find(at.accountId), { state: 'halfOpen' })
  t.equal(await at.stateOf(id), 'online')
})

t.test('a campaign that is not fit any more stays paused', async (t) => {
  const at = await arranged(t)
  const id = await at.online()
  await at.hear('T', 43101, 60)
  await at.db.collection('templates').updateOne({ _id: `${at.accountId}:T` as never }, { $set: { state: 'deleted' } })
  await at.rest()
  t.equal(await at.stateOf(id), `paused breaker ${at.accountId}:T`)
  t.match(await at.rooms.breakers.find(`${at.accountId}:T`), { state: 'halfOpen', todo: false })
})

t.test('a run under a penalty says so', async (t) => {
  const at = await arranged(t)
  const id = await at.online({ trigger: { kind: 'once', at: at.clock.now().toISOString(), zone: 'Asia/Shanghai' } })
  const run = async () => (await at.ask('GET', `/v1/campaigns/${id}/runs`)).body.data[0]
  t.match(await run(), { heldReason: null, paused: false })
  const penalty = { offences: 2, blockedUntil: '2026-03-09T00:00:00Z', api: 'subscribe', note: 'told by mail' }
  await at.ask('PATCH', `/v1/accounts/${at.accountId}`, { penalty })
  t.match(await run(), { heldReason: 'penalty', paused: false })
  const { warnings } = (await at.ask('POST', `/v1/campaigns/${id}/check`)).body
  t.ok(warnings.some((each: any) => each.code === 'accounts.penalty'))
})

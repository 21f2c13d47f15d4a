import t from 'tap'
import { buildTestApp } from '../../support/build-app.js'
import { SHOP } from '../../support/live-app.js'

const PICKUP = 'SandboxSubscribePickup_'.padEnd(43, '0')

t.test('a penalty over HTTP', async (t) => {
  const { app, rooms, clock, sandbox, account, login } = await buildTestApp(t, { wechat: 'sandbox' })
  const made = await account(SHOP)
  const [owner, editor] = [await login('owner'), await login('editor')]
  const ask = async (method: 'GET' | 'POST' | 'PATCH', url: string, payload?: object, headers: object = owner) => {
    const answer = await app.inject({ method, url, headers: { ...headers }, ...(payload !== undefined && { payload }) })
    return { status: answer.statusCode, body: answer.json() }
  }
  const url = `/v1/accounts/${made.appId}`
  const inHours = (hours: number) => new Date(clock.now().getTime() + hours * 3_600_000).toISOString()

  t.equal((await ask('GET', url)).body.penalty, null)
  const penalty = { offences: 1, blockedUntil: inHours(48), api: 'subscribe', note: '站内信 2026-03-01' }
  t.match(await ask('PATCH', url, { penalty }, editor), { status: 403 })
  t.match(await ask('PATCH', url, { penalty: { ...penalty, api: 'everything' } }), { status: 422 })
  t.match(await ask('PATCH', url, { penalty }), { status: 200, body: { penalty } })
  t.same((await ask('GET', url)).body.penalty, penalty)

  // messages that wait for its end go as soon as it is lifted
  const [ann] = await rooms.people.recipients(made.id, ['open-ann'])
  await rooms.credentials.keep(made, [
    { id: 'g', recipientId: ann!.id, source: 'grant', templateId: PICKUP, result: 'accept', caughtAt: clock.now() }
  ])
  const plan = {
    accountId: made.id,
    recipientId: ann!.id,
    personId: ann!.personId,
    runId: null,
    campaignId: null,
    lane: 'transactional' as const,
    channel: 'subscribe' as const,
    templateId: PICKUP,
    data: {},
    open: null,
    dueAt: clock.now(),
    notAfter: new Date(inHours(72)),
    waitForCredential: false
  }
  await rooms.messages.plan([{ ...plan, id: 'm' }])
  await rooms.messages.settleAll()
  t.match((await ask('GET', '/v1/messages/m')).body, { state: 'planned', waitingFor: 'penalty' })
  t.match(await ask('PATCH', url, { penalty: null }), { status: 200, body: { penalty: null } })
  t.match((await ask('GET', '/v1/messages/m')).body, { state: 'planned', waitingFor: null })
  await rooms.messages.settleAll()
  t.match((await ask('GET', '/v1/messages/m')).body, { state: 'failed', code: 40003 }, 'WeChat was asked')

  // the settings of its breakers are merged field by field
  await ask('PATCH', url, { breaker: { minMessages: 9, shares: { block: 0.5 } } })
  const { body } = await ask('PATCH', url, { breaker: { probes: 3, shares: { refusal: 0.4 } } })
  t.match(body.breaker, {
    minMessages: 9,
    probes: 3,
    restMs: 1_800_000,
    shares: { block: 0.5, refusal: 0.4, failure: 0.5 }
  })
  t.match(await ask('PATCH', url, { breaker: { windowMs: 61_000 } }), { status: 422 }, 'whole minutes')

  t.test('an account that may add no templates is not asked to', async (t) => {
    const body = { accountId: made.id, kind: 'legacy', titleId: 'AT0002', keywordIds: [1, 2] }
    const rule = sandbox!.controls.addRule({ path: '/cgi-bin/wxopen/template/add', action: { errcode: 43106 } })
    const refused = await ask('POST', '/v1/templates', body)
    t.match(refused, { status: 422, body: { code: 'wechat.43106' } })
    t.match((await ask('GET', url)).body.penalty, { api: 'management', offences: 2, note: /43106/ })
    const asked = rule.seen
    t.match(await ask('POST', '/v1/templates', body), { status: 409, body: { code: 'accounts.penalty' } })
    t.equal(rule.seen, asked, 'WeChat was left alone')
    await rooms.messages.plan([{ ...plan, id: 'n' }])
    await rooms.messages.settleAll()
    t.match(await rooms.messages.get('n'), { state: 'failed', code: 40003 }, 'sending is another matter')
  })
})

t.test('an interface that is opened again', async (t) => {
  const { app, rooms, clock, account, login } = await buildTestApp(t)
  const made = await account()
  const [ann] = await rooms.people.recipients(made.id, ['open-ann'])
  await rooms.credentials.keep(made, [
    { id: 'g', recipientId: ann!.id, source: 'grant', templateId: 'T', result: 'accept', caughtAt: clock.now() }
  ])
  const until = new Date(clock.now().getTime() + 86_400_000)
  await rooms.accounts.block(made.id, 'subscribe', { until, code: 45103, note: 'shut' })
  await rooms.messages.plan([
    {
      id: 'm',
      accountId: made.id,
      recipientId: ann!.id,
      personId: ann!.personId,
      runId: null,
      campaignId: null,
      lane: 'transactional',
      channel: 'subscribe',
      templateId: 'T',
      data: {},
      open: null,
      dueAt: clock.now(),
      notAfter: new Date(until.getTime() + 86_400_000),
      waitForCredential: false
    }
  ])
  await rooms.messages.settleAll()
  t.match(await rooms.messages.get('m'), { state: 'planned', waitingFor: 'quota' })
  const answer = await app.inject({ method: 'POST', url: `/v1/accounts/${made.id}/resume`, headers: await login() })
  t.equal(answer.statusCode, 200)
  t.equal((await rooms.messages.get('m')).due.toISOString(), clock.now().toISOString(), 'looks at once, not tomorrow')
})

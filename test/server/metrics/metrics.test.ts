import t from 'tap'
import { claimOf, labelsOf } from '../../../server/metrics/measure.js'
import { createMetrics } from '../../../server/metrics/metrics.js'
import { listenForScrapes } from '../../../server/metrics/routes.js'
import { buildTestApp } from '../../support/build-app.js'

/** The value of one line; null: it is not there. */
const value = (text: string, line: string): number | null => {
  const found = text.split('\n').find((each) => each.startsWith(`${line} `))
  return found === undefined ? null : Number(found.slice(line.length + 1))
}

t.test('what WeChat says is one of few labels', async (t) => {
  const answer = (errcode: number) =>
    labelsOf({ kind: 'answer', errcode, errmsg: '', rid: null, body: {}, httpStatus: 200, ms: 1 })
  t.same(answer(0), { outcome: 'accepted', scope: '', errcode: '0' })
  t.same(answer(43101), { outcome: 'error', scope: 'credential', errcode: '43101' })
  t.same(answer(45009), { outcome: 'error', scope: 'interface', errcode: '45009' })
  for (const stranger of [99999, 123456]) {
    t.same(answer(stranger), { outcome: 'error', scope: 'unknown', errcode: 'other' }, 'never the number of a stranger')
  }
  t.same(labelsOf({ kind: 'notSent', reason: 'x', ms: 1 }), { outcome: 'not_sent', scope: '', errcode: '' })
  t.same(labelsOf({ kind: 'noAnswer', reason: 'x', ms: 1 }), { outcome: 'no_answer', scope: '', errcode: '' })
  t.equal(labelsOf({ kind: 'refused', reason: 'x', httpStatus: 404, ms: 1 }).outcome, 'turned_away')
  t.same(claimOf('none'), 'none')
  t.same(claimOf('busy'), 'busy')
  t.same(claimOf({ from: new Date(0) }), 'later')
})

t.test('a message leaves its figures', async (t) => {
  const now = new Date()
  const app = await buildTestApp(t, { wechat: 'sandbox', now })
  const { rooms, sandbox } = app
  const SHOP = { appId: 'wx5b1a2c3d4e5f6001', secret: '6001a1b2c3d4e5f60718293a4b5c6d7e' }
  const account = await app.account(SHOP)
  const ask = async (path: string, body: unknown) =>
    (await fetch(`${sandbox!.url}${path}`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(body)
    }).then((answer) => answer.json())) as any
  const [person] = await ask('/sandbox/users', { appids: [SHOP.appId] })
  const openId = person.openids[SHOP.appId]
  const { formIds } = await ask('/sandbox/formids', { appid: SHOP.appId, openid: openId })
  const machine = await app.key(['credentials:write', 'messages:send', 'messages:read'])
  const call = (method: 'GET' | 'POST', url: string, payload?: object, headers: Record<string, string> = machine) =>
    app.app.inject({ method, url, headers, ...(payload && { payload }) })

  const items = [
    { id: 'a', openId, source: 'form', value: formIds[0], caughtAt: now.toISOString() },
    { id: 'b', openId, source: 'form', value: 'requestFormId:fail deprecated', caughtAt: now.toISOString() }
  ]
  t.equal((await call('POST', '/v1/credentials', { accountId: account.id, items })).statusCode, 202)
  const content = { keyword1: '8231', keyword2: '顺丰', keyword3: 'SF1024', keyword4: '2026-11-22 10:00' }
  const body = { accountId: account.id, to: { openId }, templateId: LEGACY, content }
  await rooms.templates.sync(account.id).catch(() => {})
  const sent = await call('POST', '/v1/messages', body, { ...machine, 'idempotency-key': 'one' })
  t.equal(sent.statusCode, 202, sent.body)
  const second = await call('POST', '/v1/messages', body, { ...machine, 'idempotency-key': 'two' })
  t.equal(second.statusCode, 202, second.body)
  await rooms.messages.settleAll()
  await call('GET', `/v1/messages/${sent.json().id}`)
  await call('GET', '/v1/no/such/thing')

  const text = await rooms.metrics.text()
  const is = (line: string, wanted: number) => t.equal(value(text, line), wanted, line)
  is('hongyan_sends_total{channel="legacy",outcome="accepted",scope="",errcode="0"}', 1)
  is('hongyan_send_duration_seconds_count{channel="legacy"}', 1)
  is('hongyan_claims_total{outcome="held"}', 1)
  is('hongyan_claims_total{outcome="none"}', 1)
  is('hongyan_capture_items_total{source="form",verdict="stored",reason=""}', 1)
  is('hongyan_capture_items_total{source="form",verdict="refused",reason="retired"}', 1)
  is('hongyan_sends_in_flight', 0)
  is(`hongyan_messages_open{account="${SHOP.appId}"}`, 0)
  is(`hongyan_account_up{account="${SHOP.appId}"}`, 1)
  is(`hongyan_budget_limit{account="${SHOP.appId}",interface="legacy"}`, 990_000)
  is(`hongyan_budget_left{account="${SHOP.appId}",interface="legacy"}`, 989_999)
  is('hongyan_http_request_duration_seconds_count{method="POST",route="/v1/messages",status="2xx"}', 2)
  is('hongyan_http_request_duration_seconds_count{method="GET",route="/v1/messages/:id",status="2xx"}', 1)
  is('hongyan_check_ok{check="store"}', 1)
  is('hongyan_check_ok{check="start"}', 1)
  is('hongyan_jobs_running', 0)
  t.ok(value(text, 'hongyan_store_call_duration_seconds_count{call="claim"}')! >= 1)
  t.ok(value(text, 'hongyan_store_call_duration_seconds_count{call="keep"}')! >= 1)
  t.notMatch(text, new RegExp(openId), 'nobody is named')
  t.notMatch(text, new RegExp(sent.json().id), 'no message is named')
  t.notMatch(text, /no\/such/, 'what matches no route is no label')

  t.test('a job, too, and one that throws', async () => {
    rooms.jobs.define('test.well', async () => {})
    rooms.jobs.define('test.broken', async () => {
      throw new Error('broken')
    })
    await rooms.jobs.run('test.well')
    await t.rejects(rooms.jobs.run('test.broken'))
    const now = await rooms.metrics.text()
    t.equal(value(now, 'hongyan_job_duration_seconds_count{job="test.well",outcome="done"}'), 1)
    t.equal(value(now, 'hongyan_job_duration_seconds_count{job="test.broken",outcome="failed"}'), 1)
  })

  t.test('who may read them', async (t) => {
    const status = async (headers: Record<string, string>) =>
      (await call('GET', '/metrics', undefined, headers)).statusCode
    t.equal(await status({}), 401)
    t.equal(await status(machine), 403)
    t.equal(await status(await app.key(['alerts:read'], [account.id])), 403, 'of all accounts, or not at all')
    const good = await call('GET', '/metrics', undefined, await app.key(['alerts:read']))
    t.equal(good.statusCode, 200)
    t.match(good.headers['content-type'], /^text\/plain; version=0\.0\.4/)
    t.match(good.body, /hongyan_build_info\{version="\d/)
    t.equal(await status(await app.login('viewer')), 200)
  })
})

const LEGACY = 'SandboxLegacyShipped_0000000000000000000000'

t.test('a listener of its own has nothing else on it', async (t) => {
  const metrics = createMetrics()
  const scrapes = await listenForScrapes(metrics, { host: '127.0.0.1', port: 0 })
  t.teardown(() => scrapes.close())
  const answer = await fetch(scrapes.url)
  t.equal(answer.status, 200)
  t.match(await answer.text(), /# TYPE hongyan_sends_total counter/)
  t.equal((await fetch(scrapes.url.replace('/metrics', '/v1/accounts'))).status, 404)
  t.equal((await fetch(scrapes.url, { method: 'POST' })).status, 404)
})

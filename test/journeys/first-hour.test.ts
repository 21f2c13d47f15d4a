import t from 'tap'
import { BRAND, liveApp, SHOP, until } from '../support/live-app.js'
import { openApiClient } from '../support/openapi-client.js'

const SHIPPED = 'SandboxLegacyShipped_0000000000000000000000'

t.test('a newcomer, knowing nothing but /openapi.json, sets up, captures, sends and sees it delivered', async (t) => {
  const { url, sandbox, rooms } = await liveApp(t)
  const client = await openApiClient(url)
  const call = client.call

  // set up
  const code = await rooms.operators.setupCode()
  const setup = await call('POST', '/v1/setup', {
    body: { code, email: 'owner@example.com', password: 'correct horse battery' }
  })
  t.ok(setup.status < 300, 'the printed code makes the owner')
  t.equal(
    (await call('POST', '/v1/setup', { body: { code, email: 'x@example.com', password: 'correct horse battery' } }))
      .status >= 400,
    true,
    'once'
  )
  const login = await call('POST', '/v1/auth/login', {
    body: { email: 'owner@example.com', password: 'correct horse battery' }
  })
  const bearer: string = login.body.token

  // accounts
  for (const [kind, { appId, secret }] of [
    ['miniprogram', SHOP],
    ['service', BRAND]
  ] as const) {
    const made = await call('POST', '/v1/accounts', {
      bearer,
      body: { kind, appId, secret, name: kind, mode: 'sandbox', apiBase: sandbox.url }
    })
    t.equal(made.status, 201)
    t.notOk(JSON.stringify(made.body).includes(secret), 'secrets never come back')
  }
  const brand = (await call('GET', '/v1/accounts/{id}', { bearer, params: { id: BRAND.appId } })).body
  const token = 'callbacktoken'
  await call('PATCH', '/v1/accounts/{id}', { bearer, params: { id: brand.id }, body: { callback: { token } } })
  sandbox.controls.putApp({
    ...sandbox.controls.apps().find((app: any) => app.appid === BRAND.appId)!,
    callback: { url: `${url}/callback/${BRAND.appId}`, token }
  } as never)

  // templates
  for (const appId of [SHOP.appId, BRAND.appId]) {
    const list = await call('GET', '/v1/templates', { bearer, query: { accountId: appId, live: 'true' } })
    t.ok(list.body.data.length > 0)
  }

  // a phone
  const [person] = sandbox.controls.addUsers({ count: 1, appids: [SHOP.appId, BRAND.appId], followers: [BRAND.appId] })
  const openId = person!.openids[SHOP.appId]!
  const { code: loginCode } = sandbox.controls.mintCode({ appid: SHOP.appId, openid: openId }) as { code: string }
  const session = await call('POST', '/v1/capture/session', { body: { appId: SHOP.appId, code: loginCode } })
  const phone: string = session.body.token
  const [formId] = sandbox.controls.mintFormIds({ appid: SHOP.appId, openid: openId }).formIds
  const now = new Date().toISOString()
  const kept = await call('POST', '/v1/capture/credentials', {
    bearer: phone,
    body: { sentAt: now, items: [{ id: 'tap-1', source: 'form', value: formId, caughtAt: now, place: 'order' }] }
  })
  t.same(kept.body.items, [{ id: 'tap-1', verdict: 'stored' }])
  t.match((await call('GET', '/v1/capture/status', { bearer: phone })).body, { sendsLeft: { form: 1 } })

  // a backend with a key
  const key = (
    await call('POST', '/v1/api-keys', {
      bearer,
      body: { name: 'orders', scopes: ['messages:send', 'messages:read', 'accounts:read'] }
    })
  ).body.key as string
  const send = (
    accountId: string,
    to: object,
    templateId: string,
    content: object,
    idempotencyKey: string,
    more: object = {}
  ) =>
    call('POST', '/v1/messages', {
      bearer: key,
      headers: { 'idempotency-key': idempotencyKey },
      body: { accountId, to, templateId, content, ...more }
    })
  const content = { keyword1: '8231', keyword2: 'SF', keyword3: 'SF100', keyword4: '2026-03-01 10:00' }
  const posted = await send(SHOP.appId, { openId }, SHIPPED, content, 'order-8231', {
    open: { page: 'pages/order?id=8231' },
    reference: 'order 8231'
  })
  t.equal(posted.status, 202)
  const again = await send(SHOP.appId, { openId }, SHIPPED, content, 'order-8231', {
    open: { page: 'pages/order?id=8231' },
    reference: 'order 8231'
  })
  t.equal(again.body.id, posted.body.id, 'the same order twice is one message')
  const read = async (id: string) => (await call('GET', '/v1/messages/{id}', { bearer: key, params: { id } })).body
  const accepted = await until(
    'accepted',
    () => read(posted.body.id),
    (message) => message.state === 'accepted'
  )
  t.match(accepted, { by: 'answer', attempts: 1, reference: 'order 8231' })

  const service = await send(
    BRAND.appId,
    { openId: person!.openids[BRAND.appId]! },
    'SandboxServiceShipped_000000000000000000000',
    { character_string1: '8231', thing2: '蓝色水杯', time3: '2026-03-01 10:00' },
    'order-8231-brand'
  )
  // the person is known as a follower once the followers were read, or they did something; here: read
  const first = await until(
    'settled',
    () => read(service.body.id),
    (message) => message.state !== 'planned' && message.state !== 'sending' && message.state !== 'held'
  )
  if (first.state === 'skipped') {
    t.equal(first.reason, 'suppressed', 'nobody told us yet that they follow')
    const sync = await call('POST', '/v1/accounts/{id}/followers/sync', { bearer, params: { id: brand.id } })
    t.equal(sync.status, 202)
    await until(
      'synced',
      async () => (await call('GET', '/v1/operations/{id}', { bearer, params: { id: sync.body.id } })).body,
      (operation) => operation.state === 'done'
    )
    const second = await send(
      BRAND.appId,
      { openId: person!.openids[BRAND.appId]! },
      'SandboxServiceShipped_000000000000000000000',
      { character_string1: '8231', thing2: '蓝色水杯', time3: '2026-03-01 10:00' },
      'order-8231-brand-again'
    )
    const delivered = await until(
      'delivered',
      () => read(second.body.id),
      (message) => message.state === 'delivered'
    )
    t.match(delivered, { by: 'receipt', msgid: /^\d{19}$/ })
  }
  const summary = sandbox.controls.ledger({ appid: SHOP.appId })
  t.equal(summary.rows.length, 1, 'the local WeChat delivered it once')
})

import t from 'tap'
import { BRAND, liveApp, SHOP, until } from '../support/live-app.js'
import { openApiClient } from '../support/openapi-client.js'

/** The platform every sandbox begins with. */
const PLATFORM = {
  appId: 'wx5b1a2c3d4e5f6009',
  secret: '6009a1b2c3d4e5f60718293a4b5c6d7e',
  token: 'qr_journey_token',
  aesKey: 'kitDemoEncodingAESKey0123456789abcdefghijkA'
}
const TEMPLATE = 'SandboxServiceShipped_000000000000000000000'
const contentOf = (order: string) => ({ character_string1: order, thing2: '蓝色水杯', time3: '2026-03-01 10:00' })
const PUBLIC = 'http://127.0.0.1:1'

/** An administrator before a browser: opens the page, ticks, says yes, and is sent back. */
function administrator(serverUrl: string) {
  /** What the outside calls the server leads here to its port. */
  const real = (address: string) => address.replace(PUBLIC, serverUrl)

  return async (link: string, appId: string, ticked: (set: number) => boolean) => {
    const page = await fetch(link)
    const html = await page.text()
    const form = new URLSearchParams()
    for (const [, name, value] of html.matchAll(/<input type="hidden" name="([^"]+)" value="([^"]*)">/g)) {
      form.append(name!, value!.replaceAll('&amp;', '&').replaceAll('&#39;', "'").replaceAll('&quot;', '"'))
    }
    form.append('appid', appId)
    const offered: number[] = []
    for (const [, set] of html.matchAll(new RegExp(`<input type="checkbox" name="${appId}" value="(\\d+)"`, 'g'))) {
      offered.push(Number(set))
      if (ticked(Number(set))) form.append(appId, set!)
    }
    form.append('answer', 'confirm')
    const action = new URL(/<form method="post" action="([^"]+)"/.exec(html)?.[1] ?? 'no-form', link)
    const answer = await fetch(action, { method: 'POST', body: form, redirect: 'manual' })
    const location = answer.headers.get('location') ?? ''
    const shown = await fetch(real(location), { headers: { accept: 'text/html' } })
    return { offered, location: real(location), status: shown.status, text: await shown.text() }
  }
}

t.test(
  'an account is connected by a QR code, and does what its administrator granted, no more and no longer',
  async (t) => {
    const { url, sandbox, rooms } = await liveApp(t)
    const client = await openApiClient(url)
    await rooms.operators.create({
      email: 'owner@example.com',
      password: 'correct horse battery',
      role: 'owner',
      accountIds: null
    })
    const login = await client.call('POST', '/v1/auth/login', {
      body: { email: 'owner@example.com', password: 'correct horse battery' }
    })
    const bearer: string = login.body.token
    const call = (method: string, path: string, more: object = {}) => client.call(method, path, { bearer, ...more })
    const account = async () => (await call('GET', '/v1/accounts/{id}', { params: { id: BRAND.appId } })).body
    const consent = administrator(url)
    const all = () => true

    // set up the platform on both sides
    const early = await call('POST', '/v1/platform/authorizations', { body: {} })
    t.match(early, { status: 409, body: { code: 'platform.not-set-up' } })
    const set = await call('PATCH', '/v1/platform', { body: { ...PLATFORM, mode: 'sandbox' } })
    t.equal(set.status, 200)
    t.match(set.body, {
      appId: PLATFORM.appId,
      apiBase: sandbox.url,
      ticket: null,
      callback: {
        eventUrl: `${PUBLIC}/platform/callback`,
        messageUrl: `${PUBLIC}/callback/$APPID$`,
        domain: '127.0.0.1'
      }
    })
    t.notOk(JSON.stringify(set.body).includes(PLATFORM.secret))
    t.notOk(JSON.stringify(set.body).includes(PLATFORM.aesKey))
    sandbox.controls.putPlatform({
      appid: PLATFORM.appId,
      secret: PLATFORM.secret,
      token: PLATFORM.token,
      aesKey: PLATFORM.aesKey,
      eventUrl: set.body.callback.eventUrl.replace(PUBLIC, url),
      messageUrl: set.body.callback.messageUrl.replace(PUBLIC, url),
      domain: set.body.callback.domain
    })
    await until(
      'a ticket',
      async () => (await call('GET', '/v1/platform')).body,
      (platform) => platform.ticket !== null
    )

    // scan, but leave set 7 unticked
    const link = (await call('POST', '/v1/platform/authorizations', { body: {} })).body
    t.ok(link.url.startsWith(`${sandbox.url}/cgi-bin/componentloginpage?`))
    const first = await consent(link.url, BRAND.appId, (set) => set !== 7)
    t.ok([1, 2, 3, 7].every((set) => first.offered.includes(set)))
    t.equal(first.status, 200)
    t.match(first.text, /Connected, but disabled/)
    t.match(first.text, /7 群发与通知/)
    t.match(await account(), {
      kind: 'service',
      name: '晨读书店服务号',
      mode: 'sandbox',
      connectedBy: 'qr',
      state: 'disabled',
      disabledReason: /permission set not granted: 7 群发与通知 \(templates\)/,
      permissions: [1, 2, 3, 89],
      authorization: { withdrawnAt: null, missing: [{ id: 7, for: 'templates' }] },
      functions: {
        templates: { ok: false, missing: ['permission set 7 群发与通知'] },
        followers: { ok: true, missing: [] }
      },
      paused: false
    })
    t.equal((await call('GET', '/v1/accounts')).body.data.length, 1, 'event and browser made one account')
    t.equal((await fetch(first.location)).status, 200, 'a reload says the same')
    const forged = new URL(first.location)
    forged.searchParams.set('auth_code', 'queryauthcode@@@of-somebody-else')
    t.equal((await fetch(forged)).status, 403, 'the state is good for the code it came with')
    forged.searchParams.set('state', 'made-up')
    t.equal((await fetch(forged)).status, 403)
    t.equal((await fetch(forged, { headers: { accept: 'text/html' } })).status, 403)

    // update the authorisation
    const update = (await call('POST', '/v1/platform/authorizations', { body: { accountId: BRAND.appId } })).body
    t.equal(new URL(update.url).searchParams.get('biz_appid'), BRAND.appId)
    const second = await consent(update.url, BRAND.appId, all)
    t.match(second.text, /授权成功/)
    t.match(await account(), {
      state: 'ready',
      disabledReason: null,
      permissions: [1, 2, 3, 7, 89],
      authorization: { missing: [] },
      functions: { templates: { ok: true, missing: [] } }
    })

    // an update that takes a compulsory set away disables it for campaigns, with the reason
    await call('GET', '/v1/templates', { query: { accountId: BRAND.appId, live: 'true' } })
    const audience = await call('POST', '/v1/audiences', { body: { name: '所有人', rule: { reachable: true } } })
    const campaign = await call('POST', '/v1/campaigns', {
      body: {
        name: '发货',
        accountId: BRAND.appId,
        audienceId: audience.body.id,
        templateId: TEMPLATE,
        trigger: { kind: 'once', at: new Date(Date.now() + 3_600_000).toISOString(), zone: 'Asia/Shanghai' },
        content: contentOf('8231'),
        lane: 'transactional'
      }
    })
    t.equal(campaign.status, 201)
    const check = async () =>
      (await call('POST', '/v1/campaigns/{id}/check', { params: { id: campaign.body.id } })).body.problems
    const another = async (ticked: (set: number) => boolean) => {
      const { url: page } = (await call('POST', '/v1/platform/authorizations', { body: { accountId: BRAND.appId } }))
        .body
      return consent(page, BRAND.appId, ticked)
    }
    t.same(await check(), [])
    await another((set) => set !== 7)
    t.match(await check(), [{ code: 'accounts.disabled', message: /7 群发与通知/ }])
    const refused = await call('POST', '/v1/campaigns/{id}/activate', { params: { id: campaign.body.id } })
    t.ok(refused.status >= 400, 'it cannot go online')
    await another(all)
    t.same(await check(), [])

    // a message is sent through it, by the account's token of the platform, and its receipt comes by the platform's address
    const [person] = sandbox.controls.addUsers({
      count: 1,
      appids: [SHOP.appId, BRAND.appId],
      followers: [BRAND.appId]
    })
    const openId = person!.openids[BRAND.appId]!
    const { id: accountId } = await account()
    sandbox.controls.interact({ appid: BRAND.appId, openid: openId, kind: 'click', key: 'ORDERS' })
    const known = () => call('POST', '/v1/people/lookup', { body: { accountId: BRAND.appId, openId } })
    await until('the tap, pushed to the address of the platform', known, ({ status }) => status === 200)
    const send = (key: string) =>
      call('POST', '/v1/messages', {
        headers: { 'idempotency-key': key },
        body: { accountId: BRAND.appId, to: { openId }, templateId: TEMPLATE, content: contentOf(key) }
      })
    const read = async (id: string) => (await call('GET', '/v1/messages/{id}', { params: { id } })).body
    const sync = await call('POST', '/v1/accounts/{id}/followers/sync', { params: { id: BRAND.appId } })
    await until(
      'the followers',
      async () => (await call('GET', '/v1/operations/{id}', { params: { id: sync.body.id } })).body,
      (operation) => operation.state === 'done'
    )
    const posted = await send('order-1')
    t.equal(posted.status, 202)
    const delivered = await until(
      'delivery',
      () => read(posted.body.id),
      ({ state }) => state === 'delivered'
    )
    t.match(delivered, { by: 'receipt', msgid: /^\d{19}$/ })
    const fetched =
      sandbox.requests({ path: '/cgi-bin/stable_token' }).length + sandbox.requests({ path: '/cgi-bin/token' }).length
    t.equal(fetched, 0, 'nobody ever asked with a secret')
    t.equal((await call('POST', '/v1/accounts/{id}/verify', { params: { id: BRAND.appId } })).body.state, 'ready')

    // taken back: nothing goes out any more
    sandbox.controls.unauthorize({ platform: PLATFORM.appId, appid: BRAND.appId })
    const gone = await until('the withdrawal', account, ({ state }) => state === 'disabled')
    t.match(gone, { disabledReason: /took the authorisation back/, authorization: { withdrawnAt: /Z$/ } })
    const before = sandbox.controls.ledger({ appid: BRAND.appId }).rows.length
    const late = await send('order-2')
    t.equal(late.status, 202)
    await rooms.messages.pumps.drain(accountId)
    t.match(await read(late.body.id), { state: 'planned' }, 'it waits, within its time')
    t.equal(sandbox.controls.ledger({ appid: BRAND.appId }).rows.length, before)
    t.match(await check(), [{ code: 'accounts.disabled', message: /took the authorisation back/ }])

    // and given again, what waited goes out
    await another(all)
    t.match(await account(), { state: 'ready', authorization: { withdrawnAt: null } })
    await until(
      'what had waited',
      () => read(late.body.id),
      ({ state }) => state === 'delivered'
    )
    t.equal(sandbox.controls.ledger({ appid: BRAND.appId }).rows.length, before + 1)
  }
)

t.test('a mini-program connected by a QR code logs its phones in through the platform', async (t) => {
  const { url, sandbox, rooms } = await liveApp(t)
  await rooms.platforms.patch({ ...PLATFORM, mode: 'sandbox' })
  sandbox.controls.putPlatform({
    appid: PLATFORM.appId,
    secret: PLATFORM.secret,
    token: PLATFORM.token,
    aesKey: PLATFORM.aesKey,
    eventUrl: `${url}/platform/callback`
  })
  await until(
    'a ticket',
    () => rooms.platforms.view(),
    ({ platform }) => platform.ticket !== null
  )
  sandbox.controls.authorize({ platform: PLATFORM.appId, appid: SHOP.appId })
  await until(
    'the event',
    () => rooms.accounts.list(),
    ([account]) => account?.appId === SHOP.appId
  )
  t.match(await rooms.accounts.get(SHOP.appId), { kind: 'miniprogram', state: 'ready', connectedBy: 'qr' })
  const [person] = sandbox.controls.addUsers({ count: 1, appids: [SHOP.appId] })
  const { code } = sandbox.controls.mintCode({ appid: SHOP.appId, openid: person!.openids[SHOP.appId]! }) as {
    code: string
  }
  const login = () =>
    fetch(`${url}/v1/capture/session`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ appId: SHOP.appId, code })
    })
  const session = await login()
  t.equal(session.status, 200)
  t.match(await session.json(), { token: /./ })
  t.equal(sandbox.requests({ path: '/sns/component/jscode2session' }).length, 1)
  t.equal(sandbox.requests({ path: '/sns/jscode2session' }).length, 0)
  t.equal((await login()).status, 401, 'a code is good once')
})

import t, { type Test } from 'tap'
import { buildApp } from '../../../server/app.js'
import { createAuthorizations } from '../../../server/platforms/authorizations.js'
import { createGrants } from '../../../server/platforms/grants.js'
import { createSettings } from '../../../server/platforms/settings.js'
import { encryptPush, signatureOf } from '../../../server/sandbox/push-crypto.js'
import { buildTestApp } from '../../support/build-app.js'

const PLATFORM = {
  appId: 'wx5b1a2c3d4e5f6009',
  secret: '6009a1b2c3d4e5f60718293a4b5c6d7e',
  token: 'platform_token',
  aesKey: 'kitDemoEncodingAESKey0123456789abcdefghijkA'
}
const SERVICE = 'wx5b1a2c3d4e5f6003'
const SERVICE_SECRET = '6003a1b2c3d4e5f60718293a4b5c6d7e'
const MINUTE = 60_000
const HOUR = 60 * MINUTE

/** A server with a platform, and WeChat's hand: pushes are made here, so that each arrives when the test says. */
async function withPlatform(t: Test, { ticket = true } = {}) {
  const built = await buildTestApp(t, { wechat: 'sandbox', now: '2026-03-01T00:00:00Z' })
  const { app, rooms, clock, key } = built
  const sandbox = built.sandbox!
  const { controls } = sandbox
  controls.putPlatform({
    appid: PLATFORM.appId,
    secret: PLATFORM.secret,
    token: PLATFORM.token,
    aesKey: PLATFORM.aesKey,
    tickets: false
  })
  // a key, since operators are logged out as the clock is moved
  const headers = await key(['accounts:read', 'accounts:write'])
  const call = (method: 'GET' | 'POST' | 'PATCH' | 'DELETE', url: string, payload?: object, more: object = {}) =>
    app.inject({ method, url, headers: { ...headers, ...more }, ...(payload && { payload }) })

  const push = (
    fields: Record<string, string | number>,
    spoil: { token?: string; appId?: string; aes?: boolean } = {}
  ) => {
    const seconds = Math.floor(clock.now().getTime() / 1_000)
    const all = { AppId: PLATFORM.appId, CreateTime: seconds, ...fields }
    const xml = `<xml>${Object.entries(all)
      .map(([name, value]) => `<${name}>${value}</${name}>`)
      .join('')}</xml>`
    const sealed = encryptPush(PLATFORM.aesKey, spoil.appId ?? PLATFORM.appId, xml, '0123456789abcdef')
    const [timestamp, nonce] = [String(seconds), '20240101']
    const token = spoil.token ?? PLATFORM.token
    const query: Record<string, string> =
      spoil.aes === false
        ? { timestamp, nonce, signature: signatureOf(token, timestamp, nonce) }
        : { timestamp, nonce, encrypt_type: 'aes', msg_signature: signatureOf(token, timestamp, nonce, sealed) }
    return app.inject({
      method: 'POST',
      url: '/platform/callback',
      query,
      headers: { 'content-type': 'text/xml' },
      payload:
        spoil.aes === false
          ? xml
          : `<xml><AppId><![CDATA[${PLATFORM.appId}]]></AppId><Encrypt><![CDATA[${sealed}]]></Encrypt></xml>`
    })
  }
  const pushTicket = (value = controls.pushTicket(PLATFORM.appId).ticket) =>
    push({ InfoType: 'component_verify_ticket', ComponentVerifyTicket: value })
  /** An administrator says yes, and WeChat tells of it (unless `told` is false). */
  const authorize = async (sets?: number[], told = true) => {
    const known = rooms.accounts.get(SERVICE).then(
      () => true,
      () => false
    )
    const InfoType = (await known) ? 'updateauthorized' : 'authorized'
    const { authCode } = controls.authorize({ platform: PLATFORM.appId, appid: SERVICE, ...(sets && { sets }) })
    const event = { InfoType, AuthorizerAppid: SERVICE, AuthorizationCode: authCode }
    if (told) await push(event)
    await rooms.events.idle()
    return event
  }
  const unauthorize = async (told = true) => {
    controls.unauthorize({ platform: PLATFORM.appId, appid: SERVICE })
    if (told) await push({ InfoType: 'unauthorized', AuthorizerAppid: SERVICE })
    await rooms.events.idle()
  }
  const account = () => rooms.accounts.get(SERVICE)
  const asked = (name: string) => sandbox.requests({ path: `/cgi-bin/component/${name}`, limit: 500 })
  const token = async () => rooms.tokenCentre.current(targetOf(await account()))

  if (ticket) {
    await rooms.platforms.patch({ ...PLATFORM, mode: 'sandbox' })
    await pushTicket()
  }
  return { ...built, sandbox, controls, call, push, pushTicket, authorize, unauthorize, account, asked, token }
}

const targetOf = (account: { id: string; appId: string; kind: 'service' | 'miniprogram'; apiBase: string }) => ({
  accountId: account.id,
  appId: account.appId,
  kind: account.kind,
  apiBase: account.apiBase,
  tokenApi: 'classic' as const
})

t.test("the platform's settings", async (t) => {
  const { call, db, login, app, key } = await withPlatform(t, { ticket: false })

  t.test('are given whole the first time, lie sealed, and are merged afterwards', async (t) => {
    t.match((await call('GET', '/v1/platform')).json(), { appId: null, ticket: null, mode: 'live' })
    const half = await call('PATCH', '/v1/platform', { appId: PLATFORM.appId })
    t.match(half.json(), {
      status: 422,
      errors: [{ pointer: '/secret' }, { pointer: '/token' }, { pointer: '/aesKey' }]
    })
    const made = await call('PATCH', '/v1/platform', { ...PLATFORM, mode: 'sandbox' })
    t.equal(made.statusCode, 200, made.body)
    t.match(made.json(), { appId: PLATFORM.appId, token: PLATFORM.token })
    const row = JSON.stringify(await db.collection('platform').findOne({}))
    for (const text of [made.body, row]) {
      t.notOk(text.includes(PLATFORM.secret))
      t.notOk(text.includes(PLATFORM.aesKey))
    }
    t.notOk(row.includes(PLATFORM.token))
    const changed = await call('PATCH', '/v1/platform', { token: 'another' }, { 'if-match': made.headers.etag })
    t.equal(changed.json().token, 'another')
    const late = await call('PATCH', '/v1/platform', { token: 'late' }, { 'if-match': made.headers.etag })
    t.equal(late.statusCode, 412)
    t.equal((await call('PATCH', '/v1/platform', { aesKey: 'short' })).statusCode, 422)
  })
  t.test('send the secret nowhere it was not given for', async (t) => {
    t.match((await call('PATCH', '/v1/platform', { mode: 'live' })).json(), { code: 'platform.secret-needed' })
    const away = { apiBase: 'http://10.0.0.1', secret: PLATFORM.secret }
    t.match((await call('PATCH', '/v1/platform', away)).json(), { code: 'accounts.api-base' })
  })
  t.test('are for those who may use all accounts', async (t) => {
    const ask = async (headers: Record<string, string>, method: 'GET' | 'PATCH' = 'GET') =>
      (await app.inject({ method, url: '/v1/platform', headers, ...(method === 'PATCH' && { payload: {} }) }))
        .statusCode
    t.equal(await ask({}), 401)
    t.equal(await ask(await login('operator', ['some'])), 403)
    t.equal(await ask(await key(['accounts:read'])), 200)
    t.equal(await ask(await key(['accounts:read']), 'PATCH'), 403)
    t.equal(await ask(await login('editor'), 'PATCH'), 403)
  })
})

t.test("the platform's door", async (t) => {
  t.test('stays shut before there is a platform', async (t) => {
    const { pushTicket, app } = await withPlatform(t, { ticket: false })
    t.equal((await pushTicket()).statusCode, 403)
    t.equal((await app.inject('/platform/callback?echostr=x&signature=y&timestamp=1&nonce=2')).statusCode, 403)
  })
  t.test(
    'takes nothing with a wrong signature, in clear, or meant for another platform; and stores nothing of it',
    async (t) => {
      const { push, db, rooms, app } = await withPlatform(t, { ticket: false })
      await rooms.platforms.patch({ ...PLATFORM, mode: 'sandbox' })
      const ticket = { InfoType: 'component_verify_ticket', ComponentVerifyTicket: 'ticket@@@forged' }
      const event = { InfoType: 'authorized', AuthorizerAppid: SERVICE, AuthorizationCode: 'queryauthcode@@@forged' }
      for (const fields of [ticket, event]) {
        for (const spoil of [{ token: 'wrong' }, { appId: 'wx5b1a2c3d4e5f6001' }, { aes: false }]) {
          t.equal((await push(fields, spoil)).statusCode, 403)
        }
      }
      t.equal((await rooms.platforms.view()).platform.ticket, null)
      t.equal(await db.collection('events').countDocuments({}), 0)
      t.equal(await db.collection('authorizations').countDocuments({}), 0)
      const good = signatureOf(PLATFORM.token, '1', '2')
      const echo = await app.inject(`/platform/callback?echostr=42&signature=${good}&timestamp=1&nonce=2`)
      t.same([echo.statusCode, echo.body], [200, '42'])
    }
  )
  t.test('keeps the newest ticket, sealed, for twelve hours', async (t) => {
    const { pushTicket, push, rooms, clock, db, call, parts } = await withPlatform(t)
    const first = (await rooms.platforms.view()).platform.ticket!.receivedAt
    clock.advance(10 * MINUTE)
    t.same([(await pushTicket()).statusCode, (await pushTicket('ticket@@@newest')).body], [200, 'success'])
    const old = { InfoType: 'component_verify_ticket', ComponentVerifyTicket: 'ticket@@@late' }
    await push({ ...old, CreateTime: first.getTime() / 1_000 })
    const { ticket } = (await rooms.platforms.view()).platform
    t.equal(ticket!.receivedAt.getTime() - first.getTime(), 10 * MINUTE)
    const row = await db.collection('platform').findOne({})
    t.notOk(JSON.stringify(row).includes('ticket@@@'))
    t.equal(parts.sealer.open(String(row!.sealedTicket)), 'ticket@@@newest')
    clock.advance(12 * HOUR)
    t.match((await call('POST', '/v1/platform/authorizations', {})).json(), { status: 409, code: 'platform.no-ticket' })
  })
  t.test('takes an event once, however often it is pushed, and keeps those nobody knows', async (t) => {
    const { authorize, push, rooms, asked, db } = await withPlatform(t)
    const event = await authorize()
    const looks = asked('api_get_authorizer_info').length
    t.equal((await push(event)).body, 'success')
    await rooms.events.idle()
    t.equal(asked('api_get_authorizer_info').length, looks)
    t.equal((await push({ InfoType: 'notify_of_tomorrow', AuthorizerAppid: SERVICE })).body, 'success')
    t.equal(await db.collection('events').countDocuments({ name: '$platform:notify_of_tomorrow' }), 1)
    t.equal((await rooms.accounts.list()).length, 1)
  })
})

t.test("the platform's token", async (t) => {
  t.test('is fetched once for many, and anew once when it is refused', async (t) => {
    const { rooms, asked, controls, authorize } = await withPlatform(t)
    await authorize()
    t.equal(asked('api_component_token').length, 1)
    await Promise.all(Array.from({ length: 10 }, () => rooms.platforms.links.make({})))
    t.equal(asked('api_component_token').length, 1)
    controls.voidTokens(PLATFORM.appId)
    await Promise.all(Array.from({ length: 10 }, () => rooms.platforms.links.make({})))
    t.equal(asked('api_component_token').length, 2)
  })
  t.test('and the tokens of accounts are fetched by one of two processes', async (t) => {
    const { parts, rooms, asked, authorize, account } = await withPlatform(t)
    await authorize()
    const other = await buildApp(parts)
    t.teardown(() => other.stop())
    const target = targetOf(await account())
    const tokens = await Promise.all(
      [rooms, other.rooms, rooms, other.rooms].map((each) => each.tokenCentre.current(target))
    )
    t.equal(new Set(tokens.map(({ token }) => token)).size, 1)
    t.equal(asked('api_authorizer_token').length, 1)
    await other.rooms.platforms.links.make({})
    t.equal(asked('api_component_token').length, 1)
  })
  t.test('is asked for anew with another secret', async (t) => {
    const { rooms, asked } = await withPlatform(t)
    await rooms.platforms.links.make({})
    await rooms.platforms.patch({ secret: PLATFORM.secret })
    await rooms.platforms.links.make({})
    t.equal(asked('api_component_token').length, 2)
  })
})

t.test("an account's refresh token", async (t) => {
  t.test('lies sealed, and is replaced by each answer', async (t) => {
    const { authorize, token, rooms, controls, clock, db, asked, account } = await withPlatform(t)
    controls.setSettings({ rotateRefreshToken: true })
    await authorize()
    const seen = new Set<string>()
    for (let i = 0; i < 3; i++) {
      seen.add((await token()).token)
      clock.advance(3 * HOUR)
    }
    t.equal(seen.size, 3)
    t.ok(asked('api_authorizer_token').every(({ code }) => code === 0))
    t.equal(asked('api_authorizer_token').length, 3)
    t.notOk(JSON.stringify(await db.collection('authorizations').find().toArray()).includes('refreshtoken@@@'))
    t.equal(await rooms.accounts.secretOf((await account()).id), '')
  })
  t.test('that a crash lost between the answer and the store is read anew from WeChat', async (t) => {
    const { authorize, token, controls, clock, db, asked } = await withPlatform(t)
    controls.setSettings({ rotateRefreshToken: true })
    await authorize()
    const before = await db.collection('authorizations').findOne({})
    const first = await token()
    // as if the process had died after WeChat answered: the row is what it was
    await db.collection('authorizations').replaceOne({ _id: before!._id }, before!)
    clock.advance(3 * HOUR)
    const second = await token()
    t.not(second.token, first.token)
    const codes = asked('api_authorizer_token').map(({ code }) => code)
    t.same(codes.toReversed(), [0, 61023, 0])
    clock.advance(3 * HOUR)
    t.not((await token()).token, second.token)
    t.equal(asked('api_authorizer_token').length, 4, 'and from then on it is right again')
  })
  t.test('of which nothing was stored at all is read from WeChat', async (t) => {
    const { authorize, token, db } = await withPlatform(t)
    await authorize()
    await db.collection('authorizations').updateOne({}, { $set: { sealedRefreshToken: null } })
    t.ok((await token()).token)
  })
  t.test('is put away again and again until the store takes it', async (t) => {
    const { parts, authorize, db, clock, controls } = await withPlatform(t)
    controls.setSettings({ rotateRefreshToken: true })
    await authorize()
    const sealer = parts.sealer
    const grants = createGrants({ db, clock, sealer })
    let failures = 3
    const answer = (body: object) => ({
      kind: 'answer',
      errcode: 0,
      errmsg: '',
      rid: null,
      body,
      httpStatus: 200,
      ms: 1
    })
    const { nextToken } = createAuthorizations({
      clock,
      log: parts.log,
      accounts: null as never,
      client: null as never,
      api: null as never,
      token: {
        with: async () =>
          answer({ authorizer_access_token: 'a', expires_in: 7200, authorizer_refresh_token: 'refreshtoken@@@next' })
      } as never,
      settings: createSettings({ db, clock, sealer, apiBase: 'http://127.0.0.1:1', publicUrl: 'http://127.0.0.1:1' }),
      grants: {
        ...grants,
        async keepRefreshToken(...given) {
          if (failures-- > 0) throw new Error('the store is away')
          return grants.keepRefreshToken(...given)
        }
      },
      sleep: async () => {}
    })
    t.match(await nextToken(SERVICE), { kind: 'answer', body: { access_token: 'a', expires_in: 7200 } })
    t.equal(await grants.refreshToken(SERVICE, PLATFORM.appId), 'refreshtoken@@@next')
    failures = 99
    await t.rejects(nextToken(SERVICE), /the store is away/, 'no token is handed out whose successor is unknown')
  })
  t.test('is not overwritten by the answer to an older question', async (t) => {
    const { parts, clock, db, authorize } = await withPlatform(t)
    await authorize()
    const grants = createGrants({ db, clock, sealer: parts.sealer })
    const [early, late] = [new Date('2026-03-02T00:00:00Z'), new Date('2026-03-02T00:00:01Z')]
    await grants.keepRefreshToken(SERVICE, PLATFORM.appId, 'newer', late)
    await grants.keepRefreshToken(SERVICE, PLATFORM.appId, 'older', early)
    t.equal(await grants.refreshToken(SERVICE, PLATFORM.appId), 'newer')
    t.equal(await grants.stands(SERVICE, PLATFORM.appId, late), true)
    t.equal(await grants.gone(SERVICE, early), false, 'nor is a consent by an older withdrawal')
    t.equal(await grants.gone(SERVICE, late), true)
    t.equal(await grants.refreshToken(SERVICE, PLATFORM.appId), null)
  })
})

t.test('an authorisation', async (t) => {
  t.test('that is taken back stops the account, and its tokens are not asked for any more', async (t) => {
    const { authorize, unauthorize, token, account, asked, db } = await withPlatform(t)
    await authorize()
    await token()
    await unauthorize()
    t.match(await account(), { state: 'disabled', paused: true, pausedByOperator: false })
    await t.rejects(token(), { code: 'wechat.61003' })
    t.equal(asked('api_authorizer_token').length, 1)
    t.equal((await db.collection('authorizations').findOne({}))!.sealedRefreshToken, null)
  })
  t.test('of which the withdrawal arrives after it was given again, stands', async (t) => {
    const { authorize, unauthorize, push, rooms, account, token } = await withPlatform(t)
    await authorize()
    await unauthorize(false)
    await authorize()
    await push({ InfoType: 'unauthorized', AuthorizerAppid: SERVICE })
    await rooms.events.idle()
    t.match(await account(), { state: 'ready', paused: false })
    t.ok((await token()).token)
  })
  t.test('nobody told of is found by the hourly look, and so is its end', async (t) => {
    const { authorize, unauthorize, rooms, account, clock, asked } = await withPlatform(t)
    await authorize(undefined, false)
    await t.rejects(account())
    await rooms.platforms.tend()
    t.match(await account(), { state: 'ready', connectedBy: 'qr', name: '晨读书店服务号' })
    clock.advance(30 * MINUTE)
    await rooms.platforms.tend()
    const looks = asked('api_get_authorizer_info').length
    await rooms.platforms.tend()
    t.equal(asked('api_get_authorizer_info').length, looks, 'what is known is left alone')
    await unauthorize(false)
    await rooms.platforms.tend()
    t.match(await account(), { state: 'disabled' })
  })
  t.test('asks for a ticket where none came for an hour', async (t) => {
    const { rooms, clock, asked } = await withPlatform(t)
    const before = asked('api_start_push_ticket').length
    await rooms.platforms.tend()
    t.equal(asked('api_start_push_ticket').length, before)
    clock.advance(HOUR + MINUTE)
    await rooms.platforms.tend()
    t.equal(asked('api_start_push_ticket').length, before + 1)
  })
  t.test('does not bring back an account that was removed here, until its administrator consents anew', async (t) => {
    const { authorize, rooms, call, push, clock } = await withPlatform(t)
    const event = await authorize()
    const at = Math.floor(clock.now().getTime() / 1_000)
    clock.advance(10 * MINUTE)
    t.equal((await call('DELETE', `/v1/accounts/${SERVICE}`)).statusCode, 204)
    await rooms.platforms.tend()
    await push({ ...event, InfoType: 'updateauthorized', CreateTime: at })
    await rooms.events.idle()
    t.same(await rooms.accounts.list(), [])
    clock.advance(MINUTE)
    await authorize([1, 2, 3, 7])
    t.equal((await rooms.accounts.list()).length, 1)
  })
  t.test('is no new one when a browser comes back with the code of one that was let go', async (t) => {
    const { authorize, rooms, call, sandbox } = await withPlatform(t)
    const { AuthorizationCode: code } = await authorize()
    const back = async (authCode: string) => {
      const { url } = (await call('POST', '/v1/platform/authorizations', {})).json()
      const address = new URL(new URL(url).searchParams.get('redirect_uri')!)
      return call('GET', `${address.pathname}${address.search}&auth_code=${encodeURIComponent(authCode)}`)
    }
    t.equal((await back(code)).statusCode, 200)
    t.equal((await call('DELETE', `/v1/accounts/${SERVICE}`)).statusCode, 204)
    t.match((await back(code)).json(), { status: 502, code: 'platform.unknown-code' })
    t.same(await rooms.accounts.list(), [])
    const anew = (await authorize([1, 2, 3, 7], false)).AuthorizationCode
    sandbox.controls.addRule({ path: '/cgi-bin/component/api_get_authorizer_info', times: 1, action: { http: 500 } })
    t.equal((await back(anew)).statusCode, 502)
    t.equal((await back(anew)).statusCode, 200, 'the traded code is not lost when the look after it fails')
    t.equal((await rooms.accounts.list()).length, 1)
  })
  t.test('of another platform is worth nothing', async (t) => {
    const { authorize, rooms, account, controls } = await withPlatform(t)
    await authorize()
    const appId = 'wx5b1a2c3d4e5f600a'
    controls.putPlatform({
      ...PLATFORM,
      appid: appId,
      secret: PLATFORM.secret,
      tickets: false,
      appId: undefined
    } as never)
    await rooms.platforms.patch({ appId, secret: PLATFORM.secret })
    t.match(await account(), { state: 'disabled', authorization: { withdrawnAt: Date } })
    t.equal((await rooms.platforms.view()).platform.ticket, null)
  })
  t.test('whose code was spent, or whose end came before it was handled, is what WeChat says it is', async (t) => {
    const { authorize, push, rooms, account, controls } = await withPlatform(t)
    const event = await authorize(undefined, false)
    await rooms.platforms.authorizations.returned(event.AuthorizationCode)
    await push(event)
    await rooms.events.idle()
    t.match(await account(), { state: 'ready' })
    t.equal((await rooms.accounts.list()).length, 1)
    const late = await authorize([1, 2, 3, 7], false)
    controls.unauthorize({ platform: PLATFORM.appId, appid: SERVICE })
    await push(late)
    await rooms.events.idle()
    t.match(await account(), { state: 'disabled' })
    t.equal(await rooms.events.sweep(), 0, 'and nothing is left to be tried again')
  })
  t.test('is tried again when WeChat was away', async (t) => {
    const { authorize, rooms, account, controls, clock } = await withPlatform(t)
    controls.addRule({ path: '/cgi-bin/component/api_get_authorizer_info', nth: 1, action: { status: 502 } } as never)
    await authorize()
    await t.rejects(account())
    clock.advance(5_000)
    await rooms.events.sweep()
    t.match(await account(), { state: 'ready' })
  })
})

t.test('an account', async (t) => {
  t.test('goes from its secret to the QR code and back, as it was last told, and keeps its settings', async (t) => {
    const { authorize, call, rooms, account, token, sandbox } = await withPlatform(t)
    const body = { kind: 'service', appId: SERVICE, secret: SERVICE_SECRET, name: '我们的', mode: 'sandbox' }
    const made = await call('POST', '/v1/accounts', { ...body, apiBase: sandbox.url, limits: { perSecond: 7 } })
    t.match(made.json(), { connectedBy: 'secret', authorization: null })
    await authorize([1, 2, 3, 7])
    t.match(await account(), { callback: { token: null, mode: 'safe' } })
    t.match(await account(), { id: made.json().id, connectedBy: 'qr', name: '我们的', limits: { perSecond: 7 } })
    await token()
    const back = await call('PATCH', `/v1/accounts/${SERVICE}`, { secret: SERVICE_SECRET })
    t.match(back.json(), { connectedBy: 'secret', authorization: null, permissions: [], state: 'ready' })
    await rooms.platforms.tend()
    t.match(await account(), { connectedBy: 'secret' }, 'the hourly look leaves it so')
    t.equal(await rooms.accounts.secretOf(made.json().id), SERVICE_SECRET)
  })
  t.test('is verified by what was granted first, and by probes of that', async (t) => {
    const { authorize, call, controls } = await withPlatform(t)
    await authorize([1, 2, 3, 7])
    t.match((await call('POST', `/v1/accounts/${SERVICE}/verify`)).json(), {
      state: 'ready',
      functions: { templates: { ok: true }, followers: { ok: true }, events: { ok: true } }
    })
    // changed behind our back
    controls.authorize({ platform: PLATFORM.appId, appid: SERVICE, sets: [1, 3, 7] })
    t.match((await call('POST', `/v1/accounts/${SERVICE}/verify`)).json(), {
      state: 'disabled',
      disabledReason: /2 用户管理/,
      functions: { followers: { ok: false } }
    })
  })
  t.test('that lacks set 1 is freed when no recent interaction is demanded any more', async (t) => {
    const { authorize, call } = await withPlatform(t)
    await authorize([2, 3, 7])
    t.match((await call('GET', `/v1/accounts/${SERVICE}`)).json(), { state: 'disabled', disabledReason: /1 消息管理/ })
    const freed = await call('PATCH', `/v1/accounts/${SERVICE}`, {
      serviceWindow: { bulk: false, transactional: false }
    })
    t.match(freed.json(), { state: 'limited', functions: { events: { ok: false } } })
  })
  t.test('that was stopped by its authorisation is not started by resuming it', async (t) => {
    const { authorize, unauthorize, call, account } = await withPlatform(t)
    await authorize()
    await unauthorize()
    const resumed = await call('POST', `/v1/accounts/${SERVICE}/resume`)
    t.match(resumed.json(), { paused: false, state: 'disabled' })
    t.equal((await account()).paused, true)
  })
  t.test('connected by its secret has no permissions to update', async (t) => {
    const { call, account } = await withPlatform(t)
    t.ok(account)
    const body = { kind: 'service', appId: SERVICE, secret: SERVICE_SECRET, name: 'x', mode: 'sandbox' }
    await call('POST', '/v1/accounts', body)
    const asked = await call('POST', '/v1/platform/authorizations', { accountId: SERVICE })
    t.match(asked.json(), { status: 409, code: 'platform.not-by-qr' })
  })
  t.test('is given links for itself by those alone who may use it', async (t) => {
    const { authorize, app, login, account } = await withPlatform(t)
    await authorize()
    const { id } = await account()
    const ask = async (accountIds: string[], payload: object) =>
      (
        await app.inject({
          method: 'POST',
          url: '/v1/platform/authorizations',
          headers: await login('operator', accountIds),
          payload
        })
      ).statusCode
    t.equal(await ask([id], { accountId: SERVICE }), 200)
    t.equal(await ask(['other'], { accountId: SERVICE }), 404)
    t.equal(await ask([id], {}), 403)
  })
  t.test('other than the one asked for is refused at the return', async (t) => {
    const { rooms, controls, authorize, app } = await withPlatform(t)
    await authorize()
    const { url } = await rooms.platforms.links.make({ appId: SERVICE })
    const back = new URL(new URL(url).searchParams.get('redirect_uri')!)
    const { authCode } = controls.authorize({ platform: PLATFORM.appId, appid: 'wx5b1a2c3d4e5f6001' })
    const query = { state: back.searchParams.get('state')!, auth_code: authCode }
    const answer = await app.inject({ url: back.pathname, query })
    t.match(answer.json(), { status: 409, code: 'platform.other-account' })
    t.equal(answer.headers['cache-control'], 'no-store')
  })
})

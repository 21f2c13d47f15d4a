import t from 'tap'
import { apiBaseFault } from '../../../server/accounts/api-base.js'
import { buildTestApp } from '../../support/build-app.js'

const appId = 'wx00112233445566aa'
const secret = '0123456789abcdef0123456789abcdef'
const body = { kind: 'miniprogram', appId, secret, name: '小店' }

t.test('an account', async (t) => {
  const server = await buildTestApp(t)
  const { app, rooms, clock } = server
  const headers = await server.login('owner')
  const call = (method: 'GET' | 'POST' | 'PATCH' | 'DELETE', url: string, payload?: object, more: object = {}) =>
    app.inject({ method, url, headers: { ...headers, ...more }, ...(payload && { payload }) })

  t.test('is connected by its secret, with the defaults of its kind', async (t) => {
    const made = await call('POST', '/v1/accounts', body)
    t.equal(made.statusCode, 201)
    t.match(made.json(), {
      appId,
      mode: 'live',
      apiBase: 'https://api.weixin.qq.com',
      tokenApi: 'stable',
      zone: 'Asia/Shanghai',
      state: 'ready',
      paused: false,
      limits: { perSecond: 50, inFlight: 200, perDay: { legacy: 1_000_000, subscribe: 10_000_000, service: 100_000 } },
      caps: { perPersonPerDay: 3, stopTransactional: false },
      serviceWindow: { bulk: true, transactional: false },
      grantsFrom: 'phone',
      callback: { url: `http://hongyan.test/callback/${appId}`, mode: 'plain', lastReceivedAt: null }
    })
    t.match(made.json().callback.token, /^[A-Za-z0-9]{3,32}$/)
    const service = { ...body, kind: 'service', appId: 'wx00112233445566bb' }
    t.equal((await call('POST', '/v1/accounts', service)).json().grantsFrom, 'events')
  })
  t.test('never shows its secret, which lies sealed', async (t) => {
    const answer = await call('GET', `/v1/accounts/${appId}`)
    t.notMatch(answer.body, secret)
    t.notMatch(JSON.stringify(await server.db.collection('accounts').find().toArray()), secret)
    t.equal(await rooms.accounts.secretOf(appId), secret)
  })
  t.test('is there once', async (t) => {
    t.match((await call('POST', '/v1/accounts', body)).json(), {
      status: 409,
      code: 'accounts.exists',
      facts: { appId }
    })
  })
  t.test('is found by id and by appId, and listed', async (t) => {
    const { id } = (await call('GET', `/v1/accounts/${appId}`)).json()
    t.equal((await call('GET', `/v1/accounts/${id}`)).json().appId, appId)
    t.equal((await call('GET', '/v1/accounts?count=true')).json().page.total, 2)
    t.match((await call('GET', '/v1/accounts/wxffffffffffffffff')).json(), { status: 404, code: 'accounts.not-found' })
  })
  t.test('is changed by who saw its newest state', async (t) => {
    const { etag } = (await call('GET', `/v1/accounts/${appId}`)).headers
    const patch = (payload: object, seen?: unknown) =>
      call('PATCH', `/v1/accounts/${appId}`, payload, seen === undefined ? {} : { 'if-match': seen })
    const changed = await patch(
      { name: '新店', limits: { perDay: { service: 5 } }, caps: { perPersonPerDay: null } },
      etag
    )
    t.match(changed.json(), {
      name: '新店',
      limits: { perSecond: 50, perDay: { legacy: 1_000_000, service: 5 } },
      caps: { perPersonPerDay: null, stopTransactional: false }
    })
    t.not(changed.headers.etag, etag)
    t.match((await patch({ name: 'late' }, etag)).json(), { status: 412, code: 'request.changed' })
    t.equal(
      (await patch({ limits: { perSecond: 10 } }, changed.headers.etag)).json().limits.perDay.service,
      5,
      'merged'
    )
    t.equal((await patch({ caps: { stopTransactional: true } })).json().caps.perPersonPerDay, null)
    t.equal((await patch({ callback: { token: 'mytoken', format: 'json' } })).json().callback.token, 'mytoken')
    t.match((await patch({ kind: 'service' })).json(), {
      status: 422,
      errors: [{ pointer: '/kind', code: 'unknown_key' }]
    })
  })
  t.test('that is live talks to WeChat only', async (t) => {
    const patch = (payload: object) => call('PATCH', `/v1/accounts/${appId}`, payload)
    for (const apiBase of [
      'http://169.254.169.254',
      'https://weixin.qq.com.evil.example',
      'http://api.weixin.qq.com'
    ]) {
      t.match((await patch({ apiBase })).json(), { status: 422, code: 'accounts.api-base' })
    }
    const secret = 'the secret given again'
    t.equal((await patch({ apiBase: 'https://api2.weixin.qq.com', secret })).statusCode, 200)
    t.match((await patch({ mode: 'sandbox', apiBase: 'http://127.0.0.1:8199' })).json(), {
      status: 422,
      code: 'accounts.secret-needed'
    })
    t.equal((await patch({ mode: 'sandbox', apiBase: 'http://127.0.0.1:8199', secret })).statusCode, 200)
    t.match((await patch({ apiBase: 'http://127.0.0.1:9' })).json(), { code: 'accounts.secret-needed' })
    t.equal((await patch({ mode: 'live', secret })).statusCode, 422, 'not with the address of a sandbox')
  })
  t.test('that is a sandbox talks to this machine only', async (t) => {
    const made = async (n: number, more: object) => {
      const appId = `wx00000000000001${String(n).padStart(2, '0')}`
      return (await call('POST', '/v1/accounts', { ...body, appId, mode: 'sandbox', ...more })).json()
    }
    for (const apiBase of [
      'http://169.254.169.254/latest/meta-data',
      'http://[fe80::1]',
      'http://[::ffff:169.254.169.254]',
      'http://10.0.0.7:8080',
      'http://127.0.0.1.evil.example',
      'http://127.0.0.1@evil.example',
      'http://evil.example#127.0.0.1',
      'file:///etc/passwd',
      'ftp://127.0.0.1',
      'javascript:alert(1)'
    ]) {
      const refused = { status: 422, code: 'accounts.api-base', errors: [{ pointer: '/apiBase' }] }
      t.match(await made(0, { apiBase }), refused, apiBase)
    }
    t.match(await made(0, { callback: { relayTo: 'file:///etc/passwd' } }), {
      status: 422,
      errors: [{ pointer: '/callback/relayTo' }]
    })
    const near = ['http://127.0.0.1:8199', 'http://localhost:1', 'http://[::1]:8199', 'https://127.1/prefix']
    for (const [n, apiBase] of near.entries()) t.match(await made(n, { apiBase }), { apiBase })
  })
  t.test('takes no mode of pushes that it could not read', async (t) => {
    const needed = { status: 422, code: 'accounts.key-needed', errors: [{ pointer: '/callback/aesKey' }] }
    const patch = async (callback: object) => (await call('PATCH', `/v1/accounts/${appId}`, { callback })).json()
    t.match(await patch({ mode: 'safe' }), needed)
    t.match(await patch({ mode: 'compatible' }), needed)
    const appIdOf = { ...body, appId: 'wx00000000000002aa', mode: 'sandbox' }
    t.match((await call('POST', '/v1/accounts', { ...appIdOf, callback: { mode: 'safe' } })).json(), needed)
    t.match(await patch({ mode: 'safe', aesKey: '!'.repeat(43) }), {
      status: 422,
      errors: [{ pointer: '/callback/aesKey' }]
    })
    t.match(await patch({ mode: 'safe', aesKey: 'a'.repeat(43) }), { callback: { mode: 'safe' } })
    t.match(await patch({ mode: 'plain' }), { callback: { mode: 'plain' } })
    t.match(await patch({ mode: 'compatible' }), { callback: { mode: 'compatible' } }, 'the key is known')
  })
  t.test('tells phones how to catch', async (t) => {
    const prompts = [{ scene: 'order', templateIds: ['T1', 'T2'] }]
    t.match((await call('GET', `/v1/accounts/${appId}`)).json(), {
      capture: { capPerDay: 0, minIntervalMs: 0, prompts: [] }
    })
    const patch = (capture: object) => call('PATCH', `/v1/accounts/${appId}`, { capture })
    t.match((await patch({ capPerDay: 20, prompts })).json(), { capture: { capPerDay: 20, minIntervalMs: 0, prompts } })
    t.match((await patch({ minIntervalMs: 500 })).json(), { capture: { capPerDay: 20, minIntervalMs: 500, prompts } })
    t.equal((await patch({ prompts: [{ scene: 'order', templateIds: [] }] })).statusCode, 422)
    const key = await server.key(['capture:mint'])
    const minted = await app.inject({
      method: 'POST',
      url: '/v1/capture/sessions',
      headers: key,
      payload: { accountId: appId, openId: 'oPhone' }
    })
    t.match(minted.json(), { token: String, settings: { capPerDay: 20, minIntervalMs: 500, prompts } })
  })
  t.test('is paused and resumed', async (t) => {
    t.equal((await call('POST', `/v1/accounts/${appId}/pause`)).json().paused, true)
    t.equal((await rooms.accounts.get(appId)).paused, true)
    t.equal((await call('POST', `/v1/accounts/${appId}/resume`)).json().paused, false)
  })
  t.test('keeps what the server learns of it, without a new revision', async (t) => {
    const before = await rooms.accounts.get(appId)
    const until = new Date(clock.now().getTime() + 60_000)
    await rooms.accounts.block(before.id, 'subscribe', { until, code: 45009, note: 'quota' })
    await rooms.accounts.markShared(before.id, until)
    await rooms.accounts.touchCallback(before.id, clock.now())
    const after = await rooms.accounts.get(appId)
    t.match(after, {
      rev: before.rev,
      exclusive: false,
      blocked: { subscribe: { until: until.toISOString(), code: 45009 } }
    })
    t.same(after.callback.lastReceivedAt, clock.now())
    clock.advance(61_000)
    t.equal((await rooms.accounts.get(appId)).exclusive, true)
    await call('POST', `/v1/accounts/${appId}/resume`)
    t.same((await rooms.accounts.get(appId)).blocked, {}, 'an operator has seen to it')
    await t.rejects(rooms.accounts.markShared('nobody', until), { code: 'accounts.not-found' } as never)
  })
  t.test('does not exist for callers of other accounts', async (t) => {
    const { id } = await rooms.accounts.get(appId)
    const others = await server.key(['accounts:read', 'accounts:write'], ['another'])
    const mine = await server.key(['accounts:read', 'accounts:write'], [id])
    const status = async (method: 'GET' | 'DELETE' | 'POST', url: string, who: object, payload?: object) =>
      (await app.inject({ method, url, headers: { ...who }, ...(payload && { payload }) })).statusCode
    t.equal(await status('GET', `/v1/accounts/${appId}`, others), 404)
    t.equal(await status('DELETE', `/v1/accounts/${appId}`, others), 404)
    t.equal(await status('GET', `/v1/accounts/${appId}`, mine), 200)
    t.equal(await status('POST', '/v1/accounts', mine, { ...body, appId: 'wx00112233445566cc' }), 403)
    t.equal((await app.inject({ url: '/v1/accounts', headers: mine })).json().data.length, 1)
  })
  t.test('leaves', async (t) => {
    t.equal((await call('DELETE', `/v1/accounts/${appId}`, undefined, { 'if-match': '"1"' })).statusCode, 412)
    t.equal((await call('DELETE', `/v1/accounts/${appId}`)).statusCode, 204)
    t.equal((await call('DELETE', `/v1/accounts/${appId}`)).statusCode, 404)
  })
})

t.test('verifying an account', async (t) => {
  const server = await buildTestApp(t, { wechat: 'sandbox' })
  const headers = await server.login('owner')
  const right = { appId: 'wx5b1a2c3d4e5f6001', secret: '6001a1b2c3d4e5f60718293a4b5c6d7e' }
  const verify = async (id: string) =>
    (await server.app.inject({ method: 'POST', url: `/v1/accounts/${id}/verify`, headers })).json()

  t.test('finds one whose secret is right ready', async (t) => {
    const { id } = await server.account(right)
    t.match(await verify(id), { state: 'ready', disabledReason: null, functions: { templates: { ok: true } } })
    const service = await server.account({
      kind: 'service',
      appId: 'wx5b1a2c3d4e5f6003',
      secret: '6003a1b2c3d4e5f60718293a4b5c6d7e'
    })
    t.match(await verify(service.id), {
      state: 'ready',
      functions: { templates: { ok: true }, followers: { ok: true } }
    })
  })
  t.test('disables one with a wrong secret, until it is mended', async (t) => {
    const { id } = await server.account({ ...right, appId: 'wx5b1a2c3d4e5f6002' })
    const found = await verify(id)
    t.match(found, { state: 'disabled', disabledReason: /secret/i })
    const mended = {
      method: 'PATCH',
      url: `/v1/accounts/${id}`,
      headers,
      payload: { secret: '6002a1b2c3d4e5f60718293a4b5c6d7e' }
    }
    t.equal((await server.app.inject(mended as never)).statusCode, 200)
    server.clock.advance(120_000)
    t.match(await verify(id), { state: 'ready', disabledReason: null })
  })
  t.test('leaves the state alone while WeChat cannot be asked', async (t) => {
    const { id } = await server.account({ apiBase: 'http://127.0.0.1:1' })
    t.match(await verify(id), { status: 502, code: 'wechat.not-reached' })
    t.equal((await server.rooms.accounts.get(id)).state, 'ready')
  })
})

t.test('an operation', async (t) => {
  const { app, rooms, clock, login, key } = await buildTestApp(t)
  const headers = await login('viewer')
  const get = async (location: string, who = headers) => (await app.inject({ url: location, headers: who })).json()

  t.test('is watched from start to end', async (t) => {
    const operation = await rooms.operations.start('templates.sync', 3)
    t.match(await get(operation.location), { kind: 'templates.sync', state: 'running', done: 0, total: 3, error: null })
    await operation.progress(2)
    t.match(await get(operation.location), { done: 2 })
    await rooms.operations.resume(operation.id).done({ added: 2 })
    t.match(await get(operation.location), { state: 'done', result: { added: 2 } })
    await operation.failed(new Error('too late'))
    t.match(await get(operation.location), { state: 'done' })
  })
  t.test('fails with its reason, also when its process died', async (t) => {
    const failed = await rooms.operations.start('x')
    await failed.failed(new Error('no quota'))
    t.match(await get(failed.location), { state: 'failed', error: 'no quota' })
    const silent = await rooms.operations.start('x')
    clock.advance(11 * 60_000)
    t.match(await get(silent.location, await login('viewer')), { state: 'failed', error: /10 minutes/ })
  })
  t.test('of another account does not exist', async (t) => {
    const { location } = await rooms.operations.start('x', undefined, 'acc1')
    t.match(await get(location, await key(['accounts:read'], ['acc2'])), { status: 404 })
    t.match(await get('/v1/operations/none', await login('viewer')), { status: 404, code: 'operations.not-found' })
  })
})

t.test('what an account may name as apiBase', async (t) => {
  const wechat = 'https://api.weixin.qq.com'
  t.test('live: the hosts WeChat documents, over https', async (t) => {
    for (const name of ['api', 'api2', 'sh.api', 'sz.api', 'hk.api']) {
      t.equal(apiBaseFault('live', `https://${name}.weixin.qq.com`, 'http://127.0.0.1:1'), null, name)
    }
    const others = ['mp.weixin.qq.com', 'api.weixin.qq.com:8443', 'x.api.weixin.qq.com', 'api.weixin.qq.com.', '[::1]']
    for (const host of others) t.type(apiBaseFault('live', `https://${host}`, wechat), 'string', host)
    t.type(apiBaseFault('live', 'https://u:p@api.weixin.qq.com', wechat), 'string')
    t.type(apiBaseFault('live', 'https://api.weixin.qq.com?x=1', wechat), 'string')
  })
  t.test('what this installation is configured for, whatever it is', async (t) => {
    const own = 'http://wechat-proxy.internal:8080/v1'
    t.equal(apiBaseFault('live', 'http://wechat-proxy.internal:8080', own), null)
    t.type(apiBaseFault('live', 'http://wechat-proxy.internal:22', own), 'string')
    t.equal(apiBaseFault('sandbox', 'http://wechat-proxy.internal:9090', own), null)
    t.type(apiBaseFault('sandbox', 'http://other.internal:8080', own), 'string')
  })
})

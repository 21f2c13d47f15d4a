import t from 'tap'
import { createHttp } from '../../../server/platform/http.js'
import { authPlugin } from '../../../server/platform/auth.js'
import { silentLog } from '../../../server/platform/log.js'
import { tokenRoutes } from '../../../server/wechat/routes.js'
import { buildTestApp } from '../../support/build-app.js'

const APP = 'wx5b1a2c3d4e5f6001'
const SECRET = '6001a1b2c3d4e5f60718293a4b5c6d7e'

t.test('the token of an account, for other systems', async (t) => {
  const { rooms, parts, clock, account, key, login, sandbox } = await buildTestApp(t, { wechat: 'sandbox' })
  const app = await createHttp({ log: silentLog(), tokenKey: parts.sealer.derive('tokens'), trustProxy: false })
  await app.register(authPlugin, {
    tokens: rooms.tokens,
    callers: { operator: rooms.operators.callerOf, machine: rooms.apiKeys.callerOf }
  })
  await app.register(tokenRoutes, { accounts: rooms.accounts, tokens: rooms.tokenCentre })
  await app.ready()
  t.teardown(() => app.close())
  const shop = await account({ appId: APP, secret: SECRET })
  const other = await account()
  const fetched = () => sandbox!.requests({ path: '/cgi-bin/stable_token', limit: 100 }).length

  const reader = await key(['tokens:read'])
  const refresher = await key(['tokens:refresh'])
  const get = (id: string, headers: object) =>
    app.inject({ url: `/v1/accounts/${id}/token`, headers: headers as Record<string, string> })
  const refresh = (failedToken: unknown, headers: object = refresher) =>
    app.inject({
      method: 'POST',
      url: `/v1/accounts/${APP}/token/refresh`,
      headers: headers as Record<string, string>,
      payload: { failedToken }
    })

  t.test('is read as often as one likes, and fetched once', async (t) => {
    const answers = await Promise.all([APP, shop.id, APP].map((id) => get(id, reader)))
    for (const answer of answers) {
      t.equal(answer.statusCode, 200, answer.body)
      t.equal(answer.headers['cache-control'], 'no-store')
      t.same(answer.json(), answers[0]!.json())
    }
    t.match(answers[0]!.json(), { token: /^\d\d_/, expiresAt: /Z$/ })
    t.equal(fetched(), 1)
  })

  t.test('is replaced only while the failed one is the newest', async (t) => {
    const first = (await get(APP, reader)).json().token
    const early = await refresh(first)
    t.match(early.json(), { status: 429, code: 'tokens.too-fresh' })
    t.equal(early.headers['retry-after'], '30')
    clock.advance(30_000)
    const second = (await refresh(first)).json().token
    t.not(second, first)
    t.equal((await refresh(first)).json().token, second, 'somebody else was quicker')
    t.equal((await get(APP, reader)).json().token, second)
    t.equal((await refresh('')).statusCode, 422)
  })

  t.test('is for those alone who were given it', async (t) => {
    t.equal((await get(APP, {})).statusCode, 401)
    t.equal((await get(APP, await key(['accounts:read']))).statusCode, 403)
    t.equal((await get(APP, await login('operator'))).statusCode, 403, 'who holds it is the account')
    t.equal((await get(APP, await login('owner'))).statusCode, 200)
    t.equal((await get(APP, await key(['tokens:read'], [other.id]))).statusCode, 404)
    t.equal((await refresh('x', reader)).statusCode, 403)
  })

  t.test('that WeChat does not give for this address says which address to allow', async (t) => {
    sandbox!.controls.putApp({ appid: APP, secret: SECRET, kind: 'miniprogram', whitelist: ['203.0.113.9'] } as never)
    await rooms.tokenCentre.forget(shop.id)
    const answer = await get(APP, reader)
    t.equal(answer.statusCode, 502)
    t.match(answer.json(), {
      code: 'wechat.ip-not-allowed',
      detail: /127\.0\.0\.1/,
      facts: { ip: '127.0.0.1', errcode: 40164 }
    })
  })
})

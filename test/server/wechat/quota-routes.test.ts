import t from 'tap'
import { buildTestApp } from '../../support/build-app.js'
import { BRAND, SHOP } from '../../support/live-app.js'

t.test("WeChat's quota of an account", async (t) => {
  const { app, account, key, sandbox, rooms } = await buildTestApp(t, { wechat: 'sandbox' })
  const shop = await account({ appId: SHOP.appId, secret: SHOP.secret, mode: 'sandbox' })
  await account({ kind: 'service', appId: BRAND.appId, secret: BRAND.secret, mode: 'sandbox' })
  const headers = await key(['accounts:read', 'accounts:write'])
  const get = async (id: string) => (await app.inject({ url: `/v1/accounts/${id}/quota`, headers })).json()
  const clear = (id: string, who = headers) =>
    app.inject({ method: 'POST', url: `/v1/accounts/${id}/quota/clear`, headers: who })

  t.test('is told for each way of sending', async (t) => {
    t.match(await get(SHOP.appId), {
      interfaces: [
        { interface: 'legacy', path: '/cgi-bin/message/wxopen/template/send', used: 0 },
        { interface: 'subscribe', path: '/cgi-bin/message/subscribe/send', used: 0 }
      ]
    })
    const { interfaces } = await get(BRAND.appId)
    t.match(interfaces, [{ interface: 'service', perDay: Number, left: Number }])
    t.equal(interfaces[0].left, interfaces[0].perDay)
  })

  t.test('cleared there, what had stopped for it goes on here', async (t) => {
    const { budget } = rooms.messages
    await budget.block(shop.id, 'subscribe', new Date(Date.now() + 3_600_000))
    const slots = () => budget.reserve(shop.id, 'subscribe', 'bulk', 1, { perSecond: 50, perDay: 100 })
    t.not((await slots()).blockedUntil, null)
    t.equal((await clear(SHOP.appId, await key(['accounts:read']))).statusCode, 403)
    t.equal((await clear(SHOP.appId)).statusCode, 204)
    t.match(await slots(), { blockedUntil: null, granted: 1 })
  })

  t.test('is cleared ten times a month', async (t) => {
    let answer = await clear(SHOP.appId)
    for (let n = 0; n < 12 && answer.statusCode === 204; n++) answer = await clear(SHOP.appId)
    t.match(answer.json(), { code: 'wechat.48006' })
    t.ok(sandbox!.requests({ path: '/cgi-bin/clear_quota', limit: 50 }).length > 10)
  })
})

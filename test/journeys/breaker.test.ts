import t from 'tap'
import { buildTestApp } from '../support/build-app.js'
import { SHOP } from '../support/live-app.js'
import { openApiClient } from '../support/openapi-client.js'

const PICKUP = 'SandboxSubscribePickup_'.padEnd(43, '0')
const PEOPLE = 120
const MINUTE = 60_000

t.test(
  'a template people refuse stops by itself, says why, tries a few after its rest and goes on when they are taken',
  { timeout: 60_000 },
  async (t) => {
    const { app, rooms, clock, sandbox, login, account: connect } = await buildTestApp(t, { wechat: 'sandbox' })
    const { call } = await openApiClient(await app.listen({ host: '127.0.0.1', port: 0 }))
    const logIn = async () => (await login('owner')).authorization.replace('Bearer ', '')
    let bearer = await logIn()
    const ask = async (method: string, path: string, options: object = {}) =>
      (await call(method, path, { bearer, ...options })).body
    const controls = sandbox!.controls
    const { id: accountId } = await connect({ ...SHOP, limits: { perSecond: 500 } })

    // an operator makes it quick to trip, for a small shop
    const patched = await ask('PATCH', '/v1/accounts/{id}', {
      params: { id: accountId },
      body: { breaker: { minMessages: 20, probes: 5 } }
    })
    t.match(patched.breaker, { minMessages: 20, probes: 5, windowMs: 600_000, shares: { refusal: 0.3 } })

    const users = controls.addUsers({ count: PEOPLE, appids: [SHOP.appId], followers: [] })
    const openIds = users.map(({ openids }: { openids: Record<string, string> }) => openids[SHOP.appId]!)
    for (const openid of openIds) controls.grant({ appid: SHOP.appId, openid, templateId: PICKUP, push: false })
    const templates = await ask('GET', '/v1/templates', { query: { accountId, live: 'true' } })
    const { fields } = templates.data.find((each: any) => each.templateId === PICKUP)
    await ask('POST', '/v1/credentials', {
      body: {
        accountId,
        items: openIds.map((openId: string, i: number) => ({
          id: `g${i}`,
          openId,
          source: 'grant',
          templateId: PICKUP,
          result: 'accept'
        }))
      }
    })
    const rightsLeft = async () =>
      (await rooms.credentials.rows.find({ accountId, state: 'live' }).toArray()).filter(
        (row) => row.sendsLeft + row.held > 0
      ).length

    const audience = await ask('POST', '/v1/audiences', { body: { name: '全部', rule: { all: [] } } })
    const sample: Record<string, string> = {
      character_string: '8231',
      date: '2026-03-01',
      time: '10:00',
      phrase: '已到'
    }
    const content = Object.fromEntries(
      fields.map(({ key, type }: { key: string; type: string }) => [key, sample[type] ?? '南门便利店'])
    )
    const campaign = await ask('POST', '/v1/campaigns', {
      body: {
        name: '取件',
        accountId,
        audienceId: audience.id,
        templateId: PICKUP,
        trigger: { kind: 'once', at: clock.now().toISOString(), zone: 'Asia/Shanghai' },
        content
      }
    })
    const params = { id: campaign.id }
    const refusing = controls.addRule({ path: '/cgi-bin/message/subscribe/send', action: { errcode: 43101 } })
    t.match(await ask('POST', '/v1/campaigns/{id}/activate', { params }), { state: 'online' })
    const settle = async () => {
      await rooms.messages.settleAll()
      const { data } = await ask('GET', '/v1/breakers', { query: { accountId } })
      const [run] = (await ask('GET', '/v1/campaigns/{id}/runs', { params })).data
      return {
        breaker: data.find((each: any) => each.templateId === PICKUP),
        whole: data.find((each: any) => each.templateId === null),
        run,
        campaign: await ask('GET', '/v1/campaigns/{id}', { params }),
        accepted: controls.ledger({}).counts.accepted as number
      }
    }

    const refused = await settle()
    t.match(refused.breaker, { state: 'open', reason: 'refusal', trips: 1, tripped: { refusal: PEOPLE, ok: 0 } })
    t.equal(refused.breaker.triesAt, new Date(clock.now().getTime() + 30 * MINUTE).toISOString())
    t.match(refused.whole, { state: 'closed' }, 'one template alone does not stop the account')
    const reason = `breaker ${refused.breaker.id}`
    t.match(refused.campaign, { state: 'paused', stateReason: reason })
    t.match(refused.run, { paused: true, heldReason: reason })
    t.equal(refused.accepted, 0)
    const kept = await rightsLeft()
    t.ok(kept >= PEOPLE - 30, `of ${PEOPLE} rights ${PEOPLE - kept} were burned before the burst was seen`)

    const early = await call('POST', '/v1/campaigns/{id}/resume', { bearer, params })
    t.equal(early.status, 422)
    t.match(early.body.errors, [{ pointer: '/templateId', code: 'breakers.open' }])

    // people, or WeChat, think better of it
    controls.removeRules(refusing.id)
    clock.advance(30 * MINUTE)
    bearer = await logIn()
    await rooms.breakers.sweep()
    const tried = await settle()
    t.match(tried.breaker, { state: 'halfOpen', numbers: { ok: 5, total: 5 } })
    t.match(tried.campaign, { state: 'online', stateReason: null })
    t.match(tried.run, { paused: false, heldReason: reason })
    t.equal(tried.accepted, 5, 'a few try, no more')

    clock.advance(10_000)
    await rooms.breakers.sweep()
    const well = await settle()
    t.match(well.breaker, { state: 'closed', reason: null, tripped: null, trips: 0 })
    t.equal(well.accepted, kept, 'whoever still has a right is told')
    await rooms.campaigns.tick()
    t.match(await ask('GET', '/v1/campaigns/{id}', { params }), { state: 'finished' })
  }
)

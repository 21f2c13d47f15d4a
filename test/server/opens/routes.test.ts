import t from 'tap'
import { buildTestApp } from '../../support/build-app.js'

const URL = 'https://shop.test/orders/7?from=card#top'

async function arranged(test: Awaited<ReturnType<typeof buildTestApp>>) {
  const brand = await test.account({ kind: 'service' })
  const fan = await test.rooms.people.recipient(brand.id, 'ofan')
  const plan = async (id: string, open: object | null) => {
    const now = test.clock.now()
    await test.rooms.messages.plan([
      {
        id,
        accountId: brand.id,
        recipientId: fan.id,
        personId: fan.personId,
        runId: null,
        campaignId: null,
        lane: 'bulk',
        channel: 'service',
        templateId: 'T',
        data: {},
        open,
        dueAt: now,
        notAfter: new Date(now.getTime() + 60_000),
        waitForCredential: false
      }
    ])
    return test.rooms.messages.tags.tagOf(id)
  }
  const follow = (tag: string, method: 'GET' | 'HEAD' = 'GET') => test.app.inject({ method, url: `/o/${tag}` })
  return { ...test, brand, fan, plan, follow }
}

t.test('a card’s link', async (t) => {
  const { rooms, key, app, clock, brand, fan, plan, follow } = await arranged(await buildTestApp(t))
  const tag = await plan('m1', { url: URL })
  const headers = await key(['messages:read', 'people:write'])
  const opened = async (id: string) =>
    (await app.inject({ method: 'GET', url: `/v1/messages/${id}`, headers })).json().openedAt

  t.equal(await opened('m1'), null)
  await t.test('leads on to where the message says; a mere look is no open', async (t) => {
    const looked = await follow(tag, 'HEAD')
    t.equal(looked.statusCode, 302)
    t.equal(await opened('m1'), null)
    const answer = await follow(tag)
    t.equal(answer.statusCode, 302)
    t.equal(answer.headers.location, URL)
    t.match(answer.headers['cache-control'], 'no-store')
    t.equal(await opened('m1'), clock.now().toISOString())
  })

  await t.test('followed again leads there again, and stays opened when it was', async (t) => {
    const first = await opened('m1')
    clock.advance(60_000)
    t.equal((await follow(tag)).headers.location, URL)
    t.equal(await opened('m1'), first)
    t.equal((await rooms.messages.get('m1')).state, 'planned')
  })

  await t.test('that is forged, unknown or leads to no page is 404', async (t) => {
    const page = await plan('m2', { miniprogram: { appId: 'wx0', page: 'p' } })
    const bare = await plan('m3', null)
    const app = await plan('m4', { url: 'weixin://dl' })
    const unknown = rooms.messages.tags.tagOf('nobody')
    const forged = [tag.replace('m1', 'm2'), 'm1.AAAAAAAA', 'm1', `${tag}/https://evil.test`]
    for (const each of [page, bare, app, unknown, ...forged]) {
      const answer = await follow(each)
      t.equal(answer.statusCode, 404, each)
      t.equal(answer.headers.location, undefined)
    }
    t.equal(await opened('m2'), null)
  })

  await t.test('of somebody who was erased leads nowhere', async (t) => {
    await rooms.people.erase(fan.personId)
    t.equal((await follow(tag)).statusCode, 404)
    t.ok(brand.id)
  })
})

t.test('a phone tells opens over REST', async (t) => {
  const test = await buildTestApp(t)
  const shop = await test.account()
  const ann = await test.rooms.people.recipient(shop.id, 'oann')
  const now = test.clock.now()
  await test.rooms.messages.plan([
    {
      id: 'm1',
      accountId: shop.id,
      recipientId: ann.id,
      personId: ann.personId,
      runId: null,
      campaignId: null,
      lane: 'bulk',
      channel: 'legacy',
      templateId: 'T',
      data: {},
      open: { page: 'p' },
      dueAt: now,
      notAfter: new Date(now.getTime() + 60_000),
      waitForCredential: false
    }
  ])
  const tag = test.rooms.messages.tags.tagOf('m1')
  const answer = await test.app.inject({
    method: 'POST',
    url: '/v1/capture/opens',
    headers: test.phone({ accountId: shop.id, recipientId: ann.id, personId: ann.personId }),
    payload: { items: [{ id: '1', tag, at: now.toISOString() }] }
  })
  t.equal(answer.statusCode, 202)
  t.same((await test.rooms.messages.get('m1')).openedAt, now)
})

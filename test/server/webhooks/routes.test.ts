import t from 'tap'
import type { Scope } from '../../../shared/operator.js'
import { buildTestApp } from '../../support/build-app.js'
import { receiver, verified } from './receiver.js'

const SCOPES: Scope[] = ['webhooks:read', 'webhooks:write']

t.test('webhooks over REST', async (t) => {
  const server = await buildTestApp(t, { now: '2090-03-02T04:00:00Z' })
  const { app, clock, rooms, db } = server
  let owner = await server.login()
  const shop = await server.account()
  const other = await server.account()
  const there = await receiver(t)
  const ask = async (headers: Record<string, string>, method: string, url: string, payload?: object) => {
    const answer = await app.inject({ method: method as 'GET', url, headers, ...(payload && { payload }) })
    return { status: answer.statusCode, body: answer.body === '' ? null : answer.json() }
  }
  const make = (body: object = {}, headers: Record<string, string> = owner) =>
    ask(headers, 'POST', '/v1/webhooks', { url: there.url, events: ['message.accepted'], ...body })

  t.test('the secret is shown when one is made, and never again', async (t) => {
    const { status, body } = await make({ name: 'orders' })
    t.equal(status, 201)
    t.match(body, { name: 'orders', url: there.url, enabled: true, accountIds: null, secret: /^whsec_[\w+/]{32}$/ })
    const seen = await ask(owner, 'GET', `/v1/webhooks/${body.id}`)
    t.equal(seen.status, 200)
    t.notOk('secret' in seen.body)
    const list = await ask(owner, 'GET', '/v1/webhooks')
    t.notMatch(JSON.stringify(list.body), body.secret.slice(6))
  })

  t.test('repeating a request that made one gives the same secret, and makes none', async (t) => {
    const headers = { ...owner, 'idempotency-key': 'once' }
    const [first, second] = [await make({}, headers), await make({}, headers)]
    t.equal(first.body.secret, second.body.secret)
    t.equal(first.body.id, second.body.id)
    const kept = JSON.stringify(await db.collection('idempotencyKeys').find().toArray())
    t.match(kept, /"_id"/, 'the answer is kept')
    t.notMatch(kept, first.body.secret.slice(6), 'and sealed')
  })

  t.test('addresses inside, and events nobody knows, are refused by name', async (t) => {
    for (const url of [
      'http://10.0.0.1/',
      'https://localhost/',
      'https://169.254.169.254/latest',
      'http://example.com/'
    ]) {
      t.match(await make({ url }), { status: 422, body: { errors: [{ pointer: '/url', code: 'url.refused' }] } }, url)
    }
    t.match(await make({ url: 'ftp://example.com' }), { status: 422, body: { errors: [{ pointer: '/url' }] } })
    t.match(await make({ events: ['message.read'] }), { status: 422, body: { errors: [{ pointer: '/events/0' }] } })
    t.match(await make({ events: [] }), { status: 422 })
    t.match(await make({ surprise: 1 }), { status: 422 })
    t.match(await make({ accountIds: ['wx0000000000000000'] }), {
      status: 422,
      body: { errors: [{ pointer: '/accountIds/0', code: 'accounts.not-found' }] }
    })
  })

  t.test('are changed, switched off and deleted', async (t) => {
    const { body } = await make({ accountIds: [shop.appId] })
    t.same(body.accountIds, [shop.id])
    const url = `/v1/webhooks/${body.id}`
    t.match(await ask(owner, 'PATCH', url, { events: ['campaign.state'], enabled: false, name: 'n' }), {
      status: 200,
      body: { events: ['campaign.state'], enabled: false, name: 'n', accountIds: [shop.id], url: there.url }
    })
    t.match(await ask(owner, 'PATCH', url, { url: 'https://127.0.0.2/' }), { status: 422 })
    t.match(await ask(owner, 'DELETE', url), { status: 204 })
    t.match(await ask(owner, 'GET', url), { status: 404, body: { code: 'webhooks.not-found' } })
    t.match(await ask(owner, 'DELETE', url), { status: 404 })
  })

  t.test('a test is sent at once, and tells how it went', async (t) => {
    const { body } = await make()
    const before = there.received.length
    const tried = await ask(owner, 'POST', `/v1/webhooks/${body.id}/test`)
    t.match(tried, { status: 200, body: { event: 'webhook.test', state: 'delivered', attempts: [{ status: 200 }] } })
    t.equal(there.received.length, before + 1)
    const got = there.received.at(-1)!
    t.ok(verified(body.secret, got))
    t.equal(got.headers['webhook-id'], tried.body.webhookId)
    there.answers(() => 500)
    t.match(await ask(owner, 'POST', `/v1/webhooks/${body.id}/test`), {
      body: { state: 'failed', nextAt: null, attempts: [{ status: 500, error: 'HTTP 500' }] }
    })
    there.answers(() => 200)
    const log = await ask(owner, 'GET', `/v1/webhooks/${body.id}/deliveries`)
    t.match(log.body.data.map((each: { state: string }) => each.state).sort(), ['delivered', 'failed'])
    const failed = await ask(owner, 'GET', `/v1/webhooks/${body.id}/deliveries?state=failed`)
    t.match(failed.body.data, [{ state: 'failed' }])
    t.equal(failed.body.data.length, 1)
  })

  t.test('the log goes on where a page ends', async (t) => {
    const { body } = await make({ events: ['campaign.state'] })
    const at = clock.now()
    const news = (n: number) => ({ id: `page-${n}`, type: 'campaign.state' as const, at, accountId: null, data: {} })
    await rooms.webhooks.file([1, 2, 3, 4, 5].map(news))
    const seen: string[] = []
    for (let cursor = ''; ;) {
      const page = await ask(owner, 'GET', `/v1/webhooks/${body.id}/deliveries?limit=2${cursor}`)
      seen.push(...page.body.data.map((each: { webhookId: string }) => each.webhookId))
      if (page.body.page.nextCursor === null) break
      cursor = `&cursor=${page.body.page.nextCursor}`
    }
    t.same(seen.sort(), ['page-1', 'page-2', 'page-3', 'page-4', 'page-5'])
    await rooms.webhooks.run()
  })

  t.test('after a change of secrets both sign for a day, then the new one alone', async (t) => {
    const { body } = await make()
    const turned = await ask(owner, 'POST', `/v1/webhooks/${body.id}/rotate-secret`)
    t.equal(turned.status, 200)
    t.not(turned.body.secret, body.secret)
    const test = async () => {
      await ask(owner, 'POST', `/v1/webhooks/${body.id}/test`)
      return [turned.body.secret, body.secret].map((secret) => verified(secret, there.received.at(-1)!))
    }
    t.same(await test(), [true, true])
    clock.set(turned.body.oldUntil)
    owner = await server.login()
    t.same(await test(), [true, false])
  })

  t.test('are for operators and keys with the scope, each within their accounts', async (t) => {
    const { body: all } = await make()
    const { body: own } = await make({ accountIds: [shop.id] })
    const { body: foreign } = await make({ accountIds: [shop.id, other.id] })
    const status = async (headers: Record<string, string>, method: string, path: string, payload?: object) =>
      (await ask(headers, method, `/v1/webhooks${path}`, payload)).status
    t.equal(await status({}, 'GET', ''), 401)
    t.equal(await status(await server.login('editor'), 'GET', ''), 403)
    t.equal(await status(await server.key(['webhooks:read']), 'POST', '', {}), 403)
    t.equal(await status(await server.key(['accounts:read']), 'GET', ''), 403)

    for (const narrow of [await server.login('operator', [shop.id]), await server.key(SCOPES, [shop.id])]) {
      const list = await ask(narrow, 'GET', '/v1/webhooks')
      const ids = list.body.data.map((each: { id: string }) => each.id)
      t.ok(ids.includes(own.id))
      t.notOk(ids.includes(all.id) || ids.includes(foreign.id))
      for (const { id } of [all, foreign]) {
        t.equal(await status(narrow, 'GET', `/${id}`), 404)
        t.equal(await status(narrow, 'PATCH', `/${id}`, { enabled: false }), 404)
        t.equal(await status(narrow, 'DELETE', `/${id}`), 404)
        t.equal(await status(narrow, 'POST', `/${id}/test`), 404)
        t.equal(await status(narrow, 'POST', `/${id}/rotate-secret`), 404)
        t.equal(await status(narrow, 'GET', `/${id}/deliveries`), 404)
      }
      t.equal(await status(narrow, 'PATCH', `/${own.id}`, { accountIds: [other.id] }), 403)
      t.match(await make({ accountIds: [other.id] }, narrow), { status: 403 })
      t.match(await make({}, narrow), { status: 201, body: { accountIds: [shop.id] } }, 'all it has, and no more')
      t.match(await ask(narrow, 'PATCH', `/v1/webhooks/${own.id}`, { accountIds: null }), {
        body: { accountIds: [shop.id] }
      })
    }
  })

  t.test('are fifty at most', async (t) => {
    let made = 0
    for (; made < 60; made++) if ((await make()).status !== 201) break
    t.match(await make(), { status: 409, body: { code: 'webhooks.too-many' } })
    t.equal(await db.collection('webhooks').countDocuments(), 50)
  })
})

import t from 'tap'
import { targetOf } from '../../server/accounts/target.js'
import { buildTestApp } from '../support/build-app.js'

const LEGACY = 'SandboxLegacyShipped_0000000000000000000000'
const CONTENT = { keyword1: '1', keyword2: '2', keyword3: '3', keyword4: '4' }
const SHOP = { appId: 'wx5b1a2c3d4e5f6001', secret: '6001a1b2c3d4e5f60718293a4b5c6d7e' }

/** A server with one mini-program in mode live (mock ids are refused), a phone of it and a key. */
async function shop(t: Parameters<typeof buildTestApp>[0]) {
  const server = await buildTestApp(t, { wechat: 'sandbox' })
  const { app, rooms, sandbox } = server
  const shop = await server.account({ ...SHOP, mode: 'live' })
  await rooms.templates.sync(shop.id)
  const [user] = sandbox!.controls.addUsers({ count: 1, appids: [SHOP.appId] })
  const openId = user!.openids[SHOP.appId]!
  const recipient = await rooms.people.recipient(shop.id, openId)
  const phone = server.phone({ accountId: shop.id, recipientId: recipient.id, personId: recipient.personId })
  const key = await server.key([
    'messages:send',
    'messages:read',
    'credentials:write',
    'credentials:read',
    'events:write'
  ])
  const now = () => server.clock.now().toISOString()
  const post = async (url: string, headers: Record<string, string>, payload: unknown) => {
    const answer = await app.inject({
      method: 'POST',
      url,
      headers: { 'content-type': 'application/json', ...headers },
      payload: payload as never
    })
    const { 'content-type': type, 'idempotent-replayed': replayed } = answer.headers
    return { status: answer.statusCode, type: String(type), replayed, body: answer.json() }
  }
  let n = 0
  const send = (more: object, idempotency = `k${n++}`) =>
    post(
      '/v1/messages',
      { ...key, 'idempotency-key': idempotency },
      { accountId: SHOP.appId, to: { openId }, templateId: LEGACY, content: CONTENT, ...more }
    )
  const form = (id: string, value = `form-id-${id}`) => ({ id, source: 'form', value, caughtAt: now() })
  const catches = (items: object[], headers = phone) =>
    post('/v1/capture/credentials', headers, { sentAt: now(), items })
  return { ...server, makeKey: server.key, shop, openId, recipient, phone, key, post, send, form, catches, now }
}

t.test('bad input gets a clear error and loses nothing', async (t) => {
  const s = await shop(t)

  t.test('a malformed body', async (t) => {
    const answer = await s.post('/v1/capture/credentials', s.phone, '{"sentAt": ')
    t.match(answer, { status: 400, type: /problem\+json/, body: { code: String, requestId: String } })
  })
  t.test('an unknown key is named', async (t) => {
    const answer = await s.catches([{ ...s.form('u1'), openId: 'o-forged' }])
    t.equal(answer.status, 422)
    t.match(answer.body.errors, [{ pointer: /\/items\/0/, message: /openId/ }])
    t.equal(await s.rooms.credentials.rows.countDocuments({}), 0)
  })
  t.test('the wrong kind of token', async (t) => {
    t.equal((await s.catches([s.form('w1')], s.key)).status, 403, 'a machine is no phone')
    t.equal(
      (await s.post('/v1/messages', { ...s.phone, 'idempotency-key': 'x' }, {})).status,
      403,
      'a phone sends no messages'
    )
    t.equal((await s.catches([s.form('w2')], { authorization: 'Bearer nonsense' })).status, 401)
    t.equal((await s.catches([s.form('w3')], {} as never)).status, 401)
  })
  t.test('101 items', async (t) => {
    const answer = await s.catches(Array.from({ length: 101 }, (_, i) => s.form(`many${i}`)))
    t.match(answer, { status: 422, body: { errors: [{ pointer: '/items' }] } })
    t.equal(await s.rooms.credentials.rows.countDocuments({}), 0)
  })
  t.test('mock and failed ids in a good batch: the others are stored', async (t) => {
    const answer = await s.catches([
      s.form('g1'),
      s.form('g2', 'the formId is a mock one'),
      s.form('g3', 'requestFormId:fail timeout'),
      { id: 'g4', source: 'payment', value: 'wx20260301', result: 'requestPayment:fail cancel', caughtAt: s.now() },
      s.form('g5')
    ])
    t.equal(answer.status, 202)
    t.same(answer.body.items, [
      { id: 'g1', verdict: 'stored' },
      { id: 'g2', verdict: 'refused', reason: 'mock' },
      { id: 'g3', verdict: 'refused', reason: 'failed' },
      { id: 'g4', verdict: 'refused', reason: 'failed' },
      { id: 'g5', verdict: 'stored' }
    ])
  })
  t.test('the same batch twice', async (t) => {
    const batch = [s.form('t1'), s.form('t2')]
    t.same(
      (await s.catches(batch)).body.items.map((item: any) => item.verdict),
      ['stored', 'stored']
    )
    t.same(
      (await s.catches(batch)).body.items.map((item: any) => item.verdict),
      ['duplicate', 'duplicate']
    )
  })
  t.test('an unknown account', async (t) => {
    t.match(await s.send({ accountId: 'wxffffffffffffffff' }), { status: 404, body: { code: 'accounts.not-found' } })
    t.equal((await s.post('/v1/capture/session', {}, { appId: 'wxffffffffffffffff', code: 'c' })).status, 404)
  })
  t.test('a template the account has not', async (t) => {
    t.match(await s.send({ templateId: 'nobodys-template' }), {
      status: 422,
      body: { code: 'messages.unknown-template', errors: [{ pointer: '/templateId' }] }
    })
  })
  t.test('a missing field, an unknown one, a value that is too long, a placeholder', async (t) => {
    const { keyword4: _gone, ...rest } = CONTENT
    t.match(await s.send({ content: rest }), {
      status: 422,
      body: { errors: [{ pointer: '/content/keyword4', code: 'content.missing-field' }] }
    })
    t.match(await s.send({ content: { ...CONTENT, keyword9: 'x' } }), {
      status: 422,
      body: { errors: [{ pointer: '/content/keyword9', code: 'content.unknown-field' }] }
    })
    t.match(await s.send({ content: { ...CONTENT, keyword1: '{{x}}' } }), {
      status: 422,
      body: { errors: [{ pointer: '/content/keyword1' }] }
    })
    const subscribe = await s.send({
      templateId: 'SandboxSubscribePickup_00000000000000000000',
      content: { thing1: '很'.repeat(21), character_string2: '8-1-2', time3: '2026-03-01 10:00' }
    })
    t.match(subscribe, { status: 422, body: { errors: [{ pointer: '/content/thing1' }] } })
    t.equal(await s.rooms.messages.rows.countDocuments({}), 0, 'nothing was planned')
  })
  t.test('a url on a mini-program, a page with a leading slash, a deadline in the past', async (t) => {
    t.match(await s.send({ open: { url: 'https://example.com' } }), {
      status: 422,
      body: { errors: [{ pointer: '/open/url' }] }
    })
    t.match(await s.send({ open: { page: '/pages/x' } }), {
      status: 422,
      body: { errors: [{ pointer: '/open/page' }] }
    })
    t.match(await s.send({ notAfter: '2020-01-01T00:00:00Z' }), {
      status: 422,
      body: { errors: [{ pointer: '/notAfter' }] }
    })
    t.match(await s.send({ to: { openId: 'a', personId: 'b' } }), {
      status: 422,
      body: { errors: [{ pointer: '/to' }] }
    })
  })
  t.test('no idempotency key; the same key with another body is another message', async (t) => {
    const without = await s.post('/v1/messages', s.key, {
      accountId: SHOP.appId,
      to: { openId: s.openId },
      templateId: LEGACY,
      content: CONTENT
    })
    t.ok(without.status === 400 || without.status === 422, 'it is asked for')
    const one = await s.send({}, 'same')
    t.equal((await s.send({}, 'same')).body.id, one.body.id)
    t.equal((await s.send({ reference: 'other' }, 'same')).status, 422, 'a key names one request')
  })
  t.test('twenty at once under one key: one makes it, nineteen are told so', async (t) => {
    const answers = await Promise.all(Array.from({ length: 20 }, () => s.send({ reference: 'once' }, 'twenty')))
    t.equal(new Set(answers.map(({ body }) => body.id)).size, 1)
    t.equal(answers.filter(({ replayed }) => replayed === 'true').length, 19)
  })
  t.test('an instant no life can be added to', async (t) => {
    for (const at of ['9999-12-31T23:59:59Z', '9999-12-31T23:59:59-14:00', '0000-01-01T00:00:00+14:00'])
      t.match(await s.send({ at }), { status: 422, body: { errors: [{ pointer: '/at' }] } })
    t.equal((await s.app.inject({ url: '/v1/messages', headers: s.key })).statusCode, 200)
  })
  t.test('a batch of messages: a verdict each', async (t) => {
    const item = (id: string, more: object = {}) => ({
      id,
      to: { openId: s.openId },
      templateId: LEGACY,
      content: CONTENT,
      ...more
    })
    const answer = await s.post('/v1/messages/batch', s.key, {
      accountId: SHOP.appId,
      items: [item('a'), item('b', { content: {} }), item('c')]
    })
    t.equal(answer.status, 202)
    t.same(
      answer.body.items.map((each: any) => each.verdict),
      ['planned', 'refused', 'planned']
    )
    t.match(answer.body.items[1].errors, [{ code: 'content.missing-field' }, {}, {}, {}])
  })
})

t.test('WeChat with a wrong secret is named, and nothing is lost', async (t) => {
  const s = await shop(t)
  await s.rooms.accounts.patch(s.shop.id, { secret: 'not the secret at all' })
  await s.rooms.tokenCentre.forget(s.shop.id)
  const operator = await s.login()
  const verified = await s.post(`/v1/accounts/${s.shop.id}/verify`, operator, undefined)
  t.match(verified.body, { state: 'disabled', disabledReason: /secret|40001|40125/ })
  await s.catches([s.form('f1', 'a-good-form')])
  const posted = await s.send({})
  t.equal(posted.status, 202)
  t.match(await s.rooms.messages.get(posted.body.id), { state: 'planned' })
  t.equal((await s.rooms.credentials.sendsLeft(s.shop.id, s.recipient.id)).form, 1)
})

t.test('an account whose secret stops working says so by itself, and works again when WeChat takes it', async (t) => {
  const s = await shop(t)
  const target = targetOf(await s.rooms.accounts.get(s.shop.id))
  const becomes = async (state: string) => {
    for (;;) {
      const account = await s.rooms.accounts.get(s.shop.id)
      if (account.state === state) return account
      await new Promise((resolve) => setImmediate(resolve))
    }
  }
  await s.rooms.accounts.patch(s.shop.id, { secret: 'not the secret at all' })
  await s.rooms.tokenCentre.forget(s.shop.id)
  await t.rejects(s.rooms.tokenCentre.current(target))
  t.match((await becomes('disabled')).disabledReason, /secret/)
  await s.rooms.accounts.patch(s.shop.id, { secret: SHOP.secret })
  s.clock.advance(600_000)
  t.ok((await s.rooms.tokenCentre.current(target)).token)
  await becomes('ready')
})

t.test('a key bound to one account neither lists nor exports another’s messages', async (t) => {
  const s = await shop(t)
  await s.send({})
  const other = await s.account()
  const bound = await s.makeKey(['messages:read'], [other.id])
  for (const path of ['/v1/messages', '/v1/messages/export']) {
    const get = (query: string) => s.app.inject({ url: path + query, headers: bound })
    t.equal((await get(`?accountId=${s.shop.id}`)).statusCode, 404)
    t.equal((await get(`?accountId=${SHOP.appId}`)).statusCode, 404)
    t.notOk((await get('')).body.includes(LEGACY))
  }
})

t.test('a paused account sends nothing until it is resumed', async (t) => {
  const s = await shop(t)
  const operator = await s.login()
  await s.post(`/v1/accounts/${s.shop.id}/pause`, operator, undefined)
  const { formIds } = s.sandbox!.controls.mintFormIds({ appid: SHOP.appId, openid: s.openId })
  await s.catches([s.form('p1', formIds[0])])
  const posted = await s.send({})
  await s.rooms.messages.settleAll()
  t.match(await s.rooms.messages.get(posted.body.id), { state: 'planned' })
  await s.post(`/v1/accounts/${s.shop.id}/resume`, operator, undefined)
  await s.rooms.messages.settleAll()
  t.match(await s.rooms.messages.get(posted.body.id), { state: 'accepted' })
})

t.test('nonsense on any route is a problem, never a fault of ours', async (t) => {
  const s = await shop(t)
  const owner = await s.login()
  const document = (await s.app.inject('/openapi.json')).json()
  const bodies = [
    '',
    '{"a":',
    'null',
    '[]',
    '"x"',
    '{"$ne":null}',
    '{"__proto__":{"admin":true}}',
    `{"a":${'['.repeat(50_000)}${']'.repeat(50_000)}}`,
    `{"accountId":"${s.shop.id}","items":[{"$gt":""}],"rule":{"$where":"1"},"name":{"$ne":1},"content":[],"at":-1}`
  ]
  const tampered = (position: unknown) => Buffer.from(JSON.stringify(position)).toString('base64url')
  const queries = [
    'limit=-1',
    'limit=1e99',
    'sort=$where',
    'sort=-__proto__',
    `cursor=${tampered(['-createdAt', { $ne: 1 }, { $gt: '' }])}`,
    `cursor=${tampered(['-createdAt', { at: '2026-01-01T00:00:00Z' }, { at: '2026-01-01T00:00:00Z' }])}`,
    `cursor=${tampered(null)}`,
    `accountId=${s.shop.id}&personId[$ne]=&state[$gt]=&kind=toString&name[]=a&name[]=b`
  ]
  const ids = ['$ne', '__proto__', '%00', '..%2f..%2fetc%2fpasswd', '%0d%0aset-cookie:a=b', "'%20or%201=1"]
  let asked = 0
  for (const [path, verbs] of Object.entries<object>(document.paths)) {
    // Whatever is said with it, it does what it says, and nobody would be left to ask the rest.
    if (path === '/v1/auth/logout-everywhere') continue
    for (const verb of Object.keys(verbs)) {
      const method = verb.toUpperCase() as 'POST'
      const given = method === 'POST' || method === 'PATCH' ? bodies : queries
      for (const [n, each] of given.entries()) {
        const id = n % 2 === 0 ? s.shop.id : ids[n % ids.length]!
        const url = path.replaceAll(/\{\w+\}/g, id)
        const headers = { ...(path.startsWith('/v1/capture/') ? s.phone : owner), 'idempotency-key': `n${n}` }
        // The account is kept for the rest of the routes.
        if (method === ('DELETE' as string) && url === `/v1/accounts/${s.shop.id}`) continue
        const answer = await s.app.inject(
          given === bodies
            ? { method, url, payload: each, headers: { ...headers, 'content-type': 'application/json' } }
            : { method, url: `${url}?${each}`, headers }
        )
        asked++
        const { statusCode, body } = answer
        // 502: WeChat, asked about a template nobody has, says so.
        const fine = statusCode < 500 || statusCode === 502
        const told = statusCode < 400 || /^application\/problem\+json/.test(String(answer.headers['content-type']))
        if (!fine || !told || /\bat .+:\d+:\d+/.test(body)) t.fail(`${method} ${url} ${each.slice(0, 80)}`, { body })
      }
    }
  }
  t.ok(asked > 500, `${asked} requests`)
  t.match((await s.app.inject({ url: '/v1/events', headers: owner })).statusCode, 200)
})

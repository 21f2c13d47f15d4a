import t from 'tap'
import { buildTestApp } from '../../support/build-app.js'

t.test('people over HTTP', async (t) => {
  const { app, account, key, login, phone, rooms } = await buildTestApp(t)
  const mini = await account()
  const other = await account()
  const machine = await key(['people:read', 'people:write'])
  const knowing = await key(['people:read', 'recipients:identify'])
  const bound = await key(['people:read', 'people:write'], [other.id])
  const call = (method: 'GET' | 'POST' | 'PATCH' | 'DELETE', url: string, headers: object, payload?: object) =>
    app.inject({ method, url, headers: headers as never, ...(payload && { payload }) })
  const identify = (payload: object, headers: object = machine) => call('POST', '/v1/people/identify', headers, payload)

  const made = await identify({
    externalId: 'm1',
    accountId: mini.appId,
    openId: 'oAnn',
    attributes: { city: '上海' },
    tags: { vip: true }
  })
  const { id } = made.json()

  t.test('identify makes and adds', async (t) => {
    t.equal(made.statusCode, 200, made.body)
    t.match(made.json(), {
      externalId: 'm1',
      attributes: { city: '上海' },
      tags: { vip: true },
      optedOut: false,
      createdAt: String
    })
    t.match((await identify({ externalId: 'm1', attributes: { age: 3 } })).json(), {
      id,
      attributes: { city: '上海', age: 3 }
    })
    for (const [body, status] of [
      [{ attributes: { a: 1 } }, 422],
      [{ openId: 'o' }, 422],
      [{ externalId: 'm1', surprise: 1 }, 422],
      [{ externalId: 'm1', attributes: { 'a b': 1 } }, 422],
      [{ externalId: 'm1', tags: { 'v1.2': true } }, 422],
      [{ accountId: 'wx0000000000000000', openId: 'o' }, 404]
    ] as const) {
      t.equal((await identify(body)).statusCode, status, JSON.stringify(body))
    }
  })

  t.test('openids are shown only to callers with recipients:identify', async (t) => {
    const seen = async (headers: object) => (await call('GET', `/v1/people/${id}`, headers)).json().recipients
    t.match(await seen(knowing), [{ accountId: mini.id, openId: 'oAnn', reach: 'ok', follower: false }])
    t.equal((await seen(machine))[0].openId, undefined)
    t.equal((await seen(await login('owner')))[0].openId, undefined)
    t.notMatch(made.body, /oAnn/)
  })

  t.test('look-ups make nobody', async (t) => {
    const lookup = (body: object, headers: object = machine) => call('POST', '/v1/people/lookup', headers, body)
    t.equal((await lookup({ accountId: mini.id, openId: 'oAnn' })).json().id, id)
    t.equal((await lookup({ externalId: 'm1' })).json().id, id)
    t.equal((await lookup({ accountId: mini.id, openId: 'oNobody' })).statusCode, 404)
    t.equal((await lookup({ unionId: 'uNobody' })).statusCode, 404)
    t.equal((await lookup({})).statusCode, 422)
    t.equal((await lookup({ openId: 'oAnn' })).statusCode, 422)
    t.equal((await lookup({ externalId: 'm1', unionId: 'u' })).statusCode, 422)
    t.equal((await call('GET', '/v1/people', machine)).json().data.length, 1)
  })

  t.test('list, patch', async (t) => {
    for (let i = 0; i < 4; i++) await identify({ externalId: `list${i}` })
    const first = (await call('GET', '/v1/people?limit=3&count=true', machine)).json()
    t.match(first, { data: { length: 3 }, page: { nextCursor: String, total: 5 } })
    const rest = (await call('GET', `/v1/people?limit=3&cursor=${first.page.nextCursor}`, machine)).json()
    t.match(rest, { data: { length: 2 }, page: { nextCursor: null } })
    t.same((await call('GET', '/v1/people?externalId=list1', machine)).json().data.length, 1)
    t.same((await call('GET', '/v1/people?externalId=nobody', machine)).json().data, [])
    t.same(
      (await call('GET', `/v1/people?accountId=${mini.appId}`, machine)).json().data.map((p: any) => p.id),
      [id]
    )
    const patched = await call('PATCH', `/v1/people/${id}`, machine, {
      attributes: { city: null, level: 2 },
      tags: { vip: null, 金卡: true }
    })
    t.match(patched.json(), { attributes: { level: 2 }, tags: { 金卡: true } })
    t.equal(patched.json().attributes.city, undefined)
    t.equal((await call('PATCH', '/v1/people/nobody', machine, {})).statusCode, 404)
    t.equal((await call('PATCH', `/v1/people/${id}`, machine, { optedOut: true })).statusCode, 422)
  })

  t.test('a caller bound to other accounts knows nobody of these', async (t) => {
    t.equal((await call('GET', `/v1/people/${id}`, bound)).statusCode, 404)
    t.equal((await call('PATCH', `/v1/people/${id}`, bound, {})).statusCode, 404)
    t.equal((await call('DELETE', `/v1/people/${id}`, bound)).statusCode, 404)
    t.equal((await call('POST', '/v1/people/lookup', bound, { externalId: 'm1' })).statusCode, 404)
    t.equal((await identify({ externalId: 'm1' }, bound)).statusCode, 404)
    t.equal((await identify({ accountId: mini.id, openId: 'oAnn' }, bound)).statusCode, 404)
    t.equal(
      (await call('GET', '/v1/people', bound)).json().data.some((p: any) => p.id === id),
      false
    )
    t.equal((await call('GET', '/v1/opt-outs', bound)).statusCode, 422)
    t.equal((await call('POST', '/v1/opt-outs', bound, { personId: id })).statusCode, 404)
  })

  t.test('opt-outs', async (t) => {
    const out = await call('POST', '/v1/opt-outs', machine, { personId: id })
    t.equal(out.statusCode, 201, out.body)
    t.match(out.json(), { personId: id, topic: null, by: /^machine:/ })
    await call('POST', '/v1/opt-outs', await login('editor'), { personId: id, topic: '活动' })
    t.equal((await call('GET', `/v1/people/${id}`, machine)).json().optedOut, true)
    const listed = (await call('GET', `/v1/opt-outs?personId=${id}`, machine)).json().data
    t.same(listed.map((each: any) => each.topic).sort(), [null, '活动'].sort())
    for (const each of listed) t.equal((await call('DELETE', `/v1/opt-outs/${each.id}`, machine)).statusCode, 204)
    t.equal((await call('DELETE', `/v1/opt-outs/${listed[0].id}`, machine)).statusCode, 404)
    t.equal((await call('GET', `/v1/people/${id}`, machine)).json().optedOut, false)
    t.equal((await call('POST', '/v1/opt-outs', machine, { personId: 'nobody' })).statusCode, 404)
  })

  t.test('who may call', async (t) => {
    t.equal((await call('GET', '/v1/people', {})).statusCode, 401)
    t.equal((await identify({ externalId: 'x' }, await key(['people:read']))).statusCode, 403)
    t.equal((await identify({ externalId: 'x' }, await login('viewer'))).statusCode, 403)
    t.equal(
      (await call('GET', '/v1/people', phone({ accountId: mini.id, recipientId: 'r', personId: id }))).statusCode,
      403
    )
  })

  t.test('erasing', async (t) => {
    t.equal((await call('DELETE', `/v1/people/${id}`, machine)).statusCode, 204)
    t.equal((await call('GET', `/v1/people/${id}`, machine)).statusCode, 404)
    t.equal((await call('DELETE', `/v1/people/${id}`, machine)).statusCode, 404)
    t.equal((await rooms.people.openIds([rooms.people.recipientId(mini.id, 'oAnn')])).size, 0)
  })
})

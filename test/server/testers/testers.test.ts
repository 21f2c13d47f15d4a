import t, { type Test } from 'tap'
import { codeIn, newCode } from '../../../server/testers/codes.js'
import { buildTestApp } from '../../support/build-app.js'

const MINUTE = 60_000

async function arranged(t: Test) {
  const test = await buildTestApp(t)
  const shop = await test.account()
  const met = await test.rooms.people.recipients(shop.id, ['oann', 'oben'])
  const [ann, ben] = [met[0]!, met[1]!]
  const caller = await test.key(['campaigns:read', 'campaigns:write'])
  const call = async (method: 'GET' | 'POST' | 'DELETE', url: string, headers: object, payload?: object) => {
    const answer = await test.app.inject({ method, url, headers: { ...headers }, ...(payload && { payload }) })
    return { status: answer.statusCode, body: answer.body === '' ? null : answer.json() }
  }
  const code = async (headers: object = caller, body?: object) =>
    (await call('POST', `/v1/accounts/${shop.appId}/tester-codes`, headers, body)).body
  const type = (who: { id: string; accountId: string; personId: string }, typed: string) =>
    call('POST', '/v1/capture/testers', test.phone({ ...who, recipientId: who.id }), { code: typed })
  const testers = async () => (await call('GET', `/v1/accounts/${shop.id}/testers`, caller)).body.data
  return { ...test, shop, ann, ben, caller, call, code, type, testers }
}

t.test('a code', async (t) => {
  t.test('is eight signs nobody mistakes, and is known however it is typed', async (t) => {
    const codes = new Set(Array.from({ length: 500 }, newCode))
    t.equal(codes.size, 500)
    for (const code of codes) t.match(code, /^[2-9A-HJKMNP-Z]{8}$/)
    t.equal(codeIn(' 7kq2-mxwd '), '7KQ2MXWD')
    t.equal(codeIn('7KQ2 MXWD'), '7KQ2MXWD')
    for (const text of ['', '7KQ2MXW', '7KQ2MXWD9', '你好', '7KQ2MXW0', 'x'.repeat(5000), '7KQ2MXWD please']) {
      t.equal(codeIn(text), null, text.slice(0, 20))
    }
  })

  t.test('typed on a phone makes its person a tester, once', async (t) => {
    const { code, type, testers, ann, ben, clock } = await arranged(t)
    const given = await code()
    t.equal(new Date(given.expiresAt).getTime(), clock.now().getTime() + 10 * MINUTE)
    t.same(await testers(), [])
    t.equal((await type(ann, given.code.toLowerCase())).status, 200)
    t.match(await testers(), [
      {
        recipientId: ann.id,
        personId: ann.personId,
        operatorId: null,
        via: 'phone',
        enrolledAt: clock.now().toISOString()
      }
    ])
    t.equal((await type(ann, given.code)).status, 200, 'a phone may say it again')
    const second = await type(ben, given.code)
    t.same([second.status, second.body.code], [404, 'testers.code-unknown'])
    t.equal((await testers()).length, 1)
  })

  t.test('is over after ten minutes, and good in its own account only', async (t) => {
    const { code, type, testers, ann, clock, account, rooms } = await arranged(t)
    const other = await account()
    const elsewhere = await rooms.people.recipient(other.id, 'oann')
    const given = await code()
    t.equal((await type(elsewhere, given.code)).status, 404)
    clock.advance(10 * MINUTE)
    t.equal((await type(ann, given.code)).status, 404)
    const fresh = await code()
    clock.advance(10 * MINUTE - 1)
    t.equal((await type(ann, fresh.code)).status, 200)
    t.equal((await testers()).length, 1)
  })

  t.test('is not guessed: ten tries in ten minutes, twenty codes', async (t) => {
    const { code, type, ann, ben, clock, call, caller, shop } = await arranged(t)
    const given = await code()
    for (let i = 0; i < 10; i++) t.equal((await type(ann, newCode())).status, 404)
    t.equal((await type(ann, given.code)).status, 429, 'the right one too')
    t.equal((await type(ben, given.code)).status, 200, 'others are not held up')
    for (let i = 1; i < 20; i++) await code()
    t.equal((await call('POST', `/v1/accounts/${shop.id}/tester-codes`, caller)).status, 429)
    clock.advance(10 * MINUTE)
    t.ok((await code()).code)
    t.equal((await type(ann, 'nonsense')).status, 404)
  })

  t.test('is kept nowhere', async (t) => {
    const { code, db } = await arranged(t)
    const given = await code()
    t.notOk(JSON.stringify(await db.collection('testerCodes').find({}).toArray()).includes(given.code))
  })

  t.test('is made by those who may see to campaigns, for accounts of theirs', async (t) => {
    const { call, shop, account, login, key } = await arranged(t)
    const post = async (headers: object) => (await call('POST', `/v1/accounts/${shop.id}/tester-codes`, headers)).status
    t.equal(await post(await login('viewer')), 403)
    t.equal(await post(await key(['campaigns:read'])), 403)
    t.equal(await post(await login('editor', [(await account()).id])), 404)
    t.equal(await post(await login('editor', [shop.id])), 201)
    t.equal(await post({}), 401)
  })
})

t.test('a tester', async (t) => {
  t.test('is an operator’s own by a code made for them, and the newest is they', async (t) => {
    const { code, type, ann, ben, login, rooms, shop, clock, app } = await arranged(t)
    const headers = await login('editor')
    const { id } = (await app.inject({ method: 'GET', url: '/v1/me', headers })).json()
    t.equal(await rooms.testers.me(shop.id, id), null)
    await type(ann, (await code(headers)).code)
    clock.advance(1_000)
    await type(ben, (await code(headers, { for: 'others' })).code)
    t.match(await rooms.testers.me(shop.id, id), { personId: ann.personId })
    clock.advance(1_000)
    await type(ben, (await code(headers, { for: 'me' })).code)
    t.match(await rooms.testers.me(shop.id, id), { personId: ben.personId })
    clock.advance(1_000)
    await type(ben, (await code()).code)
    t.match(await rooms.testers.me(shop.id, id), { personId: ben.personId }, 'another code takes nothing away')
  })

  t.test('is listed page by page, and leaves when removed or erased', async (t) => {
    const { code, type, testers, ann, ben, call, caller, shop, rooms, clock, db } = await arranged(t)
    await type(ann, (await code()).code)
    clock.advance(1_000)
    const given = await code()
    await type(ben, given.code)
    const url = `/v1/accounts/${shop.id}/testers`
    const first = (await call('GET', `${url}?limit=1`, caller)).body
    t.match(first.data, [{ recipientId: ben.id }])
    t.match((await call('GET', `${url}?limit=1&cursor=${first.page.nextCursor}`, caller)).body.data, [
      { recipientId: ann.id }
    ])
    const [, annRow] = await testers()
    t.equal((await call('DELETE', `${url}/${annRow.id}`, caller)).status, 204)
    t.equal((await call('DELETE', `${url}/${annRow.id}`, caller)).status, 404)
    await rooms.people.erase(ben.personId)
    t.same(await testers(), [])
    t.equal(await db.collection('testers').countDocuments({}), 0)
    t.equal((await type(ben, given.code)).status, 404, 'what made them one does not again')
  })

  t.test('is one of at most a hundred', async (t) => {
    const { code, rooms, shop, testers, ann, type } = await arranged(t)
    const crowd = await rooms.people.recipients(
      shop.id,
      Array.from({ length: 100 }, (_, i) => `ocrowd${i}`)
    )
    const rows = crowd.map((each) => ({ recipientId: each.id, personId: each.personId }))
    for (const { recipientId } of rows) {
      const given = await rooms.testers.code(shop.id, recipientId, null)
      await rooms.testers.said({ accountId: shop.id, recipientId }, given.code, new Date(0))
    }
    t.equal((await testers()).length, 20)
    const refused = await type(ann, (await code()).code)
    t.same([refused.status, refused.body.code], [409, 'testers.full'])
  })
})

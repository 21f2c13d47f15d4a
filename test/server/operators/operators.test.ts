import t from 'tap'
import { createPasswords } from '../../../server/operators/passwords.js'
import { buildTestApp, type TestApp } from '../../support/build-app.js'

const email = 'Lin@Example.com'
const password = 'correct horse battery'
const MINUTE = 60_000

const post = ({ app }: TestApp, url: string, payload?: object, headers: Record<string, string> = {}) =>
  app.inject({ method: 'POST', url, headers, ...(payload && { payload }) })
const cookieOf = (answer: { cookies: unknown[] }) => {
  const [{ name, value }] = answer.cookies as [{ name: string; value: string }]
  return { cookie: `${name}=${value}` }
}

t.test('the first run', async (t) => {
  const server = await buildTestApp(t)
  const code = (await server.rooms.operators.setupCode())!

  t.test('prints one code, the same in every process', async (t) => {
    t.ok(code.length >= 12)
    t.equal(await server.rooms.operators.setupCode(), code)
  })
  t.test('makes an owner of whoever knows the code, once', async (t) => {
    t.match((await post(server, '/v1/setup', { code: 'guess', email, password })).json(), {
      status: 403,
      code: 'setup.wrong-code'
    })
    const answers = await Promise.all([1, 2].map(() => post(server, '/v1/setup', { code, email, password })))
    t.same(answers.map(({ statusCode }) => statusCode).sort(), [201, 409])
    const { token } = answers.find(({ statusCode }) => statusCode === 201)!.json()
    const me = await server.app.inject({ url: '/v1/me', headers: { authorization: `Bearer ${token}` } })
    t.match(me.json(), { email: 'lin@example.com', role: 'owner', accountIds: null })
    t.equal(await server.rooms.operators.setupCode(), null)
  })
  t.test('can do without: an owner out of the environment, made once', async (t) => {
    t.equal(await server.rooms.operators.ensureOwner('boss@example.com', password), true)
    t.equal(await server.rooms.operators.ensureOwner('BOSS@example.com', 'another password'), false)
    t.equal((await post(server, '/v1/auth/login', { email: 'boss@example.com', password })).statusCode, 200)
  })
})

t.test('a login', async (t) => {
  const server = await buildTestApp(t)
  const { operators } = server.rooms
  await operators.create({ email, password, role: 'editor' })
  const login = () => post(server, '/v1/auth/login', { email, password })
  const refresh = (cookie: { cookie: string }) => post(server, '/v1/auth/refresh', undefined, cookie)

  t.test('is for a quarter of an hour, with a cookie no script can read', async (t) => {
    const answer = await login()
    t.equal(answer.statusCode, 200)
    t.equal(new Date(answer.json().expiresAt).getTime() - server.clock.now().getTime() <= 15 * MINUTE, true)
    t.match(answer.cookies[0], { name: 'hongyan_refresh', httpOnly: true, sameSite: 'Strict', path: '/v1/auth' })
  })
  t.test('with a wrong password and of a stranger look alike', async (t) => {
    const wrong = await post(server, '/v1/auth/login', { email, password: 'wrong' })
    const stranger = await post(server, '/v1/auth/login', { email: 'x@example.com', password: 'wrong' })
    t.same([wrong.statusCode, stranger.statusCode], [401, 401])
    t.same([wrong.json().code, wrong.json().detail], [stranger.json().code, stranger.json().detail])
  })
  t.test('is refused after five wrong ones in a minute', async (t) => {
    for (let n = 0; n < 5; n++) await post(server, '/v1/auth/login', { email, password: 'wrong' })
    const answer = await login()
    t.same([answer.statusCode, answer.json().code], [429, 'request.too-many'])
    t.ok(Number(answer.headers['retry-after']) > 0)
    server.clock.advance(MINUTE)
    t.equal((await login()).statusCode, 200)
  })
  t.test('goes on by its cookie, which changes each time', async (t) => {
    const first = cookieOf(await login())
    server.clock.advance(20 * MINUTE)
    const second = await refresh(first)
    t.equal(second.statusCode, 200)
    const headers = { authorization: `Bearer ${second.json().token}` }
    t.equal((await server.app.inject({ url: '/v1/me', headers })).statusCode, 200)
    t.equal((await refresh(first)).statusCode, 200, 'a second tab within seconds')
    server.clock.advance(MINUTE)
    t.match((await refresh(first)).json(), { status: 401, code: 'auth.session-over' })
    t.equal((await refresh(cookieOf(second))).statusCode, 401, 'a stolen one ends the whole login')
    t.equal((await post(server, '/v1/auth/refresh')).statusCode, 401)
  })
  t.test('ends by logging out, by a new password, and after two weeks', async (t) => {
    const [out, changed, old] = [await login(), await login(), await login()].map(cookieOf)
    t.equal((await post(server, '/v1/auth/logout', undefined, out)).statusCode, 204)
    t.equal((await refresh(out!)).statusCode, 401)
    const me = { authorization: `Bearer ${(await login()).json().token}` }
    const patch = (currentPassword: string) =>
      server.app.inject({
        method: 'PATCH',
        url: '/v1/me',
        headers: me,
        payload: { currentPassword, password: 'another good one' }
      })
    t.equal((await patch('wrong')).statusCode, 401)
    t.equal((await patch(password)).statusCode, 200)
    t.equal((await refresh(changed!)).statusCode, 401)
    t.equal((await refresh(old!)).statusCode, 401)
    const late = cookieOf(await post(server, '/v1/auth/login', { email, password: 'another good one' }))
    server.clock.advance(15 * 86_400_000)
    t.equal((await refresh(late)).statusCode, 401)
  })
})

t.test('operators', async (t) => {
  const server = await buildTestApp(t)
  const headers = await server.login('owner')
  const call = (method: 'PATCH' | 'DELETE' | 'GET', url: string, payload?: object) =>
    server.app.inject({ method, url, headers, ...(payload && { payload }) })

  t.test('are made, listed, changed and removed by an owner', async (t) => {
    const account = await server.account()
    const body = { email, password, role: 'viewer', accountIds: [account.appId] }
    t.match((await post(server, '/v1/operators', { ...body, accountIds: ['nobody'] }, headers)).json(), {
      status: 422,
      errors: [{ pointer: '/accountIds/0' }]
    })
    const made = await post(server, '/v1/operators', body, headers)
    t.match(
      made.json(),
      { email: 'lin@example.com', role: 'viewer', accountIds: [account.id] },
      'by our id or the appId'
    )
    t.notOk('password' in made.json())
    t.match((await post(server, '/v1/operators', body, headers)).json(), { status: 409, code: 'operators.exists' })
    t.equal((await call('GET', '/v1/operators?limit=1')).json().data.length, 1)
    const url = `/v1/operators/${made.json().id}`
    t.match((await call('PATCH', url, { role: 'editor', accountIds: null })).json(), {
      role: 'editor',
      accountIds: null
    })
    t.equal((await call('DELETE', url)).statusCode, 204)
    t.match((await call('DELETE', url)).json(), { status: 404, code: 'operators.not-found' })
  })
  t.test('always have an owner among them', async (t) => {
    const { id } = (await call('GET', '/v1/me')).json()
    t.match((await call('PATCH', `/v1/operators/${id}`, { role: 'viewer' })).json(), { code: 'operators.last-owner' })
    t.match((await call('DELETE', `/v1/operators/${id}`)).json(), { code: 'operators.last-owner' })
  })
})

t.test('API keys', async (t) => {
  const server = await buildTestApp(t)
  const { app, clock } = server
  const owner = await server.login('owner')
  const body = { name: 'orders', scopes: ['accounts:read', 'accounts:read'] }

  t.test('are shown once and stored as a hash', async (t) => {
    const made = (await post(server, '/v1/api-keys', body, owner)).json()
    t.match(made, { key: /^hk_[\w-]{32}$/, prefix: made.key.slice(0, 9), scopes: ['accounts:read'], expiresAt: null })
    const [listed] = (await app.inject({ url: '/v1/api-keys', headers: owner })).json().data
    t.same([listed.id, 'key' in listed], [made.id, false])
    const rows = JSON.stringify(await server.db.collection('apiKeys').find().toArray())
    t.notMatch(rows, made.key)
  })
  t.test('are made once for one Idempotency-Key, and the key is told again', async (t) => {
    const twice = { ...owner, 'idempotency-key': 'k1' }
    const [first, second] = [
      await post(server, '/v1/api-keys', body, twice),
      await post(server, '/v1/api-keys', body, twice)
    ]
    t.equal(second.json().key, first.json().key)
    t.equal(second.headers['idempotent-replayed'], 'true')
    t.notMatch(JSON.stringify(await server.db.collection('idempotencyKeys').find().toArray()), first.json().key)
  })
  t.test('stop working when revoked', async (t) => {
    const { id, key } = (await post(server, '/v1/api-keys', body, owner)).json()
    const use = async () =>
      (await app.inject({ url: '/v1/accounts', headers: { authorization: `Bearer ${key}` } })).statusCode
    t.equal(await use(), 200)
    t.equal((await app.inject({ method: 'DELETE', url: `/v1/api-keys/${id}`, headers: owner })).statusCode, 204)
    t.equal(await use(), 401)
    clock.advance(3_000)
    t.equal(await use(), 401)
    t.equal((await app.inject({ method: 'DELETE', url: `/v1/api-keys/${id}`, headers: owner })).statusCode, 404)
  })
  t.test('reach no further than who made them', async (t) => {
    const [mine, other] = [await server.account(), await server.account()]
    const narrow = await server.login('operator', [mine.id])
    t.match((await post(server, '/v1/api-keys', { ...body, accountIds: [other.id] }, narrow)).json(), { status: 403 })
    t.same((await post(server, '/v1/api-keys', { ...body, accountIds: [mine.appId] }, narrow)).json().accountIds, [
      mine.id
    ])
    t.same((await post(server, '/v1/api-keys', body, narrow)).json().accountIds, [mine.id])
    t.equal((await post(server, '/v1/api-keys', body, await server.login('editor'))).statusCode, 403)
    t.match((await post(server, '/v1/api-keys', { ...body, scopes: ['everything'] }, owner)).json(), {
      status: 422,
      errors: [{ pointer: '/scopes/0' }]
    })
  })
})

t.test('an operator of some accounts sees and revokes the keys of no others', async (t) => {
  const server = await buildTestApp(t)
  const [mine, other] = [await server.account(), await server.account()]
  const narrow = await server.login('operator', [mine.id])
  const ids: Record<string, string> = {}
  for (const [name, accountIds] of Object.entries({ mine: [mine.id], both: [mine.id, other.id], all: null })) {
    ids[name] = (await server.rooms.apiKeys.create({ name, scopes: ['accounts:read'], accountIds })).id
  }
  const names = async (headers: Record<string, string>) =>
    (await server.app.inject({ url: '/v1/api-keys', headers })).json().data.map(({ name }: { name: string }) => name)
  const revoke = async (name: string, headers: Record<string, string>) =>
    (await server.app.inject({ method: 'DELETE', url: `/v1/api-keys/${ids[name]}`, headers })).statusCode
  t.same(await names(narrow), ['mine'])
  t.same([await revoke('both', narrow), await revoke('all', narrow), await revoke('mine', narrow)], [404, 404, 204])
  const owner = await server.login('owner')
  t.same((await names(owner)).sort(), ['all', 'both'])
  t.equal(await revoke('all', owner), 204)
})

t.test('passwords are salted and stretched', async (t) => {
  const passwords = createPasswords()
  const cheap = createPasswords({ N: 2 ** 8, p: 1 })
  const [one, two] = [await cheap.hash(password), await passwords.hash(password)]
  t.not(await cheap.hash(password), one)
  t.equal(await cheap.matches(password, two), true, 'whatever the cost was')
  t.equal(await cheap.matches(`${password} `, one), false)
  t.equal(await cheap.matches(password, null), false)
  t.match(two, /^scrypt\.32768\.3\./)
})

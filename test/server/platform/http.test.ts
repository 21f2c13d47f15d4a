import type { InjectOptions } from 'fastify'
import t from 'tap'
import { z } from 'zod'
import { guardOf } from '../../../server/platform/auth.js'
import { AppError, LimitReached, UpstreamFailure } from '../../../server/platform/errors.js'
import { createHttp } from '../../../server/platform/http.js'
import { idempotencyPlugin } from '../../../server/platform/idempotency.js'
import { languageOf } from '../../../server/platform/language.js'
import { createLog, silentLog } from '../../../server/platform/log.js'
import { createSealer } from '../../../server/platform/sealing.js'
import { createThrottle } from '../../../server/platform/throttle.js'
import { buildTestApp, testDb, testKeyring } from '../../support/build-app.js'
import { testClock } from '../../support/clock.js'

const json = { 'content-type': 'application/json' }

t.test('an error is a problem document', async (t) => {
  const { app, login } = await buildTestApp(t)
  const headers = await login()
  const problem = async (request: InjectOptions) => {
    const answer = await app.inject(request)
    t.match(answer.headers['content-type'], 'application/problem+json')
    const body = answer.json()
    t.equal(body.status, answer.statusCode)
    t.equal(body.requestId, answer.headers['x-request-id'])
    t.equal(body.type, `urn:hongyan:problem:${body.code}`)
    return body
  }

  t.test('for a path nobody serves', async (t) => {
    const { status, code, detail } = await problem({ url: '/v1/nothing?secret=1' })
    t.same([status, code, detail], [404, 'request.not-found', 'nothing is served at GET /v1/nothing'])
  })
  t.test('for a malformed, an oversized and a foreign body', async (t) => {
    const post = (payload: string, type = json) => problem({ method: 'POST', url: '/v1/setup', payload, headers: type })
    t.match(await post('{"code":'), { status: 400, code: 'request.malformed' })
    t.match(await post(`"${'x'.repeat(3_000_000)}"`), { status: 413, code: 'request.too-large' })
    t.match(await post('a=1', { 'content-type': 'text/plain' }), { status: 415, code: 'request.media-type' })
    t.match(await post('', json), { status: 422, code: 'request.invalid' })
  })
  t.test('names the place of every fault, unknown keys included, in the language asked for', async (t) => {
    const payload = { code: 1, email: 'nobody', password: 'long enough', extra: true }
    const english = await problem({ method: 'POST', url: '/v1/setup', payload })
    t.same(
      english.errors.map(({ pointer, code }: { pointer: string; code: string }) => [pointer, code]),
      [
        ['/code', 'invalid_type'],
        ['/email', 'invalid_format'],
        ['/extra', 'unknown_key']
      ]
    )
    t.equal(english.title, 'Unprocessable Entity')
    const chinese = await problem({
      method: 'POST',
      url: '/v1/setup',
      payload,
      headers: { 'accept-language': 'zh-CN,zh;q=0.9,en;q=0.8' }
    })
    t.equal(chinese.title, '请求内容不符合要求')
    t.match(chinese.errors[2].message, /未知的键/)
    t.match(await problem({ url: '/v1/accounts?limit=0', headers }), {
      status: 422,
      detail: 'the query breaks its schema',
      errors: [{ pointer: '/limit' }]
    })
  })
  t.test('hides what a bug was about', async (t) => {
    const bare = await createHttp({ log: silentLog(), tokenKey: Buffer.alloc(32), trustProxy: false })
    const throwing = (path: string, error: unknown) =>
      bare.get(path, async () => {
        throw error
      })
    throwing('/bug', new Error('the password is hunter2'))
    throwing('/later', new LimitReached('slow down', 2.1))
    throwing('/up', new UpstreamFailure('WeChat said no', false, { facts: { errcode: 40001 } }))
    throwing('/away', Object.assign(new Error('no primary'), { name: 'MongoServerSelectionError' }))
    const bug = (await bare.inject('/bug')).json()
    t.match(bug, { status: 500, code: 'internal' })
    t.notOk('detail' in bug)
    const later = await bare.inject('/later')
    t.same([later.statusCode, later.headers['retry-after']], [429, '3'])
    t.match((await bare.inject('/up')).json(), { status: 502, facts: { errcode: 40001 } })
    t.match((await bare.inject('/away')).json(), { status: 503, code: 'store.unreachable' })
    await bare.close()
  })
})

t.test('a route lets in only the callers it names', async (t) => {
  const { app, rooms, clock, login, key, phone } = await buildTestApp(t)
  const get = async (url: string, headers: Record<string, string> = {}) => {
    const answer = await app.inject({ url, headers })
    return [answer.statusCode, answer.statusCode < 300 ? null : answer.json().code]
  }
  const handset = phone({ accountId: 'a', recipientId: 'r', personId: 'p' })

  t.test('nobody, and nobody with a forged token', async (t) => {
    t.same(await get('/v1/accounts'), [401, 'auth.unauthenticated'])
    t.same(await get('/v1/accounts', { authorization: 'Bearer abc.def.ghi' }), [401, 'auth.unauthenticated'])
    t.same(await get('/v1/accounts', { authorization: 'Bearer hk_nothing' }), [401, 'auth.unauthenticated'])
    const none = `${Buffer.from('{"alg":"none"}').toString('base64url')}.${Buffer.from('{"k":"o","sub":"x","exp":9999999999}').toString('base64url')}.`
    t.same(await get('/v1/me', { authorization: `Bearer ${none}` }), [401, 'auth.unauthenticated'])
  })
  t.test('phones nowhere but on their own routes', async (t) => {
    t.same(await get('/v1/accounts', handset), [403, 'auth.not-allowed'])
    t.same(await get('/v1/me', handset), [403, 'auth.not-allowed'])
  })
  t.test('machines by scope', async (t) => {
    t.same(await get('/v1/accounts', await key(['accounts:read'])), [200, null])
    t.same(await get('/v1/accounts', await key(['messages:read'])), [403, 'auth.not-allowed'])
    t.same(await get('/v1/me', await key(['accounts:read'])), [403, 'auth.not-allowed'])
  })
  t.test('operators by role', async (t) => {
    t.same(await get('/v1/accounts', await login('viewer')), [200, null])
    t.same(await get('/v1/operators', await login('operator')), [403, 'auth.not-allowed'])
    t.same(await get('/v1/operators', await login('owner')), [200, null])
  })
  t.test('nobody whose token or key is over', async (t) => {
    const operator = await login()
    const { key: short } = await rooms.apiKeys.create({
      name: 'short',
      scopes: ['accounts:read'],
      expiresAt: new Date(clock.now().getTime() + 60_000)
    })
    const machine = { authorization: `Bearer ${short}` }
    t.same(await get('/v1/accounts', machine), [200, null])
    clock.advance(16 * 60_000)
    t.same(await get('/v1/me', operator), [401, 'auth.expired'])
    t.same(await get('/v1/accounts', machine), [401, 'auth.unauthenticated'])
  })
  t.test('whoever was removed is out within seconds', async (t) => {
    const owner = await login('owner')
    const { id } = (await app.inject({ url: '/v1/me', headers: await login('editor') })).json()
    const gone = { authorization: `Bearer ${rooms.tokens.operator(id).token}` }
    t.same(await get('/v1/me', gone), [200, null])
    t.equal((await app.inject({ method: 'DELETE', url: `/v1/operators/${id}`, headers: owner })).statusCode, 204)
    clock.advance(3_000)
    t.same(await get('/v1/me', gone), [401, 'auth.unauthenticated'])
    const log = (await app.inject({ url: '/v1/audit-logs', headers: owner })).json()
    t.match(log.data[0], { method: 'DELETE', route: '/v1/operators/:id', target: { id }, status: 204 })
  })
})

t.test('the document and the routes', async (t) => {
  const { app } = await buildTestApp(t)

  t.test('agree: every /v1 route is described, with who may call it', async (t) => {
    const document = (await app.inject('/openapi.json')).json()
    t.equal(document.openapi, '3.1.0')
    const routes = Object.entries<Record<string, any>>(document.paths).flatMap(([path, verbs]) =>
      Object.entries(verbs).map(([verb, operation]) => ({ path, verb, operation }))
    )
    t.ok(routes.length > 30, `${routes.length} routes`)
    const open = routes.filter(({ operation }) => operation.security === undefined).map(({ path }) => path)
    t.same(
      open.filter((path) => path !== '/v1/capture/session').sort(),
      [
        '/v1/auth/login',
        '/v1/auth/logout',
        '/v1/auth/refresh',
        '/v1/auth/state',
        '/v1/platform/authorizations/return',
        '/v1/setup'
      ],
      'nothing else is open to anybody'
    )
    t.notOk(JSON.stringify(document).includes('__SCHEMA__'))
    t.equal((await app.inject('/docs/')).statusCode, 200)
  })
  t.test('agree at start: one that does not say who may call it is refused', async (t) => {
    const { authPlugin } = await import('../../../server/platform/auth.js')
    const bare = await createHttp({ log: silentLog(), tokenKey: Buffer.alloc(32), trustProxy: false })
    await bare.register(authPlugin, { tokens: {} as never, callers: {} as never })
    t.throws(() => bare.get('/v1/open', async () => 1), { message: 'GET /v1/open does not say who may call it' })
    t.same(guardOf({ onRequest: bare.requireCaller({ scope: 'accounts:write' }) }), {
      scope: 'accounts:write',
      role: 'editor'
    })
    t.same(guardOf({}), null)
    await bare.close()
  })
  t.test('/healthz and /readyz say what is up', async (t) => {
    t.same((await app.inject('/healthz')).json(), { status: 'ok' })
    t.same((await app.inject('/readyz')).json(), { status: 'ready', causes: [] })
  })
  t.test('/readyz names the cause', async (t) => {
    const { installHealth } = await import('../../../server/platform/health.js')
    const bare = await createHttp({ log: silentLog(), tokenKey: Buffer.alloc(32), trustProxy: false })
    installHealth(bare, [
      { name: 'store', check: () => Promise.reject(new Error('no route to host')) },
      { name: 'jobs', check: async () => null }
    ])
    const answer = await bare.inject('/readyz')
    t.same([answer.statusCode, answer.json().causes], [503, [{ name: 'store', fault: 'no route to host' }]])
    await bare.close()
  })
})

t.test('a POST with an Idempotency-Key', async (t) => {
  const db = await testDb(t)
  const clock = testClock(new Date())
  const app = await createHttp({ log: silentLog(), tokenKey: Buffer.alloc(32), trustProxy: false })
  t.teardown(() => app.close())
  app.decorateRequest('caller', null as never)
  await app.register(idempotencyPlugin, { db, clock, sealer: createSealer(testKeyring) })
  let runs = 0
  let gate: Promise<void> = Promise.resolve()
  let fail: AppError | null = null
  app.post(
    '/things',
    { config: { idempotent: true }, schema: { body: z.object({ n: z.number() }) } },
    async (request, reply) => {
      runs += 1
      await gate
      if (fail !== null) throw fail
      return reply.code(201).header('location', '/things/1').send({ run: runs, body: request.body })
    }
  )
  app.post('/sends', { config: { idempotent: 'own' } }, async (request) => ({ key: request.idempotencyKey }))
  const post = (key: string | null, n: number, url = '/things') =>
    app.inject({ method: 'POST', url, payload: { n }, headers: key === null ? {} : { 'idempotency-key': key } })

  t.test('runs once for the same body, and answers the same again', async (t) => {
    const first = await post('a', 1)
    const again = await post('a', 1)
    t.same([first.statusCode, again.statusCode, again.body], [201, 201, first.body])
    t.same([first.headers['idempotent-replayed'], again.headers['idempotent-replayed']], [undefined, 'true'])
    t.same([again.headers.location, again.headers['content-type']], ['/things/1', 'application/json; charset=utf-8'])
    const [row] = await db.collection('idempotencyKeys').find().toArray()
    t.notMatch(JSON.stringify(row), /"run"/, 'the answer is kept sealed')
  })
  t.test('refuses another body', async (t) => {
    const answer = await post('a', 2)
    t.same([answer.statusCode, answer.json().code], [422, 'idempotency.other-body'])
  })
  t.test('waits for no one: 409 while the first still runs; a dead first is taken over', async (t) => {
    let open = () => {}
    gate = new Promise((resolve) => (open = resolve))
    const first = post('b', 1)
    while ((await db.collection('idempotencyKeys').countDocuments({ state: 'running' })) === 0);
    const second = await post('b', 1)
    t.same([second.statusCode, second.json().code], [409, 'idempotency.running'])
    t.equal(second.headers['retry-after'], '1')
    clock.advance(61_000)
    const third = post('b', 1)
    open()
    t.same([(await first).statusCode, (await third).statusCode], [201, 201])
  })
  t.test('runs once of twenty at the same time; the others say so', async (t) => {
    const before = runs
    const answers = await Promise.all(Array.from({ length: 20 }, () => post('d', 1)))
    const later = await Promise.all(Array.from({ length: 20 }, () => post('d', 1)))
    t.equal(runs, before + 1)
    const kinds = [...answers, ...later].map(({ statusCode, headers }) =>
      [statusCode, headers['idempotent-replayed'] ?? '-', headers['retry-after'] ?? '-'].join(' ')
    )
    t.equal(kinds.filter((kind) => kind === '201 - -').length, 1, 'one ran')
    t.same(
      kinds.filter((kind) => !['201 - -', '201 true -', '409 - 1'].includes(kind)),
      [],
      'the others are told to wait, or are given its answer and told that it is'
    )
    t.equal(new Set([...answers, ...later].flatMap((each) => (each.statusCode === 201 ? [each.body] : []))).size, 1)
    t.equal(kinds.slice(20).filter((kind) => kind === '201 true -').length, 20)
  })
  t.test('is told when to come back also where the first has just been refused', async (t) => {
    let open = () => {}
    gate = new Promise((resolve) => (open = resolve))
    fail = new LimitReached('not now', 1)
    const first = post('e', 1)
    while ((await db.collection('idempotencyKeys').countDocuments({ state: 'running' })) === 0);
    const others = Promise.all(Array.from({ length: 10 }, () => post('e', 1)))
    open()
    t.equal((await first).statusCode, 429)
    for (const { statusCode, headers } of await others) {
      t.ok([409, 429].includes(statusCode))
      t.equal(headers['retry-after'], '1')
    }
    fail = null
  })
  t.test('may be used again after a refusal', async (t) => {
    fail = new LimitReached('not now', 1)
    t.equal((await post('c', 1)).statusCode, 429)
    fail = null
    t.equal((await post('c', 1)).statusCode, 201)
  })
  t.test('is not asked for where it is a choice, demanded where it is not', async (t) => {
    const before = runs
    await post(null, 1)
    await post(null, 1)
    t.equal(runs, before + 2)
    t.match((await post(null, 1, '/sends')).json(), { status: 422, code: 'idempotency.required' })
    t.match((await post('a b', 1, '/sends')).json(), { status: 422, code: 'idempotency.malformed' })
    t.same((await post('mine', 1, '/sends')).json(), { key: 'mine' })
  })
})

t.test('small things', async (t) => {
  t.test('the language is the better of two', async (t) => {
    t.equal(languageOf(undefined), 'en')
    t.equal(languageOf('fr, de'), 'en')
    t.equal(languageOf('zh-TW'), 'zh')
    t.equal(languageOf('en;q=0.3, zh;q=0.7'), 'zh')
    t.equal(languageOf('en, zh;q=0.7'), 'en')
  })
  t.test('the log keeps openids, secrets and queries to itself', async (t) => {
    let text = ''
    const log = createLog({ level: 'info', destination: { write: (line) => void (text += line) } })
    log.info({ openId: 'o-secret', body: { touser: 'o-secret', inner: { token: 'o-secret' } }, note: 'shown' }, 'hello')
    log.info({ req: { method: 'GET', url: '/callback/wx1?signature=o-secret' } }, 'asked')
    t.notMatch(text, /o-secret/)
    t.match(text, /shown/)
    t.match(text, /"path":"\/callback\/wx1"/)
  })
  t.test('a throttle lets so many through in a while', async (t) => {
    const clock = testClock()
    const throttle = createThrottle({ clock, limit: 2, windowMs: 60_000 })
    throttle.count('a')
    throttle.count('a')
    t.throws(() => throttle.count('a'), { status: 429, retryAfterSeconds: 60 } as never)
    throttle.count('b')
    clock.advance(60_000)
    throttle.count('a')
  })
})

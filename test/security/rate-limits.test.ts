import t from 'tap'
import { createRateLimits } from '../../server/platform/rate-limits.js'
import { buildTestApp, testDb } from '../support/build-app.js'
import { testClock } from '../support/clock.js'

t.test('a limit', async (t) => {
  const db = await testDb(t)
  const clock = testClock()
  const room = () => createRateLimits({ db, clock, limits: { phone: 80, key: 8 } })
  const taken = async (limiter: ReturnType<typeof room>, id: string, times: number) => {
    let count = 0
    for (let n = 0; n < times; n++)
      await limiter.count('phone', id).then(
        () => count++,
        () => {}
      )
    return count
  }

  t.test('is for one process what it says', async (t) => {
    t.equal(await taken(room(), 'a', 200), 80)
  })
  t.test('is one for all processes, but for what they have not told yet', async (t) => {
    const processes = [room(), room(), room(), room()]
    let count = 0
    for (let n = 0; n < 200; n++) count += await taken(processes[n % 4]!, 'b', 1)
    t.ok(count >= 80 && count <= 80 + 3 * 10, `${count} of 80`)
  })
  t.test('of one says nothing of another, and is new each minute', async (t) => {
    const limiter = room()
    await taken(limiter, 'c', 100)
    t.equal(await taken(limiter, 'd', 10), 10)
    t.equal(await taken(limiter, 'c', 1), 0)
    clock.advance(60_000)
    t.equal(await taken(limiter, 'c', 1), 1)
  })
  t.test('costs no write for who asks now and then', async (t) => {
    const limiter = room()
    for (let n = 0; n < 50; n++) await taken(limiter, `seldom ${n}`, 5)
    t.equal(await db.collection('rateLimits').countDocuments({ _id: /seldom/ as never }), 0)
  })
  t.test('stops nobody while the store is away', async (t) => {
    const away = { collection: () => ({ findOneAndUpdate: () => Promise.reject(new Error('away')) }) }
    const limiter = createRateLimits({ db: away as never, clock, limits: { key: 8 } })
    for (let n = 0; n < 8; n++) await limiter.count('key', 'k')
    await t.rejects(limiter.count('key', 'k'), { status: 429, code: 'request.rate-limited' })
  })
})

t.test('a phone that floods', async (t) => {
  const rateLimits = { phone: 40, key: 30, operator: 20, address: 25 }
  const server = await buildTestApp(t, { rateLimits })
  const { app, rooms, clock } = server
  const account = await server.account()
  const phoneOf = async (openId: string) => {
    const { id, personId } = await rooms.people.recipient(account.id, openId)
    return server.phone({ accountId: account.id, recipientId: id, personId })
  }
  let n = 0
  const handIn = async (headers: Record<string, string>) => {
    const now = clock.now().toISOString()
    const items = [{ id: `c${++n}`, source: 'form', value: `form-${n}`, caughtAt: now }]
    return app.inject({ method: 'POST', url: '/v1/capture/credentials', headers, payload: { sentAt: now, items } })
  }

  t.test('is told to wait, and others are served as if it were not there', async (t) => {
    const flood = await phoneOf('o-flood')
    const others = await Promise.all(Array.from({ length: 20 }, (_, each) => phoneOf(`o-${each}`)))
    const flooding = Array.from({ length: 400 }, () => handIn(flood))
    const served = await Promise.all(others.map(handIn))
    t.ok(
      served.every(({ statusCode }) => statusCode === 202),
      'each of twenty others'
    )
    const answers = await Promise.all(flooding)
    const taken = answers.filter(({ statusCode }) => statusCode === 202).length
    t.equal(taken, 40)
    const refused = answers.find(({ statusCode }) => statusCode === 429)!
    t.match(refused.json(), { status: 429, code: 'request.rate-limited', facts: { limit: 40, by: 'phone' } })
    t.match(refused.headers, {
      'retry-after': /^\d+$/,
      'ratelimit-policy': '"phone";q=40;w=60',
      ratelimit: /^"phone";r=0;t=\d+$/
    })
    t.equal(await rooms.credentials.rows.countDocuments({}), 40 + others.length, 'what was refused was not kept')
    clock.advance(60_000)
    const again = await handIn(flood)
    t.equal(again.statusCode, 202)
    t.match(again.headers, { ratelimit: /^"phone";r=39;t=\d+$/ })
  })
  t.test('is no other than a key, an operator or an address that does', async (t) => {
    const key = await server.key(['accounts:read'])
    const owner = await server.login()
    const statuses = async (
      headers: Record<string, string>,
      times: number,
      url = '/v1/accounts',
      remoteAddress = '10.0.0.1'
    ) => {
      const seen: number[] = []
      for (let each = 0; each < times; each++) seen.push((await app.inject({ url, headers, remoteAddress })).statusCode)
      return [seen.filter((status) => status === 429).length, seen.find((status) => status !== 429)]
    }
    t.same(await statuses(key, 35), [5, 200])
    t.same(await statuses(owner, 25), [5, 200])
    t.same(await statuses({ authorization: 'Bearer hk_none' }, 30, '/v1/accounts', '10.0.0.2'), [5, 401], 'guessing')
    t.same(await statuses({}, 30, '/v1/auth/state', '10.0.0.3'), [5, 200], 'what needs no token')
    t.same(await statuses(key, 1, '/healthz', '10.0.0.2'), [0, 200], 'the looks of a balancer are not counted')
    t.equal((await app.inject({ url: '/v1/auth/state', remoteAddress: '10.0.0.4' })).statusCode, 200)
  })
})

import t from 'tap'
import { createDoors, waitAfter } from '../../../server/operators/doors.js'
import { createSealer } from '../../../server/platform/sealing.js'
import { buildTestApp, testDb, testKeyring } from '../../support/build-app.js'
import { testClock } from '../../support/clock.js'

const MINUTE = 60_000

t.test('waiting doubles, up to its longest', async (t) => {
  t.same(
    [0, 1, 2, 5, 6, 40].map((beyond) => waitAfter(beyond, 60 * MINUTE) / MINUTE),
    [1, 2, 4, 32, 60, 60]
  )
})

t.test('a door', async (t) => {
  const db = await testDb(t)
  const clock = testClock()
  const rooms = Array.from({ length: 2 }, () => createDoors({ db, clock, sealer: createSealer(testKeyring) }))
  await rooms[0]!.ready()
  let n = 0
  const door = () => ({ name: 'login', of: `somebody ${++n}`, free: 5, longestMs: 60 * MINUTE })
  const passes = async (at: ReturnType<typeof door>, room = rooms[0]!) =>
    room.knock(at).then(
      () => true,
      (error: { retryAfterSeconds: number }) => error.retryAfterSeconds
    )

  t.test('takes some tries, then one after each wait, for all processes together', async (t) => {
    const at = door()
    for (let each = 0; each < 5; each++) t.equal(await passes(at, rooms[each % 2]), true)
    t.equal(await passes(at, rooms[1]), 60)
    clock.advance(MINUTE)
    t.equal(await passes(at, rooms[1]), true)
    t.equal(await passes(at), 120, 'and the next wait is longer')
    clock.advance(2 * MINUTE)
    t.equal(await passes(at), true)
    t.equal(await passes(at), 240)
    await rooms[0]!.opened(at)
    t.equal(await passes(at), true, 'until it was right')
  })
  t.test('lets no more in at once than one after another', async (t) => {
    const at = door()
    const first = await Promise.all(Array.from({ length: 40 }, (_, index) => passes(at, rooms[index % 2])))
    t.equal(first.filter((each) => each === true).length, 5)
    clock.advance(MINUTE)
    const second = await Promise.all(Array.from({ length: 40 }, (_, index) => passes(at, rooms[index % 2])))
    t.equal(second.filter((each) => each === true).length, 1)
  })
  t.test('is kept by nobody’s name', async (t) => {
    t.notMatch(JSON.stringify(await db.collection('doors').find().toArray()), /somebody/)
  })
})

t.test('a login is slowed down', async (t) => {
  const { app, rooms, clock } = await buildTestApp(t)
  const password = 'correct horse battery'
  await rooms.operators.create({ email: 'lin@example.com', password, role: 'viewer' })
  const login = async (given: string, remoteAddress: string, email = 'lin@example.com') => {
    const payload = { email, password: given }
    return (await app.inject({ method: 'POST', url: '/v1/auth/login', payload, remoteAddress })).statusCode
  }

  t.test('for its account from everywhere, when it is tried from many places', async (t) => {
    for (let n = 0; n < 20; n++) t.equal(await login('wrong', `10.0.0.${n}`), 401)
    t.equal(await login(password, '10.0.1.1'), 429)
    clock.advance(MINUTE)
    t.equal(await login(password, '10.0.1.1'), 200)
  })
  t.test('for one address, whichever account it tries', async (t) => {
    for (let n = 0; n < 50; n++) t.equal(await login('wrong', '10.0.2.1', `a${n}@example.com`), 401)
    t.equal(await login(password, '10.0.2.1'), 429)
    t.equal(await login(password, '10.0.2.2'), 200, 'and not for others')
  })
})

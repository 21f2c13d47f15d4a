import t from 'tap'
import { createPhone, FAULTS, take, valueOf } from './restarting-phone.js'

const HOUR = 3_600_000

t.test('two copies never send at the same time', async (t) => {
  const phone = createPhone(3, 2)
  const { server, time } = phone
  let inFlight = 0
  let most = 0
  const { network } = server
  server.network = async (request) => {
    if (request.url.endsWith('/credentials')) most = Math.max(most, ++inFlight)
    await new Promise<void>((resolve) => time.env.setTimeout(() => resolve(), 500))
    const answer = await network(request)
    if (request.url.endsWith('/credentials')) inFlight--
    return answer
  }
  phone.restart()
  for (let i = 0; i < 40; i++) {
    take(phone.kit(i), 'form', `f${i}`)
    void phone.kit(i).flush()
    await time.advance(100)
  }
  await time.advance(60_000)
  t.equal(most, 1)
  t.equal(server.kept.size, 40)
  t.equal([...server.verdicts.values()].flat().filter((verdict) => verdict === 'duplicate').length, 0)
})

t.test('hands in by size, by time and when the app is hidden', async (t) => {
  const phone = createPhone(1, 1)
  const { server, time } = phone
  await time.advance(1)
  take(phone.kit(0), 'form', 'a')
  await time.advance(2999)
  t.equal(server.kept.size, 0, 'waits for company')
  await time.advance(1)
  t.equal(server.kept.size, 1, 'for flushMs')
  for (let i = 0; i < 7; i++) take(phone.kit(0), 'form', `b${i}`)
  await time.advance(1)
  t.equal(server.kept.size, 8, 'a full batch goes at once')
  take(phone.kit(0), 'form', 'c')
  phone.fake().hide()
  await time.settle()
  t.equal(server.kept.size, 9, 'onHide')
  t.ok(server.batches.every(({ body }) => body.items.length <= 7 && !isNaN(Date.parse(body.sentAt))))
})

t.test('tells the age of a catch by its own clock', async (t) => {
  const phone = createPhone(1, 1)
  phone.setOnline(false)
  take(phone.kit(0), 'form', 'a')
  await phone.time.advance(HOUR)
  phone.setOnline(true)
  await phone.time.settle()
  const { body } = phone.server.batches[0]!
  t.equal(Date.parse(body.sentAt) - Date.parse(body.items[0].caughtAt), HOUR, 'sent as soon as the network is back')
})

t.test('backs off, and honours Retry-After even when hidden', async (t) => {
  const phone = createPhone(1, 1)
  const { server, time } = phone
  await time.advance(1)
  server.fault = FAULTS[500]
  take(phone.kit(0), 'form', 'a')
  const tries = async (ms: number) => {
    const before = server.asked.length
    await time.advance(ms)
    return server.asked.length - before
  }
  const first = await tries(60_000)
  t.ok(first >= 4 && first <= 8, `${first} tries in the first minute`)
  await tries(HOUR)
  const later = await tries(HOUR)
  t.ok(later >= 12 && later <= 30, `${later} tries an hour later on`)
  server.fault = FAULTS[429]
  await phone.kit(0).flush()
  const asked = server.asked.length
  phone.fake().hide()
  await time.advance(89_000)
  t.equal(server.asked.length, asked, 'not before the server said')
  server.fault = null
  await time.advance(10 * 60_000)
  t.equal(server.kept.size, 1)
})

t.test('one item that spoils its batch is found, tried alone, and given up with a count', async (t) => {
  const phone = createPhone(1, 1)
  const { server, time } = phone
  server.fault = ({ body }) => (body?.items?.some((item: any) => item.value === 'bad') ? { statusCode: 422 } : null)
  for (const value of ['a', 'b', 'bad', 'c', 'd']) take(phone.kit(0), 'form', value)
  await time.advance(4000)
  t.same([...server.kept.values()].map(valueOf).sort(), ['a', 'b', 'c', 'd'], 'the others do not wait for it')
  await time.advance(HOUR)
  t.match(phone.kit(0).status(), { queued: 1, acknowledged: { stored: 4 } }, 'it waits while nothing tells it apart')
  for (const value of ['e', 'f', 'g']) {
    take(phone.kit(0), 'form', value)
    await time.advance(HOUR)
  }
  t.match(phone.kit(0).status(), { queued: 0, acknowledged: { stored: 7 }, dropped: { form: 1 } }, 'others got through')
})

t.test('an address that does not answer holds up no other', async (t) => {
  const phone = createPhone(1, 1)
  phone.server.fault = ({ path }) => (path.endsWith('/credentials') ? { statusCode: 403 } : null)
  for (const source of ['form', 'event', 'open']) take(phone.kit(0), source, source)
  await phone.time.advance(4000)
  t.same([...phone.server.kept.values()].map(valueOf).sort(), ['event', 'open'])
  t.equal(phone.kit(0).status().queued, 1)
})

t.test('is bounded: the oldest go first, payments last, each counted', async (t) => {
  const phone = createPhone(1, 1, { outboxSize: 4 })
  phone.setOnline(false)
  take(phone.kit(0), 'payment', 'p1')
  await phone.time.settle()
  for (const value of ['a', 'b', 'c', 'd', 'e']) take(phone.kit(0), 'form', value)
  t.match(phone.kit(0).status(), { queued: 4, dropped: { form: 2 } })
  phone.setOnline(true)
  await phone.time.advance(10_000)
  t.same([...phone.server.kept.values()].map(valueOf), ['p1', 'c', 'd', 'e'])
  phone.setOnline(false)
  for (const value of ['p2', 'p3', 'p4', 'p5', 'p6']) take(phone.kit(0), 'payment', value)
  await phone.time.settle()
  t.match(phone.kit(0).status(), { queued: 4, dropped: { form: 2, payment: 1 } })
})

t.test('holds 500 by default, and never more than a key of storage can', async (t) => {
  const phone = createPhone(1, 1)
  phone.setOnline(false)
  for (let i = 0; i < 510; i++) take(phone.kit(0), 'form', `f${i}`)
  t.match(phone.kit(0).status(), { queued: 500, dropped: { form: 10 } })
  for (let i = 0; i < 60; i++) {
    const wide = Object.fromEntries(Array.from({ length: 15 }, (_, n) => [`field${n}`, '长'.repeat(600)]))
    phone.kit(0).track('wide', wide)
  }
  const { length } = String(phone.storage.get('hongyan:outbox'))
  t.ok(length > 280_000 && length <= 300_000, `${length} characters`)
  const { queued, caught, dropped } = phone.kit(0).status()
  t.equal(caught.form + caught.event, queued + dropped.form + (dropped.event ?? 0))
})

t.test('storage', async (t) => {
  t.test('damaged: keeps what parses', async (t) => {
    const phone = createPhone(1, 1)
    phone.setOnline(false)
    for (const value of ['a', 'b', 'c']) take(phone.kit(0), 'form', value)
    const lines = String(phone.storage.get('hongyan:outbox')).split('\n')
    lines[2] = lines[2]!.slice(0, 20)
    phone.storage.set('hongyan:outbox', [...lines, '{"id":"x","kind":"nonsense"}', lines[3]].join('\n'))
    phone.restart()
    phone.setOnline(true)
    await phone.time.advance(60_000)
    t.same([...phone.server.kept.values()].map(valueOf), ['a', 'c'])
    t.equal(phone.kit(0).status().corrupt, 2)
  })
  t.test('of another kind altogether: starts afresh without throwing', async (t) => {
    for (const junk of [42, { a: 1 }, [], true, 'not json', 'null\nnull', '{"v":1,"counts":null}']) {
      const phone = createPhone(1, 1)
      await phone.time.settle()
      for (const key of ['hongyan:outbox', 'hongyan:session', 'hongyan:lease'])
        phone.storage.set(key, structuredClone(junk))
      phone.restart()
      take(phone.kit(0), 'form', 'a')
      await phone.time.advance(60_000)
      t.equal(phone.server.kept.size, 1, JSON.stringify(junk))
    }
  })
  t.test('full: catches wait in memory and are handed in all the same, once', async (t) => {
    const phone = createPhone(1, 2)
    await phone.time.settle()
    take(phone.kit(0), 'form', 'before')
    phone.setFull(true)
    take(phone.kit(0), 'form', 'a')
    take(phone.kit(1), 'form', 'b')
    await phone.time.advance(60_000)
    t.same([...phone.server.kept.values()].map(valueOf).sort(), ['a', 'b', 'before'])
    phone.setFull(false)
    take(phone.kit(0), 'form', 'c')
    await phone.time.advance(60_000)
    t.equal(phone.kit(0).status().queued, 0)
    t.equal([...phone.server.kept.values()].length, 4)
  })
  t.test("cleared by the host: this start's catches are put back", async (t) => {
    const phone = createPhone(1, 1)
    phone.setOnline(false)
    take(phone.kit(0), 'form', 'a')
    phone.storage.clear()
    phone.setOnline(true)
    await phone.time.advance(60_000)
    t.equal(phone.server.kept.size, 1)
  })
})

t.test('a lease left by a dead app keeps others waiting no longer than it lasts', async (t) => {
  const phone = createPhone(1, 1)
  const { server, time } = phone
  take(phone.kit(0), 'form', 'a')
  phone.storage.set('hongyan:lease', { holder: 'a dead one', until: time.env.now() + 30_000 })
  await time.advance(29_000)
  t.equal(server.kept.size, 0)
  await time.advance(2_000)
  t.equal(server.kept.size, 1)
  phone.storage.set('hongyan:lease', { holder: 'a dead one', until: time.env.now() + 9 * HOUR })
  take(phone.kit(0), 'form', 'b')
  await time.advance(5_000)
  t.equal(server.kept.size, 2, 'one from a clock that went back does not count')
})

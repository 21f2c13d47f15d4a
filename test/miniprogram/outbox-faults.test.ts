import t from 'tap'
import { createPhone, FAULTS, take, valueOf } from './restarting-phone.js'

const HOUR = 3_600_000
const BOX = 'hongyan:outbox'
type Phone = ReturnType<typeof createPhone>
const keptBy = (phone: Phone) => [...phone.server.kept.values()].map(valueOf).sort()
const sum = (counts: Record<string, number>) => Object.values(counts).reduce((a, b) => a + b, 0)
/** An answer with a verdict on each of these values only; `word` is what is said of the others, if anything. */
const speakingOn = (request: any, heard: (value: string) => boolean, word?: string) => ({
  statusCode: 202,
  data: {
    items: request.body.items.flatMap((item: any) =>
      heard(valueOf(item))
        ? [{ id: item.id, verdict: 'stored' }]
        : word === undefined
          ? []
          : [{ id: item.id, verdict: word }]
    )
  }
})

t.test('an event that is too much', async (t) => {
  t.test('is refused at the door and pushes nothing out', async (t) => {
    const phone = createPhone(1, 1)
    phone.setOnline(false)
    for (let i = 0; i < 499; i++) take(phone.kit(0), 'form', `f${i}`)
    const wide = (fields: number, chars: number) =>
      Object.fromEntries(Array.from({ length: fields }, (_, n) => [`k${n}`, 'x'.repeat(chars)]))
    phone.kit(0).track('seen', wide(700, 500))
    phone.kit(0).track('seen', wide(31, 1))
    phone.kit(0).track('seen', wide(30, 300))
    phone.kit(0).track('seen', ['a', 'b'])
    phone.kit(0).track('seen', wide(30, 200))
    const { queued, dropped, refused, caught } = phone.kit(0).status()
    t.same([queued, dropped, refused], [500, {}, { tooLarge: 3, malformed: 1 }])
    t.same(caught, { form: 499, event: 1 })
  })
  t.test('kept by an earlier version goes first when room is needed', async (t) => {
    const phone = createPhone(1, 1)
    phone.setOnline(false)
    for (const value of ['a', 'b']) take(phone.kit(0), 'form', value)
    const huge = {
      id: 'huge',
      kind: 'event',
      name: 'seen',
      caughtAt: new Date(0),
      properties: { x: 'x'.repeat(350_000) }
    }
    phone.storage.set(BOX, `${phone.storage.get(BOX)}\n${JSON.stringify(huge)}`)
    take(phone.kit(0), 'form', 'c')
    t.match(phone.kit(0).status(), { queued: 3, dropped: { event: 1 } })
  })
})

t.test('a tap', async (t) => {
  t.test('costs one look into the box and one write; before a session, one look for that', async (t) => {
    const phone = createPhone(1, 1)
    phone.setOnline(false)
    await phone.time.settle()
    const cost = () => {
      phone.reads.length = phone.writes.length = 0
      take(phone.kit(0), 'form', 'a')
      return [phone.reads.slice().sort(), phone.writes.slice()]
    }
    t.same(cost(), [[BOX, 'hongyan:session'], [BOX]])
    phone.setOnline(true)
    await phone.time.advance(60_000)
    t.same(cost(), [[BOX], [BOX]])
  })
  t.test('makes text of its own catch only, however full the box', async (t) => {
    const phone = createPhone(1, 1, { outboxSize: 300 })
    phone.setOnline(false)
    for (let i = 0; i < 310; i++) take(phone.kit(0), 'form', `f${i}`)
    const { stringify } = JSON
    let times = 0
    JSON.stringify = (...given: any[]) => (times++, (stringify as any)(...given))
    t.teardown(() => void (JSON.stringify = stringify))
    take(phone.kit(0), 'form', 'last')
    JSON.stringify = stringify
    t.ok(times <= 4, `${times} times`)
    t.match(phone.kit(0).status(), { queued: 300, dropped: { form: 11 } })
  })
})

t.test('storage that cannot be read', async (t) => {
  t.test('at the start is not written over; what was left there is found later', async (t) => {
    const phone = createPhone(1, 1)
    phone.setOnline(false)
    for (const value of ['a', 'b']) take(phone.kit(0), 'form', value)
    phone.setUnreadable(true)
    phone.restart()
    take(phone.kit(0), 'form', 'c')
    take(phone.kit(0), 'payment', 'p')
    await phone.time.settle()
    t.equal(phone.kit(0).status().queued, 2, 'kept in memory')
    phone.setUnreadable(false)
    take(phone.kit(0), 'form', 'd')
    t.match(phone.kit(0).status(), { queued: 5, caught: { form: 4, payment: 1 } })
    phone.restart() // all of it is in storage
    phone.setOnline(true)
    await phone.time.advance(60_000)
    t.same(keptBy(phone), ['a', 'b', 'c', 'd', 'p'])
    t.match(phone.kit(0).status(), { queued: 0, caught: { form: 4, payment: 1 }, acknowledged: { stored: 5 } })
  })
  t.test('still hands in what is caught meanwhile, once', async (t) => {
    const phone = createPhone(1, 1)
    phone.setOnline(false)
    take(phone.kit(0), 'form', 'a')
    phone.setUnreadable(true)
    phone.restart()
    phone.setOnline(true)
    take(phone.kit(0), 'form', 'b')
    await phone.time.advance(60_000)
    t.same(keptBy(phone), ['b'])
    phone.setUnreadable(false)
    take(phone.kit(0), 'form', 'c')
    await phone.time.advance(60_000)
    t.same(keptBy(phone), ['a', 'b', 'c'])
    t.match(phone.kit(0).status(), { queued: 0, caught: { form: 3 }, acknowledged: { stored: 3 } })
  })
})

t.test('storage cleared by the host under two copies: each gives back what it knows', async (t) => {
  const phone = createPhone(1, 2)
  phone.setOnline(false)
  await phone.time.settle()
  take(phone.kit(0), 'form', 'a1')
  take(phone.kit(1), 'form', 'b1')
  take(phone.kit(0), 'form', 'a2')
  take(phone.kit(0), 'event', 'a3')
  phone.storage.clear()
  take(phone.kit(1), 'form', 'b2') // this copy has never heard of a2 and a3
  t.match(phone.kit(0).status(), { queued: 5, caught: { form: 4, event: 1 } })
  phone.setOnline(true)
  await phone.time.advance(60_000)
  t.same(keptBy(phone), ['a1', 'a2', 'a3', 'b1', 'b2'])
  const { queued, caught, acknowledged, dropped } = phone.kit(0).status()
  t.same([queued, sum(caught), sum(acknowledged), dropped], [0, 5, 5, {}])
})

t.test('a server that asks for more than 6 h of patience is asked again after 6 h', async (t) => {
  for (const wish of ['86400', 'Tue, 03 Mar 2026 04:00:00 GMT', '9'.repeat(400)]) {
    const phone = createPhone(1, 1)
    const { server, time } = phone
    await time.advance(1)
    server.fault = () => ({ statusCode: 503, header: { 'Retry-After': wish } })
    take(phone.kit(0), 'form', 'a')
    await phone.kit(0).flush()
    server.fault = null
    const asked = server.asked.length
    await time.advance(5.9 * HOUR)
    await phone.kit(0).flush()
    t.equal(server.asked.length, asked, `patience is kept: ${wish.slice(0, 30)}`)
    await time.advance(0.2 * HOUR)
    t.equal(server.kept.size, 1)
  }
})

t.test('an item the server passes over', async (t) => {
  for (const word of [undefined, 'pending']) {
    t.test(`(${word ?? 'no word at all'}) is given up in the end, and no other suffers`, async (t) => {
      const phone = createPhone(1, 1)
      const { time, server } = phone
      server.fault = (request) =>
        request.path.endsWith('/credentials') ? speakingOn(request, (value) => value !== 'odd', word) : null
      take(phone.kit(0), 'form', 'odd')
      for (let i = 0; i < 5; i++) {
        for (let n = 0; n < 10; n++) take(phone.kit(0), 'form', `f${i}-${n}`)
        await time.advance(5000)
        t.equal(phone.kit(0).status().acknowledged.stored, 10 * (i + 1), 'the others go on as ever')
        await time.advance(HOUR)
      }
      t.match(phone.kit(0).status(), { queued: 0, acknowledged: { stored: 50 }, dropped: { form: 1 } })
    })
  }
  t.test('costs nothing when the answer speaks on nothing at all', async (t) => {
    const phone = createPhone(1, 1)
    phone.server.fault = FAULTS.silent
    for (const value of ['a', 'b']) take(phone.kit(0), 'form', value)
    await phone.time.advance(24 * HOUR)
    phone.server.fault = null
    await phone.time.advance(HOUR)
    t.match(phone.kit(0).status(), { queued: 0, acknowledged: { stored: 2 }, dropped: {} })
  })
})

t.test('a server, or a gateway, that refuses everything costs nothing but time', async (t) => {
  for (const statusCode of [400, 413, 422]) {
    const phone = createPhone(1, 1)
    const { time, server } = phone
    server.fault = ({ path }) => (path.endsWith('/session') ? null : { statusCode, data: 'bad gateway' })
    for (const source of ['payment', 'form', 'event', 'open', 'grant']) take(phone.kit(0), source, source)
    take(phone.kit(0), 'form', 'form2')
    await time.advance(30 * HOUR)
    phone.restart()
    await time.advance(30 * HOUR)
    t.match(phone.kit(0).status(), { queued: 6, dropped: {} })
    server.fault = null
    await time.advance(HOUR)
    t.same(keptBy(phone), ['event', 'form', 'form2', 'grant', 'open', 'payment'], String(statusCode))
    t.same(phone.kit(0).status().dropped, {})
  }
})

t.test('items the server points to are told apart at once, and given up', async (t) => {
  const phone = createPhone(1, 1)
  const { time, server } = phone
  const tries: string[][] = []
  server.fault = ({ path, body }) => {
    if (!path.endsWith('/credentials')) return null
    tries.push(body.items.map(valueOf))
    const errors = body.items.flatMap((item: any, at: number) =>
      /^bad/.test(valueOf(item)) ? [{ pointer: `/items/${at}/value`, code: 'too_big' }, { pointer: '/sentAt' }] : []
    )
    return errors.length > 0 ? { statusCode: 422, data: { code: 'request.invalid', errors } } : null
  }
  for (const value of ['a', 'bad1', 'b', 'bad2', 'c']) take(phone.kit(0), 'form', value)
  await time.advance(3000)
  t.same(tries.slice(0, 2), [
    ['a', 'bad1', 'b', 'bad2', 'c'],
    ['a', 'b', 'c']
  ])
  await time.advance(HOUR)
  t.match(phone.kit(0).status(), { queued: 0, acknowledged: { stored: 3 }, dropped: { form: 2 } })
  t.equal(tries.flat().filter((value) => value === 'bad1').length, 5)
})

t.test('of those set aside each has its turn', async (t) => {
  const phone = createPhone(1, 1)
  let bad = /^bad/
  phone.server.fault = ({ body }) =>
    body?.items?.some((item: any) => bad.test(item.value)) ? { statusCode: 422 } : null
  for (const value of ['bad1', 'bad2', 'a']) take(phone.kit(0), 'form', value)
  await phone.time.advance(60_000)
  bad = /^bad1/
  await phone.time.advance(HOUR)
  t.same(keptBy(phone), ['a', 'bad2'])
})

t.test('an address that hangs', async (t) => {
  const hanging = () => {
    const phone = createPhone(1, 1)
    const { server, time } = phone
    const { network } = server
    let hangs = true
    const tries: number[] = []
    server.network = (request) => {
      if (!request.url.endsWith('/credentials')) return network(request)
      tries.push(time.env.now())
      return hangs ? new Promise(() => undefined) : network(request)
    }
    phone.restart()
    return { phone, server, time, tries, letGo: () => void (hangs = false) }
  }
  t.test('keeps no other waiting', async (t) => {
    const { phone, time, letGo } = hanging()
    for (const source of ['form', 'event', 'open']) take(phone.kit(0), source, source)
    await time.advance(3001)
    t.same(keptBy(phone), ['event', 'open'])
    await time.advance(60_000)
    take(phone.kit(0), 'event', 'later')
    await time.advance(3001)
    t.same(keptBy(phone), ['event', 'later', 'open'], 'nor is any other set back by it')
    letGo()
    await time.advance(10 * 60_000)
    t.equal(phone.kit(0).status().queued, 0)
  })
  t.test('hiding the app hands in the others at once, and its own as soon as the hanging is over', async (t) => {
    const { phone, time, tries, letGo } = hanging()
    take(phone.kit(0), 'form', 'form')
    await time.advance(4000)
    t.equal(tries.length, 1)
    take(phone.kit(0), 'event', 'event')
    letGo()
    phone.fake().hide()
    await time.settle()
    t.same(keptBy(phone), ['event'])
    await time.advance(3000 + 15_000 - 4000)
    t.same(keptBy(phone), ['event', 'form'], 'without waiting for our own back-off')
  })
})

t.test('a login that fails sets each lane back once', async (t) => {
  const phone = createPhone(1, 1)
  const { server, time } = phone
  server.fault = () => ({ statusCode: 503 })
  for (const source of ['form', 'event', 'open']) take(phone.kit(0), source, source)
  await time.advance(60_000)
  t.ok(server.asked.length >= 6 && server.asked.length <= 8, `${server.asked.length} logins in the first minute`)
  server.fault = null
  await time.advance(10 * 60_000)
  t.equal(server.kept.size, 3)
})

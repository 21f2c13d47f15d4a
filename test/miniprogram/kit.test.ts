import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import t from 'tap'
import { createFakeWx, overHttp } from '../../demo/fake-wx.js'
import { createScriptedServer, library, requireBuilt } from './library.js'
import { order, phone } from './phone.js'
import { createVirtualEnv } from './virtual-env.js'

const HOUR = 3_600_000

t.test('a session', async (t) => {
  t.test('comes from one wx.login, however many ask at once', async (t) => {
    const { kit, server, fake, time } = phone()
    await Promise.all([kit.preferences(), kit.preferences({ optedOut: true }), kit.flush()])
    await time.settle()
    t.equal(server.sessions(), 1)
    t.equal(fake.calls.filter((call) => call.name === 'login').length, 1)
    t.same(server.asked[0], {
      method: 'POST',
      path: '/v1/capture/session',
      body: { appId: 'wx0000000000000000', code: 'code-1' }
    })
  })
  t.test('is kept over a restart and renewed before it ends', async (t) => {
    const first = phone()
    await first.time.advance(1000)
    const again = library.createKit({ server: 'https://hy.example', api: first.fake.wx, env: first.time.env })
    await again.preferences()
    t.equal(first.server.sessions(), 1)
    await first.time.advance(HOUR - 30_000)
    await again.preferences()
    t.equal(first.server.sessions(), 2)
    t.equal(first.server.asked.filter((ask) => ask.path.endsWith('/status')).length, 2, 'without a 401 on the way')
  })
  t.test('refused by 401 is replaced by one new login', async (t) => {
    const { kit, server, submit, kept, time } = phone()
    await time.settle()
    server.revoke()
    submit('a')
    await kit.flush()
    t.equal(server.sessions(), 2)
    t.equal(kept().length, 1)
    server.fault = ({ path }) => (path.endsWith('/session') ? null : { statusCode: 401 })
    submit('b')
    await kit.flush()
    t.equal(server.sessions(), 3, 'and by no more than one')
    t.equal(kit.status().queued, 1)
  })
  t.test('lives on a phone whose clock is years off', async (t) => {
    for (const years of [-3, 3]) {
      const time = createVirtualEnv()
      const server = createScriptedServer(time.env.now)
      const fake = createFakeWx({ login: () => 'c', network: server.network })
      const env = { ...time.env, now: () => time.env.now() + years * 365 * 24 * HOUR }
      const kit = library.createKit({ server: 'https://hy.example', api: fake.wx, env })
      for (let i = 0; i < 15; i++) {
        await kit.preferences()
        await time.advance(5 * 60_000)
      }
      t.equal(server.sessions(), 2, `one for each hour, ${years} years off`)
      t.equal(server.asked.length, 17, 'and no 401 on the way')
    }
  })
  t.test("comes from the host's backend when given, and then never from wx.login", async (t) => {
    let minted = 0
    const getSession = async () => ({ token: `host-${++minted}`, expiresAt: '2026-03-01T05:00:00Z' })
    const { kit, server, fake, submit, time } = phone({ phone: { login: undefined }, options: { getSession } })
    submit('a')
    await kit.flush()
    t.equal(server.batches[0]!.token, 'host-1')
    await time.advance(HOUR)
    submit('b')
    await kit.flush()
    t.equal(server.batches[1]!.token, 'host-2')
    t.equal(fake.calls.filter((call) => call.name === 'login').length, 0)
  })
  t.test('from a host that tells no settings leaves the judging of mock ids to the server', async (t) => {
    const { kit, server, submit } = phone({ options: { getSession: () => 'host-1' } })
    server.refuse = () => 'mock'
    await kit.preferences()
    submit('the formId is a mock one')
    await kit.flush()
    t.match(kit.status(), { queued: 0, refused: {}, acknowledged: { refused: 1 } })
    const told = phone({ options: { getSession: () => ({ token: 'host-1', settings: { acceptMock: false } }) } })
    await told.kit.preferences()
    told.submit('the formId is a mock one')
    t.match(told.kit.status().refused, { mock: 1 })
  })
  t.test('may be a bare token; a host that fails, hangs or throws costs nothing but time', async (t) => {
    let answer: () => any = () => {
      throw new Error('host')
    }
    const { kit, submit, kept, time } = phone({ options: { getSession: () => answer() } })
    submit('a')
    await time.advance(4000)
    for (const bad of [
      () => Promise.reject(new Error('no')),
      () => undefined,
      () => ({ token: '' }),
      () => new Promise(() => 0)
    ]) {
      answer = bad
      await time.advance(10 * 60_000)
      t.equal(kit.status().queued, 1)
    }
    answer = () => 'host-9'
    await time.advance(10 * 60_000)
    t.equal(kept().length, 1)
  })
})

t.test('events carry what the server takes and leave the rest', async (t) => {
  const { kit, kept } = phone()
  kit.track('order.placed', {
    amount: 9.5,
    paid: false,
    at: new Date(0),
    long: '长'.repeat(900),
    list: [1],
    nan: NaN,
    none: null
  })
  kit.track('9 lives')
  kit.track(undefined as any)
  await kit.flush()
  t.same(
    kept().map(({ name, properties }) => ({ name, properties })),
    [
      {
        name: 'order.placed',
        properties: { amount: 9.5, paid: false, at: '1970-01-01T00:00:00.000Z', long: '长'.repeat(500) }
      }
    ]
  )
  t.same(kit.status().refused, { malformed: 2 })
})

t.test('an open is reported once a start: from the launch, from coming back, or by hand', async (t) => {
  const { kit, fake, kept } = phone({ phone: { launchOptions: { query: { hytag: 'A' } } } })
  fake.show({ query: { hytag: 'A' } })
  fake.show({ query: { hytag: 'B' } })
  fake.show()
  kit.reportOpen({ query: { hytag: 'C' } })
  kit.reportOpen({ query: { other: 'D' } })
  await kit.flush()
  t.same(
    kept().map((item) => item.tag),
    ['A', 'B', 'C']
  )
})

t.test('preferences answer what is in force, or null', async (t) => {
  const { kit, server } = phone()
  t.match(await kit.preferences(), { optedOut: false, topics: [] })
  t.match(await kit.preferences({ optedOut: true, topics: ['orders'] }), { optedOut: true, topics: ['orders'] })
  for (const data of ['<html>log in to this hotel</html>', {}, { optedOut: 'yes', topics: [] }, { optedOut: true }]) {
    server.fault = () => ({ statusCode: 200, data })
    t.equal(await kit.preferences({ optedOut: true }), null, `not saved: ${JSON.stringify(data)}`)
  }
  server.fault = () => 'offline'
  t.equal(await kit.preferences({ optedOut: false }), null)
  t.equal(await library.createKit({ api: {} }).preferences(), null)
})

t.test('nothing reaches the host', async (t) => {
  const broken: any = new Proxy(
    {},
    {
      get() {
        throw new Error('this phone is broken')
      }
    }
  )
  for (const api of [broken, {}, undefined]) {
    const time = createVirtualEnv()
    const debug = () => {
      throw new Error('even the printer')
    }
    const kit = library.createKit({ server: 'https://hy.example', api, env: time.env, debug })
    for (const event of [undefined, null, {}, { detail: null }, { detail: { formId: 'a' } }]) kit.captureSubmit(event)
    kit.track('seen', { toString: null })
    kit.reportOpen({ query: null })
    await kit.requestSubscribe(['t'])
    await kit.requestPayment(order).catch(() => undefined)
    await kit.requestPayment(undefined).catch(() => undefined)
    kit.templatesFor('x')
    t.ok(kit.settings() && kit.status())
    const over = kit.preferences({ optedOut: true })
    await time.advance(60_000)
    t.equal(await over, null)
    await kit.flush()
    kit.stop()
  }
})

t.test('what a host gets wrong costs no catch', async (t) => {
  t.test('a clock, a chance or a server address that throws', async (t) => {
    const fail = () => {
      throw new Error('host')
    }
    for (const env of [{ now: fail, random: fail }, { now: () => NaN, random: () => 'x' }, null]) {
      const { fake, server, time } = phone()
      const timers = { setTimeout: time.env.setTimeout, clearTimeout: time.env.clearTimeout }
      const kit = library.install({ server: 'https://hy.example', api: fake.wx, env: env && { ...env, ...timers } })
      kit.captureSubmit({ detail: { formId: 'a' } })
      await kit.flush()
      t.match([...server.kept.values()], [{ value: 'a' }])
      kit.stop()
    }
    const { fake } = phone()
    const kit = library.install({ server: { toString: fail }, appId: { toString: fail }, api: fake.wx })
    kit.captureSubmit({ detail: { formId: 'a' } })
    t.match(kit.status(), { queued: 1, caught: { form: 1 } }, 'kept, for an install that knows its server')
    t.equal(library.createKit(null).status().queued, 0)
  })
  t.test('an outbox of no size', async (t) => {
    for (const outboxSize of [0, -1, NaN, '7', null]) {
      const { kit, submit, fake } = phone({ options: { outboxSize } })
      fake.setOnline(false)
      for (let i = 0; i < 8; i++) submit(`f${i}`)
      t.match(kit.status(), { queued: 8, dropped: {} }, String(outboxSize))
    }
  })
  t.test('a tag that is called like something every object has', async (t) => {
    const { kit, kept } = phone()
    for (const hytag of ['constructor', 'toString', '__proto__']) kit.reportOpen({ query: { hytag } })
    await kit.flush()
    t.same(
      kept().map((item) => item.tag),
      ['constructor', 'toString', '__proto__']
    )
  })
})

t.test('an answer with absurd headers, or none that can be looked at, is taken for what it is', async (t) => {
  const { fake, submit, kit, server, time } = phone()
  await time.settle()
  const { network } = server
  let absurd: any = { 'X-Odd': Object.create(null), 'Retry-After': {}, Date: [] }
  server.network = async (request) => ({ ...(await network(request)), header: absurd })
  submit('a')
  await kit.flush()
  t.match(kit.status(), { queued: 0, acknowledged: { stored: 1 } })
  absurd = {}
  const { request } = fake.wx
  const unreadable: any = new Proxy({}, { get: () => ([] as any)[0].x })
  fake.wx.request = (options: any) => options.success(unreadable)
  submit('b')
  await kit.flush()
  t.equal(kit.status().queued, 1)
  fake.wx.request = request
  await time.advance(10_000)
  t.equal(kit.status().queued, 0)
})

t.test('a request that never answers is given up, and the catch kept', async (t) => {
  const { kit, submit, server, time, kept } = phone()
  await time.settle()
  const { network } = server
  server.network = () => new Promise(() => undefined)
  submit('a')
  await time.advance(5000)
  server.network = network
  await time.advance(40_000)
  t.equal(kept().length, 1)
  t.equal(kit.status().queued, 0)
})

t.test('over real HTTP', async (t) => {
  const seen: any[] = []
  const http = createServer((req, res) => {
    let body = ''
    req.on('data', (chunk) => (body += chunk))
    req.on('end', () => {
      seen.push([req.method, req.url, req.headers.authorization])
      const items = body ? (JSON.parse(body).items ?? []) : []
      res.writeHead(req.url === '/v1/capture/session' ? 200 : 202, { 'content-type': 'application/json' })
      res.end(
        JSON.stringify(
          req.url === '/v1/capture/session'
            ? { token: 'tok', expiresAt: new Date(Date.now() + HOUR).toISOString(), settings: {} }
            : { items: items.map(({ id }: any) => ({ id, verdict: 'stored' })) }
        )
      )
    })
  })
  await new Promise<void>((resolve) => http.listen(0, '127.0.0.1', resolve))
  const fake = createFakeWx({ login: () => 'code', network: overHttp() })
  const kit = library.createKit({ server: `http://127.0.0.1:${(http.address() as AddressInfo).port}`, api: fake.wx })
  kit.captureSubmit({ detail: { formId: 'a' } })
  await kit.flush()
  t.match(kit.status(), { queued: 0, acknowledged: { stored: 1 }, signedIn: true })
  t.same(seen, [
    ['POST', '/v1/capture/session', undefined],
    ['POST', '/v1/capture/credentials', 'Bearer tok']
  ])
  kit.stop()
  await new Promise((resolve) => http.close(resolve))
})

t.test('install', async (t) => {
  const run = async () => {
    const time = createVirtualEnv()
    const server = createScriptedServer(time.env.now)
    const fake = createFakeWx({ login: () => 'c', network: server.network })
    return { time, server, fake }
  }
  t.test('takes wx at call time and serves the exported functions', async (t) => {
    const { time, server, fake } = await run()
    t.teardown(() => delete (globalThis as any).wx)
    ;(globalThis as any).wx = fake.wx
    library.install({ server: 'https://hy.example', env: time.env })
    library.captureSubmit({ detail: { formId: 'a' }, currentTarget: { dataset: { place: 'page' } } })
    library.track('seen')
    library.reportOpen({ query: { hytag: 'T' } })
    await library.requestPayment(order)
    await library.requestSubscribe(['t'])
    await library.flush()
    t.equal(server.kept.size, 5)
    t.match(library.status(), { queued: 0, acknowledged: { stored: 5 } })
    t.same(library.templatesFor('x'), [])
    t.match(await library.preferences(), { optedOut: false })
  })
  t.test('without a server keeps, warns and does not throw', async (t) => {
    const { time, fake } = await run()
    const warned: string[] = []
    const { warn } = console
    console.warn = (line: string) => void warned.push(line)
    library.install({ api: fake.wx, env: time.env } as any)
    library.install(undefined as any).stop()
    console.warn = warn
    t.equal(warned.length, 2)
  })
  t.test('a second time: what comes through the kit of the first one is kept for the second', async (t) => {
    const { time, server, fake } = await run()
    const options = { server: 'https://hy.example', api: fake.wx, env: time.env }
    const first = library.install(options)
    await time.settle()
    const write = fake.wx.setStorageSync
    fake.wx.setStorageSync = () => {
      throw new Error('setStorageSync:fail exceed max size')
    }
    first.captureSubmit({ detail: { formId: 'unsaved' } })
    fake.wx.setStorageSync = write
    library.install(options)
    first.captureSubmit({ detail: { formId: 'late' } })
    first.track('late')
    t.match(library.status(), { queued: 3, caught: { form: 2, event: 1 } })
    await first.flush()
    t.equal(server.kept.size, 0, 'the first one sends no more')
    await library.flush()
    t.match(library.status(), { queued: 0, acknowledged: { stored: 3 } })
  })
  t.test('is found by a second copy of the library through the app', async (t) => {
    const { time, server, fake } = await run()
    const shelf = {}
    ;(globalThis as any).getApp = () => shelf
    t.teardown(() => delete (globalThis as any).getApp)
    library.install({ server: 'https://hy.example', api: fake.wx, env: time.env })
    const file = requireBuilt.resolve('./current.js')
    const mine = requireBuilt.cache[file]
    delete requireBuilt.cache[file]
    requireBuilt(file)
      .current()
      .captureSubmit({ detail: { formId: 'from the copy' } })
    requireBuilt.cache[file] = mine
    await library.flush()
    t.match([...server.kept.values()], [{ value: 'from the copy' }])
  })
})

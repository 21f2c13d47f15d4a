import type { LookupFunction } from 'node:net'
import t, { type Test } from 'tap'
import { readConfig } from '../../../server/config.js'
import { isAllowable } from '../../../server/webhooks/allow.js'
import { createOutside } from '../../../server/webhooks/outside.js'
import { receiver } from './receiver.js'

/** Names that lead where the test says, each time anew. */
function names(answers: Record<string, string[][]>): { lookup: LookupFunction; asked: () => number } {
  let asked = 0
  const lookup = (name: string, _options: unknown, done: (...said: unknown[]) => void) => {
    const list = answers[name]!
    const addresses = list[Math.min(asked++, list.length - 1)]!
    done(
      null,
      addresses.map((address) => ({ address, family: address.includes(':') ? 6 : 4 }))
    )
  }
  return { lookup: lookup as unknown as LookupFunction, asked: () => asked }
}

function outsideOf(t: Test, options: Parameters<typeof createOutside>[0] = {}) {
  const outside = createOutside({ timeoutMs: 2_000, ...options })
  t.teardown(() => outside.close())
  return outside
}

const INSIDE = [
  '127.0.0.1',
  '127.8.8.8',
  '0.0.0.0',
  '10.1.2.3',
  '172.16.0.1',
  '172.31.255.255',
  '192.168.1.1',
  '169.254.169.254',
  '100.64.0.1',
  '100.100.100.200',
  '192.0.0.1',
  '192.0.2.1',
  '198.18.0.1',
  '203.0.113.9',
  '224.0.0.1',
  '240.0.0.1',
  '255.255.255.255',
  '::',
  '::1',
  '::ffff:127.0.0.1',
  '::ffff:10.0.0.1',
  '::127.0.0.1',
  'fe80::1',
  'fc00::1',
  'fd12:3456::1',
  'fec0::1',
  '64:ff9b::7f00:1',
  '64:ff9b:1::1',
  '2002:7f00:1::1',
  '2001:0:7f00:1::1',
  '2001:db8::1',
  'ff02::1'
]

t.test('an address', async (t) => {
  const outside = outsideOf(t)
  const host = (address: string) => (address.includes(':') ? `[${address}]` : address)
  t.test('inside is refused in every notation', async (t) => {
    for (const address of INSIDE) t.ok(outside.fault(`https://${host(address)}/`), address)
    for (const odd of ['2130706433', '0x7f000001', '0177.0.0.1', '127.1', '0', '%31%32%37.0.0.1'])
      t.ok(outside.fault(`https://${odd}/`), odd)
  })
  t.test('that names this machine or network is refused', async (t) => {
    for (const name of ['localhost', 'LOCALHOST', 'a.localhost', 'localhost.', 'printer.local', 'db.internal', 'mongo'])
      t.ok(outside.fault(`https://${name}/`), name)
  })
  t.test('is https and holds no password', async (t) => {
    t.equal(outside.fault('http://example.com/'), 'is not https')
    t.equal(outside.fault('https://ann:secret@example.com/'), 'holds a user or password')
  })
  t.test('outside is taken', async (t) => {
    for (const url of ['https://example.com/a?b=c', 'https://8.8.8.8:8443/', 'https://[2606:4700::1111]/'])
      t.equal(outside.fault(url), null, url)
  })
})

t.test('what is allowed by name', async (t) => {
  t.test('is taken, over http too, and nothing beside it', async (t) => {
    const allow = ['127.0.0.1:9000', 'receiver', '10.1.0.0/16', 'fd00::/8']
    const outside = outsideOf(t, { allow })
    t.same(
      [
        'http://127.0.0.1:9000/',
        'http://receiver/',
        'http://receiver:81/',
        'http://10.1.2.3/',
        'https://[fd00::1]/'
      ].map(outside.fault),
      [null, null, null, null, null]
    )
    for (const url of ['http://127.0.0.1:9001/', 'http://10.2.0.1/', 'http://receiver.evil/', 'http://[fc00::1]/'])
      t.ok(outside.fault(url), url)
  })
  t.test('is a list of hosts, addresses and ranges', async (t) => {
    for (const entry of ['a', 'a.b.c', 'a:80', '10.0.0.1', '::1', '10.0.0.0/8', 'fd00::/8'])
      t.ok(isAllowable(entry), entry)
    for (const entry of ['', 'a b', 'http://a', '10.0.0.0/33', 'a/b', '*.a']) t.notOk(isAllowable(entry), entry)
  })
})

t.test('the setting is read as such a list', async (t) => {
  const read = (HONGYAN_WEBHOOK_ALLOW: string) => readConfig({ HONGYAN_WEBHOOK_ALLOW }).webhookAllow
  t.same(read('hooks.internal, 10.0.0.0/8'), ['hooks.internal', '10.0.0.0/8'])
  t.same(read(''), [])
  t.throws(() => read('http://hooks.internal'), /HONGYAN_WEBHOOK_ALLOW/)
})

t.test('a name', async (t) => {
  const there = await receiver(t)
  const port = new URL(there.url).port

  t.test('that is an address inside is refused there too', async (t) => {
    const outside = outsideOf(t)
    t.match(await outside.post(there.url, {}, '{}'), { status: null, error: '127.0.0.1 is no public address' })
    t.match(await outside.post(`http://[::1]:${port}/`, {}, '{}'), { error: '::1 is no public address' })
  })

  t.test('that leads inside is refused at the moment of connecting', async (t) => {
    for (const address of INSIDE) {
      const outside = outsideOf(t, names({ 'evil.example': [[address]] }))
      const { status, error } = await outside.post(`https://evil.example:${port}/`, {}, '{}')
      t.same([status, /is no public address$/.test(error ?? '')], [null, true], `${address}: ${error}`)
    }
    t.equal(there.received.length, 0)
  })
  t.test('with one address inside among others is refused', async (t) => {
    const outside = outsideOf(t, names({ 'evil.example': [['93.184.216.34', '127.0.0.1']] }))
    t.match(await outside.post(`https://evil.example:${port}/`, {}, '{}'), {
      status: null,
      error: '127.0.0.1 is no public address'
    })
  })
  t.test('is looked up once for each connection, and that address is connected to', async (t) => {
    // public when it is asked first, inside when it is asked again: what rebinding does
    const told = names({ 'evil.example': [['127.0.0.1'], ['127.0.0.2']] })
    const outside = outsideOf(t, { ...told, allow: ['127.0.0.1'] })
    t.match(await outside.post(`http://evil.example:${port}/`, {}, '{}'), { status: 200 })
    t.equal(told.asked(), 1)
    t.equal(there.received.length, 1)
  })
})

t.test('an answer', async (t) => {
  const there = await receiver(t)
  const outside = outsideOf(t, { allow: ['127.0.0.1'], timeoutMs: 300 })
  const post = (read = false) => outside.post(there.url, {}, '{}', { read })

  t.test('that redirects is not followed', async (t) => {
    there.answers(() => ({ status: 302, headers: { location: there.url } }))
    t.match(await post(), { status: 302 })
    t.equal(there.received.length, 1)
  })
  t.test('that does not come is waited for no longer than that', async (t) => {
    there.answers(() => new Promise<number>(() => {}))
    t.match(await post(), { status: null, error: 'no answer in time' })
  })
  t.test('that is hung up on is none', async (t) => {
    there.answers(() => null)
    t.match(await post(), { status: null, error: 'UND_ERR_SOCKET' })
  })
  t.test('is read no further than needed', async (t) => {
    const endless = 'x'.repeat(1024 * 1024)
    there.answers(() => ({ status: 200, body: endless }))
    t.match(await post(), { status: 200, text: '' }, 'its body does not matter')
    t.match(await post(true), { status: null }, 'too long to be a robot')
    there.answers(() => ({ status: 429, headers: { 'retry-after': '999999' } }))
    t.match(await post(), { status: 429, retryAfterMs: 3_600_000 }, 'an hour at most')
  })
})

import type { LookupFunction } from 'node:net'
import t from 'tap'
import { createOutside } from '../../server/webhooks/outside.js'
import { buildTestApp } from '../support/build-app.js'
import { receiver } from '../server/webhooks/receiver.js'

/** Addresses somebody else chose must not lead this server into its own network. */

/** What is inside, in the spellings there are; the one address tests may reach is not among them. */
const HOSTS = [
  ...['127.0.0.2', '127.255.255.254', '0.0.0.0', '0', '2130706434', '0x7f000002', '0177.0.0.2', '0x7f.0.0.2'],
  ...['10.0.0.1', '10.255.255.255', '172.16.0.1', '172.31.255.255', '192.168.0.1', '192.168.255.255', '100.64.0.1'],
  ...['169.254.169.254', '169.254.170.2', '2852039166', '0xa9fea9fe', '0251.0376.0251.0376', '100.100.100.200'],
  ...[
    '192.0.0.192',
    '192.0.2.1',
    '198.18.0.1',
    '198.51.100.1',
    '203.0.113.1',
    '224.0.0.1',
    '239.255.255.255',
    '240.0.0.1',
    '255.255.255.255'
  ],
  ...[
    '[::]',
    '[::1]',
    '[0:0:0:0:0:0:0:1]',
    '[::ffff:10.0.0.1]',
    '[::ffff:7f00:2]',
    '[::ffff:169.254.169.254]',
    '[::ffff:a9fe:a9fe]',
    '[::7f00:2]'
  ],
  ...[
    '[fe80::1]',
    '[fc00::1]',
    '[fd00:ec2::254]',
    '[fec0::1]',
    '[ff02::1]',
    '[64:ff9b::7f00:2]',
    '[64:ff9b::a9fe:a9fe]',
    '[64:ff9b:1::1]'
  ],
  ...['[2002:7f00:2::]', '[2002:a9fe:a9fe::]', '[2001::1]', '[2001:db8::1]', '[100::1]', '[3fff::1]'],
  ...[
    'localhost',
    'LOCALHOST',
    'localhost.',
    'a.localhost',
    'metadata.google.internal',
    'kubernetes.default.svc.cluster.local'
  ],
  ...[
    'mongo',
    'redis',
    'printer.local',
    'nas.lan',
    'x.internal',
    'x.home.arpa',
    'x.intranet',
    '１２７.0.0.2',
    '127。0。0。2',
    'ⓛocalhost'
  ]
]
const ODD_URLS = [
  'http://example.com/',
  'https://user:pass@example.com/',
  'https://user@example.com/',
  'ftp://example.com/',
  'file:///etc/passwd',
  'gopher://127.0.0.2:6379/_INFO',
  'data:text/plain,x',
  'javascript:alert(1)',
  'unix:/var/run/docker.sock',
  '//127.0.0.2/',
  'https://',
  'https://[::1',
  'https://127.0.0.2@10.0.0.1/',
  'https:\\\\10.0.0.1\\x'
]

t.test('no address inside is taken', async (t) => {
  const { app, login, account } = await buildTestApp(t)
  const owner = await login()
  const { id } = await account({ mode: 'live' })
  const hook = await app.inject({
    method: 'POST',
    url: '/v1/webhooks',
    headers: owner,
    payload: { url: 'https://hooks.example.com/', events: ['alert.fired'] }
  })
  t.equal(hook.statusCode, 201)
  const doors = [
    ['POST', '/v1/webhooks', (url: string) => ({ url, events: ['alert.fired'] })],
    ['PATCH', `/v1/webhooks/${hook.json().id}`, (url: string) => ({ url })],
    ['PATCH', '/v1/settings', (url: string) => ({ alerts: { targets: [{ name: '群', url }] } })],
    ['PATCH', `/v1/accounts/${id}`, (apiBase: string) => ({ apiBase, secret: 'a secret of the app' })],
    ['PATCH', `/v1/accounts/${id}`, (relayTo: string) => ({ callback: { relayTo } })]
  ] as const
  let asked = 0
  const urls = [
    ...HOSTS.flatMap((host) => [`https://${host}/`, `http://${host}:8080/`, `https://${host}:6379/x?y`]),
    ...ODD_URLS
  ]
  for (const url of urls) {
    for (const [method, path, body] of doors) {
      asked++
      const { statusCode } = await app.inject({ method, url: path, headers: owner, payload: body(url) })
      if (statusCode !== 422) t.equal(statusCode, 422, `${method} ${path}: ${url}`)
    }
  }
  t.comment(`${asked} requests with ${urls.length} addresses at ${doors.length} doors`)
  t.equal((await app.inject({ url: '/v1/webhooks', headers: owner })).json().data.length, 1)
})

t.test('and none is connected to, whatever its name was when it was taken', async (t) => {
  const there = await receiver(t)
  const port = new URL(there.url).port
  let tried = 0
  /** Answers that change with every question. */
  const outside = (...answers: string[][]) => {
    let asked = 0
    const lookup = ((_name: string, _options: unknown, done: (...said: unknown[]) => void) => {
      const addresses = answers[Math.min(asked++, answers.length - 1)]!
      done(
        null,
        addresses.map((address) => ({ address, family: address.includes(':') ? 6 : 4 }))
      )
    }) as unknown as LookupFunction
    const made = createOutside({ lookup, timeoutMs: 500 })
    t.teardown(() => made.close())
    return made
  }
  for (const address of ['127.0.0.1', '::1', '::ffff:127.0.0.1', '10.0.0.1', '169.254.169.254', 'fd00::1', '0.0.0.0']) {
    for (const answers of [[[address]], [['93.184.216.34', address]], [[address, '93.184.216.34']]]) {
      tried++
      const { status, error } = await outside(...answers).post(`http://rebind.example:${port}/`, {}, '{}')
      t.same([status, /no public address/.test(error ?? '')], [null, true], `${JSON.stringify(answers)}: ${error}`)
    }
  }
  t.equal(there.received.length, 0, 'nobody knocked')
  t.comment(`${tried} names that lead inside`)
})

t.test('an answer that sends elsewhere is not followed, to wherever', async (t) => {
  const there = await receiver(t)
  const inner = await receiver(t)
  const outside = createOutside({ allow: [new URL(there.url).host], timeoutMs: 500 })
  t.teardown(() => outside.close())
  for (const status of [301, 302, 303, 307, 308]) {
    there.answers(() => ({ status, headers: { location: inner.url } }))
    t.match(await outside.post(there.url, {}, '{}'), { status })
  }
  t.equal(inner.received.length, 0)
})

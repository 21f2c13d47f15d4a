import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { pathToFileURL } from 'node:url'
import t from 'tap'
import { readArguments } from '../../../server/sandbox/main.js'
import { pageFile } from '../../../server/sandbox/phone/files.js'
import { noticeOf, partsOf } from '../../../server/sandbox/phone/notices.js'
import { createSandbox } from '../../../server/sandbox/sandbox.js'

const SHOP = 'wx5b1a2c3d4e5f6001'
const CLINIC = 'wx5b1a2c3d4e5f6002'
const BRAND = 'wx5b1a2c3d4e5f6003'
const SHIPPED = 'SandboxLegacyShipped_'.padEnd(43, '0')

async function start(options: Parameters<typeof createSandbox>[0] = {}) {
  const sandbox = await createSandbox({ latency: { minMs: 0, maxMs: 0 }, seed: 5, ...options })
  t.teardown(() => sandbox.close())
  const ask = async (method: string, path: string, body?: unknown) => {
    const answer = await fetch(sandbox.url + path, {
      method,
      ...(body === undefined ? {} : { body: JSON.stringify(body) })
    })
    return { status: answer.status, body: (await answer.json()) as any }
  }
  return { sandbox, ask }
}

t.test('a template is read part by part', async (t) => {
  t.same(partsOf('物流公司{{keyword1.DATA}}\n快递单号：{{keyword2.DATA}}\n'), [
    { label: '物流公司', key: 'keyword1' },
    { label: '快递单号', key: 'keyword2' }
  ])
  t.same(partsOf('{{first.DATA}}\n订单:{{OrderSn.DATA}}\n谢谢惠顾'), [
    { label: '', key: 'first' },
    { label: '订单', key: 'OrderSn' }
  ])
})

t.test('a message is shown with the parts its template names, and leads where it was sent to', async (t) => {
  const { sandbox } = await start()
  const app = sandbox.world.apps.get(SHOP)!
  const row = { seq: 3, at: 1000, appid: SHOP, channel: 'legacy', openid: 'o', templateId: SHIPPED } as const
  const data = {
    keyword2: { value: '飞雁' },
    keyword1: { value: 'D1' },
    keyword3: { value: '' },
    other: { value: 'x' }
  }
  t.same(noticeOf({ ...row, data, page: 'pages/order?id=1' }, app), {
    seq: 3,
    at: 1000,
    channel: 'legacy',
    from: { appid: SHOP, name: '晨读书店', kind: 'miniprogram' },
    title: '订单发货提醒',
    fields: [
      { label: '订单编号', value: 'D1' },
      { label: '物流公司', value: '飞雁' }
    ],
    opens: { appid: SHOP, page: 'pages/order?id=1' }
  })
  t.match(
    noticeOf({ ...row, templateId: 'gone', data: { content: { value: '你好' } } }, app),
    { title: '服务通知', fields: [{ label: '', value: '你好' }], opens: null },
    'a template that is gone'
  )
  const leads = (where: object) => noticeOf({ ...row, data: {}, ...where }, app).opens
  t.same(leads({ miniprogram: { appid: CLINIC, pagepath: 'pages/a' } }), { appid: CLINIC, page: 'pages/a' })
  t.same(leads({ url: 'https://shop.example' }), { url: 'https://shop.example' })
  t.same(leads({ page: 'https://shop.example/2' }), { url: 'https://shop.example/2' })
})

t.test('a phone belongs to one person and shows what all apps sent them', async (t) => {
  const { sandbox, ask } = await start()
  t.match((await ask('GET', '/sandbox/phone')).body, { app: { appid: SHOP }, person: null, people: { total: 0 } })
  const made = (await ask('POST', '/sandbox/users', { appids: [SHOP, BRAND], followers: [BRAND], count: 2 })).body
  const [first, second] = made.map(({ openids }: any) => openids)
  t.match((await ask('GET', `/sandbox/phone?appid=${SHOP}&user=1`)).body, {
    app: { appid: SHOP, name: '晨读书店' },
    person: { index: 1, openid: second[SHOP] },
    apps: [
      { appid: SHOP, openid: second[SHOP] },
      { appid: CLINIC, openid: null }
    ],
    people: { total: 2 },
    templates: [{ title: '取货提醒', type: 2, disabled: false }]
  })
  t.match((await ask('GET', '/sandbox/phone')).body.person, { index: 0, openid: first[SHOP] })
  t.equal((await ask('GET', `/sandbox/phone?appid=${SHOP}&user=2`)).status, 404)
  t.equal((await ask('GET', `/sandbox/phone?appid=${BRAND}`)).status, 409, 'a service account has no phone')

  const token = (await (
    await fetch(
      `${sandbox.url}/cgi-bin/token?grant_type=client_credential&appid=${SHOP}&secret=6001a1b2c3d4e5f60718293a4b5c6d7e`
    )
  ).json()) as any
  const send = (openid: string, word: string) =>
    fetch(`${sandbox.url}/cgi-bin/message/wxopen/template/send?access_token=${token.access_token}`, {
      method: 'POST',
      body: JSON.stringify({
        touser: openid,
        template_id: SHIPPED,
        form_id: sandbox.controls.mintFormIds({ appid: SHOP, openid }).formIds[0],
        data: Object.fromEntries([1, 2, 3, 4].map((n) => [`keyword${n}`, { value: word }]))
      })
    })
  await send(first[SHOP], 'one')
  await send(second[SHOP], 'two')
  await send(first[SHOP], 'three')
  const notices = async (query: string) => (await ask('GET', `/sandbox/phone/notices?${query}`)).body.notices
  const words = (list: any[]) => list.map(({ fields }) => fields[0].value)
  // asked for by the openid in the other account: it is the same person
  t.same(words(await notices(`appid=${BRAND}&openid=${first[BRAND]}`)), ['one', 'three'])
  t.same(words(await notices(`appid=${SHOP}&openid=${first[SHOP]}&after=1`)), ['three'])
  t.equal((await ask('GET', `/sandbox/phone/notices?appid=${SHOP}&openid=nobody`)).status, 404)
})

t.test('the shop that the sandbox plays places orders, which the payment sheet can show', async (t) => {
  const { ask } = await start()
  const openid = (await ask('POST', '/sandbox/users', { appids: [SHOP] })).body[0].openids[SHOP]
  const place = (body: object) => ask('POST', `/sandbox/phone/checkout?appid=${SHOP}&openid=${openid}`, body)
  const { body: payment } = await place({ orderId: 'D1', amount: 1990, description: '信笺' })
  t.match(payment, { timeStamp: /^\d+$/, nonceStr: /./, package: /^prepay_id=wx/, signType: 'MD5', paySign: /./ })
  const prepayId = payment.package.slice('prepay_id='.length)
  const order = () => ask('GET', `/sandbox/orders?prepayId=${prepayId}`)
  t.same((await order()).body, {
    prepayId,
    appid: SHOP,
    openid,
    orderId: 'D1',
    paid: false,
    amount: 1990,
    description: '信笺'
  })
  await ask('POST', '/sandbox/orders/pay', { prepayId })
  t.equal((await order()).body.paid, true)
  t.equal((await ask('GET', '/sandbox/orders?prepayId=wx1')).status, 404)
  t.equal((await place({ amount: -1 })).status, 422)
  t.equal((await ask('POST', '/sandbox/phone/checkout', {})).status, 422, 'whose order?')
})

t.test('a phone calls only servers on the list, and gets what they say', async (t) => {
  const seen: any[] = []
  const server = createServer((request, response) => {
    let body = ''
    request.on('data', (part) => (body += part))
    request.on('end', () => {
      seen.push({ method: request.method, url: request.url, headers: request.headers, body })
      if (request.url === '/away') response.writeHead(302, { location: '/elsewhere' })
      else if (request.url === '/late') return
      else if (request.url === '/long') return response.end(Buffer.alloc(11 * 2 ** 20))
      else response.writeHead(201, { 'x-mark': 'yes' })
      response.end('{"ok":true}')
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.teardown(() => {
    server.closeAllConnections()
    server.close()
  })
  const there = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  const { sandbox, ask } = await start({ requestDomains: ['http://127.0.0.1:1/path'] })
  const request = async (url: string, more: object = {}) =>
    (await ask('POST', '/sandbox/phone/request', { appid: SHOP, url, ...more })).body

  t.same((await ask('GET', '/sandbox/request-domains')).body, { domains: ['http://127.0.0.1:1'] })
  t.same(await request(`${there}/a`), { errMsg: 'request:fail url not in domain list', errno: 600002 })
  t.same(seen, [])
  t.same((await ask('POST', '/sandbox/request-domains', { domains: [`${there}/v1`] })).body, { domains: [there] })
  t.equal((await ask('POST', '/sandbox/request-domains', { domains: ['ftp://a.example'] })).status, 422)

  const header = { Authorization: 'Bearer t', Referer: 'https://evil.example', 'content-type': 'application/json' }
  t.match(await request(`${there}/a?b=1`, { method: 'POST', data: '{"c":2}', header }), {
    errMsg: 'request:ok',
    statusCode: 201,
    data: '{"ok":true}',
    header: { 'x-mark': 'yes' }
  })
  t.match(seen[0], {
    method: 'POST',
    url: '/a?b=1',
    body: '{"c":2}',
    headers: {
      authorization: 'Bearer t',
      'content-type': 'application/json',
      referer: `https://servicewechat.com/${SHOP}/0/page-frame.html`
    }
  })
  t.match(await request(`${there}/away`), { statusCode: 302 }, 'a redirect is not followed off the list')
  t.equal(seen.length, 2)
  t.same(await request(`${there}/late`, { timeout: 30 }), { errMsg: 'request:fail timeout', errno: 5 })
  t.same(await request(`${there}/late`, { timeout: 0.4 }), { errMsg: 'request:fail timeout', errno: 5 })
  t.match(await request(`${there}/long`), { errMsg: 'request:fail exceed max size' })
  t.same(await request('nonsense'), { errMsg: 'request:fail invalid url', errno: 600009 })
  t.match(await request(`${sandbox.url}/sandbox/clock`), { statusCode: 200 }, 'the sandbox itself is on it')

  await ask('POST', '/sandbox/request-domains', { domains: ['http://127.0.0.1:1'] })
  t.match(await request('http://127.0.0.1:1/'), { errMsg: /^request:fail /, errno: 600001 })
  await ask('POST', '/sandbox/request-domains', { domains: [there] })
  await ask('POST', '/sandbox/reset', { keepApps: true })
  t.same(sandbox.controls.requestDomains(), { domains: [there] }, 'a setting stays with the apps')
  await ask('POST', '/sandbox/reset', {})
  t.same(sandbox.controls.requestDomains(), { domains: ['http://127.0.0.1:1'] })
})

t.test('the page is served from its build; without one the address says what to run', async (t) => {
  const dir = mkdtempSync(path.join(tmpdir(), 'hongyan-page-'))
  t.teardown(() => rmSync(dir, { recursive: true, force: true }))
  const places = [pathToFileURL(`${dir}/none/`), pathToFileURL(`${dir}/`)]
  const missing = await pageFile('/phone', places)
  t.match(missing, { status: 503, type: /^text\/html/, body: /npm run build/ })
  writeFileSync(path.join(dir, 'index.html'), '<p>phone')
  writeFileSync(path.join(dir, 'phone.js'), '1')
  writeFileSync(path.join(dir, 'secret.txt'), 'no')
  t.match(await pageFile('/phone', places), { status: 200, body: Buffer.from('<p>phone') })
  t.match(await pageFile('/phone/phone.js', places), { status: 200, type: /^text\/javascript/ })
  for (const other of ['/phone/secret.txt', '/phone/../package.json', '/phone/%2e%2e/x', '/phone/constructor']) {
    t.match(await pageFile(other, places), { status: 404 }, other)
  }

  const { sandbox } = await start()
  const answer = await fetch(`${sandbox.url}/phone?appid=${SHOP}`)
  t.match(answer.headers.get('content-security-policy'), /default-src 'none'; script-src 'self'/)
  t.equal((await fetch(`${sandbox.url}/phone/other.js`)).status, 404)
  t.match(await (await fetch(`${sandbox.url}/`)).text(), /href="\/phone"/)
})

t.test('the command names request domains, and its document the calls of the phone', async (t) => {
  t.match(readArguments(['--request-domain', 'http://127.0.0.1:8080', '--request-domain', 'https://a.example']), {
    requestDomains: ['http://127.0.0.1:8080', 'https://a.example']
  })
  t.throws(() => readArguments(['--request-domain', 'a.example']), /--request-domain a\.example is no address/)
  const { ask } = await start()
  const { paths } = (await ask('GET', '/sandbox/openapi.json')).body
  t.match(paths['/sandbox/phone/checkout'].post, {
    parameters: [{ name: 'appid', in: 'query', required: true }, { name: 'openid' }],
    requestBody: { content: { 'application/json': { schema: { type: 'object' } } } }
  })
  for (const call of [
    '/sandbox/phone',
    '/sandbox/phone/notices',
    '/sandbox/phone/request',
    '/sandbox/request-domains'
  ]) {
    t.ok(paths[call], call)
  }
})

import { createDecipheriv, createHash } from 'node:crypto'
import { once } from 'node:events'
import { spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import t, { type Test } from 'tap'
import { Pool, request } from 'undici'
import { createChance } from '../../../server/sandbox/chance.js'
import { readArguments, runSandbox } from '../../../server/sandbox/main.js'
import { encryptPush, signatureOf } from '../../../server/sandbox/push-crypto.js'
import { createSandbox, type SandboxOptions } from '../../../server/sandbox/sandbox.js'
import { queryOf } from '../../../server/sandbox/query.js'
import { judgeData, judgeValue } from '../../../server/sandbox/values.js'
import { listen, startSandbox } from './both-ends.js'

const MINI = 'wx5b1a2c3d4e5f6001'
const SERVICE = 'wx5b1a2c3d4e5f6003'
const SECRET = '6001a1b2c3d4e5f60718293a4b5c6d7e'
const SERVICE_SECRET = '6003a1b2c3d4e5f60718293a4b5c6d7e'
const LEGACY_TEMPLATE = 'SandboxLegacyShipped_'.padEnd(43, '0')
const GRANT_TEMPLATE = 'SandboxSubscribePickup_'.padEnd(43, '0')
const SERVICE_TEMPLATE = 'SandboxServiceShipped_'.padEnd(43, '0')
const LEGACY = '/cgi-bin/message/wxopen/template/send'
const SUBSCRIBE = '/cgi-bin/message/subscribe/send'
const SEND = '/cgi-bin/message/template/send'

/** A sandbox at 0 ms with one person in the default mini-program and, following, in the default service account. */
async function start(t: Test, options: SandboxOptions = {}) {
  const sandbox = await startSandbox(t, { seed: 3, ...options })
  const { controls, call, json } = sandbox
  const token = async (appid = MINI, secret = SECRET) =>
    (await json('POST', '/cgi-bin/stable_token', { grant_type: 'client_credential', appid, secret }))
      .access_token as string
  const [made] = controls.addUsers({ appids: [MINI, SERVICE], followers: [SERVICE] })
  const openid = made!.openids[MINI]!
  const follower = made!.openids[SERVICE]!
  const miniToken = await token()
  const serviceToken = await token(SERVICE, SERVICE_SECRET)
  const legacyBody = () => ({
    touser: openid,
    template_id: LEGACY_TEMPLATE,
    form_id: controls.mintFormIds({ appid: MINI, openid }).formIds[0],
    data: { keyword1: { value: 'D1' } }
  })
  let sends = 0
  const serviceBody = (more: object = {}) => ({
    touser: follower,
    template_id: SERVICE_TEMPLATE,
    data: { character_string1: { value: `D${++sends}` }, thing2: { value: '蓝色水杯' }, time3: { value: '09:30' } },
    ...more
  })
  const subscribeBody = () => ({
    touser: openid,
    template_id: GRANT_TEMPLATE,
    data: { thing1: { value: '东门柜机' }, character_string2: { value: '8-1-2' }, time3: { value: '21:20' } }
  })
  return {
    ...sandbox,
    openid,
    follower,
    legacyBody,
    legacySend: (body: unknown = legacyBody()) => call('POST', `${LEGACY}?access_token=${miniToken}`, body),
    subscribeSend: () => call('POST', `${SUBSCRIBE}?access_token=${miniToken}`, subscribeBody()),
    serviceSend: (more: object = {}) => call('POST', `${SEND}?access_token=${serviceToken}`, serviceBody(more)),
    miniToken,
    serviceToken
  }
}

/** A developer's server that keeps what is pushed to it and answers as told. */
async function receiver(t: Test, answer: (nth: number) => { status?: number; body?: string } | 'never' = () => ({})) {
  const got: { query: URLSearchParams; body: string }[] = []
  const waiting: { count: number; done: () => void }[] = []
  const base = await listen(t, (url, body, response) => {
    got.push({ query: url.searchParams, body })
    const verdict = answer(got.length)
    if (verdict !== 'never') {
      response.statusCode = verdict.status ?? 200
      response.end(verdict.body ?? 'success')
    }
    for (const one of waiting) if (got.length >= one.count) one.done()
  })
  return {
    url: `${base}/callback?own=1`,
    got,
    until: (count: number) =>
      new Promise<void>((done) => (got.length >= count ? done() : waiting.push({ count, done })))
  }
}
const AT_ONCE = { minDelayMs: 0, maxDelayMs: 0, retryDelayMs: 0 }
const sha1 = (...parts: string[]) => createHash('sha1').update(parts.sort().join('')).digest('hex')
const callbackApp = (url: string, more: object = {}) => ({
  appid: SERVICE,
  secret: SERVICE_SECRET,
  kind: 'service' as const,
  userName: 'gh_5b1a2c3d6003',
  callback: { url, token: 'kit_token', ...more }
})

/** Asks again until it holds; the sandbox settles a push one turn after the receiver answered. */
async function eventually(holds: () => boolean) {
  for (let turn = 0; turn < 2_000 && !holds(); turn++) await new Promise((next) => setImmediate(next))
  return holds()
}

t.test('values', async (t) => {
  const good: Record<string, string[]> = {
    thing: ['东门柜机', '一'.repeat(20), '🎈'.repeat(20)],
    number: ['39', '39.5', '1'.repeat(32)],
    letter: ['ABC', 'a'.repeat(32)],
    symbol: ['##', '!@#$%'],
    character_string: ['A-2019-0042', '8-1-2'],
    time: [
      '20:45',
      '20:45:01',
      '2021年3月9日 20:45',
      '2021-03-09 20:45',
      '09:00~10:00',
      '2021年3月9日 20:45~2021年3月10日 09:00'
    ],
    date: [
      '2021-03-09',
      '2021年3月9日',
      '2021/3/9',
      '2021.3.9',
      '2021年3月9日 20:45',
      '2021年3月',
      '3月9日',
      '2021-03-09~2021-03-11'
    ],
    amount: ['¥39.80', '39.8元', '$5', '1234567890'],
    phone_number: ['+86-0571-81234567', '13800000000'],
    car_number: ['浙A1B2C3', '粤B12345挂', 'A1'],
    name: ['李小云', 'Ann Lee', '一二三四五六七八九十'],
    phrase: ['已发货', '一二三四五'],
    short_thing: ['anything goes']
  }
  const bad: Record<string, string[]> = {
    thing: ['一'.repeat(21), 'a\nb'],
    number: ['39a', '1'.repeat(33), '1.2.3'],
    letter: ['A1', 'a'.repeat(33)],
    symbol: ['######', 'a#', '# #'],
    character_string: ['八', '1'.repeat(33)],
    time: ['25:00', '明天', '20:60', '2021年3月9日'],
    date: ['9th of March', '20210309'],
    amount: ['¥12345678901', '三十元', '¥¥3'],
    phone_number: ['1'.repeat(18), 'call me'],
    car_number: ['浙A1B2C3D45', '浙A-1'],
    name: ['一二三四五六七八九十一', 'a'.repeat(21)],
    phrase: ['shipped', '已 发货', '一二三四五六']
  }
  for (const [type, values] of Object.entries(good))
    for (const value of values)
      t.equal(judgeValue(`${type}1`, { value }), null, `${type} takes ${JSON.stringify(value)}`)
  for (const [type, values] of Object.entries(bad))
    for (const value of values)
      t.equal(judgeValue(`${type}1`, { value }), 'invalid', `${type} refuses ${JSON.stringify(value)}`)
  t.equal(judgeValue('number1', { value: 39 }), null, 'a JSON number is read as its text')
  t.equal(judgeValue('thing1', { value: '' }), 'is empty')
  t.equal(judgeValue('thing1', undefined), 'is empty')
  t.equal(judgeData(['character_string1'], { character_string1: { value: '八' } })!.length, 48)
})

t.test('a query', async (t) => {
  t.equal(queryOf('').get('access_token'), null)
  t.equal(queryOf('access_token=71_ab-c').get('access_token'), '71_ab-c')
  t.equal(queryOf('access_token=71_ab').get('openid'), null)
  t.equal(queryOf('access_token=a%2Bb').get('access_token'), 'a+b')
  t.equal(queryOf('openid=o1&access_token=71_ab').get('access_token'), '71_ab')
  t.equal(queryOf('access_token=71_ab&openid=o1').get('openid'), 'o1')
})

t.test('a push is signed and sealed', async (t) => {
  t.equal(signatureOf('simtoken', '1560000000', '8642'), 'f78b847af0147ffca518e4b728be327a0f1d5f7e')
  t.equal(signatureOf('kit_demo_token', '1700000000', '20240101'), '234568c7ce20e890ffbf8a0758226daef98b67f3')
  const key = 'kitDemoEncodingAESKey0123456789abcdefghijkA'
  const sealed = encryptPush(key, 'wxdemo0000000001', 'success', 'fedcba9876543210')
  t.equal(sealed, 'OA2CSJ+XwYjX3ExK+dRaDkdsdydnqMt6Kv0leDKeUgd4U8f6OUq1edavGj8fLfPEYk6ksf9HSCuXSF/F5Y92sg==')
  t.equal(signatureOf('kit_demo_token', '1700000000', '20240101', sealed), 'e91e92da271405af768e1f154335f74393d42c3f')
})

t.test('a sandbox', async (t) => {
  t.test('gives the same ids for the same seed and others for another', async (t) => {
    const ids = async (seed: number) => (await start(t, { seed })).openid
    t.equal(await ids(5), await ids(5))
    t.not(await ids(5), await ids(6))
    t.same(createChance(1).hex(8), createChance(1).hex(8))
  })
  t.test('says that a port is taken', async (t) => {
    const { port } = await start(t)
    await t.rejects(createSandbox({ port }), { code: 'EADDRINUSE' })
  })
  t.test('answers after its latency and releases everything on close', async (t) => {
    const { controls, legacySend, close } = await start(t)
    controls.setLatency({ minMs: 60_000, maxMs: 60_000 })
    const pending = t.rejects(legacySend())
    t.ok(await eventually(() => controls.summary().accepted === 1), 'processed on arrival')
    await close()
    await pending
  })
  t.test('takes thousands of sends and counts each', async (t) => {
    const { url, controls, openid, miniToken } = await start(t)
    const { formIds } = controls.mintFormIds({ appid: MINI, openid, count: 2_000 })
    const pool = new Pool(url, { connections: 16 })
    let refused = 0
    const queue = [...formIds]
    await Promise.all(
      Array.from({ length: 16 }, async () => {
        for (let form_id = queue.pop(); form_id !== undefined; form_id = queue.pop()) {
          const body = JSON.stringify({ touser: openid, template_id: LEGACY_TEMPLATE, form_id, data: {} })
          const answer = await pool.request({ method: 'POST', path: `${LEGACY}?access_token=${miniToken}`, body })
          if (((await answer.body.json()) as { errcode: number }).errcode !== 0) refused++
        }
      })
    )
    await pool.close()
    const { accepted, byApp, byChannel, calls, worstSecond } = controls.summary()
    t.match(
      { refused, accepted, byApp, byChannel },
      { refused: 0, accepted: 2_000, byApp: { [MINI]: 2_000 }, byChannel: { legacy: 2_000 } }
    )
    t.equal(calls[LEGACY], 2_000)
    t.match(worstSecond, { appid: MINI, path: LEGACY, count: Number })
    t.equal(
      controls.histogram().reduce((sum, second) => sum + second.accepted, 0),
      2_000
    )
    t.ok(Object.values(controls.ledger().uses).every((uses) => uses === 1))
  })
})

t.test('a fault rule', async (t) => {
  const sandbox = await start(t)
  const { controls, legacySend, legacyBody, call, openid } = sandbox
  const accepted = () => controls.summary().accepted
  t.afterEach(() => void controls.removeRules())

  t.test('answers an errcode without processing', async (t) => {
    controls.addRule({ path: LEGACY, action: { errcode: -1 } })
    const before = accepted()
    t.match(JSON.parse((await legacySend()).text), { errcode: -1, errmsg: /^system error rid: / })
    t.equal(accepted(), before)
  })
  t.test('strikes the nth call only', async (t) => {
    controls.addRule({ path: LEGACY, nth: 2, action: { errcode: 45009, errmsg: 'enough' } })
    const codes = []
    for (let i = 0; i < 4; i++) codes.push(JSON.parse((await legacySend()).text).errcode)
    t.same(codes, [0, 45009, 0, 0])
    t.match(controls.rules()[0], { seen: 4, fired: 1 })
  })
  t.test('strikes so many times, or every so many calls', async (t) => {
    controls.addRule({ path: '/cgi-bin/message/*', times: 1, action: { errcode: -1 } })
    controls.addRule({ path: LEGACY, every: 2, action: { errcode: 45011 } })
    const codes = []
    for (let i = 0; i < 4; i++) codes.push(JSON.parse((await legacySend()).text).errcode)
    t.same(codes, [-1, 45011, 0, 45011])
  })
  t.test('strikes one person or one app only', async (t) => {
    controls.addRule({ openid: 'oSomebodyElse', action: { errcode: -1 } })
    controls.addRule({ appid: SERVICE, action: { errcode: -1 } })
    t.equal(JSON.parse((await legacySend()).text).errcode, 0)
    controls.addRule({ openid, action: { errcode: 43117 } })
    t.equal(JSON.parse((await legacySend()).text).errcode, 43117)
  })
  t.test('strikes by chance, the same for the same seed', async (t) => {
    const run = async () => {
      const { controls, legacySend } = await start(t, { seed: 9 })
      controls.addRule({ path: LEGACY, probability: 0.5, action: { errcode: -1 } })
      const codes = []
      for (let i = 0; i < 20; i++) codes.push(JSON.parse((await legacySend()).text).errcode)
      return codes
    }
    const codes = await run()
    t.same(codes, await run())
    t.ok(codes.includes(0) && codes.includes(-1))
  })
  t.test('resets before processing', async (t) => {
    controls.addRule({ path: LEGACY, action: { reset: 'before' } })
    const [before, body] = [accepted(), legacyBody()]
    await t.rejects(legacySend(body))
    t.equal(accepted(), before)
    controls.removeRules()
    t.equal(JSON.parse((await legacySend(body)).text).errcode, 0)
  })
  t.test('resets after processing: the ledger has it, the caller does not', async (t) => {
    controls.addRule({ path: LEGACY, action: { reset: 'after' } })
    const [before, body] = [accepted(), legacyBody()]
    await t.rejects(legacySend(body))
    t.equal(accepted(), before + 1)
    controls.removeRules()
    t.equal(JSON.parse((await legacySend(body)).text).errcode, 41029)
  })
  t.test('hangs', async (t) => {
    controls.addRule({ path: LEGACY, action: { hang: true } })
    const [before, body] = [accepted(), legacyBody()]
    const never = call('POST', `${LEGACY}?access_token=${sandbox.miniToken}`, body, { headersTimeout: 300 })
    await t.rejects(never, { code: 'UND_ERR_HEADERS_TIMEOUT' })
    t.equal(accepted(), before)
  })
  t.test('gives other bodies than JSON', async (t) => {
    const cases = [
      [{ http: 500 }, 500, /^<html>/],
      [{ http: 302 }, 302, /^$/],
      [{ html: true }, 200, /^<html>/],
      [{ empty: true }, 200, /^$/],
      [{ truncate: true }, 200, /^\{"errcode":0,[^}]*$/],
      [{ huge: 2_000_000 }, 200, /^\{"errcode":0,"errmsg":"x{2000000}"\}$/],
      [{ drip: 1 }, 200, /^\{"errcode":0,"errmsg":"ok"\}$/]
    ] as const
    for (const [action, status, text] of cases) {
      const { id } = controls.addRule({ path: LEGACY, action })
      const answer = await legacySend()
      t.equal(answer.status, status, JSON.stringify(action))
      t.ok(text.test(answer.text), answer.text.slice(0, 100))
      controls.removeRules(id)
    }
  })
  t.test('slows an answer it does not change', async (t) => {
    controls.addRule({ path: LEGACY, action: { delayMs: 1 } })
    t.equal(JSON.parse((await legacySend()).text).errcode, 0)
  })
  t.test('strikes token calls too', async (t) => {
    controls.addRule({ path: '/cgi-bin/token', appid: MINI, action: { errcode: 40164 } })
    const answer = await call('GET', `/cgi-bin/token?grant_type=client_credential&appid=${MINI}&secret=${SECRET}`)
    t.equal(JSON.parse(answer.text).errcode, 40164)
  })
})

t.test('a push', async (t) => {
  t.test('tells the end of a service send, signed, with its msgid', async (t) => {
    const { controls, serviceSend, follower } = await start(t)
    const { url, got, until } = await receiver(t)
    controls.putApp(callbackApp(url))
    controls.setSettings({ push: AT_ONCE })
    const msgid = /"msgid":(\d{19})/.exec((await serviceSend()).text)![1]!
    await until(1)
    const { query, body } = got[0]!
    t.equal(query.get('own'), '1')
    t.equal(query.get('openid'), follower)
    t.equal(query.get('signature'), sha1('kit_token', query.get('timestamp')!, query.get('nonce')!))
    t.match(
      body,
      new RegExp(
        `^<xml><ToUserName><!\\[CDATA\\[gh_5b1a2c3d6003\\]\\]></ToUserName><FromUserName><!\\[CDATA\\[${follower}\\]\\]></FromUserName><CreateTime>\\d{10}</CreateTime><MsgType><!\\[CDATA\\[event\\]\\]></MsgType><Event><!\\[CDATA\\[TEMPLATESENDJOBFINISH\\]\\]></Event><MsgID>${msgid}</MsgID><Status><!\\[CDATA\\[success\\]\\]></Status></xml>$`
      )
    )
    t.ok(await eventually(() => controls.pushes().acknowledged === 1))
  })
  t.test('says when a person blocks or the system fails', async (t) => {
    const { controls, serviceSend, follower } = await start(t)
    const { url, got, until } = await receiver(t)
    controls.putApp(callbackApp(url))
    controls.setSettings({ push: AT_ONCE })
    controls.block({ appid: SERVICE, openids: [follower], how: 'drop' })
    await serviceSend()
    await until(1)
    controls.block({ appid: SERVICE, openids: [follower], how: 'fail' })
    await serviceSend()
    await until(2)
    t.match(got[0]!.body, /<Status><!\[CDATA\[failed:user block\]\]>/)
    t.match(got[1]!.body, /<Status><!\[CDATA\[failed: system failed\]\]>/)
  })
  t.test('not acknowledged comes three times in all', async (t) => {
    const { controls, serviceSend } = await start(t)
    const { url, got, until } = await receiver(t, (nth) =>
      nth === 1 ? 'never' : nth === 2 ? { status: 500 } : { body: 'no' }
    )
    controls.putApp(callbackApp(url))
    controls.setSettings({ push: { ...AT_ONCE, timeoutMs: 50 } })
    await serviceSend()
    await until(3)
    t.ok(await eventually(() => controls.pushes().failed === 1))
    t.equal(got.length, 3)
    t.equal(new Set(got.map(({ body }) => body)).size, 1)
    t.same(
      controls.pushes().rows[0]!.attempts.map(({ status }) => status),
      [0, 500, 200]
    )
  })
  t.test('acknowledged by an empty body comes once', async (t) => {
    const { controls, serviceSend } = await start(t)
    const { url, until, got } = await receiver(t, () => ({ body: '' }))
    controls.putApp(callbackApp(url))
    controls.setSettings({ push: AT_ONCE })
    await serviceSend()
    await until(1)
    t.ok(await eventually(() => controls.pushes().acknowledged === 1))
    t.equal(got.length, 1)
  })
  t.test('can come twice, or never', async (t) => {
    const { controls, serviceSend } = await start(t)
    const { url, until } = await receiver(t)
    controls.putApp(callbackApp(url))
    controls.setSettings({ push: { ...AT_ONCE, twice: 1 } })
    await serviceSend()
    await until(2)
    controls.setSettings({ push: { twice: 0, lost: 1 } })
    await serviceSend()
    t.match(controls.pushes({ event: 'TEMPLATESENDJOBFINISH' }), { lost: 1, sent: 1 })
  })
  t.test('can come before the send is answered', async (t) => {
    const { controls, serviceSend } = await start(t)
    const { url, until } = await receiver(t)
    controls.putApp(callbackApp(url))
    controls.setSettings({ push: { minDelayMs: 60_000, maxDelayMs: 60_000, early: 1 } })
    controls.setLatency({ minMs: 150, maxMs: 150 })
    let answered = false
    const sending = serviceSend().then(() => (answered = true))
    await until(1)
    t.notOk(answered)
    await sending
  })
  t.test('of safe mode hides its body', async (t) => {
    const { controls, serviceSend } = await start(t)
    const { url, got, until } = await receiver(t)
    const aesKey = 'kitDemoEncodingAESKey0123456789abcdefghijkA'
    controls.putApp(callbackApp(url, { aesKey, mode: 'safe' }))
    controls.setSettings({ push: AT_ONCE })
    await serviceSend()
    await until(1)
    const { query, body } = got[0]!
    const sealed = /<Encrypt><!\[CDATA\[(.+)\]\]><\/Encrypt>/.exec(body)![1]!
    t.equal(query.get('encrypt_type'), 'aes')
    t.equal(query.get('msg_signature'), sha1('kit_token', query.get('timestamp')!, query.get('nonce')!, sealed))
    t.notMatch(body, /TEMPLATESENDJOBFINISH/)
    const key = Buffer.from(`${aesKey}=`, 'base64')
    const decipher = createDecipheriv('aes-256-cbc', key, key.subarray(0, 16)).setAutoPadding(false)
    const plain = Buffer.concat([decipher.update(sealed, 'base64'), decipher.final()])
    const size = plain.readUInt32BE(16)
    t.match(plain.subarray(20, 20 + size).toString(), /TEMPLATESENDJOBFINISH/)
    t.equal(plain.subarray(20 + size, plain.length - plain.at(-1)!).toString(), SERVICE)
  })
  t.test('tells follows and leaves, each change once', async (t) => {
    const { controls, follower } = await start(t)
    const { url, got, until } = await receiver(t)
    controls.putApp(callbackApp(url))
    controls.setSettings({ push: AT_ONCE })
    t.same(controls.setFollowers({ appid: SERVICE, openids: [follower], follow: false }), { changed: 1, followers: 0 })
    await until(1)
    controls.setFollowers({ appid: SERVICE, openids: [follower], follow: false })
    controls.setFollowers({ appid: SERVICE, openids: [follower], follow: true })
    await until(2)
    t.match(
      got.map(({ body }) => /<Event><!\[CDATA\[(\w+)/.exec(body)![1]),
      ['unsubscribe', 'subscribe']
    )
  })
  t.test('tells what people write, tap and scan', async (t) => {
    const { controls, follower } = await start(t)
    const { url, got, until } = await receiver(t)
    controls.putApp(callbackApp(url))
    controls.setSettings({ push: AT_ONCE })
    const does = (kind: 'text' | 'click' | 'view' | 'scan', more: object = {}) =>
      controls.interact({ appid: SERVICE, openid: follower, kind, ...more })
    t.same(does('text', { text: 'TD 退订' }), { event: 'text' })
    await until(1)
    t.match(
      got[0]!.body,
      /<MsgType><!\[CDATA\[text\]\]><\/MsgType><Content><!\[CDATA\[TD 退订\]\]><\/Content><MsgId>\d{19}</
    )
    t.notMatch(got[0]!.body, '<Event>')
    t.same(does('click', { key: 'menu_orders' }), { event: 'CLICK' })
    await until(2)
    t.match(got[1]!.body, /<Event><!\[CDATA\[CLICK\]\]><\/Event><EventKey><!\[CDATA\[menu_orders\]/)
    t.same(does('scan', { key: 'ch7' }), { event: 'SCAN' })
    await until(3)
    t.match(got[2]!.body, /<EventKey><!\[CDATA\[ch7\]\]><\/EventKey><Ticket>/)
    controls.setFollowers({ appid: SERVICE, openids: [follower], follow: false, push: false })
    t.same(does('scan', { key: 'ch7' }), { event: 'subscribe' })
    await until(4)
    t.match(got[3]!.body, /CDATA\[subscribe\]\]><\/Event><EventKey><!\[CDATA\[qrscene_ch7\]\]><\/EventKey><Ticket>/)
    t.equal(controls.apps().find(({ appid }) => appid === SERVICE)!.followers, 1)
    t.throws(() => controls.interact({ appid: MINI, openid: 'nobody', kind: 'text' }), /no user/)
  })
  t.test('tells popup, sending and withdrawal of a subscription, in JSON too', async (t) => {
    const { controls, openid, subscribeSend } = await start(t)
    const { url, got, until } = await receiver(t)
    const app = { appid: MINI, secret: SECRET, kind: 'miniprogram' as const }
    controls.setSettings({ push: AT_ONCE })
    controls.putApp({ ...app, callback: { url, token: 'kit_token' } })
    controls.grant({ appid: MINI, openid, templateId: GRANT_TEMPLATE })
    await until(1)
    t.match(
      got[0]!.body,
      /<SubscribeMsgPopupEvent><List><TemplateId><!\[CDATA\[Sandbox.+<SubscribeStatusString><!\[CDATA\[accept\]\]>.*<PopupScene>0</
    )
    controls.putApp({ ...app, callback: { url, token: 'kit_token', format: 'json' } })
    const msgid = /"msgid":(\d+)/.exec((await subscribeSend()).text)![1]!
    await until(2)
    t.match(JSON.parse(got[1]!.body), {
      FromUserName: openid,
      MsgType: 'event',
      Event: 'subscribe_msg_sent_event',
      List: { TemplateId: GRANT_TEMPLATE, MsgID: msgid, ErrorCode: '0', ErrorStatus: 'success' }
    })
    controls.withdraw({ appid: MINI, openid, templateId: GRANT_TEMPLATE })
    await until(3)
    t.match(JSON.parse(got[2]!.body), {
      Event: 'subscribe_msg_change_event',
      List: { SubscribeStatusString: 'reject' }
    })
  })
})

t.test('the ledger', async (t) => {
  const { controls, json, legacySend, serviceSend, subscribeSend, openid, follower } = await start(t)
  await legacySend()
  controls.grant({ appid: MINI, openid, templateId: GRANT_TEMPLATE })
  await subscribeSend()
  await subscribeSend()
  await serviceSend({ client_msg_id: 'm1' })
  await serviceSend({ client_msg_id: 'm1' })
  t.test('has every accepted message, and repeats as repeats', async (t) => {
    const { counts, rows, uses } = await json('GET', '/sandbox/ledger')
    t.same(counts, { accepted: 3, rows: 4, duplicates: 1 })
    t.match(rows, [
      {
        seq: 1,
        channel: 'legacy',
        appid: MINI,
        openid,
        credential: /^[0-9a-f]{32}$/,
        data: { keyword1: { value: 'D1' } }
      },
      { seq: 2, channel: 'subscribe', credential: 'grant', msgid: /^\d{19}$/ },
      { seq: 3, channel: 'service', openid: follower, clientMsgId: 'm1' },
      { seq: 4, channel: 'service', clientMsgId: 'm1', duplicateOf: 3 }
    ])
    t.equal(rows[3].msgid, rows[2].msgid)
    t.same(uses, { [rows[0].credential]: 1 })
  })
  t.test('is filtered', async (t) => {
    const seqs = async (query: string) =>
      (await json('GET', `/sandbox/ledger?${query}`)).rows.map((row: { seq: number }) => row.seq)
    t.same(await seqs(`appid=${SERVICE}`), [3, 4])
    t.same(await seqs('channel=legacy'), [1])
    t.same(await seqs('after=1&limit=2'), [2, 3])
  })
  t.test('is summed up', async (t) => {
    t.match(await json('GET', '/sandbox/ledger/summary'), {
      accepted: 3,
      duplicates: 1,
      byChannel: { legacy: 1, subscribe: 1, service: 1 },
      errors: { 43101: 1 },
      calls: { [SEND]: 2, [SUBSCRIBE]: 2, '/cgi-bin/stable_token': 2 }
    })
  })
})

t.test('the control API', async (t) => {
  const { controls, call, json, openid, legacySend, follower, url } = await start(t)

  t.test('mints for many in one call, in order', async (t) => {
    const people = await json('POST', '/sandbox/users', { count: 3, appids: [MINI] })
    const body = people.map(({ openids }: { openids: Record<string, string> }) => ({
      appid: MINI,
      openid: openids[MINI]
    }))
    for (const path of ['codes', 'formids', 'orders'])
      t.equal((await json('POST', `/sandbox/${path}`, body)).length, 3, path)
    const orders = await json('POST', '/sandbox/orders', body)
    t.match(orders[0], { prepayId: /^wx/, package: `prepay_id=${orders[0].prepayId}`, orderId: String })
    t.equal(
      (
        await json(
          'POST',
          '/sandbox/orders/pay',
          orders.map(({ prepayId }: { prepayId: string }) => ({ prepayId }))
        )
      ).length,
      3
    )
    t.match(
      (await json('GET', `/sandbox/credentials?openid=${body[0].openid}`)).map((row: { state: string }) => row.state),
      ['usable', 'unpaid', 'unsynced']
    )
  })
  t.test('refuses what does not fit, naming where', async (t) => {
    const refused = async (method: string, path: string, body?: unknown) => {
      const { status, text } = await call(method, path, body)
      return { status, ...JSON.parse(text) }
    }
    t.match(await refused('POST', '/sandbox/formids', '{'), { status: 400 })
    t.match(await refused('POST', '/sandbox/formids', { appid: 'x', openid }), {
      status: 422,
      issues: [{ pointer: '/appid' }]
    })
    t.match(await refused('POST', '/sandbox/formids', [{ appid: MINI, openid }, { appid: MINI }]), {
      status: 422,
      issues: [{ pointer: '/1/openid' }]
    })
    t.match(await refused('POST', '/sandbox/formids', { appid: MINI, openid, extra: 1 }), { status: 422 })
    t.match(await refused('POST', '/sandbox/formids', { appid: MINI, openid: 'oNobody' }), {
      status: 404,
      error: /oNobody/
    })
    t.match(await refused('POST', '/sandbox/users', { appids: ['wxffffffffffffffff'] }), { status: 404 })
    t.match(await refused('POST', '/sandbox/users', { appids: [MINI], followers: [MINI] }), { status: 409 })
    t.match(await refused('POST', '/sandbox/followers', { appid: MINI, openids: [openid], follow: true }), {
      status: 409
    })
    t.match(await refused('POST', '/sandbox/orders', { appid: SERVICE, openid: follower }), { status: 409 })
    t.match(await refused('POST', '/sandbox/grants', { appid: MINI, openid, templateId: LEGACY_TEMPLATE }), {
      status: 409
    })
    t.match(await refused('POST', '/sandbox/grants', { appid: MINI, openid, templateId: 'none' }), { status: 404 })
    t.match(await refused('POST', '/sandbox/orders/pay', { prepayId: 'none' }), { status: 404 })
    t.match(await refused('POST', '/sandbox/latency', { minMs: 5, maxMs: 1 }), { status: 422 })
    t.match(await refused('POST', '/sandbox/rules', { action: { explode: true } }), { status: 422 })
    t.match(await refused('POST', '/sandbox/apps', { appid: MINI, secret: 's', kind: 'service' }), { status: 409 })
    t.match(await refused('GET', '/sandbox/nothing'), { status: 404 })
    t.match(await refused('DELETE', '/sandbox/apps'), { status: 405, error: /GET or POST/ })
    t.match(await refused('GET', '/sandbox/ledger?limit=x'), { status: 422 })
  })
  t.test('keeps users and templates when an app is put again', async (t) => {
    const shown = await json('POST', '/sandbox/apps', {
      appid: MINI,
      secret: SECRET,
      kind: 'miniprogram',
      pages: ['pages/home']
    })
    t.match(shown, {
      appid: MINI,
      pages: ['pages/home'],
      templates: [{ templateId: LEGACY_TEMPLATE }, { templateId: GRANT_TEMPLATE, type: 2 }]
    })
    t.ok(shown.users > 0)
    t.equal((await json('GET', '/sandbox/apps')).length, 3)
  })
  t.test('moves the clock', async (t) => {
    const { now } = await json('GET', '/sandbox/clock')
    const moved = await json('POST', '/sandbox/clock', { advanceMs: 3_600_000 })
    t.ok(moved.now - now >= 3_600_000)
    t.match(await json('POST', '/sandbox/clock', { set: '2019-06-08T10:00:00+08:00' }), { iso: /^2019-06-08T02:00:0/ })
  })
  t.test('shows the calls without secrets', async (t) => {
    await legacySend()
    const [newest] = await json('GET', `/sandbox/requests?path=${LEGACY}&limit=1`)
    t.match(newest, { path: LEGACY, method: 'POST', query: 'access_token=***', body: /touser/, code: Number })
    t.notMatch(JSON.stringify(await json('GET', '/sandbox/requests?limit=1000')), new RegExp(SECRET))
  })
  t.test('documents every call', async (t) => {
    const document = await json('GET', '/sandbox/openapi.json')
    t.match(document, { openapi: '3.1.0', servers: [{ url }] })
    t.equal(document.paths['/sandbox/rules'].post.requestBody.content['application/json'].schema.anyOf.length, 2)
    t.match(document.paths['/sandbox/ledger'].get.parameters[0], { name: 'appid', in: 'query', required: false })
    t.ok(Object.keys(document.paths).length >= 20)
  })
  t.test('has a page for people', async (t) => {
    const { headers, text } = await call('GET', '/')
    t.match(headers['content-type'], /^text\/html/)
    t.match(text, new RegExp(`${MINI}.*wx5b1a2c3d4e5f6002.*${SERVICE}`, 's'))
  })
  t.test('starts over', async (t) => {
    controls.addRule({ action: { errcode: -1 } })
    controls.setSettings({ legacyMode: 'retired_45103' })
    await call('POST', '/sandbox/reset', { keepApps: true })
    t.match(controls.apps()[0], { pages: ['pages/home'], users: 0 })
    t.equal(controls.setSettings({}).legacyMode, 'retired_45103')
    t.equal(JSON.parse((await legacySend({})).text).errcode, 40001, 'tokens of the earlier life are void')
    await call('POST', '/sandbox/reset')
    t.match(controls.apps()[0], { pages: null, users: 0 })
    t.equal(controls.setSettings({}).legacyMode, 'live')
    t.match(
      { rules: controls.rules(), accepted: controls.summary().accepted, rows: controls.ledger().rows },
      { rules: [], accepted: 0, rows: [] }
    )
    t.ok(Math.abs(controls.clock().now - Date.now()) < 60_000, 'the clock is back')
  })
})

t.test('hongyan sandbox', async (t) => {
  t.test('reads its arguments', async (t) => {
    t.same(readArguments([]), { port: 8199, host: '127.0.0.1' })
    t.same(readArguments(['--port', '0', '--latency', '0-0', '--seed', '7']), {
      port: 0,
      host: '127.0.0.1',
      latency: { minMs: 0, maxMs: 0 },
      seed: 7
    })
    for (const bad of [
      ['--port', 'x'],
      ['--port', '70000'],
      ['--latency', '5'],
      ['--latency', '9-1'],
      ['--seed', 'x'],
      ['--what']
    ])
      t.throws(() => readArguments(bad), bad.join(' '))
  })
  t.test('says what is wrong and ends', async (t) => {
    const { port } = await start(t)
    const said: string[] = []
    const write = process.stderr.write.bind(process.stderr)
    process.stderr.write = ((line: string) => said.push(line) > 0) as typeof process.stderr.write
    t.teardown(() => void (process.stderr.write = write))
    t.equal(await runSandbox(['--port', 'x']), 2)
    t.equal(await runSandbox(['--port', String(port)]), 1)
    t.match(said.join(''), new RegExp(`no port.*usage: hongyan sandbox.*port ${port} is taken`, 's'))
  })
  t.test('prints one line with its address and ends on a signal', async (t) => {
    const source = new URL('../../../server/sandbox/main', import.meta.url)
    const file = fileURLToPath(source) + (import.meta.url.endsWith('.ts') ? '.ts' : '.js')
    const script = `const { runSandbox } = await import(${JSON.stringify(new URL(`file://${file}`).href)}); process.exitCode = await runSandbox(['--port', '0', '--latency', '0-0'])`
    const child = spawn(process.execPath, [...process.execArgv, '--input-type=module', '-e', script], {
      stdio: ['ignore', 'pipe', 'inherit']
    })
    const [line] = (await once(child.stdout, 'data')) as [Buffer]
    const address = /^hongyan sandbox (http:\/\/127\.0\.0\.1:\d+)\n$/.exec(line.toString())![1]!
    const answer = await request(`${address}/sandbox/apps`)
    t.equal(((await answer.body.json()) as unknown[]).length, 3)
    child.kill('SIGTERM')
    t.same(await once(child, 'exit'), [0, null])
  })
})

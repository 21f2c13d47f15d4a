import t, { type Test } from 'tap'
import { createCallbacks } from '../../../server/callbacks/callbacks.js'
import { verdictOf } from '../../../server/callbacks/consumers.js'
import { pushEvents } from '../../../server/callbacks/push-events.js'
import { callbackRoutes } from '../../../server/callbacks/routes.js'
import { createEvents } from '../../../server/events/events.js'
import { createHttp } from '../../../server/platform/http.js'
import { silentLog } from '../../../server/platform/log.js'
import { encryptPush } from '../../../server/sandbox/push-crypto.js'
import { parsePush, signature } from '../../../server/wechat/callback.js'
import type { AccountCreate } from '../../../shared/account.js'
import { buildTestApp } from '../../support/build-app.js'

const TOKEN = 'simtoken'
const NOW = new Date('2026-03-01T00:00:00Z')
const SECONDS = NOW.getTime() / 1000

async function room(t: Test) {
  const { rooms, parts, db, clock, account } = await buildTestApp(t, { now: NOW })
  const { accounts, people, jobs } = rooms
  const log = silentLog()
  // Events of its own, so that only the effects below are set in motion.
  const events = createEvents({ db, clock, log, jobs, people })
  const done: [what: string, facts: any][] = []
  const note = (what: string) => async (facts: any) => void done.push([what, facts])
  const wish = { grantType: 'once' as 'once' | 'longTerm' | null, failures: 0 }
  const callbacks = createCallbacks({
    clock,
    log,
    sealer: parts.sealer,
    accounts,
    people,
    events,
    receipts: {
      apply: async (receipt) => {
        if (wish.failures-- > 0) throw new Error('the store hiccups')
        return note('receipt')(receipt)
      }
    },
    credentials: { mint: async (_account, right) => note('mint')(right), burnWithdrawn: note('burn') },
    platformKeys: rooms.platforms.keys,
    relay: async () => ({ outcome: 'none', reply: null }),
    grantTypeOf: async () => wish.grantType,
    learnLater: async (_accountId, ids) => void done.push(['learn', ids])
  })
  const http = await createHttp({ log, tokenKey: Buffer.alloc(32), trustProxy: false })
  await http.register(callbackRoutes, { callbacks, platform: rooms.platformPushes })
  await http.ready()
  t.teardown(() => http.close())

  const connect = (overrides: Partial<AccountCreate> = {}) => account({ callback: { token: TOKEN }, ...overrides })
  const query = (token = TOKEN, more: Record<string, string> = {}, ...signed: string[]) => {
    const [timestamp, nonce] = [String(SECONDS), '8642']
    return new URLSearchParams({
      signature: signature(token, timestamp, nonce, ...signed),
      timestamp,
      nonce,
      ...more
    }).toString()
  }
  const push = async (appId: string, body: string, { type = 'text/xml', token = TOKEN } = {}) => {
    const answer = await http.inject({
      method: 'POST',
      url: `/callback/${appId}?${query(token)}`,
      headers: { 'content-type': type },
      payload: body
    })
    await events.idle()
    return answer
  }
  const taken = () => done.splice(0)
  return { http, db, clock, accounts, people, events, connect, query, push, taken, wish, parts }
}

const xml = (event: string, more = '', { openId = 'oAnn', at = SECONDS, type = 'event' } = {}) =>
  `<xml><ToUserName><![CDATA[gh_demo00000001]]></ToUserName><FromUserName><![CDATA[${openId}]]></FromUserName>` +
  `<CreateTime>${at}</CreateTime><MsgType><![CDATA[${type}]]></MsgType>` +
  (event === '' ? '' : `<Event><![CDATA[${event}]]></Event>`) +
  `${more}</xml>`
const finished = (msgid: string, status = 'success') =>
  xml('TEMPLATESENDJOBFINISH', `<MsgID>${msgid}</MsgID><Status><![CDATA[${status}]]></Status>`)

t.test('what a push says', async (t) => {
  const seal = (text: string) => `sealed ${text.length}`
  const list = parsePush(
    xml(
      'subscribe_msg_popup_event',
      '<SubscribeMsgPopupEvent><List><TemplateId>T1</TemplateId><SubscribeStatusString>accept</SubscribeStatusString></List>' +
        '<List><TemplateId>T2</TemplateId><SubscribeStatusString>reject</SubscribeStatusString></List></SubscribeMsgPopupEvent>'
    )
  )
  t.match(pushEvents(list, seal), [
    {
      name: '$push:subscribe_msg_popup_event',
      properties: { templateId: 'T1', subscribeStatus: 'accept', createTime: SECONDS }
    },
    { properties: { templateId: 'T2', subscribeStatus: 'reject' } }
  ])
  t.equal(new Set(pushEvents(list, seal).map((event) => event.id)).size, 2)
  const two = ['1988810812324360001', '1988810812324360002'].map((id) => pushEvents(parsePush(finished(id)), seal)[0]!)
  t.not(two[0]!.id, two[1]!.id, 'two jobs ending in one second')
  t.equal(two[0]!.properties.msgId, '1988810812324360001', 'all 19 digits')
  t.match(pushEvents(parsePush(xml('', '<Content>你好</Content><MsgId>7</MsgId>', { type: 'text' })), seal), [
    { name: '$push:message', properties: { msgType: 'text', sealed: /^sealed/ } }
  ])
  t.match(pushEvents(parsePush(xml('brand_new_event', '<Foo>1</Foo>')), seal), [
    { name: '$push:brand_new_event', properties: { sealed: String } }
  ])
  t.notMatch(JSON.stringify(pushEvents(parsePush(xml('subscribe')), seal)), /oAnn/)
  for (const [status, verdict] of [
    ['success', 'delivered'],
    ['failed:user block', 'userBlock'],
    ['failed: system failed', 'systemFailed'],
    ['failed:system failed', 'systemFailed'],
    ['else', 'failed']
  ] as const) {
    t.equal(verdictOf(status), verdict)
  }
})

t.test('the door', async (t) => {
  const { http, db, connect, query, push, taken, accounts, clock, people, events, wish } = await room(t)
  const service = await connect({ kind: 'service' })
  const stored = () => db.collection('events').countDocuments({})
  const url = (search: string, id = service.appId) => `/callback/${id}?${search}`

  t.test('answers the handshake', async (t) => {
    const good = await http.inject(url(query(TOKEN, { echostr: '5234<1>' })))
    t.equal(good.statusCode, 200)
    t.equal(good.body, '5234<1>')
    t.match(good.headers['content-type'], /text\/plain/)
    t.equal((await http.inject(url(query('wrong', { echostr: '1' })))).statusCode, 403)
    t.equal((await http.inject(url('echostr=1'))).statusCode, 403)
    t.equal((await http.inject(url(`${query()}&signature=1`))).statusCode, 403, 'a signature given twice')
    t.equal((await http.inject(url(query(), 'wx0000000000000000'))).statusCode, 404)
  })

  t.test('a bad signature stores nothing', async (t) => {
    for (const token of ['wrong', '']) {
      const answer = await push(service.appId, finished('1'), { token })
      t.equal(answer.statusCode, 403)
      t.equal(answer.json().code, 'callback.bad-signature')
    }
    const unsigned = await http.inject({
      method: 'POST',
      url: `/callback/${service.appId}`,
      headers: { 'content-type': 'text/xml' },
      payload: finished('1')
    })
    t.equal(unsigned.statusCode, 403)
    t.equal(await stored(), 0)
    t.equal(await db.collection('recipients').countDocuments({}), 0)
    t.equal((await accounts.get(service.id)).callback.lastReceivedAt, null)
    t.same(taken(), [])
  })

  t.test('a push is stored, acknowledged, applied; the same one again changes nothing', async (t) => {
    const id = people.recipientId(service.id, 'oAnn')
    const first = await push(service.appId, finished('1988810812324360001'))
    t.equal(first.statusCode, 200)
    t.equal(first.body, 'success')
    t.match(taken(), [
      [
        'receipt',
        {
          accountId: service.id,
          recipientId: id,
          msgid: '1988810812324360001',
          verdict: 'delivered',
          at: NOW.toISOString()
        }
      ]
    ])
    clock.advance(61_000)
    const again = await Promise.all([1, 2, 3].map(() => push(service.appId, finished('1988810812324360001'))))
    t.same(
      again.map((answer) => answer.body),
      ['success', 'success', 'success']
    )
    t.equal(await stored(), 1)
    t.same(taken(), [])
    t.same((await accounts.get(service.id)).callback.lastReceivedAt, clock.now())
    t.match((await people.byIds([id])).get(id), { accountId: service.id })
    t.notMatch(JSON.stringify(await db.collection('events').find({}).toArray()), /oAnn/, 'no openid in clear')
  })

  t.test('what could not be applied at once is applied later', async (t) => {
    wish.failures = 1
    t.equal((await push(service.appId, finished('2'))).body, 'success', 'it is stored, so WeChat need not repeat it')
    t.same(taken(), [])
    clock.advance(60_000)
    t.equal(await events.sweep(), 1)
    t.match(taken(), [['receipt', { msgid: '2' }]])
    t.equal(await events.sweep(), 0)
  })

  t.test('takes XML by any name, and JSON', async (t) => {
    for (const type of ['text/xml', 'application/xml', 'text/plain', 'application/json; charset=utf-8']) {
      t.equal((await push(service.appId, finished(`3${type.length}`), { type })).statusCode, 200, type)
    }
    const json = {
      ToUserName: 'gh_1',
      FromUserName: 'oAnn',
      CreateTime: String(SECONDS),
      MsgType: 'event',
      Event: 'subscribe_msg_sent_event',
      List: { TemplateId: 'T1', MsgID: '1988810812324360009', ErrorCode: '0', ErrorStatus: 'success' }
    }
    taken()
    await push(service.appId, JSON.stringify(json), { type: 'application/json' })
    await push(
      service.appId,
      JSON.stringify(json).replace('"CreateTime":"', '"CreateTime":"1').replace('"0"', '"20004"'),
      { type: 'application/json' }
    )
    t.match(taken(), [
      ['receipt', { msgid: '1988810812324360009', verdict: 'delivered', code: null, templateId: 'T1' }],
      ['receipt', { verdict: 'failed', code: 20004 }]
    ])
    const count = await stored()
    t.equal((await push(service.appId, 'neither')).statusCode, 422)
    t.equal((await push(service.appId, '')).statusCode, 422)
    t.equal((await push(service.appId, '<!DOCTYPE a><xml/>')).statusCode, 422)
    t.equal((await push(service.appId, 'x'.repeat(300_000))).statusCode, 413)
    t.equal(await stored(), count)
  })

  t.test('safe mode', async (t) => {
    const aesKey = 'kitDemoEncodingAESKey0123456789abcdefghijkA'
    const safe = await connect({ kind: 'service', callback: { token: TOKEN, aesKey, mode: 'safe' } })
    const Encrypt = encryptPush(aesKey, safe.appId, finished('77'), '0123456789abcdef')
    const body = `<xml><ToUserName>gh_1</ToUserName><Encrypt>${Encrypt}</Encrypt></xml>`
    const [timestamp, nonce] = [String(SECONDS), '8642']
    const sign = signature(TOKEN, timestamp, nonce, Encrypt)
    const send = (msg_signature: string) =>
      http.inject({
        method: 'POST',
        url: `/callback/${safe.appId}?${query(TOKEN, { encrypt_type: 'aes', msg_signature })}`,
        headers: { 'content-type': 'text/xml' },
        payload: body
      })
    t.equal((await send(sign)).body, 'success')
    await events.idle()
    t.match(taken(), [['receipt', { accountId: safe.id, msgid: '77' }]])
    t.equal((await send(sign.replace(/.$/, (last) => (last === '0' ? '1' : '0')))).statusCode, 403)
    t.equal((await push(safe.appId, finished('78'))).statusCode, 403, 'clear text is not believed there')
  })
})

t.test('the door of an account that does not know it is pushed to in safe mode', async (t) => {
  const { connect, http, query, push, db } = await room(t)
  const { appId } = await connect()
  const before = await db.collection('events').countDocuments()
  const answer = await http.inject({
    method: 'POST',
    url: `/callback/${appId}?${query(TOKEN, { encrypt_type: 'aes', msg_signature: 'x' })}`,
    headers: { 'content-type': 'text/xml' },
    payload: '<xml><ToUserName>gh_1</ToUserName><Encrypt>c2VjcmV0</Encrypt></xml>'
  })
  t.match(answer.json(), { status: 422, code: 'callback.encrypted' })
  t.equal(await db.collection('events').countDocuments(), before)
  const deep = `{"MsgType":"event","Event":"x","a":${'['.repeat(100_000)}${']'.repeat(100_000)}}`
  t.match((await push(appId, deep, { type: 'application/json' })).json(), { code: 'callback.unreadable' })
  t.equal((await push(appId, finished('91'), { type: 'x' })).body, 'success', 'a type that is none turns nobody away')
})

t.test('what pushes set in motion', async (t) => {
  const { connect, push, taken, people, wish, db } = await room(t)
  const service = await connect({ kind: 'service' })
  const mini = await connect()
  const id = people.recipientId(service.id, 'oAnn')
  const told = async (body: string, appId = service.appId) => {
    const answer = await push(appId, body)
    t.equal(answer.body, 'success')
    return taken()
  }
  const known = async () => (await people.byIds([id])).get(id)!
  const popup = (status: string, at = SECONDS) =>
    xml(
      'subscribe_msg_popup_event',
      `<SubscribeMsgPopupEvent><List><TemplateId>T1</TemplateId><SubscribeStatusString>${status}</SubscribeStatusString></List></SubscribeMsgPopupEvent>`,
      { at }
    )

  t.match(await told(xml('subscribe')), [
    ['mint', { recipientId: id, source: 'follow', at: NOW.toISOString(), key: String(SECONDS) }],
    ['learn', [id]]
  ])
  t.match(await known(), { follower: true, reach: 'ok', lastInteractionAt: NOW.toISOString() })
  t.same(await told(xml('unsubscribe', '', { at: SECONDS - 9 })), [], 'older news')
  t.match(await known(), { follower: true })
  t.match(
    await told(
      xml('subscribe', '<EventKey>qrscene_ch7</EventKey><Ticket>tk</Ticket>', { at: SECONDS - 2, openId: 'oBob' })
    ),
    [['mint', { source: 'scan' }], ['learn']]
  )
  t.match(await told(xml('SCAN', '<EventKey>ch7</EventKey>')), [['mint', { source: 'scan' }]])
  t.match(await told(xml('CLICK', '<EventKey>V1</EventKey>')), [['mint', { source: 'menu' }]])
  t.match(await told(xml('VIEW', '<EventKey>https://example.com</EventKey>')), [['mint', { source: 'menu' }]])
  t.match(await told(xml('', '<Content>你好</Content><MsgId>7</MsgId>', { type: 'text' })), [
    ['mint', { source: 'reply' }]
  ])
  t.same(
    await told(xml('', '<Content>你好</Content><MsgId>7</MsgId>', { type: 'text' }), mini.appId),
    [],
    'a mini-program has no such rights'
  )

  t.match(await told(popup('accept')), [['mint', { source: 'grant', templateId: 'T1', key: String(SECONDS) }]])
  wish.grantType = 'longTerm'
  t.match(await told(popup('accept', SECONDS - 1)), [['mint', { source: 'longTermGrant' }]])
  wish.grantType = null
  t.match(
    await told(popup('accept', SECONDS - 2)),
    [['mint', { source: 'grant' }]],
    'an unknown template counts as one-time'
  )
  t.same(await told(popup('reject', SECONDS - 3)), [])
  t.same(await told(popup('accept'), mini.appId), [], 'one tap, one grant: a mini-program has its phones mint')
  const change =
    '<SubscribeMsgChangeEvent><List><TemplateId>T1</TemplateId><SubscribeStatusString>reject</SubscribeStatusString></List></SubscribeMsgChangeEvent>'
  t.match(await told(xml('subscribe_msg_change_event', change), mini.appId), [
    [
      'burn',
      {
        accountId: mini.id,
        recipientId: people.recipientId(mini.id, 'oAnn'),
        templateId: 'T1',
        asOf: NOW.toISOString()
      }
    ]
  ])

  t.same(await told(xml('brand_new_event', '<Foo>1</Foo>')), [])
  t.match(await db.collection('events').findOne({ name: '$push:brand_new_event' }), {
    todo: false,
    properties: { sealed: /^k1\./ }
  })
  t.same(await told('<xml><ToUserName>gh_1</ToUserName><MsgType>event</MsgType><Event>from_nobody</Event></xml>'), [])
  t.match(await told(finished('9', 'failed:user block')), [['receipt', { verdict: 'userBlock' }]])
  t.match(await told(xml('unsubscribe')), [], 'a tie in time is the follow, which came first')
})

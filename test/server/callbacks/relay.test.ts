import t, { type Test } from 'tap'
import { createRelay, RELAYED_HEADER, withQuery } from '../../../server/callbacks/relay.js'
import { silentLog } from '../../../server/platform/log.js'
import { signature } from '../../../server/wechat/callback.js'
import { createOutside } from '../../../server/webhooks/outside.js'
import { buildTestApp } from '../../support/build-app.js'
import { receiver, type Answer } from '../webhooks/receiver.js'

const TOKEN = 'simtoken'
const NOW = new Date('2026-03-01T00:00:00Z')
const SECONDS = NOW.getTime() / 1000
const PUSH =
  '<xml><ToUserName><![CDATA[gh_1]]></ToUserName>\r\n <FromUserName><![CDATA[oAnn]]></FromUserName>' +
  `<CreateTime>${SECONDS}</CreateTime><MsgType><![CDATA[text]]></MsgType><Content><![CDATA[在吗？]]></Content><MsgId>7</MsgId></xml>`
const REPLY = '<xml><MsgType><![CDATA[text]]></MsgType><Content><![CDATA[在的]]></Content></xml>'

/** A server with an account, another system on the same account, and WeChat at the door. */
async function room(t: Test, relayed = true) {
  const { app, rooms, account, db, login } = await buildTestApp(t, { now: NOW })
  const other = await receiver(t)
  const relayTo = `${other.url}?shop=1`
  const { id, appId } = await account({ kind: 'service', callback: { token: TOKEN, ...(relayed && { relayTo }) } })
  const query = (token = TOKEN) =>
    `signature=${signature(token, String(SECONDS), '8642')}&timestamp=${SECONDS}&nonce=8642&openid=oAnn&odd=%E4%BD%A0+b`
  const push = (headers: Record<string, string> = {}, search = query(), payload = PUSH) =>
    app.inject({
      method: 'POST',
      url: `/callback/${appId}?${search}`,
      headers: { 'content-type': 'text/xml', ...headers },
      payload
    })
  const stored = () => db.collection('events').countDocuments({})
  const counted = async () =>
    (await rooms.metrics.text()).split('\n').filter((line) => line.startsWith('hongyan_callback_relays_total{'))
  const alerts = () => db.collection('alerts').find({ subject: 'relay' }).toArray()
  return { app, rooms, other, id, appId, query, push, stored, counted, alerts, login }
}

t.test('a push goes on as it came, and what is answered there is WeChat’s answer', async (t) => {
  const { other, query, push, stored, counted } = await room(t)
  other.answers(() => ({ status: 200, body: REPLY, headers: { 'content-type': 'text/xml;charset=UTF-8' } }))
  const answer = await push()
  t.match(answer, { statusCode: 200, body: REPLY, headers: { 'content-type': 'text/xml; charset=utf-8' } })
  const [seen] = other.received
  t.equal(seen!.path, `/hook?shop=1&${query()}`)
  t.equal(seen!.body, PUSH)
  t.match(seen!.headers, { 'content-type': 'text/xml', [RELAYED_HEADER]: '1' })
  t.equal(await stored(), 1, 'ours all the same')

  t.equal((await push()).body, REPLY, 'WeChat repeats what was not answered in time, and expects an answer')
  t.equal(other.received.length, 2)
  t.equal(await stored(), 1)
  t.match(await push({ [RELAYED_HEADER]: '1' }), { body: 'success' }, 'what was passed on here goes no further')
  t.equal(other.received.length, 2)
  t.same(await counted(), [
    'hongyan_callback_relays_total{outcome="answered"} 2',
    'hongyan_callback_relays_total{outcome="dropped"} 1'
  ])
})

t.test('only what WeChat signed goes on, and the check of the address is ours alone', async (t) => {
  const { app, appId, other, query, push } = await room(t)
  t.equal((await push({}, query('wrong'))).statusCode, 403)
  t.equal((await push({}, query(), 'neither')).statusCode, 422)
  t.equal((await app.inject(`/callback/${appId}?${query()}&echostr=77`)).body, '77')
  t.equal(other.received.length, 0)
})

t.test('whatever becomes of it there, WeChat hears that it arrived here', async (t) => {
  const { other, push, counted, alerts, stored, rooms } = await room(t)
  const answers: [Answer, string, RegExp][] = [
    [500, 'success', /text\/plain/],
    [{ status: 302, headers: { location: 'http://127.0.0.1/' } }, 'success', /text\/plain/],
    [null, 'success', /text\/plain/],
    [{ status: 200, body: 'x'.repeat(100_000) }, 'success', /text\/plain/],
    [{ status: 200, body: '' }, '', /text\/plain/],
    [{ status: 200, body: '<script>', headers: { 'content-type': 'text/html' } }, '<script>', /text\/plain/]
  ]
  for (const [said, body, type] of answers) {
    other.answers(() => said)
    t.match(await push(), { statusCode: 200, body, headers: { 'content-type': type } })
  }
  t.equal(await stored(), 1)
  t.equal(other.received.length, answers.length, 'nothing is tried a second time')
  t.same(await counted(), [
    'hongyan_callback_relays_total{outcome="failed"} 4',
    'hongyan_callback_relays_total{outcome="answered"} 2'
  ])
  t.match(await alerts(), [{ kind: 'account', state: 'open', facts: { reason: String } }], 'three in a row are told')
  await rooms.alerts.publish()
})

t.test('one that cannot be reached any more is not asked', async (t) => {
  const seen: unknown[] = []
  const outside = { fault: () => 'is no public address', post: async (...it: unknown[]) => seen.push(it) as never }
  const told: string[] = []
  const trouble = async (_: string, reason: string) => void told.push(reason)
  const relay = createRelay({ log: silentLog(), outside, trouble })
  const account = { id: 'a', callback: { relayTo: 'https://inner.example/' } } as never
  for (let n = 0; n < 3; n++) {
    t.same(await relay(account, { search: 'a=1', body: '', contentType: '', relayed: false }, 0), {
      outcome: 'failed',
      reply: null
    })
  }
  t.same([seen, told], [[], ['the address is no public address']])
})

t.test('who hangs there is waited for four seconds in all, and by fifty requests at most', async (t) => {
  const waits: number[] = []
  const open: (() => void)[] = []
  const answer = { status: 200, ms: 1, error: null, text: 'ok', type: '', retryAfterMs: null }
  const relay = createRelay({
    log: silentLog(),
    trouble: async () => {},
    outside: {
      fault: () => null,
      post: async (_url, _headers, _body, { withinMs = 0 } = {}) => {
        waits.push(withinMs)
        await new Promise<void>((resolve) => open.push(resolve))
        return answer
      }
    }
  })
  const to = (id: string) => ({ id, callback: { relayTo: 'https://other.example/' } }) as never
  const push = { search: '', body: '', contentType: '', relayed: false }
  const first = [0, 120, 3_900, 20_000].map((elapsedMs) => relay(to('a'), push, elapsedMs))
  t.same(waits, [4_000, 3_880, 500, 500])
  const rest = Array.from({ length: 46 }, () => relay(to('a'), push, 0))
  t.match(await relay(to('a'), push, 0), { outcome: 'dropped' })
  const elsewhere = relay(to('b'), push, 0)
  t.equal(open.length, 51, 'other accounts are none the worse for it')
  for (const go of open) go()
  t.equal(
    (await Promise.all([...first, ...rest, elsewhere])).filter(({ outcome }) => outcome === 'answered').length,
    51
  )
  t.equal(waits.length, 51)
  void relay(to('a'), push, 0)
  t.equal(waits.length, 52, 'there is room again')
  for (const go of open) go()
})

t.test('an answer that comes too late is not waited for', async (t) => {
  const other = await receiver(t)
  other.answers(() => new Promise<Answer>(() => {}))
  const outside = createOutside({ allow: ['127.0.0.1'] })
  t.teardown(() => outside.close())
  t.match(await outside.post(other.url, {}, 'x', { read: true, withinMs: 50 }), {
    status: null,
    error: 'no answer in time'
  })
})

t.test('the address is given and taken back by an operator', async (t) => {
  const { app, id, push, other, login } = await room(t, false)
  const owner = await login()
  const patch = (relayTo: string | null) =>
    app.inject({ method: 'PATCH', url: `/v1/accounts/${id}`, headers: owner, payload: { callback: { relayTo } } })
  t.equal((await push()).body, 'success')
  t.match((await patch('http://hongyan.test/callback/wx0000000000000000')).json(), {
    status: 422,
    code: 'accounts.relay-to',
    detail: 'relayTo is a push address of this server itself'
  })
  t.match((await patch('https://10.0.0.1/')).json(), { detail: 'relayTo is no public address' })
  t.match((await patch('http://example.com/')).json(), { detail: 'relayTo is not https' })
  t.match((await patch(other.url)).json(), { callback: { relayTo: other.url } })
  other.answers(() => ({ status: 200, body: 'theirs' }))
  t.equal((await push()).body, 'theirs')
  t.match((await patch(null)).json(), { callback: { relayTo: null } })
  t.equal((await push()).body, 'success')
  t.equal(other.received.length, 1)
})

t.test('the query goes on behind one that is there already', async (t) => {
  t.equal(withQuery('https://a.example/x', 'b=1&c=2'), 'https://a.example/x?b=1&c=2')
  t.equal(withQuery('https://a.example/x?y=1#here', 'b=1'), 'https://a.example/x?y=1&b=1')
})

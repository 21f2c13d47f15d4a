import t from 'tap'
import { MockAgent } from 'undici'
import { createSenders, msgidOf, SENDERS } from '../../../server/senders/senders.js'
import type { SendInput } from '../../../server/senders/sender.js'
import type { TokenCentre } from '../../../server/wechat/access-token.js'
import type { WechatAccount } from '../../../server/wechat/account.js'
import { createWechatClient } from '../../../server/wechat/client.js'

const HOST = 'https://api.weixin.qq.com'
const account: WechatAccount = { accountId: 'a1', appId: 'wx00000000000000a1', kind: 'miniprogram', apiBase: HOST, tokenApi: 'stable' } // prettier-ignore

const parcel = { keyword1: { value: '东门柜机' }, keyword2: { value: '8-1-2', color: '#173177' } }
const message = (channel: SendInput['channel'], more: Partial<SendInput> = {}): SendInput => ({
  channel,
  openId: 'oSimUser00000000000000000001',
  templateId: 'kQ3v0000000000000000000000000000000000000Zg',
  data: parcel,
  ...more
})

t.test('a legacy message', async (t) => {
  t.test('is paid with a bare formId or prepay_id and may enlarge a field', async (t) => {
    const input = message('legacy', { formId: 'prepay_id=wx0112', page: 'pages/parcel?id=42', emphasis: 'keyword2' })
    t.equal(SENDERS.legacy.path, '/cgi-bin/message/wxopen/template/send')
    t.same(SENDERS.legacy.body(input), {
      touser: 'oSimUser00000000000000000001',
      template_id: 'kQ3v0000000000000000000000000000000000000Zg',
      page: 'pages/parcel?id=42',
      form_id: 'wx0112',
      data: parcel,
      emphasis_keyword: 'keyword2.DATA'
    })
  })
  t.test('leaves out what was not asked for', async (t) => {
    const body = SENDERS.legacy.body(message('legacy', { formId: '9f86d081884c7d659a2feaa0c55ad015' }))
    t.same(Object.keys(body), ['touser', 'template_id', 'form_id', 'data'])
    t.equal(body.form_id, '9f86d081884c7d659a2feaa0c55ad015')
    const emphasised = SENDERS.legacy.body(message('legacy', { emphasis: 'keyword1.DATA' }))
    t.equal(emphasised.emphasis_keyword, 'keyword1.DATA')
  })
})

t.test('a subscribe message', async (t) => {
  t.test('opens the released build in Chinese unless told otherwise, and has no colours', async (t) => {
    t.equal(SENDERS.subscribe.path, '/cgi-bin/message/subscribe/send')
    t.same(SENDERS.subscribe.body(message('subscribe', { page: 'pages/parcel?id=42' })), {
      touser: 'oSimUser00000000000000000001',
      template_id: 'kQ3v0000000000000000000000000000000000000Zg',
      page: 'pages/parcel?id=42',
      data: { keyword1: { value: '东门柜机' }, keyword2: { value: '8-1-2' } },
      miniprogram_state: 'formal',
      lang: 'zh_CN'
    })
    const body = SENDERS.subscribe.body(message('subscribe', { lang: 'en_US', miniprogramState: 'trial' }))
    t.match(body, { lang: 'en_US', miniprogram_state: 'trial' })
    t.notOk('page' in body)
  })
})

t.test('a service-account message', async (t) => {
  t.test('carries both targets and its idempotency key', async (t) => {
    const input = message('service', {
      url: 'https://shop.example.test/o/77',
      miniprogram: { appId: 'wxdemo1234567890', page: 'pages/order?id=77' },
      clientMsgId: 'm1.0'
    })
    t.equal(SENDERS.service.path, '/cgi-bin/message/template/send')
    t.same(SENDERS.service.body(input), {
      touser: 'oSimUser00000000000000000001',
      template_id: 'kQ3v0000000000000000000000000000000000000Zg',
      url: 'https://shop.example.test/o/77',
      miniprogram: { appid: 'wxdemo1234567890', pagepath: 'pages/order?id=77' },
      client_msg_id: 'm1.0',
      data: { keyword1: { value: '东门柜机' }, keyword2: { value: '8-1-2' } }
    })
    const body = SENDERS.service.body(message('service', { miniprogram: { appId: 'wxd' } }))
    t.same(Object.keys(body), ['touser', 'template_id', 'miniprogram', 'data'])
    t.same(body.miniprogram, { appid: 'wxd' })
  })
})

t.test('sending', async (t) => {
  function setUp() {
    const mock = new MockAgent()
    mock.disableNetConnect()
    const told: string[] = []
    const give = (gen: number) => ({ token: `t-${gen}`, gen, expiresAt: new Date('2026-03-01') })
    const tokens: TokenCentre = {
      current: async () => give(1),
      refused: async (_, gen) => (told.push(`refused ${gen}`), give(gen + 1)),
      worked: (_, gen) => void told.push(`worked ${gen}`),
      refresh: async () => give(9),
      forget: async () => {}
    }
    const senders = createSenders({ client: createWechatClient({ dispatcher: mock }), tokens })
    const path = '/cgi-bin/message/subscribe/send'
    const answers = (token: string, body: string) =>
      mock
        .get(HOST)
        .intercept({ path: `${path}?access_token=${token}`, method: 'POST' })
        .reply(200, body)
    return { mock, told, senders, answers }
  }

  t.test('posts once with the token given and keeps all digits of the msgid', async (t) => {
    const { mock, told, senders, answers } = setUp()
    answers('t-7', '{"errcode":0,"errmsg":"ok","msgid":1988810812324360001}')
    const result = await senders.send(account, message('subscribe'), 't-7')
    t.match(result, { kind: 'answer', errcode: 0 })
    t.equal(msgidOf(result), '1988810812324360001')
    answers('t-7', '{"errcode":40001,"errmsg":"invalid credential"}')
    t.match(await senders.send(account, message('subscribe'), 't-7'), { errcode: 40001 })
    t.same(told, [])
    mock.assertNoPendingInterceptors()
    await mock.close()
  })

  t.test('outside the ledger fetches its token and repeats once when that is refused', async (t) => {
    const { mock, told, senders, answers } = setUp()
    answers('t-1', '{"errcode":42001,"errmsg":"access_token expired"}')
    answers('t-2', '{"errcode":0,"errmsg":"ok","msgid":12}')
    t.equal(msgidOf(await senders.deliver(account, message('subscribe'))), '12')
    answers('t-1', '{"errcode":43101,"errmsg":"user refuse to accept the msg"}')
    const refused = await senders.deliver(account, message('subscribe'))
    t.match(refused, { errcode: 43101 })
    t.equal(msgidOf(refused), null)
    t.same(told, ['refused 1', 'worked 2', 'worked 1'])
    mock.assertNoPendingInterceptors()
    await mock.close()
  })

  t.test('has no msgid without an answer, or when the answer names none', async (t) => {
    t.equal(msgidOf({ kind: 'noAnswer', reason: 'reset', ms: 1 }), null)
    t.equal(msgidOf({ kind: 'answer', errcode: 0, errmsg: 'ok', rid: null, body: {}, httpStatus: 200, ms: 1 }), null)
  })
})

import t from 'tap'
import {
  answerEcho,
  decrypt,
  openPush,
  parsePush,
  signature,
  verifySignature,
  type CallbackKeys
} from '../../../server/wechat/callback.js'
import { encryptPush } from '../../../server/sandbox/push-crypto.js'

const aesKey = 'kitDemoEncodingAESKey0123456789abcdefghijkA'
const appId = 'wxdemo0000000001'
const token = 'kit_demo_token'
const timestamp = '1700000000'
const nonce = '20240101'
const safe: CallbackKeys = { token, aesKey, appId, mode: 'safe' }
const plain: CallbackKeys = { token, appId, mode: 'plain' }

const finished =
  '<xml><ToUserName><![CDATA[gh_demo00000001]]></ToUserName><FromUserName><![CDATA[oDemoOpenId0001]]></FromUserName>' +
  '<CreateTime>1700000000</CreateTime><MsgType><![CDATA[event]]></MsgType>' +
  '<Event><![CDATA[TEMPLATESENDJOBFINISH]]></Event><MsgID>900000001</MsgID><Status><![CDATA[success]]></Status></xml>'

/** As the sandbox does it, whose code shares nothing with the one under test. */
const encrypt = (key: string, to: string, message: string, random = '0123456789abcdef') =>
  encryptPush(key, to, message, random)

/** Query and body of a push in safe mode, as WeChat sends it. */
function pushed(message: string, { to = appId, key = aesKey, sign = token, json = false } = {}) {
  const sealed = encrypt(key, to, message)
  return {
    query: {
      signature: signature(sign, timestamp, nonce),
      timestamp,
      nonce,
      encrypt_type: 'aes',
      msg_signature: signature(sign, timestamp, nonce, sealed)
    },
    body: json
      ? JSON.stringify({ ToUserName: 'gh_x', Encrypt: sealed })
      : `<xml><ToUserName>gh_x</ToUserName><Encrypt><![CDATA[${sealed}]]></Encrypt></xml>`
  }
}

t.test('a signature', async (t) => {
  t.test('is what the published way of computing gives', async (t) => {
    t.equal(signature('simtoken', '1560000000', '8642'), 'f78b847af0147ffca518e4b728be327a0f1d5f7e')
    t.equal(signature(token, timestamp, nonce), '234568c7ce20e890ffbf8a0758226daef98b67f3')
  })
  t.test('is compared whole', async (t) => {
    t.ok(verifySignature('234568c7ce20e890ffbf8a0758226daef98b67f3', token, timestamp, nonce))
    t.notOk(verifySignature('234568c7ce20e890ffbf8a0758226daef98b67f4', token, timestamp, nonce))
    t.notOk(verifySignature('234568c7', token, timestamp, nonce))
    t.notOk(verifySignature('', token, timestamp, nonce))
    t.notOk(verifySignature(undefined, token, timestamp, nonce))
  })
  t.test('lets the callback address be checked', async (t) => {
    const query = { signature: '234568c7ce20e890ffbf8a0758226daef98b67f3', timestamp, nonce, echostr: '5837' }
    t.equal(answerEcho(plain, query), '5837')
    t.throws(() => answerEcho({ ...plain, token: 'other' }, query), { status: 403, code: 'callback.bad-signature' })
    t.throws(() => answerEcho(plain, {}), { code: 'callback.bad-signature' })
  })
})

t.test('safe mode', async (t) => {
  const short = 'OA2CSJ+XwYjX3ExK+dRaDkdsdydnqMt6Kv0leDKeUgd4U8f6OUq1edavGj8fLfPEYk6ksf9HSCuXSF/F5Y92sg=='

  t.test('signs the encrypted text, as published', async (t) => {
    t.equal(encrypt(aesKey, appId, 'success', 'fedcba9876543210'), short)
    t.equal(signature(token, timestamp, nonce, short), 'e91e92da271405af768e1f154335f74393d42c3f')
    const long = encrypt(aesKey, appId, finished)
    t.equal(Buffer.from(long, 'base64').length, 352)
    t.equal(signature(token, timestamp, nonce, long), 'a22fe0c87cda263bf6b27dd4dcafea1221e5da6d')
    t.same(decrypt(aesKey, long), { message: finished, appId })
  })
  t.test('decrypts at every length of padding and in Chinese', async (t) => {
    t.same(decrypt(aesKey, short), { message: 'success', appId })
    for (let n = 0; n < 33; n++) {
      const message = '雁'.repeat(n) + 'x'
      t.same(decrypt(aesKey, encrypt(aesKey, appId, message)), { message, appId })
    }
  })
  t.test('says so when it cannot', async (t) => {
    const other = 'A'.repeat(43)
    t.throws(() => decrypt(other, short), { status: 422, code: 'callback.undecipherable' })
    for (const wrong of ['', 'AAAA', short.slice(0, 64), '%%%']) {
      t.throws(() => decrypt(aesKey, wrong), { code: 'callback.undecipherable' })
    }
    t.throws(() => decrypt('short', short), { code: 'callback.bad-key' })
    t.throws(() => decrypt('', short), { code: 'callback.bad-key' })
  })
  t.test('opens a push, in XML and JSON', async (t) => {
    for (const json of [false, true]) {
      const { query, body } = pushed(finished, { json })
      t.match(openPush(safe, query, body, json ? 'application/json' : 'text/xml'), {
        msgId: '900000001',
        status: 'success'
      })
    }
  })
  t.test('turns away what is wrongly signed, for someone else, in clear, or garbled', async (t) => {
    const forbidden = { status: 403, code: 'callback.bad-signature' }
    const { query, body } = pushed(finished)
    t.throws(() => openPush({ ...safe, token: 'other' }, query, body), forbidden)
    t.throws(() => openPush(safe, { ...query, msg_signature: undefined }, body), forbidden)
    t.throws(() => openPush(safe, { ...query, nonce: '1' }, body), forbidden)
    t.throws(() => openPush(safe, query, body.replace('<Encrypt><![CDATA[', '<Encrypt><![CDATA[AAAA')), forbidden)
    t.throws(() => openPush(safe, query, finished), forbidden)
    const clear = { ...query, encrypt_type: undefined, msg_signature: undefined }
    t.throws(() => openPush(safe, clear, finished), forbidden)
    const foreign = pushed(finished, { to: 'wxsomeoneelse' })
    t.throws(() => openPush(safe, foreign.query, foreign.body), forbidden)
    const rekeyed = pushed(finished, { key: 'A'.repeat(43) })
    t.throws(() => openPush(safe, rekeyed.query, rekeyed.body), { code: 'callback.undecipherable' })
  })
})

t.test('plain and compatible mode', async (t) => {
  const query = { signature: signature(token, timestamp, nonce), timestamp, nonce }
  t.test('open a clear push after its signature', async (t) => {
    t.match(openPush(plain, query, finished), { msgId: '900000001' })
    t.throws(() => openPush(plain, { ...query, signature: 'x' }, finished), { code: 'callback.bad-signature' })
  })
  t.test('prefer the encrypted part where there is one', async (t) => {
    const { query, body } = pushed(finished)
    const both = body.replace('</xml>', '<MsgType>event</MsgType><MsgID>1</MsgID></xml>')
    t.match(openPush({ ...safe, mode: 'compatible' }, query, both), { msgId: '900000001' })
    t.match(openPush({ ...safe, mode: 'compatible' }, { ...query, encrypt_type: undefined }, finished), {
      msgId: '900000001'
    })
    t.match(openPush(plain, query, both), { msgId: '1' }, 'an account set to plain reads the clear part')
  })
})

t.test('a push', async (t) => {
  t.test('of a finished send carries its number in full', async (t) => {
    const push = parsePush(finished.replace('900000001', '4625000000000000001'))
    t.match(push, {
      toUserName: 'gh_demo00000001',
      fromUserName: 'oDemoOpenId0001',
      createTime: new Date(1_700_000_000_000).toISOString(),
      msgType: 'event',
      event: 'TEMPLATESENDJOBFINISH',
      msgId: '4625000000000000001',
      status: 'success',
      list: []
    })
    t.match(parsePush(finished.replace('success', 'failed: system failed')), { status: 'failed: system failed' })
    t.match(parsePush(finished.replace('success', 'failed:user block')), { status: 'failed:user block' })
  })

  t.test('lists its items alike, from XML and JSON, one or several, as object or array', async (t) => {
    const head =
      '<xml><ToUserName><![CDATA[gh_0000000000a1]]></ToUserName><FromUserName><![CDATA[oSimUser]]></FromUserName>' +
      '<CreateTime>1560000000</CreateTime><MsgType><![CDATA[event]]></MsgType>'
    const item = (id: string, status: string) =>
      `<List><TemplateId><![CDATA[${id}]]></TemplateId><SubscribeStatusString><![CDATA[${status}]]></SubscribeStatusString>` +
      '<PopupScene>0</PopupScene></List>'
    const one = { templateId: 'Pk9a', subscribeStatus: 'accept', popupScene: '0' }
    const two = { templateId: 'Tz1b', subscribeStatus: 'reject', popupScene: '0' }
    const popup = (items: string) =>
      `${head}<Event><![CDATA[subscribe_msg_popup_event]]></Event><SubscribeMsgPopupEvent>${items}</SubscribeMsgPopupEvent></xml>`
    t.same(parsePush(popup(item('Pk9a', 'accept'))).list, [one])
    t.same(parsePush(popup(item('Pk9a', 'accept') + item('Tz1b', 'reject'))).list, [one, two])

    const json = (list: unknown) =>
      JSON.stringify({
        ToUserName: 'gh_0000000000a1',
        FromUserName: 'oSimUser',
        CreateTime: '1560000000',
        MsgType: 'event',
        Event: 'subscribe_msg_popup_event',
        List: list
      })
    const raw = (id: string, status: string) => ({ TemplateId: id, SubscribeStatusString: status, PopupScene: '0' })
    t.same(parsePush(json(raw('Pk9a', 'accept')), 'application/json').list, [one])
    t.same(parsePush(json([raw('Pk9a', 'accept'), raw('Tz1b', 'reject')])).list, [one, two])
    t.same(parsePush(json([])).list, [])
    t.same(parsePush(json([null, 1, {}])).list, [])
    t.same(parsePush(json([])).createTime, new Date(1_560_000_000_000))
  })

  t.test('of a sent subscribe message tells number, code and status whatever their JSON types', async (t) => {
    const expected = [{ templateId: 'Pk9a', msgId: '1988810812324360001', errorCode: 0, errorStatus: 'success' }]
    const head = '{"CreateTime":1560000060,"MsgType":"event","Event":"subscribe_msg_sent_event","List":'
    const list = '{"TemplateId":"Pk9a","MsgID":"1988810812324360001","ErrorCode":"0","ErrorStatus":"success"}'
    const bare = '[{"TemplateId":"Pk9a","MsgID":1988810812324360001,"ErrorCode":0,"ErrorStatus":"success"}]'
    t.same(parsePush(`${head}${list}}`).list, expected)
    t.same(parsePush(`${head}${bare}}`).list, expected)
    const xml =
      '<xml><MsgType>event</MsgType><SubscribeMsgSentEvent><List><TemplateId>Pk9a</TemplateId>' +
      '<MsgID>1988810812324360001</MsgID><ErrorCode>0</ErrorCode><ErrorStatus>success</ErrorStatus></List></SubscribeMsgSentEvent></xml>'
    t.same(parsePush(xml, 'text/xml').list, expected)
  })

  t.test('of a follower, a text or a platform keeps what is special to it', async (t) => {
    const follow =
      '<xml><MsgType>event</MsgType><Event>subscribe</Event><EventKey>qrscene_ch7</EventKey><Ticket>tk</Ticket></xml>'
    t.match(parsePush(follow), { event: 'subscribe', eventKey: 'qrscene_ch7', raw: { Ticket: 'tk' } })
    const text =
      '<xml><MsgType>text</MsgType><Content><![CDATA[ 1 < 2 & <!DOCTYPE> ]]></Content><MsgId>23456789012345678901</MsgId></xml>'
    t.match(parsePush(text), { content: '1 < 2 & <!DOCTYPE>', msgId: '23456789012345678901' })
    t.match(parsePush('{"MsgType":"text","Content":"hi","MsgId":23456789012345678}'), { msgId: '23456789012345678' })
    const ticket =
      '<xml><AppId>wxc</AppId><CreateTime>1</CreateTime><InfoType>component_verify_ticket</InfoType><ComponentVerifyTicket>ticket@@@x</ComponentVerifyTicket></xml>'
    t.match(parsePush(ticket), {
      msgType: '',
      infoType: 'component_verify_ticket',
      raw: { ComponentVerifyTicket: 'ticket@@@x' }
    })
    t.match(parsePush('<xml><MsgType>event</MsgType><Event>new_thing</Event><Deep><A>1</A></Deep></xml>'), {
      event: 'new_thing',
      createTime: new Date(0).toISOString(),
      raw: { Deep: { A: '1' } }
    })
  })

  t.test("never expands entities, and is unreadable when it is not WeChat's kind of text", async (t) => {
    const bomb =
      '<?xml version="1.0"?><!DOCTYPE xml [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]><xml><Content>&b;</Content></xml>'
    const unreadable = { status: 422, code: 'callback.unreadable' }
    t.throws(() => parsePush(bomb), unreadable)
    t.equal(parsePush('<xml><Content>&amp;&b;</Content></xml>').content, '&amp;&b;')
    for (const body of ['', 'x', '[]', '{"a":', '<html></html>', '<xml>', '<xml><a></b></xml>', 'null', '"x"']) {
      t.throws(() => parsePush(body), unreadable, body)
      t.throws(() => parsePush(body, 'application/json'), unreadable, body)
    }
  })
})

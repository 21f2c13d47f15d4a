import t from 'tap'
import { createWechatApi } from '../../../server/wechat/api.js'
import type { TokenCentre } from '../../../server/wechat/access-token.js'
import type { WechatAccount } from '../../../server/wechat/account.js'
import type { WechatClient, WechatRequest, WechatResult } from '../../../server/wechat/client.js'
import { ERRCODES, errcodeRow, isTokenErrcode } from '../../../server/wechat/errcodes.js'
import { expectOk, failureOf, refusedIp } from '../../../server/wechat/expect-ok.js'

const account: WechatAccount = {
  accountId: 'a1',
  appId: 'wx00000000000000a1',
  kind: 'service',
  apiBase: 'https://api.weixin.qq.com',
  tokenApi: 'stable'
}

const answer = (errcode: number, errmsg = '', body: object = {}): WechatResult => ({
  kind: 'answer',
  errcode,
  errmsg,
  rid: '66a1b2c3-0a1b2c3d-4e5f6071',
  body,
  httpStatus: 200,
  ms: 1
})

/** An api whose client notes what it is asked and answers from a list, and whose tokens are `token-<gen>`. */
function setUp(answers: WechatResult[] = [], { believes = 0 } = {}) {
  const asked: WechatRequest[] = []
  const told: string[] = []
  const client: WechatClient = {
    async call(request) {
      asked.push(request)
      return answers.shift() ?? answer(0)
    },
    async close() {}
  }
  const give = (gen: number) => ({ token: `token-${gen}`, gen, expiresAt: new Date('2026-03-01') })
  const tokens: TokenCentre = {
    current: async () => give(1),
    async refused(_, gen) {
      told.push(`refused ${gen}`)
      return give(believes-- > 0 ? gen : gen + 1)
    },
    worked: (_, gen) => void told.push(`worked ${gen}`),
    refresh: async () => give(9),
    forget: async () => {}
  }
  return { asked, told, api: createWechatApi({ client, tokens }) }
}

t.test('a call', async (t) => {
  t.test('carries the token in the query and says that it worked', async (t) => {
    const { api, asked, told } = setUp([answer(0, 'ok', { template_list: [] })])
    t.same(expectOk(await api.service.getAllPrivateTemplate(account)), { template_list: [] })
    t.match(asked, [{ base: 'https://api.weixin.qq.com', method: 'GET', query: { access_token: 'token-1' } }])
    t.same(told, ['worked 1'])
  })

  t.test('is repeated exactly once with a newer token when the first is refused', async (t) => {
    for (const code of [40001, 42001, 40014]) {
      const { api, asked, told } = setUp([answer(code), answer(code), answer(0)])
      t.match(await api.subscribe.getTemplate(account), { errcode: code })
      t.same(asked.map(({ query }) => query!.access_token), ['token-1', 'token-2']) // prettier-ignore
      t.same(told, ['refused 1'])
    }
    const { api, told } = setUp([answer(40001), answer(0)])
    t.match(await api.subscribe.getTemplate(account), { errcode: 0 })
    t.same(told, ['refused 1', 'worked 2'])
  })

  t.test('is repeated once with the same token where that is still believed in', async (t) => {
    const tokensOf = (asked: WechatRequest[]) => asked.map(({ query }) => query!.access_token)
    const passing = setUp([answer(40001), answer(0)], { believes: 1 })
    t.match(await passing.api.subscribe.getTemplate(account), { errcode: 0 })
    t.same(tokensOf(passing.asked), ['token-1', 'token-1'])
    t.same(passing.told, ['refused 1', 'worked 1'])
    const real = setUp([answer(40001), answer(40001), answer(0)], { believes: 1 })
    t.match(await real.api.subscribe.getTemplate(account), { errcode: 0 })
    t.same(tokensOf(real.asked), ['token-1', 'token-1', 'token-2'])
    const hopeless = setUp(Array(9).fill(answer(40001)), { believes: 9 })
    t.match(await hopeless.api.subscribe.getTemplate(account), { errcode: 40001 })
    t.equal(hopeless.asked.length, 3)
  })

  t.test('is not repeated for anything else', async (t) => {
    const lost: WechatResult = { kind: 'noAnswer', reason: 'reset', ms: 1 }
    const { api, asked, told } = setUp([answer(45009), lost])
    t.match(await api.users.get(account), { errcode: 45009 })
    t.match(await api.users.get(account), lost)
    t.equal(asked.length, 2)
    t.same(told, ['worked 1'])
  })

  t.test('has the method, path and body WeChat wants', async (t) => {
    const { api, asked } = setUp()
    await api.login.token(account, 's')
    await api.login.stableToken(account, 's', true)
    await api.login.jscode2session(account, 's', 'c0de')
    await api.legacy.libraryList(account, 20, 20)
    await api.legacy.libraryGet(account, 'AT0901')
    await api.legacy.add(account, 'AT0901', [7, 2])
    await api.legacy.list(account)
    await api.legacy.del(account, 'k')
    await api.subscribe.getCategory(account)
    await api.subscribe.getPubTemplateTitles(account, [616, 612], 30)
    await api.subscribe.getPubTemplateKeywords(account, '99')
    await api.subscribe.addTemplate(account, '401', [1, 2], '取件')
    await api.subscribe.addTemplate(account, '10000001', [])
    await api.subscribe.getTemplate(account)
    await api.subscribe.delTemplate(account, 'Pk')
    await api.service.getIndustry(account)
    await api.service.setIndustry(account, '1', '4')
    await api.service.addTemplate(account, '47123', ['订单号'])
    await api.service.addTemplate(account, 'TM00015')
    await api.service.getAllPrivateTemplate(account)
    await api.service.delPrivateTemplate(account, 'k')
    await api.users.get(account, 'o9')
    await api.users.info(account, 'o1')
    await api.users.batchGet(account, ['o1', 'o2'])
    await api.quota.clear(account)
    await api.quota.get(account, '/cgi-bin/message/template/send')
    await api.login.checkSession(account, 'o1', 'AAECAwQFBgcICQoLDA0ODw==')
    const message = { openId: 'o1', templateId: 'k', miniprogram: { appid: 'wxm', pagepath: 'p' } }
    await api.consented.once(account, { ...message, scene: 7, title: '提醒', content: '到了' })
    await api.consented.bizSend(account, { openId: 'o1', templateId: 'k', data: { thing1: { value: 'x' } } })
    await api.tags.list(account)
    await api.tags.members(account, 101)
    await api.tags.members(account, 101, 'o9')
    await api.tags.of(account, 'o1')
    await api.tags.put(account, 101, ['o1'])
    await api.tags.remove(account, 101, ['o1'])
    await api.lookup.rid(account, '66a1b2c3-0a1b2c3d-4e5f6071')
    await api.lookup.apiAddresses(account)
    await api.lookup.pushAddresses(account)
    await api.content.checkText(account, { openId: 'o1', scene: 2, content: '你好', title: '题' })
    const appid = 'wx00000000000000a1'
    const secret = 's'
    const grant_type = 'client_credential'
    const token = { access_token: 'token-1' }
    const template = '/cgi-bin/wxopen/template'
    const newtmpl = '/wxaapi/newtmpl'
    t.same(asked.map(({ method, path, query, json, form }) => [method, path, query, json ?? form]), [
      ['GET', '/cgi-bin/token', { grant_type, appid, secret }, undefined],
      ['POST', '/cgi-bin/stable_token', undefined, { grant_type, appid, secret, force_refresh: true }],
      ['GET', '/sns/jscode2session', { appid, secret, js_code: 'c0de', grant_type: 'authorization_code' }, undefined],
      ['POST', `${template}/library/list`, token, { offset: 20, count: 20 }],
      ['POST', `${template}/library/get`, token, { id: 'AT0901' }],
      ['POST', `${template}/add`, token, { id: 'AT0901', keyword_id_list: [7, 2] }],
      ['POST', `${template}/list`, token, { offset: 0, count: 20 }],
      ['POST', `${template}/del`, token, { template_id: 'k' }],
      ['GET', `${newtmpl}/getcategory`, token, undefined],
      ['GET', `${newtmpl}/getpubtemplatetitles`, { ...token, ids: '616,612', start: 30, limit: 30 }, undefined],
      ['GET', `${newtmpl}/getpubtemplatekeywords`, { ...token, tid: '99' }, undefined],
      ['POST', `${newtmpl}/addtemplate`, token, [['tid', '401'], ['kidList[0]', '1'], ['kidList[1]', '2'], ['sceneDesc', '取件']]],
      ['POST', `${newtmpl}/addtemplate`, token, [['tid', '10000001']]],
      ['GET', `${newtmpl}/gettemplate`, token, undefined],
      ['POST', `${newtmpl}/deltemplate`, token, [['priTmplId', 'Pk']]],
      ['GET', '/cgi-bin/template/get_industry', token, undefined],
      ['POST', '/cgi-bin/template/api_set_industry', token, { industry_id1: '1', industry_id2: '4' }],
      ['POST', '/cgi-bin/template/api_add_template', token, { template_id_short: '47123', keyword_name_list: ['订单号'] }],
      ['POST', '/cgi-bin/template/api_add_template', token, { template_id_short: 'TM00015' }],
      ['GET', '/cgi-bin/template/get_all_private_template', token, undefined],
      ['POST', '/cgi-bin/template/del_private_template', token, { template_id: 'k' }],
      ['GET', '/cgi-bin/user/get', { ...token, next_openid: 'o9' }, undefined],
      ['GET', '/cgi-bin/user/info', { ...token, openid: 'o1', lang: 'zh_CN' }, undefined],
      ['POST', '/cgi-bin/user/info/batchget', token, { user_list: [{ openid: 'o1', lang: 'zh_CN' }, { openid: 'o2', lang: 'zh_CN' }] }],
      ['POST', '/cgi-bin/clear_quota', token, { appid }],
      ['POST', '/cgi-bin/openapi/quota/get', token, { cgi_path: '/cgi-bin/message/template/send' }],
      // the signature as WeChat's own sample is computed: over nothing, keyed with the base64 text
      ['GET', '/wxa/checksession', { ...token, openid: 'o1', signature: '75c022993d64e3ac224c1c9d6f2b4c6eb53f22f6c7aa6be94428577d11d12fd5', sig_method: 'hmac_sha256' }, undefined],
      ['POST', '/cgi-bin/message/template/subscribe', token, { touser: 'o1', template_id: 'k', miniprogram: message.miniprogram, scene: '7', title: '提醒', data: { content: { value: '到了' } } }],
      ['POST', '/cgi-bin/message/subscribe/bizsend', token, { touser: 'o1', template_id: 'k', data: { thing1: { value: 'x' } } }],
      ['GET', '/cgi-bin/tags/get', token, undefined],
      ['POST', '/cgi-bin/user/tag/get', token, { tagid: 101 }],
      ['POST', '/cgi-bin/user/tag/get', token, { tagid: 101, next_openid: 'o9' }],
      ['POST', '/cgi-bin/tags/getidlist', token, { openid: 'o1' }],
      ['POST', '/cgi-bin/tags/members/batchtagging', token, { openid_list: ['o1'], tagid: 101 }],
      ['POST', '/cgi-bin/tags/members/batchuntagging', token, { openid_list: ['o1'], tagid: 101 }],
      ['POST', '/cgi-bin/openapi/rid/get', token, { rid: '66a1b2c3-0a1b2c3d-4e5f6071' }],
      ['GET', '/cgi-bin/get_api_domain_ip', token, undefined],
      ['GET', '/cgi-bin/getcallbackip', token, undefined],
      ['POST', '/wxa/msg_sec_check', token, { version: 2, openid: 'o1', scene: 2, content: '你好', title: '题' }]
    ]) // prettier-ignore
    t.ok(asked.filter(({ query }) => query?.access_token).every((each) => each.account === 'a1'), 'each takes its turn') // prettier-ignore
  })
})

t.test('a failure', async (t) => {
  t.test('tells code, words and rid, and whether asking again helps', async (t) => {
    const rid = '66a1b2c3-0a1b2c3d-4e5f6071'
    t.throws(() => expectOk(answer(45009, 'reach max api daily quota limit')), {
      name: 'UpstreamFailure',
      status: 502,
      code: 'wechat.45009',
      retryable: true,
      facts: { errcode: 45009, errmsg: 'reach max api daily quota limit', rid }
    })
    t.throws(() => expectOk(answer(48001)), { name: 'UpstreamFailure', retryable: false })
    t.throws(() => expectOk(answer(-1)), { name: 'UpstreamFailure', retryable: true })
    t.throws(() => expectOk(answer(40001)), { name: 'UpstreamFailure', retryable: true })
    t.throws(() => expectOk(answer(31337, 'odd')), { name: 'UpstreamFailure', retryable: false, message: /31337 odd/ })
  })
  t.test('that the caller can repair is their input', async (t) => {
    for (const code of [45075, 45100, 200014, 40246, 40003, 40037, 45026, 40029]) {
      t.throws(() => expectOk(answer(code)), {
        name: 'InvalidInput',
        status: 422,
        code: `wechat.${code}`,
        facts: { errcode: code }
      })
    }
  })
  t.test('of the address white list names the address', async (t) => {
    const errmsg = 'invalid ip 203.0.113.7 ipv6 ::ffff:203.0.113.7, not in whitelist rid: 66a1b2c3-0a1b2c3d-4e5f6071'
    const failure = failureOf(answer(40164, errmsg))
    t.match(failure, {
      code: 'wechat.ip-not-allowed',
      message: /203\.0\.113\.7/,
      facts: { ip: '203.0.113.7', errcode: 40164 }
    })
    t.equal(refusedIp('invalid ip 2001:db8::7, not in whitelist'), '2001:db8::7')
    t.equal(refusedIp('something else'), null)
  })
  t.test('of the road to WeChat says how far the call came', async (t) => {
    t.match(failureOf({ kind: 'notSent', reason: 'ECONNREFUSED', ms: 1 }), {
      code: 'wechat.not-reached',
      retryable: true,
      message: /ECONNREFUSED/
    })
    t.match(failureOf({ kind: 'refused', reason: 'HTTP 404', httpStatus: 404, ms: 1 }), {
      code: 'wechat.turned-away',
      retryable: false,
      facts: { httpStatus: 404 }
    })
    t.match(failureOf({ kind: 'noAnswer', reason: 'HTTP 502', httpStatus: 502, ms: 1 }), {
      code: 'wechat.no-answer',
      retryable: true,
      facts: { httpStatus: 502 }
    })
  })
})

t.test('the table of errcodes', async (t) => {
  // Every code of the two collections of facts, mini-programs and service accounts, the phone's own codes included.
  const known = `
    -1 0 10001 10002 10003 10004 10005 20001 20002 20003 20004 20005 20013 40001 40002 40003 40013 40014 40029 40033
    40035 40036 40037 40039 40048 40066 40097 40102 40125 40129 40132 40163 40164 40165 40166 40226 40241 40243 40246
    40249 41001 41002 41004 41008 41009 41028 41029 41030 41031 41032 41034 41035 42001 42002 42007 43001 43002 43003
    43004 43005 43019 43100 43101 43102 43104 43106 43108 43116 43117 43302 44002 45009 45011 45012 45015 45026 45027
    45029 45035 45047 45065 45066 45067 45075 45100 45102 45103 45109 45157 45158 45159 45168 46101 47001 47002 47003
    48001 48002 48004 48006 48011 49003 50001 50002 50004 50005 50007 61003 61004 61005 61006 61007 61008 61009 61010 61011
    61014 61015 61016 61017 61023 61024 61028 76001 76002 76003 76004 76021 76022 85107 87007 87008 87009 87014 89501
    89503 89506 89507 200002 200011 200012 200013 200014 200016 200017 200018 200019 200020 200021 1119003 1119004`
    .trim()
    .split(/\s+/)
    .map(Number)
  const scopes = 'message credential person template interface account token transient login management'.split(' ')
  const retries = 'never later token afterFix newCredential'.split(' ')

  t.test('has one whole row for each code there is', async (t) => {
    t.same(ERRCODES.map(({ code }) => code), known) // prettier-ignore
    t.equal(new Set(known).size, known.length)
    for (const row of ERRCODES) {
      t.ok(scopes.includes(row.scope), `${row.code} scope ${row.scope}`)
      t.ok(retries.includes(row.retry), `${row.code} retry ${row.retry}`)
      t.ok(row.meaning !== '' && row.advice !== '', `${row.code} says something`)
    }
  })
  t.test('finds a row by its code, and none for a code nobody knows', async (t) => {
    t.match(errcodeRow(41028), { code: 41028, text: 'invalid form id', scope: 'credential', retry: 'newCredential' })
    t.equal(errcodeRow(31337), undefined)
    t.same(ERRCODES.filter(({ code }) => isTokenErrcode(code)).map(({ code }) => code), [40001, 40014, 42001]) // prettier-ignore
    t.same(ERRCODES.filter(({ retry }) => retry === 'token').map(({ code }) => code), [40001, 40014, 42001]) // prettier-ignore
  })
})

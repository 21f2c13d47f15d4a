import t from 'tap'
import type { WechatClient, WechatRequest } from '../../../server/wechat/client.js'
import { consentPage, consentPageInWechat, createComponentApi } from '../../../server/wechat/component.js'

const platform = { appId: 'wxplatform0000001', apiBase: 'https://api.weixin.qq.com' }

t.test("a platform's call has the path, token and body WeChat wants", async (t) => {
  const asked: WechatRequest[] = []
  const client: WechatClient = {
    async call(request) {
      asked.push(request)
      return { kind: 'answer', errcode: 0, errmsg: '', rid: null, body: { ok: true } as never, httpStatus: 200, ms: 1 }
    },
    async close() {}
  }
  const api = createComponentApi({ client })
  await api.startPushTicket(platform, 's')
  await api.token(platform, 's', 'ticket@@@1')
  await api.preAuthCode(platform, 'T')
  await api.queryAuth(platform, 'T', 'code@@@1')
  await api.authorizerToken(platform, 'T', 'wxsvc', 'refreshtoken@@@1')
  await api.authorizerInfo(platform, 'T', 'wxsvc')
  await api.authorizers(platform, 'T', 100, 500)
  const component_appid = platform.appId
  const query = { component_access_token: 'T' }
  const told = asked.map((each) => [each.path.replace('/cgi-bin/component/', ''), each.query, each.json])
  t.same(told, [
    ['api_start_push_ticket', undefined, { component_appid, component_secret: 's' }],
    ['api_component_token', undefined, { component_appid, component_appsecret: 's', component_verify_ticket: 'ticket@@@1' }],
    ['api_create_preauthcode', query, { component_appid }],
    ['api_query_auth', query, { component_appid, authorization_code: 'code@@@1' }],
    ['api_authorizer_token', query, { component_appid, authorizer_appid: 'wxsvc', authorizer_refresh_token: 'refreshtoken@@@1' }],
    ['api_get_authorizer_info', query, { component_appid, authorizer_appid: 'wxsvc' }],
    ['api_get_authorizer_list', query, { component_appid, offset: 100, count: 500 }]
  ]) // prettier-ignore
  t.ok(asked.every(({ method, base, account }) => method === 'POST' && base === platform.apiBase && account))
})

t.test('the page where an administrator consents', async (t) => {
  const link = {
    platformAppId: 'wxplatform0000001',
    preAuthCode: 'preauthcode@@@1',
    redirectUri: 'https://hongyan.example/return?state=1&x=雁'
  }
  const page = new URL(consentPage({ ...link, authType: 1 }))
  t.equal(page.origin + page.pathname, 'https://mp.weixin.qq.com/cgi-bin/componentloginpage')
  t.same(Object.fromEntries(page.searchParams), {
    component_appid: link.platformAppId,
    pre_auth_code: link.preAuthCode,
    redirect_uri: link.redirectUri,
    auth_type: '1'
  })
  const inside = consentPageInWechat({ ...link, bizAppId: 'wxsvc', permissionSets: [1, 2, 7] })
  t.ok(inside.startsWith('https://open.weixin.qq.com/wxaopen/safe/bindcomponent?action=bindcomponent&no_scan=1&'))
  t.ok(inside.endsWith('#wechat_redirect'))
  t.match(Object.fromEntries(new URL(inside).searchParams), {
    auth_type: '3',
    biz_appid: 'wxsvc',
    category_id_list: '1|2|7'
  })
  t.ok(consentPage(link, 'http://127.0.0.1:8199').startsWith('http://127.0.0.1:8199/cgi-bin/componentloginpage?'))
})

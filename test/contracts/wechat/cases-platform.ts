import {
  CATEGORY,
  get,
  HOUR,
  later,
  MINI,
  MINUTE,
  PLATFORM,
  post,
  SEND,
  SERVICE,
  set,
  type Ask,
  type Case,
  type Chapter,
  type Step
} from './case.js'

const C = '/cgi-bin/component/'
const ticket = set('platforms/ticket', { appid: PLATFORM.appid }, { ticket: 'ticket' })
const buys = (more: object = {}) =>
  post(`${C}api_component_token`, {
    component_appid: PLATFORM.appid,
    component_appsecret: PLATFORM.secret,
    component_verify_ticket: '{ticket}',
    ...more
  })
const bought: Step = { ...buys(), keep: { component: 'component_access_token' } }
const platform = (name: string, body: object = {}): Ask =>
  post(`${C}${name}`, { component_appid: PLATFORM.appid, ...body }, { component_access_token: '{component}' })
const grants = (sets?: number[], appid = SERVICE.appid) =>
  set(
    'authorizations',
    { platform: PLATFORM.appid, appid, ...(sets === undefined ? {} : { sets }) },
    { authCode: 'authCode' }
  )
const queried: Step = {
  ...platform('api_query_auth', { authorization_code: '{authCode}' }),
  keep: {
    account: 'authorization_info.authorizer_access_token',
    refresh: 'authorization_info.authorizer_refresh_token'
  }
}
const query = platform('api_query_auth', { authorization_code: '{authCode}' })
const refreshes = (more: object = {}) =>
  platform('api_authorizer_token', { authorizer_appid: SERVICE.appid, authorizer_refresh_token: '{refresh}', ...more })
const ready = [ticket, bought]
const account = { access_token: '{account}' }
const own: Step = {
  ...get('/cgi-bin/token', { grant_type: 'client_credential', ...SERVICE }),
  keep: { component: 'access_token' }
}
const cancel = set('authorizations/cancel', { platform: PLATFORM.appid, appid: SERVICE.appid })

// prettier-ignore
const cases: Case[] = [
  { fact: 'S 7.2', name: 'a ticket buys a token, without errcode', before: [ticket], ask: buys(), code: 0, has: { component_access_token: String, expires_in: 7200 }, lacks: ['errcode'] },
  { fact: 'S 7.2', name: 'an older ticket does too', before: [ticket, set('platforms/ticket', { appid: PLATFORM.appid })], ask: buys(), code: 0 },
  { fact: 'S 7.2', name: 'a ticket of twelve hours does not', before: [ticket, later(12 * HOUR)], ask: buys(), code: 61005 },
  { fact: 'S 7.2', name: 'a ticket nobody pushed', ask: buys({ component_verify_ticket: 'ticket@@@x' }), code: 61006 },
  { fact: 'S 7.2', name: 'a wrong secret', before: [ticket], ask: buys({ component_appsecret: 'x' }), code: 40125 },
  { fact: 'S 7.2', name: 'no secret', before: [ticket], ask: buys({ component_appsecret: undefined }), code: 41004 },
  { fact: 'S 7.2', name: 'an unknown platform', before: [ticket], ask: buys({ component_appid: 'wxffffffffffffffff' }), code: 40013 },
  { fact: 'S 7.2', name: 'an account is no platform', before: [ticket], ask: buys({ component_appid: MINI.appid }), code: 61011 },
  { fact: 'S 7.2', name: 'a caller not registered', before: [set('platforms', { ...PLATFORM, token: 't', aesKey: 'kitDemoEncodingAESKey0123456789abcdefghijkA', whitelist: ['203.0.113.7'] }), ticket], ask: buys(), code: 61004 },
  { fact: 'S 7.2', name: 'no body', ask: { method: 'POST', path: `${C}api_component_token` }, code: 44002 },
  { fact: 'S 7.2', name: 'a day limit', before: [ticket, set('quotas', { appid: PLATFORM.appid, path: `${C}api_component_token`, limit: 0 })], ask: buys(), code: 45009 },
  { fact: 'S 7.2', name: 'pushing of tickets is started by secret', ask: post(`${C}api_start_push_ticket`, { component_appid: PLATFORM.appid, component_secret: PLATFORM.secret }), code: 0 },
  { fact: 'S 7.2', name: 'under that key', ask: post(`${C}api_start_push_ticket`, { component_appid: PLATFORM.appid, component_appsecret: PLATFORM.secret }), code: 41004 },
  { fact: 'S 7.2', name: 'a pre-auth code', before: ready, ask: platform('api_create_preauthcode'), code: 0, has: { pre_auth_code: /^preauthcode@@@/, expires_in: 600 }, lacks: ['errcode'] },
  { fact: 'S 7.2', name: 'the token under its newer name', before: ready, ask: post(`${C}api_create_preauthcode`, { component_appid: PLATFORM.appid }, { access_token: '{component}' }), code: 0 },
  { fact: 'S 7.2', name: 'without token', ask: post(`${C}api_create_preauthcode`, { component_appid: PLATFORM.appid }), code: 41001 },
  { fact: 'S 7.2', name: "with an account's own token", before: [own], ask: platform('api_create_preauthcode'), code: 61014 },
  { fact: 'S 7.2', name: 'the component token on an ordinary call', before: ready, ask: get('/cgi-bin/user/get', { access_token: '{component}' }), code: 61015 },
  { fact: 'S 7.2', name: 'a token older than two hours', before: [...ready, later(2 * HOUR)], ask: platform('api_create_preauthcode'), code: 42001 },
  { fact: 'S 7.2', name: 'for another platform', before: ready, ask: platform('api_create_preauthcode', { component_appid: MINI.appid }), code: 61011 },
  { fact: 'S 7.4', name: 'an authorisation code tells what was granted', before: [...ready, grants([1, 2, 7])], ask: query, code: 0, has: { authorization_info: { authorizer_appid: SERVICE.appid, authorizer_access_token: String, expires_in: 7200, authorizer_refresh_token: /^refreshtoken@@@/, func_info: [{ funcscope_category: { id: 1 } }, { funcscope_category: { id: 2 } }, { funcscope_category: { id: 7 } }] } } },
  { fact: 'S 7.4', name: 'once', before: [...ready, grants(), queried], ask: query, code: 61009 },
  { fact: 'S 7.4', name: 'for ten minutes', before: [...ready, grants(), later(10 * MINUTE)], ask: query, code: 61010 },
  { fact: 'S 7.4', name: 'an unknown code', before: ready, ask: platform('api_query_auth', { authorization_code: 'x' }), code: 61009 },
  { fact: 'S 7.4', name: "the account's next token", before: [...ready, grants(), queried], ask: refreshes(), code: 0, has: { authorizer_access_token: String, expires_in: 7200, authorizer_refresh_token: '{refresh}' } },
  { fact: 'S 7.4', name: 'an unknown refresh token', before: [...ready, grants(), queried], ask: refreshes({ authorizer_refresh_token: 'x' }), code: 61023 },
  { fact: 'S 7.4', name: 'no refresh token', before: [...ready, grants(), queried], ask: refreshes({ authorizer_refresh_token: null }), code: 61023 },
  { fact: 'S 7.4', name: 'authorising anew replaces the refresh token', before: [...ready, grants(), queried, grants()], ask: refreshes(), code: 61023 },
  { fact: 'S 7.4', name: 'the refresh token may change with each use', before: [...ready, grants(), queried, set('settings', { rotateRefreshToken: true }), refreshes()], ask: refreshes(), code: 61023 },
  { fact: 'S 7.4', name: 'an account that never authorised', before: ready, ask: refreshes({ authorizer_refresh_token: 'x' }), code: 61003 },
  { fact: 'S 7.4', name: 'who the account is', before: [...ready, grants()], ask: platform('api_get_authorizer_info', { authorizer_appid: SERVICE.appid }), code: 0, has: { authorizer_info: { nick_name: String, user_name: /^gh_/, service_type_info: { id: 2 }, verify_type_info: { id: 0 }, business_info: { open_pay: 0 }, account_status: 1 }, authorization_info: { authorizer_appid: SERVICE.appid, func_info: Array } } },
  { fact: 'S 7.4', name: 'an account not verified', before: [...ready, set('apps', { ...SERVICE, kind: 'service', verified: false, serviceType: 0 }), grants()], ask: platform('api_get_authorizer_info', { authorizer_appid: SERVICE.appid }), code: 0, has: { authorizer_info: { service_type_info: { id: 0 }, verify_type_info: { id: -1 } } } },
  { fact: 'S 7.4', name: 'a mini-program tells that it is one', before: [...ready, grants([18], MINI.appid)], ask: platform('api_get_authorizer_info', { authorizer_appid: MINI.appid }), code: 0, has: { authorizer_info: { MiniProgramInfo: Object } } },
  { fact: 'S 7.4', name: 'the list of accounts', before: [...ready, grants(), grants([18], MINI.appid), queried], ask: platform('api_get_authorizer_list', { offset: 1, count: 1 }), code: 0, has: { total_count: 2, list: [{ authorizer_appid: MINI.appid, refresh_token: '{refresh}', auth_time: Number }] } },
  { fact: 'S 7.4', name: 'an option of an account', before: [...ready, grants()], ask: platform('api_get_authorizer_option', { authorizer_appid: SERVICE.appid, option_name: 'location_report' }), code: 0, has: { option_name: 'location_report', option_value: '0' } },
  { fact: 'S 7.4', name: 'an option there is not', before: [...ready, grants()], ask: platform('api_get_authorizer_option', { authorizer_appid: SERVICE.appid, option_name: 'x' }), code: 40097 },
  { fact: 'S 7.6', name: 'ordinary calls take the account token', before: [...ready, grants([2]), queried], ask: get('/cgi-bin/user/get', account), code: 0, has: { total: 1 } },
  { fact: 'S 7.6', name: 'followers need set 2', before: [...ready, grants([7]), queried], ask: get('/cgi-bin/user/get', account), code: 61007 },
  { fact: 'S 7.6', name: 'templates need set 7', before: [...ready, grants([2]), queried], ask: post(SEND, { touser: '{follower}', template_id: CATEGORY }, account), code: 61007 },
  { fact: 'S 3.2', name: 'subscription notices need set 89', before: [...ready, grants([2, 7]), queried], ask: get('/wxaapi/newtmpl/gettemplate', account), code: 61007 },
  { fact: 'S 7.6', name: 'the account must have the call itself', before: [...ready, set('apps', { ...SERVICE, kind: 'service', verified: false }), grants([7]), queried], ask: post(SEND, {}, account), code: 48001 },
  { fact: 'S 7.6', name: "the quota is the account's own", before: [...ready, grants([2]), queried, set('quotas', { appid: SERVICE.appid, path: '/cgi-bin/user/get', used: 500 })], ask: get('/cgi-bin/user/get', account), code: 45009 },
  { fact: 'S 7.5', name: 'an authorisation taken back', before: [...ready, grants(), queried, cancel], ask: get('/cgi-bin/user/get', account), code: 61003 },
  { fact: 'S 7.5', name: 'its refresh token too', before: [...ready, grants(), queried, cancel], ask: refreshes(), code: 61003 },
  { fact: 'S 5.2', name: 'the account keeps its own token beside it', before: [...ready, grants(), { ...own, keep: { own: 'access_token' } }, queried], ask: get('/cgi-bin/user/get', { access_token: '{own}' }), code: 0 }
]

export const platforms: Chapter = { title: 'a third-party platform', cases }

import {
  DAY,
  get,
  HOUR,
  later,
  LEGACY,
  MINI,
  post,
  SERVICE,
  set,
  STRANGER,
  SUBSCRIBE,
  type Case,
  type Chapter,
  type Step
} from './case.js'

const quota = (cgi_path: unknown) => post('/cgi-bin/openapi/quota/get', { cgi_path })
const rid = (value: unknown) => post('/cgi-bin/openapi/rid/get', { rid: value })
const clear = (appid: string): Step => ({ ...post('/cgi-bin/clear_quota', { appid }), as: 'mini' })
const clearOne: Step = { ...post('/cgi-bin/openapi/quota/clear', { cgi_path: LEGACY }), as: 'mini' }
/** A call that fails, for its rid; the mark ends the errmsg. */
const failed: Step = { ...post(SUBSCRIBE, { touser: STRANGER }), as: 'mini', keep: { rid: 'errmsg' } }
const fresh: Step = {
  ...get('/cgi-bin/token', { grant_type: 'client_credential', ...MINI }),
  keep: { token: 'access_token' }
}

// prettier-ignore
const quotas: Case[] = [
  { fact: 'M 9.2', name: 'the quota of a path', as: 'mini', before: [set('quotas', { appid: MINI.appid, path: LEGACY, used: 17 })], ask: quota(LEGACY), code: 0, has: { quota: { daily_limit: 1_000_000, used: 17, remain: 999_983 } } },
  { fact: 'M 9.2', name: 'the quota of a send call', as: 'mini', ask: quota(SUBSCRIBE), code: 0, has: { quota: { daily_limit: Number, used: Number, remain: Number } }, readOnly: true },
  { fact: 'M 9.2', name: 'a path without its slash', as: 'mini', ask: quota('cgi-bin/token'), code: [76003, 76021], readOnly: true },
  { fact: 'M 9.2', name: 'a path with the host', as: 'mini', ask: quota('https://api.weixin.qq.com/cgi-bin/token'), code: [76003, 76021], readOnly: true },
  { fact: 'S 5.5', name: 'a path there is not', as: 'mini', ask: quota('/cgi-bin/nothing'), code: 76021 },
  { fact: 'M 9.2', name: 'a path of /sns', as: 'mini', ask: quota('/sns/jscode2session'), code: 76022, readOnly: true },
  { fact: 'M 9.1', name: 'clearing frees the day', as: 'mini', before: [set('quotas', { appid: MINI.appid, path: LEGACY, used: 1_000_000 }), clear(MINI.appid)], ask: quota(LEGACY), code: 0, has: { quota: { used: 0 } } },
  { fact: 'M 9.1', name: 'clearing for another app', as: 'mini', ask: clear(SERVICE.appid), code: 40013 },
  { fact: 'M 9.1', name: 'ten times a month', as: 'mini', before: [{ ...clear(MINI.appid), times: 10 }], ask: clear(MINI.appid), code: 48006 },
  { fact: 'M 9.1', name: 'the month counts, not the day', as: 'mini', before: [{ ...clear(MINI.appid), times: 10 }, later(31 * DAY), fresh], ask: clear(MINI.appid), code: 0 },
  { fact: 'M 9.3', name: 'clearing by secret in the query', ask: { method: 'POST', path: '/cgi-bin/clear_quota/v2', query: { appid: MINI.appid, appsecret: MINI.secret } }, code: 0 },
  { fact: 'M 9.3', name: 'clearing by secret in the body', ask: post('/cgi-bin/clear_quota/v2', { appid: MINI.appid, appsecret: MINI.secret }), code: 0 },
  { fact: 'M 9.3', name: 'clearing by a wrong secret', ask: post('/cgi-bin/clear_quota/v2', { appid: MINI.appid, appsecret: 'x' }), code: 40125 },
  { fact: 'M 9.3', name: 'both ways share the ten', as: 'mini', before: [{ ...post('/cgi-bin/clear_quota/v2', { appid: MINI.appid, appsecret: MINI.secret }), times: 10 }], ask: clear(MINI.appid), code: 48006 },
  { fact: 'M 9.5', name: 'clearing one path', as: 'mini', before: [set('quotas', { appid: MINI.appid, path: LEGACY, used: 9 }), clearOne], ask: quota(LEGACY), code: 0, has: { quota: { used: 0 } } },
  { fact: 'M 9.5', name: 'fifty times a month', as: 'mini', before: [{ ...clearOne, times: 50 }], ask: clearOne, code: 48006 },
  { fact: 'M 9.4', name: 'a malformed rid', as: 'mini', ask: rid('x'), code: 76002, readOnly: true },
  { fact: 'M 9.4', name: 'an unknown rid', as: 'mini', ask: rid('00000000-00000000-00000000'), code: [76001, 76004] },
  { fact: 'M 9.4', name: 'an own rid tells of its call', as: 'mini', before: [failed], ask: rid('{rid}'), code: 0, has: { request: { invoke_time: Number, request_url: /^\/cgi-bin\/message\/subscribe\/send/, request_body: /touser/, response_body: /40003/ } } },
  { fact: 'M 9.4', name: 'a rid of another app', as: 'service', before: [failed], ask: rid('{rid}'), code: 76003 },
  { fact: 'M 9.4', name: 'a rid is kept seven days', as: 'mini', before: [failed, later(7 * DAY + HOUR), fresh], ask: rid('{rid}'), code: 76004 },
  { fact: 'S 5.3', name: 'addresses of the hosts', as: 'mini', ask: get('/cgi-bin/get_api_domain_ip'), code: 0, has: { ip_list: Array }, lacks: ['errmsg'], readOnly: true },
  { fact: 'S 5.3', name: 'addresses pushes come from', as: 'service', ask: get('/cgi-bin/getcallbackip'), code: 0, has: { ip_list: Array }, readOnly: true }
]

const check = (more: object = {}) =>
  post('/wxa/msg_sec_check', { version: 2, openid: '{openid}', scene: 1, content: '你好', ...more })

// prettier-ignore
const content: Case[] = [
  { fact: 'M 10.1', name: 'a clean text', as: 'mini', ask: check(), code: 0, has: { result: { suggest: 'pass', label: 100 }, trace_id: String, detail: Array } },
  { fact: 'M 10.1', name: 'a risky text is a verdict, not an error', as: 'mini', ask: check({ content: '赌博' }), code: 0, has: { result: { suggest: 'risky', label: Number } } },
  { fact: 'M 10.1', name: 'the version as text', as: 'mini', ask: check({ version: '2' }), code: 0 },
  { fact: 'M 10.1', name: 'a risky text, first version', as: 'mini', ask: check({ version: undefined, content: '赌博' }), code: 87014 },
  { fact: 'M 10.1', name: 'a clean text, first version', as: 'mini', ask: post('/wxa/msg_sec_check', { content: '你好' }), code: 0, lacks: ['result'] },
  { fact: 'M 10.1', name: 'a scene there is not', as: 'mini', ask: check({ scene: 9 }), code: 40129 },
  { fact: 'M 10.1', name: 'an unknown openid', as: 'mini', ask: check({ openid: STRANGER }), code: 40003 },
  { fact: 'M 10.1', name: 'an openid of another app', as: 'mini', ask: check({ openid: '{follower}' }), code: 43104 },
  { fact: 'M 10.1', name: 'one who was here two hours ago', as: 'mini', before: [later(2 * HOUR), fresh], ask: check(), code: 0 },
  { fact: 'M 10.1', name: 'one who was not', as: 'mini', before: [later(2 * HOUR + 1000), fresh], ask: check(), code: 61010 },
  { fact: 'M 10.1', name: 'one who came back', as: 'mini', before: [later(3 * HOUR), fresh, set('formids', { appid: MINI.appid, openid: '{openid}' })], ask: check(), code: 0 },
  { fact: 'M 10.1', name: 'a text of 2501 characters', as: 'mini', ask: check({ content: '好'.repeat(2501) }), code: 47001 },
  { fact: 'M 0.2', name: 'a stray token in the body', as: 'mini', ask: check({ access_token: 'x' }), code: 47001 },
  { fact: 'M 10.1', name: 'by GET', as: 'mini', ask: get('/wxa/msg_sec_check'), code: 43302, readOnly: true }
]

export const operations: Chapter[] = [
  { title: 'quotas and rids', cases: quotas },
  { title: 'the content check', cases: content }
]

import { get, LEGACY, MINI, post, raw, SEND, set, STRANGER, type Case, type Chapter } from './case.js'

const LIST = '/cgi-bin/wxopen/template/list'
const body = { touser: STRANGER, template_id: 'x', data: {} }
const RID = /rid: [0-9a-f]{8}-[0-9a-f]{8}-[0-9a-f]{8}/

// prettier-ignore
const common: Case[] = [
  { fact: 'M 0.11', name: 'an unknown path is an invalid url', ask: get('/cgi-bin/nothing'), code: 40066 },
  { fact: 'M 0.11', name: 'a GET call refuses POST', ask: post('/cgi-bin/token'), code: 43001 },
  { fact: 'M 0.11', name: 'a POST call refuses GET', ask: get(LEGACY, { access_token: 'x' }), code: 43002 },
  { fact: 'M 0.11', name: 'other verbs are refused too', ask: { method: 'PUT', path: LEGACY, body }, code: 43002 },
  { fact: 'M 0.2', name: 'a token in the body does not count', ask: post(LEGACY, { ...body, access_token: '{token}' }), code: 41001 },
  { fact: 'M 0.2', name: 'no token at all', ask: post(LEGACY, body), code: 41001 },
  { fact: 'M 0.2', name: 'an empty token is none', ask: post(LEGACY, body, { access_token: '' }), code: 41001 },
  { fact: 'M 1.1.3', name: 'a garbled token', ask: get('/cgi-bin/get_api_domain_ip', { access_token: 'garbled' }), code: [40014, 40001], readOnly: true },
  { fact: 'M 1.1.3', name: 'a well-shaped token nobody gave out', ask: post(LEGACY, body, { access_token: `71_${'x'.repeat(100)}` }), code: 40001 },
  { fact: 'M 0.11', name: 'an empty body', as: 'mini', ask: raw(LEGACY, ''), code: 44002 },
  { fact: 'M 0.11', name: 'broken JSON', as: 'mini', ask: raw(LEGACY, '{"touser":'), code: 47001 },
  { fact: 'M 0.11', name: 'a JSON array is no body', as: 'mini', ask: raw(LEGACY, '[]'), code: 47001 },
  { fact: 'M 2.3.4', name: 'the token is judged before the body', ask: { ...raw(LEGACY, '{'), query: { access_token: 'garbled' } }, code: 40014 },
  { fact: 'M 1.1.9', name: 'a mini-program has no followers', as: 'mini', ask: get('/cgi-bin/user/get'), code: 48001 },
  { fact: 'M 1.1.9', name: 'a service account has no formIds', as: 'service', ask: post(LEGACY, body), code: 48001 },
  { fact: 'M 2.4', name: 'a mini-program does not send service templates', as: 'mini', ask: post(SEND, body), code: 45103 },
  { fact: 'S 1', name: 'an unverified account does not send', as: 'unverified', ask: post(SEND, body), code: 48001 },
  { fact: 'S 1', name: 'a subscription account does not send', as: 'unverified', before: [set('apps', { appid: 'wx00000000000000b2', secret: 'unverified-secret', kind: 'service', serviceType: 0 })], ask: post(SEND, body), code: 48001 },
  { fact: 'M 3', name: 'uniform messages are closed', as: 'mini', ask: post('/cgi-bin/message/wxopen/template/uniform_send', body), code: 45109 },
  { fact: 'M 0.4', name: 'JSON comes with an odd content type', as: 'mini', ask: post(LIST), code: 0, contentType: /^application\/json; encoding=utf-8$/ },
  { fact: 'M 0.3', name: 'errors come with status 200 and a rid', ask: get('/cgi-bin/token'), code: 41002, has: { errmsg: RID }, readOnly: true },
  { fact: 'M 0.7', name: 'a rid begins with the time', ask: get('/cgi-bin/nothing'), code: 40066, has: { errmsg: / rid: 5cfb16a0-/ } },
  { fact: 'M 11', name: 'a minute limit is its own code', as: 'mini', before: [set('quotas', { appid: MINI.appid, path: LIST, perMinute: 1 }), { ...post(LIST), as: 'mini' }], ask: post(LIST), code: 45011 },
  { fact: 'M 9.8', name: 'a day limit ends at midnight in Shanghai', as: 'mini', before: [set('clock', { set: '2019-06-08T15:59:59Z' }), set('quotas', { appid: MINI.appid, path: LIST, used: 5, limit: 5 }), set('clock', { advanceMs: 1000 })], ask: post(LIST), code: 0 },
  { fact: 'M 9.8', name: 'a day limit holds until then', as: 'mini', before: [set('clock', { set: '2019-06-08T15:59:58Z' }), set('quotas', { appid: MINI.appid, path: LIST, used: 5, limit: 5 }), set('clock', { advanceMs: 1000 })], ask: post(LIST), code: 45009 }
]

/** What every call has in common. */
export const calls: Chapter = { title: 'every call', cases: common }

import {
  CLINIC,
  DAY,
  get,
  later,
  LEGACY,
  MINI,
  MINUTE,
  PLATFORM,
  post,
  SERVICE,
  set,
  type Case,
  type Chapter,
  type Step
} from './case.js'

const LIST = '/cgi-bin/wxopen/template/list'
const good = { grant_type: 'client_credential', ...MINI }
const token = (more: Record<string, string> = {}) => get('/cgi-bin/token', { ...good, ...more })
const stable = (more: object = {}) => post('/cgi-bin/stable_token', { ...good, ...more })
const fetch = (name: string): Step => ({ ...token(), keep: { [name]: 'access_token' } })
const fetchStable = (name: string, more: object = {}): Step => ({ ...stable(more), keep: { [name]: 'access_token' } })
const use = (name: string) => post(LIST, {}, { access_token: `{${name}}` })
const without = (key: string) =>
  get('/cgi-bin/token', Object.fromEntries(Object.entries(good).filter(([k]) => k !== key)))
const other = { secret: 's', kind: 'miniprogram' }

// prettier-ignore
const classic: Case[] = [
  { fact: 'M 1.1', name: 'nothing asked: the appid is missing', ask: get('/cgi-bin/token'), code: 41002, readOnly: true },
  { fact: 'M 1.1', name: 'without appid', ask: without('appid'), code: 41002 },
  { fact: 'M 1.1', name: 'without secret', ask: without('secret'), code: 41004 },
  { fact: 'M 1.1', name: 'another grant_type', ask: token({ grant_type: 'password' }), code: 40002 },
  { fact: 'M 1.1', name: 'an unknown app', ask: token({ appid: 'wxffffffffffffffff' }), code: 40013 },
  { fact: 'M 1.1', name: 'a wrong secret', ask: token({ secret: 'x' }), code: 40125 },
  { fact: 'M 1.1.1', name: 'a token for two hours, without errcode', ask: token(), code: 0, has: { access_token: /^.{20,512}$/, expires_in: 7200 }, lacks: ['errcode'] },
  { fact: 'M 1.1.2', name: 'the token before the newest works', before: [fetch('a'), fetch('b')], ask: use('a'), code: 0 },
  { fact: 'M 1.1.2', name: 'it works for almost five minutes', before: [fetch('a'), fetch('b'), later(5 * MINUTE - 1000)], ask: use('a'), code: 0 },
  { fact: 'M 1.1.3', name: 'it is not the latest after five', before: [fetch('a'), fetch('b'), later(5 * MINUTE)], ask: use('a'), code: 40001 },
  { fact: 'M 1.1.2', name: 'the one before that dies at once', before: [fetch('a'), fetch('b'), fetch('c')], ask: use('a'), code: 40001 },
  { fact: 'M 1.1.2', name: 'the newest works on', before: [fetch('a'), fetch('b'), later(5 * MINUTE)], ask: use('b'), code: 0 },
  { fact: 'M 1.1.3', name: 'a token ages out after two hours', before: [fetch('a'), later(120 * MINUTE)], ask: use('a'), code: 42001 },
  { fact: 'M 1.1.3', name: 'a token voided at the source is not the latest', before: [fetch('a'), set('tokens/void', { appid: MINI.appid })], ask: use('a'), code: 40001 },
  { fact: 'M 1.1.5', name: '2000 tokens a day', before: [set('quotas', { appid: MINI.appid, path: '/cgi-bin/token', used: 1999 })], ask: token(), code: 0 },
  { fact: 'M 1.1.5', name: 'no more than that', before: [set('quotas', { appid: MINI.appid, path: '/cgi-bin/token', used: 2000 })], ask: token(), code: 45009 },
  { fact: 'M 1.1.6', name: 'a caller off the white list is named', before: [set('apps', { ...other, appid: 'wx00000000000000c1', whitelist: ['203.0.113.7'] })], ask: token({ appid: 'wx00000000000000c1', secret: 's' }), code: 40164, has: { errmsg: /^invalid ip 127\.0\.0\.1 ipv6 ::ffff:127\.0\.0\.1, not in whitelist rid/ } },
  { fact: 'M 1.1.8', name: 'a frozen secret', before: [set('apps', { ...other, appid: 'wx00000000000000c2', secretFrozen: true })], ask: token({ appid: 'wx00000000000000c2', secret: 's' }), code: 40243 },
  { fact: 'M 1.1', name: 'a platform has its own token call', ask: token({ appid: PLATFORM.appid }), code: 61024 },
  { fact: 'M 1.1.9', name: 'a token is bound to its app', before: [{ ...get('/cgi-bin/token', { grant_type: 'client_credential', ...SERVICE }), keep: { a: 'access_token' } }], ask: post(LEGACY, {}, { access_token: '{a}' }), code: 48001 }
]

// prettier-ignore
const longLived: Case[] = [
  { fact: 'M 1.2.7', name: 'POST only', ask: get('/cgi-bin/stable_token'), code: 43002, readOnly: true },
  { fact: 'M 1.2.7', name: 'a body only', ask: { method: 'POST', path: '/cgi-bin/stable_token', query: good }, code: 44002 },
  { fact: 'M 1.2', name: 'without appid', ask: stable({ appid: undefined }), code: 41002 },
  { fact: 'M 1.2', name: 'with an empty secret', ask: stable({ secret: '' }), code: 41004 },
  { fact: 'M 1.2', name: 'an unknown app', ask: stable({ appid: 'wxffffffffffffffff' }), code: 40013 },
  { fact: 'M 1.2', name: 'a wrong secret', ask: stable({ secret: 'x' }), code: 40125 },
  { fact: 'M 1.2', name: 'another grant_type', ask: stable({ grant_type: 'x' }), code: 40002 },
  { fact: 'M 1.2.1', name: 'a token like the classic one', ask: stable(), code: 0, has: { access_token: String, expires_in: 7200 }, lacks: ['errcode'] },
  { fact: 'M 1.2.2', name: 'the same token with the time left', before: [fetchStable('a'), later(100 * MINUTE)], ask: stable(), code: 0, has: { access_token: '{a}', expires_in: 1200 } },
  { fact: 'M 1.2.3', name: 'never less than five minutes', before: [fetchStable('a'), later(115 * MINUTE - 1000)], ask: stable(), code: 0, has: { access_token: '{a}', expires_in: 301 } },
  { fact: 'M 1.2.3', name: 'in the last five minutes another', before: [fetchStable('a'), later(115 * MINUTE + 1000)], ask: stable(), code: 0, has: { expires_in: 7200 } },
  { fact: 'M 1.2.3', name: 'the old one works beside it', before: [fetchStable('a'), later(116 * MINUTE), fetchStable('b')], ask: use('a'), code: 0 },
  { fact: 'M 1.2.3', name: 'the new one works too', before: [fetchStable('a'), later(116 * MINUTE), fetchStable('b')], ask: use('b'), code: 0 },
  { fact: 'M 1.2.3', name: 'until its two hours are over', before: [fetchStable('a'), later(116 * MINUTE), fetchStable('b'), later(4 * MINUTE)], ask: use('a'), code: 42001 },
  { fact: 'M 1.2.4', name: 'forcing kills the one before', before: [fetchStable('a'), fetchStable('b', { force_refresh: true })], ask: use('a'), code: 40001 },
  { fact: 'M 1.2.4', name: 'the forced one works', before: [fetchStable('a'), fetchStable('b', { force_refresh: true })], ask: use('b'), code: 0 },
  { fact: 'M 1.2.4', name: 'forcing within 30 s does nothing', before: [fetchStable('a'), fetchStable('b', { force_refresh: true }), later(29_000)], ask: stable({ force_refresh: true }), code: 0, has: { access_token: '{b}' } },
  { fact: 'M 1.2.4', name: 'the 21st forcing of a day does nothing', before: [fetchStable('a'), ...Array.from({ length: 20 }, () => [fetchStable('b', { force_refresh: true }), later(30_000)]).flat()], ask: stable({ force_refresh: true }), code: 0, has: { access_token: '{b}' } },
  { fact: 'M 1.2.4', name: 'on the next day it does', before: [set('clock', { set: '2019-06-08T10:00:00Z' }), fetchStable('a'), ...Array.from({ length: 20 }, () => [fetchStable('b', { force_refresh: true }), later(30_000)]).flat(), later(DAY), fetchStable('c'), fetchStable('d', { force_refresh: true })], ask: use('c'), code: 40001 },
  { fact: 'M 1.2.5', name: '500,000 a day', before: [set('quotas', { appid: MINI.appid, path: '/cgi-bin/stable_token', used: 500_000 })], ask: stable(), code: 45009 },
  { fact: 'M 1.2.6', name: 'the classic call leaves it alone', before: [fetchStable('a'), fetch('b'), fetch('c')], ask: use('a'), code: 0 },
  { fact: 'M 1.2.6', name: 'it leaves the classic ones alone', before: [fetch('a'), fetchStable('b'), fetchStable('c', { force_refresh: true })], ask: use('a'), code: 0 }
]

const jscode = (more: Record<string, string | undefined> = {}) => {
  const query = { ...MINI, js_code: '{code}', grant_type: 'authorization_code', ...more }
  return get(
    '/sns/jscode2session',
    Object.fromEntries(Object.entries(query).filter(([, v]) => v !== undefined)) as Record<string, string>
  )
}
const code = set('codes', { appid: MINI.appid, openid: '{openid}' }, { code: 'code' })
const HINT = { errmsg: /, rid: / }
const checked = (more: Record<string, string> = {}) =>
  get('/wxa/checksession', { openid: '{openid}', signature: '00', sig_method: 'hmac_sha256', ...more })

// prettier-ignore
const logins: Case[] = [
  { fact: 'M 6.1', name: 'a code is worth openid, session_key and unionid', before: [code], ask: jscode(), code: 0, has: { openid: '{openid}', unionid: '{unionid}', session_key: /^[A-Za-z0-9+/]{22}==$/ }, lacks: ['errcode'] },
  { fact: 'M 0.4', name: 'the answer is text/plain', before: [code], ask: jscode(), code: 0, contentType: /^text\/plain/ },
  { fact: 'M 6.1.2', name: 'no unionid where the app is bound to nothing', before: [set('apps', { appid: 'wx00000000000000c3', secret: 's', kind: 'miniprogram' }), set('codes', { appid: 'wx00000000000000c3' }, { code: 'code' })], ask: jscode({ appid: 'wx00000000000000c3', secret: 's' }), code: 0, lacks: ['unionid'] },
  { fact: 'M 6.1.1', name: 'a code works once', before: [code, { ...jscode() }], ask: jscode(), code: 40163, has: HINT },
  { fact: 'M 6.1.1', name: 'a code nobody gave out', ask: jscode({ js_code: '0nobody' }), code: 40029, has: HINT, of: 'mini', readOnly: true },
  { fact: 'M 6.1.1', name: 'a code works for five minutes', before: [code, later(5 * MINUTE - 1)], ask: jscode(), code: 0 },
  { fact: 'M 6.1.1', name: 'not longer', before: [code, later(5 * MINUTE)], ask: jscode(), code: 40029 },
  { fact: 'M 6.1', name: 'a code of another app', before: [set('codes', { appid: CLINIC.appid }, { code: 'code' })], ask: jscode(), code: 40029 },
  { fact: 'M 6.1', name: 'without code', ask: jscode({ js_code: undefined }), code: 41008, of: 'mini', readOnly: true },
  { fact: 'M 6.1', name: 'without appid', ask: jscode({ appid: undefined, js_code: 'x' }), code: 41002, of: 'mini', readOnly: true },
  { fact: 'M 6.1', name: 'without secret', ask: jscode({ secret: undefined, js_code: 'x' }), code: 41004, of: 'mini', readOnly: true },
  { fact: 'M 6.1', name: 'a wrong secret', ask: jscode({ secret: 'x', js_code: 'x' }), code: 40125 },
  { fact: 'M 6.1', name: 'an unknown app', ask: jscode({ appid: 'wxffffffffffffffff', js_code: 'x' }), code: 40013 },
  { fact: 'M 6.1', name: 'a service account has no codes', ask: jscode({ ...SERVICE, js_code: 'x' }), code: 40013 },
  { fact: 'M 6.1.5', name: 'a hundred logins a minute and person', before: [...Array.from({ length: 100 }, () => [code, { ...jscode() }]).flat(), code], ask: jscode(), code: 45011 },
  { fact: 'M 6.2', name: 'a session is not believed a wrong signature', as: 'mini', before: [code, { ...jscode() }], ask: checked(), code: 87009 },
  { fact: 'M 6.2', name: 'a session is signed in one way', as: 'mini', before: [code, { ...jscode() }], ask: checked({ sig_method: 'md5' }), code: 87008 },
  { fact: 'M 6.2', name: 'one who never logged in has no session', as: 'mini', ask: checked(), code: 87007 },
  { fact: 'M 6.2', name: 'a session of nobody', as: 'mini', ask: checked({ openid: 'oStranger0000000000000000000' }), code: 40003 }
]

export const tokens: Chapter[] = [
  { title: 'the classic token', cases: classic },
  { title: 'the stable token', cases: longLived },
  { title: 'a login', cases: logins }
]

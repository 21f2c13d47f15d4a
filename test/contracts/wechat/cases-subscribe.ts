import {
  BIZ,
  CLINIC,
  DAY,
  FORM,
  get,
  later,
  LEGACY_TEMPLATE,
  LONG_TERM,
  MINI,
  NO_TEMPLATE,
  ONCE,
  ONE_TIME,
  post,
  raw,
  SERVICE,
  set,
  STRANGER,
  SUBSCRIBE,
  type Case,
  type Chapter,
  type Step
} from './case.js'

const N = '/wxaapi/newtmpl/'
const ADD = `${N}addtemplate`
const titles = (query: Record<string, string>) => get(`${N}getpubtemplatetitles`, query)
const added = (body: object = { tid: '415', kidList: [2, 1] }): Step => ({
  ...post(ADD, body),
  as: 'mini',
  keep: { added: 'priTmplId' }
})

// prettier-ignore
const library: Case[] = [
  { fact: 'M 4.4', name: 'categories', as: 'mini', ask: get(`${N}getcategory`), code: 0, has: { data: [{ id: Number, name: String }] }, readOnly: true },
  { fact: 'M 4.4', name: 'titles, category ids as text', as: 'mini', ask: titles({ ids: '307,671', start: '0', limit: '2' }), code: 0, has: { count: Number, data: [{ tid: Number, title: String, type: 2, categoryId: '307' }, {}] } },
  { fact: 'M 4.4', name: 'titles from a start', as: 'mini', ask: titles({ ids: '307', start: '1', limit: '1' }), code: 0, has: { data: [{ tid: 402 }] } },
  { fact: 'M 4.4', name: 'no category ids', as: 'mini', ask: titles({ start: '0', limit: '2' }), code: 200018, readOnly: true },
  { fact: 'M 4.4', name: 'category ids in quotes', as: 'mini', ask: titles({ ids: '"307"', start: '0', limit: '2' }), code: 200019, readOnly: true },
  { fact: 'M 4.4', name: 'unknown category ids', as: 'mini', ask: titles({ ids: '9', start: '0', limit: '2' }), code: 200019 },
  { fact: 'M 4.4', name: 'no start', as: 'mini', ask: titles({ ids: '307', limit: '2' }), code: 200016 },
  { fact: 'M 4.4', name: 'no limit', as: 'mini', ask: titles({ ids: '307', start: '0' }), code: 200017 },
  { fact: 'M 4.4', name: 'a limit above 30', as: 'mini', ask: titles({ ids: '307', start: '0', limit: '31' }), code: 200017 },
  { fact: 'M 4.4', name: 'keywords with their rule', as: 'mini', ask: get(`${N}getpubtemplatekeywords`, { tid: '402' }), code: 0, has: { count: 4, data: [{ kid: 1, name: '取货地点', example: '东门柜机', rule: 'thing', enumValueList: [] }] } },
  { fact: 'M 4.4', name: 'no tid', as: 'mini', ask: get(`${N}getpubtemplatekeywords`), code: 200014, has: { errmsg: /missing parameter tid/ }, readOnly: true },
  { fact: 'M 4.4', name: 'an unknown tid', as: 'mini', ask: get(`${N}getpubtemplatekeywords`, { tid: '1' }), code: 200014, has: { errmsg: /tid does not exist/ } },
  { fact: 'M 4.4.2', name: 'adding by a form with numbered names', as: 'mini', ask: raw(ADD, 'tid=408&kidList[0]=2&kidList[1]=1', FORM), code: 0, has: { priTmplId: /^[\w-]{43}$/ } },
  { fact: 'M 4.4.2', name: 'adding by a form with a repeated name', as: 'mini', ask: raw(ADD, 'tid=408&kidList=2&kidList=1', FORM), code: 0, has: { priTmplId: String } },
  { fact: 'M 4.4.2', name: 'adding by JSON', as: 'mini', ask: post(ADD, { tid: '408', kidList: [1, 2], sceneDesc: '付款' }), code: 0, has: { priTmplId: String } },
  { fact: 'M 4.4.2', name: 'adding by neither', as: 'mini', ask: raw(ADD, 'nonsense', 'text/plain'), code: 200014 },
  { fact: 'M 4.4.2', name: 'strict: no JSON', as: 'mini', before: [set('settings', { strictNewtmpl: true })], ask: post(ADD, { tid: '408', kidList: [1, 2] }), code: 200014 },
  { fact: 'M 4.4', name: 'adding without tid', as: 'mini', ask: post(ADD, { kidList: [1, 2] }), code: 200014 },
  { fact: 'M 4.4', name: 'one keyword', as: 'mini', ask: post(ADD, { tid: '402', kidList: [1] }), code: 200020 },
  { fact: 'M 4.4', name: 'six keywords', as: 'mini', ask: post(ADD, { tid: '401', kidList: [1, 2, 3, 4, 5, 6] }), code: 200020 },
  { fact: 'M 4.4', name: 'a keyword of another title', as: 'mini', ask: post(ADD, { tid: '402', kidList: [1, 9] }), code: 200020 },
  { fact: 'M 4.4', name: 'a scene of 16 characters', as: 'mini', ask: post(ADD, { tid: '402', kidList: [1, 2], sceneDesc: '十六个字的场景说明写得实在太长了' }), code: 200021 },
  { fact: 'M 4.4.4', name: 'a title of the newer kind takes no keywords', as: 'mini', ask: post(ADD, { tid: '10000087', kidList: [1, 2] }), code: 200020 },
  { fact: 'M 4.4.4', name: 'it brings its own', as: 'mini', ask: post(ADD, { tid: '10000087', kidList: [] }), code: 0, has: { priTmplId: String } },
  { fact: 'M 4.4.3', name: 'own templates, keys by type and with a colon before', as: 'mini', ask: get(`${N}gettemplate`), code: 0, has: { data: [{ priTmplId: ONE_TIME, title: '取货提醒', type: 2, content: '取货地点:{{thing1.DATA}}\n取货码:{{character_string2.DATA}}\n取货时间:{{time3.DATA}}\n' }] } },
  { fact: 'M 4.4', name: 'own templates', as: 'mini', ask: get(`${N}gettemplate`), code: 0, has: { data: Array }, readOnly: true },
  { fact: 'M 4.4', name: 'enumerations are told', as: 'clinic', before: [{ ...added({ tid: '2201', kidList: [4, 1] }), as: 'clinic' }], ask: get(`${N}gettemplate`), code: 0, has: { data: [{}, {}, { type: 3, keywordEnumValueList: [{ keywordCode: 'enum4.DATA', enumValueList: ['初诊', '复诊', '体检'] }] }] } },
  { fact: 'M 4.4', name: 'keywords keep the order asked for', as: 'mini', before: [added()], ask: get(`${N}gettemplate`), code: 0, has: { data: [{}, { priTmplId: '{added}', content: /^开始时间:\{\{date2\.DATA\}\}\n活动名称:/ }] } },
  { fact: 'M 4.4', name: 'deleting nothing', as: 'mini', ask: post(`${N}deltemplate`, {}), code: 200002, has: { errmsg: /missing parameter priTmplId/ } },
  { fact: 'M 4.4', name: 'deleting by form', as: 'mini', before: [added()], ask: raw(`${N}deltemplate`, 'priTmplId={added}', FORM), code: 0 },
  { fact: 'M 4.4', name: 'deleting once', as: 'mini', before: [added(), { ...post(`${N}deltemplate`, { priTmplId: '{added}' }), as: 'mini' }], ask: post(`${N}deltemplate`, { priTmplId: '{added}' }), code: 40037 },
  { fact: 'M 4.4', name: '25 own templates', as: 'mini', before: [{ ...added(), times: 24 }], ask: post(ADD, { tid: '402', kidList: [1, 2] }), code: 200012 }
]

const GOOD = {
  thing1: { value: '东门柜机' },
  character_string2: { value: '8-1-2' },
  time3: { value: '2019年6月8日 21:20' }
}
const card = (more: object = {}) =>
  post(SUBSCRIBE, { touser: '{openid}', template_id: ONE_TIME, page: 'pages/home', data: GOOD, ...more })
const grant = (count = 1) => set('grants', { appid: MINI.appid, openid: '{openid}', templateId: ONE_TIME, count })
const sent: Step = { ...card(), as: 'mini' }
const says = (text: string) => ({ errmsg: new RegExp(`^${text.replaceAll('.', '\\.')} rid: `) })
const wrong = (name: string, data: unknown, text: string, fact = 'M 4.3'): Case => ({
  fact,
  name,
  as: 'mini',
  before: [grant()],
  ask: card({ data }),
  code: 47003,
  has: says(text)
})
const VISIT = { name1: { value: '李小云' }, time2: { value: '15:00' }, thing3: { value: '口腔科' } }
const visited = (more: object = {}) =>
  post(SUBSCRIBE, { touser: '{patient}', template_id: LONG_TERM, data: VISIT, ...more })
const patient = set('users', { appids: [CLINIC.appid] }, { patient: `0.openids.${CLINIC.appid}` })
const lasting = set('grants', { appid: CLINIC.appid, openid: '{patient}', templateId: LONG_TERM })

// prettier-ignore
const send: Case[] = [
  { fact: 'M 4.2.3', name: 'no grant', as: 'mini', ask: card(), code: 43101 },
  { fact: 'M 4.3', name: 'a grant sends; the msgid is beyond 2^53', as: 'mini', before: [grant()], ask: card(), code: 0, text: /^\{"errcode":0,"errmsg":"ok","msgid":\d{19}\}$/ },
  { fact: 'M 4.2.1', name: 'one accept, one send', as: 'mini', before: [grant(), sent], ask: card(), code: 43101 },
  { fact: 'M 4.2.1', name: 'accepts add up', as: 'mini', before: [grant(2), grant(), sent, sent], ask: card(), code: 0 },
  { fact: 'M 4.2.1', name: 'to what was given', as: 'mini', before: [grant(2), grant(), sent, sent, sent], ask: card(), code: 43101 },
  { fact: 'M 4.2.1', name: 'a grant does not age', as: 'mini', before: [grant(), later(400 * DAY), { ...get('/cgi-bin/token', { grant_type: 'client_credential', ...MINI }), keep: { token: 'access_token' } }], ask: card(), code: 0 },
  { fact: 'M 4.1.6', name: 'a refusal is no grant', as: 'mini', before: [set('grants', { appid: MINI.appid, openid: '{openid}', templateId: ONE_TIME, result: 'reject' })], ask: card(), code: 43101 },
  { fact: 'M 4.2.3', name: 'a withdrawn grant', as: 'mini', before: [grant(3), set('withdraw', { appid: MINI.appid, openid: '{openid}', templateId: ONE_TIME })], ask: card(), code: 43101 },
  { fact: 'M 4.2.4', name: 'a send that fails keeps the grant', as: 'mini', before: [grant(), { ...card({ data: {} }), as: 'mini' }], ask: card(), code: 0 },
  { fact: 'M 4.3', name: 'an unknown openid', as: 'mini', before: [grant()], ask: card({ touser: STRANGER }), code: 40003 },
  { fact: 'M 4.3', name: 'toUser misspelt', as: 'mini', before: [grant()], ask: card({ touser: undefined, toUser: '{openid}' }), code: 40003 },
  { fact: 'M 4.3', name: 'an unknown template', as: 'mini', before: [grant()], ask: card({ template_id: NO_TEMPLATE }), code: 40037 },
  { fact: 'M 4.3', name: 'an empty template', as: 'mini', before: [grant()], ask: card({ template_id: '' }), code: 40037 },
  { fact: 'M 4.3', name: 'a legacy template', as: 'mini', before: [grant()], ask: card({ template_id: LEGACY_TEMPLATE }), code: 40037 },
  { fact: 'M 4.3', name: 'a page never released', as: 'mini', before: [grant()], ask: card({ page: 'pages/draft' }), code: 41030 },
  { fact: 'M 4.3', name: 'such a page of the developer build', as: 'mini', before: [grant()], ask: card({ page: 'pages/draft', miniprogram_state: 'developer' }), code: 0 },
  { fact: 'M 4.3', name: 'no page: no link', as: 'mini', before: [grant()], ask: card({ page: undefined }), code: 0 },
  { fact: 'M 4.3', name: 'surplus keys and colours pass', as: 'mini', before: [grant()], ask: card({ data: { ...GOOD, thing9: { value: 'x', color: '#fff' } } }), code: 0 },
  wrong('no data', undefined, 'argument invalid! data.thing1.value is empty'),
  wrong('a key missing', { thing1: { value: 'x' }, character_string2: { value: 'x' } }, 'argument invalid! data.time3.value is empty'),
  wrong('a bare string', { ...GOOD, time3: '21:20' }, 'argument invalid! data.time3.value is empty'),
  wrong('a blank value', { ...GOOD, thing1: { value: ' ' } }, 'argument invalid! data.thing1.value is empty'),
  wrong('a thing of 21 characters', { ...GOOD, thing1: { value: '一'.repeat(21) } }, 'argument invalid! data.thing1.value invalid'),
  wrong('Chinese in a character_string; the phrase ends at 48', { ...GOOD, character_string2: { value: '八' } }, 'argument invalid! data.character_string2.value i'),
  wrong('a time that is none', { ...GOOD, time3: { value: '25:00' } }, 'argument invalid! data.time3.value invalid'),
  { fact: 'M 4.3', name: 'a thing of 20 characters', as: 'mini', before: [grant()], ask: card({ data: { ...GOOD, thing1: { value: '一'.repeat(20) } } }), code: 0 },
  { fact: 'M 4.3', name: 'a range of times', as: 'mini', before: [grant()], ask: card({ data: { ...GOOD, time3: { value: '09:00~10:00' } } }), code: 0 },
  { fact: 'M 4.2.2', name: 'a long-term grant sends again and again', as: 'clinic', before: [patient, lasting, { ...visited(), as: 'clinic', times: 5 }], ask: visited(), code: 0 },
  { fact: 'M 4.2.2', name: 'until it is withdrawn', as: 'clinic', before: [patient, lasting, set('withdraw', { appid: CLINIC.appid, openid: '{patient}', templateId: LONG_TERM })], ask: visited(), code: 43101 },
  { fact: 'M 4.3', name: 'a name of eleven Chinese characters', as: 'clinic', before: [patient, lasting], ask: visited({ data: { ...VISIT, name1: { value: '一二三四五六七八九十一' } } }), code: 47003 },
  { fact: 'M 4.3', name: 'a value outside its enumeration', as: 'clinic', before: [patient, { ...added({ tid: '2201', kidList: [1, 4] }), as: 'clinic' }, set('grants', { appid: CLINIC.appid, openid: '{patient}', templateId: '{added}' })], ask: visited({ template_id: '{added}', data: { name1: { value: '李小云' }, enum4: { value: '急诊' } } }), code: 47003 },
  { fact: 'M 4.3', name: 'a forbidden word', as: 'mini', before: [grant()], ask: card({ data: { ...GOOD, thing1: { value: '赌博' } } }), code: 45168 },
  { fact: 'M 4.3', name: 'a language there is not', as: 'mini', before: [grant()], ask: card({ lang: 'fr' }), code: 40097 },
  { fact: 'M 4.2.3', name: 'one who refuses messages', as: 'mini', before: [grant(), set('blocks', { appid: MINI.appid, openids: ['{openid}'] })], ask: card(), code: 43101 },
  { fact: 'M 4.3', name: 'two at once to one person', as: 'mini', before: [grant(2), set('latency', { minMs: 30, maxMs: 30 })], ask: card(), code: [0, 43108], atOnce: [0, 43108] },
  { fact: 'M 4.3', name: 'one after the other', as: 'mini', before: [grant(2), sent], ask: card(), code: 0 },
  { fact: 'M 4.3', name: 'ten million a day', as: 'mini', before: [grant(), set('quotas', { appid: MINI.appid, path: SUBSCRIBE, used: 10_000_000 })], ask: card(), code: 45009 },
  { fact: 'M 4.3', name: 'thirty with payment', as: 'mini', before: [grant(), set('apps', { ...MINI, kind: 'miniprogram', payment: true }), set('quotas', { appid: MINI.appid, path: SUBSCRIBE, used: 10_000_000 })], ask: card(), code: 0 }
]

const notice: Step = { ...post(ADD, { tid: '402', kidList: [1, 2, 3] }), as: 'service', keep: { notice: 'priTmplId' } }
const subscribed = set('grants', { appid: SERVICE.appid, openid: '{follower}', templateId: '{notice}' })
const biz = (more: object = {}) =>
  post(BIZ, { touser: '{follower}', template_id: '{notice}', page: 'https://shop.example.test/', data: GOOD, ...more })

// prettier-ignore
const bizsend: Case[] = [
  { fact: 'S 3.2', name: 'a subscription notice, no msgid', as: 'service', before: [notice, subscribed], ask: biz(), code: 0, text: /^\{"errcode":0,"errmsg":"ok"\}$/ },
  { fact: 'S 3.2', name: 'one grant, one notice', as: 'service', before: [notice, subscribed, { ...biz(), as: 'service' }], ask: biz(), code: 43101 },
  { fact: 'S 3.2', name: 'an unknown openid', as: 'service', before: [notice], ask: biz({ touser: STRANGER }), code: 40003 },
  { fact: 'S 3.2', name: 'a template of another kind', as: 'service', before: [notice], ask: biz({ template_id: ONCE }), code: 40037 },
  { fact: 'S 3.2', name: 'a wrong value', as: 'service', before: [notice, subscribed], ask: biz({ data: { ...GOOD, time3: { value: 'soon' } } }), code: 47003 },
  { fact: 'S 3.2', name: 'from a mini-program', as: 'mini', ask: post(BIZ, { touser: '{openid}' }), code: 48001 }
]

export const subscribe: Chapter[] = [
  { title: 'the subscribe library', cases: library },
  { title: 'a subscribe send', cases: send },
  { title: 'a subscription notice of a service account', cases: bizsend }
]

import {
  CATEGORY,
  DAY,
  get,
  later,
  MINI,
  MINUTE,
  NO_TEMPLATE,
  ONCE,
  post,
  raw,
  SEND,
  SERVICE,
  set,
  STRANGER,
  type Case,
  type Chapter,
  type Step
} from './case.js'

const T = '/cgi-bin/template/'
const industries = (one: string, two: string): Step => ({
  ...post(`${T}api_set_industry`, { industry_id1: one, industry_id2: two }),
  as: 'service'
})
const adds = (body: object) => post(`${T}api_add_template`, body)
const PAID = { template_id_short: '43221', keyword_name_list: ['订单号'] }
const LESSON = { template_id_short: 'OPENTM200411' }
const MONTH = 31 * DAY
const fresh = (query: object): Step => ({
  ...get('/cgi-bin/token', { grant_type: 'client_credential', ...SERVICE, ...query }),
  keep: { token: 'access_token' }
})

// prettier-ignore
const templates: Case[] = [
  { fact: 'S 1.2', name: 'no industry was set', as: 'service', ask: get(`${T}get_industry`), code: 40102 },
  { fact: 'S 1.2', name: 'equal industries', as: 'service', ask: industries('1', '1'), code: 40102 },
  { fact: 'S 1.2', name: 'an unknown industry', as: 'service', ask: industries('1', '42'), code: 40102 },
  { fact: 'S 1.2', name: 'one industry only', as: 'service', ask: post(`${T}api_set_industry`, { industry_id1: '1' }), code: 40102 },
  { fact: 'S 1.2', name: 'two industries', as: 'service', ask: industries('16', '1'), code: 0 },
  { fact: 'S 1.2', name: 'once a month', as: 'service', before: [industries('16', '1')], ask: industries('2', '1'), code: 43100 },
  { fact: 'S 1.2', name: 'again in the next', as: 'service', before: [industries('16', '1'), later(MONTH), fresh({})], ask: industries('2', '1'), code: 0 },
  { fact: 'S 1.2', name: 'industries by name, without errcode', as: 'service', before: [industries('16', '1')], ask: get(`${T}get_industry`), code: 0, has: { primary_industry: { first_class: '教育', second_class: '培训' }, secondary_industry: { first_class: 'IT科技', second_class: '互联网|电子商务' } }, lacks: ['errcode'] },
  { fact: 'S 1.3', name: 'a template of another industry', as: 'service', ask: adds(LESSON), code: 45027 },
  { fact: 'S 1.3', name: 'a template of an own industry', as: 'service', before: [industries('16', '1')], ask: adds(LESSON), code: 0, has: { template_id: /^[\w-]{43}$/ } },
  { fact: 'S 1.2', name: 'templates of a left industry go', as: 'service', before: [industries('16', '1'), { ...adds(LESSON), as: 'service' }, later(MONTH), fresh({}), industries('2', '1')], ask: get(`${T}get_all_private_template`), code: 0, has: { template_list: { length: 1 } } },
  { fact: 'S 1.3', name: 'a category template without keywords', as: 'service', ask: adds({ template_id_short: '43216' }), code: 40246 },
  { fact: 'S 1.3', name: 'a category template with an unknown keyword', as: 'service', ask: adds({ template_id_short: '43216', keyword_name_list: ['订单号', '天气'] }), code: 40246 },
  { fact: 'S 1.3', name: 'a category template', as: 'service', ask: adds(PAID), code: 0, has: { template_id: /^[\w-]{43}$/ } },
  { fact: 'S 1.3', name: 'a title there is not', as: 'service', ask: adds({ template_id_short: '1' }), code: 40037 },
  { fact: 'S 1.3', name: '25 at once', as: 'service', before: [{ ...adds(PAID), as: 'service', times: 24 }], ask: adds(PAID), code: 45026 },
  { fact: 'S 1.5', name: 'own templates, without errcode', as: 'service', ask: get(`${T}get_all_private_template`), code: 0, has: { template_list: [{ template_id: CATEGORY, title: '订单发货通知', primary_industry: '', deputy_industry: '', content: '订单号:{{character_string1.DATA}}\n商品:{{thing2.DATA}}\n发货时间:{{time3.DATA}}', example: String }] }, lacks: ['errcode'] },
  { fact: 'S 1.5', name: 'own templates', as: 'service', ask: get(`${T}get_all_private_template`), code: 0, has: { template_list: Array }, readOnly: true },
  { fact: 'S 1.5', name: 'an industry template names its industry', as: 'service', before: [industries('16', '1'), { ...adds(LESSON), as: 'service' }], ask: get(`${T}get_all_private_template`), code: 0, has: { template_list: [{}, { primary_industry: '教育', deputy_industry: '培训', content: /\{\{first\.DATA\}\}/ }] } },
  { fact: 'S 1.1', name: 'own templates by POST, as some SDKs ask', as: 'service', ask: raw(`${T}get_all_private_template`, ''), code: 0 },
  { fact: 'S 1.9', name: 'an unknown template is not deleted', as: 'service', ask: post(`${T}del_private_template`, { template_id: NO_TEMPLATE }), code: 40037 },
  { fact: 'S 1.1', name: 'a template is deleted', as: 'service', ask: post(`${T}del_private_template`, { template_id: CATEGORY }), code: 0 }
]

const GOOD = {
  character_string1: { value: 'A20240001' },
  thing2: { value: '蓝色水杯' },
  time3: { value: '2024-05-01 09:30' }
}
const card = (more: object = {}) => post(SEND, { touser: '{follower}', template_id: CATEGORY, data: GOOD, ...more })
const sent = (more: object = {}): Step => ({ ...card(more), as: 'service' })
const ID = { client_msg_id: 'job42-user9-1' }
const other = { ...GOOD, thing2: { value: '红色水杯' } }

// prettier-ignore
const send: Case[] = [
  { fact: 'S 1.4', name: 'to a follower, msgid of 19 digits', as: 'service', ask: card(), code: 0, text: /"msgid":\d{19}\}$/ },
  { fact: 'S 1.4', name: 'a client_msg_id repeated within ten minutes is not delivered again', before: [sent(ID), later(10 * MINUTE - 1), sent(ID)], ask: get('/sandbox/ledger'), code: 0, has: { counts: { accepted: 1, duplicates: 1 } } },
  { fact: 'S 1.4', name: 'it is answered like the first', as: 'service', before: [sent(ID), { ...get('/sandbox/ledger'), keep: { msgid: 'rows.0.msgid' } }], ask: card(ID), code: 0, text: /"msgid":{msgid}\}$/ },
  { fact: 'S 1.4', name: 'after ten minutes it is another message', before: [sent(ID), later(10 * MINUTE), sent(ID)], ask: get('/sandbox/ledger'), code: 0, has: { counts: { accepted: 2, duplicates: 0 } } },
  { fact: 'S 1.4', name: 'it counts for one person', before: [sent(ID), set('users', { appids: [SERVICE.appid], followers: [SERVICE.appid] }, { second: `0.openids.${SERVICE.appid}` }), sent({ ...ID, touser: '{second}' })], ask: get('/sandbox/ledger'), code: 0, has: { counts: { accepted: 2 } } },
  { fact: 'S 1.4', name: 'what a repeat is answered can be set', as: 'service', before: [set('settings', { duplicateAnswer: 40241 }), sent(ID)], ask: card(ID), code: 40241 },
  { fact: 'S 11', name: 'the same content within a minute', as: 'service', before: [sent()], ask: card(), code: 40241 },
  { fact: 'S 11', name: 'the same content after a minute', as: 'service', before: [sent(), later(MINUTE)], ask: card(), code: 0 },
  { fact: 'S 11', name: 'other content at once', as: 'service', before: [sent()], ask: card({ data: other }), code: 0 },
  { fact: 'S 10', name: 'no openid', as: 'service', ask: card({ touser: '' }), code: 41009 },
  { fact: 'S 10', name: 'an unknown openid', as: 'service', ask: card({ touser: STRANGER }), code: 40003 },
  { fact: 'S 2.5', name: 'an openid of the mini-program', as: 'service', ask: card({ touser: '{openid}' }), code: 40003 },
  { fact: 'S 10', name: 'an unknown template', as: 'service', ask: card({ template_id: NO_TEMPLATE }), code: 40037 },
  { fact: 'S 1.9', name: 'a template of another feature', as: 'service', ask: card({ template_id: ONCE }), code: 40037 },
  { fact: 'S 10', name: 'a template id of the wrong length', as: 'service', ask: card({ template_id: 'x' }), code: 40036 },
  { fact: 'S 1.4', name: 'a mini-program not linked', as: 'service', ask: card({ miniprogram: { appid: 'wxffffffffffffffff', pagepath: 'x' } }), code: 40013 },
  { fact: 'S 1.4', name: 'a mini-program linked, and an address too', as: 'service', ask: card({ miniprogram: { appid: MINI.appid, pagepath: 'pages/home?x=1' }, url: 'https://shop.example.test/' }), code: 0 },
  { fact: 'S 1.4', name: 'links can be narrowed', as: 'service', before: [set('apps', { ...SERVICE, kind: 'service', linked: [] })], ask: card({ miniprogram: { appid: MINI.appid } }), code: 40013 },
  { fact: 'S 1', name: 'one who left', as: 'service', before: [set('followers', { appid: SERVICE.appid, openids: ['{follower}'], follow: false })], ask: card(), code: 43004 },
  { fact: 'S 1', name: 'one who came back', as: 'service', before: [set('followers', { appid: SERVICE.appid, openids: ['{follower}'], follow: false }), set('followers', { appid: SERVICE.appid, openids: ['{follower}'], follow: true })], ask: card(), code: 0 },
  { fact: 'S 10', name: 'one who refuses', as: 'service', before: [set('blocks', { appid: SERVICE.appid, openids: ['{follower}'] })], ask: card(), code: 43101 },
  { fact: 'S 1.7', name: 'one whose refusal shows only afterwards', as: 'service', before: [set('blocks', { appid: SERVICE.appid, openids: ['{follower}'], how: 'drop' })], ask: card(), code: 0 },
  { fact: 'S 1.6', name: 'a wrong value', as: 'service', ask: card({ data: { ...GOOD, time3: { value: 'soon' } } }), code: 47003, has: { errmsg: /^argument invalid! data\.time3\.value invalid rid: / } },
  { fact: 'S 1.6', name: 'a missing key is empty', as: 'service', ask: card({ data: { thing2: { value: 'x' } } }), code: 47003, has: { errmsg: /character_string1/ } },
  { fact: 'S 1.6', name: 'an industry template takes any text', as: 'service', before: [industries('16', '1'), { ...adds(LESSON), as: 'service', keep: { lesson: 'template_id' } }], ask: card({ template_id: '{lesson}', data: { first: { value: 'x'.repeat(300) } } }), code: 0 },
  { fact: 'S 1.4', name: 'no data', as: 'service', ask: card({ data: undefined }), code: 47001 },
  { fact: 'S 10', name: 'a banned template', as: 'service', before: [set('templates', { appid: SERVICE.appid, templateId: CATEGORY, disabled: true })], ask: card(), code: 43116 },
  { fact: 'S 10', name: 'the openid is judged before the template', as: 'service', ask: card({ touser: STRANGER, template_id: 'x' }), code: 40003 },
  { fact: 'S 10', name: 'the template before the link', as: 'service', ask: card({ template_id: 'x', miniprogram: {} }), code: 40036 },
  { fact: 'S 10', name: 'the link before the follower', as: 'service', before: [set('followers', { appid: SERVICE.appid, openids: ['{follower}'], follow: false })], ask: card({ miniprogram: {} }), code: 40013 },
  { fact: 'S 10', name: 'the follower before the values', as: 'service', before: [set('followers', { appid: SERVICE.appid, openids: ['{follower}'], follow: false })], ask: card({ data: {} }), code: 43004 },
  { fact: 'S 8', name: '100,000 a day', as: 'service', before: [set('quotas', { appid: SERVICE.appid, path: SEND, used: 100_000 })], ask: card(), code: 45009 }
]

const confirm = (scene: number, action = 'confirm') =>
  set('once', { appid: SERVICE.appid, openid: '{follower}', scene, action })
const once = (more: object = {}) =>
  post('/cgi-bin/message/template/subscribe', {
    touser: '{follower}',
    template_id: ONCE,
    scene: 1000,
    title: '到货提醒',
    data: { content: { value: '蓝色水杯到了', color: '#FF0000' } },
    ...more
  })
const onceSent: Step = { ...once(), as: 'service' }

// prettier-ignore
const oneTime: Case[] = [
  { fact: 'S 3.1', name: 'not confirmed', as: 'service', ask: once(), code: 43101 },
  { fact: 'S 3.1', name: 'confirmed; no msgid in the answer', as: 'service', before: [confirm(1000)], ask: once(), code: 0, lacks: ['msgid'] },
  { fact: 'S 3.1', name: 'refused on the page', as: 'service', before: [confirm(1000, 'cancel')], ask: once(), code: 43101 },
  { fact: 'S 3.1', name: 'one message', as: 'service', before: [confirm(1000), onceSent], ask: once(), code: 43101 },
  { fact: 'S 3.1', name: 'the same scene does not add up', as: 'service', before: [confirm(1000), confirm(1000), onceSent], ask: once(), code: 43101 },
  { fact: 'S 3.1', name: 'different scenes do', as: 'service', before: [confirm(1000), confirm(7), onceSent], ask: once({ scene: 7 }), code: 0 },
  { fact: 'S 3.1', name: 'another scene than confirmed', as: 'service', before: [confirm(7)], ask: once(), code: 43101 },
  { fact: 'S 3.1', name: 'one who does not follow', as: 'service', before: [confirm(1000), set('followers', { appid: SERVICE.appid, openids: ['{follower}'], follow: false })], ask: once(), code: 0 },
  { fact: 'S 3.1', name: 'a template of another kind', as: 'service', before: [confirm(1000)], ask: once({ template_id: CATEGORY }), code: 40037 },
  { fact: 'S 3.1', name: 'an unknown openid', as: 'service', ask: once({ touser: STRANGER }), code: 40003 },
  { fact: 'S 3.1', name: 'a title of 16 characters', as: 'service', before: [confirm(1000)], ask: once({ title: '一'.repeat(16) }), code: 40097 },
  { fact: 'S 3.1', name: 'a scene beyond 10000', as: 'service', before: [confirm(1000)], ask: once({ scene: 10_001 }), code: 40097 },
  { fact: 'S 3.1', name: 'a text of 201 characters', as: 'service', before: [confirm(1000)], ask: once({ data: { content: { value: '一'.repeat(201) } } }), code: 47003 },
  { fact: 'S 3.1', name: 'no text', as: 'service', before: [confirm(1000)], ask: once({ data: { first: { value: 'x' } } }), code: 47003 },
  { fact: 'S 3.1', name: 'from a mini-program', as: 'mini', ask: once(), code: 48001 }
]

const U = '/cgi-bin/user/'
const info = (query: Record<string, string>) => get(`${U}info`, query)
const batch = (user_list: unknown) => post(`${U}info/batchget`, { user_list })
const leave = set('followers', { appid: SERVICE.appid, openids: ['{follower}'], follow: false })
const tag: Step = { ...post('/cgi-bin/tags/create', { tag: { name: '会员' } }), as: 'service', keep: { tag: 'tag.id' } }
const tagging = (path: string, more: object = {}): Step => ({
  ...post(`/cgi-bin/tags/members/${path}`, { openid_list: ['{follower}'], tagid: '{tag}', ...more }),
  as: 'service'
})
const crowd = (count: number) =>
  set(
    'users',
    { count, appids: [SERVICE.appid], followers: [SERVICE.appid] },
    { last: `${count - 1}.openids.${SERVICE.appid}`, tenth: `9998.openids.${SERVICE.appid}` }
  )

// prettier-ignore
const followers: Case[] = [
  { fact: 'S 2.2', name: 'a list, without errcode', as: 'service', ask: get(`${U}get`), code: 0, has: { total: 1, count: 1, data: { openid: ['{follower}'] }, next_openid: '{follower}' }, lacks: ['errcode'] },
  { fact: 'S 2.2', name: 'a list', as: 'service', ask: get(`${U}get`), code: 0, has: { total: Number, count: Number, next_openid: String }, readOnly: true },
  { fact: 'S 2.2', name: 'nobody: no data at all', as: 'service', before: [leave], ask: get(`${U}get`), code: 0, has: { total: 0, count: 0, next_openid: '' }, lacks: ['data'] },
  { fact: 'S 2.2', name: '10,000 at once', as: 'service', before: [crowd(10_001)], ask: get(`${U}get`), code: 0, has: { total: 10_002, count: 10_000, next_openid: '{tenth}' } },
  { fact: 'S 2.2', name: 'the next page starts after', as: 'service', before: [crowd(10_001)], ask: get(`${U}get`, { next_openid: '{tenth}' }), code: 0, has: { total: 10_002, count: 2, next_openid: '{last}' } },
  { fact: 'S 2.2', name: 'over: no data', as: 'service', ask: get(`${U}get`, { next_openid: '{follower}' }), code: 0, has: { total: 1, count: 0, next_openid: '' }, lacks: ['data'] },
  { fact: 'S 2.2', name: 'after an unknown openid', as: 'service', ask: get(`${U}get`, { next_openid: STRANGER }), code: 40003 },
  { fact: 'S 8', name: '500 lists a day', as: 'service', before: [set('quotas', { appid: SERVICE.appid, path: `${U}get`, used: 500 })], ask: get(`${U}get`), code: 45009 },
  { fact: 'S 2.3', name: 'details of a follower', as: 'service', ask: info({ openid: '{follower}', lang: 'zh_CN' }), code: 0, has: { subscribe: 1, openid: '{follower}', unionid: '{unionid}', subscribe_time: Number, tagid_list: [], subscribe_scene: /^ADD_SCENE_/ }, lacks: ['nickname', 'errcode'] },
  { fact: 'S 2.3', name: 'details of one who left', as: 'service', before: [leave], ask: info({ openid: '{follower}' }), code: 0, has: { subscribe: 0, openid: '{follower}' }, lacks: ['subscribe_time'] },
  { fact: 'S 2.5', name: 'no unionid where the account is bound to nothing', as: 'service', before: [set('apps', { ...SERVICE, kind: 'service' })], ask: info({ openid: '{follower}' }), code: 0, lacks: ['unionid'] },
  { fact: 'S 2.3', name: 'details of nobody', as: 'service', ask: info({ openid: STRANGER }), code: 40003, readOnly: true },
  { fact: 'S 11', name: 'details without openid', as: 'service', ask: info({}), code: 41009 },
  { fact: 'S 2.1', name: 'details of several', as: 'service', ask: batch([{ openid: '{follower}', lang: 'zh_CN' }]), code: 0, has: { user_info_list: [{ openid: '{follower}', subscribe: 1 }] }, lacks: ['errcode'] },
  { fact: 'S 2.1', name: 'not more than 100', as: 'service', ask: batch(Array.from({ length: 101 }, () => ({ openid: '{follower}' }))), code: 40097 },
  { fact: 'S 2.1', name: 'with a stranger among them', as: 'service', ask: batch([{ openid: '{follower}' }, { openid: STRANGER }]), code: 40003 },
  { fact: 'S 2.4', name: 'the scene of a QR code is kept', as: 'service', before: [leave, set('interactions', { appid: SERVICE.appid, openid: '{follower}', kind: 'scan', key: 'ch7' })], ask: info({ openid: '{follower}' }), code: 0, has: { subscribe: 1, qr_scene: 0, qr_scene_str: 'ch7' } },
  { fact: 'S 2.1', name: 'tags', as: 'service', ask: get('/cgi-bin/tags/get'), code: 0, has: { tags: Array }, readOnly: true },
  { fact: 'S 2.1', name: 'a tag counts who has it', as: 'service', before: [tag, tagging('batchtagging')], ask: get('/cgi-bin/tags/get'), code: 0, has: { tags: [{ id: '{tag}', name: '会员', count: 1 }] } },
  { fact: 'S 2.1', name: 'who has a tag', as: 'service', before: [tag, tagging('batchtagging')], ask: post(`${U}tag/get`, { tagid: '{tag}', next_openid: '' }), code: 0, has: { count: 1, data: { openid: ['{follower}'] }, next_openid: '{follower}' } },
  { fact: 'S 2.1', name: 'which tags someone has', as: 'service', before: [tag, tagging('batchtagging')], ask: post('/cgi-bin/tags/getidlist', { openid: '{follower}' }), code: 0, has: { tagid_list: ['{tag}'] } },
  { fact: 'S 2.1', name: 'a tag taken off', as: 'service', before: [tag, tagging('batchtagging'), tagging('batchuntagging')], ask: post('/cgi-bin/tags/getidlist', { openid: '{follower}' }), code: 0, text: /"tagid_list":\[\]/ },
  { fact: 'S 2.1', name: 'an unknown tag', as: 'service', ask: post(`${U}tag/get`, { tagid: 9 }), code: 45159 },
  { fact: 'S 2.1', name: 'not more than 50 are tagged at once', as: 'service', before: [tag], ask: tagging('batchtagging', { openid_list: Array.from({ length: 51 }, () => '{follower}') }), code: 40097 },
  { fact: 'S 11', name: 'a tag without name', as: 'service', ask: post('/cgi-bin/tags/create', { tag: { name: ' ' } }), code: 45157 },
  { fact: 'S 11', name: 'a tag of 31 characters', as: 'service', ask: post('/cgi-bin/tags/create', { tag: { name: '一'.repeat(31) } }), code: 45158 },
  { fact: 'S 2.1', name: 'who is black-listed', as: 'service', before: [set('blocks', { appid: SERVICE.appid, openids: ['{follower}'] })], ask: post('/cgi-bin/tags/members/getblacklist', { begin_openid: '' }), code: 0, has: { total: 1, count: 1, data: { openid: ['{follower}'] } } }
]

export const service: Chapter[] = [
  { title: 'industries and templates of a service account', cases: templates },
  { title: 'a service send', cases: send },
  { title: 'a one-time subscription', cases: oneTime },
  { title: 'followers', cases: followers }
]

import {
  DAY,
  later,
  LEGACY,
  LEGACY_TEMPLATE,
  MINI,
  NO_TEMPLATE,
  ONE_TIME,
  post,
  set,
  STRANGER,
  type Case,
  type Chapter,
  type Step
} from './case.js'

const ADD = '/cgi-bin/wxopen/template/add'
const LIST = '/cgi-bin/wxopen/template/list'
const DEL = '/cgi-bin/wxopen/template/del'
const LIBRARY = '/cgi-bin/wxopen/template/library/list'
const TITLE = '/cgi-bin/wxopen/template/library/get'
const added: Step = {
  ...post(ADD, { id: 'AT0031', keyword_id_list: [2, 1] }),
  as: 'mini',
  keep: { added: 'template_id' }
}

// prettier-ignore
const library: Case[] = [
  { fact: 'M 2.2', name: 'titles come with their total', as: 'mini', ask: post(LIBRARY, { offset: 0, count: 5 }), code: 0, has: { list: [{ id: /^AT\d+$/, title: String }], total_count: Number } },
  { fact: 'M 2.2', name: 'pages follow one another', as: 'mini', before: [{ ...post(LIBRARY, { offset: 1, count: 1 }), as: 'mini', keep: { second: 'list.0.id' } }], ask: post(LIBRARY, { offset: 0, count: 2 }), code: 0, has: { list: [{}, { id: '{second}' }] } },
  { fact: 'M 2.2', name: 'past the end it is empty', as: 'mini', ask: post(LIBRARY, { offset: 5000, count: 5 }), code: 0, text: /"list":\[\]/ },
  { fact: 'M 2.2.3', name: 'a page of more than 20 is one of 20', as: 'mini', before: [{ ...added, times: 22 }, set('settings', { templateLimit: 99 })], ask: post(LIST, { offset: 0, count: 50 }), code: 0, has: { list: { length: 20 } } },
  { fact: 'M 2.2', name: 'a title has keywords', as: 'mini', ask: post(TITLE, { id: 'AT0031' }), code: 0, has: { id: 'AT0031', title: '取件提醒', keyword_list: [{ keyword_id: 1, name: '取件码', example: '8-1-2' }] } },
  { fact: 'M 2.2.2', name: 'an unknown title', as: 'mini', ask: post(TITLE, { id: 'AT9999' }), code: 40037 },
  { fact: 'M 2.2.2', name: 'a withdrawn title is not added', as: 'mini', ask: post(ADD, { id: 'AT9999', keyword_id_list: [1] }), code: 40037 },
  { fact: 'M 2.2.2', name: 'no keywords', as: 'mini', ask: post(ADD, { id: 'AT0031', keyword_id_list: [] }), code: 45100 },
  { fact: 'M 2.2.2', name: 'eleven keywords', as: 'mini', ask: post(ADD, { id: 'AT0002', keyword_id_list: [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11] }), code: 45100 },
  { fact: 'M 2.2.2', name: 'a keyword the title lacks', as: 'mini', ask: post(ADD, { id: 'AT0031', keyword_id_list: [1, 99] }), code: 45075 },
  { fact: 'M 2.2', name: 'adding gives an id of 43 characters', as: 'mini', ask: post(ADD, { id: 'AT0031', keyword_id_list: [1] }), code: 0, has: { template_id: /^[A-Za-z0-9_-]{43}$/ } },
  { fact: 'M 2.2.1', name: 'keywords are numbered in the order asked for', as: 'mini', before: [added], ask: post(LIST, { offset: 1, count: 20 }), code: 0, has: { list: [{ template_id: '{added}', title: '取件提醒', content: '地址{{keyword1.DATA}}\n取件码{{keyword2.DATA}}\n', example: '地址:东门柜机\n取件码:8-1-2\n' }] } },
  { fact: 'M 2.2', name: 'own templates come without a total', as: 'mini', ask: post(LIST, { offset: 0, count: 20 }), code: 0, lacks: ['total_count'], readOnly: true },
  { fact: 'M 2.2', name: 'past their end the list is empty', as: 'mini', ask: post(LIST, { offset: 100, count: 20 }), code: 0, text: /"list":\[\]/, readOnly: true },
  { fact: 'M 2.2', name: 'an own template is deleted', as: 'mini', before: [added], ask: post(DEL, { template_id: '{added}' }), code: 0 },
  { fact: 'M 2.2', name: 'once', as: 'mini', before: [added, { ...post(DEL, { template_id: '{added}' }), as: 'mini' }], ask: post(DEL, { template_id: '{added}' }), code: 40037 },
  { fact: 'M 2.2.4', name: 'an account owns 25 at most', as: 'mini', before: [{ ...added, times: 24 }], ask: post(ADD, { id: 'AT0031', keyword_id_list: [1] }), code: 45026 }
]

const form = set('formids', { appid: MINI.appid, openid: '{openid}' }, { form: 'formIds.0' })
const card = (more: object = {}) =>
  post(LEGACY, {
    touser: '{openid}',
    template_id: LEGACY_TEMPLATE,
    page: 'pages/home',
    form_id: '{form}',
    data: { keyword1: { value: 'D1' } },
    ...more
  })
const sent = (more: object = {}): Step => ({ ...card(more), as: 'mini' })

// prettier-ignore
const send: Case[] = [
  { fact: 'M 2.3', name: 'a fresh formId sends', as: 'mini', before: [form], ask: card(), code: 0, text: /^\{"errcode":0,"errmsg":"ok"\}$/ },
  { fact: 'M 2.1.1', name: 'once', as: 'mini', before: [form, sent()], ask: card(), code: 41029 },
  { fact: 'M 2.1.1', name: 'several submissions add up', as: 'mini', before: [form, sent(), form], ask: card(), code: 0 },
  { fact: 'M 2.3', name: 'an unknown openid', as: 'mini', before: [form], ask: card({ touser: STRANGER }), code: 40003 },
  { fact: 'M 2.3', name: 'no openid', as: 'mini', before: [form], ask: card({ touser: undefined }), code: 40003 },
  { fact: 'M 10.2.1', name: 'an openid of the service account', as: 'mini', before: [form], ask: card({ touser: '{follower}' }), code: 40003 },
  { fact: 'M 2.3', name: 'an unknown template', as: 'mini', before: [form], ask: card({ template_id: NO_TEMPLATE }), code: 40037 },
  { fact: 'M 2.3', name: 'no template', as: 'mini', before: [form], ask: card({ template_id: '' }), code: 40037 },
  { fact: 'M 2.3', name: 'a template id of the wrong length', as: 'mini', before: [form], ask: card({ template_id: 'short' }), code: 40036 },
  { fact: 'M 2.3', name: 'a subscribe template', as: 'mini', before: [form], ask: card({ template_id: ONE_TIME }), code: 40037 },
  { fact: 'M 2.3', name: 'a leading slash', as: 'mini', before: [form], ask: card({ page: '/pages/home' }), code: 41030 },
  { fact: 'M 2.3', name: 'a page never released', as: 'mini', before: [form], ask: card({ page: 'pages/draft' }), code: 41030 },
  { fact: 'M 2.3', name: 'a page with a query', as: 'mini', before: [form], ask: card({ page: 'pages/parcel/detail?id=42' }), code: 0 },
  { fact: 'M 2.1.8', name: 'a formId of the trial build opens that build', as: 'mini', before: [set('formids', { appid: MINI.appid, openid: '{openid}', build: 'trial' }, { form: 'formIds.0' })], ask: card({ page: 'pages/draft' }), code: 0 },
  { fact: 'M 2.3', name: 'no page: no link', as: 'mini', before: [form], ask: card({ page: undefined }), code: 0 },
  { fact: 'M 2.3', name: 'an empty page: no link', as: 'mini', before: [form], ask: card({ page: '' }), code: 0 },
  { fact: 'M 2.3.3', name: 'no data is an empty card', as: 'mini', before: [form], ask: card({ data: undefined }), code: 0 },
  { fact: 'M 2.3', name: 'data that is no object', as: 'mini', before: [form], ask: card({ data: 'text' }), code: 47001 },
  { fact: 'M 2.3', name: 'surplus keywords, colours and emphasis pass', as: 'mini', before: [form], ask: card({ data: { keyword9: { value: 'x', color: '#173177' } }, color: '', emphasis_keyword: 'keyword1.DATA' }), code: 0 },
  { fact: 'M 2.1.3', name: "someone else's formId", as: 'mini', before: [set('formids', { appid: MINI.appid, openid: '{other}' }, { form: 'formIds.0' })], ask: card(), code: 41028 },
  { fact: 'M 2.1.7', name: 'no formId', as: 'mini', ask: card({ form_id: undefined }), code: 41028 },
  { fact: 'M 2.1.7', name: 'the mock of the developer tools', as: 'mini', ask: card({ form_id: 'the formId is a mock one' }), code: 41028 },
  { fact: 'M 2.1.11', name: 'a send that fails keeps the formId', as: 'mini', before: [form, sent({ page: '/x' })], ask: card(), code: 0 },
  { fact: 'M 2.1.1', name: 'a formId lives seven days', as: 'mini', before: [form, later(7 * DAY - 1)], ask: card(), code: 0 },
  { fact: 'M 2.1.1', name: 'not longer', as: 'mini', before: [form, later(7 * DAY)], ask: card(), code: 41028 },
  { fact: 'M 2.3.4', name: 'the openid is judged before the template', as: 'mini', ask: card({ touser: STRANGER, template_id: NO_TEMPLATE, page: '/x' }), code: 40003 },
  { fact: 'M 2.3.4', name: 'the template before the page', as: 'mini', ask: card({ template_id: NO_TEMPLATE, page: '/x' }), code: 40037 },
  { fact: 'M 2.3.4', name: 'the page before the formId', as: 'mini', ask: card({ page: '/x', form_id: 'x' }), code: 41030 },
  { fact: 'M 2.3', name: 'a disabled template', as: 'mini', before: [form, set('templates', { appid: MINI.appid, templateId: LEGACY_TEMPLATE, disabled: true })], ask: card(), code: 48011 },
  { fact: 'M 2.3', name: 'a blocked formId', as: 'mini', before: [form, set('formids/block', { formIds: ['{form}'] })], ask: card(), code: 41031 },
  ...[41032, 41034].map((code): Case => ({ fact: 'M 2.3', name: `formIds forbidden by penalty (${code})`, as: 'mini', before: [form, set('apps', { ...MINI, kind: 'miniprogram', penalty: { formIds: code } })], ask: card(), code })),
  { fact: 'M 2.3', name: 'the millionth of a day', as: 'mini', before: [form, set('quotas', { appid: MINI.appid, path: LEGACY, used: 999_999 })], ask: card(), code: 0 },
  { fact: 'M 2.3', name: 'not one more', as: 'mini', before: [form, set('quotas', { appid: MINI.appid, path: LEGACY, used: 1_000_000 })], ask: card(), code: 45009 },
  { fact: 'M 2.4', name: 'retired, first phase', as: 'mini', before: [form, set('settings', { legacyMode: 'retired_46101' })], ask: card(), code: 46101 },
  { fact: 'M 2.4', name: 'retired for good', as: 'mini', before: [form, set('settings', { legacyMode: 'retired_45103' })], ask: card(), code: 45103 },
  { fact: 'M 2.2.5', name: 'retired, the list of templates is still answered', as: 'mini', before: [set('settings', { legacyMode: 'retired_45103' })], ask: post(LIST, {}), code: 0 }
]

const order = set('orders', { appid: MINI.appid, openid: '{openid}' }, { prepay: 'prepayId', package: 'package' })
const pay = set('orders/pay', { prepayId: '{prepay}' })
const byOrder = (more: object = {}) => card({ form_id: '{prepay}', ...more })
const bySent: Step = { ...byOrder(), as: 'mini' }

// prettier-ignore
const payments: Case[] = [
  { fact: 'M 2.1.4', name: 'an order not paid', as: 'mini', before: [order], ask: byOrder(), code: 41028 },
  { fact: 'M 2.1.4', name: 'paid, not yet synchronised', as: 'mini', before: [order, pay, later(4_999)], ask: byOrder(), code: 41028 },
  { fact: 'M 2.1.4', name: 'paid and synchronised', as: 'mini', before: [order, pay, later(5_000)], ask: byOrder(), code: 0 },
  { fact: 'M 2.1.4', name: 'trying too early costs nothing', as: 'mini', before: [order, pay, bySent, later(5_000), bySent, bySent], ask: byOrder(), code: 0 },
  { fact: 'M 2.1.6', name: 'with its prefix', as: 'mini', before: [order, pay, later(5_000)], ask: card({ form_id: '{package}' }), code: 41028 },
  { fact: 'M 2.1.3', name: 'of someone else', as: 'mini', before: [order, pay, later(5_000)], ask: byOrder({ touser: '{other}' }), code: 41028 },
  { fact: 'M 2.1.2', name: 'three sends', as: 'mini', before: [order, pay, later(5_000), bySent, bySent], ask: byOrder(), code: 0 },
  { fact: 'M 2.1.2', name: 'no fourth', as: 'mini', before: [order, pay, later(5_000), bySent, bySent, bySent], ask: byOrder(), code: 41029 },
  { fact: 'M 2.1.2', name: 'within seven days of paying', as: 'mini', before: [order, later(DAY), pay, later(7 * DAY - 1)], ask: byOrder(), code: 0 },
  { fact: 'M 2.1.2', name: 'not after', as: 'mini', before: [order, pay, later(7 * DAY)], ask: byOrder(), code: 41028 },
  { fact: 'M 2.3', name: 'prepay_ids forbidden by penalty', as: 'mini', before: [order, pay, later(5_000), set('apps', { ...MINI, kind: 'miniprogram', penalty: { prepayIds: 41035 } })], ask: byOrder(), code: 41035 },
  { fact: 'M 2.3', name: 'a penalty on formIds leaves prepay_ids alone', as: 'mini', before: [order, pay, later(5_000), set('apps', { ...MINI, kind: 'miniprogram', penalty: { formIds: 41032 } })], ask: byOrder(), code: 0 }
]

export const legacy: Chapter[] = [
  { title: 'the legacy library', cases: library },
  { title: 'a legacy send', cases: send },
  { title: 'a prepay_id', cases: payments }
]

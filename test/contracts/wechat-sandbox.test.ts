import t, { type Test } from 'tap'
import { Agent, request } from 'undici'
import { createSandbox } from '../../server/sandbox/sandbox.js'

/** The contract of WeChat's servers as the facts documents state it, case by case, held against the sandbox over HTTP. */
const MINI = { appid: 'wx00000000000000a1', secret: 'mini-secret' }
const SERVICE = { appid: 'wx00000000000000b1', secret: 'service-secret' }
const UNVERIFIED = { appid: 'wx00000000000000b2', secret: 'unverified-secret' }
const START = Date.UTC(2019, 5, 8, 2, 0, 0)
const DAY = 86_400_000

const sandbox = await createSandbox({ latency: { minMs: 0, maxMs: 0 }, seed: 7, now: () => START })
const agent = new Agent({ connections: 4 })
t.teardown(async () => {
  await agent.destroy()
  await sandbox.close()
})
const { controls } = sandbox
controls.putApp({ ...MINI, kind: 'miniprogram', openPlatform: 'op', pages: ['pages/parcel/detail', 'pages/home'] })
controls.putApp({ ...SERVICE, kind: 'service', openPlatform: 'op' })
controls.putApp({ ...UNVERIFIED, kind: 'service', verified: false })

interface Answer {
  status: number
  type: string
  text: string
  json: any
}

async function call(method: string, path: string, body?: unknown, contentType = 'application/json'): Promise<Answer> {
  const response = await request(sandbox.url + path, {
    dispatcher: agent,
    method: method as 'GET',
    headers: body === undefined ? {} : { 'content-type': contentType },
    body: body === undefined ? null : typeof body === 'string' ? body : JSON.stringify(body)
  })
  const text = await response.body.text()
  return { status: response.statusCode, type: String(response.headers['content-type']), text, json: JSON.parse(text) }
}

async function tokenOf({ appid, secret }: { appid: string; secret: string }): Promise<string> {
  const answer = await call('POST', '/cgi-bin/stable_token', { grant_type: 'client_credential', appid, secret })
  return answer.json.access_token
}

const authed = async (app: typeof MINI, method: string, path: string, body?: unknown, type?: string) =>
  call(method, `${path}${path.includes('?') ? '&' : '?'}access_token=${await tokenOf(app)}`, body, type)

/** A new person in the mini-program and, as a follower, in the service account. */
function person() {
  const [made] = controls.addUsers({ appids: [MINI.appid, SERVICE.appid], followers: [SERVICE.appid] })
  return { mini: made!.openids[MINI.appid]!, service: made!.openids[SERVICE.appid]!, unionid: made!.unionid }
}

const formId = (openid: string) => controls.mintFormIds({ appid: MINI.appid, openid }).formIds[0]!
const LEGACY = '/cgi-bin/message/wxopen/template/send'
const SUBSCRIBE = '/cgi-bin/message/subscribe/send'
const SEND = '/cgi-bin/message/template/send'
const stranger = 'oStranger0000000000000000000'
const noTemplate = 'N'.repeat(43)

const legacyTemplate = (
  await authed(MINI, 'POST', '/cgi-bin/wxopen/template/add', { id: 'AT0031', keyword_id_list: [2, 1] })
).json.template_id
const oneTime = (
  await authed(
    MINI,
    'POST',
    '/wxaapi/newtmpl/addtemplate',
    'tid=402&kidList[0]=1&kidList[1]=2&kidList[2]=3',
    'application/x-www-form-urlencoded'
  )
).json.priTmplId
const longTerm = (
  await authed(MINI, 'POST', '/wxaapi/newtmpl/addtemplate', { tid: '2201', kidList: [1, 2, 3, 4], sceneDesc: '就诊' })
).json.priTmplId
const category = (
  await authed(SERVICE, 'POST', '/cgi-bin/template/api_add_template', {
    template_id_short: '43216',
    keyword_name_list: ['订单号', '商品', '发货时间']
  })
).json.template_id

const legacyBody = (openid: string, more: object = {}) => ({
  touser: openid,
  template_id: legacyTemplate,
  page: 'pages/parcel/detail?id=42',
  form_id: formId(openid),
  data: { keyword1: { value: '东门柜机' }, keyword2: { value: '8-1-2' } },
  ...more
})
const goodValues = {
  thing1: { value: '东门柜机' },
  character_string2: { value: '8-1-2' },
  time3: { value: '2019年6月8日 21:20' }
}
const subscribeBody = (openid: string, more: object = {}) => ({
  touser: openid,
  template_id: oneTime,
  page: 'pages/home',
  data: goodValues,
  ...more
})
const serviceValues = {
  character_string1: { value: 'A20240001' },
  thing2: { value: '蓝色水杯' },
  time3: { value: '2024-05-01 09:30' }
}
const serviceBody = (openid: string, more: object = {}) => ({
  touser: openid,
  template_id: category,
  data: serviceValues,
  ...more
})
const grant = (openid: string, templateId = oneTime, count = 1) =>
  controls.grant({ appid: MINI.appid, openid, templateId, count })

let cases = 0
/** One case: what is asked must end with this errcode, in HTTP 200, with a rid behind every text but ok. */
function holds(
  t: Test,
  name: string,
  code: number,
  ask: () => Promise<Answer>,
  more?: (answer: Answer, t: Test) => void
) {
  cases++
  return t.test(`${code} ${name}`, async (t) => {
    const answer = await ask()
    t.equal(answer.status, 200)
    t.equal(answer.json.errcode ?? 0, code, answer.text)
    if (code !== 0) t.match(answer.json.errmsg, / rid: [0-9a-f]{8}-[0-9a-f]{8}-[0-9a-f]{8}$/)
    more?.(answer, t)
  })
}

t.test('every call', async (t) => {
  const body = legacyBody(person().mini)
  await holds(t, 'of an unknown path', 40066, () => call('GET', '/cgi-bin/nothing'))
  await holds(t, 'that needs GET, by POST', 43001, () => call('POST', '/cgi-bin/token', {}))
  await holds(t, 'that needs POST, by GET', 43002, () => call('GET', `${LEGACY}?access_token=x`))
  await holds(t, 'by another verb', 43002, () => call('PUT', LEGACY, body))
  await holds(t, 'without token', 41001, () => call('POST', LEGACY, body))
  await holds(t, 'with the token in the body only', 41001, async () =>
    call('POST', LEGACY, { ...body, access_token: await tokenOf(MINI) })
  )
  await holds(t, 'with a garbled token', 40014, () => call('POST', `${LEGACY}?access_token=garbled`, body))
  await holds(t, 'with a token of the right shape nobody gave out', 40001, () =>
    call('POST', `${LEGACY}?access_token=71_${'x'.repeat(100)}`, body)
  )
  await holds(t, 'with an empty body', 44002, () => authed(MINI, 'POST', LEGACY))
  await holds(t, 'with broken JSON', 47001, () => authed(MINI, 'POST', LEGACY, '{"touser":'))
  await holds(t, 'with a JSON array', 47001, () => authed(MINI, 'POST', LEGACY, '[]'))
  await holds(t, 'with a bad token and a bad body complains of the token', 40014, () =>
    call('POST', `${LEGACY}?access_token=garbled`, '{')
  )
  await holds(t, 'of the service account by a mini-program', 48001, () => authed(MINI, 'GET', '/cgi-bin/user/get'))
  await holds(t, 'of the mini-program by a service account', 48001, () => authed(SERVICE, 'POST', LEGACY, body))
  await holds(t, 'service send by a mini-program', 45103, () => authed(MINI, 'POST', SEND, body))
  await holds(t, 'service send by an unverified account', 48001, () =>
    authed(UNVERIFIED, 'POST', SEND, serviceBody(stranger))
  )
  await holds(t, 'uniform_send is closed', 45109, () =>
    authed(MINI, 'POST', '/cgi-bin/message/wxopen/template/uniform_send', { touser: 'x' })
  )
  await holds(
    t,
    'answers with the odd content type',
    0,
    () => authed(MINI, 'POST', '/cgi-bin/wxopen/template/list', { offset: 0, count: 1 }),
    ({ type }, t) => t.equal(type, 'application/json; encoding=utf-8')
  )
  await holds(
    t,
    'dates its rid',
    40066,
    () => call('GET', '/cgi-bin/nothing'),
    ({ json }, t) => t.equal(json.errmsg.split(' rid: ')[1].slice(0, 8), Math.floor(START / 1000).toString(16))
  )
})

t.test('the classic token', async (t) => {
  const get = (query: string) => call('GET', `/cgi-bin/token?${query}`)
  const good = `grant_type=client_credential&appid=${MINI.appid}&secret=${MINI.secret}`
  const list = (token: string) => call('POST', `/cgi-bin/wxopen/template/list?access_token=${token}`, {})
  await holds(t, 'for nothing', 41002, () => get(''))
  await holds(t, 'without secret', 41004, () => get(`grant_type=client_credential&appid=${MINI.appid}`))
  await holds(t, 'with another grant_type', 40002, () => get(good.replace('client_credential', 'password')))
  await holds(t, 'of an unknown app', 40013, () => get(good.replace(MINI.appid, 'wxffffffffffffffff')))
  await holds(t, 'with a wrong secret', 40125, () => get(`${good}x`))
  await holds(
    t,
    'is granted without errcode',
    0,
    () => get(good),
    ({ json }, t) => {
      t.same(Object.keys(json), ['access_token', 'expires_in'])
      t.equal(json.expires_in, 7200)
      t.ok(json.access_token.length <= 512)
    }
  )
  const first = (await get(good)).json.access_token
  const second = (await get(good)).json.access_token
  t.not(first, second)
  await holds(t, 'before the newest still works', 0, () => list(first))
  controls.setClock({ advanceMs: 299_000 })
  await holds(t, 'before the newest works for almost five minutes', 0, () => list(first))
  controls.setClock({ advanceMs: 1_000 })
  await holds(t, 'before the newest is dead after five minutes', 40001, () => list(first))
  await holds(t, 'newest works', 0, () => list(second))
  controls.setClock({ advanceMs: 7_200_000 })
  await holds(t, 'ages out after two hours', 42001, () => list(second))
  const third = (await get(good)).json.access_token
  controls.voidTokens(MINI.appid)
  await holds(t, 'voided at the source', 40001, () => list(third))
  controls.setQuota({ appid: MINI.appid, path: '/cgi-bin/token', used: 2000 })
  await holds(t, 'is granted 2000 times a day', 45009, () => get(good))
  controls.putApp({ appid: 'wx00000000000000c1', secret: 's', kind: 'miniprogram', whitelist: ['203.0.113.7'] })
  await holds(
    t,
    'for an address off the white list',
    40164,
    () => get('grant_type=client_credential&appid=wx00000000000000c1&secret=s'),
    ({ json }, t) => t.match(json.errmsg, /^invalid ip 127\.0\.0\.1 ipv6 ::ffff:127\.0\.0\.1, not in whitelist rid/)
  )
  controls.putApp({ appid: 'wx00000000000000c2', secret: 's', kind: 'miniprogram', secretFrozen: true })
  await holds(t, 'with a frozen secret', 40243, () =>
    get('grant_type=client_credential&appid=wx00000000000000c2&secret=s')
  )
})

t.test('the stable token', async (t) => {
  const post = (more: object = {}) =>
    call('POST', '/cgi-bin/stable_token', { grant_type: 'client_credential', ...MINI, ...more })
  const list = (token: string) => call('POST', `/cgi-bin/wxopen/template/list?access_token=${token}`, {})
  await holds(t, 'by GET', 43002, () => call('GET', '/cgi-bin/stable_token'))
  await holds(t, 'with its parameters in the query', 44002, () =>
    call('POST', '/cgi-bin/stable_token?grant_type=client_credential')
  )
  await holds(t, 'without appid', 41002, () => post({ appid: undefined }))
  await holds(t, 'without secret', 41004, () => post({ secret: '' }))
  await holds(t, 'of an unknown app', 40013, () => post({ appid: 'wxffffffffffffffff' }))
  await holds(t, 'with a wrong secret', 40125, () => post({ secret: 'x' }))
  await holds(t, 'with another grant_type', 40002, () => post({ grant_type: 'x' }))
  controls.setClock({ advanceMs: DAY })
  const first = (await post()).json
  controls.setClock({ advanceMs: 6_899_000 })
  await holds(
    t,
    'stays the same until its last five minutes',
    0,
    () => post(),
    ({ json }, t) => t.same(json, { access_token: first.access_token, expires_in: 301 })
  )
  controls.setClock({ advanceMs: 2_000 })
  const second = (await post()).json
  t.equal(second.expires_in, 7200)
  t.not(second.access_token, first.access_token)
  await holds(t, 'replaced in its last minutes works on', 0, () => list(first.access_token))
  await holds(t, 'that replaced it works too', 0, () => list(second.access_token))
  controls.setClock({ advanceMs: 300_000 })
  await holds(t, 'replaced ages out in the end', 42001, () => list(first.access_token))
  const forced = (await post({ force_refresh: true })).json
  t.not(forced.access_token, second.access_token)
  await holds(t, 'before a forced one is dead at once', 40001, () => list(second.access_token))
  await holds(
    t,
    'forced again within 30 s is not refreshed',
    0,
    () => post({ force_refresh: true }),
    ({ json }, t) => t.equal(json.access_token, forced.access_token)
  )
  const classic = (
    await call('GET', `/cgi-bin/token?grant_type=client_credential&appid=${MINI.appid}&secret=${MINI.secret}`)
  ).json.access_token
  await holds(t, 'is left alone by the classic call', 0, () => list(forced.access_token))
  await holds(t, 'leaves the classic one alone', 0, () => list(classic))
  const seen = new Set<string>()
  for (let i = 0; i < 25; i++) {
    controls.setClock({ advanceMs: 30_000 })
    seen.add((await post({ force_refresh: true })).json.access_token)
  }
  t.equal(seen.size, 19, 'twenty forced refreshes a day, one of them above')
})

t.test('a login code', async (t) => {
  const { mini, unionid } = person()
  const login = (code: string, more = '') =>
    call(
      'GET',
      `/sns/jscode2session?appid=${MINI.appid}&secret=${MINI.secret}&js_code=${code}&grant_type=authorization_code${more}`
    )
  const code = (openid = mini) => controls.mintCode({ appid: MINI.appid, openid }).code
  const used = code()
  await holds(
    t,
    'gives openid, session_key and unionid as text/plain',
    0,
    () => login(used),
    ({ json, type }, t) => {
      t.match(json, { openid: mini, unionid, session_key: String })
      t.notOk('errcode' in json)
      t.equal(Buffer.from(json.session_key, 'base64').length, 16)
      t.equal(type, 'text/plain')
    }
  )
  const sns = (name: string, code: number, ask: () => Promise<Answer>) => {
    cases++
    return t.test(`${code} ${name}`, async (t) => {
      const { json } = await ask()
      t.equal(json.errcode, code)
      t.match(json.errmsg, /, rid: /)
    })
  }
  await sns('a second time', 40163, () => login(used))
  await sns('nobody gave out', 40029, () => login('0nobody'))
  const old = code()
  controls.setClock({ advanceMs: 300_000 })
  await sns('five minutes old', 40029, () => login(old))
  const foreign = controls.mintCode({ appid: 'wx5b1a2c3d4e5f6002' }).code
  await sns('of another app', 40029, () => login(foreign))
  await sns('missing', 41008, () => login(''))
  await sns('without appid', 41002, () => call('GET', '/sns/jscode2session?js_code=x'))
  await sns('without secret', 41004, () => call('GET', `/sns/jscode2session?appid=${MINI.appid}&js_code=x`))
  await sns('with a wrong secret', 40125, () =>
    call('GET', `/sns/jscode2session?appid=${MINI.appid}&secret=x&js_code=x&grant_type=authorization_code`)
  )
  await sns('of an unknown app', 40013, () =>
    call('GET', '/sns/jscode2session?appid=wxffffffffffffffff&secret=x&js_code=x&grant_type=authorization_code')
  )
  await sns('of a service account', 40013, () =>
    call('GET', `/sns/jscode2session?appid=${SERVICE.appid}&secret=x&js_code=x&grant_type=authorization_code`)
  )
  const busy = person().mini
  for (let i = 0; i < 100; i++) await login(code(busy))
  await sns('the 101st of a minute', 45011, () => login(code(busy)))
  await holds(t, 'session is checked by signature', 87009, () =>
    authed(MINI, 'GET', `/wxa/checksession?openid=${mini}&signature=00&sig_method=hmac_sha256`)
  )
  await holds(t, 'session is checked by one method', 87008, () =>
    authed(MINI, 'GET', `/wxa/checksession?openid=${mini}&signature=00`)
  )
})

t.test('the legacy library', async (t) => {
  const post = (path: string, body: unknown) => authed(MINI, 'POST', `/cgi-bin/wxopen/template/${path}`, body)
  await holds(
    t,
    'is listed by pages of at most 20',
    0,
    () => post('library/list', { offset: 0, count: 50 }),
    ({ json }, t) => {
      t.ok(json.list.length <= 20 && json.total_count >= json.list.length)
      t.match(json.list[0], { id: /^AT\d+$/, title: String })
    }
  )
  await holds(
    t,
    'past its end is empty',
    0,
    () => post('library/list', { offset: 500, count: 5 }),
    ({ json }, t) => t.same(json.list, [])
  )
  await holds(
    t,
    'gives the keywords of a title',
    0,
    () => post('library/get', { id: 'AT0031' }),
    ({ json }, t) =>
      t.match(json, {
        id: 'AT0031',
        title: '取件提醒',
        keyword_list: [{ keyword_id: 1, name: '取件码', example: '8-1-2' }]
      })
  )
  await holds(t, 'knows no such title', 40037, () => post('library/get', { id: 'AT9999' }))
  await holds(t, 'adds no withdrawn title', 40037, () => post('add', { id: 'AT9999', keyword_id_list: [1] }))
  await holds(t, 'adds nothing without keywords', 45100, () => post('add', { id: 'AT0031', keyword_id_list: [] }))
  await holds(t, 'adds nothing with eleven keywords', 45100, () =>
    post('add', { id: 'AT0002', keyword_id_list: [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11] })
  )
  await holds(t, 'adds no keyword it does not have', 45075, () =>
    post('add', { id: 'AT0031', keyword_id_list: [1, 99] })
  )
  await holds(
    t,
    'keeps the order of keywords',
    0,
    () => post('list', { offset: 0, count: 20 }),
    ({ json }, t) => {
      t.same(json.list[0], {
        template_id: legacyTemplate,
        title: '取件提醒',
        content: '地址{{keyword1.DATA}}\n取件码{{keyword2.DATA}}\n',
        example: '地址:东门柜机\n取件码:8-1-2\n'
      })
      t.notOk('total_count' in json)
    }
  )
  await holds(
    t,
    'lists nothing past the end',
    0,
    () => post('list', { offset: 20, count: 20 }),
    ({ json }, t) => t.same(json.list, [])
  )
  const gone = (await post('add', { id: 'AT0009', keyword_id_list: [1] })).json.template_id
  t.match(gone, /^[A-Za-z0-9_-]{43}$/)
  await holds(t, 'deletes a template', 0, () => post('del', { template_id: gone }))
  await holds(t, 'deletes it once', 40037, () => post('del', { template_id: gone }))
  for (let i = 0; i < 24; i++) await post('add', { id: 'AT0009', keyword_id_list: [1] })
  await holds(t, 'lets an account own 25', 45026, () => post('add', { id: 'AT0009', keyword_id_list: [1] }))
})

t.test('a legacy send', async (t) => {
  const send = (body: unknown) => authed(MINI, 'POST', LEGACY, body)
  const { mini } = person()
  const other = person().mini
  const body = legacyBody(mini)
  await holds(
    t,
    'with a fresh formId',
    0,
    () => send(body),
    ({ text }, t) => t.equal(text, '{"errcode":0,"errmsg":"ok"}')
  )
  await holds(t, 'with a used formId', 41029, () => send(body))
  await holds(t, 'to an unknown openid', 40003, () => send(legacyBody(mini, { touser: stranger })))
  await holds(t, 'without touser', 40003, () => send(legacyBody(mini, { touser: undefined })))
  await holds(t, 'to an openid of the service account', 40003, () =>
    send(legacyBody(mini, { touser: person().service }))
  )
  await holds(t, 'of an unknown template', 40037, () => send(legacyBody(mini, { template_id: noTemplate })))
  await holds(t, 'without template', 40037, () => send(legacyBody(mini, { template_id: '' })))
  await holds(t, 'of a template id of the wrong length', 40036, () => send(legacyBody(mini, { template_id: 'short' })))
  await holds(t, 'of a subscribe template', 40037, () => send(legacyBody(mini, { template_id: oneTime })))
  await holds(t, 'with a leading slash', 41030, () => send(legacyBody(mini, { page: '/pages/home' })))
  await holds(t, 'to a page never released', 41030, () => send(legacyBody(mini, { page: 'pages/draft' })))
  await holds(t, 'without page', 0, () => send(legacyBody(mini, { page: undefined })))
  await holds(t, 'with an empty page', 0, () => send(legacyBody(mini, { page: '' })))
  await holds(t, 'without data is an empty card', 0, () => send(legacyBody(mini, { data: undefined })))
  await holds(t, 'with data of another shape', 47001, () => send(legacyBody(mini, { data: 'text' })))
  await holds(t, 'with surplus keywords, colours and emphasis', 0, () =>
    send(
      legacyBody(mini, {
        data: { keyword9: { value: 'x', color: '#173177' } },
        color: '',
        emphasis_keyword: 'keyword1.DATA'
      })
    )
  )
  await holds(t, 'with the formId of someone else', 41028, () => send(legacyBody(mini, { form_id: formId(other) })))
  await holds(t, 'without form_id', 41028, () => send(legacyBody(mini, { form_id: undefined })))
  await holds(t, 'with the mock of the developer tools', 41028, () =>
    send(legacyBody(mini, { form_id: 'the formId is a mock one' }))
  )
  const kept = formId(mini)
  await holds(t, 'that fails on its page', 41030, () => send(legacyBody(mini, { page: '/x', form_id: kept })))
  await holds(t, 'keeps the formId of a failed one', 0, () => send(legacyBody(mini, { form_id: kept })))
  const young = formId(mini)
  const late = formId(mini)
  controls.setClock({ advanceMs: 7 * DAY - 1 })
  await holds(t, 'in the last moment of seven days', 0, () => send(legacyBody(mini, { form_id: young })))
  controls.setClock({ advanceMs: 1 })
  await holds(t, 'after seven days', 41028, () => send(legacyBody(mini, { form_id: late })))
  await holds(t, 'with a bad openid and a bad template complains of the openid', 40003, () =>
    send({ touser: stranger, template_id: noTemplate, page: '/x' })
  )
  await holds(t, 'with a bad template and a bad page complains of the template', 40037, () =>
    send({ touser: mini, template_id: noTemplate, page: '/x' })
  )
  await holds(t, 'with a bad page and a bad formId complains of the page', 41030, () =>
    send({ touser: mini, template_id: legacyTemplate, page: '/x', form_id: 'x' })
  )
  controls.setTemplate({ appid: MINI.appid, templateId: legacyTemplate, disabled: true })
  await holds(t, 'of a disabled template', 48011, () => send(legacyBody(mini)))
  controls.setTemplate({ appid: MINI.appid, templateId: legacyTemplate, disabled: false })
  controls.setQuota({ appid: MINI.appid, path: LEGACY, used: 999_999 })
  await holds(t, 'is the millionth of the day', 0, () => send(legacyBody(mini)))
  await holds(t, 'beyond a million a day', 45009, () => send(legacyBody(mini, { touser: stranger })))
  controls.setClock({ advanceMs: DAY })
  await holds(t, 'on the next day', 0, () => send(legacyBody(mini)))
  for (const [mode, code] of [
    ['retired_46101', 46101],
    ['retired_45103', 45103]
  ] as const) {
    controls.setSettings({ legacyMode: mode })
    await holds(t, `after the retirement (${mode})`, code, () => send(legacyBody(mini)))
  }
  await holds(t, 'is gone, the list of templates is still answered', 0, () =>
    authed(MINI, 'POST', '/cgi-bin/wxopen/template/list', {})
  )
  controls.setSettings({ legacyMode: 'live' })
})

t.test('a prepay_id', async (t) => {
  const { mini } = person()
  const order = controls.order({ appid: MINI.appid, openid: mini })
  const send = (form_id: unknown, touser = mini) => authed(MINI, 'POST', LEGACY, { ...legacyBody(touser), form_id })
  t.match(order.prepayId, /^wx[0-9a-f]{34}$/)
  await holds(t, 'not paid', 41028, () => send(order.prepayId))
  controls.pay({ prepayId: order.prepayId })
  controls.setClock({ advanceMs: 4_999 })
  await holds(t, 'paid but not synchronised', 41028, () => send(order.prepayId))
  controls.setClock({ advanceMs: 1 })
  await holds(t, 'with its prefix', 41028, () => send(order.package))
  await holds(t, 'of someone else', 41028, () => send(order.prepayId, person().mini))
  for (const turn of ['first', 'second', 'third']) await holds(t, `the ${turn} time`, 0, () => send(order.prepayId))
  await holds(t, 'the fourth time', 41029, () => send(order.prepayId))
  const old = controls.order({ appid: MINI.appid, openid: mini, paid: true }).prepayId
  controls.setClock({ advanceMs: 7 * DAY })
  await holds(t, 'seven days after paying', 41028, () => send(old))
})

t.test('the subscribe library', async (t) => {
  const get = (rest: string) => authed(MINI, 'GET', `/wxaapi/newtmpl/${rest}`)
  const post = (path: string, body: unknown, type?: string) =>
    authed(MINI, 'POST', `/wxaapi/newtmpl/${path}`, body, type)
  const form = 'application/x-www-form-urlencoded'
  await holds(
    t,
    'gives the categories',
    0,
    () => get('getcategory'),
    ({ json }, t) => t.match(json.data[0], { id: Number, name: String })
  )
  await holds(
    t,
    'gives titles',
    0,
    () => get('getpubtemplatetitles?ids=307,671&start=0&limit=2'),
    ({ json }, t) => {
      t.equal(json.data.length, 2)
      t.match(json, { count: Number, data: [{ tid: Number, title: String, type: 2, categoryId: '307' }] })
    }
  )
  await holds(t, 'wants ids', 200018, () => get('getpubtemplatetitles?start=0&limit=2'))
  await holds(t, 'wants ids without quotes', 200019, () => get('getpubtemplatetitles?ids=%22307%22&start=0&limit=2'))
  await holds(t, 'wants ids it knows', 200019, () => get('getpubtemplatetitles?ids=9&start=0&limit=2'))
  await holds(t, 'wants a start', 200016, () => get('getpubtemplatetitles?ids=307&limit=2'))
  await holds(t, 'gives at most 30', 200017, () => get('getpubtemplatetitles?ids=307&start=0&limit=31'))
  await holds(
    t,
    'gives keywords',
    0,
    () => get('getpubtemplatekeywords?tid=402'),
    ({ json }, t) => t.match(json.data[0], { kid: 1, name: '取货地点', example: '东门柜机', rule: 'thing' })
  )
  await holds(t, 'wants a tid', 200014, () => get('getpubtemplatekeywords'))
  await holds(t, 'wants a tid it has', 200014, () => get('getpubtemplatekeywords?tid=1'))
  await holds(
    t,
    'adds by a form with repeated names',
    0,
    () => post('addtemplate', 'tid=408&kidList=2&kidList=1', form),
    ({ json }, t) => t.match(json.priTmplId, /^[\w-]{43}$/)
  )
  await holds(t, 'adds nothing without tid', 200014, () => post('addtemplate', { kidList: [1, 2] }))
  await holds(t, 'adds nothing from text/plain with a form inside', 200014, () =>
    post('addtemplate', 'nonsense', 'text/plain')
  )
  await holds(t, 'wants two keywords', 200020, () => post('addtemplate', { tid: '402', kidList: [1] }))
  await holds(t, 'wants five keywords at most', 200020, () =>
    post('addtemplate', { tid: '401', kidList: [1, 2, 3, 4, 5, 6] })
  )
  await holds(t, 'wants its own keywords', 200020, () => post('addtemplate', { tid: '402', kidList: [1, 9] }))
  await holds(t, 'wants a short scene', 200021, () =>
    post('addtemplate', { tid: '402', kidList: [1, 2], sceneDesc: '十六个字的场景说明写得实在太长了' })
  )
  await holds(
    t,
    'lists what was added, keys by type',
    0,
    () => get('gettemplate'),
    ({ json }, t) => {
      t.match(json.data[0], {
        priTmplId: oneTime,
        title: '取货提醒',
        type: 2,
        content: '取货地点:{{thing1.DATA}}\n取货码:{{character_string2.DATA}}\n取货时间:{{time3.DATA}}\n'
      })
      t.match(json.data[1], {
        type: 3,
        keywordEnumValueList: [{ keywordCode: 'enum4.DATA', enumValueList: ['初诊', '复诊', '体检'] }]
      })
    }
  )
  await holds(t, 'wants to know what to delete', 200002, () => post('deltemplate', {}))
  const gone = (await post('addtemplate', { tid: 415, kidList: [2, 1] })).json.priTmplId
  await holds(t, 'deletes by form', 0, () => post('deltemplate', `priTmplId=${gone}`, form))
  await holds(t, 'deletes once', 40037, () => post('deltemplate', { priTmplId: gone }))
  controls.setSettings({ strictNewtmpl: true })
  await holds(t, 'when strict takes no JSON', 200014, () => post('addtemplate', { tid: '402', kidList: [1, 2] }))
  controls.setSettings({ strictNewtmpl: false, subscribeTemplateLimit: 3 })
  await holds(t, 'has a limit', 200012, () => post('addtemplate', { tid: '402', kidList: [1, 2] }))
  controls.setSettings({ subscribeTemplateLimit: 25 })
})

t.test('a subscribe send', async (t) => {
  const send = (body: unknown) => authed(MINI, 'POST', SUBSCRIBE, body)
  const { mini } = person()
  await holds(t, 'without a grant', 43101, () => send(subscribeBody(mini)))
  grant(mini)
  await holds(
    t,
    'with a grant',
    0,
    () => send(subscribeBody(mini)),
    ({ text, json }, t) => {
      t.match(text, /"msgid":\d{19}\}$/)
      t.ok(json.msgid > Number.MAX_SAFE_INTEGER)
    }
  )
  await holds(t, 'with the grant spent', 43101, () => send(subscribeBody(mini)))
  controls.grant({ appid: MINI.appid, openid: mini, templateId: oneTime, result: 'reject' })
  await holds(t, 'after a refusal', 43101, () => send(subscribeBody(mini)))
  grant(mini, oneTime, 2)
  grant(mini)
  for (const turn of ['first', 'second', 'third'])
    await holds(t, `uses the ${turn} of three grants`, 0, () => send(subscribeBody(mini)))
  await holds(t, 'finds no fourth', 43101, () => send(subscribeBody(mini)))
  grant(mini, oneTime, 50)
  await holds(t, 'to an unknown openid', 40003, () => send(subscribeBody(stranger)))
  await holds(t, 'with toUser misspelt', 40003, () => send({ ...subscribeBody(mini), touser: undefined, toUser: mini }))
  await holds(t, 'of an unknown template', 40037, () => send(subscribeBody(mini, { template_id: noTemplate })))
  await holds(t, 'of an empty template', 40037, () => send(subscribeBody(mini, { template_id: '' })))
  await holds(t, 'of a legacy template', 40037, () => send(subscribeBody(mini, { template_id: legacyTemplate })))
  await holds(t, 'to a page never released', 41030, () => send(subscribeBody(mini, { page: 'pages/draft' })))
  await holds(t, 'to a page of the developer build', 0, () =>
    send(subscribeBody(mini, { page: 'pages/draft', miniprogram_state: 'developer' }))
  )
  await holds(t, 'without page', 0, () => send(subscribeBody(mini, { page: undefined })))
  await holds(t, 'with surplus keys and colours', 0, () =>
    send(subscribeBody(mini, { data: { ...goodValues, thing9: { value: 'x', color: '#fff' } } }))
  )
  const broken = (name: string, data: unknown, phrase: string) =>
    holds(
      t,
      name,
      47003,
      () => send(subscribeBody(mini, { data })),
      ({ json }, t) => t.equal(json.errmsg.split(' rid: ')[0], phrase)
    )
  await broken('without data', undefined, 'argument invalid! data.thing1.value is empty')
  await broken(
    'lacking a key',
    { thing1: { value: 'x' }, character_string2: { value: 'x' } },
    'argument invalid! data.time3.value is empty'
  )
  await broken('with a bare string', { ...goodValues, time3: '21:20' }, 'argument invalid! data.time3.value is empty')
  await broken(
    'with a blank value',
    { ...goodValues, thing1: { value: ' ' } },
    'argument invalid! data.thing1.value is empty'
  )
  await broken(
    'with 21 characters',
    { ...goodValues, thing1: { value: '一'.repeat(21) } },
    'argument invalid! data.thing1.value invalid'
  )
  await broken(
    'with Chinese in a character_string, the phrase cut at 48',
    { ...goodValues, character_string2: { value: '八' } },
    'argument invalid! data.character_string2.value i'
  )
  grant(mini, longTerm)
  const visit = {
    name1: { value: '李小云' },
    time2: { value: '15:00' },
    thing3: { value: '口腔科' },
    enum4: { value: '初诊' }
  }
  for (const turn of ['once', 'twice'])
    await holds(t, `of a long-term grant ${turn}`, 0, () =>
      send(subscribeBody(mini, { template_id: longTerm, data: visit }))
    )
  await holds(t, 'with a value outside the enumeration', 47003, () =>
    send(subscribeBody(mini, { template_id: longTerm, data: { ...visit, enum4: { value: '急诊' } } }))
  )
  controls.withdraw({ appid: MINI.appid, openid: mini, templateId: longTerm })
  await holds(t, 'after the grant was withdrawn', 43101, () =>
    send(subscribeBody(mini, { template_id: longTerm, data: visit }))
  )
  await holds(t, 'with a forbidden word', 45168, () =>
    send(subscribeBody(mini, { data: { ...goodValues, thing1: { value: '赌博' } } }))
  )
  await holds(t, 'in a language it does not have', 40097, () => send(subscribeBody(mini, { lang: 'fr' })))
  controls.block({ appid: MINI.appid, openids: [mini] })
  await holds(t, 'to one who refuses', 43101, () => send(subscribeBody(mini)))
  controls.block({ appid: MINI.appid, openids: [mini], how: 'none' })
  controls.setLatency({ minMs: 30, maxMs: 30 })
  const both = await Promise.all([send(subscribeBody(mini)), send(subscribeBody(mini))])
  controls.setLatency({ minMs: 0, maxMs: 0 })
  cases++
  t.same(both.map(({ json }) => json.errcode).sort(), [0, 43108], 'two at once to one person: one of them 43108')
  controls.setQuota({ appid: MINI.appid, path: SUBSCRIBE, used: 10_000_000 })
  await holds(t, 'beyond ten million a day', 45009, () => send(subscribeBody(mini)))
  controls.putApp({
    ...MINI,
    kind: 'miniprogram',
    openPlatform: 'op',
    pages: ['pages/parcel/detail', 'pages/home'],
    payment: true
  })
  await holds(t, 'beyond ten million with payment', 0, () => send(subscribeBody(mini)))
})

t.test('industries and templates of a service account', async (t) => {
  const post = (path: string, body: unknown) => authed(SERVICE, 'POST', `/cgi-bin/template/${path}`, body)
  const get = (path: string) => authed(SERVICE, 'GET', `/cgi-bin/template/${path}`)
  await holds(t, 'before any industry was set', 40102, () => get('get_industry'))
  await holds(t, 'an industry template of no own industry', 45027, () =>
    post('api_add_template', { template_id_short: 'OPENTM200411' })
  )
  await holds(t, 'equal industries', 40102, () => post('api_set_industry', { industry_id1: '1', industry_id2: '1' }))
  await holds(t, 'an unknown industry', 40102, () =>
    post('api_set_industry', { industry_id1: '1', industry_id2: '42' })
  )
  await holds(t, 'two industries', 0, () => post('api_set_industry', { industry_id1: '16', industry_id2: '1' }))
  await holds(t, 'a second change in a month', 43100, () =>
    post('api_set_industry', { industry_id1: '2', industry_id2: '1' })
  )
  await holds(
    t,
    'the industries, without errcode',
    0,
    () => get('get_industry'),
    ({ json }, t) =>
      t.same(json, {
        primary_industry: { first_class: '教育', second_class: '培训' },
        secondary_industry: { first_class: 'IT科技', second_class: '互联网|电子商务' }
      })
  )
  await holds(t, 'an industry template', 0, () => post('api_add_template', { template_id_short: 'OPENTM200411' }))
  await holds(t, 'a category template without names', 40246, () =>
    post('api_add_template', { template_id_short: '43216' })
  )
  await holds(t, 'a category template with unknown names', 40246, () =>
    post('api_add_template', { template_id_short: '43216', keyword_name_list: ['订单号', '天气'] })
  )
  await holds(t, 'a title that does not exist', 40037, () => post('api_add_template', { template_id_short: '1' }))
  await holds(
    t,
    'the list, without errcode',
    0,
    () => get('get_all_private_template'),
    ({ json }, t) => {
      t.same(Object.keys(json), ['template_list'])
      t.match(json.template_list[0], {
        template_id: category,
        title: '订单发货通知',
        primary_industry: '',
        content: '订单号:{{character_string1.DATA}}\n商品:{{thing2.DATA}}\n发货时间:{{time3.DATA}}'
      })
      t.match(json.template_list[1], { primary_industry: '教育', deputy_industry: '培训' })
    }
  )
  await holds(t, 'the list by POST, as some SDKs ask', 0, () => post('get_all_private_template', ''))
  controls.setClock({ advanceMs: 31 * DAY })
  await holds(t, 'another industry a month later', 0, () =>
    post('api_set_industry', { industry_id1: '2', industry_id2: '1' })
  )
  await holds(
    t,
    'the templates of a left industry are gone',
    0,
    () => get('get_all_private_template'),
    ({ json }, t) => t.equal(json.template_list.length, 1)
  )
  await holds(t, 'deleting an unknown template', 40037, () => post('del_private_template', { template_id: noTemplate }))
  const added: string[] = []
  for (let i = 0; i < 24; i++)
    added.push(
      (await post('api_add_template', { template_id_short: '43221', keyword_name_list: ['订单号'] })).json.template_id
    )
  await holds(t, 'a 26th template', 45026, () =>
    post('api_add_template', { template_id_short: '43221', keyword_name_list: ['订单号'] })
  )
  await holds(t, 'deleting one', 0, () => post('del_private_template', { template_id: added[0] }))
})

t.test('a service send', async (t) => {
  const send = (body: unknown) => authed(SERVICE, 'POST', SEND, body)
  const { service, mini } = person()
  const again = { client_msg_id: 'job42-user9-1' }
  let first = ''
  await holds(
    t,
    'to a follower',
    0,
    () => send(serviceBody(service, again)),
    ({ text }, t) => {
      first = /"msgid":(\d{19})\}$/.exec(text)![1]!
      t.ok(BigInt(first) > BigInt(Number.MAX_SAFE_INTEGER))
    }
  )
  await holds(
    t,
    'with the same client_msg_id gives the first msgid',
    0,
    () => send(serviceBody(service, again)),
    ({ text }, t) => t.ok(text.includes(`"msgid":${first}}`))
  )
  await holds(t, 'with the same content within a minute', 40241, () =>
    send(serviceBody(service, { client_msg_id: 'another' }))
  )
  controls.setClock({ advanceMs: 60_000 })
  await holds(
    t,
    'with the same content after a minute',
    0,
    () => send(serviceBody(service, { client_msg_id: 'another' })),
    ({ text }, t) => t.notOk(text.includes(first))
  )
  controls.setClock({ advanceMs: 540_000 })
  await holds(
    t,
    'with the same client_msg_id after ten minutes is delivered again',
    0,
    () => send(serviceBody(service, again)),
    ({ text }, t) => t.notOk(text.includes(first))
  )
  await holds(t, 'with the same client_msg_id to another person', 0, () => send(serviceBody(person().service, again)))
  controls.setSettings({ duplicateAnswer: 40241 })
  await holds(t, 'with the same client_msg_id, the answer set', 40241, () => send(serviceBody(service, again)))
  controls.setSettings({ duplicateAnswer: 'first' })
  await holds(t, 'without touser', 41009, () => send(serviceBody('')))
  await holds(t, 'to an unknown openid', 40003, () => send(serviceBody(stranger)))
  await holds(t, 'to an openid of the mini-program', 40003, () => send(serviceBody(mini)))
  await holds(t, 'of an unknown template', 40037, () => send(serviceBody(service, { template_id: noTemplate })))
  await holds(t, 'of a template id of the wrong length', 40036, () => send(serviceBody(service, { template_id: 'x' })))
  await holds(t, 'to a mini-program not linked', 40013, () =>
    send(serviceBody(service, { miniprogram: { appid: 'wxffffffffffffffff', pagepath: 'x' } }))
  )
  await holds(t, 'to a linked mini-program', 0, () =>
    send(
      serviceBody(person().service, {
        miniprogram: { appid: MINI.appid, pagepath: 'pages/home?x=1' },
        url: 'https://shop.example.test/'
      })
    )
  )
  const left = person().service
  controls.setFollowers({ appid: SERVICE.appid, openids: [left], follow: false })
  await holds(t, 'to one who left', 43004, () => send(serviceBody(left)))
  const quiet = person().service
  controls.block({ appid: SERVICE.appid, openids: [quiet] })
  await holds(t, 'to one who refuses', 43101, () => send(serviceBody(quiet)))
  await holds(
    t,
    'with a wrong value',
    47003,
    () => send(serviceBody(service, { data: { ...serviceValues, time3: { value: 'soon' } } })),
    ({ json }, t) => t.match(json.errmsg, /^argument invalid! data\.time3\.value invalid /)
  )
  await holds(t, 'lacking a key', 47003, () => send(serviceBody(service, { data: { thing2: { value: 'x' } } })))
  await holds(t, 'without data', 47001, () => send(serviceBody(service, { data: undefined })))
  controls.setTemplate({ appid: SERVICE.appid, templateId: category, disabled: true })
  await holds(t, 'of a banned template', 43116, () => send(serviceBody(service)))
  controls.setTemplate({ appid: SERVICE.appid, templateId: category, disabled: false })
  controls.setQuota({ appid: SERVICE.appid, path: SEND, used: 100_000 })
  await holds(t, 'beyond 100,000 a day', 45009, () => send(serviceBody(service)))
  await holds(t, 'after the quota was cleared', 0, async () => {
    await authed(SERVICE, 'POST', '/cgi-bin/clear_quota', { appid: SERVICE.appid })
    return send(serviceBody(person().service))
  })
})

t.test('followers', async (t) => {
  const app = { appid: 'wx00000000000000b3', secret: 'many' }
  controls.putApp({ ...app, kind: 'service' })
  const people = controls
    .addUsers({ count: 10_001, appids: [app.appid], followers: [app.appid] })
    .map(({ openids }) => openids[app.appid]!)
  const get = (rest: string) => authed(app, 'GET', `/cgi-bin/user/${rest}`)
  let next = ''
  await holds(
    t,
    'come 10,000 at once',
    0,
    () => get('get'),
    ({ json }, t) => {
      next = json.next_openid
      t.match(json, { total: 10_001, count: 10_000, next_openid: people[9_999] })
      t.equal(json.data.openid.length, 10_000)
    }
  )
  await holds(
    t,
    'end with a short page',
    0,
    () => get(`get?next_openid=${next}`),
    ({ json }, t) =>
      t.same(json, { total: 10_001, count: 1, data: { openid: [people[10_000]] }, next_openid: people[10_000] })
  )
  await holds(
    t,
    'are over without data',
    0,
    () => get(`get?next_openid=${people[10_000]}`),
    ({ json }, t) => t.same(json, { total: 10_001, count: 0, next_openid: '' })
  )
  await holds(t, 'after an unknown openid', 40003, () => get(`get?next_openid=${stranger}`))
  controls.setFollowers({ appid: app.appid, openids: [people[0]!], follow: false })
  await holds(
    t,
    'who left are not listed',
    0,
    () => get('get'),
    ({ json }, t) => t.match(json, { total: 10_000, count: 10_000 })
  )
  await holds(
    t,
    'have details',
    0,
    () => get(`info?openid=${people[1]}&lang=zh_CN`),
    ({ json }, t) => {
      t.match(json, { subscribe: 1, openid: people[1], tagid_list: [], subscribe_scene: 'ADD_SCENE_QR_CODE' })
      t.notOk('unionid' in json, 'not bound to an Open Platform account')
    }
  )
  await holds(
    t,
    'who left have none',
    0,
    () => get(`info?openid=${people[0]}`),
    ({ json }, t) => t.same(json, { subscribe: 0, openid: people[0] })
  )
  await holds(t, 'nobody knows', 40003, () => get(`info?openid=${stranger}`))
  await holds(t, 'not named', 41009, () => get('info'))
  const batch = (user_list: unknown) => authed(app, 'POST', '/cgi-bin/user/info/batchget', { user_list })
  await holds(
    t,
    'come 100 details at once',
    0,
    () => batch(people.slice(0, 100).map((openid) => ({ openid }))),
    ({ json }, t) => t.equal(json.user_info_list.length, 100)
  )
  await holds(t, 'come not 101 at once', 40097, () => batch(people.slice(0, 101).map((openid) => ({ openid }))))
  await holds(t, 'with a stranger among them', 40003, () => batch([{ openid: people[1] }, { openid: stranger }]))
  const { mini, service, unionid } = person()
  await holds(
    t,
    'share their unionid with the mini-program',
    0,
    () => authed(SERVICE, 'GET', `/cgi-bin/user/info?openid=${service}`),
    ({ json }, t) => {
      t.equal(json.unionid, unionid)
      t.not(mini, service)
    }
  )
  const tag = (await authed(app, 'POST', '/cgi-bin/tags/create', { tag: { name: '会员' } })).json.tag.id
  await holds(t, 'are tagged', 0, () =>
    authed(app, 'POST', '/cgi-bin/tags/members/batchtagging', { openid_list: people.slice(1, 3), tagid: tag })
  )
  await holds(
    t,
    'are found by tag',
    0,
    () => authed(app, 'POST', '/cgi-bin/user/tag/get', { tagid: tag }),
    ({ json }, t) => t.same(json.data.openid, people.slice(1, 3))
  )
  await holds(
    t,
    'are counted by tag',
    0,
    () => authed(app, 'GET', '/cgi-bin/tags/get'),
    ({ json }, t) => t.same(json.tags, [{ id: tag, name: '会员', count: 2 }])
  )
  await holds(t, 'of an unknown tag', 45159, () => authed(app, 'POST', '/cgi-bin/user/tag/get', { tagid: 9 }))
  controls.setQuota({ appid: app.appid, path: '/cgi-bin/user/get', used: 500 })
  await holds(t, 'are listed 500 times a day', 45009, () => get('get'))
})

t.test('operating calls', async (t) => {
  const post = (path: string, body: unknown) => authed(MINI, 'POST', path, body)
  await holds(
    t,
    'the quota of a path',
    0,
    () => post('/cgi-bin/openapi/quota/get', { cgi_path: LEGACY }),
    ({ json }, t) => t.match(json.quota, { daily_limit: 1_000_000, used: Number, remain: Number })
  )
  await holds(t, 'the quota of half a path', 76003, () =>
    post('/cgi-bin/openapi/quota/get', { cgi_path: 'cgi-bin/token' })
  )
  await holds(t, 'the quota of a path that is none', 76021, () =>
    post('/cgi-bin/openapi/quota/get', { cgi_path: '/cgi-bin/nothing' })
  )
  await holds(t, 'the quota of /sns', 76022, () =>
    post('/cgi-bin/openapi/quota/get', { cgi_path: '/sns/jscode2session' })
  )
  await holds(t, 'clearing for another app', 40013, () => post('/cgi-bin/clear_quota', { appid: SERVICE.appid }))
  for (let i = 0; i < 10; i++)
    await call('POST', `/cgi-bin/clear_quota/v2?appid=${MINI.appid}&appsecret=${MINI.secret}`)
  await holds(t, 'clearing an eleventh time in a month', 48006, () =>
    post('/cgi-bin/clear_quota', { appid: MINI.appid })
  )
  const { json } = await authed(MINI, 'POST', LEGACY, { touser: stranger })
  const rid = json.errmsg.split(' rid: ')[1]
  await holds(
    t,
    'looking a rid up',
    0,
    () => post('/cgi-bin/openapi/rid/get', { rid }),
    ({ json }, t) => {
      t.match(json.request, { request_url: /^\/cgi-bin\/message\/wxopen/, response_body: /40003/ })
      t.notMatch(json.request.request_url, /access_token=\d/)
    }
  )
  await holds(t, 'a malformed rid', 76002, () => post('/cgi-bin/openapi/rid/get', { rid: 'x' }))
  await holds(t, 'an unknown rid', 76001, () => post('/cgi-bin/openapi/rid/get', { rid: '00000000-00000000-00000000' }))
  await holds(t, 'the rid of another app', 76003, () => authed(SERVICE, 'POST', '/cgi-bin/openapi/rid/get', { rid }))
  await holds(
    t,
    'the addresses',
    0,
    () => authed(MINI, 'GET', '/cgi-bin/get_api_domain_ip'),
    ({ json }, t) => t.ok(Array.isArray(json.ip_list))
  )
  const { mini } = person()
  await holds(
    t,
    'a clean text',
    0,
    () => post('/wxa/msg_sec_check', { version: 2, openid: mini, scene: 1, content: '你好' }),
    ({ json }, t) => t.match(json.result, { suggest: 'pass', label: 100 })
  )
  await holds(
    t,
    'a risky text',
    0,
    () => post('/wxa/msg_sec_check', { version: 2, openid: mini, scene: 1, content: '赌博' }),
    ({ json }, t) => t.equal(json.result.suggest, 'risky')
  )
  await holds(t, 'a risky text, first version', 87014, () => post('/wxa/msg_sec_check', { content: '赌博' }))
  await holds(t, 'a scene that is none', 40129, () =>
    post('/wxa/msg_sec_check', { version: 2, openid: mini, scene: 9, content: '你好' })
  )
})

t.test('the contract', async (t) => {
  t.ok(cases >= 150, `${cases} cases`)
  t.comment(`${cases} contract cases`)
})

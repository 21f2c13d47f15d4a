import { createDecipheriv, createHash } from 'node:crypto'
import t, { type Test } from 'tap'
import { listen, startSandbox } from './both-ends.js'

const PLATFORM = { appid: 'wx5b1a2c3d4e5f6009', secret: '6009a1b2c3d4e5f60718293a4b5c6d7e' }
const SERVICE = 'wx5b1a2c3d4e5f6003'
const MINI = 'wx5b1a2c3d4e5f6001'
const SEALING = { token: 'platform_token', aesKey: 'kitDemoEncodingAESKey0123456789abcdefghijkA' }
const TEN_MINUTES = 600_000
const MINUTE = 60_000
const HOUR = 3_600_000

/** A platform's two callback addresses: keeps what comes, opened. */
async function callbacks(t: Test) {
  const got: { path: string; query: URLSearchParams; envelope: string; xml: string; receiver: string }[] = []
  let wake = () => {}
  const base = await listen(t, (url, body, response) => {
    const sealed = /<Encrypt><!\[CDATA\[(.+)\]\]><\/Encrypt>/.exec(body)![1]!
    const key = Buffer.from(`${SEALING.aesKey}=`, 'base64')
    const decipher = createDecipheriv('aes-256-cbc', key, key.subarray(0, 16)).setAutoPadding(false)
    const plain = Buffer.concat([decipher.update(sealed, 'base64'), decipher.final()])
    const size = plain.readUInt32BE(16)
    const signed = [SEALING.token, url.searchParams.get('timestamp')!, url.searchParams.get('nonce')!, sealed].sort()
    t.equal(url.searchParams.get('msg_signature'), createHash('sha1').update(signed.join('')).digest('hex'))
    got.push({
      path: url.pathname,
      query: url.searchParams,
      envelope: body.replace(sealed, '…'),
      xml: plain.subarray(20, 20 + size).toString(),
      receiver: plain.subarray(20 + size, plain.length - plain.at(-1)!).toString()
    })
    response.end('success')
    wake()
  })
  return {
    base,
    got,
    async until(count: number) {
      while (got.length < count) await new Promise<void>((resolve) => (wake = resolve))
      return got
    }
  }
}

const field = (xml: string, name: string) => new RegExp(`<${name}>(?:<!\\[CDATA\\[)?([^<\\]]*)`).exec(xml)?.[1]

async function start(t: Test, more: object = {}) {
  const sandbox = await startSandbox(t, { seed: 11 })
  const { controls, call, json } = sandbox
  const events = await callbacks(t)
  controls.setSettings({ push: { minDelayMs: 0, maxDelayMs: 0 } })
  controls.putPlatform({
    ...PLATFORM,
    ...SEALING,
    eventUrl: `${events.base}/events`,
    messageUrl: `${events.base}/messages/$APPID$`,
    ...more
  })
  const componentToken = async () => {
    const { ticket } = controls.platforms().find(({ appid }) => appid === PLATFORM.appid)!
    const { component_access_token } = await json('POST', '/cgi-bin/component/api_component_token', {
      component_appid: PLATFORM.appid,
      component_appsecret: PLATFORM.secret,
      component_verify_ticket: ticket
    })
    return component_access_token as string
  }
  let token = ''
  const component = async (name: string, body: object = {}) => {
    token ||= await componentToken()
    return json('POST', `/cgi-bin/component/${name}?component_access_token=${token}`, {
      component_appid: PLATFORM.appid,
      ...body
    })
  }
  /** A browser's form. */
  const submit = (action: string, form: string) =>
    call('POST', action, form, { type: 'application/x-www-form-urlencoded' })
  return { ...sandbox, events, component, componentToken, submit }
}

t.test('a ticket', async (t) => {
  t.test('is pushed at once, sealed for the platform, and every ten minutes', async (t) => {
    const { events, controls } = await start(t)
    const [first] = await events.until(1)
    t.match(first, { path: '/events', receiver: PLATFORM.appid })
    t.match(first!.envelope, `<xml><AppId><![CDATA[${PLATFORM.appid}]]></AppId><Encrypt>`)
    t.equal(field(first!.xml, 'InfoType'), 'component_verify_ticket')
    t.match(field(first!.xml, 'ComponentVerifyTicket'), /^ticket@@@/)
    controls.setClock({ advanceMs: TEN_MINUTES - MINUTE })
    t.equal(controls.pushes({ event: 'component_verify_ticket' }).rows.length, 1)
    controls.setClock({ advanceMs: MINUTE })
    await events.until(2)
    t.not(field(events.got[1]!.xml, 'ComponentVerifyTicket'), field(first!.xml, 'ComponentVerifyTicket'))
  })
  t.test('comes on demand', async (t) => {
    const { events, json } = await start(t, { tickets: false })
    t.same(
      await json('POST', '/cgi-bin/component/api_start_push_ticket', {
        component_appid: PLATFORM.appid,
        component_secret: PLATFORM.secret
      }),
      { errcode: 0, errmsg: 'ok' }
    )
    const [pushed] = await events.until(1)
    const { ticket } = await json('POST', '/sandbox/platforms/ticket', { appid: PLATFORM.appid })
    await events.until(2)
    t.not(field(pushed!.xml, 'ComponentVerifyTicket'), ticket)
    t.equal(field(events.got[1]!.xml, 'ComponentVerifyTicket'), ticket)
  })
  t.test('buys a component token for twelve hours', async (t) => {
    const { json, controls } = await start(t, { tickets: false })
    const { ticket } = controls.pushTicket(PLATFORM.appid)
    const buy = (more: object = {}) =>
      json('POST', '/cgi-bin/component/api_component_token', {
        component_appid: PLATFORM.appid,
        component_appsecret: PLATFORM.secret,
        component_verify_ticket: ticket,
        ...more
      })
    controls.setClock({ advanceMs: 12 * HOUR - MINUTE })
    const bought = await buy()
    t.match(bought, { component_access_token: /^\d\d_/, expires_in: 7200 })
    t.notOk('errcode' in bought)
    controls.setClock({ advanceMs: MINUTE })
    t.equal((await buy()).errcode, 61005)
    t.equal((await buy({ component_verify_ticket: 'ticket@@@x' })).errcode, 61006)
    t.equal((await buy({ component_appsecret: 'x' })).errcode, 40125)
    t.equal((await buy({ component_appsecret: '' })).errcode, 41004)
    t.equal((await buy({ component_appid: MINI })).errcode, 61011)
    t.equal((await buy({ component_appid: 'wxffffffffffffffff' })).errcode, 40013)
  })
  t.test('buys nothing from an address that is not registered', async (t) => {
    const { json, controls } = await start(t, { whitelist: ['203.0.113.7'] })
    const { ticket } = controls.pushTicket(PLATFORM.appid)
    const body = {
      component_appid: PLATFORM.appid,
      component_appsecret: PLATFORM.secret,
      component_verify_ticket: ticket
    }
    t.equal((await json('POST', '/cgi-bin/component/api_component_token', body)).errcode, 61004)
  })
})

t.test('tokens of the two kinds', async (t) => {
  const { json, componentToken, controls } = await start(t)
  const component = await componentToken()
  const { access_token: own } = await json(
    'GET',
    `/cgi-bin/token?grant_type=client_credential&appid=${SERVICE}&secret=6003a1b2c3d4e5f60718293a4b5c6d7e`
  )
  const preAuth = (query: string) =>
    json('POST', `/cgi-bin/component/api_create_preauthcode?${query}`, { component_appid: PLATFORM.appid })
  t.match(await preAuth(`access_token=${component}`), { pre_auth_code: /^preauthcode@@@/ }, 'either name will do')
  t.equal((await preAuth(`component_access_token=${own}`)).errcode, 61014)
  t.equal((await json('GET', `/cgi-bin/user/get?access_token=${component}`)).errcode, 61015)
  t.equal((await preAuth('')).errcode, 41001)
  t.equal(
    (await json('GET', `/cgi-bin/token?grant_type=client_credential&appid=${PLATFORM.appid}&secret=x`)).errcode,
    61024
  )
  controls.voidTokens(PLATFORM.appid)
  t.equal((await preAuth(`component_access_token=${component}`)).errcode, 40001)
})

/** What a browser would send for the page's form, with the boxes of `sets` ticked. */
function formOf(html: string, appid: string, sets: number[], answer = 'confirm') {
  const form = new URLSearchParams({ answer, appid })
  for (const [, name, value] of html.matchAll(/<input type="hidden" name="([^"]+)" value="([^"]*)">/g))
    form.set(name!, value!.replaceAll('&amp;', '&'))
  for (const set of sets) form.append(appid, String(set))
  return { action: /<form method="post" action="([^"]+)"/.exec(html)![1]!, body: form.toString() }
}

t.test('an administrator', async (t) => {
  const { events, call, submit, json, component, controls } = await start(t, {
    tickets: false,
    domain: 'shop.example.test'
  })
  controls.pushTicket(PLATFORM.appid)
  await events.until(1)
  const back = 'https://shop.example.test/return?state=7'
  const link = (code: string, more = '') =>
    `/cgi-bin/componentloginpage?component_appid=${PLATFORM.appid}&pre_auth_code=${code}&redirect_uri=${encodeURIComponent(back)}&auth_type=1${more}`
  const { pre_auth_code: code, expires_in } = await component('api_create_preauthcode')
  t.equal(expires_in, 600)

  t.test('sees the accounts and sets on offer', async (t) => {
    const { status, headers, text } = await call('GET', link(code))
    t.equal(status, 200)
    t.match(headers['content-type'], 'text/html')
    t.match(text, `value="${SERVICE}"`)
    t.notMatch(text, `value="${MINI}"`, 'auth_type 1 is for service accounts only')
    t.match(text, /name="wx5b1a2c3d4e5f6003" value="7" checked/)
    t.notMatch(text, 'value="20"', 'a set of mini-programs')
    const minis = (await call('GET', link(code).replace('auth_type=1', 'auth_type=2'))).text
    t.match(minis, `value="${MINI}"`)
    t.notMatch(minis, `value="${SERVICE}"`)
    t.match((await call('GET', link(code, `&biz_appid=${MINI}`))).text, `value="${MINI}"`, 'biz_appid wins')
    t.notMatch((await call('GET', link(code, '&category_id_list=2%7C3'))).text, 'value="7"')
  })
  t.test('is told what is wrong with a link', async (t) => {
    const wrong = async (target: string, why: RegExp) => t.match((await call('GET', target)).text, why)
    await wrong(link('nonsense'), /pre_auth_code is unknown/)
    await wrong(link(code).replace(PLATFORM.appid, 'wxffffffffffffffff'), /is no platform/)
    await wrong(link(code).replace('shop.example.test', 'evil.example.test'), /must lead to shop\.example\.test/)
    await wrong(link(code).replace('https', 'javascript'), /no web address/)
    await wrong(link(code, '&biz_appid=wxffffffffffffffff'), /no account/)
  })
  t.test('may say no', async (t) => {
    const { action, body } = formOf((await call('GET', link(code))).text, SERVICE, [2], 'cancel')
    t.match((await submit(action, body)).text, '已取消授权')
    t.same(controls.platforms()[0]!.authorizations, [])
  })
  let authCode = ''
  t.test('says yes and is sent back with a code, which the platform is told too', async (t) => {
    const { action, body } = formOf((await call('GET', link(code))).text, SERVICE, [2, 3])
    const { status, headers } = await submit(action, body)
    t.equal(status, 302)
    const returned = new URL(String(headers.location))
    t.equal(returned.origin + returned.pathname, 'https://shop.example.test/return')
    t.equal(returned.searchParams.get('state'), '7')
    t.equal(returned.searchParams.get('expires_in'), '600')
    authCode = returned.searchParams.get('auth_code')!
    const { xml, path } = (await events.until(2))[1]!
    t.equal(path, '/events')
    t.equal(field(xml, 'InfoType'), 'authorized')
    t.equal(field(xml, 'AuthorizerAppid'), SERVICE)
    t.equal(field(xml, 'AuthorizationCode'), authCode)
    t.equal(field(xml, 'PreAuthCode'), code)
    t.match((await call('GET', link(code))).text, /used already/)
  })
  let first: Record<string, any> = {}
  t.test('has granted what was ticked', async (t) => {
    const { authorization_info: info } = await component('api_query_auth', { authorization_code: authCode })
    first = info
    t.match(info, {
      authorizer_appid: SERVICE,
      authorizer_access_token: String,
      expires_in: 7200,
      authorizer_refresh_token: /^refreshtoken@@@/
    })
    t.same(
      info.func_info.map((one: any) => one.funcscope_category.id),
      [2, 3]
    )
    t.equal((await component('api_query_auth', { authorization_code: authCode })).errcode, 61009, 'once')
    const users = (token: string) => json('GET', `/cgi-bin/user/get?access_token=${token}`)
    t.match(await users(info.authorizer_access_token), { total: 0 })
    const templates = (token: string) => json('GET', `/cgi-bin/template/get_all_private_template?access_token=${token}`)
    t.equal((await templates(info.authorizer_access_token)).errcode, 61007, 'set 7 was not ticked')
    t.equal(
      (await json('GET', `/wxaapi/newtmpl/gettemplate?access_token=${info.authorizer_access_token}`)).errcode,
      61007
    )
  })
  t.test('is known to the platform', async (t) => {
    t.match(await component('api_get_authorizer_info', { authorizer_appid: SERVICE }), {
      authorizer_info: {
        nick_name: '晨读书店服务号',
        user_name: 'gh_5b1a2c3d6003',
        service_type_info: { id: 2 },
        verify_type_info: { id: 0 },
        account_status: 1
      },
      authorization_info: { authorizer_appid: SERVICE, func_info: [{ funcscope_category: { id: 2 } }, {}] }
    })
    t.match(await component('api_get_authorizer_list', { offset: 0, count: 100 }), {
      total_count: 1,
      list: [{ authorizer_appid: SERVICE, refresh_token: first.authorizer_refresh_token, auth_time: Number }]
    })
    t.same((await component('api_get_authorizer_list', { offset: 1, count: 1 })).list, [])
    t.equal((await component('api_get_authorizer_info', { authorizer_appid: MINI })).errcode, 61003)
    t.equal((await component('api_get_authorizer_info', { component_appid: 'x' })).errcode, 61011)
    const option = { authorizer_appid: SERVICE, option_name: 'voice_recognize' }
    t.match(await component('api_get_authorizer_option', option), { option_value: '0' })
    t.equal((await component('api_set_authorizer_option', { ...option, option_value: '9' })).errcode, 40097)
    t.equal((await component('api_set_authorizer_option', { ...option, option_value: '1' })).errcode, 0)
    t.match(await component('api_get_authorizer_option', option), { ...option, option_value: '1' })
  })
  t.test('keeps the platform supplied with tokens by the refresh token', async (t) => {
    const refresh = (token: unknown) =>
      component('api_authorizer_token', { authorizer_appid: SERVICE, authorizer_refresh_token: token })
    const next = await refresh(first.authorizer_refresh_token)
    t.match(next, { expires_in: 7200, authorizer_refresh_token: first.authorizer_refresh_token })
    t.not(next.authorizer_access_token, first.authorizer_access_token)
    t.equal((await refresh(null)).errcode, 61023)
    controls.setSettings({ rotateRefreshToken: true })
    const rotated = await refresh(first.authorizer_refresh_token)
    t.not(rotated.authorizer_refresh_token, first.authorizer_refresh_token)
    t.equal((await refresh(first.authorizer_refresh_token)).errcode, 61023)
    controls.setSettings({ rotateRefreshToken: false })
    first = { ...first, ...rotated }
  })
  t.test('adds a set: the platform is told, the refresh token is another', async (t) => {
    const { authCode, changed } = controls.authorize({ platform: PLATFORM.appid, appid: SERVICE, sets: [2, 3, 7] })
    t.ok(changed)
    t.equal(field((await events.until(3))[2]!.xml, 'InfoType'), 'updateauthorized')
    t.equal(
      (
        await component('api_authorizer_token', {
          authorizer_appid: SERVICE,
          authorizer_refresh_token: first.authorizer_refresh_token
        })
      ).errcode,
      61023
    )
    const { authorization_info: info } = await component('api_query_auth', { authorization_code: authCode })
    const list = `/cgi-bin/template/get_all_private_template?access_token=${info.authorizer_access_token}`
    t.match(await json('GET', list), { template_list: [{}] })
    first = info
    t.notOk(controls.authorize({ platform: PLATFORM.appid, appid: SERVICE, sets: [7, 3, 2] }).changed)
    t.equal(controls.pushes({ event: 'updateauthorized' }).rows.length, 1, 'no push when the sets are the same')
  })
  t.test('has events go to the message address, those of people only with set 1', async (t) => {
    const [made] = controls.addUsers({ appids: [SERVICE] })
    const openid = made!.openids[SERVICE]!
    controls.setFollowers({ appid: SERVICE, openids: [openid], follow: true })
    await json('POST', `/cgi-bin/message/template/send?access_token=${first.authorizer_access_token}`, {
      touser: openid,
      template_id: 'SandboxServiceShipped_'.padEnd(43, '0'),
      data: { character_string1: { value: 'D1' }, thing2: { value: '水杯' }, time3: { value: '09:30' } }
    })
    const pushed = (await events.until(4))[3]!
    t.match(pushed, { path: `/messages/${SERVICE}`, receiver: PLATFORM.appid })
    t.match(pushed.envelope, '<xml><ToUserName><![CDATA[gh_5b1a2c3d6003]]></ToUserName><Encrypt>')
    t.equal(pushed.query.get('openid'), openid)
    t.equal(field(pushed.xml, 'Event'), 'TEMPLATESENDJOBFINISH')
    controls.authorize({ platform: PLATFORM.appid, appid: SERVICE, sets: [1, 2, 3, 7] })
    await events.until(5)
    controls.interact({ appid: SERVICE, openid, kind: 'click', key: 'menu_orders' })
    const click = (await events.until(6))[5]!
    t.equal(field(click.xml, 'EventKey'), 'menu_orders')
  })
  t.test('takes it all back', async (t) => {
    t.same(controls.unauthorize({ platform: PLATFORM.appid, appid: SERVICE }), { removed: true })
    const { xml } = (await events.until(7))[6]!
    t.equal(field(xml, 'InfoType'), 'unauthorized')
    t.equal(field(xml, 'AuthorizerAppid'), SERVICE)
    const users = () => json('GET', `/cgi-bin/user/get?access_token=${first.authorizer_access_token}`)
    t.equal((await users()).errcode, 61003)
    controls.authorize({ platform: PLATFORM.appid, appid: SERVICE })
    t.not((await users()).errcode ?? 0, 0, 'an old token does not come back to life')
    t.same(controls.unauthorize({ platform: PLATFORM.appid, appid: MINI }), { removed: false })
  })
})

t.test('codes die', async (t) => {
  const { call, component, controls } = await start(t)
  const { pre_auth_code: code } = await component('api_create_preauthcode')
  const { authCode } = controls.authorize({ platform: PLATFORM.appid, appid: SERVICE })
  controls.setClock({ advanceMs: 600_000 })
  const link = `/wxaopen/safe/bindcomponent?action=bindcomponent&no_scan=1&component_appid=${PLATFORM.appid}&pre_auth_code=${code}&redirect_uri=http%3A%2F%2Fx.test%2F`
  t.match((await call('GET', link)).text, /has expired/)
  t.equal((await component('api_query_auth', { authorization_code: authCode })).errcode, 61010)
  t.equal((await component('api_query_auth', { authorization_code: 'x' })).errcode, 61009)
})

t.test('an unpublished platform is for its test accounts', async (t) => {
  const { call, submit, component, json } = await start(t, { published: false, testAccounts: ['wx5b1a2c3d4e5f6002'] })
  const refused = await json('POST', '/sandbox/authorizations', { platform: PLATFORM.appid, appid: SERVICE })
  t.match(refused.error, /61028/)
  t.match(await json('POST', '/sandbox/authorizations', { platform: PLATFORM.appid, appid: 'wx5b1a2c3d4e5f6002' }), {
    authCode: String,
    sets: [17, 18, 20, 30]
  })
  const { pre_auth_code: code } = await component('api_create_preauthcode')
  const link = `/cgi-bin/componentloginpage?component_appid=${PLATFORM.appid}&pre_auth_code=${code}&redirect_uri=http%3A%2F%2Fx.test%2F`
  const { text } = await call('GET', link)
  t.match(text, new RegExp(`value="${SERVICE}" disabled`))
  const { action, body } = formOf(text, SERVICE, [7])
  t.match((await submit(action, body)).text, /61028/, 'a forged form is refused too')
})

t.test('an exclusive set belongs to one platform', async (t) => {
  const { controls } = await start(t)
  const other = { appid: 'wx5b1a2c3d4e5f6019', secret: 's', ...SEALING }
  controls.putPlatform(other)
  controls.authorize({ platform: PLATFORM.appid, appid: SERVICE, sets: [4] })
  t.throws(() => controls.authorize({ platform: other.appid, appid: SERVICE, sets: [4] }), /held by another/)
  t.ok(controls.authorize({ platform: other.appid, appid: SERVICE, sets: [2] }))
  t.throws(() => controls.putApp({ appid: other.appid, secret: 's', kind: 'service' }), /platform already/)
  t.throws(() => controls.putPlatform({ ...other, appid: SERVICE }), /app already/)
})

t.test('a login through the platform', async (t) => {
  const { json, controls, componentToken } = await start(t)
  const token = await componentToken()
  const { code, openid } = controls.mintCode({ appid: MINI })
  const login = (more = '') =>
    json(
      'GET',
      `/sns/component/jscode2session?appid=${MINI}&js_code=${code}&grant_type=authorization_code&component_appid=${PLATFORM.appid}&component_access_token=${token}${more}`
    )
  t.equal((await login()).errcode, 61003)
  controls.authorize({ platform: PLATFORM.appid, appid: MINI, sets: [18] })
  t.equal((await login()).errcode, 61007)
  controls.authorize({ platform: PLATFORM.appid, appid: MINI, sets: [18, 20] })
  t.match(await login(), { openid, session_key: String })
  t.equal((await login()).errcode, 40163)
})

t.test('a reset with keepApps keeps the platform and forgets what was granted', async (t) => {
  const { controls, events } = await start(t)
  await events.until(1)
  controls.authorize({ platform: PLATFORM.appid, appid: SERVICE })
  controls.reset({ keepApps: true })
  t.match(controls.platforms(), [{ appid: PLATFORM.appid, eventUrl: String, authorizations: [], ticket: null }])
  controls.reset()
  t.match(controls.platforms(), [{ appid: PLATFORM.appid, eventUrl: null }])
})

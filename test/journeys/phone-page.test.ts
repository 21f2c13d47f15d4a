import t from 'tap'
import type { Page } from 'playwright-core'
import { findBrowser, openBrowser } from '../support/browser.js'
import { liveApp, SHOP, until } from '../support/live-app.js'

const SHIPPED = 'SandboxLegacyShipped_'.padEnd(43, '0')
const PICKUP = 'SandboxSubscribePickup_'.padEnd(43, '0')
/** The browser, on a busy machine. */
const PATIENCE_MS = 20_000

t.test('without a browser the test fails, and says what to install', async (t) => {
  t.throws(
    () => findBrowser({ HONGYAN_CHROMIUM: '/nowhere/chromium' }),
    /names \/nowhere\/chromium, which is not there/
  )
  t.throws(() => findBrowser({}, ['/nowhere']), /apt-get install chromium/)
})

t.test('the demo shop runs in a browser: what is tapped there is a right to send here', async (t) => {
  const { url, sandbox, rooms, db } = await liveApp(t)
  const { key } = await rooms.apiKeys.create({
    name: 'test',
    scopes: [
      'accounts:write',
      'accounts:read',
      'credentials:read',
      'messages:send',
      'messages:read',
      'people:read',
      'templates:read'
    ],
    accountIds: null
  })
  const call = async (method: string, path: string, body?: unknown) => {
    const answer = await fetch(url + path, {
      method,
      headers: {
        authorization: `Bearer ${key}`,
        'content-type': 'application/json',
        'idempotency-key': `${Math.random()}`
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) })
    })
    const said = (await answer.json()) as any
    if (!answer.ok) throw new Error(`${method} ${path}: ${answer.status} ${JSON.stringify(said)}`)
    return said
  }
  const account = await call('POST', '/v1/accounts', {
    kind: 'miniprogram',
    ...SHOP,
    name: 'shop',
    mode: 'live',
    apiBase: sandbox.url
  })
  await call('GET', `/v1/templates?accountId=${account.id}&live=true`)
  sandbox.controls.requestDomains([url])

  const browser = await openBrowser(t)
  browser.setDefaultTimeout(PATIENCE_MS)
  const troubles: string[] = []
  const strangers: string[] = []
  /** A phone of its own: a new person, or the one given. */
  async function phoneOf(openid?: string) {
    const person = openid ?? sandbox.controls.addUsers({ appids: [SHOP.appId] })[0]!.openids[SHOP.appId]!
    const page = await browser.newPage()
    page.on('pageerror', (error) => troubles.push(String(error)))
    page.on('console', (message) => {
      if (message.type() === 'error') troubles.push(message.text())
    })
    page.on('request', (request) => {
      if (!request.url().startsWith(sandbox.url) && !request.url().startsWith('data:')) strangers.push(request.url())
    })
    const query = new URLSearchParams({ appid: SHOP.appId, openid: person, server: url })
    await page.goto(`${sandbox.url}/phone?${query}`)
    await page.waitForSelector('#phone[data-ready]')
    return { page, openid: person }
  }
  const credentials = async () => (await call('GET', `/v1/credentials?accountId=${account.id}&limit=100`)).data as any[]
  /** Leaves the mini-program and comes back: what was caught is handed in at once, not within five seconds. */
  async function handedIn(page: Page, count: number) {
    await page.getByRole('tab', { name: /服务通知/ }).click()
    await page.getByRole('tab', { name: '小程序' }).click()
    await page.getByText(`待上报 0 条，服务器已收 ${count} 条`).waitFor()
  }

  await t.test('a form, a payment and a subscription become three credentials', async (t) => {
    const { page, openid } = await phoneOf()
    await page.getByRole('button', { name: '下单' }).click()
    await page.getByRole('button', { name: '微信支付' }).click()
    t.match(await page.getByRole('dialog', { name: '支付' }).innerText(), /¥19\.90/)
    await page.getByRole('button', { name: '确认支付' }).click()
    await page.getByRole('button', { name: '已支付' }).waitFor()
    await page.getByRole('button', { name: '发货时通知我' }).click()
    t.match(await page.getByRole('dialog', { name: '订阅消息' }).innerText(), /申请发送一次以下消息\s+取货提醒/)
    await page.getByRole('button', { name: '允许' }).click()
    await page.getByText('好的，发货时告诉您').waitFor()
    await handedIn(page, 5) // with order_placed and order_paid

    const rows = await credentials()
    t.same(
      rows
        .map(({ source, place, templateId }) => ({ source, place, templateId }))
        .sort((a, b) => (a.source < b.source ? -1 : 1)),
      [
        { source: 'form', place: 'shop.order', templateId: null },
        { source: 'grant', place: 'shop.subscribe', templateId: PICKUP },
        { source: 'payment', place: 'shop.pay', templateId: null }
      ]
    )
    const { orderId } = rows.find(({ source }) => source === 'payment')
    const known = sandbox.controls.credentials({ openid })
    const stateOf = (kind: string) => known.find((one) => one.kind === kind)?.state
    t.match(stateOf('prepayId'), /^(unsynced|usable)$/, 'WeChat knows it as paid')
    t.same([stateOf('formId'), stateOf('grant')], ['usable', 'usable'])
    t.ok(await page.getByText(`订单 ${orderId}`).isVisible())

    // a form of the host's own, with what was written in it
    await page.getByPlaceholder('给店家留言').fill('包邮吗')
    await page.getByRole('button', { name: '发送留言' }).click()
    await page.getByText('收到：包邮吗').waitFor()
    t.equal(new URL(page.url()).pathname, '/phone', 'no form leaves the page')
    await page.getByRole('tab', { name: '我', exact: true }).click()
    await until('the note', credentials, (all) => all.some(({ place }) => place === 'shop.note'))

    // a message comes back
    await call('POST', '/v1/messages', {
      accountId: account.id,
      to: { openId: openid },
      templateId: SHIPPED,
      content: { keyword1: '8231', keyword2: '飞雁速运', keyword3: 'FY100', keyword4: '2026-03-01 10:00' },
      open: { page: 'pages/shop/shop?from=notice' }
    })
    await page.locator('#banner').getByText('订单发货提醒').waitFor()
    t.equal(await page.locator('#badge').innerText(), '1')
    await page.getByRole('tab', { name: /服务通知/ }).click()
    const card = page.getByRole('article')
    t.same((await card.innerText()).split('\n').filter(Boolean), [
      '晨',
      '晨读书店',
      '订单发货提醒',
      '订单编号',
      '8231',
      '物流公司',
      '飞雁速运',
      '快递单号',
      'FY100',
      '发货时间',
      '2026-03-01 10:00',
      '进入小程序查看'
    ])
    t.ok(await page.locator('#badge').isHidden())
    await card.getByRole('button').click()
    t.ok(await page.getByRole('button', { name: '下单' }).isVisible(), 'a tap on it opens the mini-program')
    await until(
      'the open',
      () => db.collection('messages').findOne({}),
      (message) => message?.openedAt instanceof Date
    )
    await page.close()
  })

  await t.test('a cancelled payment makes none, a refused subscription is told and kept', async (t) => {
    const before = (await credentials()).length
    const { page, openid } = await phoneOf()
    await page.getByRole('button', { name: '下单' }).click()
    await page.getByRole('button', { name: '微信支付' }).click()
    await page.getByRole('button', { name: '取消支付' }).click()
    await page.getByText('已取消支付').waitFor()
    await page.getByRole('button', { name: '发货时通知我' }).click()
    await page.getByText('总是保持以上选择').click()
    await page.getByRole('button', { name: '拒绝' }).click()
    await page.getByText('好的，不打扰您').waitFor()
    await handedIn(page, 3) // the form, order_placed, the refusal
    const rows = await credentials()
    t.same(
      rows.slice(0, rows.length - before).map(({ source }) => source),
      ['form']
    )
    const { verdicts } = await call('GET', `/v1/credentials/stats?accountId=${account.id}`)
    t.match(JSON.stringify(verdicts), /rejected/)

    // kept: nobody is asked again, also after a restart
    const again = (await phoneOf(openid)).page
    await again.getByRole('button', { name: '发货时通知我' }).click()
    await again.getByText('好的，不打扰您').waitFor()
    await again.close()
    await page.close()
  })

  await t.test('messages are switched off there and stay off here', async (t) => {
    const { page, openid } = await phoneOf()
    const messages = page.getByRole('switch')
    await page.locator('[role=switch][aria-checked=true][aria-disabled=false]').waitFor()
    await messages.click()
    await page.getByText('不再打扰').waitFor()
    const person = await call('POST', '/v1/people/lookup', { openId: openid, accountId: account.id })
    t.equal(person.optedOut, true)
    await page.reload()
    await page.locator('[role=switch][aria-checked=false][aria-disabled=false]').waitFor()
    await page.close()
  })

  await t.test('another visitor has a phone of their own, and a phone may be without a network', async (t) => {
    const { page, openid } = await phoneOf()
    await page.getByRole('button', { name: '下单' }).click()
    await handedIn(page, 2)
    await page.getByRole('tab', { name: '我', exact: true }).click()
    await page.getByLabel('访客', { exact: true }).selectOption({ label: '换一个新人' })
    await page.waitForURL((at) => at.searchParams.get('openid') !== openid)
    t.match(await page.locator('#person').innerText(), /^访客 \d+$/)
    await page.getByText('待上报 0 条，服务器已收 0 条').waitFor()

    await page.getByRole('tab', { name: '我', exact: true }).click()
    await page.getByRole('switch', { name: '网络' }).click()
    await page.getByRole('tab', { name: '小程序' }).click()
    await page.getByRole('button', { name: '下单' }).click()
    await page.getByText('待上报 2 条，服务器已收 0 条').waitFor() // the event, and word of a form that got no id
    await page.getByRole('tab', { name: '我', exact: true }).click()
    await page.getByRole('switch', { name: '网络' }).click()
    await page.getByRole('tab', { name: '小程序' }).click()
    await page.getByText('待上报 0 条，服务器已收 2 条').waitFor()
    await page.close()
  })

  await t.test('a server that is not on the list is not called, as on a phone', async (t) => {
    sandbox.controls.requestDomains([])
    const { page } = await phoneOf()
    const heard = await page.evaluate(
      (url) =>
        new Promise((resolve) =>
          (globalThis as any).wx.request({ url: `${url}/healthz`, success: resolve, fail: resolve })
        ),
      url
    )
    t.same(heard, { errMsg: 'request:fail url not in domain list', errno: 600002 })
    await page.close()
  })

  t.same(troubles, [], 'nothing broke in the page, and its content policy held')
  t.same(strangers, [], 'the page asked nobody but the sandbox')
})

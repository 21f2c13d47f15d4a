import t from 'tap'
import type { Page } from 'playwright-core'
import { openBrowser, SAME_PIXELS } from '../support/browser.js'
import { compare, differsFromGolden } from '../support/golden.js'
import { BRAND, liveApp, SHOP, until } from '../support/live-app.js'
import { patternFont } from '../support/pattern-font.js'

const SHIPPED = 'SandboxLegacyShipped_'.padEnd(43, '0')
const PICKUP = 'SandboxSubscribePickup_'.padEnd(43, '0')
const PATIENCE_MS = 20_000

t.test('the card an operator is shown is the card the person sees, as WeChat draws it today', async (t) => {
  const { url, sandbox, rooms } = await liveApp(t)
  const { key } = await rooms.apiKeys.create({
    name: 'test',
    scopes: [
      'accounts:write',
      'accounts:read',
      'templates:read',
      'templates:write',
      'messages:send',
      'credentials:write',
      'people:write'
    ],
    accountIds: null
  })
  let calls = 0
  const call = async (method: string, path: string, body?: unknown) => {
    const answer = await fetch(url + path, {
      method,
      headers: {
        authorization: `Bearer ${key}`,
        'content-type': 'application/json',
        'idempotency-key': `cards-${calls++}`
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) })
    })
    const said = (await answer.json()) as any
    if (!answer.ok) throw new Error(`${method} ${path}: ${answer.status} ${JSON.stringify(said)}`)
    return said
  }
  const connect = async (kind: string, app: typeof SHOP) => {
    const account = await call('POST', '/v1/accounts', {
      kind,
      ...app,
      name: kind,
      mode: 'sandbox',
      apiBase: sandbox.url
    })
    await call('GET', `/v1/templates?accountId=${account.id}&live=true`)
    return account.id as string
  }
  const shop = await connect('miniprogram', SHOP)
  const brand = await connect('service', BRAND)
  await call('PUT', `/v1/accounts/${brand}/industries`, { primary: '1', secondary: '16' })
  const industry = await call('POST', '/v1/templates', { accountId: brand, kind: 'service', titleId: 'OPENTM200565' })

  const [person] = sandbox.controls.addUsers({ appids: [SHOP.appId, BRAND.appId], followers: [BRAND.appId] })
  const openIds = { [shop]: person!.openids[SHOP.appId]!, [brand]: person!.openids[BRAND.appId]! }
  const openid = openIds[shop]!
  const { id: operation } = await call('POST', `/v1/accounts/${brand}/followers/sync`, {})
  const state = async () => (await call('GET', `/v1/operations/${operation}`)).state
  await until('the followers', state, (said) => said === 'done')
  const [formId] = sandbox.controls.mintFormIds({ appid: SHOP.appId, openid }).formIds
  sandbox.controls.grant({ appid: SHOP.appId, openid, templateId: PICKUP })
  const rights = [
    { id: '1', openId: openid, source: 'form', value: formId },
    { id: '2', openId: openid, source: 'grant', templateId: PICKUP, result: 'accept' }
  ]
  await call('POST', '/v1/credentials', { accountId: shop, items: rights })

  const browser = await openBrowser(t, SAME_PIXELS)
  browser.setDefaultTimeout(PATIENCE_MS)
  const page = await browser.newPage()
  await page.goto(`${sandbox.url}/phone?${new URLSearchParams({ appid: SHOP.appId, openid, server: url })}`)
  await page.waitForSelector('#phone[data-ready]')
  await page.getByRole('tab', { name: /服务通知/ }).click()
  await page.evaluate(async (bytes) => {
    const { document, FontFace } = globalThis as any // the page's
    const font = new FontFace(
      'pattern',
      Uint8Array.from(atob(bytes), (sign) => sign.charCodeAt(0))
    )
    document.fonts.add(await font.load())
  }, patternFont().toString('base64'))

  let cards = 0
  /** Shown beforehand, sent, and seen: `card` is what the preview says, `drawn` what stands on the phone. */
  async function seen(accountId: string, templateId: string, message: object) {
    const preview = await call('POST', `/v1/templates/${templateId}/preview`, { accountId, ...message })
    t.same(preview.errors, [])
    await call('POST', '/v1/messages', { accountId, templateId, to: { openId: openIds[accountId] }, ...message })
    const article = page.getByRole('article').nth(cards++)
    await article.waitFor()
    const drawn = await article.evaluate((card) => ({
      title: card.querySelector('h2')!.textContent,
      rows: [...card.querySelectorAll('dl > div')].map((row) => ({
        name: row.querySelector('dt')?.textContent ?? null,
        value: row.querySelector('dd')!.textContent
      })),
      emphasis: card.querySelector('.ph-large dt')?.textContent ?? null,
      colours: [
        ...new Set([...card.querySelectorAll('dd')].map((value) => (globalThis as any).getComputedStyle(value).color))
      ]
    }))
    return { ...preview, drawn, picture: await pictureOf(page, article) }
  }

  const legacy = await seen(shop, SHIPPED, {
    content: {
      keyword1: { value: '8231', color: '#ff0000' },
      keyword2: '飞雁速运，一家名字很长很长很长很长很长的物流公司🚚',
      keyword3: 'FY100',
      keyword4: '2026-03-01 10:00'
    },
    emphasis: 'keyword3',
    open: { page: 'pages/order?id=8231' }
  })
  await t.test('legacy: the chosen keyword large and first, all of a long value, pictures, no colours', async (t) => {
    const { title, rows } = legacy.card
    t.equal(legacy.drawn.title, title)
    t.same(
      legacy.drawn.rows.map(({ value }: { value: string }) => value),
      ['FY100', '8231', '飞雁速运，一家名字很长很长很长很长很长的物流公司🚚', '2026-03-01 10:00']
    )
    t.same(byName(legacy.drawn.rows), byName(rows), 'nothing else than what was shown beforehand')
    const large = legacy.fields.find((field: any) => field.key === legacy.card.emphasis).name
    t.equal(legacy.drawn.emphasis, large)
    t.equal(legacy.drawn.colours.length, 1)
    t.match(legacy.warnings, [/订单编号: .*no colours/])
    t.equal(await differsFromGolden(page, 'card-legacy', legacy.picture), null)
  })

  const subscribe = await seen(shop, PICKUP, {
    content: Object.fromEntries(
      (await call('GET', `/v1/templates/${PICKUP}?accountId=${shop}`)).fields.map(
        ({ key }: { key: string }) => [key, sampleOf(key)] as const
      )
    )
  })
  await t.test('subscribe: the fields as they are, leading nowhere', async (t) => {
    t.same(subscribe.drawn, { ...subscribe.card, colours: subscribe.drawn.colours })
    t.equal(subscribe.drawn.rows.length, 3)
    t.equal(await differsFromGolden(page, 'card-subscribe', subscribe.picture), null)
  })

  const service = await seen(brand, industry.templateId, {
    content: {
      first: { value: '您好，您的订单已发货🎉', color: '#173177' },
      keyword1: { value: 'D20260301-0001-0002-0003', color: '#173177' },
      keyword2: '飞雁👍🏽速运👨‍👩‍👧 \n 1️⃣ 号线',
      keyword3: '🇨🇳一二三四五六七八九十一二三四五六七八九十多',
      remark: '感谢您的惠顾'
    },
    open: { url: 'https://shop.example/orders/1' }
  })
  await t.test(
    'service account: no first line, no remark, no colours, no pictures, one line of 20 characters',
    async (t) => {
      t.same(service.drawn.rows, [
        { name: '订单编号', value: 'D20260301-0001-0002-' },
        { name: '快递公司', value: '飞雁速运 1 号线' },
        { name: '快递单号', value: '一二三四五六七八九十一二三四五六七八九十' }
      ])
      t.same(service.drawn, { ...service.card, colours: legacy.drawn.colours })
      t.equal(service.warnings.length, 7, service.warnings.join('; '))
      t.equal(await differsFromGolden(page, 'card-service', service.picture), null)
    }
  )

  await t.test('a card that says something else is another picture', async (t) => {
    t.match(await compare(page, legacy.picture, service.picture), /it is \d+ × \d+ and was/)
    const article = page.getByRole('article').nth(2)
    await article.evaluate((card) => (card.querySelectorAll('dd')[1]!.textContent = '飞雁速运 1 号缐'))
    t.match(
      await compare(page, service.picture, await pictureOf(page, article)),
      /^\d+ pixels are others/,
      'one character'
    )
  })
})

/** Drawn with the font that looks the same everywhere. */
async function pictureOf(page: Page, article: ReturnType<Page['locator']>): Promise<Buffer> {
  await article.evaluate((card: any) => {
    for (const each of [card, ...card.querySelectorAll('*')])
      each.style.setProperty('font', '500 14px/20px pattern', 'important')
    card.querySelector('.ph-large dd')?.style.setProperty('font', '500 28px/36px pattern', 'important')
  })
  return article.screenshot({ animations: 'disabled' })
}

const byName = (rows: { name: string; value: string }[]) =>
  Object.fromEntries(rows.map(({ name, value }) => [name, value]))

/** A value each type of field takes. */
function sampleOf(key: string): string {
  if (key.startsWith('time') || key.startsWith('date')) return '2026-03-01 10:00'
  if (key.startsWith('character_string') || key.startsWith('number')) return '8231'
  if (key.startsWith('phone')) return '021-12345678'
  return '东门柜机'
}

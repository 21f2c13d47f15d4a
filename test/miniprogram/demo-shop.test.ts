import { readFileSync } from 'node:fs'
import path from 'node:path'
import t from 'tap'
import { createFakeWx } from '../../demo/fake-wx.js'
import { loadMini, platform } from '../support/mini.js'
import { createScriptedServer, distRoot, library, repositoryRoot } from './library.js'
import { createVirtualEnv } from './virtual-env.js'

const shop = path.join(repositoryRoot(), 'miniprogram', 'demo')
const text = (file: string) => readFileSync(path.join(shop, file), 'utf8')
/** Runs a file of the demo as a mini-program does, with the library where "build npm" would have put it. */
function run(file: string, scope: Record<string, unknown>): any {
  const module = { exports: {} as any }
  const require = (name: string) =>
    name === 'hongyan-miniprogram' ? library : run(path.join(path.dirname(file), name), scope)
  new Function('module', 'require', ...Object.keys(scope), text(file))(module, require, ...Object.values(scope))
  return module.exports
}

/** The shop on a phone whose wx also has what `more` says, opened on its page. */
async function openShop(more: Record<string, unknown> = {}) {
  const time = createVirtualEnv()
  const server = createScriptedServer(time.env.now, { prompts: [{ scene: 'order', templateIds: ['t-shipped'] }] })
  const fake = createFakeWx({ login: () => 'code', network: server.network })
  const toasts: string[] = []
  const wx = { showToast: ({ title }: { title: string }) => toasts.push(title), ...more }
  let made = 0
  platform.formId = () => `form-${++made}`
  platform.formValue = () => ({ note: '包邮吗' })

  let app: any
  let page: any
  const installed: any[] = []
  const install = (options: any) => {
    installed.push(options)
    return library.install({ ...options, debug: false, api: fake.wx, env: time.env })
  }
  new Function('module', 'require', 'App', text('app.js'))(
    { exports: {} },
    (name: string) => (name === 'hongyan-miniprogram' ? { install } : run(name, { wx })),
    (def: any) => (app = def)
  )
  // the page counts once a second while it is shown; here it counts when it is told to
  const timers = { setInterval: () => 0, clearInterval: () => {} }
  run('pages/shop/shop.js', { wx, Page: (def: any) => (page = def), ...timers })
  app.onLaunch()
  await time.settle()

  const json = JSON.parse(text('pages/shop/shop.json').replaceAll('hongyan-miniprogram/', '/'))
  const open = loadMini(distRoot, { 'pages/shop': { page: true, wxml: text('pages/shop/shop.wxml'), json, def: page } })
  const opened = open('pages/shop')
  opened.instance.onShow()
  await time.settle()
  return { ...opened, time, server, fake, toasts, installed }
}

t.test('the demo shop hands in a form, a payment, a grant, its own form and its events', async (t) => {
  const { tap, instance, find, time, server, toasts } = await openShop()
  tap('.order >>> .hongyan-form-button')
  tap('.pay')
  await time.settle()
  t.equal(instance.data.paid, true)
  tap('.subscribe >>> .hongyan-subscribe-button')
  tap('.send')
  await time.settle()
  t.equal(instance.data.subscribed, '好的，发货时告诉您')
  find('.preferences >>> .hongyan-preferences-switch').triggerEvent('change', { value: false })
  await time.advance(10_000)
  instance.onShow()

  const kept = [...server.kept.values()]
  t.same(
    kept
      .filter((item) => item.source)
      .map((item) => [item.source, item.place, item.templateId ?? item.value.slice(0, 6)]),
    [
      ['form', 'shop.order', 'form-1'],
      ['payment', 'shop.pay', kept.find((item) => item.source === 'payment').value.slice(0, 6)],
      ['form', 'shop.note', 'form-2'],
      ['grant', 'shop.subscribe', 't-shipped']
    ]
  )
  t.same(
    kept.filter((item) => item.name).map((item) => item.name),
    ['order_placed', 'order_paid']
  )
  const { orderId } = kept.find((item) => item.source === 'payment')
  t.equal(kept.find((item) => item.name === 'order_placed').properties.orderId, orderId)
  t.same(toasts, ['收到：包邮吗', '不再打扰'])
  t.match(instance.data, { queued: 0, handedIn: 6 })
})

t.test('an ext config names another server, and a backend that places the orders', async (t) => {
  const asked: any[] = []
  const order = { timeStamp: '1', nonceStr: 'n', package: 'prepay_id=wx-of-the-backend', signType: 'MD5', paySign: 's' }
  let works = true
  const { tap, instance, fake, installed, time, toasts } = await openShop({
    getExtConfigSync: () => ({ server: 'https://hongyan.example', checkout: 'https://shop.example/checkout' }),
    request(options: any) {
      asked.push(options)
      if (works) options.success({ statusCode: 200, data: order })
      else options.fail({ errMsg: 'request:fail url not in domain list' })
    }
  })
  t.match(installed, [{ server: 'https://hongyan.example' }])
  tap('.order >>> .hongyan-form-button')
  works = false
  tap('.pay')
  await time.settle()
  t.equal(instance.data.paid, false)
  t.same(toasts, ['request:fail url not in domain list'])
  works = true
  tap('.pay')
  await time.settle()
  t.equal(instance.data.paid, true)
  const { orderId } = instance.data
  t.match(asked[1], { url: 'https://shop.example/checkout', method: 'POST', data: { orderId, amount: 1990 } })
  const paid = fake.calls.filter(({ name }) => name === 'requestPayment')
  t.match(paid, [{ options: { package: order.package } }])
  t.equal(paid.length, 1)
})

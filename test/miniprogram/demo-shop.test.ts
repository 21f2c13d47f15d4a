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

t.test('the demo shop hands in a form, a payment, a grant, its own form and its events', async (t) => {
  const time = createVirtualEnv()
  const server = createScriptedServer(time.env.now, { prompts: [{ scene: 'order', templateIds: ['t-shipped'] }] })
  const fake = createFakeWx({ login: () => 'code', network: server.network })
  const toasts: string[] = []
  const wx = { showToast: ({ title }: { title: string }) => toasts.push(title) }
  let made = 0
  platform.formId = () => `form-${++made}`
  platform.formValue = () => ({ note: '包邮吗' })

  let app: any
  let page: any
  const install = (options: any) => library.install({ ...options, debug: false, api: fake.wx, env: time.env })
  const module = { exports: {} }
  new Function('module', 'require', 'App', text('app.js'))(
    module,
    (name: string) => (name === 'hongyan-miniprogram' ? { install } : run(name, {})),
    (def: any) => (app = def)
  )
  run('pages/shop/shop.js', { wx, Page: (def: any) => (page = def) })
  app.onLaunch()
  await time.settle()

  const json = JSON.parse(text('pages/shop/shop.json').replaceAll('hongyan-miniprogram/', '/'))
  const open = loadMini(distRoot, { 'pages/shop': { page: true, wxml: text('pages/shop/shop.wxml'), json, def: page } })
  const { tap, instance, find } = open('pages/shop')
  instance.onShow()
  await time.settle()
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

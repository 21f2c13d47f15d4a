import t from 'tap'
import { createFakeWx, type FakePhone } from '../../demo/fake-wx.js'
import { loadMini, platform, type Inline } from '../support/mini.js'
import { createScriptedServer, distRoot, library } from './library.js'
import { createVirtualEnv } from './virtual-env.js'

const form = '/components/hongyan-form/hongyan-form'
const subscribe = '/components/hongyan-subscribe/hongyan-subscribe'
const preferences = '/components/hongyan-preferences/hongyan-preferences'

/** An app that has installed the kit, on one fake phone. */
async function app(phone: FakePhone = {}, settings: object = {}) {
  const time = createVirtualEnv()
  const server = createScriptedServer(time.env.now, { flushMs: 1000, ...settings })
  const fake = createFakeWx({ login: () => 'code', network: server.network, ...phone })
  const kit = library.install({ server: 'https://hy.example', api: fake.wx, env: time.env })
  await time.settle()
  const caught = async () => {
    await time.advance(5000)
    return [...server.kept.values()]
  }
  return { time, server, fake, kit, caught }
}
/** Counts the setData calls of a component from here on. */
function countSets(instance: any): { n: number } {
  const sets = { n: 0 }
  const { setData } = instance
  instance.setData = (...given: unknown[]) => {
    sets.n++
    return setData.apply(instance, given)
  }
  return sets
}
const pageOf = (wxml: string, def: any = {}): Inline => ({
  'pages/x': {
    page: true,
    wxml,
    json: {
      usingComponents: { 'hongyan-form': form, 'hongyan-subscribe': subscribe, 'hongyan-preferences': preferences }
    },
    def
  }
})

t.beforeEach(() => {
  let made = 0
  platform.formId = () => `form-${++made}`
  platform.formValue = () => ({})
})

t.test('hongyan-form', async (t) => {
  t.test('catches the id of a tap on slotted content and hands it in', async (t) => {
    const { caught } = await app()
    const page = loadMini(
      distRoot,
      pageOf('<hongyan-form class="f" place="home"><text class="t">下单</text></hongyan-form>')
    )('pages/x')
    page.tap('.t')
    t.match(await caught(), [{ source: 'form', value: 'form-1', place: 'home' }])
    t.equal((await caught()).length, 1)
  })
  t.test('tells its host of the submit with the values, once', async (t) => {
    await app()
    platform.formValue = () => ({ name: '小明' })
    const open = loadMini(distRoot)('components/hongyan-form/hongyan-form?place=cart', ['submit'])
    open.tap('.hongyan-form-button')
    t.match(open.events, [{ name: 'submit', detail: { value: { name: '小明' }, formId: 'form-1' } }])
    t.equal(open.events.length, 1)
  })
  t.test('tells its host even when nothing usable was caught', async (t) => {
    const { caught, kit, server } = await app()
    server.refuse = () => 'mock'
    const open = loadMini(distRoot)('components/hongyan-form/hongyan-form', ['submit'])
    for (const id of ['the formId is a mock one', 'requestFormId:fail timeout', undefined, 7, '']) {
      platform.formId = () => id
      open.tap('.hongyan-form-button')
    }
    t.equal(open.events.length, 5)
    await caught()
    t.match(kit.status(), { queued: 0, acknowledged: { refused: 4 } }, 'reported, a kind each')
    t.match(kit.status().refused, { mock: 1, failed: 1, empty: 2, malformed: 1 })
  })
  t.test('swallows the tap while disabled', async (t) => {
    const { caught } = await app()
    const open = loadMini(distRoot)('components/hongyan-form/hongyan-form?disabled=true', ['submit'])
    open.tap('.hongyan-form-button')
    t.same([open.events, await caught()], [[], []])
  })
  t.test("inside a host's own form catches for itself and leaves that form alone", async (t) => {
    const { caught } = await app()
    let outer = 0
    const wxml = `<form report-submit="{{true}}" bindsubmit="onOuter"><hongyan-form><text class="t">买</text></hongyan-form></form>`
    const page = loadMini(distRoot, pageOf(wxml, { onOuter: () => void outer++ }))('pages/x')
    page.tap('.t')
    t.equal((await caught()).length, 1)
    t.equal(outer, 0)
  })
  t.test('nested forms make one catch a form whose button the tap passes', async (t) => {
    const { caught } = await app()
    const wxml =
      '<hongyan-form place="outer"><hongyan-form place="inner"><text class="t">点</text></hongyan-form></hongyan-form>'
    loadMini(distRoot, pageOf(wxml))('pages/x').tap('.t')
    t.same((await caught()).map((item) => item.place).sort(), ['inner', 'outer'])
  })
  t.test('stops asking for ids when the server wants no more', async (t) => {
    const { caught, kit } = await app({}, { stop: { form: true } })
    const open = loadMini(distRoot)('components/hongyan-form/hongyan-form', ['submit'])
    open.tap('.hongyan-form-button')
    t.notOk('formId' in open.events[0]!.detail, 'report-submit is off')
    t.same(await caught(), [])
    t.match(kit.status(), { queued: 0, caught: {} })
  })
  t.test('follows the server when it changes its mind, with one setData a tap', async (t) => {
    const { server, time, fake } = await app({}, { stop: { form: true } })
    const open = loadMini(distRoot)('components/hongyan-form/hongyan-form', ['submit'])
    const sets = countSets(open.instance)
    const tap = () => ((sets.n = 0), open.tap('.hongyan-form-button'), sets.n)
    t.equal(tap(), 0)
    server.settings = { stop: { form: false } }
    await time.advance(2 * 3_600_000)
    fake.show()
    await library.preferences() // brings a new session
    t.equal(tap(), 1)
    t.equal(tap(), 0)
    t.equal(open.events.at(-1)!.detail.formId, 'form-1', 'report-submit is on again')
  })
  t.test('asks WeChat for the check of the id in time, and where that fails still tells its host', async (t) => {
    const { kit } = await app()
    const { find, tap, events } = loadMini(distRoot)('components/hongyan-form/hongyan-form?timeout=800', ['submit'])
    const form = find('.hongyan-form')
    t.same([form.data.reportSubmit, form.data.reportSubmitTimeout], [true, 800])
    platform.formId = () => 'requestFormId:fail timeout'
    tap('.hongyan-form-button')
    t.equal(events.length, 1)
    t.same(kit.status().refused, { failed: 1 })
  })
  t.test('works where base libraries know no report-submit', async (t) => {
    const { kit } = await app()
    platform.formId = () => undefined
    platform.formValue = () => ({ a: 1 })
    const open = loadMini(distRoot)('components/hongyan-form/hongyan-form', ['submit'])
    open.tap('.hongyan-form-button')
    t.match(open.events, [{ detail: { value: { a: 1 } } }])
    t.same(kit.status().refused, { empty: 1 })
  })
  t.test('before any install keeps its catch for the kit that comes', async (t) => {
    const time = createVirtualEnv()
    const server = createScriptedServer(time.env.now)
    const fake = createFakeWx({ login: () => 'code', network: server.network })
    const bare = library.createKit({ api: fake.wx, env: time.env })
    bare.captureSubmit({ detail: { formId: 'early' } })
    await time.advance(60_000)
    t.equal(server.asked.length, 0)
    library.createKit({ server: 'https://hy.example', api: fake.wx, env: time.env })
    await time.advance(1000)
    t.match([...server.kept.values()], [{ source: 'form', value: 'early' }])
  })
})

t.test("captureSubmit catches in a host's own form", async (t) => {
  const { caught } = await app()
  let host: any
  const wxml = `<form report-submit="{{true}}" bindsubmit="onSubmit"><input name="a"/><button class="b" form-type="submit">提交</button></form>`
  const def = {
    onSubmit(event: any) {
      library.captureSubmit(event, 'own')
      host = event.detail
    }
  }
  loadMini(distRoot, pageOf(wxml, def))('pages/x').tap('.b')
  t.match(await caught(), [{ source: 'form', value: 'form-1', place: 'own' }])
  t.equal(host.formId, 'form-1')
})

t.test('hongyan-subscribe', async (t) => {
  t.test('asks in the tap itself and keeps every word of the answer', async (t) => {
    const { fake, caught } = await app({ subscribe: () => ({ t1: 'acceptWithAudio', t2: 'reject', t3: 'ban' }) })
    const page = loadMini(
      distRoot,
      pageOf(
        '<hongyan-subscribe template-ids="{{ids}}" place="pay" bindresult="onResult"><text class="t">订阅</text></hongyan-subscribe>',
        {
          data: { ids: ['t1', 't2', 't3'], outcome: null },
          onResult(this: any, { detail }: any) {
            this.setData({ outcome: detail })
          }
        }
      )
    )('pages/x')
    const before = fake.calls.filter((call) => call.name === 'requestSubscribeMessage').length
    page.tap('.t')
    t.equal(fake.calls.filter((call) => call.name === 'requestSubscribeMessage').length, before + 1, 'within the tap')
    t.match(await caught(), [
      { source: 'grant', templateId: 't1', result: 'acceptWithAudio', place: 'pay' },
      { source: 'grant', templateId: 't2', result: 'reject' },
      { source: 'grant', templateId: 't3', result: 'ban' }
    ])
    t.same(page.instance.data.outcome.accepted, ['t1'])
  })
  t.test('asks for what the server names for its scene', async (t) => {
    const { fake } = await app({}, { prompts: [{ scene: 'order', templateIds: ['t8'] }] })
    loadMini(distRoot)('components/hongyan-subscribe/hongyan-subscribe?scene=order').tap('.hongyan-subscribe-button')
    t.same(fake.calls.find((call) => call.name === 'requestSubscribeMessage')!.options.tmplIds, ['t8'])
  })
})

t.test('hongyan-preferences shows nothing it does not know', async (t) => {
  const { server, time } = await app()
  server.fault = () => ({ statusCode: 503 })
  const open = loadMini(distRoot)('components/hongyan-preferences/hongyan-preferences', ['change', 'fail'])
  const sets = countSets(open.instance)
  await time.advance(30_000)
  t.match(open.events, [{ name: 'fail' }])
  t.equal(open.instance.data.busy, true, 'the switch cannot be moved')
  server.fault = null
  open.element.triggerPageLifetime('show', [])
  open.element.triggerPageLifetime('show', [])
  await time.advance(30_000)
  t.same([open.instance.data.busy, open.instance.data.optedOut, sets.n], [false, false, 1])
  t.equal(server.asked.filter((ask) => ask.path.endsWith('/status')).length, 2)
  open.element.triggerPageLifetime('show', [])
  await time.advance(30_000)
  t.equal(sets.n, 1, 'and asks no more')
})

t.test('hongyan-preferences shows what the server holds and sends the wish', async (t) => {
  const { server, time } = await app()
  const open = loadMini(distRoot)('components/hongyan-preferences/hongyan-preferences', ['change', 'fail'])
  await time.settle()
  const flip = async (value: boolean) => {
    open.find('.hongyan-preferences-switch').triggerEvent('change', { value })
    await time.advance(20_000)
  }
  await flip(false)
  t.same(
    server.asked.filter((ask) => ask.method === 'PUT').map((ask) => ask.body),
    [{ optedOut: true }]
  )
  server.fault = () => ({ statusCode: 503 })
  await flip(true)
  t.equal(open.instance.data.optedOut, true, 'a wish that did not arrive is not shown')
  t.same(
    open.events.map(({ name, detail }) => [name, detail.optedOut]),
    [
      ['change', true],
      ['fail', true]
    ]
  )
})

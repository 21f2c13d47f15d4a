import t from 'tap'
import { createFakeWx } from '../../demo/fake-wx.js'
import { refusalOf } from '../../server/credentials/terms.js'
import { library } from './library.js'
import { order, phone } from './phone.js'

const HOUR = 3_600_000
const MOCK = 'the formId is a mock one'

t.test('at the door', async (t) => {
  t.test('unusable ids are refused by kind and told in debug', async (t) => {
    const lines: any[] = []
    const { kit, server, submit, time, kept } = phone({
      options: { debug: (line: string, facts: any) => lines.push([line, facts.reason]) }
    })
    server.refuse = (item) => refusalOf(item, false)
    await time.settle()
    for (const id of [
      MOCK,
      'the formId is no longer available in develop or trial version of this mini program',
      'requestFormId:fail deprecated',
      'requestFormId:fail timeout',
      '',
      undefined,
      null,
      12,
      { id: 'x' },
      'x'.repeat(513)
    ])
      submit(id)
    submit('a7dd0a1a2a0bfa1f1c1d1e1f20212223')
    await time.advance(2000)
    t.same(kit.status().refused, { mock: 1, retired: 2, failed: 1, empty: 3, malformed: 3 })
    t.equal(lines.filter(([line]) => line === 'refused at the door').length, 10)
    t.equal(kept().length, 1)
  })
  t.test('the first of each kind is reported to the server once an app start, and refused there by kind', async (t) => {
    const { kit, server, fake, submit, time, kept } = phone()
    server.refuse = (item) => refusalOf(item, false)
    await time.settle()
    const dead = [MOCK, 'requestFormId:fail deprecated', 'requestFormId:fail timeout', undefined, 'x'.repeat(513), {}]
    for (let i = 0; i < 3; i++) for (const value of dead) submit(value, 'home')
    await kit.flush()
    t.same(
      server.batches.flatMap(({ body }) => body.items).map(({ source, value, place }) => [source, value, place]),
      [
        ['form', MOCK, 'home'],
        ['form', 'requestFormId:fail deprecated', 'home'],
        ['form', 'requestFormId:fail timeout', 'home'],
        ['form', undefined, 'home'],
        ['form', undefined, 'home']
      ]
    )
    t.same(kit.status().refused, { mock: 3, retired: 3, failed: 3, empty: 3, malformed: 6 })
    t.match(kit.status(), { queued: 0, acknowledged: { refused: 5 } })
    t.same(kept(), [], 'none of them is a right')
    const again = library.createKit({ server: 'https://hy.example', api: fake.wx, env: time.env })
    again.captureSubmit({ detail: { formId: MOCK } })
    await again.flush()
    t.match(again.status(), { refused: { mock: 1 }, acknowledged: { refused: 6 } }, 'the next start reports anew')
  })
  t.test('mock ids pass in a sandbox, and while the server has not spoken yet', async (t) => {
    const sandbox = phone({ settings: { acceptMock: true } })
    sandbox.server.refuse = (item) => refusalOf(item, true)
    await sandbox.time.settle()
    sandbox.submit(MOCK)
    sandbox.submit('requestFormId:fail timeout')
    await sandbox.time.advance(2000)
    t.match(sandbox.kept(), [{ value: MOCK }])
    t.same(sandbox.kit.status().refused, { failed: 1 })
    const early = phone()
    early.server.refuse = (item) => (item.value === MOCK ? 'mock' : null)
    early.submit(MOCK)
    await early.time.advance(2000)
    t.match(early.kit.status(), { queued: 0, acknowledged: { refused: 1 } }, 'the server judges it')
  })
  t.test("the server's caps hold for forms: per day, by interval, and stop", async (t) => {
    const { kit, submit, time, kept } = phone({ settings: { capPerDay: 3, minIntervalMs: 2000 } })
    await time.settle()
    for (let i = 0; i < 10; i++) {
      submit(`f${i}`)
      await time.advance(1000)
    }
    t.equal(kept().length, 3)
    t.match(kit.status().refused, { tooSoon: 2, capped: 5 })
    await time.advance(24 * HOUR)
    submit('tomorrow')
    await kit.flush()
    t.equal(kept().length, 4)
    const stopped = phone({ settings: { stop: { form: true, payment: true, grant: true } } })
    await stopped.time.settle()
    stopped.submit('a')
    await stopped.kit.requestPayment(order)
    await stopped.kit.requestSubscribe(['t'])
    t.match(stopped.kit.status(), { queued: 0, refused: { stopped: 3 } })
  })
})

t.test('requestPayment', async (t) => {
  t.test('hands in the bare prepay_id after success; orderId and place never reach WeChat', async (t) => {
    const { kit, fake, kept } = phone()
    const res = await kit.requestPayment({ ...order, orderId: 'o-1', place: 'cart' })
    t.equal(res.errMsg, 'requestPayment:ok')
    t.strictSame(Object.keys(fake.calls.find((call) => call.name === 'requestPayment')!.options).sort(), [
      'complete',
      'fail',
      'nonceStr',
      'package',
      'paySign',
      'signType',
      'success',
      'timeStamp'
    ])
    await kit.flush()
    t.match(kept(), [{ source: 'payment', value: 'wx2017', orderId: 'o-1', place: 'cart', result: 'ok' }])
  })
  t.test("runs the host's callbacks as wx would, and keeps nothing of a cancelled one", async (t) => {
    const said: string[] = []
    const host = (name: string) => (res: any) => said.push(`${name} ${res.errMsg}`)
    const listening = { success: host('success'), fail: host('fail'), complete: host('complete') }
    const good = phone()
    t.equal(good.kit.requestPayment({ ...order, ...listening }), undefined)
    await good.time.settle()
    const bad = phone({ phone: { pay: () => 'requestPayment:fail cancel' } })
    bad.kit.requestPayment({ ...order, ...listening })
    await bad.time.settle()
    t.match(await bad.kit.requestPayment(order).catch((res: unknown) => res), { errMsg: 'requestPayment:fail cancel' })
    t.same(said, [
      'success requestPayment:ok',
      'complete requestPayment:ok',
      'fail requestPayment:fail cancel',
      'complete requestPayment:fail cancel'
    ])
    t.equal(good.kit.status().caught.payment, 1)
    t.same(bad.kit.status().caught, {})
  })
  t.test('has the catch in storage before the host hears of the success', async (t) => {
    const { kit, fake, time } = phone()
    let then = ''
    kit.requestPayment({ ...order, success: () => (then = String(fake.storage.get('hongyan:outbox'))) })
    await time.settle()
    t.match(then, 'wx2017')
  })
  t.test('without a prepay_id, or without the API, still answers the host', async (t) => {
    const { kit } = phone()
    await kit.requestPayment({ ...order, package: 'Sign=WXPay' })
    t.match(kit.status(), { queued: 0, refused: { noPrepayId: 1 } })
    const bare = library.createKit({ api: {} })
    t.match(await bare.requestPayment(order).catch((res: unknown) => res), { errMsg: /requestPayment:fail/ })
    let failed = 0
    bare.requestPayment({ ...order, fail: () => failed++, complete: () => failed++ })
    t.equal(failed, 2)
  })
  t.test('may be hooked into wx itself, even where its members are getters', async (t) => {
    const plain = createFakeWx()
    const api: any = {}
    for (const name of ['requestPayment', 'getStorageSync', 'setStorageSync']) {
      Object.defineProperty(api, name, { get: () => plain.wx[name], configurable: true })
    }
    const kit = library.createKit({ api, hookPayments: true })
    await api.requestPayment(order)
    await kit.requestPayment({ ...order, package: 'prepay_id=wx2' })
    t.equal(kit.status().caught.payment, 2, 'each once')
    kit.stop()
    t.equal(api.requestPayment, plain.wx.requestPayment, 'and let go')
    library.createKit({ api })
    t.equal(api.requestPayment, plain.wx.requestPayment, 'and only when asked to')
  })
  t.test('where wx lets nobody hook, or somebody hooked after us, nothing breaks', async (t) => {
    const plain = createFakeWx()
    const sealed: any = { getStorageSync: plain.wx.getStorageSync, setStorageSync: plain.wx.setStorageSync }
    Object.defineProperty(sealed, 'requestPayment', { get: () => plain.wx.requestPayment, configurable: false })
    const kit = library.createKit({ api: sealed, hookPayments: true })
    t.match(await kit.requestPayment(order), { errMsg: 'requestPayment:ok' })
    t.match(kit.status().caught, { payment: 1 })
    const api: any = { ...sealed, requestPayment: plain.wx.requestPayment }
    const first = library.createKit({ api, hookPayments: true })
    const theirs = (api.requestPayment = () => 'theirs')
    first.stop()
    t.equal(api.requestPayment, theirs)
    library.createKit({ api: { ...sealed, requestPayment: undefined }, hookPayments: true }).stop()
  })
  t.test('gives back what the platform answers when callbacks are given, as Taro does', async (t) => {
    const plain = createFakeWx()
    const requestPayment = (o: any) => {
      o.success({ errMsg: 'requestPayment:ok' })
      return Promise.resolve('theirs')
    }
    const { getStorageSync, setStorageSync } = plain.wx
    const kit = library.createKit({ api: { requestPayment, getStorageSync, setStorageSync } })
    t.equal(await kit.requestPayment({ ...order, success: () => undefined }), 'theirs')
    t.match(kit.status().caught, { payment: 1 })
  })
  t.test('whose success callback throws at once is no failed payment', async (t) => {
    const plain = createFakeWx()
    const { getStorageSync, setStorageSync } = plain.wx
    const requestPayment = (o: any) => o.success({ errMsg: 'requestPayment:ok' })
    const kit = library.createKit({ api: { requestPayment, getStorageSync, setStorageSync } })
    const heard: string[] = []
    const host = {
      success() {
        heard.push('success')
        throw new Error("the host's own")
      },
      fail: () => heard.push('fail'),
      complete: () => heard.push('complete')
    }
    t.throws(() => kit.requestPayment({ ...order, ...host }), /the host's own/, 'as it would be without us')
    t.same(heard, ['success'])
    t.match(kit.status().caught, { payment: 1 })
  })
  t.test('finds the prepay_id however the host wrote its package', async (t) => {
    const { kit, kept } = phone()
    const written = ['prepay_id=prepay_id=wx1', ' prepay_id=wx2', 'a=b& prepay_id=wx3&c=d', 'prepay_id=wx4 ']
    for (const pkg of [...written, 'prepay_id=', 'prepay_id=prepay_id=', 'my_prepay_id=wx5']) {
      await kit.requestPayment({ ...order, package: pkg })
    }
    await kit.flush()
    t.same(
      kept().map(({ value }) => value),
      ['wx1', 'wx2', 'wx3', 'wx4']
    )
    t.same(kit.status().refused, { noPrepayId: 3 })
  })
  t.test('is not believed when the platform calls success for a failure', async (t) => {
    const plain = createFakeWx()
    const { getStorageSync, setStorageSync } = plain.wx
    const requestPayment = (o: any) => o.success({ errMsg: 'requestPayment:fail' })
    const kit = library.createKit({ api: { requestPayment, getStorageSync, setStorageSync } })
    await kit.requestPayment(order)
    t.match(kit.status(), { queued: 0, refused: { unpaid: 1 } })
  })
})

t.test('requestSubscribe', async (t) => {
  t.test('keeps one item a template under one mark a tap', async (t) => {
    const { kit, kept } = phone({ phone: { subscribe: () => ({ t1: 'accept', t2: 'filter' }) } })
    const outcome = await kit.requestSubscribe(['t1', 't2', 't3'], 'pay')
    t.match(outcome, {
      results: { t1: 'accept', t2: 'filter' },
      accepted: ['t1'],
      errMsg: 'requestSubscribeMessage:ok'
    })
    await kit.requestSubscribe(['t1'])
    await kit.flush()
    t.match(kept(), [
      { templateId: 't1', result: 'accept' },
      { templateId: 't2', result: 'filter' },
      { templateId: 't1' }
    ])
    const [a, b, c] = kept()
    t.ok(a.value === b.value && b.value !== c.value && a.id !== b.id)
  })
  t.test('keeps the code of a failure, or its words, and never rejects', async (t) => {
    const main = { errCode: 20004, errMsg: 'requestSubscribeMessage:fail The main switch is switched off' }
    const tap = { errMsg: 'requestSubscribeMessage:fail can only be invoked by user TAP gesture.' }
    let fail: any = main
    const { kit, kept } = phone({ phone: { subscribe: () => ({ errCode: undefined, ...fail }) } })
    t.match(await kit.requestSubscribe(['t1']), { ...main, accepted: [], results: { t1: 'fail:20004' } })
    fail = tap
    t.match(await kit.requestSubscribe(['t1']), { ...tap, errCode: undefined })
    await kit.flush()
    t.same(
      kept().map(({ result }) => result),
      ['fail:20004', 'fail:can only be invoked by user TAP gesture.']
    )
    t.match(await kit.requestSubscribe([]), { errCode: 10001 })
    t.match(await kit.requestSubscribe(undefined), { errCode: 10001 })
  })
  t.test('keeps every word WeChat has, and only those that begin with accept are a yes', async (t) => {
    const words = { a: 'accept', b: 'acceptWithAudio', c: 'acceptWithAlert', d: 'reject', e: 'ban' }
    const { kit, kept } = phone({ phone: { subscribe: () => words } })
    t.same((await kit.requestSubscribe(Object.keys(words))).accepted, ['a', 'b', 'c'])
    await kit.flush()
    t.same(Object.fromEntries(kept().map(({ templateId, result }) => [templateId, result])), words)
  })
  t.test('asks for no more templates than WeChat takes at once, and learns when that is fewer', async (t) => {
    const answers: any[] = [
      {},
      { errCode: 20003, errMsg: 'requestSubscribeMessage:fail Templates count out of max bounds' }
    ]
    const { kit, fake } = phone({ phone: { subscribe: (ids) => answers[ids.length > 3 ? 1 : 0] } })
    const asked = () => fake.calls.filter(({ name }) => name === 'requestSubscribeMessage').at(-1)!.options.tmplIds
    const ids = ['a', 'b', 'a', 'c', 'd', 'e', 'f']
    t.same((await kit.requestSubscribe(ids)).left, ['f'])
    t.same(asked(), ['a', 'b', 'c', 'd', 'e'])
    t.same((await kit.requestSubscribe(ids)).left, ['d', 'e', 'f'])
    t.same(asked(), ['a', 'b', 'c'])
  })
  t.test('is made in the tap itself; the settings are looked at only afterwards', async (t) => {
    const { kit, fake } = phone({ phone: { subscribe: () => ({ t1: 'accept' }) } })
    fake.calls.length = 0
    fake.wx.getSetting = (options: any) => {
      fake.calls.push({ name: 'getSetting', options })
      options.success({
        subscriptionsSetting: { mainSwitch: true, itemSettings: { t1: 'accept', t9: 'reject', x: 1 } }
      })
    }
    const outcome = kit.requestSubscribe(['t1'])
    t.same(
      fake.calls.map(({ name }) => name),
      ['requestSubscribeMessage'],
      'synchronously, and nothing before it'
    )
    t.match(await outcome, { accepted: ['t1'], mainSwitch: true, always: { t1: 'accept', t9: 'reject' } })
    t.same(Object.keys((await outcome).always), ['t1', 't9'])
    t.equal(fake.calls.at(-1)!.name, 'getSetting')
    t.equal(fake.calls.at(-1)!.options.withSubscriptions, true)
    await kit.requestSubscribe(['t1'])
    t.equal(fake.calls.filter(({ name }) => name === 'requestSubscribeMessage').length, 2, '"always" is asked for, too')
    t.equal(kit.status().caught.grant, 2)
  })
  t.test('has the catch in storage before it looks at settings that never come', async (t) => {
    const { kit, fake, time } = phone()
    fake.wx.getSetting = () => undefined
    const outcome = kit.requestSubscribe(['t1'])
    await time.settle()
    t.equal(kit.status().caught.grant, 1)
    await time.advance(1000)
    t.match(await outcome, { accepted: ['t1'], always: {} })
    for (const odd of [null, {}, { subscriptionsSetting: null }, { subscriptionsSetting: { itemSettings: 7 } }]) {
      fake.wx.getSetting = (options: any) => options.success(odd)
      t.match(await kit.requestSubscribe(['t1']), { accepted: ['t1'], always: {}, mainSwitch: undefined })
    }
    fake.wx.getSetting = (options: any) => options.fail({ errMsg: 'getSetting:fail' })
    t.match(await kit.requestSubscribe(['t1']), { accepted: ['t1'], always: {} })
  })
})

t.test('whatever the host hands over, the server can read the batch', async (t) => {
  const { kit, server, submit, kept } = phone({
    phone: { subscribe: () => ({ t1: 'x'.repeat(900), ['t'.repeat(65)]: 'accept' }) }
  })
  submit('a', 'p'.repeat(300))
  submit('b', 7 as any)
  await kit.requestPayment({ ...order, orderId: 'o'.repeat(65), place: null })
  await kit.requestPayment({ ...order, orderId: 12345 })
  await kit.requestSubscribe(['t1', 't'.repeat(65)])
  kit.track('seen', { ['k'.repeat(65)]: 1, deep: { a: 1 }, big: Infinity })
  kit.reportOpen({ query: { hytag: 'x'.repeat(201) } })
  await kit.flush()
  t.same(server.unreadable, [])
  t.equal(kept().length, 6)
  t.same(
    kept()
      .map((item) => item.orderId)
      .filter(Boolean),
    ['12345']
  )
})

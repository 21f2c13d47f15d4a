import type { Memory } from './memory.mjs'
import type { Launch } from './run.mjs'
import { sandbox, type PhoneState } from './sandbox.mjs'
import { askModal, askPayment, askSubscribe, hideToast, toast } from './sheets.mjs'
import { planSubscribe, type Word } from './subscriptions.mjs'

// whatever a mini-program passes, and it may pass anything
// eslint-disable-next-line @typescript-eslint/no-explicit-any
type Options = Record<string, any>
type Listener = (res: unknown) => void
type AppEvent = 'show' | 'hide' | 'network'

/** What WeChat hands to `fail`; `errMsg` gets the call's name before it unless it has it. */
class Fail extends Error {
  readonly facts: object
  constructor(why: string, facts: object = {}) {
    super(why)
    this.facts = facts
  }
}

/** Callbacks as WeChat calls them, or a promise when none is given. */
function answer(name: string, options: Options, run: () => unknown): Promise<unknown> | void {
  const settled = Promise.resolve()
    .then(run)
    .then(
      (res) => ({ ok: true, res: { errMsg: `${name}:ok`, ...(res as object) } }),
      (error) => {
        const why = `${name}:fail ${error instanceof Error ? error.message : String(error)}`
        return { ok: false, res: { errMsg: why, ...(error instanceof Fail ? error.facts : {}) } }
      }
    )
  if (!options.success && !options.fail && !options.complete) {
    return settled.then(({ ok, res }) => (ok ? res : Promise.reject(res)))
  }
  void settled.then(({ ok, res }) => {
    if (ok) options.success?.(res)
    else options.fail?.(res)
    options.complete?.(res)
  })
}

/** The body of a request as WeChat makes it from `data`, and where a GET carries it instead. */
function bodyOf({ url, method = 'GET', data, header = {} }: Options): { url: string; data?: string } {
  if (data === undefined || data === null) return { url }
  if (typeof data === 'string') return { url, data }
  const asForm = /x-www-form-urlencoded/i.test(
    String(Object.entries(header).find(([name]) => name.toLowerCase() === 'content-type')?.[1] ?? '')
  )
  if (String(method).toUpperCase() === 'GET') {
    return { url: `${url}${url.includes('?') ? '&' : '?'}${new URLSearchParams(data)}` }
  }
  return { url, data: asForm ? String(new URLSearchParams(data)) : JSON.stringify(data) }
}

/**
 * The `wx` of one person's phone, with the sandbox in WeChat's place. What it does not have is undefined, as on an old
 * base library.
 */
export function createWx(parts: {
  state: PhoneState
  openid: string
  memory: Memory
  launch: Launch
  /** The mini-program's ext config, which its config.js reads. */
  ext: object
}) {
  const { state, openid, memory, launch, ext } = parts
  const { appid } = state.app
  const listeners: Record<AppEvent, Set<Listener>> = { show: new Set(), hide: new Set(), network: new Set() }
  let online = true

  const on = (event: AppEvent) => (listener: Listener) => void listeners[event].add(listener)
  const off = (event: AppEvent) => (listener?: Listener) =>
    void (listener ? listeners[event].delete(listener) : listeners[event].clear())
  const emit = (event: AppEvent, res: unknown) => [...listeners[event]].forEach((listener) => listener(res))
  const needNetwork = () => {
    if (!online) throw new Fail('net::ERR_INTERNET_DISCONNECTED', { errno: 600001 })
  }

  async function request(options: Options) {
    needNetwork()
    const { method = 'GET', header = {}, timeout, dataType = 'json' } = options
    const typed = Object.keys(header).some((name) => name.toLowerCase() === 'content-type')
    const answered = await sandbox.request({
      appid,
      ...bodyOf(options),
      method: String(method).toUpperCase(),
      header: { ...(typed ? {} : { 'content-type': 'application/json' }), ...header },
      ...(timeout === undefined ? {} : { timeout })
    })
    needNetwork() // gone while the answer was under way
    if (!('statusCode' in answered)) throw new Fail(answered.errMsg, answered)
    let data: unknown = answered.data
    if (dataType === 'json') {
      try {
        data = JSON.parse(answered.data)
      } catch {
        // WeChat hands over the text then
      }
    }
    return { ...answered, data, cookies: [] }
  }

  async function requestPayment(options: Options) {
    for (const name of ['timeStamp', 'nonceStr', 'package', 'paySign']) {
      if (typeof options[name] !== 'string') {
        throw new Fail(`parameter error: parameter.${name} should be String instead of ${typeof options[name]}`)
      }
    }
    needNetwork()
    const prepayId = options.package.replace(/^prepay_id=/, '')
    const order = await sandbox.order(prepayId).catch(() => null)
    // WeChat Pay knows who an order is for, and every order once
    if (order === null || order.openid !== openid || order.paid) {
      await askModal({ title: '支付失败', content: '没有这个待支付的订单', showCancel: false })
      throw new Fail('', { errMsg: 'requestPayment:fail' })
    }
    if (!(await askPayment({ ...order, to: state.app.name }))) {
      throw new Fail('', { errMsg: 'requestPayment:fail cancel' })
    }
    await sandbox.pay(prepayId)
    toast('支付成功')
  }

  async function requestSubscribeMessage({ tmplIds }: Options) {
    const settings = memory.settings()
    // templates may have been added since the page was loaded
    const { templates } = await sandbox.phone({ appid, openid })
    const plan = planSubscribe(tmplIds, templates, settings)
    if ('fail' in plan) throw new Fail(plan.fail.errMsg, plan.fail)
    const words: Record<string, string> = { ...plan.known }
    if (plan.ask.length > 0) {
      const { accepted, always } = await askSubscribe(state.app.name, plan.ask)
      const chosen = Object.fromEntries(
        plan.ask.map(({ templateId }): [string, Word] => [
          templateId,
          accepted.includes(templateId) ? 'accept' : 'reject'
        ])
      )
      if (always) memory.change({ kept: { ...settings.kept, ...chosen } })
      Object.assign(words, chosen)
    }
    for (const [templateId, word] of Object.entries(words)) {
      if (word === 'accept' || word === 'reject') await sandbox.grant({ appid, openid, templateId, result: word })
    }
    return words
  }

  function getSetting({ withSubscriptions = false }: Options) {
    const { mainSwitch, kept } = memory.settings()
    const subscriptionsSetting = {
      mainSwitch,
      ...(Object.keys(kept).length > 0 ? { itemSettings: kept } : {})
    }
    return { authSetting: {}, ...(withSubscriptions ? { subscriptionsSetting } : {}) }
  }

  const call =
    (name: string, run: (options: Options) => unknown) =>
    (options: Options = {}) =>
      answer(name, options, () => run(options))
  const network = () => ({ isConnected: online, networkType: online ? 'wifi' : 'none' })

  const wx = {
    getStorageSync: memory.get,
    setStorageSync: memory.set,
    removeStorageSync: memory.remove,
    clearStorageSync: memory.clear,
    getStorageInfoSync: () => ({ keys: memory.keys(), currentSize: 0, limitSize: 10_240 }),
    getStorage: call('getStorage', ({ key }) => {
      if (!memory.keys().includes(key)) throw new Fail('data not found')
      return { data: memory.get(key) }
    }),
    setStorage: call('setStorage', ({ key, data }) => memory.set(key, data)),
    removeStorage: call('removeStorage', ({ key }) => memory.remove(key)),

    getAccountInfoSync: () => ({ miniProgram: { appId: appid, envVersion: 'release', version: '1.0.0' } }),
    getLaunchOptionsSync: () => structuredClone(launch),
    getEnterOptionsSync: () => structuredClone(launch),
    getExtConfigSync: () => structuredClone(ext),
    getAppBaseInfo: () => ({ SDKVersion: '3.7.0', language: 'zh_CN', version: '8.0.50' }),

    login: call('login', async () => {
      needNetwork()
      return { code: await sandbox.code(appid, openid) }
    }),
    request: call('request', request),
    requestPayment: call('requestPayment', requestPayment),
    requestSubscribeMessage: call('requestSubscribeMessage', requestSubscribeMessage),
    getSetting: call('getSetting', getSetting),
    getNetworkType: call('getNetworkType', network),

    showToast: call('showToast', ({ title, duration }) => toast(String(title), duration)),
    showLoading: call('showLoading', ({ title }) => toast(String(title), 60_000)),
    hideToast: call('hideToast', hideToast),
    hideLoading: call('hideLoading', hideToast),
    showModal: call('showModal', async (options) => {
      const confirm = await askModal(options)
      return { confirm, cancel: !confirm }
    }),

    onAppShow: on('show'),
    onAppHide: on('hide'),
    onNetworkStatusChange: on('network'),
    offAppShow: off('show'),
    offAppHide: off('hide'),
    offNetworkStatusChange: off('network')
  }

  return {
    wx,
    /** What a form's submit event carries; without a network, what phones put there. */
    async formId(): Promise<string> {
      if (!online) return 'requestFormId:fail network error'
      return sandbox.formId(appid, openid).catch((error) => `requestFormId:fail ${error.message}`)
    },
    show: (options: Launch) => emit('show', structuredClone(options)),
    hide: () => emit('hide', {}),
    isOnline: () => online,
    setOnline(now: boolean) {
      if (now === online) return
      online = now
      emit('network', network())
    }
  }
}
export type Wx = ReturnType<typeof createWx>

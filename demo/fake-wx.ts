import { request as ask, type Dispatcher } from 'undici'

/** What a phone sends; `data` is the text of the body. */
export type FakeRequest = { url: string; method: string; data?: string; header: Record<string, string> }
/** What it gets back; header names in any spelling. */
export type FakeAnswer = { statusCode: number; data?: unknown; header?: Record<string, string> }
/** Answers a request; a rejection is what WeChat calls `request:fail`. */
export type FakeNetwork = (request: FakeRequest) => Promise<FakeAnswer>

export type FakePhone = {
  appId?: string
  /** Storage that outlives this phone's app: hand the same Map to the next start. */
  storage?: Map<string, unknown>
  /** The code of the next `wx.login`; a rejection is its failure. Without it, `wx.login` is not faked. */
  login?: () => string | Promise<string>
  network?: FakeNetwork
  /** The errMsg of a payment: `requestPayment:ok` or `requestPayment:fail …`. Always ok when absent. */
  pay?: (options: Record<string, unknown>) => string | Promise<string>
  /** WeChat's word by template id, or what the whole request fails with. Accepts all when absent. */
  subscribe?: (templateIds: string[]) => Record<string, string> | { errCode: number; errMsg: string }
  launchOptions?: { query?: Record<string, string>; path?: string; scene?: number }
  /** Called before each storage write; throwing makes the write fail, as a full storage does. */
  beforeWrite?: (key: string) => void
  /** Called after each storage write that succeeded. */
  afterWrite?: (key: string) => void
}

type Callbacks = { success?: (res: any) => void; fail?: (res: any) => void; complete?: (res: any) => void }
type AppEvent = 'show' | 'hide' | 'network'

/**
 * A strict `wx` for one phone: whatever is not faked throws when touched. Asynchronous calls answer by success, fail and
 * complete in a later microtask, or by a promise when no callback is given, as the real one does.
 */
export function createFakeWx(phone: FakePhone = {}) {
  const storage = phone.storage ?? new Map<string, unknown>()
  const listeners: Record<AppEvent, Set<(res: any) => void>> = { show: new Set(), hide: new Set(), network: new Set() }
  const calls: { name: string; options: any }[] = []
  let online = true
  let dead = false

  function answer(name: string, options: Callbacks & Record<string, unknown>, run: () => any): any {
    calls.push({ name, options })
    const settled = Promise.resolve()
      .then(run)
      .then(
        (res) => ({ ok: true, res: { errMsg: `${name}:ok`, ...res } }),
        (error) => ({ ok: false, res: { errMsg: `${name}:fail ${error?.message ?? error}`, ...error?.facts } })
      )
    if (!options.success && !options.fail && !options.complete) {
      return settled.then(({ ok, res }) => (ok ? res : Promise.reject(res)))
    }
    void settled.then(({ ok, res }) => {
      if (dead) return
      if (ok) options.success?.(res)
      else options.fail?.(res)
      options.complete?.(res)
    })
    return undefined
  }
  const failure = (message: string, facts: object = {}) => Object.assign(new Error(message), { facts })
  const on = (event: AppEvent) => (listener: (res: any) => void) => void listeners[event].add(listener)
  const off = (event: AppEvent) => (listener: (res: any) => void) => void listeners[event].delete(listener)
  const emit = (event: AppEvent, res: unknown) => [...listeners[event]].forEach((listener) => listener(res))

  const members: Record<string, unknown> = {
    getStorageSync: (key: string) => (storage.has(key) ? structuredClone(storage.get(key)) : ''),
    setStorageSync(key: string, value: unknown) {
      if (dead) throw new Error('setStorageSync:fail the app is gone')
      phone.beforeWrite?.(key)
      storage.set(key, structuredClone(value))
      phone.afterWrite?.(key)
    },
    removeStorageSync(key: string) {
      if (dead) throw new Error('removeStorageSync:fail the app is gone')
      phone.beforeWrite?.(key)
      storage.delete(key)
      phone.afterWrite?.(key)
    },
    getAccountInfoSync: () => ({
      miniProgram: { appId: phone.appId ?? 'wx0000000000000000', envVersion: 'release', version: '1.0.0' }
    }),
    getLaunchOptionsSync: () => ({ path: 'pages/index', scene: 1001, query: {}, ...phone.launchOptions }),
    onAppShow: on('show'),
    onAppHide: on('hide'),
    onNetworkStatusChange: on('network'),
    offAppShow: off('show'),
    offAppHide: off('hide'),
    offNetworkStatusChange: off('network'),
    request: (options: any) =>
      answer('request', options, async () => {
        const { network } = phone
        if (!online || dead || !network) throw failure('offline', { errno: 600001 })
        const { url, method = 'GET', data, header = {} } = options
        const text = data === undefined || typeof data === 'string' ? data : JSON.stringify(data)
        const res = await network({ url, method, data: text, header })
        if (!online || dead) throw failure('the connection broke', { errno: 600001 })
        return { cookies: [], header: {}, ...res }
      }),
    requestPayment: (options: any) =>
      answer('requestPayment', options, async () => {
        for (const name of ['timeStamp', 'nonceStr', 'package', 'paySign']) {
          if (typeof options[name] !== 'string') throw failure(`parameter error: ${name} should be String`)
        }
        const errMsg = (await phone.pay?.(options)) ?? 'requestPayment:ok'
        if (!errMsg.endsWith(':ok')) throw failure(errMsg, { errMsg })
        return { errMsg }
      }),
    requestSubscribeMessage: (options: any) =>
      answer('requestSubscribeMessage', options, () => {
        const ids: string[] = options.tmplIds
        const said = phone.subscribe?.(ids) ?? Object.fromEntries(ids.map((id) => [id, 'accept']))
        if ('errCode' in said) throw failure(String(said.errMsg), said)
        return said
      })
  }
  if (phone.login) {
    members['login'] = (options: any) =>
      answer('login', options, async () => {
        if (!online) throw failure('offline')
        return { code: await phone.login!() }
      })
  }
  const wx: any = new Proxy(members, {
    get(target, name) {
      if (name in target || typeof name === 'symbol') return target[name as string]
      throw new Error(`wx.${name} is not faked`)
    }
  })

  return {
    wx,
    storage,
    /** Every asynchronous call made, oldest first. */
    calls,
    /** Switches the network; listeners of onNetworkStatusChange hear of a change. */
    setOnline(now: boolean) {
      if (now === online) return
      online = now
      emit('network', { isConnected: now, networkType: now ? 'wifi' : 'none' })
    },
    hide: () => emit('hide', {}),
    show: (options: object = {}) => emit('show', { path: 'pages/index', scene: 1001, query: {}, ...options }),
    /** The app is killed: no answer arrives any more, no write succeeds. Storage keeps what it has. */
    kill() {
      dead = true
      for (const set of Object.values(listeners)) set.clear()
    }
  }
}
export type FakeWx = ReturnType<typeof createFakeWx>

/** A network that reaches real servers; `dispatcher` for a unix socket, a proxy or a pool of one's own. */
export function overHttp(dispatcher?: Dispatcher): FakeNetwork {
  return async ({ url, method, data, header }) => {
    const asked = { method: method as Dispatcher.HttpMethod, body: data ?? null, headers: header }
    const { statusCode, headers, body } = await ask(url, dispatcher === undefined ? asked : { ...asked, dispatcher })
    const text = await body.text()
    const answer = { statusCode, header: Object.fromEntries(Object.entries(headers).map(([k, v]) => [k, String(v)])) }
    try {
      return { ...answer, data: JSON.parse(text) }
    } catch {
      return { ...answer, data: text } // wx hands over the text when it is no JSON
    }
  }
}

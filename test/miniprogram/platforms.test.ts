import { existsSync, readdirSync, readFileSync } from 'node:fs'
import path from 'node:path'
import t from 'tap'
import ts from 'typescript'
import { createFakeWx } from '../../demo/fake-wx.js'
import { createScriptedServer, distRoot, library, repositoryRoot, requireBuilt } from './library.js'
import { order } from './phone.js'
import { createVirtualEnv } from './virtual-env.js'

/** The API of a phone at base library 2.4.0: callbacks only, and nothing that came later. */
function oldWx(over: Record<string, unknown> = {}) {
  const time = createVirtualEnv()
  const server = createScriptedServer(time.env.now)
  const { wx, storage } = createFakeWx({ login: () => 'code', network: server.network })
  const calledBack = (name: string) => (options: any) => {
    wx[name]({ fail: () => undefined, ...options })
    return undefined // promises came with 2.10.2
  }
  const members: Record<string, unknown> = {
    getStorageSync: wx.getStorageSync,
    setStorageSync: wx.setStorageSync,
    getAccountInfoSync: wx.getAccountInfoSync, // 2.2.2
    getLaunchOptionsSync: wx.getLaunchOptionsSync, // 2.1.2
    onAppShow: wx.onAppShow, // 2.1.2
    onAppHide: wx.onAppHide, // 2.1.2
    onNetworkStatusChange: wx.onNetworkStatusChange, // 1.1.0; its off came with 2.9.3
    login: calledBack('login'),
    request: calledBack('request'),
    requestPayment: calledBack('requestPayment'),
    getSetting: (options: any) => options.success({ authSetting: {} }), // 2.10.1 knows withSubscriptions
    ...over
  }
  // wx's members cannot be set, and what a base library lacks is undefined
  const api = new Proxy(members, {
    get: (from, name) => from[name as string],
    set: () => false
  })
  return { api, time, server, storage }
}

t.test('works on base library 2.4, without what came later', async (t) => {
  const { api, time } = oldWx()
  const kit = library.createKit({ server: 'https://hy.example', api, env: time.env })
  await time.settle()
  kit.captureSubmit({ detail: { formId: 'form-1' } }, 'home')
  t.match(await kit.requestPayment(order), { errMsg: 'requestPayment:ok' })
  const outcome = await kit.requestSubscribe(['t1'])
  t.match(outcome, { accepted: [], results: { t1: 'fail:not supported' } }, 'subscriptions came with 2.4.4')
  kit.track('seen')
  await kit.flush()
  t.match(kit.status(), { queued: 0, acknowledged: { stored: 4 } })
  kit.stop()
})

t.test('works on the barest phone: storage, login and request alone', async (t) => {
  const none = { getAccountInfoSync: undefined, getLaunchOptionsSync: undefined, getSetting: undefined }
  const off = { onAppShow: undefined, onAppHide: undefined, onNetworkStatusChange: undefined }
  const { api, time, server } = oldWx({ ...none, ...off })
  const kit = library.createKit({ server: 'https://hy.example', api, env: time.env })
  kit.captureSubmit({ detail: { formId: 'form-1' } })
  await time.advance(10_000)
  t.equal(server.kept.size, 1)
  t.equal(server.asked[0]!.body.appId, '', 'the host must tell its app id there')
  kit.stop()
})

t.test('keeps its catches on a phone that cannot send', async (t) => {
  const { api, time } = oldWx({ request: undefined })
  const kit = library.createKit({ server: 'https://hy.example', api, env: time.env, getSession: () => 'host-1' })
  kit.captureSubmit({ detail: { formId: 'form-1' } })
  await time.advance(10_000)
  t.match(kit.status(), { queued: 1, signedIn: true })
  kit.stop()
})

t.test('a copy of the library that nobody installed', async (t) => {
  const file = requireBuilt.resolve('./current.js')
  const mine = requireBuilt.cache[file]
  delete requireBuilt.cache[file]
  const { current, remember } = requireBuilt(file)
  requireBuilt.cache[file] = mine
  const scope = globalThis as any
  const { api, time, storage } = oldWx()
  scope.wx = api
  t.teardown(() => {
    delete scope.wx
    delete scope.getApp
  })
  await t.test('keeps what it catches', async (t) => {
    current().captureSubmit({ detail: { formId: 'early' } })
    t.match(String(storage.get('hongyan:outbox')), 'early')
  })
  await t.test('bears an app that is frozen, or not there yet', async (t) => {
    scope.getApp = () => {
      throw new Error('App() has not run')
    }
    t.equal(current(), current())
    scope.getApp = () => Object.freeze({})
    const kit = library.createKit({ api, env: time.env })
    remember(kit)
    t.equal(current(), kit)
    remember(kit)
  })
})

t.test('debug: true prints to the console', async (t) => {
  const lines: unknown[][] = []
  const { log } = console
  console.log = (...line: unknown[]) => void lines.push(line)
  library.createKit({ api: oldWx().api, debug: true }).captureSubmit({ detail: { formId: 'the formId is a mock one' } })
  console.log = log
  t.match(lines, [['[hongyan]', 'refused at the door', { source: 'form', reason: 'mock' }]])
})

t.test('the package ships what its package.json names, and needs nothing else', async (t) => {
  const root = path.join(repositoryRoot(), 'miniprogram')
  const pkg = JSON.parse(readFileSync(path.join(root, 'package.json'), 'utf8'))
  t.same(pkg.dependencies, undefined)
  for (const name of ['main', 'types', 'miniprogram']) t.ok(existsSync(path.join(root, pkg[name])), name)
  const files = readdirSync(distRoot, { recursive: true, encoding: 'utf8' })
  for (const name of ['form', 'subscribe', 'preferences']) {
    for (const end of ['js', 'json', 'wxml', 'wxss']) {
      t.ok(files.includes(path.join('components', `hongyan-${name}`, `hongyan-${name}.${end}`)), `${name}.${end}`)
    }
    t.match(JSON.parse(readFileSync(path.join(distRoot, `components/hongyan-${name}/hongyan-${name}.json`), 'utf8')), {
      component: true,
      usingComponents: {}
    })
  }
  t.same(
    files.filter((file) => /\.\w+$/.test(file) && !/\.(js|json|wxml|wxss|d\.ts)$/.test(file)),
    []
  )
  const scripts = files.filter((file) => file.endsWith('.js'))
  const needed = scripts.flatMap((file) => [
    ...readFileSync(path.join(distRoot, file), 'utf8').matchAll(/\brequire\("([^"]+)"\)/g)
  ])
  t.ok(needed.length > 10)
  t.same(
    needed.map(([, name]) => name!).filter((name) => !name.startsWith('.')),
    []
  )
})

const CONSUMER = `
import { captureSubmit, install, requestPayment, requestSubscribe, track, preferences, status } from 'hongyan-miniprogram'
import type { Kit, Options, Settings } from 'hongyan-miniprogram'
export const options: Options = { server: 'https://x', getSession: async () => ({ token: 't', expiresAt: '' }) }
export const kit: Kit = install(options)
interface Order { id: string; amount: number }
export async function pay(order: Order): Promise<string> {
  const asked = { timeStamp: '1', nonceStr: 'n', package: 'prepay_id=1', signType: 'MD5' as const, paySign: 's' }
  const { errMsg } = await requestPayment({ ...asked, orderId: order.id, place: 'cart' })
  const nothing: void = requestPayment({ ...asked, success: (res) => void res })
  track('paid', order)
  const { accepted, always, left } = await requestSubscribe(['t'], 'cart')
  const held = await preferences({ optedOut: false })
  const settings: Settings = kit.settings()
  return errMsg + accepted.concat(left).join() + Object.keys(always) + held?.optedOut + settings.batchSize + nothing + status().queued
}
export function taro(event: { detail: { value?: object; formId?: string }; mpEvent?: any }) { captureSubmit(event) }
`
const WITH_TYPINGS = `
import { captureSubmit, install, requestPayment } from 'hongyan-miniprogram'
install({ server: 'https://x', api: wx })
export function own(event: WechatMiniprogram.FormSubmit) { captureSubmit(event, 'own') }
export const pay = (options: WechatMiniprogram.RequestPaymentOption) => requestPayment({ ...options, orderId: '1' })
`
const WRONG = `
import { install, requestPayment, track } from 'hongyan-miniprogram'
install({})
requestPayment({ package: 'prepay_id=1' })
track(7)
`

const parsed = new Map<string, ts.SourceFile | undefined>()
/** Compiles a phone project of one file, strictly, against what the package ships. */
function compile(source: string, types: string[]): string[] {
  const root = path.join(repositoryRoot(), 'consumer')
  const file = path.join(root, 'app.ts')
  const options: ts.CompilerOptions = {
    strict: true,
    noEmit: true,
    target: ts.ScriptTarget.ES2017,
    lib: ['lib.es2017.d.ts'],
    module: ts.ModuleKind.CommonJS,
    moduleResolution: ts.ModuleResolutionKind.Node10,
    types,
    paths: { 'hongyan-miniprogram': [path.join(distRoot, 'index')] }
  }
  const host = ts.createCompilerHost(options)
  const { getSourceFile, fileExists } = host
  host.getCurrentDirectory = () => repositoryRoot()
  host.fileExists = (name) => name === file || fileExists(name)
  host.getSourceFile = (name, ...rest) => {
    if (name === file) return ts.createSourceFile(name, source, ts.ScriptTarget.ES2017)
    if (!parsed.has(name)) parsed.set(name, getSourceFile(name, ...rest)) // the standard library takes its time
    return parsed.get(name)
  }
  return ts
    .getPreEmitDiagnostics(ts.createProgram([file], options, host))
    .map((found) => ts.flattenDiagnosticMessageText(found.messageText, '\n'))
}

t.test('the shipped types', async (t) => {
  t.same(compile(CONSUMER, []), [], "serve a strict project that has no typings of WeChat's")
  t.same(compile(WITH_TYPINGS, ['miniprogram-api-typings']), [], 'and one that has them')
  t.equal(compile(WRONG, []).length, 3, 'and refuse what is wrong')
})

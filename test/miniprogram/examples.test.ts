import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, symlinkSync } from 'node:fs'
import path from 'node:path'
import t from 'tap'
import ts from 'typescript'
import { createFakeWx } from '../../demo/fake-wx.js'
import { loadMini, platform } from '../support/mini.js'
import { createScriptedServer, distRoot, library, repositoryRoot } from './library.js'
import { createVirtualEnv } from './virtual-env.js'

const LIBRARY = 'hongyan-miniprogram'
const root = repositoryRoot()
const examples = path.join(root, 'examples')
const read = (...parts: string[]) => readFileSync(path.join(...parts), 'utf8')

/** The example as a project of its own, with what npm would put beside it. */
function assemble(name: string, into: string): string {
  cpSync(path.join(examples, name), into, { recursive: true, filter: (file) => !file.includes('node_modules') })
  const packages = path.join(into, 'node_modules')
  mkdirSync(path.join(packages, LIBRARY), { recursive: true })
  cpSync(path.join(root, 'miniprogram', 'package.json'), path.join(packages, LIBRARY, 'package.json'))
  cpSync(distRoot, path.join(packages, LIBRARY, 'miniprogram_dist'), { recursive: true })
  const typings = 'miniprogram-api-typings'
  symlinkSync(path.join(root, 'node_modules', typings), path.join(packages, typings))
  return into
}

/** Checks the types of a project and writes its JavaScript beside its TypeScript. @returns what is wrong with it */
function compile(project: string): string[] {
  const { config } = ts.readConfigFile(path.join(project, 'tsconfig.json'), ts.sys.readFile)
  const { fileNames, options, errors } = ts.parseJsonConfigFileContent(config, ts.sys, project)
  const program = ts.createProgram(fileNames, options)
  const found = [...errors, ...ts.getPreEmitDiagnostics(program), ...program.emit().diagnostics]
  return found.map(({ messageText }) => ts.flattenDiagnosticMessageText(messageText, '\n'))
}

/** Runs a mini-program without a screen: a tap on each thing there is, and what the server got of it. */
async function useIt(app: string) {
  const time = createVirtualEnv()
  const server = createScriptedServer(time.env.now)
  const fake = createFakeWx({ login: () => 'code', network: server.network })
  const install = (options: object) => library.install({ ...options, api: fake.wx, env: time.env })
  const payment = { timeStamp: '1', nonceStr: 'n', signType: 'MD5', package: 'prepay_id=wx2017-example', paySign: 's' }
  const orders: string[] = []
  const wx = {
    request({ url, success }: { url: string; success: (res: object) => void }) {
      orders.push(url)
      success({ data: { orderId: 'D1', payment } })
    }
  }
  let launched: any
  let page: any
  const scope = { wx, App: (def: any) => (launched = def), Page: (def: any) => (page = def) }
  function load(file: string): any {
    const module = { exports: {} as any }
    const require = (name: string) =>
      name === LIBRARY ? { ...library, install } : load(path.join(path.dirname(file), name).replace(/(\.js)?$/, '.js'))
    const args = { module, exports: module.exports, require, ...scope }
    new Function(...Object.keys(args), read(app, file))(...Object.values(args))
    return module.exports
  }
  load('app.js')
  load('pages/index/index.js')
  launched.onLaunch()
  await time.settle()

  let made = 0
  platform.formId = () => `form-${++made}-of-an-example`
  platform.formValue = () => ({ note: '包邮吗' })
  const json = JSON.parse(read(app, 'pages/index/index.json').replaceAll(`${LIBRARY}/`, '/'))
  const wxml = read(app, 'pages/index/index.wxml')
  const { tap, instance } = loadMini(distRoot, { 'pages/index': { page: true, wxml, json, def: page } })('pages/index')
  const said: string[] = []
  for (const thing of ['.coupon >>> .hongyan-form-button', '.send', '.pay', '.notify']) {
    tap(thing)
    await time.settle()
    said.push(instance.data.said)
  }
  await time.advance(10_000)
  const kept = [...server.kept.values()].map(({ source, place, value, templateId, orderId }) =>
    [source, place, templateId ?? value, orderId].filter((each) => each !== undefined)
  )
  return { said, kept, orders: orders.map((url) => new URL(url).pathname) }
}

const WANTED = {
  said: ['券已到账', '收到：包邮吗', '已支付', '发货时通知您'],
  kept: [
    ['form', 'home.coupon', 'form-1-of-an-example'],
    ['form', 'home.note', 'form-2-of-an-example'],
    ['payment', 'home.pay', 'wx2017-example', 'D1'],
    ['grant', 'home.notify', 'TEMPLATE_ID_OF_YOURS']
  ],
  orders: ['/orders']
}

t.test('the native example catches two forms, a payment and a grant', async (t) => {
  t.same(await useIt(assemble('native', t.testdir())), WANTED)
})

t.test('the TypeScript example has sound types and does the same', async (t) => {
  const project = assemble('native-ts', t.testdir())
  t.same(compile(project), [])
  t.same(await useIt(path.join(project, 'miniprogram')), WANTED)
})

t.test('every example', async (t) => {
  const names = ['native', 'native-ts', 'taro', 'uni-app']
  for (const name of names) {
    const dir = path.join(examples, name)
    const manifest = JSON.parse(read(dir, 'package.json'))
    t.equal(manifest.dependencies[LIBRARY], 'file:../../miniprogram', `${name} takes the library from here`)
    t.match(read(dir, 'README.md'), `node examples/build.mjs ${name}\n`, 'says how to build it')

    const sources = readdirSync(dir, { recursive: true, encoding: 'utf8' }).filter(
      (file) => /\.(js|json|tsx?|vue)$/.test(file) && !/node_modules|wxcomponents|miniprogram_npm/.test(file)
    )
    const text = sources.map((file) => read(dir, file)).join('\n')
    const imported = [...text.matchAll(/import \{([^}]+)\} from 'hongyan-miniprogram'/g)].flatMap(([, list]) =>
      list!.split(',').map((each) => each.trim())
    )
    const called = [...text.matchAll(/hongyan\.(\w+)\(/g)].map(([, each]) => each!)
    const used = [...new Set([...imported, ...called])]
    for (const each of used) t.type(library[each], 'function', `${name} uses ${each}, which there is`)
    for (const each of ['captureSubmit', 'requestPayment', 'requestSubscribe'])
      t.ok(used.includes(each), `${name}: ${each}`)

    const [, place] = /hongyan-form['"]: ['"]([^'"]+)['"]/.exec(text)!
    const inside = place!.replace(/^.*hongyan-miniprogram\/(miniprogram_dist\/)?/, '')
    t.ok(existsSync(path.join(distRoot, `${inside}.wxml`)), `${name} names the component where it is`)
  }
  for (const [name, tool] of [
    ['taro', '@tarojs/cli'],
    ['uni-app', '@dcloudio/uni-app']
  ]) {
    const { dependencies, devDependencies } = JSON.parse(read(examples, name!, 'package.json'))
    const version = { ...dependencies, ...devDependencies }[tool!]
    t.match(read(examples, name!, 'README.md'), version, `${name} was last built with the version it asks for`)
  }
})

// Builds the sandbox's phone page: the demo mini-program (miniprogram/demo, as WeChat's devtools open it) with the built
// phone library, on glass-easel's DOM backend, and the phone around it, into dist/server/sandbox/phone/page. The mini-program's
// tags are renamed (form → wx-form, …), since a browser's own form would leave the page. Fails on type errors of the page
// and on whatever the demo uses that the page has no stand-in for. Needs build:miniprogram before it.
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { createRequire } from 'node:module'
import { fileURLToPath } from 'node:url'
import * as esbuild from 'esbuild'
import ts from 'typescript'

const { TmplGroup } = createRequire(import.meta.url)('glass-easel-template-compiler')
const root = fileURLToPath(new URL('../', import.meta.url))
const web = path.join(root, 'server/sandbox/phone/web')
const out = path.join(root, 'dist/server/sandbox/phone/page')
const demo = path.join(root, 'miniprogram/demo')
const LIBRARY = 'hongyan-miniprogram'
const library = path.join(root, 'miniprogram/miniprogram_dist')

/** Built-in components with a stand-in in web/builtins.mts. */
const BUILTINS = ['view', 'text', 'form', 'button', 'input', 'switch']
/** The phone's own styles; the mini-program's come after them. */
const STYLES = ['shell.css', 'pages.css', 'sheets.css', 'program.css']
/** Tags of the template language itself. */
const SYNTAX = ['block', 'slot', 'template', 'import', 'include', 'wxs']

const text = (file) => readFileSync(file, 'utf8')
const json = (file) => JSON.parse(text(file))
const literal = (value) => JSON.stringify(value)

function checkTypes() {
  const host = { getCanonicalFileName: (name) => name, getCurrentDirectory: () => root, getNewLine: () => '\n' }
  const { config } = ts.readConfigFile(path.join(web, 'tsconfig.json'), ts.sys.readFile)
  const parsed = ts.parseJsonConfigFileContent(config, ts.sys, web)
  const program = ts.createProgram(parsed.fileNames, parsed.options)
  const found = [...parsed.errors, ...ts.getPreEmitDiagnostics(program)]
  if (found.length > 0) throw new Error(ts.formatDiagnostics(found, host))
}

/** `view` → `wx-view`, for every tag the page has a stand-in for; another that nobody declares is an error. */
function renameTags(wxml, file, declared) {
  return wxml.replace(/(<\/?)([a-z][\w-]*)/g, (whole, open, tag) => {
    if (BUILTINS.includes(tag)) return `${open}wx-${tag}`
    if (SYNTAX.includes(tag) || declared.includes(tag)) return whole
    throw new Error(`${file}: the phone page has no stand-in for <${tag}>`)
  })
}

/**
 * WXSS as CSS: rpx by a variable (the phone may be smaller than the window), tags renamed, classes of a component its
 * own, and everything kept inside the mini-program's page.
 */
function toCss(wxss, file, scope) {
  if (/@(?!media|keyframes)/.test(wxss))
    throw new Error(`${file}: the phone page knows no at-rules but media and keyframes`)
  const tags = new RegExp(`(^|[\\s,>+~])(page|${BUILTINS.join('|')})(?=$|[\\s,.:>+~[])`, 'g')
  return wxss
    .replace(/\/\*[^]*?\*\//g, '')
    .replace(/(-?\d*\.?\d+)rpx\b/g, 'calc($1 * var(--rpx))')
    .replace(/([^{}]+)\{/g, (whole, selectors) => {
      if (/^\s*(@|\d|(from|to)\s*$)/.test(selectors)) return whole
      const own = selectors.split(',').map((selector) => {
        const named = selector.trim().replace(tags, '$1wx-$2')
        const scoped = scope ? named.replace(/\.(-?[A-Za-z_][\w-]*)/g, `.${scope}--$1`) : named
        return scoped.startsWith('wx-page') ? scoped : `wx-page ${scoped}`
      })
      return `${own.join(',')}{`
    })
}

/** Every component and page: of the library as `hongyan-miniprogram/…`, of the demo by its own path. */
function findParts() {
  const inside = (dir, prefix) =>
    readdirSync(dir, { recursive: true, encoding: 'utf8' })
      .map((file) => file.split(path.sep).join('/'))
      .filter((file) => file.endsWith('.wxml') && !/(^|\/)(node_modules|miniprogram_npm)\//.test(file))
      .sort()
      .map((file) => ({ id: prefix + file.slice(0, -5), stem: path.join(dir, file.slice(0, -5)) }))
  return [...inside(library, `${LIBRARY}/`), ...inside(demo, '')].map(({ id, stem }, index) => {
    const config = json(`${stem}.json`)
    return { id, stem, config, scope: config.component ? `part${index}` : '' }
  })
}

/** The module that web/program.d.mts declares, and the styles that go with it. */
function programOf(parts) {
  const templates = new TmplGroup()
  const add = (id, wxml) => {
    for (const warning of templates.addTmpl(id, wxml) ?? []) throw new Error(`${id}: ${warning.message}`)
  }
  const builtins = Object.fromEntries(BUILTINS.map((name) => [`wx-${name}`, `/builtin/${name}`]))
  for (const name of BUILTINS) add(`builtin/${name}`, '<slot/>')
  const styles = []
  const entries = []
  const appStyle = path.join(demo, 'app.wxss')
  if (existsSync(appStyle)) styles.push(toCss(text(appStyle), 'app.wxss', ''))
  const hosts = new Set()
  for (const { id, stem, config, scope } of parts) {
    // a package's components are named from its root: absolute, once it is a folder of the mini-program
    const declared = Object.fromEntries(
      Object.entries(config.usingComponents ?? {}).map(([tag, at]) => [
        tag,
        at.startsWith(`${LIBRARY}/`) ? `/${at}` : at
      ])
    )
    Object.keys(declared).forEach((tag) => hosts.add(tag))
    add(id, renameTags(text(`${stem}.wxml`), `${id}.wxml`, Object.keys(declared)))
    if (existsSync(`${stem}.wxss`)) styles.push(toCss(text(`${stem}.wxss`), `${id}.wxss`, scope))
    const registered = { ...config, usingComponents: { ...builtins, ...declared } }
    entries.push(
      `{ id: ${literal(id)}, json: ${literal(registered)}, scope: ${literal(scope)}, run() { require(${literal(`${stem}.js`)}) } }`
    )
  }
  if (hosts.size > 0) styles.push(`${[...hosts].join(',')} { display: block }`)
  const code = `export const program = {
    app: ${literal(json(path.join(demo, 'app.json')))},
    runApp() { require(${literal(path.join(demo, 'app.js'))}) },
    parts: [${entries.join(',\n')}],
    templates: ${templates.getTmplGenObjectGroups()}
  }`
  templates.free()
  return { code, css: styles.join('\n') }
}

async function build() {
  if (!existsSync(path.join(library, 'index.js'))) {
    throw new Error('the phone library is not built: npm run build:miniprogram')
  }
  checkTypes()
  const { code, css } = programOf(findParts())
  const put = {
    name: 'mini-program',
    setup({ onResolve, onLoad }) {
      onResolve({ filter: /^\.\/program\.mjs$/ }, () => ({ path: 'program', namespace: 'mini-program' }))
      onLoad({ filter: /.*/, namespace: 'mini-program' }, () => ({ contents: code, resolveDir: root }))
      onResolve({ filter: new RegExp(`^${LIBRARY}$`) }, () => ({ path: path.join(library, 'index.js') }))
    }
  }
  const common = { bundle: true, minify: true, target: ['es2020', 'safari15', 'chrome96'], logLevel: 'warning' }
  await esbuild.build({
    ...common,
    entryPoints: [path.join(web, 'main.mts')],
    plugins: [put],
    format: 'iife',
    outfile: path.join(out, 'phone.js')
  })
  await esbuild.build({
    ...common,
    stdin: { contents: [...STYLES.map((name) => text(path.join(web, name))), css].join('\n'), loader: 'css' },
    outfile: path.join(out, 'phone.css')
  })
  mkdirSync(out, { recursive: true })
  cpSync(path.join(web, 'index.html'), path.join(out, 'index.html'))
  // MIT asks that its text travels with the code, which is in phone.js now
  const licences = ['glass-easel', 'glass-easel-miniprogram-adapter'].map(
    (name) => `${name}\n\n${text(path.join(root, 'node_modules', name, 'LICENSE'))}`
  )
  writeFileSync(path.join(out, 'phone.js.LICENSE.txt'), licences.join('\n\n'))
  const size = readFileSync(path.join(out, 'phone.js')).length
  process.stdout.write(`phone page: ${(size / 1024).toFixed(0)} KB of script\n`)
}

build().catch((error) => {
  process.stderr.write(`the phone page was not built: ${error.message}\n`)
  process.exitCode = 1
})

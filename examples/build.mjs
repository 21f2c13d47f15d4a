// One example, built as a project of its own: copied out of the repository, the phone library packed and installed like
// any other package, then the project's own build. Usage: node examples/build.mjs NAME [--into DIR]
import { spawnSync } from 'node:child_process'
import { cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'

const LIBRARY = 'hongyan-miniprogram'
const here = fileURLToPath(new URL('.', import.meta.url))
const library = path.join(here, '..', 'miniprogram')
const COMPONENT = 'components/hongyan-form/hongyan-form.wxml'
/** `npmTo`: where "build npm" of the devtools would put the package; `proof`: the component among what was built. */
const EXAMPLES = {
  native: { npmTo: 'miniprogram_npm', built: '', proof: `miniprogram_npm/${LIBRARY}/${COMPONENT}` },
  'native-ts': {
    npmTo: 'miniprogram/miniprogram_npm',
    built: '',
    proof: `miniprogram/miniprogram_npm/${LIBRARY}/${COMPONENT}`
  },
  taro: { built: 'dist', proof: `dist/npm/${LIBRARY}/miniprogram_dist/${COMPONENT}` },
  'uni-app': { built: 'dist/build/mp-weixin', proof: `dist/build/mp-weixin/wxcomponents/${LIBRARY}/${COMPONENT}` }
}

function fail(why) {
  process.stderr.write(`${why}\nusage: node examples/build.mjs ${Object.keys(EXAMPLES).join('|')} [--into DIR]\n`)
  process.exit(2)
}
function run(cwd, command, ...args) {
  const { status } = spawnSync(command, args, { cwd, stdio: 'inherit', shell: process.platform === 'win32' })
  if (status !== 0) process.exit(status ?? 1)
}

/** The project as somebody else would have it: a folder of its own, the library from its package. */
function copyTo(name, into) {
  for (const entry of readdirSync(path.join(here, name))) {
    if (entry === 'node_modules' || entry === 'dist' || entry === 'miniprogram_npm') continue
    cpSync(path.join(here, name, entry), path.join(into, entry), { recursive: true })
  }
  run(library, 'npm', 'pack', '--silent', '--pack-destination', into)
  const tarball = readdirSync(into).find((file) => file.startsWith(LIBRARY) && file.endsWith('.tgz'))
  const file = path.join(into, 'package.json')
  const project = JSON.parse(readFileSync(file, 'utf8'))
  project.dependencies[LIBRARY] = `file:${tarball}`
  writeFileSync(file, JSON.stringify(project, null, 2))
}

/** What the devtools' "build npm" does for a package that says where its mini-program files are. */
function buildNpm(into, npmTo) {
  const from = path.join(into, 'node_modules', LIBRARY)
  const { miniprogram } = JSON.parse(readFileSync(path.join(from, 'package.json'), 'utf8'))
  cpSync(path.join(from, miniprogram), path.join(into, npmTo, LIBRARY), { recursive: true })
}

const { values, positionals } = parseArgs({ allowPositionals: true, options: { into: { type: 'string' } } })
const name = positionals[0] ?? ''
if (!Object.hasOwn(EXAMPLES, name)) fail(`there is no example "${name}"`)
if (!existsSync(path.join(library, 'miniprogram_dist', 'index.js'))) fail('first: npm run build:miniprogram')

const into =
  values.into === undefined ? mkdtempSync(path.join(tmpdir(), `hongyan-${name}-`)) : path.resolve(values.into)
mkdirSync(into, { recursive: true })
copyTo(name, into)
run(into, 'npm', 'install', '--no-audit', '--no-fund', '--loglevel=error')
const { npmTo, built, proof } = EXAMPLES[name]
if (npmTo !== undefined) buildNpm(into, npmTo)
run(into, 'npm', 'run', '--silent', '--if-present', 'build')
if (!existsSync(path.join(into, proof))) {
  process.stderr.write(`${name} was built, but its component is missing: ${proof}\n`)
  process.exit(1)
}
process.stdout.write(`${name}: built, open ${path.join(into, built)}\n`)

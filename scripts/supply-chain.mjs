// What ships, and under which licences, out of package-lock.json: `npm run licences`; `--json` for programs. Ends with 1 when
// something that ships is under a licence that would bind whoever ships it (copyleft), or under none anybody knows.
// `npm run sbom` writes the bill of materials (CycloneDX) with npm itself.
import { readFileSync } from 'node:fs'

const read = (name) => JSON.parse(readFileSync(new URL(`../${name}`, import.meta.url), 'utf8'))
const { packages } = read('package-lock.json')
const root = read('package.json')

/** Development dependencies whose code ends up in what we publish: the console's and the phone page's bundles. */
const BUNDLED = [
  'vue',
  'vue-router',
  'tdesign-vue-next',
  'tdesign-icons-vue-next',
  'echarts',
  'glass-easel',
  'glass-easel-miniprogram-adapter'
]
/** Ask for a notice at most. MPL and LGPL bind the file or the library: not here, so that nobody has to ask. */
const FREE = new Set([
  'MIT',
  'MIT-0',
  'ISC',
  'BSD-2-Clause',
  'BSD-3-Clause',
  '0BSD',
  'Apache-2.0',
  'BlueOak-1.0.0',
  'CC0-1.0',
  'Unlicense',
  'Python-2.0'
])

/** Where node would find `name` from the package at `from`: the nearest node_modules upwards. */
function find(from, name) {
  for (let at = from; ; at = at.slice(0, Math.max(0, at.lastIndexOf('node_modules/') - 1))) {
    const path = `${at === '' ? '' : `${at}/`}node_modules/${name}`
    if (packages[path] !== undefined) return path
    if (at === '') return null
  }
}

/** Everything these names bring along, optional parts included. */
function closure(names) {
  const seen = new Set()
  const todo = names.map((name) => find('', name))
  while (todo.length > 0) {
    const path = todo.pop()
    if (path === null || seen.has(path)) continue
    seen.add(path)
    const {
      dependencies = {},
      optionalDependencies = {},
      peerDependencies = {},
      peerDependenciesMeta = {}
    } = packages[path]
    const peers = Object.keys(peerDependencies).filter((name) => peerDependenciesMeta[name]?.optional !== true)
    for (const name of [...Object.keys(dependencies), ...Object.keys(optionalDependencies), ...peers]) {
      todo.push(find(path, name))
    }
  }
  return [...seen].sort()
}

/** `(MIT OR GPL-3.0)` is free where one choice is; `A AND B` where both are. */
function isFree(licence) {
  const text = licence.replace(/[()]/g, ' ').trim()
  if (/ OR /i.test(text)) return text.split(/ OR /i).some(isFree)
  if (/ AND /i.test(text)) return text.split(/ AND /i).every(isFree)
  return FREE.has(text)
}

const nameOf = (path) => path.slice(path.lastIndexOf('node_modules/') + 13)
const runtime = closure(Object.keys(root.dependencies))
const bundled = closure(BUNDLED).filter((path) => !runtime.includes(path))
const licences = {}
const refused = []
for (const path of [...runtime, ...bundled]) {
  const licence = packages[path].license ?? 'none'
  licences[licence] = (licences[licence] ?? 0) + 1
  if (!isFree(licence)) refused.push(`${nameOf(path)} ${packages[path].version}: ${licence}`)
}
const facts = {
  direct: Object.keys(root.dependencies).length,
  runtime: runtime.length,
  bundled: bundled.length,
  development: Object.keys(packages).filter((path) => path !== '' && !runtime.includes(path) && !bundled.includes(path))
    .length,
  withScripts: runtime.filter((path) => packages[path].hasInstallScript === true).map(nameOf),
  licences: Object.fromEntries(Object.entries(licences).sort(([, a], [, b]) => b - a)),
  refused,
  unpinned: Object.entries(packages)
    .filter(([path, { integrity, link }]) => path !== '' && !integrity && !link)
    .map(([path]) => path)
}

if (process.argv.includes('--json')) process.stdout.write(`${JSON.stringify(facts)}\n`)
else {
  process.stdout.write(
    `${facts.direct} dependencies, ${facts.runtime} packages with all they bring along; ${facts.bundled} more are in the bundles of the console and the phone page; ${facts.development} serve development alone\n`
  )
  for (const [licence, n] of Object.entries(facts.licences))
    process.stdout.write(`${String(n).padStart(5)}  ${licence}\n`)
  for (const each of refused) process.stdout.write(`✗ ${each}\n`)
}
process.exitCode = refused.length === 0 ? 0 : 1

import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { promisify } from 'node:util'
import t from 'tap'
import { fileOf, ROOT } from '../support/root.js'

const facts = (async () => {
  const ran = promisify(execFile)(process.execPath, [join(ROOT, 'scripts/supply-chain.mjs'), '--json'])
  const { stdout } = await ran.catch((error: { stdout: string }) => error)
  return JSON.parse(stdout) as {
    direct: number
    runtime: number
    bundled: number
    development: number
    withScripts: string[]
    licences: Record<string, number>
    refused: string[]
    unpinned: string[]
  }
})()

t.test('nothing that ships is copyleft, or of a licence nobody knows', async (t) => {
  const { refused, licences, runtime, bundled } = await facts
  t.same(refused, [])
  t.equal(
    Object.values(licences).reduce((sum, n) => sum + n, 0),
    runtime + bundled
  )
  t.ok(runtime > 100)
})

t.test('the lockfile pins each package by its hash, and names no registry', async (t) => {
  t.same((await facts).unpinned, [])
  t.notMatch(fileOf('package-lock.json'), /"resolved"/)
})

t.test('docs/supply-chain.md states the numbers there are', async (t) => {
  const { direct, runtime, bundled, development, withScripts } = await facts
  const page = fileOf('docs/supply-chain.md')
  for (const [name, n] of Object.entries({ direct, runtime, bundled, development })) {
    t.match(page, new RegExp(`\\*\\*${n}\\*\\* [^\\n]*<!-- ${name} -->`), `${n} ${name}`)
  }
  for (const name of withScripts) t.match(page, `\`${name}\``)
  for (const [name, version] of Object.entries(
    JSON.parse(fileOf('package.json')).overrides as Record<string, string>
  )) {
    t.match(page, `\`${name}\` ${version}`, 'why it is pinned')
  }
})

t.test('the library phones install brings nothing along', async (t) => {
  const { dependencies = {}, peerDependencies = {} } = JSON.parse(fileOf('miniprogram/package.json'))
  t.same({ ...dependencies, ...peerDependencies }, {})
})

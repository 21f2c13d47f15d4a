// How much of the built phone library its own tests run: every code line of miniprogram_dist/**/*.js, measured by Node's
// own coverage in the processes that run test/miniprogram. Prints one line; fails below LIMIT or when a test fails.
// Takes the compiled tests when `npm run build` has left fresh ones, as in CI; else the sources, through tsx.
import { spawn } from 'node:child_process'
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs'
import { availableParallelism, tmpdir } from 'node:os'
import path from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'

const LIMIT = 95
/** Tests of what is built with the library; npm test runs them, and they may lean on other rooms. */
const NOT_ITS_OWN = /^(demo|examples)/
const root = fileURLToPath(new URL('../', import.meta.url))
const built = path.join(root, 'miniprogram', 'miniprogram_dist')
const sourceTests = path.join(root, 'test', 'miniprogram')
const compiledTests = path.join(root, 'dist', 'test', 'miniprogram')

/** Modification time in ms; 0 when there is no such file. */
const madeAt = (file) => statSync(file, { throwIfNoEntry: false })?.mtimeMs ?? 0
const names = readdirSync(sourceTests).filter((file) => file.endsWith('.ts'))
const fromSource = names.some(
  (file) => madeAt(path.join(compiledTests, file.replace(/ts$/, 'js'))) < madeAt(path.join(sourceTests, file))
)

/** Runs one test file, its coverage written to `to`; answers its output when it failed. */
function run(file, to) {
  return new Promise((resolve) => {
    const compiled = path.join(compiledTests, file.replace(/ts$/, 'js'))
    const args = fromSource ? ['--import', 'tsx', path.join(sourceTests, file)] : [compiled]
    const child = spawn(process.execPath, args, {
      cwd: root,
      env: { ...process.env, TAP_TIMEOUT: '240', NODE_V8_COVERAGE: to }
    })
    let said = ''
    for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk) => (said += chunk))
    child.on('close', (code) => resolve(code === 0 ? null : `${file} exits with ${code}\n${said}`))
  })
}

async function runAll(to) {
  const files = names.filter((file) => file.endsWith('.test.ts') && !NOT_ITS_OWN.test(file))
  if (files.length === 0) throw new Error(`no tests in ${sourceTests}`)
  const failures = []
  const next = files[Symbol.iterator]()
  const lane = async () => {
    for (const file of next) failures.push(await run(file, to))
  }
  await Promise.all(Array.from({ length: Math.min(4, availableParallelism()) }, lane))
  return failures.filter((failure) => failure !== null)
}

/** Marks what one process ran of one load of a script. Inner ranges come after outer ones and overrule them. */
function mark(functions, length) {
  const ran = new Uint8Array(length)
  const ranges = functions.flatMap(({ ranges }) => ranges)
  ranges.sort((a, b) => a.startOffset - b.startOffset || b.endOffset - a.endOffset)
  for (const { startOffset, endOffset, count } of ranges) ran.fill(count > 0 ? 1 : 0, startOffset, endOffset)
  return ran
}

function readCoverage(from, sources) {
  const ran = new Map([...sources].map(([url, text]) => [url, new Uint8Array(text.length)]))
  for (const file of readdirSync(from)) {
    for (const { url, functions } of JSON.parse(readFileSync(path.join(from, file), 'utf8')).result) {
      const sum = ran.get(url)
      if (sum) mark(functions, sum.length).forEach((did, at) => (sum[at] |= did))
    }
  }
  return ran
}

/** Code lines and those whose beginning never ran; blank lines and comments are no code. */
function countLines(text, ran) {
  const missed = []
  let total = 0
  let at = 0
  text.split('\n').forEach((line, index) => {
    const begin = at + line.search(/\S/)
    at += line.length + 1
    if (/^\s*($|\/\/|\/?\*)/.test(line)) return
    total += 1
    if (!ran[begin]) missed.push(index + 1)
  })
  return { total, missed }
}

const folder = mkdtempSync(path.join(tmpdir(), 'hongyan-coverage-'))
try {
  const files = readdirSync(built, { recursive: true, encoding: 'utf8' }).filter((file) => file.endsWith('.js'))
  const sources = new Map(
    files.map((file) => {
      const full = path.join(built, file)
      return [pathToFileURL(full).href, readFileSync(full, 'utf8')]
    })
  )
  const failures = await runAll(folder)
  for (const failure of failures) process.stderr.write(failure + '\n')
  const ran = readCoverage(folder, sources)
  let total = 0
  let missed = 0
  for (const [url, text] of sources) {
    const lines = countLines(text, ran.get(url))
    total += lines.total
    missed += lines.missed.length
    if (process.argv.includes('--missed') && lines.missed.length > 0) {
      process.stdout.write(`${path.relative(built, fileURLToPath(url))}: ${lines.missed.join(' ')}\n`)
    }
  }
  const share = total === 0 ? 0 : Math.floor((1000 * (total - missed)) / total) / 10
  process.stdout.write(`library coverage: ${share.toFixed(1)} % of lines (miniprogram_dist)\n`)
  if (failures.length > 0 || share < LIMIT) process.exitCode = 1
} finally {
  rmSync(folder, { recursive: true, force: true })
}

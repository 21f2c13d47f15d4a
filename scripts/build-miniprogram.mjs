// Builds the phone library: miniprogram/*.ts → miniprogram/miniprogram_dist (CommonJS ES2015, .d.ts, component assets),
// then weighs it as a phone would carry it: minified and gzipped. Fails on type errors and on more than LIMIT bytes.
// --demo also puts it into the demo shop, where the devtools' "build npm" would.
import { cpSync, mkdirSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { gzipSync } from 'node:zlib'
import * as esbuild from 'esbuild'
import ts from 'typescript'

const LIMIT = 12 * 1024
const root = fileURLToPath(new URL('../miniprogram/', import.meta.url))
const out = path.join(root, 'miniprogram_dist')

function compile() {
  const host = {
    getCanonicalFileName: (name) => name,
    getCurrentDirectory: () => root,
    getNewLine: () => '\n'
  }
  const { config } = ts.readConfigFile(path.join(root, 'tsconfig.json'), ts.sys.readFile)
  const parsed = ts.parseJsonConfigFileContent(config, ts.sys, root)
  const program = ts.createProgram(parsed.fileNames, parsed.options)
  const found = [...parsed.errors, ...ts.getPreEmitDiagnostics(program)]
  if (found.length === 0) {
    rmSync(out, { recursive: true, force: true })
    found.push(...program.emit().diagnostics)
  }
  if (found.length > 0) {
    process.stderr.write(ts.formatDiagnostics(found, host))
    process.exit(1)
  }
}

/** WeChat's own file kinds, which tsc does not know. */
function copyAssets() {
  const from = path.join(root, 'components')
  const assets = readdirSync(from, { recursive: true, encoding: 'utf8' }).filter((f) => /\.(wxml|wxss|json)$/.test(f))
  for (const file of assets) {
    const to = path.join(out, 'components', file)
    mkdirSync(path.dirname(to), { recursive: true })
    cpSync(path.join(from, file), to)
  }
  return assets.map((file) => path.join(from, file))
}

async function weigh(assets) {
  const scripts = ['index.js', ...assets.filter((f) => f.endsWith('.wxml')).map((f) => f.replace(/wxml$/, 'js'))]
  const contents = scripts
    .map((f) => `require(${JSON.stringify('./' + path.relative(root, path.resolve(root, f)))})`)
    .join('\n')
  const { outputFiles } = await esbuild.build({
    stdin: { contents, resolveDir: out },
    bundle: true,
    minify: true,
    format: 'cjs',
    target: 'es2015',
    write: false
  })
  return gzipSync(Buffer.concat([outputFiles[0].contents, ...assets.map((f) => readFileSync(f))])).length
}

compile()
const assets = copyAssets()
const size = await weigh(assets)
process.stdout.write(`hongyan-miniprogram: ${(size / 1024).toFixed(1)} KB minified + gzip (limit ${LIMIT / 1024} KB)\n`)
if (size > LIMIT) process.exit(1)
if (process.argv.includes('--demo')) {
  const shelf = path.join(root, 'demo', 'miniprogram_npm', 'hongyan-miniprogram')
  rmSync(shelf, { recursive: true, force: true })
  cpSync(out, shelf, { recursive: true })
}

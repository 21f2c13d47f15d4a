import vue from '@vitejs/plugin-vue'
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { brotliCompressSync, constants, gzipSync } from 'node:zlib'
import { defineConfig, type Plugin } from 'vite'

const here = fileURLToPath(new URL('.', import.meta.url))
const out = process.env.HONGYAN_CONSOLE_OUT ?? path.join(here, '../../../dist/server/console/web')

/** Puts .br and .gz beside every file worth it, so that the server never compresses. */
const precompress: Plugin = {
  name: 'precompress',
  apply: 'build',
  closeBundle() {
    for (const name of readdirSync(out, { recursive: true, encoding: 'utf8' })) {
      if (!/\.(js|css|svg|html)$/.test(name)) continue
      const file = path.join(out, name)
      const content = readFileSync(file)
      if (content.length < 1024) continue
      const brotli = {
        params: { [constants.BROTLI_PARAM_QUALITY]: 11, [constants.BROTLI_PARAM_SIZE_HINT]: content.length }
      }
      writeFileSync(`${file}.br`, brotliCompressSync(content, brotli))
      writeFileSync(`${file}.gz`, gzipSync(content, { level: 9 }))
    }
  }
}

/** The licences of all that is inside travel with it. */
const licences: Plugin = {
  name: 'licences',
  apply: 'build',
  generateBundle() {
    const roots = new Set<string>()
    for (const id of this.getModuleIds()) {
      const root = /^.*\/node_modules\/(?:@[^/]+\/)?[^/]+(?=\/)/.exec(id.replace(/^\0/, ''))?.[0]
      if (root !== undefined) roots.add(root)
    }
    const texts = [...roots].sort().flatMap((root) => {
      const names = ['LICENSE', 'LICENSE.md', 'LICENSE.txt', 'license', 'NOTICE'].map((name) => path.join(root, name))
      const found = names.filter((name) => existsSync(name)).map((name) => readFileSync(name, 'utf8'))
      return found.length === 0 ? [] : [[root.split('/node_modules/').at(-1)!, ...found].join('\n\n')]
    })
    this.emitFile({ type: 'asset', fileName: 'LICENSES.txt', source: texts.join('\n\n\n') })
  }
}

export default defineConfig({
  root: here,
  base: '/',
  logLevel: 'warn',
  plugins: [vue(), licences, precompress],
  build: {
    outDir: out,
    emptyOutDir: true,
    target: 'es2022',
    // A picture inside the styles would need data: where the page allows it for images alone.
    assetsInlineLimit: 0,
    chunkSizeWarningLimit: 700,
    modulePreload: { polyfill: false }
  }
})

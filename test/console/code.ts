import path from 'node:path'
import vm from 'node:vm'
import { build } from 'esbuild'

const WEB = path.resolve('server/console/web')

/** What some of the console's own files export, run without a browser: for what is decided and said, not drawn. */
export async function consoleCode<T>(...files: string[]): Promise<T> {
  const contents = files.map((file) => `export * from './${file}'`).join('\n')
  const { outputFiles } = await build({
    stdin: { contents, resolveDir: WEB, loader: 'ts' },
    bundle: true,
    write: false,
    format: 'iife',
    globalName: 'code',
    platform: 'browser',
    define: { 'process.env.NODE_ENV': '"production"', __VUE_OPTIONS_API__: 'false', __VUE_PROD_DEVTOOLS__: 'false' },
    logLevel: 'error'
  })
  const kept = new Map<string, string>()
  const page = vm.createContext({
    localStorage: {
      getItem: (key: string) => kept.get(key) ?? null,
      setItem: (key: string, value: string) => void kept.set(key, value),
      removeItem: (key: string) => void kept.delete(key)
    },
    navigator: { language: 'zh-CN' },
    document: { documentElement: {}, createElement: () => ({}) },
    queueMicrotask
  })
  vm.runInContext(outputFiles[0]!.text, page)
  return (page as { code: T }).code
}

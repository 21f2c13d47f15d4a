import { readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

/** The folder of the package, from the sources as from the compiled tests. */
export const ROOT: string = (() => {
  for (let dir = dirname(fileURLToPath(import.meta.url)); ; dir = dirname(dir)) {
    try {
      if (JSON.parse(readFileSync(join(dir, 'package.json'), 'utf8')).name === 'hongyan') return dir
    } catch {
      // further up
    }
  }
})()

/** A file of the package as text, by its way from the root. */
export const fileOf = (path: string): string => readFileSync(join(ROOT, path), 'utf8')

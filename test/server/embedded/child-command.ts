import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

/** A file beside this one, and what Node needs to run it as a process: compiled, or from the sources with tsx. */
export function childCommand(name: string): string[] {
  const compiled = fileURLToPath(new URL(`./${name}.js`, import.meta.url))
  return existsSync(compiled)
    ? [compiled]
    : ['--import', 'tsx', fileURLToPath(new URL(`./${name}.ts`, import.meta.url))]
}

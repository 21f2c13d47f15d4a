import { execFile } from 'node:child_process'
import { extname } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'

/** A script of the repository as a command, compiled or not as this file is: `script('demo/main')('--once')`. */
export function script(path: string) {
  const file = fileURLToPath(new URL(`../../${path}${extname(fileURLToPath(import.meta.url))}`, import.meta.url))
  return (...args: string[]): Promise<{ code: number; stdout: string; stderr: string }> =>
    promisify(execFile)(process.execPath, [...process.execArgv, file, ...args], { maxBuffer: 1e8 }).then(
      ({ stdout, stderr }) => ({ code: 0, stdout, stderr }),
      (error: { code: number; stdout: string; stderr: string }) => error
    )
}

/** The last line a script printed, as JSON; an empty object when it printed none. */
export const lastLine = (stdout: string) => JSON.parse(stdout.trim().split('\n').at(-1) || '{}')

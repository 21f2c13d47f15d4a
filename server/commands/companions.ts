import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { extname } from 'node:path'
import { fileURLToPath } from 'node:url'
import { Fault, type Command } from './command.js'

/** `hongyan sandbox`: the local WeChat, in this process. */
export const sandboxCommand: Command = {
  usage: 'hongyan sandbox [--port N] [--host ADDRESS] [--latency MIN-MAX] [--seed N]',
  async run(argv) {
    // Loaded only when asked for: no server of ours should carry the double of WeChat along.
    const { runSandbox } = await import('../sandbox/main.js')
    return runSandbox(argv)
  }
}

/** `hongyan demo`: the whole kit at work, in processes of its own. */
export const demoCommand: Command = {
  usage: 'hongyan demo [--once] [--json] [--scene NAME]',
  run(argv) {
    const here = import.meta.url
    const path = fileURLToPath(new URL(`../../demo/main${extname(fileURLToPath(here))}`, here))
    if (!existsSync(path))
      throw new Fault('the demo comes with the repository: clone it, then `npm ci && npm run demo`')
    return new Promise((resolve, reject) => {
      const child = spawn(process.execPath, [...process.execArgv, path, ...argv], { stdio: 'inherit' })
      // The terminal signals both; the demo decides when to end, and its end is ours.
      process.on('SIGINT', () => {})
      process.on('SIGTERM', () => child.kill('SIGTERM'))
      child.once('error', reject)
      child.once('exit', (code) => resolve(code ?? 1))
    })
  }
}

import { fork, type ChildProcess } from 'node:child_process'
import { EventEmitter, once } from 'node:events'
import { extname } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import type { Test } from 'tap'

/** `hongyan …` as a process of its own; `ready` is what it says to its parent. */
export async function start(t: Test, argv: string[], env: Record<string, string>) {
  const here = fileURLToPath(import.meta.url)
  const main = fileURLToPath(new URL(`../../../server/main${extname(here)}`, import.meta.url))
  const child: ChildProcess = fork(main, argv, {
    env: { PATH: process.env.PATH, HONGYAN_LOG_PRETTY: 'false', ...env },
    silent: true
  })
  const lines: string[] = []
  const heard = new EventEmitter()
  for (const stream of [child.stdout!, child.stderr!]) {
    createInterface(stream).on('line', (line) => {
      lines.push(line)
      heard.emit('line')
    })
  }
  /** The first line with this in it; its words travel beside the message that the process is ready. */
  const line = async (part: string): Promise<string> => {
    for (;;) {
      const found = lines.find((each) => each.includes(part))
      if (found !== undefined) return found
      await once(heard, 'line')
    }
  }
  const ended = once(child, 'exit').then(([code]) => code as number | null)
  t.teardown(async () => {
    child.kill('SIGKILL')
    await ended
  })
  const ready = await Promise.race([once(child, 'message').then(([message]) => message as any), ended.then(() => null)])
  const stop = async (signal: NodeJS.Signals = 'SIGTERM') => {
    child.kill(signal)
    return ended
  }
  return { ready, lines, line, ended, stop }
}

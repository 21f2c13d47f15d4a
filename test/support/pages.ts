import { spawn, type ChildProcess } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { chmod, mkdir, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { extname, join } from 'node:path'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import type { Test } from 'tap'
import { tryPort } from '../../server/commands/process.js'
import { fileOf } from './root.js'

/** How a block of commands is tested: see test/readme.test.ts. */
export type Block = { how: string; code: string; line: number }

/** The command blocks of a page, each with what is to be done with it, as the comment before it says. */
export function blocksOf(page: string): Block[] {
  const whole = fileOf(page)
  return [...whole.matchAll(/(?:<!-- test: (\w+) -->\n\n)?```sh\n([^]*?)```/g)].map(
    ({ 1: how = '', 2: code, index }) => ({
      how,
      code: code!,
      line: whole.slice(0, index).split('\n').length
    })
  )
}

const compiled = (path: string) =>
  fileURLToPath(new URL(`../../${path}${extname(fileURLToPath(import.meta.url))}`, import.meta.url))

/**
 * A folder for PATH: `npm` and `npx` of these pages start the program as it stands here, installed by whoever runs its tests.
 * A reader's own `npm test` passes.
 */
async function shims(dir: string): Promise<string> {
  const bin = join(dir, 'bin')
  await mkdir(bin)
  const node = `exec '${process.execPath}' ${process.execArgv.map((each) => `'${each}'`).join(' ')}`
  const [hongyan, demo] = ['server/main', 'demo/main'].map((path) => `${node} '${compiled(path)}'`)
  const npm = [
    '#!/bin/sh',
    'case "$1" in',
    '  ci|test) exit 0;;',
    `  start) ${hongyan} serve;;`,
    '  run) shift; [ "$1" = --silent ] && shift; what=$1; shift; [ "$1" = -- ] && shift',
    `    case "$what" in hongyan) ${hongyan} "$@";; demo) ${demo} "$@";; esac;;`,
    'esac',
    'echo "npm $*: not here" >&2; exit 9\n'
  ].join('\n')
  const npx = `#!/bin/sh\n[ "$1" = hongyan ] && shift && ${hongyan} "$@"\necho "npx $*: not here" >&2; exit 9\n`
  // A page waits as long as a reader would; a machine that runs many tests at once takes its time.
  const slow = `#!/bin/sh\nexec '${process.execPath}' -e 'setTimeout(() => {}, 3000 * process.argv[1])' "$1"\n`
  for (const [name, code] of Object.entries({ npm, npx, sleep: slow })) {
    await writeFile(join(bin, name), code)
    await chmod(join(bin, name), 0o755)
  }
  return bin
}

/** A shell in an empty folder of its own; `ours` puts free ports in place of those the pages name. */
type Shell = { run(code: string): ChildProcess; ours(text: string): string; end(): void }

async function shell(t: Test): Promise<Shell> {
  const dir = mkdtempSync(join(tmpdir(), 'hongyan-page-'))
  const [wechat, server] = [await tryPort('127.0.0.1', 0), await tryPort('127.0.0.1', 0)]
  const path = `${await shims(dir)}:${process.env.PATH}`
  const children: ChildProcess[] = []
  // The whole group, which is of this test's making: servers went into the background.
  const end = () => {
    for (const { pid } of children) {
      try {
        process.kill(-pid!, 'SIGKILL')
      } catch {
        // all of them have ended
      }
    }
  }
  t.teardown(() => {
    end()
    rmSync(dir, { recursive: true, force: true, maxRetries: 5 })
  })
  return {
    ours: (text) => text.replaceAll('8199', String(wechat)).replaceAll('8480', String(server)),
    run(code) {
      const child = spawn('bash', ['-c', code], {
        cwd: dir,
        detached: true,
        env: {
          PATH: path,
          HOME: dir,
          HONGYAN_DATA: join(dir, '.hongyan'),
          HONGYAN_PORT: String(server),
          HONGYAN_LOG_LEVEL: 'warn'
        },
        stdio: ['ignore', 'pipe', 'pipe']
      })
      children.push(child)
      return child
    },
    end
  }
}

const MARK = '\u0001'
const END_MS = 5_000

/** Runs blocks one after the other in one shell, on ports of its own; every `#>` line is held against what was printed. */
export async function play(t: Test, page: string, blocks: Block[], seconds = 120): Promise<void> {
  const { run, ours, end } = await shell(t)
  const code = ours(blocks.map(({ code }) => code).join('\n'))
  // A mark in the output stands for each expectation; what came before it, since the one before, is what it is held against.
  const lines = code.split('\n').map((line) => (line.startsWith('#> ') ? `printf '\\n${MARK}\\n'` : line))
  const expected = code.split('\n').filter((line) => line.startsWith('#> '))
  const child = run(`set -o pipefail\n${lines.join('\n')}\nprintf '\\n${MARK}\\n'`)
  // What takes too long is asked to end, so that it takes with it what it started elsewhere.
  const timer = setTimeout(() => {
    process.kill(-child.pid!, 'SIGINT')
    setTimeout(end, END_MS).unref()
  }, seconds * 1000)
  const whole = text(child.stdout!)
  const trouble = text(child.stderr!)
  await new Promise((resolve) => child.once('exit', resolve))
  clearTimeout(timer)
  end()
  const pieces = (await whole).split(`\n${MARK}\n`)
  t.equal(pieces.length, expected.length + 2, `${page}: all of it was run; ${(await trouble).slice(-1000)}`)
  expected.forEach((line, n) => {
    const wanted = line.slice(3).trim()
    const pattern = wanted
      .split('…')
      .map((part) => part.replace(/[.*+?^${}()|[\]\\]/g, '\\$&'))
      .join('[^]*')
    // Answers end without a line's end: what was printed before may stand on the same line.
    t.match(pieces[n]!.trim(), new RegExp(`${pattern}$`), `${page}: ${wanted}`)
  })
}

/**
 * Runs the lines of a block one after the other, each a command that stays up: the phone its comment names, or else the
 * one it prints, is opened, and the command stopped by Ctrl-C.
 */
export async function staysUp(t: Test, { code }: Block, seconds: number): Promise<void> {
  const { run, ours } = await shell(t)
  for (const line of code.split('\n').filter((each) => each !== '')) {
    const [command, comment = ''] = ours(line).split(/\s+#\s/)
    const child = run(`exec ${command}`)
    const ended = new Promise<number | null>((resolve) => child.once('exit', resolve))
    const address = await new Promise<string>((resolve, reject) => {
      let said = ''
      const timer = setTimeout(() => {
        process.kill(-child.pid!, 'SIGINT')
        void ended.then(() => reject(new Error(`${command} said no address: ${said}`)))
      }, seconds * 1000)
      const look = (part: Buffer) => {
        said += part.toString()
        const phone = /http:\/\/\S+\/phone[^\s)]*/
        const found = phone.exec(comment) ?? phone.exec(said)
        if (found === null || !said.includes(new URL(found[0]).origin)) return
        clearTimeout(timer)
        resolve(found[0])
      }
      child.stdout!.on('data', look)
      child.stderr!.on('data', look)
      void ended.then((code) => reject(new Error(`${command} ended with ${code}: ${said}`)))
    })
    const page = await fetch(address)
    t.equal(page.status, 200, `${command}: ${address}`)
    t.match(await page.text(), /<html/, 'a page')
    process.kill(-child.pid!, 'SIGINT')
    t.type(await ended, 'number', 'Ctrl-C ends it')
  }
}

import { spawn } from 'node:child_process'
import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { chmod, mkdir, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, extname, join } from 'node:path'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import t, { type Test } from 'tap'
import { tryPort } from '../server/commands/process.js'
import { VARIABLES } from '../server/config.js'
import { run as hongyan } from './server/commands/run.js'
import { fileOf, ROOT } from './support/root.js'

// Whole servers start here.
t.setTimeout(170_000)

const PAGES = ['README.md', 'README.zh-CN.md']
const scripts = JSON.parse(fileOf('package.json')).scripts as Record<string, string>
const MAIN = fileURLToPath(new URL(`../server/main${extname(fileURLToPath(import.meta.url))}`, import.meta.url))

type Block = { how: string; code: string; line: number }

/** The command blocks of a page, each with what is to be done with it, as the comment before it says. */
function blocksOf(page: string): Block[] {
  const whole = fileOf(page)
  return [...whole.matchAll(/(?:<!-- test: (\w+) -->\n\n)?```sh\n([^]*?)```/g)].map(
    ({ 1: how = '', 2: code, index }) => ({
      how,
      code: code!,
      line: whole.slice(0, index).split('\n').length
    })
  )
}

t.test('each page', async (t) => {
  for (const page of [...PAGES, 'docs/operations.md']) {
    const readme = fileOf(page)
    t.test(`${page} links to files there are`, async (t) => {
      for (const [, path] of readme.matchAll(/\]\(([^)#:]+)\)/g))
        t.ok(existsSync(join(ROOT, dirname(page), path!)), path)
    })
  }
  for (const page of PAGES) {
    t.test(`${page} says of each setting what the program says`, async (t) => {
      const rows = fileOf(page)
        .split('\n')
        .filter((line) => /^\| `[A-Z_]+` /.test(line))
      const said = rows.map((line) =>
        line
          .split('|')
          .slice(1, 4)
          .map((cell) => cell.trim())
      )
      const chinese = page.includes('zh-CN')
      t.same(
        said,
        VARIABLES.map((each) => [`\`${each.name}\``, each.default, chinese ? each.chinese : each.meaning]),
        'npm run docs:env writes it'
      )
    })
  }
  t.test('both languages have the same commands', async (t) => {
    const bare = (page: string) =>
      blocksOf(page).map(({ how, code }) => ({ how, code: code.replace(/\s*#(?!>).*$/gm, '').replace(/ +/g, ' ') }))
    t.same(bare('README.zh-CN.md'), bare('README.md'))
  })
})

/** Where the program is, seen from its tests: `npm` and `npx` of these pages start it as it stands here. */
async function shims(dir: string): Promise<string> {
  const bin = join(dir, 'bin')
  await mkdir(bin)
  const start = `exec '${process.execPath}' ${process.execArgv.map((each) => `'${each}'`).join(' ')} '${MAIN}'`
  const npm = `#!/bin/sh\ncase "$1 $2" in\n  "run hongyan") shift 3; ${start} "$@";;\n  "start ") ${start} serve;;\nesac\necho "npm $*: not here" >&2; exit 9\n`
  const npx = `#!/bin/sh\n[ "$1" = hongyan ] && shift && ${start} "$@"\necho "npx $*: not here" >&2; exit 9\n`
  // A page waits as long as a reader would; a machine that runs many tests at once takes its time.
  const slow = `#!/bin/sh\nexec '${process.execPath}' -e 'setTimeout(() => {}, 3000 * process.argv[1])' "$1"\n`
  for (const [name, code] of Object.entries({ npm, npx, sleep: slow })) {
    await writeFile(join(bin, name), code)
    await chmod(join(bin, name), 0o755)
  }
  return bin
}

/** Runs blocks one after the other in one shell, on ports of its own; every `#>` line is held against what was printed. */
async function play(t: Test, page: string, blocks: Block[], seconds = 120): Promise<void> {
  const dir = mkdtempSync(join(tmpdir(), 'hongyan-page-'))
  const [wechat, server] = [await tryPort('127.0.0.1', 0), await tryPort('127.0.0.1', 0)]
  const MARK = '\u0001'
  const code = blocks
    .map(({ code }) => code)
    .join('\n')
    .replaceAll('8199', String(wechat))
    .replaceAll('8480', String(server))
  // A mark in the output stands for each expectation; what came before it, since the one before, is what it is held against.
  const lines = code.split('\n').map((line) => (line.startsWith('#> ') ? `printf '\\n${MARK}\\n'` : line))
  const expected = code.split('\n').filter((line) => line.startsWith('#> '))
  const child = spawn('bash', ['-c', `set -o pipefail\n${lines.join('\n')}\nprintf '\\n${MARK}\\n'`], {
    cwd: dir,
    detached: true,
    env: {
      PATH: `${await shims(dir)}:${process.env.PATH}`,
      HOME: dir,
      HONGYAN_DATA: join(dir, '.hongyan'),
      HONGYAN_PORT: String(server),
      HONGYAN_LOG_LEVEL: 'warn'
    },
    stdio: ['ignore', 'pipe', 'pipe']
  })
  // The whole group, which is of this test's making: servers went into the background.
  const end = () => {
    try {
      process.kill(-child.pid!, 'SIGKILL')
    } catch {
      // all of them have ended
    }
  }
  t.teardown(() => {
    end()
    rmSync(dir, { recursive: true, force: true, maxRetries: 5 })
  })
  const timer = setTimeout(end, seconds * 1000)
  const whole = text(child.stdout)
  const trouble = text(child.stderr)
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

/** Each command named in a block is there: npm scripts, commands of hongyan with their flags, files of docker compose. */
async function named(t: Test, page: string, { code, line }: Block): Promise<void> {
  const commands = code
    .replace(/\\\n/g, ' ')
    .replace(/\s#.*$/gm, '')
    .split(/\n|&&|;|(?<=[^&])&(?=\s|$)/)
    .map((each) => each.trim())
    .filter((each) => each !== '')
  let known = 0
  for (const command of commands) {
    const words = command.replace(/^(?:[A-Z_]+=\S+\s+)+/, '').split(/\s+/)
    const at = `${page}:${line} ${command}`
    if (words[0] === 'npm' && ['ci', 'install'].includes(words[1]!)) known++
    else if (words[0] === 'npm') {
      const script = words[1] === 'run' ? words[2]! : words[1]!
      t.ok(scripts[script], at)
      known++
      if (script !== 'hongyan') continue
      await isOurs(t, words.slice(words.indexOf('--') + 1), at)
    } else if (words[0] === 'npx' && words[1] === 'hongyan') {
      await isOurs(t, words.slice(2), at)
      known++
    } else if (words[0] === 'docker') {
      t.ok(existsSync(join(ROOT, words[1] === 'compose' ? 'compose.yaml' : 'Dockerfile')), at)
      known++
    } else if (/^(curl|until|do|done|kubectl|mongosh|mongodump|mongorestore|sh\.|ulimit)/.test(words[0]!)) known++
  }
  t.ok(known > 0, `${page}:${line} says something that can be looked up`)
}

async function isOurs(t: Test, [name = '', ...rest]: string[], at: string): Promise<void> {
  const { code, out } = await hongyan([name, '--help'])
  t.equal(code, 0, at)
  for (const flag of rest.filter((word) => word.startsWith('--'))) t.ok(name === 'sandbox' || out.includes(flag), at)
}

t.test('command blocks', async (t) => {
  for (const page of [...PAGES, 'docs/rest.md', 'docs/operations.md']) {
    const blocks = blocksOf(page)
    t.ok(blocks.length > 0, page)
    for (const block of blocks) {
      t.match(block.how, /^(run|names|transfer)$/, `${page}:${block.line} says how it is tested`)
      if (block.how === 'names') await named(t, page, block)
    }
  }
})

const played = (page: string) => blocksOf(page).filter(({ how }) => how === 'run')

t.test('the tour of the README is played, and says what it says there', (t) =>
  play(t, 'README.md', played('README.md'))
)
t.test('so are the examples of docs/rest.md', (t) => play(t, 'docs/rest.md', played('docs/rest.md')))

t.test('the README moves a store by the command it names', async (t) => {
  const [block] = blocksOf('README.md').filter(({ how }) => how === 'transfer')
  const first = {
    how: 'run',
    line: 0,
    code: 'npx hongyan account add --kind miniprogram --app-id wx5b1a2c3d4e5f6001 --secret 6001a1b2c3d4e5f60718293a4b5c6d7e > /dev/null'
  }
  const code = block!.code.replace(
    /import --data elsewhere$/m,
    'import --data elsewhere > told; grep -c "checksums are those" told\n#> 1'
  )
  await play(t, 'README.md', [
    first,
    {
      ...block!,
      code: `${code}cp .hongyan/keys.json elsewhere/\nnpx hongyan account list --data elsewhere | cut -c27-44\n#> wx5b1a2c3d4e5f6001\n`
    }
  ])
})

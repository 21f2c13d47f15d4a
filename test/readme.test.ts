import { existsSync } from 'node:fs'
import { dirname, join } from 'node:path'
import t, { type Test } from 'tap'
import { VARIABLES } from '../server/config.js'
import { run as hongyan } from './server/commands/run.js'
import { blocksOf, type Block } from './support/pages.js'
import { fileOf, ROOT } from './support/root.js'

// Each block of commands of these pages says by the comment before it how it is tested: `run` all in one shell, `apart` in a
// shell of its own, `stays` line by line till it is up, `transfer` with a store to move (the tests beside this one); `ci`: it
// is what CI runs, this test with it; `names`, not in a README: what needs Docker, a cluster or a place on a machine is looked up.

// The program is asked for help, command by command.
t.setTimeout(120_000)

const PAGES = ['README.md', 'README.zh-CN.md']
const scripts = JSON.parse(fileOf('package.json')).scripts as Record<string, string>

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

const commandsOf = ({ code }: Block): string[] =>
  code
    .replace(/\\\n/g, ' ')
    .replace(/\s#.*$/gm, '')
    .split(/\n|&&|;|(?<=[^&])&(?=\s|$)/)
    .map((each) => each.trim())
    .filter((each) => each !== '')

/** Each command named in a block is there: npm scripts, commands of hongyan with their flags, files of docker compose. */
async function named(t: Test, page: string, block: Block): Promise<void> {
  const { line } = block
  let known = 0
  for (const command of commandsOf(block)) {
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
  const ci = fileOf('.ci/run')
  for (const page of [...PAGES, 'docs/rest.md', 'docs/operations.md']) {
    const hows = PAGES.includes(page) ? /^(run|apart|stays|transfer|ci)$/ : /^(run|names)$/
    const blocks = blocksOf(page)
    t.ok(blocks.length > 0, page)
    for (const block of blocks) {
      t.match(block.how, hows, `${page}:${block.line} says how it is tested`)
      if (block.how === 'names') await named(t, page, block)
      if (block.how !== 'ci') continue
      for (const command of commandsOf(block)) t.match(ci, new RegExp(`^${command}( |$)`, 'm'), `CI runs ${command}`)
    }
    // Commands in tables and sentences.
    for (const [, code] of fileOf(page).matchAll(/`((?:[A-Z_]+=\S+ )?(?:npm run|npx hongyan) [^`]+)`/g))
      await named(t, page, { how: 'names', code: code!, line: 0 })
  }
})

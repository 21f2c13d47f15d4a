import { readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { VARIABLES } from '../server/config.js'

/** The folder of the package, from the sources as from the compiled tests. */
function root(): string {
  for (let dir = dirname(fileURLToPath(import.meta.url)); ; dir = dirname(dir)) {
    try {
      if (JSON.parse(readFileSync(join(dir, 'package.json'), 'utf8')).name === 'hongyan') return dir
    } catch {
      // further up
    }
  }
}
const readme = readFileSync(join(root(), 'README.md'), 'utf8')
const scripts = JSON.parse(readFileSync(join(root(), 'package.json'), 'utf8')).scripts as Record<string, string>

t.test('the README', async (t) => {
  t.test('says of each setting what the program says', async (t) => {
    const rows = readme.split('\n').filter((line) => /^\| `[A-Z_]+` /.test(line))
    const said = rows.map((line) =>
      line
        .split('|')
        .slice(1, 4)
        .map((cell) => cell.trim())
    )
    t.same(
      said,
      VARIABLES.map(({ name, default: fallback, meaning }) => [`\`${name}\``, fallback, meaning])
    )
  })
  t.test('names only scripts there are', async (t) => {
    for (const [, name] of readme.matchAll(/npm (?:run )?(demo|test|start|check|bench|build)\b/g))
      t.ok(scripts[name!], name)
  })
  t.test('links to files there are', async (t) => {
    for (const [, path] of readme.matchAll(/\]\(([^)#:]+)\)/g))
      t.ok(readFileSync(join(root(), path!.endsWith('.md') ? path! : join(path!, 'README.md'))), path)
  })
})

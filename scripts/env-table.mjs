// Writes the table of settings into README.md and README.zh-CN.md, from server/config.ts: `npm run docs:env`.
// A test compares, so that a table that is not current fails.
import { readFileSync, writeFileSync } from 'node:fs'
import { format } from 'prettier'
import { VARIABLES } from '../server/config.ts'

const PAGES = [
  { file: 'README.md', head: ['variable', 'default', 'meaning'], text: ({ meaning }) => meaning },
  { file: 'README.zh-CN.md', head: ['变量', '默认值', '含义'], text: ({ chinese }) => chinese }
]

for (const { file, head, text } of PAGES) {
  const path = new URL(`../${file}`, import.meta.url)
  const page = readFileSync(path, 'utf8')
  const rows = [head, ['-', '-', '-'], ...VARIABLES.map((each) => [`\`${each.name}\``, each.default, text(each)])]
  const table = rows.map((cells) => `| ${cells.join(' | ')} |`).join('\n')
  const found = /^\| [^|]+\|[^|]+\|[^|]+\|\n\|[ -]+\|[ -]+\|[ -]+\|\n(?=\| `HONGYAN_HOST`)(?:\|.*\n)+/m
  if (!found.test(page)) throw new Error(`${file} has no table of settings`)
  writeFileSync(path, await format(page.replace(found, `${table}\n`), { ...OPTIONS(), parser: 'markdown' }))
}

function OPTIONS() {
  return JSON.parse(readFileSync(new URL('../.prettierrc.json', import.meta.url), 'utf8'))
}

import { spawnSync } from 'node:child_process'
import { extname } from 'node:path'
import { fileURLToPath } from 'node:url'
import t from 'tap'

const script = (path: string) =>
  fileURLToPath(new URL(`../../${path}${extname(fileURLToPath(import.meta.url))}`, import.meta.url))
const run = (path: string, ...args: string[]) => {
  const { status, stdout, stderr } = spawnSync(process.execPath, [...process.execArgv, script(path), ...args])
  return { status, out: stdout.toString(), err: stderr.toString() }
}

t.test('a command line that is wrong is answered at once, in a line and the usage', async (t) => {
  const scene = run('demo/main', '--once', '--scene', 'nowhere')
  t.equal(scene.status, 2)
  t.match(scene.err, /^there is no scene "nowhere"; there are: tour, kills, phones, campaigns\nusage: npm run demo/)
  t.equal(scene.out, '', 'and nothing that could be taken for a result')
  const seed = run('demo/main', '--seed', 'x')
  t.same([seed.status, seed.out], [2, ''])
  t.match(seed.err, '--seed x is no whole number')
  const elsewhere = run('demo/main', '--scene', 'tour', '--phones', '10')
  t.same([elsewhere.status, elsewhere.out], [2, ''])
  t.match(elsewhere.err, '--phones is for the scene phones')
  const none = run('demo/main', '--scene', 'phones', '--phones', '0')
  t.same([none.status, none.out], [2, ''])
  t.match(none.err, '--phones 0 is no number of phones')
  const section = run('bench/main', '--only', 'first,last', '--json')
  t.same([section.status, section.out], [2, ''])
  t.match(section.err, 'there is no section "last"; there are: first')
})

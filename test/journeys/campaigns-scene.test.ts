import { execFile } from 'node:child_process'
import { extname } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import t from 'tap'

const MAIN = fileURLToPath(new URL(`../../demo/main${extname(import.meta.url)}`, import.meta.url))

t.setTimeout(300_000)

t.test('three days of campaigns: everybody gets what the documents say they must', { timeout: 280_000 }, async (t) => {
  const { stdout, stderr } = await promisify(execFile)(
    process.execPath,
    [...process.execArgv, MAIN, '--once', '--json', '--scene', 'campaigns'],
    { maxBuffer: 1e8 }
  ).catch((error: { stdout: string; stderr: string }) => error)
  const summary = JSON.parse(stdout.trim().split('\n').at(-1) || '{}')
  const wrong = stderr.split('\n').filter((line) => line.includes('✗'))
  t.match(summary, { scene: 'campaigns', people: 376, differences: 0 }, wrong.join('\n') || stderr.slice(-2000))
  const { outcomes = {} } = summary
  const all = ['accepted', 'delivered', 'expired', 'failed userBlock', 'failed refused', 'failed 43004']
  const skipped = ['noCredential', 'notInAccount', 'capped', 'suppressed', 'optedOut', 'missingVariable', 'quietHours']
  const waits = ['fired', 'stopped', 'dropped late', 'dropped noInstant', 'dropped reentry']
  for (const what of [
    ...all,
    ...skipped.map((reason) => `skipped ${reason}`),
    ...waits.map((state) => `wait ${state}`)
  ]) {
    t.ok(outcomes[what] > 0, `the story knows ${what}`)
  }
  t.comment(`${summary.seconds} s; ${JSON.stringify(outcomes)}`)
})

import t from 'tap'
import { lastLine, script } from '../support/script.js'

const demo = script('demo/main')

t.setTimeout(300_000)

t.test('three days of campaigns: everybody gets what the documents say they must', { timeout: 280_000 }, async (t) => {
  const { stdout, stderr } = await demo('--once', '--json', '--scene', 'campaigns')
  const summary = lastLine(stdout)
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

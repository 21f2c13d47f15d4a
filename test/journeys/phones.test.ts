import t from 'tap'
import { lastLine, script } from '../support/script.js'

const demo = script('demo/main')

t.setTimeout(200_000)

// The full run has 10,000: npm run demo -- --scene phones --once --json
t.test(
  '150 phones, killed at random on a network that loses one request in three, lose and double nothing',
  { timeout: 180_000 },
  async (t) => {
    const { stdout, stderr } = await demo('--once', '--json', '--scene', 'phones', '--phones', '150', '--seed', '3')
    const summary = lastLine(stdout)
    t.match(
      summary,
      { scene: 'phones', phones: 150, lost: 0, double: 0, disagreements: 0, queued: 0 },
      stderr.slice(-2000)
    )
    t.equal(summary.stored + summary.dropped, summary.caught, 'every catch is kept, or was dropped and counted')
    t.ok(summary.failedShare > 0.25 && summary.restarts > 150 && summary.caught > 300)
    t.comment(`${summary.seconds} s; ${stdout}`)
  }
)

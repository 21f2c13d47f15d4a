import t from 'tap'
import { lastLine, script } from '../support/script.js'

const demo = script('demo/main')

// Twenty workers die and are waited for: minutes on a busy machine.
t.setTimeout(600_000)

t.test(
  'kill -9 of the worker at 20 random moments of 2,000 messages: both ledgers agree',
  { timeout: 580_000 },
  async (t) => {
    const { stdout, stderr } = await demo('--once', '--json', '--scene', 'kills')
    const summary = lastLine(stdout)
    t.match(
      summary,
      { scene: 'kills', lost: 0, double: 0, disagreements: 0, messages: { total: 4000 } },
      stderr.slice(-2000)
    )
    const { accepted = 0, delivered = 0, unknown = 0, failed = 0 } = summary.messages?.byState ?? {}
    t.equal(
      accepted + delivered + unknown + failed,
      2000,
      'everybody who could be reached was written to once, or it is known why not'
    )
    t.comment(`${summary.seconds} s; ${JSON.stringify(summary.messages?.byState)}`)
  }
)

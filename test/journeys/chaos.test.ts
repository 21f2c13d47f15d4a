import t from 'tap'
import { lastLine, script } from '../support/script.js'

const run = script('demo/chaos/main')

// Whoever is killed comes back, and what they had in hand rests for a lease of 30 s: minutes on a busy machine.
t.setTimeout(600_000)

t.test('kill -9 of API, workers and store under a WeChat that fails: nothing is lost, double or stuck', async (t) => {
  const { stdout, stderr, code } = await run('--messages', '300', '--seconds', '8', '--kill-every', '1500', '--json')
  const facts = lastLine(stdout)
  const { lost, double, stuck, disagreements, unexplained, permanentRetries, crashes, messages, kills } = facts
  t.same(
    { code, lost, double, stuck, disagreements, unexplained, permanentRetries, crashes, messages },
    {
      code: 0,
      lost: 0,
      double: 0,
      stuck: 0,
      disagreements: 0,
      unexplained: 0,
      permanentRetries: 0,
      crashes: 0,
      messages: 300
    },
    stderr.slice(-2000)
  )
  t.ok(kills >= 4 && facts.storeKills >= 1, `${kills} kills, ${facts.storeKills} of the store`)
  const [seed] = facts.seeds ?? []
  t.ok(seed?.quietAfterMs !== null, `quiet ${seed?.quietAfterMs} ms after the faults`)
  t.comment(`${seed?.seconds} s; ${JSON.stringify(seed?.byState)}; unknown: ${JSON.stringify(seed?.unknown)}`)
})

t.test('a command line that is wrong is answered at once', async (t) => {
  for (const [said, ...args] of [
    ['--messages few is no number from 100', '--messages', 'few'],
    ['--faults heavy is none of chaos, transient, none', '--faults', 'heavy'],
    ['--seeds 0 is no number from 1', '--seeds', '0']
  ] as [string, ...string[]][]) {
    const { code, stderr } = await run(...args)
    t.equal(code, 2)
    t.equal(stderr.split('\n')[0], said)
    t.match(stderr, /^usage: npm run chaos/m)
  }
})

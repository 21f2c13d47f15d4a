import t from 'tap'
import { lastLine, script } from '../support/script.js'

const run = script('demo/soak/main')

t.setTimeout(600_000)

t.test(
  'phones, a backend, events, campaigns and open dashboards, while servers are killed and WeChat fails',
  async (t) => {
    const { stdout, stderr } = await run('--minutes', '0.4', '--per-second', '10', '--json')
    const facts = lastLine(stdout)
    const { lost, double, stuck, disagreements, unexplained, permanentRetries, crashes, messages } = facts
    t.same(
      { lost, double, stuck, disagreements, unexplained, permanentRetries, crashes, messages },
      {
        lost: 0,
        double: 0,
        stuck: 0,
        disagreements: 0,
        unexplained: 0,
        permanentRetries: 0,
        crashes: [],
        messages: 240
      },
      stderr.slice(-2000)
    )
    t.ok(facts.captured > 50 && facts.events > 20 && facts.told > 20, `${facts.captured} ${facts.events} ${facts.told}`)
    t.same(
      facts.memory?.map(({ name }: { name: string }) => name),
      ['store', 'api', 'worker-1'],
      'those that live all through are weighed'
    )
    t.same(Object.keys(facts.loopP99Ms ?? {}).sort(), ['api', 'store', 'worker'])
  }
)

t.test('a command line that is wrong is answered at once', async (t) => {
  const { code, stderr } = await run('--minutes', 'few')
  t.equal(code, 2)
  t.match(stderr, /^--minutes few is no number from 0.1\nusage: npm run soak/)
})

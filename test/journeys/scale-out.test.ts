import t from 'tap'
import { buildInstallation } from '../../demo/chaos/installation.js'
import { isFine } from '../../demo/chaos/judge.js'
import { EVERYTHING, prepareLoad } from '../../demo/chaos/load.js'
import { undergo } from '../../demo/chaos/run.js'
import { createStubborn } from '../../demo/chaos/stubborn.js'
import type { Client } from '../../demo/client.js'
import { connectMongo } from '../../server/platform/mongo.js'

const SEED = 8
const MESSAGES = 400
const OVER_MS = 10_000

// Whoever is killed comes back, and what they had in hand rests for a lease of 30 s: minutes on a busy machine.
t.setTimeout(600_000)

/** Every other request goes to the other one, as behind a gateway. */
function gateway(apis: readonly Client[]): Pick<Client, 'get' | 'post'> {
  let turn = 0
  const next = () => apis[turn++ % apis.length]!
  return { get: (path) => next().get(path), post: (path, body, headers) => next().post(path, body, headers) }
}

t.test('two api and four worker processes on one store, killed at random under load: the books agree', async (t) => {
  const installation = await buildInstallation({
    seed: SEED,
    apis: 2,
    workers: 4,
    latency: { minMs: 100, maxMs: 300 }
  })
  t.teardown(() => installation.strike())
  const { apis, api, sandbox } = installation
  t.equal(apis.length, 2)
  const backend = createStubborn(gateway(apis) as Client)
  const load = await prepareLoad({ api, sandbox, backend, messages: MESSAGES, shares: EVERYTHING })
  const steps: string[] = []
  const plan = { seed: SEED, overMs: OVER_MS, faults: 'none' as const, killEveryMs: 1_000, storeLives: 0 }
  const ordeal = await undergo(installation, load, plan, (line) => void steps.push(line))

  const { lost, double, stuck, disagreements, unexplained, permanentRetries, messages, kills } = ordeal
  t.same(
    { lost, double, stuck, disagreements, unexplained, permanentRetries, messages },
    { lost: 0, double: 0, stuck: 0, disagreements: 0, unexplained: 0, permanentRetries: 0, messages: MESSAGES },
    [...ordeal.findings.map(({ text }) => text), ...steps.slice(-5)].join('\n')
  )
  t.ok(isFine(ordeal))
  t.ok(kills.api >= 1 && kills.worker >= 3, `${kills.api} api and ${kills.worker} workers were killed`)
  t.not(ordeal.quietAfterMs, null, 'and all came to rest')
  t.same(installation.crashes(), [], 'nobody ended by themselves')
  t.comment(`${JSON.stringify(kills)}; quiet after ${ordeal.quietAfterMs} ms; ${JSON.stringify(ordeal.byState)}`)

  const { worstSecond } = await sandbox.get<{ worstSecond: { count: number } | null }>('/sandbox/ledger/summary')
  t.ok((worstSecond?.count ?? 0) <= 200, `${worstSecond?.count} in the fullest second, of 200 allowed to all four`)

  const db = await connectMongo(installation.storeUri)
  t.teardown(() => db.close())
  const owners = await db.collection('operators').countDocuments({})
  t.equal(owners, 1, 'six processes that started at once made one owner')
  const repeated = await db
    .collection('agendaJobs')
    .find({ type: 'single', mine: { $exists: false } })
    .toArray()
  t.equal(new Set(repeated.map(({ name }) => name)).size, repeated.length, 'and one row of each repeated job')
})

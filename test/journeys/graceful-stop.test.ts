import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { connectAccounts, SERVICE } from '../../demo/accounts.js'
import { createClient } from '../../demo/client.js'
import { createOperator } from '../../demo/operator.js'
import { createProcesses } from '../../demo/processes.js'
import { finished } from '../../demo/stage.js'
import { connectMongo } from '../../server/platform/mongo.js'
import { until } from '../support/live-app.js'

t.setTimeout(170_000)

const PEOPLE = 200
/** What documents, orchestrators and compose.yaml count on. */
const DRAIN_MS = 25_000

t.test('a worker that is asked to stop in the middle drains, and leaves nothing half done', async (t) => {
  const dir = mkdtempSync(join(tmpdir(), 'hongyan-stop-'))
  const processes = createProcesses({ dir })
  t.teardown(async () => {
    await processes.killAll()
    rmSync(dir, { recursive: true, force: true })
  })
  // WeChat takes its time, so that requests are out whenever the signal comes.
  const [store, wechat] = await Promise.all([
    processes.start('store', ['store'], { env: { HONGYAN_DATA: dir } }),
    processes.start('sandbox', ['sandbox', '--port', '0', '--latency', '1500-2500'], { by: 'line' })
  ])
  const sandbox = createClient(wechat.facts.url!)
  const operator = createOperator('stop@example.com')
  const env = {
    HONGYAN_DATA: dir,
    HONGYAN_LOG_PRETTY: 'false',
    HONGYAN_API_BASE: sandbox.url,
    ...operator.settings,
    MONGODB_URI: store.facts.uri!
  }
  const api = await processes.start('api', ['api', '--port', '0'], { env })
  const worker = await processes.start('worker', ['worker'], { env })
  const door = createClient(api.facts.url!)
  const client = door.as(await operator.makeKey(door, 'stop'))
  t.teardown(() => Promise.all([door.close(), sandbox.close()]))
  const { service } = await connectAccounts(client, sandbox, { perSecond: 20, inFlight: 200 })
  const made = await sandbox.post<{ openids: Record<string, string> }[]>('/sandbox/users', {
    count: PEOPLE,
    appids: [SERVICE.appid],
    followers: [SERVICE.appid]
  })
  await finished(client, await client.post(`/v1/accounts/${service.id}/followers/sync`))

  const db = await connectMongo(store.facts.uri!)
  t.teardown(() => db.close())
  const rows = db.collection<{ _id: string; state: string; lease: string | null }>('messages')
  const items = made.map(({ openids }, n) => ({
    id: `m${n}`,
    to: { openId: openids[SERVICE.appid]! },
    templateId: SERVICE.service,
    content: { character_string1: `D${n}`, thing2: '晨读手账本', time3: '2024年5月1日 16:40' }
  }))
  for (let from = 0; from < items.length; from += 100) {
    await client.post('/v1/messages/batch', { accountId: service.id, items: items.slice(from, from + 100) })
  }
  const sending = () => rows.countDocuments({ state: 'sending' })
  const many = await until('requests being out', sending, (n) => n >= 15, 60_000)

  const began = performance.now()
  process.kill(worker.pid, 'SIGTERM')
  await worker.ended
  const tookMs = performance.now() - began
  t.ok(tookMs <= DRAIN_MS, `stopped after ${Math.round(tookMs)} ms with ${many} requests out`)
  t.match(processes.tail('worker', 3), /"msg":"stopped"/, 'in good order, not by force')
  t.equal(await sending(), 0, 'nothing is left in sending')
  t.equal(await rows.countDocuments({ lease: { $ne: null } }), 0, 'nothing is leased')
  const { accepted } = await sandbox.get<{ accepted: number }>('/sandbox/ledger/summary')
  const ours = await rows.countDocuments({ state: { $in: ['accepted', 'delivered'] } })
  t.equal(ours, accepted, 'every answer was waited for and stored')
  t.ok(accepted >= many && accepted < PEOPLE, `${accepted} of ${PEOPLE} went out before the end`)

  const next = await processes.start('worker-2', ['worker'], { env })
  const done = () => rows.countDocuments({ state: { $in: ['accepted', 'delivered'] } })
  await until('the next worker sending the rest', done, (n) => n === PEOPLE, 60_000)
  const after = await sandbox.get<{ accepted: number }>('/sandbox/ledger/summary')
  t.equal(after.accepted, PEOPLE, 'each of them once')
  await processes.kill(next)
})

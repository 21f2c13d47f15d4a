import t from 'tap'
import { BRAND, until } from '../support/live-app.js'
import { liveProcesses } from '../support/live-processes.js'

const SHIPPED = 'SandboxServiceShipped_'.padEnd(43, '0')
const AES_KEY = 'kitDemoEncodingAESKey0123456789abcdefghijkA'
const PEOPLE = 1000
const BLOCKING = 50
const BATCH = 100

const title = 'encrypted receipts, some twice and some too early, settle each of 1,000 messages once'

t.test(title, { timeout: 180_000 }, async (t) => {
  // An answer takes longer than its early receipt and comes before the others, on a busy machine too.
  const sandboxArgs = ['--seed', '7', '--latency', '1500-2000']
  const { servers, sandbox, db } = await liveProcesses(t, { servers: 1, sandboxArgs })
  const server = servers[0]!
  await sandbox.post('/sandbox/settings', { push: { minDelayMs: 3000, maxDelayMs: 3500, twice: 0.1, early: 0.1 } })
  const callback = { token: 'safetoken', aesKey: AES_KEY, mode: 'safe' }
  const { appId, secret } = BRAND
  const brand = await server.post('/v1/accounts', {
    kind: 'service',
    appId,
    secret,
    name: 'brand',
    mode: 'live',
    apiBase: sandbox.url,
    limits: { perSecond: 200 },
    callback
  })
  const app = { appid: appId, secret, kind: 'service', callback: { ...callback, url: brand.callback.url } }
  await sandbox.post('/sandbox/apps', app)
  const users: { openids: Record<string, string> }[] = await sandbox.post('/sandbox/users', {
    count: PEOPLE,
    appids: [appId],
    followers: [appId]
  })
  const openIds = users.map(({ openids }) => openids[appId]!)
  await sandbox.post('/sandbox/blocks', { appid: appId, openids: openIds.slice(0, BLOCKING), how: 'drop' })
  for (const [path, body] of [
    ['/v1/templates/sync', { accountId: brand.id }],
    [`/v1/accounts/${brand.id}/followers/sync`, {}]
  ] as const) {
    const operation = await server.post(path, body)
    const read = () => server.get(`/v1/operations/${operation.id}`)
    await until(path, read, ({ state }) => state === 'done', 60_000)
  }

  const content = { character_string1: '8231', thing2: '蓝色水杯', time3: '2026-03-01 10:00' }
  for (let at = 0; at < PEOPLE; at += BATCH) {
    const items = openIds.slice(at, at + BATCH).map((openId, i) => ({
      id: `order-${at + i}`,
      to: { openId },
      templateId: SHIPPED,
      content
    }))
    const posted = await server.post('/v1/messages/batch', { accountId: brand.id, items })
    const refused = posted.items.filter(({ verdict }: { verdict: string }) => verdict !== 'planned')
    t.same(refused, [])
  }

  const messages = db.collection('messages')
  const settled = () => messages.countDocuments({ state: { $in: ['delivered', 'failed'] } })
  await until('every message settled', settled, (count) => count === PEOPLE, 120_000)
  t.equal(await messages.countDocuments({ state: 'delivered', by: 'receipt' }), PEOPLE - BLOCKING)
  t.equal(await messages.countDocuments({ state: 'failed', by: 'receipt', reason: 'userBlock' }), BLOCKING)

  const pushed = await until(
    'the last push',
    () => sandbox.get(`/sandbox/pushes?appid=${appId}`),
    ({ waiting }) => waiting === 0,
    60_000
  )
  t.ok(pushed.calls > PEOPLE * 1.05, `${pushed.calls} pushes: about a tenth came twice`)
  t.equal(pushed.failed + pushed.lost, 0, 'all were acknowledged')
  const events = await until(
    'the pushes applied',
    () => db.collection('events').find({ name: '$push:templatesendjobfinish' }).toArray(),
    (rows) => rows.every(({ todo }) => todo === false),
    60_000
  )
  t.equal(events.length, PEOPLE, 'what came twice is there once')
  const receipts = await db.collection('receipts').find({}).toArray()
  t.equal(receipts.length, PEOPLE)
  t.equal(new Set(receipts.map(({ messageId }) => messageId)).size, PEOPLE, 'each has a message of its own')
  t.ok(receipts.every(({ todo }) => todo === false))
  const early = receipts.filter(({ tries }) => tries > 0).length
  t.ok(early > PEOPLE * 0.05 && early < PEOPLE * 0.5, `${early} came before the answer was stored`)
  t.equal((await sandbox.get('/sandbox/ledger/summary')).accepted, PEOPLE, 'nobody got it twice')

  // What the receipts brought is booked: the counters are the rows, grouped.
  const counted = async () => {
    const sums: Record<string, number> = {}
    for (const { n } of await db.collection('counters').find({}).toArray())
      for (const [name, count] of Object.entries(n as Record<string, number>)) sums[name] = (sums[name] ?? 0) + count
    return Object.fromEntries(Object.entries(sums).filter(([, count]) => count !== 0))
  }
  const sums = await until('the counters', counted, (sums) => sums.delivered === PEOPLE - BLOCKING, 30_000)
  t.same(
    Object.values(sums).sort((a, b) => a - b),
    [BLOCKING, PEOPLE - BLOCKING]
  )
  t.comment(`${pushed.calls} pushes for ${PEOPLE} messages, ${early} of them before the answer`)
})

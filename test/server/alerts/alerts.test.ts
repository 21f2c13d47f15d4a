import t, { type Test } from 'tap'
import { createAlerts } from '../../../server/alerts/alerts.js'
import type { News } from '../../../server/webhooks/webhooks.js'
import { silentLog } from '../../../server/platform/log.js'
import { buildTestApp } from '../../support/build-app.js'
import { receiver } from '../webhooks/receiver.js'

const ACCOUNT = { accountId: null, name: 'state' }

/** One server for the file: building one takes longer than most of these tests. */
const served = buildTestApp(t, { now: '2090-03-02T04:00:00Z' })
const USED = ['alerts', 'accounts', 'settings', 'webhooks', 'webhookDeliveries', 'webhookHealth']

/** With nothing stored but a webhook and a robot who hear of alerts. */
async function arranged(t: Test) {
  const server = await served
  const { rooms, clock, db } = server
  for (const name of USED) await db.collection(name).deleteMany({})
  clock.set(new Date(clock.now().getTime() + 3_600_000)) // past everything that is remembered for a while
  const start = clock.now()
  const there = await receiver(t)
  const robot = await receiver(t)
  robot.answers(() => ({ status: 200, body: '{"errcode":0}' }))
  await rooms.webhooks.create({
    url: there.url,
    events: ['alert.fired', 'alert.cleared', 'credential.low', 'account.problem']
  })
  const targets = [{ name: 'x', url: `${robot.url}?key=k`, kinds: null, accountIds: null }]
  await rooms.settings.patch({ alerts: { targets } })
  const told = async () => {
    await rooms.webhooks.run()
    return there.received.splice(0).map(({ json }) => `${json.type} ${json.data.kind} ${json.data.subject}`)
  }
  const said = async () => {
    await rooms.webhooks.run()
    return robot.received.splice(0).map(({ json }) => json.markdown.content as string)
  }
  const another = (file: (news: News[]) => Promise<void> = rooms.webhooks.file) =>
    createAlerts({
      db,
      clock,
      log: silentLog(),
      settings: rooms.settings,
      webhooks: { file },
      accountName: async () => null
    })
  return { ...server, start, alerts: rooms.alerts, there, robot, told, said, another }
}

t.test('an alert', async (t) => {
  t.test('fires once, is seen again, is over once, and may fire anew', async (t) => {
    const { alerts, told, clock, db } = await arranged(t)
    await alerts.raise('account', ACCOUNT, { n: 1 })
    t.same((await told()).sort(), ['account.problem account state', 'alert.fired account state'])
    for (let k = 2; k < 5; k++) {
      clock.advance(60_000)
      await alerts.raise('account', ACCOUNT, { n: k })
    }
    t.same(await told(), [])
    const rows = await db.collection('alerts').find().toArray()
    t.equal(rows.length, 1)
    t.match(rows[0], { state: 'open', count: 4, facts: { n: 4 } })
    t.equal(await alerts.clear('account', ACCOUNT), true)
    t.equal(await alerts.clear('account', ACCOUNT), false)
    t.same(await told(), ['alert.cleared account state'])
    await alerts.raise('account', ACCOUNT, {})
    t.same((await told()).length, 2)
    t.equal(await db.collection('alerts').countDocuments(), 2)
  })

  t.test('fires once, however many processes see it at the same moment', async (t) => {
    const { told, another, db } = await arranged(t)
    await Promise.all(Array.from({ length: 12 }, () => another().raise('queue', ACCOUNT, {})))
    t.same(await told(), ['alert.fired queue state'])
    t.match(await db.collection('alerts').find().toArray(), [{ count: 12, state: 'open' }])
    await Promise.all(Array.from({ length: 12 }, () => another().clear('queue', ACCOUNT)))
    t.same(await told(), ['alert.cleared queue state'])
  })

  t.test('is open once by the word of the store, too', async (t) => {
    const { db, alerts } = await arranged(t)
    await alerts.raise('queue', ACCOUNT, {})
    const { _id, ...row } = (await db.collection('alerts').findOne({}))!
    t.ok(_id)
    await t.rejects(db.collection('alerts').insertOne({ ...row, _id: 'another' as never }), { code: 11000 })
    await db.collection('alerts').insertOne({ ...row, _id: 'over' as never, state: 'cleared', tell: [] })
  })

  t.test('met by a whole block of messages is written once in ten seconds', async (t) => {
    const { alerts, clock, db } = await arranged(t)
    const count = async () => (await db.collection('alerts').findOne({}))?.count
    for (let k = 0; k < 500; k++) await alerts.raise('account', ACCOUNT, {})
    t.equal(await count(), 1)
    clock.advance(10_000)
    for (let k = 0; k < 500; k++) await alerts.raise('account', ACCOUNT, {})
    t.equal(await count(), 2)
  })

  t.test('of each subject is one of its own', async (t) => {
    const { alerts, told, account } = await arranged(t)
    const { id } = await account()
    await alerts.raise('account', { accountId: id, name: 'state' }, {})
    await alerts.raise('account', { accountId: id, name: 'penalty' }, {})
    await alerts.raise('account', { accountId: null, name: 'state' }, {})
    t.equal((await told()).filter((each) => each.startsWith('alert.fired')).length, 3)
    await alerts.clear('account', { accountId: id, name: 'state' })
    t.equal((await alerts.openOf('account')).length, 2)
  })

  t.test('that is switched off does not fire', async (t) => {
    const { alerts, told, rooms } = await arranged(t)
    await rooms.settings.patch({ alerts: { queue: { enabled: false } } })
    await alerts.raise('queue', ACCOUNT, {})
    t.same(await told(), [])
    t.same(await alerts.openOf('queue'), [])
  })

  t.test('is told though the process dies before, amid or after telling; and once', async (t) => {
    const { another, alerts, told, rooms, db } = await arranged(t)
    const deaths: ((news: News[]) => Promise<void>)[] = [
      async () => {},
      async (news) => rooms.webhooks.file(news.slice(0, 1)),
      async (news) => rooms.webhooks.file(news)
    ]
    for (const [n, death] of deaths.entries()) {
      const dying = another(async (news) => {
        await death(news)
        throw new Error('killed')
      })
      await dying.raise('account', { accountId: null, name: `s${n}` }, {})
    }
    await alerts.publish()
    await alerts.publish()
    t.same((await told()).sort(), [
      'account.problem account s0',
      'account.problem account s1',
      'account.problem account s2',
      'alert.fired account s0',
      'alert.fired account s1',
      'alert.fired account s2'
    ])
    t.equal(await db.collection('alerts').countDocuments({ tell: { $in: ['fired', 'cleared'] } }), 0)
  })

  t.test('that was over before it was told is told as both', async (t) => {
    const { another, alerts, told } = await arranged(t)
    const deaf = another(async () => {
      throw new Error('killed')
    })
    await deaf.raise('queue', ACCOUNT, {})
    await deaf.clear('queue', ACCOUNT)
    t.same(await told(), [])
    await alerts.publish()
    t.same((await told()).sort(), ['alert.cleared queue state', 'alert.fired queue state'])
  })
})

t.test('a robot of WeCom', async (t) => {
  t.test('is told in its own format, of the account by name, in the language set', async (t) => {
    const { alerts, said, account, rooms, clock, start } = await arranged(t)
    const { id } = await account({ name: '晨读书店' })
    const time = new Date(start.getTime() + 8 * 3_600_000).toISOString().slice(0, 19).replace('T', ' ')
    await alerts.raise('queue', { accountId: id, name: '' }, { behindMs: 600_000 })
    t.same(await said(), [
      `<font color="warning">鸿雁告警</font> **待发消息已延迟 10 分钟**\n> 账号: 晨读书店\n> 时间: ${time}`
    ])
    await rooms.settings.patch({ alerts: { language: 'en' } })
    clock.advance(60_000)
    await alerts.clear('queue', { accountId: id, name: '' })
    t.match(await said(), [/^<font color="info">Hongyan: over<\/font> \*\*messages are 10 min late/])
  })
  t.test('that does not take it is told again', async (t) => {
    const { alerts, robot, said, clock } = await arranged(t)
    let n = 0
    robot.answers(() => ({ status: 200, body: n++ === 0 ? '{"errcode":45009}' : '{"errcode":0}' }))
    await alerts.raise('queue', ACCOUNT, {})
    t.equal((await said()).length, 1)
    t.equal((await said()).length, 0)
    clock.advance(10_000)
    t.equal((await said()).length, 1)
    clock.advance(3_600_000)
    t.equal((await said()).length, 0)
  })
  t.test('hears of its kinds and accounts alone', async (t) => {
    const { alerts, said, account, rooms, robot } = await arranged(t)
    const { id } = await account()
    const url = `${robot.url}?key=k`
    await rooms.settings.patch({ alerts: { targets: [{ name: 'x', url, kinds: ['queue'], accountIds: [id] }] } })
    await alerts.raise('queue', { accountId: id, name: '' }, {})
    await alerts.raise('failures', { accountId: id, name: '' }, {})
    await alerts.raise('queue', { accountId: 'other', name: '' }, {})
    await alerts.raise('queue', { accountId: null, name: '' }, {})
    t.equal((await said()).length, 1)
  })
})

t.test('alerts over REST', async (t) => {
  const { app, alerts, account, login, key, clock, start } = await arranged(t)
  const [one, two] = [await account(), await account()]
  await alerts.raise('queue', { accountId: one.id, name: '' }, { behindMs: 60_000 })
  clock.advance(1_000)
  await alerts.raise('account', { accountId: two.id, name: 'penalty' }, {})
  clock.advance(1_000)
  await alerts.raise('webhook', { accountId: null, name: 'h' }, { reason: 'gone' })
  await alerts.clear('queue', { accountId: one.id, name: '' })
  const owner = await login()
  const get = async (query: string, headers: Record<string, string> = owner) => {
    const answer = await app.inject({ url: `/v1/alerts${query}`, headers })
    return { status: answer.statusCode, ...answer.json() }
  }
  const kinds = async (query: string, headers?: Record<string, string>) =>
    (await get(query, headers)).data.map((each: { kind: string }) => each.kind)

  t.test('come newest first, by state, kind and account', async (t) => {
    t.same(await kinds(''), ['webhook', 'account', 'queue'])
    t.same(await kinds('?state=open'), ['webhook', 'account'])
    t.same(await kinds('?state=cleared'), ['queue'])
    t.same(await kinds('?state=open,cleared&kind=queue,account'), ['account', 'queue'])
    t.same(await kinds(`?accountId=${two.appId}`), ['account'])
    t.match(await get('?kind=nothing'), { status: 422 })
    t.match(await get('?accountId=nobody'), { status: 404 })
    const [over] = (await get('?state=cleared')).data
    t.match(over, {
      kind: 'queue',
      subject: '',
      accountId: one.id,
      title: 'messages are 1 min late and do not go out',
      count: 1,
      firedAt: start.toISOString(),
      clearedAt: new Date(start.getTime() + 2_000).toISOString()
    })
  })
  t.test('go on where a page ends', async (t) => {
    const first = await get('?limit=2')
    t.equal(first.data.length, 2)
    t.same(await kinds(`?limit=2&cursor=${first.page.nextCursor}`), ['queue'])
  })
  t.test('speak the caller’s language', async (t) => {
    const { data } = await get('?state=cleared', { ...owner, 'accept-language': 'zh-CN' })
    t.equal(data[0].title, '待发消息已延迟 1 分钟')
  })
  t.test('are for viewers and keys with the scope, each of their accounts', async (t) => {
    t.equal((await get('', {})).status, 401)
    t.equal((await get('', await key(['accounts:read']))).status, 403)
    t.same(await kinds('', await login('viewer', [one.id])), ['queue'])
    t.same(await kinds('', await key(['alerts:read'], [two.id])), ['account'])
    t.equal((await get(`?accountId=${two.id}`, await login('viewer', [one.id]))).status, 404)
  })
})

import t, { type Test } from 'tap'
import { templateModels } from '../../../server/templates/model.js'
import { buildTestApp } from '../../support/build-app.js'

/** Two accounts with counters of some minutes, and a reader of each. */
async function arranged(t: Test) {
  const test = await buildTestApp(t, { now: '2026-03-02T01:30:00Z' })
  const { rooms, clock, db } = test
  const account = await test.account()
  const other = await test.account({ kind: 'service' })
  await templateModels(db).rows.insertOne({
    _id: `${account.id}:T`,
    accountId: account.id,
    templateId: 'T',
    kind: 'subscribe',
    title: '下单通知',
    fields: [{ key: 'thing1', name: '商品', type: 'thing' }],
    content: '',
    example: '',
    grantType: 'once',
    choices: {},
    state: 'live',
    syncedAt: clock.now(),
    deletedAt: null
  })
  const audience = await rooms.audiences.create({ name: '全部', rule: { all: [] } })
  const campaign = await rooms.campaigns.create({
    name: '提醒',
    accountId: account.id,
    audienceId: audience.id,
    templateId: 'T',
    lane: 'bulk',
    trigger: { kind: 'once', at: new Date('2026-03-03T00:00:00Z'), zone: 'UTC' },
    content: { thing1: 'x' },
    missingVariable: 'skip',
    waitForCredential: false
  })
  const run = {
    id: 'run-1',
    campaignId: campaign._id,
    accountId: account.id,
    templateId: 'T',
    lane: 'bulk' as const,
    instant: clock.now(),
    notAfter: new Date('2026-03-04T00:00:00Z'),
    snapshot: null
  }
  await rooms.messages.runs.open(run)
  await rooms.messages.runs.rows.updateOne({ _id: 'run-1' }, { $set: { state: 'sending' } })
  /** What the follower counted in a minute. */
  const counted = (minute: string, n: Record<string, number>, more: object = {}) =>
    rooms.messages.counters.insertOne({
      _id: `${minute} ${Object.keys(n).join()} ${JSON.stringify(more)}`,
      accountId: account.id,
      runId: 'run-1',
      campaignId: campaign._id,
      templateId: 'T',
      channel: 'subscribe',
      minute: new Date(minute),
      b: 1,
      n,
      removeAt: new Date('2099-01-01'),
      ...more
    })
  await counted('2026-03-01T15:59:00Z', { open: 10, 'skipped:noCredential': 2 })
  await counted('2026-03-01T16:00:00Z', { open: -5, accepted: 4, 'failed:43101': 1 })
  await counted('2026-03-02T01:29:00Z', { open: -3, accepted: -1, delivered: 4 }, { opened: 2 })
  const direct = { runId: null, campaignId: null, accountId: other.id, channel: 'service', templateId: 'S' }
  await counted('2026-03-02T01:10:00Z', { accepted: 6, unknown: 2 }, direct)
  const all = await test.key(['campaigns:read', 'messages:read'])
  const some = await test.key(['campaigns:read', 'messages:read'], [other.id])
  const get = async (url: string, headers = all) => {
    const answer = await test.app.inject({ url, headers })
    return { status: answer.statusCode, body: answer.json() }
  }
  return { ...test, account, other, campaign, get, some, at: `/v1/campaigns/${campaign._id}` }
}

const figures = {
  filed: 0,
  open: 0,
  accepted: 0,
  delivered: 0,
  failed: 0,
  unknown: 0,
  skipped: 0,
  expired: 0,
  opened: 0
}

t.test('a campaign', async (t) => {
  t.test('over time, in days of any zone', async (t) => {
    const { get, at, campaign, some } = await arranged(t)
    const { status, body } = await get(`${at}/series?interval=day&zone=Asia/Shanghai`)
    t.equal(status, 200)
    t.same(body, {
      interval: 'day',
      zone: 'Asia/Shanghai',
      from: '2026-03-01T15:59:00.000Z',
      to: '2026-03-02T01:30:00.000Z',
      buckets: [
        { ...figures, at: '2026-02-28T16:00:00.000Z', filed: 12, open: 10, skipped: 2 },
        { ...figures, at: '2026-03-01T16:00:00.000Z', open: -8, accepted: 7, delivered: 4, failed: 1, opened: 2 }
      ]
    })
    const utc = (await get(`${at}/series?interval=day&zone=UTC`)).body.buckets
    t.same(
      utc.map(({ at, filed, accepted }: any) => [at.slice(0, 10), filed, accepted]),
      [
        ['2026-03-01', 12, 4],
        ['2026-03-02', 0, 3]
      ]
    )
    const runs = await get('/v1/runs/run-1/series?interval=hour&from=2026-03-02T01:00:00Z&to=2026-03-02T02:00:00Z')
    t.same(runs.body.buckets, [
      { ...figures, at: '2026-03-02T01:00:00.000Z', open: -3, accepted: 3, delivered: 4, opened: 2 }
    ])
    t.match(await get(`${at}/series?interval=minute&from=2026-02-01T00:00:00Z`), {
      status: 422,
      body: { errors: [{ code: 'report.too-fine' }] }
    })
    t.match(await get(`${at}/series?from=2026-03-03T00:00:00Z`), { status: 422 })
    t.match(await get(`${at}/series?from=2020-03-03T00:00:00Z&interval=month`), {
      status: 422,
      body: { errors: [{ code: 'report.too-long' }] }
    })
    const latest = (await get(`${at}/series?interval=minute&to=2026-03-05T00:00:00Z`)).body
    t.equal(latest.from, '2026-03-03T23:02:00.000Z', 'nobody said from when: the latest that fit')
    t.equal((await get(`${at}/series?zone=Mars`)).status, 422)
    t.match(await get(`/v1/campaigns/${campaign._id}/series`, some), {
      status: 404,
      body: { code: 'campaigns.not-found' }
    })
    t.match(await get('/v1/runs/run-1/series', some), { status: 404 })
    t.match(await get('/v1/runs/run-1/funnel', some), { status: 404 })
  })

  t.test('from matched to opened, as a whole and by run', async (t) => {
    const { get, at, rooms } = await arranged(t)
    const funnel = {
      matched: 12,
      reachable: 10,
      claimed: 8,
      accepted: 7,
      confirmable: 7,
      delivered: 4,
      opened: 2,
      open: 2,
      deliveredShare: 4 / 7
    }
    t.same((await get(`${at}/funnel`)).body, {
      funnel,
      runs: [{ runId: 'run-1', instant: '2026-03-02T01:30:00.000Z', funnel }]
    })
    t.same((await get('/v1/runs/run-1/funnel')).body, funnel)
    const run = (await get('/v1/runs/run-1')).body
    t.match(run, { rate: 3 / 60, etaAt: '2026-03-02T01:30:40.000Z', funnel })
    await rooms.messages.counters.updateMany({}, { $set: { channel: 'legacy' } })
    const { confirmable, deliveredShare } = (await get('/v1/runs/run-1/funnel')).body
    t.same([confirmable, deliveredShare], [0, null], 'legacy messages have no receipts')
  })
})

t.test('the dashboard', async (t) => {
  t.test('tells how today goes', async (t) => {
    const { get, account, other, campaign, rooms, some, db } = await arranged(t)
    const latency = { p50: 120, p95: 480, at: new Date('2026-03-02T01:29:58Z') }
    await db.collection('tallies').insertOne({ _id: account.id as never, N: 1, batch: null, n: { open: 2 }, latency })
    const leased = (id: string, state: 'sending' | 'planned', due: string) =>
      rooms.messages.rows.insertOne({
        _id: id,
        accountId: account.id,
        lane: 'bulk',
        state,
        due: new Date(due)
      } as never)
    await leased('under way', 'sending', '2026-03-02T01:30:29Z')
    await leased('left by a process that died', 'sending', '2026-03-02T01:29:59Z')
    await leased('planned for soon', 'planned', '2026-03-02T01:30:10Z')
    await rooms.accounts.patch(account.id, { limits: { perDay: { subscribe: 1000 } } })
    const { body } = await get('/v1/dashboard/summary')
    t.same(body.today, {
      ...figures,
      from: '2026-03-01T16:00:00.000Z',
      open: -8,
      accepted: 13,
      delivered: 4,
      failed: 1,
      unknown: 2,
      filed: 8,
      opened: 2,
      byReason: { 43101: 1 },
      successShare: 13 / 16,
      deliveredShare: 4 / 13
    })
    t.match(body, { at: '2026-03-02T01:30:00.000Z', zone: 'Asia/Shanghai', perSecond: 3 / 60, open: 2 })
    t.same([body.inFlight, body.latency], [1, [{ accountId: account.id, p50Ms: 120, p95Ms: 480, at: '2026-03-02T01:29:58.000Z' }]]) // prettier-ignore
    t.same(body.campaigns, { online: 0, paused: 0 })
    t.match(body.running, [
      { runId: 'run-1', campaignId: campaign._id, name: '提醒', state: 'sending', funnel: { matched: 12, open: 2 } }
    ])
    const quota = body.quotas.find((each: any) => each.accountId === account.id && each.interface === 'subscribe')
    t.same(quota, { accountId: account.id, interface: 'subscribe', perDay: 990, used: 0, left: 990, leftForBulk: 940 })
    t.equal(body.quotas.length, 3)
    const theirs = (await get('/v1/dashboard/summary?zone=UTC', some)).body
    t.match(theirs, { open: 0, today: { from: '2026-03-02T00:00:00.000Z', accepted: 6, unknown: 2 }, running: [] })
    t.equal((await get(`/v1/dashboard/summary?accountId=${account.id}`, some)).status, 404)
    t.equal((await get(`/v1/dashboard/summary?accountId=${other.appId}`)).body.today.accepted, 6)
  })

  t.test('shows figures over time', async (t) => {
    const { get, account } = await arranged(t)
    const { body } = await get('/v1/dashboard/series?metric=accepted,unknown&interval=hour&from=2026-03-01T23:00:00Z')
    t.same(body.buckets, [
      { at: '2026-03-01T23:00:00.000Z', accepted: 0, unknown: 0 },
      { at: '2026-03-02T00:00:00.000Z', accepted: 0, unknown: 0 },
      { at: '2026-03-02T01:00:00.000Z', accepted: 9, unknown: 2 }
    ])
    const usual = (await get(`/v1/dashboard/series?accountId=${account.id}`)).body
    t.equal(usual.buckets.length, 25)
    t.equal(
      usual.buckets.reduce((sum: number, each: any) => sum + each.accepted, 0),
      7
    )
    t.equal((await get('/v1/dashboard/series?metric=luck')).status, 422)
  })
})

t.test('a check says over REST what is to be expected', async (t) => {
  const { app, at, key } = await arranged(t)
  const answer = await app.inject({ method: 'POST', url: `${at}/check`, headers: await key(['campaigns:read']) })
  t.equal(answer.statusCode, 200)
  t.same(answer.json().forecast, {
    matched: 0,
    reachableNow: 0,
    sendAt: '2026-03-03T00:00:00.000Z',
    reachableAtSendTime: 0,
    capLimit: 3,
    capped: 0,
    dailyBudgetLeft: 9_405_000,
    durationMs: 0,
    estimated: false
  })
})

t.test('whoever may not read messages or campaigns reads no reports', async (t) => {
  const { get, key, at } = await arranged(t)
  const nothing = await key(['templates:read'])
  for (const url of [`${at}/series`, `${at}/funnel`, '/v1/runs/run-1/series', '/v1/dashboard/summary'])
    t.equal((await get(url, nothing)).status, 403, url)
})

import t from 'tap'
import { createWatch } from '../../../server/alerts/watch.js'
import type { BreakerSeen } from '../../../server/alerts/looks.js'
import type { PlanInput } from '../../../server/messages/messages.js'
import { templateModels } from '../../../server/templates/model.js'
import { silentLog } from '../../../server/platform/log.js'
import { buildTestApp } from '../../support/build-app.js'

const MINUTE = 60_000
const DAY = 86_400_000

/** One server for the file: building one takes longer than most of these tests. */
const served = buildTestApp(t, { now: '2090-03-02T04:00:00Z' })
const USED = ['alerts', 'accounts', 'counters', 'messages', 'runs', 'settings', 'credentials', 'templates', 'webhooks']

/** Its stored facts wiped, for the test to write new ones, and a watch that looks at them minute by minute. */
async function arranged() {
  const server = await served
  const { rooms, clock, db } = server
  for (const name of USED) await db.collection(name).deleteMany({})
  rooms.webhooks.changed()
  clock.advance(3_600_000) // past everything that is remembered for a while
  const shop = await server.account({ name: 'shop' })
  let breakers: BreakerSeen[] = []
  const watch = createWatch({ ...rooms, clock, log: silentLog(), breakers: async () => breakers })
  const open = async () =>
    (await db.collection('alerts').find({ state: 'open' }).sort({ kind: 1, subject: 1 }).toArray()).map(
      ({ kind, subject }) => `${kind} ${subject}`.trim()
    )
  /** A minute later: what is open then. */
  const later = async (minutes = 1) => {
    clock.advance(minutes * MINUTE)
    await watch.look()
    return open()
  }
  let n = 0
  const count = (classes: Record<string, number>, more: { templateId?: string; at?: Date; accountId?: string } = {}) =>
    rooms.messages.counters.insertOne({
      _id: `c${n++}`,
      accountId: more.accountId ?? shop.id,
      runId: null,
      campaignId: null,
      templateId: more.templateId ?? 'T',
      minute: more.at ?? clock.now(),
      b: 1,
      n: classes,
      removeAt: new Date(clock.now().getTime() + 400 * DAY)
    } as never)
  const plan = (more: Partial<PlanInput> = {}) =>
    rooms.messages.plan([
      {
        id: `m${n++}`,
        accountId: shop.id,
        recipientId: 'r',
        personId: 'p',
        runId: null,
        campaignId: null,
        lane: 'transactional',
        channel: 'legacy',
        templateId: 'T',
        data: {},
        open: null,
        dueAt: clock.now(),
        notAfter: new Date(clock.now().getTime() + DAY),
        waitForCredential: false,
        ...more
      }
    ])
  const fired = () => db.collection('alerts').countDocuments()
  return { ...server, shop, watch, open, later, count, plan, fired, breaks: (next: BreakerSeen[]) => (breakers = next) }
}

t.test('failing messages', async (t) => {
  t.test('fire at a fifth, hold above a tenth, and are over below', async (t) => {
    const { later, count, fired } = await arranged()
    await count({ accepted: 81, 'failed:43004': 19 })
    t.same(await later(), [], '19 %')
    await count({ 'failed:43004': 2 })
    t.same(await later(), ['failures'], '21 of 102')
    await count({ accepted: 60 })
    t.same(await later(), ['failures'], '21 of 162: between the two')
    await count({ accepted: 60 })
    t.same(await later(), [], '21 of 222')
    await count({ accepted: 10, 'failed:43004': 12 })
    t.same(await later(), [], '33 of 244: between the two, and none is open')
    t.equal(await fired(), 1)
  })
  t.test('do not come and go around one figure', async (t) => {
    const { later, count, fired } = await arranged()
    await count({ accepted: 80, 'failed:1': 20 })
    for (let k = 0; k < 10; k++) {
      await count(k % 2 === 0 ? { 'failed:1': 3 } : { accepted: 10 })
      t.same(await later(), ['failures'])
    }
    t.equal(await fired(), 1)
  })
  t.test('are those of the window, of enough messages, of one account', async (t) => {
    const { later, count, rooms, account, db } = await arranged()
    const other = await account()
    await count({ 'failed:1': 30 })
    t.same(await later(), [], 'too few to say anything')
    await count({ 'failed:1': 30 }, { accountId: other.id })
    t.same(await later(), [], 'as few there')
    await count({ unknown: 30 })
    t.same(await later(), ['failures'])
    t.match(await db.collection('alerts').findOne({}), { facts: { share: 1, failed: 60, decided: 60 } })
    t.same(await later(20), [], 'out of the window')
    await count({ 'failed:1': 30, accepted: 70 })
    await rooms.settings.patch({ alerts: { failures: { share: 0.5, atLeast: 1_000 } } })
    t.same(await later(), [])
    await rooms.settings.patch({ alerts: { failures: { atLeast: 100, share: 0.3 } } })
    t.same(await later(), ['failures'], 'as set')
  })
})

t.test('messages that do not go out', async (t) => {
  t.test('fire when the oldest is five minutes late, and are over at one', async (t) => {
    const { later, plan, rooms, clock, db, fired } = await arranged()
    await plan()
    t.same(await later(4), [])
    t.same(await later(1), ['queue'])
    t.match(await db.collection('alerts').findOne({}), { facts: { behindMs: 5 * MINUTE } })
    const due = (ms: number) =>
      rooms.messages.rows.updateMany({}, { $set: { due: new Date(clock.now().getTime() - ms) } })
    await due(MINUTE)
    t.same(await later(), ['queue'], 'two minutes: between the two')
    await due(0)
    t.same(await later(), [], 'one minute')
    t.equal(await fired(), 1)
  })
  t.test('are none while somebody has stopped them, or their time has not come', async (t) => {
    const { later, plan, rooms, shop, clock } = await arranged()
    await plan({ dueAt: new Date(clock.now().getTime() + DAY) })
    const run = { campaignId: 'c', accountId: shop.id, templateId: 'T', lane: 'bulk' as const, instant: clock.now() }
    const notAfter = new Date(clock.now().getTime() + DAY)
    await rooms.messages.runs.open({ id: 'run', ...run, notAfter, snapshot: null })
    await plan({ runId: 'run', campaignId: 'c', lane: 'bulk' })
    await rooms.messages.runs.setPaused('c', true)
    t.same(await later(30), [])
    await rooms.messages.runs.setPaused('c', false)
    t.same(await later(), ['queue'])
    await rooms.accounts.pause(shop.id)
    t.same(await later(), [])
  })
})

t.test('an account in trouble', async (t) => {
  t.test('fires for each trouble, and is over five minutes after it went', async (t) => {
    const { later, rooms, shop, clock, db } = await arranged()
    const in1h = new Date(clock.now().getTime() + 60 * MINUTE)
    await rooms.accounts.settle(shop.id, { state: 'disabled', disabledReason: 'secret', functions: {} })
    await rooms.accounts.block(shop.id, 'legacy', { until: in1h, code: 45009, note: 'shut' })
    await rooms.accounts.markShared(shop.id, in1h)
    await templateModels(db).rows.insertOne({
      _id: `${shop.id}:T`,
      accountId: shop.id,
      templateId: 'T',
      kind: 'legacy',
      state: 'live',
      drift: { kind: 'gone', at: clock.now(), changes: [], readAt: null }
    } as never)
    await db
      .collection('accounts')
      .updateOne(
        { _id: shop.id as never },
        { $set: { penalty: { offences: 2, blockedUntil: in1h, api: 'form', note: 'n' } } }
      )
    clock.advance(2_000)
    const all = ['blocked:legacy', 'formIds spent elsewhere', 'penalty', 'state', 'templates'].map(
      (s) => `account ${s}`
    )
    t.same(await later(), all)
    await rooms.accounts.settle(shop.id, { state: 'ready', disabledReason: null, functions: {} })
    t.same(await later(4), all, 'not yet')
    t.same(
      await later(2),
      all.filter((each) => each !== 'account state')
    )
    t.same(await later(60), ['account templates'], 'the others had an end of their own')
  })
  t.test('that flips each minute is one alert', async (t) => {
    const { later, rooms, shop, fired } = await arranged()
    for (let k = 0; k < 12; k++) {
      const state = k % 2 === 0 ? 'disabled' : 'ready'
      await rooms.accounts.settle(shop.id, { state, disabledReason: state === 'ready' ? null : 'x', functions: {} })
      t.same(await later(), ['account state'])
    }
    t.equal(await fired(), 1)
  })
  t.test('seen in an answer is over after an hour of silence', async (t) => {
    const { later, rooms, shop } = await arranged()
    const subject = { accountId: shop.id, name: 'unknown errcode 12345' }
    await rooms.alerts.raise('account', subject, {})
    t.same(await later(59), ['account unknown errcode 12345'])
    await rooms.alerts.raise('account', subject, {})
    t.same(await later(59), ['account unknown errcode 12345'])
    t.same(await later(1), [])
  })
  t.test('by the ticket of its platform says so, once for all of them', async (t) => {
    const { later, db } = await arranged()
    const connectedBy = { connectedBy: 'qr', authorizer: { authorizedAt: new Date(), withdrawnAt: null } }
    t.same(await later(), [], 'nobody needs a ticket')
    await db.collection('accounts').updateMany({}, { $set: { ...connectedBy, permissions: [1, 2, 3, 7, 17, 18] } })
    t.ok((await later()).includes('account platform ticket'))
    t.match(await db.collection('alerts').findOne({ subject: 'platform ticket' }), { accountId: null })
  })
  t.test('that was removed is in none', async (t) => {
    const { later, rooms, shop } = await arranged()
    await rooms.accounts.settle(shop.id, { state: 'disabled', disabledReason: 'x', functions: {} })
    t.same(await later(), ['account state'])
    await rooms.accounts.remove(shop.id)
    t.same(await later(6), [])
  })
})

t.test('a breaker that is open fires, holds while it tries, and is over when it is closed', async (t) => {
  const { later, breaks, shop, fired } = await arranged()
  const breaker = { _id: 'b', accountId: shop.id, templateId: 'T', reason: 'blocks' }
  breaks([{ ...breaker, state: 'halfOpen' }])
  t.same(await later(), [], 'what only tries fires nothing')
  breaks([{ ...breaker, state: 'open' }])
  t.same(await later(), ['breaker b'])
  breaks([{ ...breaker, state: 'halfOpen' }])
  t.same(await later(30), ['breaker b'])
  breaks([{ ...breaker, state: 'open' }])
  t.same(await later(), ['breaker b'])
  breaks([])
  t.same(await later(4), ['breaker b'])
  t.same(await later(1), [])
  t.equal(await fired(), 1)
})

t.test('a webhook that was switched off by us fires until somebody sees to it', async (t) => {
  const { later, rooms, db } = await arranged()
  const { id } = await rooms.webhooks.create({ url: 'https://example.com/', events: ['alert.fired'] })
  await rooms.webhooks.patch(id, { enabled: false })
  t.same(await later(), [], 'an operator switched it off')
  const why = { disabledReason: 'nothing arrived' }
  await db.collection('webhooks').updateOne({ _id: id as never }, { $set: why })
  t.same(await later(), [`webhook ${id}`])
  await rooms.webhooks.patch(id, { enabled: true })
  t.same(await later(), [])
})

t.test('rights that run out', async (t) => {
  /** `k` forms of one person each, and what was sent in the past week. */
  async function stocked(forms: number) {
    const all = await arranged()
    const { rooms, shop, clock, watch, open } = all
    const people = await rooms.people.recipients(
      shop.id,
      Array.from({ length: forms }, (_, k) => `o${k}`)
    )
    const keep = (from: number, to: number) =>
      rooms.credentials.keep(
        shop,
        people.slice(from, to).map(({ id }, k) => ({
          id: `${from}-${k}`,
          recipientId: id,
          source: 'form' as const,
          value: `form-${from}-${k}`,
          caughtAt: clock.now()
        }))
      )
    const look = async () => {
      clock.advance(11_000)
      await watch.lookAtRights()
      return open()
    }
    const sent = (k: number, templateId = 'T', daysAgo = 6.9) =>
      all.count({ accepted: k }, { templateId, at: new Date(clock.now().getTime() - daysAgo * DAY) })
    return { ...all, people, keep, look, sent }
  }

  t.test('fire at three days, hold to five, and are over beyond', async (t) => {
    const { keep, look, sent, db, fired } = await stocked(60)
    await sent(70) // about ten a day
    await keep(0, 29)
    t.same(await look(), ['credentials forms'])
    const { facts } = (await db.collection('alerts').findOne({}))!
    t.match(facts, { sendsLeft: 29, templateId: null })
    t.ok(Math.abs(facts.daysLeft - 2.86) < 0.05, String(facts.daysLeft))
    await keep(29, 45)
    t.same(await look(), ['credentials forms'], 'four and a half days')
    await keep(45, 60)
    t.same(await look(), [], 'six')
    t.equal(await fired(), 1)
  })
  t.test('are counted template by template for grants, and never for those without end', async (t) => {
    const { look, sent, rooms, shop, people, clock, db } = await stocked(40)
    const template = (templateId: string, grantType: string) =>
      templateModels(db).rows.insertOne({
        _id: `${shop.id}:${templateId}`,
        accountId: shop.id,
        templateId,
        kind: 'subscribe',
        title: templateId,
        state: 'live',
        grantType
      } as never)
    await template('A', 'once')
    await template('B', 'once')
    await template('L', 'longTerm')
    const grant = (templateId: string, k: number) =>
      rooms.credentials.keep(
        shop,
        people.slice(0, k).map(({ id }, n) => ({
          id: `${templateId}${n}`,
          recipientId: id,
          source: 'grant' as const,
          templateId,
          result: 'accept',
          caughtAt: clock.now()
        }))
      )
    await grant('A', 10)
    await grant('B', 40)
    await grant('L', 1)
    for (const templateId of ['A', 'B', 'L']) await sent(35, templateId)
    t.same(await look(), ['credentials A'])
  })
  t.test('are quiet where hardly anything is sent, and fire where nothing is left', async (t) => {
    const { look, sent, rooms } = await stocked(1)
    await sent(19)
    t.same(await look(), [])
    await rooms.settings.patch({ alerts: { credentials: { atLeast: 10 } } })
    t.same(await look(), ['credentials forms'])
  })
  t.test('are counted whole beyond a page', async (t) => {
    const { look, sent, db, shop, clock } = await stocked(0)
    const now = clock.now()
    const row = (k: number) => ({
      _id: `c${k}`,
      accountId: shop.id,
      recipientId: `r${String(Math.floor(k / 3)).padStart(6, '0')}`,
      hash: `h${k}`,
      source: 'form',
      templateId: null,
      state: 'live',
      unlimited: false,
      sendsLeft: 1,
      expiresAt: new Date(now.getTime() + DAY),
      removeAt: new Date(now.getTime() + 30 * DAY)
    })
    await db.collection('credentials').insertMany(Array.from({ length: 4_500 }, (_, k) => row(k)) as never[])
    await sent(100_000)
    t.same(await look(), ['credentials forms'])
    t.equal((await db.collection('alerts').findOne({}))!.facts.sendsLeft, 4_500)
  })
})

t.test('a look that fails', async (t) => {
  t.test('clears nothing and stops no other', async (t) => {
    const { rooms, clock, shop, open, plan, count } = await arranged()
    await count({ 'failed:1': 100 })
    const watch = createWatch({ ...rooms, clock, log: silentLog(), breakers: async () => [] })
    await watch.look()
    t.same(await open(), ['failures'])
    await plan()
    clock.advance(30 * MINUTE)
    const broken = createWatch({
      ...rooms,
      messages: {
        ...rooms.messages,
        counters: { find: () => ({ toArray: () => Promise.reject(new Error('store away')) }) } as never
      },
      clock,
      log: silentLog(),
      breakers: async () => []
    })
    await broken.look()
    t.same(await open(), ['failures', 'queue'])
    await watch.look()
    t.same(await open(), ['queue'])
    t.ok(shop)
  })
  t.test('does not happen to one that is switched off: its alerts are over', async (t) => {
    const { later, plan, rooms } = await arranged()
    await plan()
    t.same(await later(10), ['queue'])
    await rooms.settings.patch({ alerts: { queue: { enabled: false } } })
    t.same(await later(), [])
  })
})

import t from 'tap'
import type { CampaignCreate } from '../../../shared/campaign.js'
import { durationOf } from '../../../server/campaigns/forecast.js'
import { forecastWarnings } from '../../../server/campaigns/foresight.js'
import { sceneWarnings } from '../../../server/campaigns/scene-fields.js'
import { capKey } from '../../../server/messages/caps.js'
import { templateModels } from '../../../server/templates/model.js'
import { arranged, work } from './arranged.js'
import { openStore } from './rooms.js'

const store = await openStore(t)
const HOUR = 3_600_000
const DAY = 24 * HOUR
type World = Awaited<ReturnType<typeof arranged>>

const codes = (faults: { code: string }[]) => faults.map(({ code }) => code)

/** The account's template of forms and payments, and a form of each of these people. */
async function forms({ db, accounts, credentials, accountId, clock, crowd }: World, ages: number[]) {
  const now = clock.now()
  await templateModels(db).rows.insertOne({
    _id: `${accountId}:L`,
    accountId,
    templateId: 'L',
    kind: 'legacy',
    title: '预约提醒',
    fields: [{ key: 'keyword1', name: '预约时间', type: 'keyword' }],
    content: '',
    example: '',
    grantType: null,
    choices: {},
    state: 'live',
    syncedAt: now,
    deletedAt: null
  })
  const account = await accounts.get(accountId)
  await credentials.keep(
    account,
    ages.map((age, i) => ({
      id: `${i}`,
      recipientId: crowd[i]!.id,
      source: 'form' as const,
      value: `form-${i}`,
      caughtAt: new Date(now.getTime() - age)
    }))
  )
}

t.test('a forecast', async (t) => {
  t.test('tells whose right expires before the run, and warns of it', async (t) => {
    const world = await arranged(store, t, 4, { content: { thing1: 'x', amount2: '1' } })
    await forms(world, [HOUR, 7 * DAY - 20 * HOUR, 7 * DAY - 30 * HOUR])
    const { campaigns, id, clock } = world
    const legacy: Partial<CampaignCreate> = { templateId: 'L', content: { keyword1: '明天' } }
    const at = new Date(clock.now().getTime() + 24 * HOUR)
    await campaigns.patch(id, { ...legacy, trigger: { kind: 'once', at, zone: 'Asia/Shanghai' } })
    const { forecast, warnings, ready } = await campaigns.check(id)
    t.equal(ready, true)
    t.same(forecast, {
      matched: 4,
      reachableNow: 3,
      sendAt: at,
      reachableAtSendTime: 2,
      capLimit: 3,
      capped: 0,
      dailyBudgetLeft: 940_500,
      durationMs: 41,
      estimated: false
    })
    t.match(warnings, [{ code: 'rights.expire-first', message: /of 3 .* 1 \(33 %\)/ }])
    await campaigns.patch(id, { trigger: { kind: 'once', at: new Date(clock.now().getTime() + HOUR), zone: 'UTC' } })
    t.same(codes((await campaigns.check(id)).warnings), [])
  })

  t.test('counts what the day has room for, and says when some will have to wait, or expire', async (t) => {
    const world = await arranged(store, t, 6, { content: { thing1: 'x', amount2: '1' }, lifeMs: HOUR })
    const { accounts, accountId, credentials, campaigns, id, crowd, clock, messages } = world
    await credentials.keep(
      await accounts.get(accountId),
      crowd.map(({ id: recipientId }, i) => ({
        id: `${i}`,
        recipientId,
        source: 'grant' as const,
        templateId: 'T',
        result: 'accept',
        caughtAt: clock.now()
      }))
    )
    t.same(codes((await campaigns.check(id)).warnings), [])
    await accounts.patch(accountId, { limits: { perDay: { subscribe: 5 } } })
    const { forecast, warnings, ready } = await campaigns.check(id)
    t.match(forecast, { reachableAtSendTime: 6, dailyBudgetLeft: 3 })
    t.equal(forecast?.durationMs, 14 * HOUR + 62, 'the rest goes after midnight in Shanghai, fourteen hours later')
    t.same(codes(warnings), ['budget.over-day', 'budget.expires'])
    t.equal(ready, true, 'an estimate stops nobody')
    const limits = { perSecond: 2000, perDay: 5 }
    // by the store's own day, which is the machine's: the budget goes by it
    await messages.budget.reserve(accountId, 'subscribe', 'bulk', 2, limits)
    const left = await messages.budget.leftOf(accountId, 'subscribe', 5, new Date((await dayOfStore(world)) * DAY))
    t.same(left, { perDay: 4, used: 2, left: 2, leftForBulk: 1 })
  })

  t.test('knows whose day is full', async (t) => {
    const world = await arranged(store, t, 3, { content: { thing1: 'x', amount2: '1' }, caps: { perPersonPerDay: 2 } })
    const { db, credentials, accounts, accountId, crowd, clock, campaigns, id, at } = world
    for (const { id: recipientId } of crowd) {
      await credentials.keep(await accounts.get(accountId), [
        { id: recipientId, recipientId, source: 'grant', templateId: 'T', result: 'accept', caughtAt: clock.now() }
      ])
    }
    const key = capKey(accountId, crowd[1]!.id, at)
    await db.collection('dayCaps').insertOne({ _id: key as never, d: ['a.1', 'b.1'], removeAt: new Date('2100-01-01') })
    t.match(await campaigns.check(id), {
      forecast: { reachableAtSendTime: 3, capLimit: 2, capped: 1 },
      warnings: [{ code: 'caps.full', pointer: '/caps' }]
    })
    await campaigns.patch(id, { caps: { perPersonPerDay: 5 } })
    t.match(await campaigns.check(id), {
      forecast: { capLimit: 3, capped: 0 },
      warnings: [{ code: 'caps.account-tighter', message: /allows 3/ }]
    })
  })
})

t.test('how long sending takes', async (t) => {
  const pace = { at: new Date('2026-03-02T10:00:00Z'), left: 100, perDay: 1_000, everyMs: 20 }
  t.equal(durationOf(100, pace), 2_000)
  t.equal(durationOf(101, pace), 6 * HOUR + 20, 'one more waits for midnight in Shanghai')
  t.equal(durationOf(1_100, pace), 6 * HOUR + 20_000)
  t.equal(durationOf(1_101, pace), 30 * HOUR + 20)
  t.equal(durationOf(0, { ...pace, left: 0 }), 0)
  t.equal(durationOf(1, { ...pace, left: 0, perDay: 0 }), null)
  const nothing = { matched: 2, reachableNow: 2, sendAt: pace.at, reachableAtSendTime: 2, capLimit: null, capped: 0 }
  const caps = { caps: { perPersonPerDay: 3, stopTransactional: false } }
  t.same(
    codes(
      forecastWarnings({ lane: 'bulk' }, caps, { ...nothing, dailyBudgetLeft: 0, durationMs: null, estimated: false })
    ),
    ['budget.over-day', 'budget.expires']
  )
})

t.test('the same template for the same audience within a day is warned of', async (t) => {
  const { campaigns, clock, id, wanted, at } = await arranged(store, t, 2)
  const other = await campaigns.create({
    ...wanted,
    name: '又一次',
    trigger: { kind: 'once', at: new Date(at.getTime() + 20 * HOUR), zone: 'UTC' }
  })
  const recent = async () =>
    (await campaigns.check(other._id)).warnings.filter(({ code }) => code === 'audiences.recent-run')
  t.same(await recent(), [], 'a draft sends nothing')
  await campaigns.activate(id)
  t.match(await recent(), [{ pointer: '/audienceId', message: new RegExp(`“提醒” \\(${id}\\) sends`) }])
  clock.set(at)
  await campaigns.tick()
  t.match(await recent(), [{ message: /sent this template to this audience at 2026-03-02T02:00:00.000Z/ }])
  const later = { kind: 'once' as const, at: new Date(at.getTime() + 25 * HOUR), zone: 'UTC' }
  await campaigns.patch(other._id, { trigger: later })
  t.same(await recent(), [], 'a day later')
  await campaigns.patch(other._id, { trigger: { ...later, at: new Date(at.getTime() + HOUR) } })
  t.equal((await recent()).length, 1)
  await campaigns.patch(other._id, { audienceId: null, trigger: { kind: 'event', event: 'bought', reentry: 'each' } })
  t.same(await recent(), [], 'an event asks for it')
})

t.test('what people expect of a scene', async (t) => {
  const field = (name: string, type = 'thing') => ({ key: name, name, type })
  const missing = (scene: Parameters<typeof sceneWarnings>[0], fields: ReturnType<typeof field>[], filled = fields) =>
    sceneWarnings(scene, fields, Object.fromEntries(filled.map(({ key }) => [key, 'x']))).map(({ message }) => message)
  t.same(missing(undefined, []), [])
  t.same(missing('payment', [field('订单编号'), field('支付金额'), field('支付时间')]), [])
  t.same(missing('payment', [field('单号'), field('实收', 'amount'), field('何时', 'date')]), [], 'by type, too')
  t.match(missing('payment', [field('商品'), field('金额')]), [/an order number/, /a time/])
  t.same(missing('logistics', [field('快递公司'), field('运单号')]), [])
  t.match(missing('logistics', [field('订单状态')]), [/a carrier/, /a waybill number/])
  t.same(missing('appointment', [field('预约时间'), field('门店地址')]), [])
  t.match(missing('appointment', [field('预约时间'), field('地点')], [field('预约时间')]), [/a place/], 'not filled')
  const { campaigns, id } = await arranged(store, t, 1)
  await campaigns.patch(id, { scene: 'appointment' })
  const { warnings } = await campaigns.check(id)
  t.same(
    codes(warnings).filter((code) => code.startsWith('scene.')),
    ['scene.field-missing', 'scene.field-missing']
  )
})

t.test("a campaign's own cap goes with each of its messages, as it was when the run started", async (t) => {
  const { campaigns, clock, id, rows, db, jobs, at } = await arranged(store, t, 2, { caps: { perPersonPerDay: 1 } })
  t.match((await campaigns.get(id)).caps, { perPersonPerDay: 1 })
  await campaigns.activate(id)
  clock.set(at)
  await campaigns.tick()
  await work({ db, jobs })
  t.same(
    (await rows()).map(({ capLimit }) => capLimit),
    [1, 1]
  )
})

/** Days since 1970 in Shanghai, as the store counts them. */
async function dayOfStore({ db }: World): Promise<number> {
  const row = await db.collection('budgets').findOne({})
  return row!.day as number
}

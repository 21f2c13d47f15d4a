import t from 'tap'
import { kindOf } from '../../../server/breakers/judge.js'
import type { BreakerRow } from '../../../server/breakers/model.js'
import { answer, brokenInvariants, buildLedger, closeTestStore, type Ledger } from '../../support/ledger.js'

t.teardown(closeTestStore)

const MINUTE = 60_000
const SMALL = { minMessages: 10, minAccountMessages: 40, probes: 5 }

/** A guarded ledger that trips on few messages, with so many people who granted template T. */
async function guarded(t: Parameters<typeof buildLedger>[0], people = 0) {
  const ledger = await buildLedger(t, { guarded: true })
  await ledger.accounts.patch(ledger.account.id, { breaker: SMALL })
  const crowd = []
  for (let i = 0; i < people; i++) {
    const each = await ledger.recipient(`p${i}`)
    await ledger.grant(each.id)
    crowd.push(each)
  }
  return { ledger, crowd }
}
const bulk = { lane: 'bulk' as const, channel: 'subscribe' as const }
const find = (ledger: Ledger, templateId: string | null = 'T', of = ledger.account.id): Promise<BreakerRow> =>
  ledger.breakers.find(templateId === null ? of : `${of}:${templateId}`)
const statesOf = async (ledger: Ledger, ids: string[]) =>
  (await Promise.all(ids.map((id) => ledger.row(id)))).map(({ state, waitingFor }) => [state, waitingFor].join(' '))
/** So many answers, heard as the follower tells of them. */
const hear = (ledger: Ledger, b: number, templateId: string, code: number, n: number) =>
  ledger.breakers.hear(ledger.account.id, b, new Date(Math.floor(ledger.clock.now().getTime() / MINUTE) * MINUTE), [
    { templateId, code, n }
  ])

t.test('a template that is refused', async (t) => {
  const { ledger, crowd } = await guarded(t, 24)
  const { clock } = ledger
  ledger.wechat(() => answer(43101))
  for (const each of crowd.slice(0, 10)) await ledger.plan(each, bulk)
  await ledger.settle()
  const row = await find(ledger)
  t.match(row, { state: 'open', reason: 'refusal', trips: 1, strict: false, tripped: { refusal: 10, total: 10 } })
  t.equal(row.until?.toISOString(), new Date(clock.now().getTime() + 30 * MINUTE).toISOString())
  t.match(await find(ledger, null), { state: 'closed' })

  ledger.wechat(() => answer(0))
  const before = ledger.sent.length
  const held = await ledger.plan(crowd[10]!, bulk)
  const late = await ledger.plan(crowd[11]!, { ...bulk, notAfter: new Date(clock.now().getTime() + 5 * MINUTE) })
  const single = await ledger.plan(crowd[12]!, { channel: 'subscribe' })
  const test = await ledger.plan(crowd[13]!, { ...bulk, test: true })
  const other = await ledger.plan(crowd[14]!, { lane: 'bulk', templateId: 'U' })
  await ledger.form(crowd[14]!.id)
  await ledger.settle()
  t.same(await statesOf(ledger, [held, late, single, test, other]), [
    'planned breaker',
    'planned breaker',
    'accepted ',
    'accepted ',
    'accepted '
  ])
  t.equal(ledger.sent.length, before + 3)
  t.match(await ledger.credentialsOf(crowd[10]!.id), [{ sendsLeft: 1, held: 0, holds: [] }], 'no right is held')
  clock.advance(6 * MINUTE)
  await ledger.settle()
  t.match(await ledger.row(late), { state: 'expired' }, 'it is not sent late')

  clock.advance(24 * MINUTE)
  await ledger.breakers.sweep()
  t.match(await find(ledger), { state: 'halfOpen', probesLeft: 5 })
  const tries = []
  for (const each of crowd.slice(15, 24)) tries.push(await ledger.plan(each, bulk))
  const rival = ledger.rooms()
  await Promise.all([ledger.messages.pumps.drain(ledger.account.id), rival.messages.pumps.drain(ledger.account.id)])
  const rows = await statesOf(ledger, [held, ...tries])
  t.equal(rows.filter((state) => state === 'accepted ').length, 5, 'two workers let five try')
  t.equal(rows.filter((state) => state === 'planned breaker').length, 5)
  await ledger.settle()
  t.match(await find(ledger), { state: 'halfOpen', probesLeft: 0 }, 'receipts may come yet')
  clock.advance(10_000)
  await ledger.breakers.sweep()
  t.match(await find(ledger), { state: 'closed', reason: null, tripped: null, trips: 0 })
  await ledger.settle()
  t.same(new Set(await statesOf(ledger, [held, ...tries])), new Set(['accepted ']))
  t.same(await brokenInvariants(ledger), [])
})

t.test('refusals while a breaker is not closed burn no rights', async (t) => {
  const { ledger, crowd } = await guarded(t, 12)
  ledger.wechat(() => answer(43101))
  for (const each of crowd.slice(0, 10)) await ledger.plan(each, bulk)
  await ledger.settle()
  t.match(await ledger.credentialsOf(crowd[9]!.id), [{ state: 'dead' }], 'one person’s word, as long as it is closed')
  const single = await ledger.plan(crowd[10]!, { channel: 'subscribe' })
  await ledger.settle()
  t.match(await ledger.row(single), { state: 'held', code: 43101 })
  t.match(await ledger.credentialsOf(crowd[10]!.id), [{ state: 'live', held: 1 }])
  t.equal(
    (await ledger.breakers.page({ state: 'open' }, { limit: 20 })).data[0]!.numbers.refusal,
    11,
    'it counts at once'
  )
  ledger.wechat(() => answer(0))
  ledger.clock.advance(2_000)
  await ledger.settle()
  t.match(await ledger.row(single), { state: 'accepted' })
})

t.test('a try that fails makes the rest twice as long', async (t) => {
  const { ledger, crowd } = await guarded(t, 16)
  ledger.wechat(() => answer(43101))
  for (const each of crowd.slice(0, 10)) await ledger.plan(each, bulk)
  await ledger.settle()
  for (const each of crowd.slice(10)) await ledger.plan(each, bulk)
  ledger.clock.advance(30 * MINUTE)
  await ledger.breakers.sweep()
  await ledger.settle()
  const row = await find(ledger)
  t.match(row, { state: 'open', trips: 2, reason: 'refusal' })
  t.equal((row.until!.getTime() - ledger.clock.now().getTime()) / MINUTE, 60)
})

t.test('a try nobody answers lets others try', async (t) => {
  const { ledger } = await guarded(t)
  await hear(ledger, 1, 'T', 43101, 10)
  await ledger.breakers.reset(`${ledger.account.id}:T`)
  t.equal(await ledger.breakers.probes(`${ledger.account.id}:T`, 3), 3)
  t.equal(await ledger.breakers.probes(`${ledger.account.id}:T`, 3), 2)
  t.equal(await ledger.breakers.probes(`${ledger.account.id}:T`, 1), 0)
  ledger.clock.advance(9 * MINUTE)
  await ledger.breakers.sweep()
  t.match(await find(ledger), { state: 'halfOpen', probesLeft: 0 })
  ledger.clock.advance(MINUTE)
  await ledger.breakers.sweep()
  t.match(await find(ledger), { state: 'halfOpen', probesLeft: 5 }, 'who was let through died on the way')
})

t.test('counts are exact', async (t) => {
  t.test('the same batch again counts once, and trips once', async (t) => {
    const { ledger } = await guarded(t)
    await hear(ledger, 7, 'T', 43101, 6)
    await hear(ledger, 7, 'T', 43101, 6)
    t.match(await find(ledger), { state: 'closed' }, 'six and not twelve')
    await hear(ledger, 8, 'T', 43101, 6)
    const rival = ledger.rooms().breakers
    await Promise.all([rival.sweep(), hear(ledger, 9, 'T', 43101, 6), ledger.breakers.sweep()])
    t.match(await find(ledger), { state: 'open', trips: 1, tripped: { refusal: 12 } })
  })

  t.test('two followers at once hear each answer once', async (t) => {
    const { ledger, crowd } = await guarded(t, 30)
    await ledger.accounts.patch(ledger.account.id, { breaker: { minMessages: 1000 } })
    const codes = [0, 43101, 47003]
    let n = 0
    ledger.wechat(() => answer(codes[n++ % 3]!))
    for (const each of crowd) await ledger.plan(each, bulk)
    await ledger.messages.pumps.drain(ledger.account.id)
    const rivals = [ledger.messages, ledger.rooms().messages, ledger.rooms().messages]
    await Promise.all(rivals.map(({ follower }) => follower.drain(ledger.account.id)))
    const [view] = (await ledger.breakers.page({ templateId: 'T' }, { limit: 20 })).data
    const logged = (await ledger.messages.rows.find({}).toArray()).flatMap((row) => row.log.map((line) => line.code!))
    const kinds = logged.map((code) => kindOf(code))
    const of = (kind: string) => kinds.filter((each) => each === kind).length
    t.same(
      [view!.numbers.ok, view!.numbers.refusal, view!.numbers.failure],
      [of('ok'), of('refusal'), of('failure')],
      'as many as the rows tell'
    )
    t.equal(view!.numbers.total, logged.length)
    t.ok(logged.length >= 30)
  })

  t.test('what is older than the window is forgotten', async (t) => {
    const { ledger } = await guarded(t)
    await hear(ledger, 1, 'T', 43101, 9)
    ledger.clock.advance(10 * MINUTE)
    await hear(ledger, 2, 'T', 43101, 9)
    t.match(await find(ledger), { state: 'closed' })
    await ledger.breakers.sweep()
    const [doc] = await ledger.db.collection('breakerCounts').find({}).toArray()
    t.equal(Object.keys(doc!.m).length, 1)
  })
})

t.test('receipts of people who block the account trip it too', async (t) => {
  const ledger = await buildLedger(t, { guarded: true })
  await ledger.accounts.patch(ledger.service.id, { breaker: SMALL })
  for (let i = 0; i < 10; i++) await ledger.plan(await ledger.recipient(`f${i}`, ledger.service), bulkOf(ledger))
  await ledger.settle()
  t.match(await find(ledger, 'T', ledger.service.id), { state: 'closed' })
  const rows = await ledger.messages.rows.find({}).toArray()
  for (const row of rows.slice(0, 3)) {
    const failed = { state: 'failed' as const, by: 'receipt', reason: 'userBlock', todo: true }
    await ledger.messages.rows.updateOne({ _id: row._id }, { $set: failed, $inc: { seq: 1 } })
  }
  await ledger.settle()
  const row = await find(ledger, 'T', ledger.service.id)
  t.match(row, { state: 'open', reason: 'block', tripped: { ok: 7, block: 3, total: 10 } })
})
const bulkOf = (ledger: Ledger) => ({ accountId: ledger.service.id, lane: 'bulk' as const })

t.test('the account', async (t) => {
  t.test('trips when its templates are bad together, and none alone', async (t) => {
    const { ledger, crowd } = await guarded(t, 1)
    for (let i = 0; i < 5; i++) await hear(ledger, i + 1, `T${i}`, 43004, 9)
    t.match(await find(ledger, 'T1'), { state: 'closed' })
    t.match(await find(ledger, null), { state: 'open', reason: 'block', strict: false })
    const [held, single] = [await ledger.plan(crowd[0]!, bulk), await ledger.plan(crowd[0]!, { channel: 'subscribe' })]
    await ledger.settle()
    t.same(await statesOf(ledger, [held, single]), ['planned breaker', 'accepted '])
  })

  t.test('that is punished sends nothing at all', async (t) => {
    const { ledger, crowd } = await guarded(t, 1)
    await hear(ledger, 1, 'T', 48004, 10)
    t.match(await find(ledger, null), { state: 'open', reason: 'punished', strict: true })
    const single = await ledger.plan(crowd[0]!, { channel: 'subscribe' })
    await ledger.settle()
    t.same(await statesOf(ledger, [single]), ['planned breaker'])
  })
})

t.test('whoever follows is told again until it has heard', async (t) => {
  const { ledger } = await guarded(t)
  const heard: string[] = []
  let deaf = true
  ledger.breakers.onChange(async ({ state }) => {
    if (deaf) throw new Error('the process died')
    heard.push(state)
  })
  await t.rejects(hear(ledger, 1, 'T', 43101, 10), /died/)
  t.match(await find(ledger), { state: 'open', todo: true })
  deaf = false
  await ledger.breakers.sweep()
  await ledger.breakers.sweep()
  t.same(heard, ['open'])
  t.match(await find(ledger), { todo: false, trips: 1 })
})

t.test('a reset', async (t) => {
  const { ledger } = await guarded(t)
  await t.rejects(ledger.breakers.reset('nothing'), { code: 'breakers.not-found' })
  await hear(ledger, 1, 'T', 0, 1)
  t.match(await ledger.breakers.reset(`${ledger.account.id}:T`), { state: 'closed' }, 'of a closed one changes nothing')
  await hear(ledger, 2, 'T', 43101, 20)
  const view = await ledger.breakers.reset(`${ledger.account.id}:T`)
  t.match(view, { state: 'halfOpen', numbers: { total: 0 }, tripped: { refusal: 20 }, triesAt: null })
  t.equal((await ledger.breakers.list()).length, 1)
})

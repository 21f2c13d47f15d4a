import t from 'tap'
import { answer, buildLedger, closeTestStore, noAnswer } from '../../support/ledger.js'

t.teardown(closeTestStore)

/** A planned message of a wait, its form ready, and `stop` to be called when something stops the wait. */
async function arranged(t: Parameters<typeof buildLedger>[0]) {
  const ledger = await buildLedger(t)
  const recipient = await ledger.recipient('1')
  await ledger.form(recipient.id)
  const asked: string[][] = []
  let stopAfter = Infinity
  ledger.messages.onStoppedWaits(async (ids) => {
    asked.push(ids)
    return new Set(asked.length > stopAfter ? ids : [])
  })
  const input = ledger.input(recipient, { waitId: 'w1' })
  await ledger.messages.plan([input])
  return {
    ...ledger,
    recipient,
    input,
    asked,
    /** Whoever asks from then on is told that the wait was stopped. */
    stopAfter: (times: number) => (stopAfter = times),
    row: async () => ledger.messages.rows.findOne({ _id: input.id }),
    right: async () => (await ledger.db.collection('credentials').findOne({})) as unknown
  }
}

const CANCELLED = { state: 'skipped', reason: 'cancelled', detail: 'the wait was stopped', lease: null }
const WHOLE = { sendsLeft: 1, held: 0, holds: [], spent: 0 }

t.test('a message of a wait', async (t) => {
  t.test('that nothing stopped is sent', async (t) => {
    const { messages, row, sent, asked } = await arranged(t)
    await messages.settleAll()
    t.match(await row(), { state: 'accepted' })
    t.equal(sent.length, 1)
    t.ok(asked.length >= 2, 'asked before it takes a right, and before it is sent')
  })

  t.test('stopped before it takes a right is cancelled', async (t) => {
    const { messages, row, sent, right, stopAfter } = await arranged(t)
    stopAfter(0)
    await messages.settleAll()
    t.match(await row(), { ...CANCELLED, hold: null })
    t.match(await right(), WHOLE)
    t.same(sent, [])
  })

  t.test('stopped between its right and its slot is cancelled, and gives back what it had', async (t) => {
    const { messages, row, sent, right, stopAfter, db } = await arranged(t)
    stopAfter(1)
    await messages.settleAll()
    t.match(await row(), { ...CANCELLED, hold: { source: 'form', settled: true }, cap: null, todo: false })
    t.same(sent, [])
    t.match(await right(), WHOLE)
    const [day] = await db.collection('dayCaps').find().toArray()
    t.same(day?.d, [], 'the place of the day too')
  })

  t.test('that may be out already is not cancelled', async (t) => {
    const { messages, row, wechat, clock, stopAfter, sent } = await arranged(t)
    wechat(() => noAnswer())
    await messages.settleAll()
    t.match(await row(), { state: 'sending' })
    stopAfter(0)
    wechat(() => answer(0))
    clock.advance(60_000)
    await messages.settleAll()
    t.match(await row(), { state: 'accepted' })
    t.equal(sent.length, 2)
  })

  t.test('that goes on by another template is stopped there too', async (t) => {
    const { messages, service, account, people, clock, sent, stopAfter, input } = await arranged(t)
    await people.identify({ externalId: 'p', accountId: account.id, openId: 'o-p' })
    const fan = await people.identify({ externalId: 'p', accountId: service.id, openId: 'o-s' })
    const [there] = (await people.recipientsOf(account.id, [fan.id])).values()
    const [follower] = (await people.recipientsOf(service.id, [fan.id])).values()
    await people.follow(follower!.id, true, clock.now())
    const step = { accountId: service.id, templateId: 'S', data: {}, open: null, channel: 'service' as const }
    await messages.plan([
      { ...input, id: 'm-fall', recipientId: there!.id, personId: fan.id, waitId: 'w2', fallback: [step] }
    ])
    await messages.pumps.drain(account.id)
    stopAfter(0)
    await messages.settleAll()
    t.match(await messages.rows.findOne({ _id: 'm-fall' }), { state: 'skipped', reason: 'noCredential', fell: true })
    t.match(await messages.rows.findOne({ fellFrom: 'm-fall' }), { ...CANCELLED, waitId: 'w2' })
    t.same(
      sent.filter(({ channel }) => channel === 'service'),
      []
    )
  })
})

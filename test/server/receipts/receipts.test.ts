import t from 'tap'
import { createReceipts, type Receipt } from '../../../server/receipts/receipts.js'
import { brokenInvariants, buildLedger, closeTestStore, noAnswer } from '../../support/ledger.js'

t.teardown(closeTestStore)

async function withReceipts(t: Parameters<typeof buildLedger>[0]) {
  const ledger = await buildLedger(t)
  const { db, clock, sealer, people, messages } = ledger
  const receipts = createReceipts({ db, clock, sealer, people, messages })
  await receipts.ready()
  const fan = await ledger.recipient('fan', ledger.service)
  const receipt = (msgid: string, verdict: Receipt['verdict'] = 'delivered'): Receipt => ({
    accountId: ledger.service.id,
    recipientId: fan.id,
    msgid,
    verdict,
    at: clock.now()
  })
  return { ledger, receipts, fan, receipt }
}

t.test('a receipt', async (t) => {
  t.test('makes an accepted message delivered, once', async (t) => {
    const { ledger, receipts, fan, receipt } = await withReceipts(t)
    const id = await ledger.plan(fan, { accountId: ledger.service.id })
    await ledger.settle()
    const { msgid } = await ledger.row(id)
    t.equal(await receipts.apply(receipt(msgid!)), true)
    t.equal(await receipts.apply(receipt(msgid!, 'userBlock')), true, 'the first verdict wins')
    await ledger.settle()
    t.match(await ledger.row(id), { state: 'delivered', by: 'receipt' })
    t.same(await brokenInvariants(ledger), [])
  })

  t.test('of a block suppresses the person', async (t) => {
    const { ledger, receipts, fan, receipt } = await withReceipts(t)
    ledger.clock.advance(1000)
    const id = await ledger.plan(fan, { accountId: ledger.service.id })
    await ledger.settle()
    await receipts.apply(receipt((await ledger.row(id)).msgid!, 'userBlock'))
    const next = await ledger.plan(fan, { accountId: ledger.service.id })
    await ledger.settle()
    t.match(await ledger.row(id), { state: 'failed', reason: 'userBlock' })
    t.match(await ledger.row(next), { state: 'skipped', reason: 'suppressed' })
  })

  t.test('that came before the answer finds its message as soon as that is stored', async (t) => {
    const { ledger, receipts, fan, receipt } = await withReceipts(t)
    t.equal(await receipts.apply(receipt('4000000000000000000')), false)
    const id = await ledger.plan(fan, { accountId: ledger.service.id })
    await ledger.settle()
    t.match(await ledger.row(id), { state: 'delivered', by: 'receipt', msgid: '4000000000000000000' })
    t.equal(await ledger.db.collection('receipts').countDocuments({ todo: true }), 0)
    t.same(await brokenInvariants(ledger), [])
  })

  t.test('whose message was answered in a process that died then looks again by itself', async (t) => {
    const { ledger, receipts, fan, receipt } = await withReceipts(t)
    t.equal(await receipts.apply(receipt('4000000000000000000')), false)
    ledger.restart() // the rooms that send now know of no receipts room
    const id = await ledger.plan(fan, { accountId: ledger.service.id })
    await ledger.settle()
    t.match(await ledger.row(id), { state: 'accepted', msgid: '4000000000000000000' })
    t.equal(await receipts.sweep(), 0, 'not yet due')
    ledger.clock.advance(2000)
    t.equal(await receipts.sweep(), 1)
    t.match(await ledger.row(id), { state: 'delivered' })
  })

  t.test('settles the one message nobody answered for', async (t) => {
    const { ledger, receipts, fan, receipt } = await withReceipts(t)
    ledger.wechat(() => noAnswer())
    const id = await ledger.plan(fan, {
      accountId: ledger.service.id,
      notAfter: new Date(ledger.clock.now().getTime() + 60_000)
    })
    await ledger.settle()
    const kept = receipt('4000000000000000777')
    await receipts.apply(kept)
    ledger.clock.advance(130_000)
    await ledger.settle()
    t.match(await ledger.row(id), { state: 'unknown' })
    await receipts.sweep()
    t.match(await ledger.row(id), { state: 'delivered', msgid: '4000000000000000777' })
    await ledger.settle()
    t.same(await brokenInvariants(ledger), [])
  })

  t.test('that was at work when its process died is not taken for one of the next round', async (t) => {
    const { ledger, receipts, fan, receipt } = await withReceipts(t)
    const instant = ledger.clock.now()
    const notAfter = new Date(instant.getTime() + 3_600_000)
    const run = { id: 'r', campaignId: 'c', templateId: 'T', lane: 'transactional' as const, snapshot: {} }
    await ledger.messages.runs.open({ ...run, accountId: ledger.service.id, instant, notAfter })
    const id = await ledger.plan(fan, { accountId: ledger.service.id, runId: 'r' })
    await ledger.settle()
    await receipts.apply(receipt((await ledger.row(id)).msgid!, 'systemFailed'))
    t.match(await ledger.row(id), { state: 'failed', reason: 'systemFailed' })
    // the message was written, the receipt itself was not
    await ledger.db.collection('receipts').updateMany({}, { $set: { todo: true, messageId: null } })
    ledger.clock.advance(1000)
    ledger.wechat(() => noAnswer())
    const soon = new Date(ledger.clock.now().getTime() + 60_000)
    await ledger.messages.retryRun('r', { states: ['failed'] }, soon)
    await ledger.settle()
    ledger.clock.advance(130_000)
    await ledger.settle()
    t.match(await ledger.row(id), { state: 'unknown', round: 1 })
    await receipts.sweep()
    t.match(await ledger.row(id), { state: 'unknown', msgid: null }, 'nobody knows what became of the second round')
  })

  t.test('of a system failure gives the right back and lets the message go again under a new id', async (t) => {
    const { ledger, receipts, fan, receipt } = await withReceipts(t)
    await ledger.accounts.patch(ledger.service.id, { serviceWindow: { bulk: true, transactional: true } })
    await ledger.credentials.mint(ledger.service, {
      recipientId: fan.id,
      source: 'follow',
      at: ledger.clock.now(),
      key: 'f1'
    })
    ledger.clock.advance(2000)
    await ledger.messages.runs.open({
      id: 'r',
      campaignId: 'c',
      accountId: ledger.service.id,
      templateId: 'T',
      lane: 'transactional',
      instant: ledger.clock.now(),
      notAfter: new Date(ledger.clock.now().getTime() + 3_600_000),
      snapshot: {}
    })
    const id = await ledger.plan(fan, { accountId: ledger.service.id, runId: 'r' })
    await ledger.settle()
    const first = await ledger.row(id)
    t.match(first, { state: 'accepted' })
    await receipts.apply(receipt(first.msgid!, 'systemFailed'))
    await ledger.settle()
    t.match(await ledger.row(id), { state: 'failed', reason: 'systemFailed' })
    t.match(await ledger.credentialsOf(fan.id), [{ sendsLeft: 1, held: 0, spent: 0 }])
    t.same(await brokenInvariants(ledger), [])
    await ledger.messages.runs.checkpoint('r', { from: null, to: null, born: 0, again: false })
    t.equal(
      await ledger.messages.retryRun('r', { states: ['failed'] }, new Date(ledger.clock.now().getTime() + 3_600_000)),
      1
    )
    await ledger.settle()
    t.same(
      ledger.sent.map((each) => each.clientMsgId),
      [`${id}.0`, `${id}.1`]
    )
    t.match(await ledger.row(id), { state: 'accepted' })
    t.match(await ledger.credentialsOf(fan.id), [{ sendsLeft: 0, spent: 1 }])
    t.same(await brokenInvariants(ledger), [])
  })
})

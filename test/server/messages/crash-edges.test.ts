import t from 'tap'
import { outcomeOf } from '../../../server/messages/outcome.js'
import type { Ready } from '../../../server/messages/ready.js'
import { createReceipts } from '../../../server/receipts/receipts.js'
import { answer, brokenInvariants, buildLedger, closeTestStore, noAnswer, notSent } from '../../support/ledger.js'

t.teardown(closeTestStore)

const HOUR = 3_600_000

t.test('a process told to stop gives back what it had just marked: nothing of it is in doubt', async (t) => {
  const ledger = await buildLedger(t)
  const ann = await ledger.recipient('ann')
  await ledger.payment(ann.id)
  const id = await ledger.plan(ann)
  const { rows } = ledger.messages
  let open: () => void = () => {}
  const gate = new Promise<void>((resolve) => (open = resolve))
  const marking = new Promise<void>((resolve) => {
    const bulkWrite = rows.bulkWrite.bind(rows)
    rows.bulkWrite = async (ops: any, options: any) => {
      if (JSON.stringify(ops).includes('firstSentAt')) {
        resolve()
        await gate
      }
      return bulkWrite(ops, options)
    }
  })
  const draining = ledger.messages.pumps.drain(ledger.account.id)
  await marking
  const stopping = ledger.messages.pumps.stop()
  open()
  await Promise.all([draining, stopping])
  delete (rows as any).bulkWrite
  t.match(await ledger.row(id), { state: 'held', lease: null, attempt: 0, hold: { doubt: false } })
  t.equal(ledger.sent.length, 0)
  ledger.restart()
  await ledger.settle()
  t.match(await ledger.row(id), { state: 'accepted', attempt: 1 })
  t.same(await brokenInvariants(ledger), [])
})

t.test('a store that stumbles while messages go out stumbles alone', async (t) => {
  const ledger = await buildLedger(t)
  const ann = await ledger.recipient('ann')
  await ledger.form(ann.id)
  const id = await ledger.plan(ann)
  const { rows } = ledger.messages
  const find = rows.find.bind(rows) as any
  let searches = 0
  ;(rows as any).find = (filter: any, ...rest: unknown[]) => {
    // the third search for due rows runs beside the first block of slots
    if (filter.due !== undefined && ++searches === 3) throw new Error('not primary')
    return find(filter, ...rest)
  }
  await ledger.settle()
  delete (rows as any).find
  t.ok(searches >= 3)
  t.match(await ledger.row(id), { state: 'accepted' })
})

t.test('a parked message beside a right it may not use stays parked', async (t) => {
  for (const why of ['source off', 'kept for transactional messages'] as const) {
    const ledger = await buildLedger(t)
    const ann = await ledger.recipient('ann')
    await ledger.form(ann.id)
    await ledger.accounts.patch(
      ledger.account.id,
      why === 'source off' ? { sources: { form: { enabled: false } } } : { reserveForTransactional: 1 }
    )
    const id = await ledger.plan(ann, { waitForCredential: true, lane: 'bulk' })
    await ledger.settle()
    const row = await ledger.row(id)
    t.match(row, { state: 'planned', parked: true }, why)
    t.ok(row.due > ledger.clock.now(), 'until it looks again')
    await ledger.messages.cancel(id)
  }
})

t.test('rows that fall out before their slot do not end the work', async (t) => {
  const ledger = await buildLedger(t)
  const people = await Promise.all(Array.from({ length: 12 }, (_, i) => ledger.recipient(`p${i}`)))
  await ledger.accounts.patch(ledger.account.id, { limits: { perSecond: 1 } }) // ten rows a look
  await ledger.messages.plan(people.map((person) => ledger.input(person)))
  await ledger.messages.pumps.drain(ledger.account.id)
  t.equal(await ledger.messages.rows.countDocuments({ state: 'skipped', reason: 'noCredential' }), 12)
})

t.test('two bulk messages at once leave the reserve alone', async (t) => {
  const ledger = await buildLedger(t)
  const ann = await ledger.recipient('ann')
  await ledger.payment(ann.id)
  const place = { accountId: ledger.account.id, recipientId: ann.id, channel: 'legacy' as const, templateId: 'T' }
  await Promise.all(['a', 'b', 'c'].map((m) => ledger.credentials.holds.hold([{ m, n: 1, leave: 2, ...place }])))
  const [row] = await ledger.credentialsOf(ann.id)
  t.ok(row!.sendsLeft >= 2, `${row!.sendsLeft} of 3 left`)
  t.equal(row!.sendsLeft + row!.held, 3)
})

t.test('a refused grant is dead, even when it was minted in the same millisecond', async (t) => {
  const ledger = await buildLedger(t)
  const ann = await ledger.recipient('ann')
  await ledger.grant(ann.id)
  ledger.wechat(() => answer(43101))
  await ledger.plan(ann, { channel: 'subscribe' })
  await ledger.settle()
  t.match(await ledger.credentialsOf(ann.id), [{ state: 'dead', why: '43101', held: 0, holds: [] }])
  t.same(await brokenInvariants(ledger), [])
})

t.test('a long-term grant that was refused is not revived by the same tap handed in again', async (t) => {
  const ledger = await buildLedger(t, { grantType: async () => 'longTerm' })
  const ann = await ledger.recipient('ann')
  const caughtAt = ledger.clock.now()
  const keep = (id: string, at: Date) =>
    ledger.credentials.keep(ledger.account, [
      { id, recipientId: ann.id, source: 'grant', templateId: 'T', result: 'accept', caughtAt: at }
    ])
  await keep('tap', caughtAt)
  ledger.clock.advance(5000)
  ledger.wechat(() => answer(43101))
  await ledger.plan(ann, { channel: 'subscribe' })
  await ledger.settle()
  t.match(await ledger.credentialsOf(ann.id), [{ state: 'dead' }])
  ledger.clock.advance(5000)
  t.match(await keep('tap', caughtAt), [{ verdict: 'duplicate' }])
  t.match(await ledger.credentialsOf(ann.id), [{ state: 'dead' }])
  t.match(await keep('another tap', ledger.clock.now()), [{ verdict: 'stored' }])
  t.match(await ledger.credentialsOf(ann.id), [{ state: 'live', why: null }])
})

t.test('a message that goes once more', async (t) => {
  async function inRun(t: Parameters<typeof buildLedger>[0]) {
    const ledger = await buildLedger(t)
    await ledger.messages.runs.open({
      id: 'run',
      campaignId: 'c',
      accountId: ledger.service.id,
      templateId: 'T',
      lane: 'transactional',
      instant: ledger.clock.now(),
      notAfter: new Date(ledger.clock.now().getTime() + 200 * HOUR),
      snapshot: {}
    })
    await ledger.messages.runs.checkpoint('run', { from: null, to: null, born: 0, again: false })
    const again = () =>
      ledger.messages.retryRun('run', { states: ['failed'] }, new Date(ledger.clock.now().getTime() + HOUR))
    return { ledger, again }
  }

  t.test('has its eight tries again', async (t) => {
    const { ledger, again } = await inRun(t)
    const fan = await ledger.recipient('fan', ledger.service)
    ledger.wechat(() => notSent())
    const id = await ledger.plan(fan, { accountId: ledger.service.id, runId: 'run' })
    for (let i = 0; i < 9; i++) {
      await ledger.settle()
      ledger.clock.advance(61_000)
    }
    t.match(await ledger.row(id), { state: 'failed', attempt: 8 })
    t.equal(await again(), 1)
    await ledger.messages.pumps.drain(ledger.service.id)
    t.match(await ledger.row(id), { state: 'held', attempt: 1 })
  })

  t.test('takes its place under a daily limit anew', async (t) => {
    const { ledger, again } = await inRun(t)
    await ledger.accounts.patch(ledger.service.id, { serviceWindow: { bulk: true, transactional: true } })
    const fan = await ledger.recipient('fan', ledger.service)
    const menu = { recipientId: fan.id, source: 'menu' as const, at: ledger.clock.now(), key: 'k' }
    await ledger.credentials.mint(ledger.service, menu)
    ledger.wechat(() => answer(47003))
    const id = await ledger.plan(fan, { accountId: ledger.service.id, runId: 'run' })
    await ledger.messages.pumps.drain(ledger.service.id)
    const { window } = await ledger.row(id)
    const caps = ledger.db.collection('dayCaps')
    // the follower gave the place back and died before it wrote so into the row
    await caps.updateOne({ _id: window!.key as never }, { $pull: { d: window!.name } } as any)
    t.equal(await again(), 1)
    ledger.wechat(() => answer(0))
    await ledger.settle()
    const row = await ledger.row(id)
    t.match(row, { state: 'accepted' })
    const kept = await caps.findOne({ _id: row.window!.key as never })
    t.same(kept!.d, [row.window!.name])
  })

  t.test('is open again when nobody answers it, though it had been closed before', async (t) => {
    const { ledger, again } = await inRun(t)
    const ann = await ledger.recipient('ann')
    await ledger.grant(ann.id)
    await ledger.grant(ann.id)
    ledger.wechat(() => noAnswer())
    const id = await ledger.plan(ann, { channel: 'subscribe', runId: 'run' })
    await ledger.settle()
    ledger.clock.advance(73 * HOUR)
    await ledger.messages.sweep()
    await ledger.settle()
    t.match(await ledger.row(id), { state: 'unknown', closed: true })
    await ledger.messages.resolve(id, 'failed')
    await again()
    await ledger.settle()
    t.match(await ledger.row(id), { state: 'unknown', closed: false })
    t.equal(
      (await ledger.credentialsOf(ann.id)).reduce((n, row) => n + row.held, 0),
      1,
      'its hold stands until somebody knows'
    )
    t.same(await brokenInvariants(ledger), [])
  })
})

t.test('a place whose owner failed a moment ago is waited for, not counted', async (t) => {
  const ledger = await buildLedger(t)
  const fan = await ledger.recipient('fan', ledger.service)
  ledger.wechat(() => answer(47003))
  for (let i = 0; i < 3; i++) await ledger.plan(fan, { accountId: ledger.service.id, lane: 'bulk' })
  await ledger.messages.pumps.drain(ledger.service.id)
  ledger.wechat(() => answer(0))
  const id = await ledger.plan(fan, { accountId: ledger.service.id, lane: 'bulk' })
  await ledger.messages.pumps.drain(ledger.service.id)
  t.match(await ledger.row(id), { state: 'held' })
  await ledger.messages.follower.drain(ledger.service.id)
  ledger.clock.advance(15_000)
  await ledger.settle()
  t.match(await ledger.row(id), { state: 'accepted' })
})

t.test('the sweep', async (t) => {
  t.test('finds an orphan behind any number of holds that stand', async (t) => {
    const ledger = await buildLedger(t)
    const ann = await ledger.recipient('ann')
    await ledger.form(ann.id)
    const [form] = await ledger.credentialsOf(ann.id)
    const plain = ledger.input(ann)
    await ledger.messages.plan([plain])
    const row = await ledger.row(plain.id)
    const numbers = Array.from({ length: 501 }, (_, i) => i)
    await ledger.messages.rows.insertMany(
      numbers.map((i) => ({
        ...row,
        _id: `unknown${i}`,
        state: 'unknown' as const,
        n: 1,
        due: new Date('9999-01-01T00:00:00Z'),
        hold: { cred: `c${i}`, h: `unknown${i}.1`, source: 'form' as const, doubt: true }
      }))
    )
    const held = (i: number, h: string) => ({
      ...form!,
      _id: `c${i}`,
      hash: `hash${i}`,
      sendsLeft: 0,
      held: 1,
      holds: [h],
      heldAt: ledger.clock.now()
    })
    await ledger.credentials.rows.insertMany(numbers.map((i) => held(i, `unknown${i}.1`)))
    ledger.clock.advance(1000)
    await ledger.credentials.rows.insertOne(held(999, 'nobody.1'))
    ledger.clock.advance(6 * 60_000)
    t.match(await ledger.messages.sweep(), { orphans: 1 })
    t.match(await ledger.credentials.byId('c999'), { sendsLeft: 1, holds: [] })
  })

  t.test('takes back a stop whose setter died, and no other', async (t) => {
    const ledger = await buildLedger(t)
    const { runs, budget } = ledger.messages
    for (const id of ['half-paused', 'paused']) {
      await runs.open({
        id,
        campaignId: id,
        accountId: ledger.account.id,
        templateId: 'T',
        lane: 'bulk',
        instant: ledger.clock.now(),
        notAfter: new Date(ledger.clock.now().getTime() + HOUR),
        snapshot: {}
      })
    }
    await runs.setPaused('paused', true)
    await budget.stop(ledger.account.id, 'half-paused')
    await ledger.messages.sweep()
    t.same((await budget.stoppedOf(ledger.account.id)).sort(), ['half-paused', 'paused'], 'it may be on its way')
    await ledger.messages.sweep()
    t.same(await budget.stoppedOf(ledger.account.id), ['paused'])
  })
})

t.test('a fallback into an account that was removed ends the chain and stops nobody', async (t) => {
  const ledger = await buildLedger(t)
  const ann = await ledger.recipient('ann')
  const data = { thing1: { value: 'y' } }
  const step = { accountId: ledger.service.id, templateId: 'S', data, open: null, channel: 'service' as const }
  const id = await ledger.plan(ann, { fallback: [step] })
  await ledger.accounts.remove(ledger.service.id)
  await ledger.settle()
  t.match(await ledger.row(id), { state: 'skipped', reason: 'noCredential', todo: false })
  t.same(await brokenInvariants(ledger), [])
})

t.test('a message in doubt whose person is gone is unknown, not asked for ever', async (t) => {
  const ledger = await buildLedger(t)
  const fan = await ledger.recipient('fan', ledger.service)
  ledger.wechat(() => noAnswer())
  const id = await ledger.plan(fan, { accountId: ledger.service.id })
  await ledger.settle()
  t.match(await ledger.row(id), { state: 'sending' })
  await ledger.db.collection('recipients').deleteOne({ _id: fan.id as never })
  ledger.clock.advance(60_000)
  await ledger.settle()
  t.match(await ledger.row(id), { state: 'unknown', reason: 'notInAccount' })
})

t.test('a process that stalled between the mark and its slot fires nothing any more', async (t) => {
  const ledger = await buildLedger(t)
  const ann = await ledger.recipient('ann')
  await ledger.payment(ann.id)
  const other = ledger.rooms().messages
  const id = await ledger.plan(ann)
  const { rows } = ledger.messages
  const bulkWrite = rows.bulkWrite.bind(rows)
  rows.bulkWrite = async (ops: any, options: any) => {
    const done = await bulkWrite(ops, options)
    if (JSON.stringify(ops).includes('firstSentAt')) {
      delete (rows as any).bulkWrite
      ledger.clock.advance(31_000)
      await other.settleAll()
    }
    return done
  }
  await ledger.settle()
  t.match(await ledger.row(id), { state: 'unknown', reason: 'noAnswer' }, 'the other could not know')
  t.equal(ledger.sent.length, 0)
  t.same(await brokenInvariants(ledger), [])
})

t.test('an answer that comes when another process has given the message up still counts', async (t) => {
  const ledger = await buildLedger(t)
  const ann = await ledger.recipient('ann')
  await ledger.payment(ann.id)
  const other = ledger.rooms().messages
  let meanwhile: string | undefined
  ledger.wechat(async (input) => {
    ledger.clock.advance(31_000)
    await other.settleAll()
    meanwhile = (await ledger.row(input.data.keyword1!.value)).state
    return answer(0)
  })
  const id = 'slow'
  await ledger.plan(ann, { id, data: { keyword1: { value: id } } })
  await ledger.settle()
  t.equal(meanwhile, 'unknown')
  t.match(await ledger.row(id), { state: 'accepted', by: 'answer' })
  t.match(await ledger.credentialsOf(ann.id), [{ spent: 1, sendsLeft: 2, held: 0 }])
  t.same(await brokenInvariants(ledger), [])
})

t.test('a system failure that comes while the follower books the message is booked too', async (t) => {
  const ledger = await buildLedger(t)
  const { db, clock, sealer, people, messages } = ledger
  await ledger.accounts.patch(ledger.service.id, { serviceWindow: { bulk: true, transactional: true } })
  const fan = await ledger.recipient('fan', ledger.service)
  const at = clock.now()
  await ledger.credentials.mint(ledger.service, { recipientId: fan.id, source: 'follow', at, key: 'k' })
  const id = await ledger.plan(fan, { accountId: ledger.service.id })
  await messages.pumps.drain(ledger.service.id)
  const receipts = createReceipts({ db, clock, sealer, people, messages })
  const { msgid } = await ledger.row(id)
  const receipt = {
    accountId: ledger.service.id,
    recipientId: fan.id,
    msgid: msgid!,
    verdict: 'systemFailed' as const,
    at
  }
  const bulkWrite = messages.rows.bulkWrite.bind(messages.rows)
  messages.rows.bulkWrite = async (ops: any, options: any) => {
    // the hold is spent; the receipt comes before the row is told so
    if (JSON.stringify(ops).includes('hold.settled')) {
      delete (messages.rows as any).bulkWrite
      await receipts.apply(receipt)
    }
    return bulkWrite(ops, options)
  }
  await ledger.settle()
  t.match(await ledger.row(id), { state: 'failed', reason: 'systemFailed', hold: { settled: true } })
  t.match(await ledger.credentialsOf(fan.id), [{ sendsLeft: 1, held: 0, spent: 0, spentBy: [] }])
  t.same(await brokenInvariants(ledger), [])
})

t.test('a receipt whose reader stalled is not taken for one of a later attempt', async (t) => {
  const ledger = await buildLedger(t)
  const { db, clock, sealer, people, messages } = ledger
  const later = (ms: number) => new Date(clock.now().getTime() + ms)
  await messages.runs.open({
    id: 'run',
    campaignId: 'c',
    accountId: ledger.service.id,
    templateId: 'T',
    lane: 'transactional',
    instant: clock.now(),
    notAfter: later(HOUR),
    snapshot: {}
  })
  const fan = await ledger.recipient('fan', ledger.service)
  ledger.wechat(() => noAnswer())
  const id = await ledger.plan(fan, { accountId: ledger.service.id, runId: 'run', notAfter: later(30_000) })
  await ledger.settle()
  const receipts = createReceipts({ db, clock, sealer, people, messages })
  const about = { accountId: ledger.service.id, recipientId: fan.id, msgid: '4000000000000000777', at: clock.now() }
  await receipts.apply({ ...about, verdict: 'delivered' })
  clock.advance(130_000)
  await ledger.settle()
  t.match(await ledger.row(id), { state: 'unknown' })
  const updateOne = messages.rows.updateOne.bind(messages.rows)
  messages.rows.updateOne = async (...args: Parameters<typeof updateOne>) => {
    delete (messages.rows as any).updateOne
    await messages.resolve(id, 'failed')
    await messages.retryRun('run', { states: ['failed'] }, later(1000))
    await ledger.settle()
    clock.advance(60_000)
    await ledger.settle()
    t.match(await ledger.row(id), { state: 'unknown' }, 'of its second attempt')
    return updateOne(...args)
  }
  await receipts.sweep()
  t.match(await ledger.row(id), { state: 'unknown', msgid: null })
  t.same(await brokenInvariants(ledger), [])
})

t.test('a fact needs no lease, an inference does', async (t) => {
  const at = new Date('2090-03-02T04:00:00Z')
  const item = { row: { _id: 'm' }, hold: { h: 'm.1' }, lease: 't', doubt: true } as Ready
  const line = { at, code: 0, kind: 'answer', latencyMs: 1, rid: null, note: null }
  const facts = { now: at, line, msgid: null, reset: at }
  const fact = outcomeOf(item, { to: 'accepted', by: 'answer', effects: [] }, facts)
  t.same(fact.filter, { _id: 'm', 'hold.h': 'm.1', state: { $in: ['sending', 'unknown'] } })
  const guess = outcomeOf(item, { to: 'accepted', by: 'inferred', effects: [] }, facts)
  t.same(guess.filter, { _id: 'm', 'hold.h': 'm.1', state: 'sending', lease: 't' })
  t.equal(guess.overrule, null)
})

import t from 'tap'
import { answer, brokenInvariants, buildLedger, closeTestStore, noAnswer, notSent } from '../../support/ledger.js'

t.teardown(closeTestStore)

t.test('a message', async (t) => {
  t.test('goes out once on a form and spends it', async (t) => {
    const ledger = await buildLedger(t)
    const ann = await ledger.recipient('ann')
    await ledger.form(ann.id, 'form-of-ann')
    const id = await ledger.plan(ann)
    await ledger.settle()
    const row = await ledger.row(id)
    t.match(row, { state: 'accepted', by: 'answer', attempt: 1, hold: { source: 'form', settled: true }, todo: false })
    t.match(ledger.sent, [{ formId: 'form-of-ann', openId: 'oann' }])
    t.match(await ledger.credentialsOf(ann.id), [{ sendsLeft: 0, held: 0, spent: 1, spentBy: [row.hold!.h] }])
    t.same(await brokenInvariants(ledger), [])
  })

  t.test('planned twice is one', async (t) => {
    const ledger = await buildLedger(t)
    const ann = await ledger.recipient('ann')
    await ledger.form(ann.id)
    const input = ledger.input(ann)
    t.same(await ledger.messages.plan([input]), { planned: 1, duplicates: 0 })
    t.same(await ledger.messages.plan([input, ledger.input(ann)]), { planned: 1, duplicates: 1 })
    await ledger.settle()
    t.equal(ledger.sent.length, 1, 'the second had no right left')
    t.same(await brokenInvariants(ledger), [])
  })

  t.test('takes the right that dies first', async (t) => {
    const ledger = await buildLedger(t)
    const ann = await ledger.recipient('ann')
    await ledger.form(ann.id, 'young')
    await ledger.form(ann.id, 'old-one', new Date(ledger.clock.now().getTime() - 5 * 86_400_000))
    await ledger.plan(ann)
    await ledger.settle()
    t.match(ledger.sent, [{ formId: 'old-one' }])
  })

  t.test('does not take a form with less than ten minutes left', async (t) => {
    const ledger = await buildLedger(t)
    const ann = await ledger.recipient('ann')
    await ledger.form(ann.id, 'dying', new Date(ledger.clock.now().getTime() - 7 * 86_400_000 + 9 * 60_000))
    const id = await ledger.plan(ann)
    await ledger.settle()
    t.match(await ledger.row(id), { state: 'skipped', reason: 'noCredential' })
  })

  t.test('uses a payment three times, ten seconds after it was paid', async (t) => {
    const ledger = await buildLedger(t)
    const ann = await ledger.recipient('ann')
    await ledger.credentials.keep(ledger.account, [
      { id: 'p', recipientId: ann.id, source: 'payment', value: 'wxpaid', result: 'ok', caughtAt: ledger.clock.now() }
    ])
    const early = await ledger.plan(ann)
    await ledger.settle()
    t.match(await ledger.row(early), { state: 'planned', waitingFor: 'credential' })
    ledger.clock.advance(10_000)
    for (let i = 0; i < 4; i++) {
      await ledger.plan(ann, { lane: 'transactional' })
      await ledger.settle()
    }
    t.equal(ledger.sent.filter((each) => each.formId === 'wxpaid').length, 3)
    t.match(await ledger.credentialsOf(ann.id), [{ sendsLeft: 0, spent: 3, held: 0 }])
    t.same(await brokenInvariants(ledger), [])
  })

  t.test('goes to a follower without a right while windows are off, and to nobody else', async (t) => {
    const ledger = await buildLedger(t)
    const fan = await ledger.recipient('fan', ledger.service)
    const stranger = await ledger.people.recipient(ledger.service.id, 'ostranger')
    const one = await ledger.plan(fan, { accountId: ledger.service.id })
    const other = await ledger.plan(stranger, { accountId: ledger.service.id })
    await ledger.settle()
    t.match(await ledger.row(one), { state: 'accepted', msgid: /^\d{19}$/, hold: { cred: null, settled: true } })
    t.match(await ledger.row(other), { state: 'skipped', reason: 'suppressed' })
    t.match(ledger.sent[0], { clientMsgId: `${one}.0` })
  })

  t.test('is skipped without a right, parked when it may wait, and goes when one is captured', async (t) => {
    const ledger = await buildLedger(t)
    const ann = await ledger.recipient('ann')
    const skipped = await ledger.plan(ann)
    const parked = await ledger.plan(ann, { waitForCredential: true })
    await ledger.settle()
    t.match(await ledger.row(skipped), { state: 'skipped', reason: 'noCredential' })
    t.match(await ledger.row(parked), { state: 'planned', parked: true, waitingFor: 'credential' })
    await ledger.form(ann.id)
    await ledger.settle()
    t.match(await ledger.row(parked), { state: 'accepted', parked: false })
    t.same(await brokenInvariants(ledger), [])
  })

  t.test('that waits past its deadline expires, never late', async (t) => {
    const ledger = await buildLedger(t)
    const ann = await ledger.recipient('ann')
    const id = await ledger.plan(ann, {
      waitForCredential: true,
      notAfter: new Date(ledger.clock.now().getTime() + 60_000)
    })
    await ledger.settle()
    ledger.clock.advance(61_000)
    await ledger.form(ann.id)
    await ledger.settle()
    t.match(await ledger.row(id), { state: 'expired' })
    t.equal(ledger.sent.length, 0)
  })

  t.test('can be cancelled while planned, not after', async (t) => {
    const ledger = await buildLedger(t)
    const ann = await ledger.recipient('ann')
    await ledger.form(ann.id)
    const later = await ledger.plan(ann, {
      dueAt: new Date(ledger.clock.now().getTime() + 3_600_000),
      reference: 'order 1'
    })
    t.equal(await ledger.messages.cancelReference(ledger.account.id, 'order 1'), 1)
    await ledger.settle()
    t.match(await ledger.row(later), { state: 'skipped', reason: 'cancelled' })
    const now = await ledger.plan(ann)
    await ledger.settle()
    await t.rejects(ledger.messages.cancel(now), { status: 409 } as any)
    t.same(await brokenInvariants(ledger), [])
  })
})

t.test('an answer that never came', async (t) => {
  t.test('to a form: the same form is asked again, and "used up" means it went', async (t) => {
    const ledger = await buildLedger(t)
    const ann = await ledger.recipient('ann')
    await ledger.form(ann.id, 'one-form')
    await ledger.form(ann.id, 'two-form')
    const answers = [noAnswer(), answer(41029)]
    ledger.wechat(() => answers.shift()!)
    const id = await ledger.plan(ann)
    await ledger.settle()
    t.match(await ledger.row(id), { state: 'sending', hold: { doubt: true } })
    ledger.clock.advance(20_000)
    await ledger.settle()
    t.match(await ledger.row(id), { state: 'accepted', by: 'inferred', attempt: 2 })
    t.same(
      ledger.sent.map((each) => each.formId),
      ['one-form', 'one-form'],
      'never another credential'
    )
    t.same(await brokenInvariants(ledger), [])
  })

  t.test('to a grant: unknown, never again; a receipt or an operator settles it', async (t) => {
    const ledger = await buildLedger(t)
    const ann = await ledger.recipient('ann')
    await ledger.grant(ann.id)
    await ledger.grant(ann.id)
    ledger.wechat(() => noAnswer())
    const id = await ledger.plan(ann, { channel: 'subscribe' })
    await ledger.settle()
    ledger.clock.advance(3_600_000)
    await ledger.settle()
    t.match(await ledger.row(id), { state: 'unknown', reason: 'noAnswer' })
    t.equal(ledger.sent.length, 1)
    t.equal(
      (await ledger.credentialsOf(ann.id)).reduce((n, row) => n + row.held, 0),
      1,
      'its send is neither spent nor free'
    )
    await ledger.messages.resolve(id, 'failed')
    await ledger.settle()
    t.equal(
      (await ledger.credentialsOf(ann.id)).reduce((n, row) => n + row.sendsLeft, 0),
      2
    )
    t.same(await brokenInvariants(ledger), [])
    await t.rejects(ledger.messages.resolve(id, 'accepted'), { status: 409 } as any)
  })

  t.test('to a service message: the same client_msg_id for eight minutes, then unknown', async (t) => {
    const ledger = await buildLedger(t)
    const fan = await ledger.recipient('fan', ledger.service)
    ledger.wechat(() => noAnswer())
    const id = await ledger.plan(fan, { accountId: ledger.service.id })
    for (let i = 0; i < 4; i++) {
      await ledger.settle()
      ledger.clock.advance(60_000)
    }
    const ids = new Set(ledger.sent.map((each) => each.clientMsgId))
    t.equal(ids.size, 1)
    t.ok(ledger.sent.length >= 3)
    ledger.clock.advance(300_000)
    await ledger.settle()
    t.match(await ledger.row(id), { state: 'unknown', reason: 'tooOld' })
  })

  t.test('nobody ever settled is closed after 72 hours, its send counted as used', async (t) => {
    const ledger = await buildLedger(t)
    const ann = await ledger.recipient('ann')
    await ledger.grant(ann.id)
    ledger.wechat(() => noAnswer())
    const id = await ledger.plan(ann, { channel: 'subscribe' })
    await ledger.settle()
    ledger.clock.advance(73 * 3_600_000)
    await ledger.messages.sweep()
    await ledger.settle()
    t.match(await ledger.row(id), { state: 'unknown', closed: true })
    t.match(await ledger.credentialsOf(ann.id), [{ spent: 1, held: 0 }])
    t.same(await brokenInvariants(ledger), [])
  })
})

t.test('refusals', async (t) => {
  t.test('a used-up form is burned and the next one taken', async (t) => {
    const ledger = await buildLedger(t)
    const ann = await ledger.recipient('ann')
    await ledger.form(ann.id, 'spent-elsewhere')
    ledger.clock.advance(1000)
    await ledger.form(ann.id, 'good-one')
    ledger.wechat((input) => answer(input.formId === 'good-one' ? 0 : 41029))
    const id = await ledger.plan(ann)
    await ledger.settle()
    t.match(await ledger.row(id), { state: 'accepted', attempt: 2 })
    t.match(await ledger.credentialsOf(ann.id), [
      { state: 'dead', why: '41029' },
      { state: 'live', spent: 1 }
    ])
    t.equal((await ledger.accounts.get(ledger.account.id)).exclusive, false, 'others spend this account’s forms')
    t.same(await brokenInvariants(ledger), [])
  })

  t.test('43101 burns the grants tapped before, not those after', async (t) => {
    const ledger = await buildLedger(t)
    const ann = await ledger.recipient('ann')
    await ledger.grant(ann.id)
    await ledger.grant(ann.id)
    ledger.clock.advance(1000)
    ledger.wechat(async () => {
      ledger.clock.advance(10)
      await ledger.grant(ann.id) // tapped while the call was under way
      ledger.wechat(() => answer(0))
      return answer(43101)
    })
    const id = await ledger.plan(ann, { channel: 'subscribe' })
    await ledger.settle()
    t.match(await ledger.row(id), { state: 'accepted' })
    const rows = await ledger.credentialsOf(ann.id)
    t.equal(rows.filter((row) => row.state === 'dead').length, 2)
    t.equal(rows.filter((row) => row.spent === 1).length, 1)
    t.same(await brokenInvariants(ledger), [])
  })

  t.test('a fresh payment answered 41028 is left alone for a while, then works', async (t) => {
    const ledger = await buildLedger(t)
    const ann = await ledger.recipient('ann')
    await ledger.payment(ann.id)
    ledger.wechat(() => {
      ledger.wechat(() => answer(0))
      return answer(41028)
    })
    const id = await ledger.plan(ann, { waitForCredential: true })
    await ledger.settle()
    t.match(await ledger.row(id), { state: 'planned', parked: true })
    ledger.clock.advance(30_000)
    await ledger.settle()
    t.match(await ledger.row(id), { state: 'accepted' })
    t.match(await ledger.credentialsOf(ann.id), [{ spent: 1, sendsLeft: 2, held: 0 }])
    t.same(await brokenInvariants(ledger), [])
  })

  t.test('a bad value fails and gives the right back', async (t) => {
    const ledger = await buildLedger(t)
    const ann = await ledger.recipient('ann')
    await ledger.form(ann.id)
    ledger.wechat(() => answer(40037))
    const id = await ledger.plan(ann)
    await ledger.settle()
    t.match(await ledger.row(id), { state: 'failed', code: 40037, by: 'answer' })
    t.match(await ledger.credentialsOf(ann.id), [{ sendsLeft: 1, held: 0, spent: 0 }])
    t.same(await brokenInvariants(ledger), [])
  })

  t.test('45009 waits for the next Chinese day and holds nothing meanwhile', async (t) => {
    const ledger = await buildLedger(t)
    const ann = await ledger.recipient('ann')
    await ledger.form(ann.id)
    ledger.wechat(() => answer(45009))
    const id = await ledger.plan(ann, { notAfter: new Date(ledger.clock.now().getTime() + 3 * 86_400_000) })
    await ledger.settle()
    const row = await ledger.row(id)
    t.match(row, { state: 'planned', waitingFor: 'quota', hold: { settled: true } })
    t.equal(row.due.toISOString(), '2090-03-02T16:00:00.000Z')
    t.match(await ledger.credentialsOf(ann.id), [{ sendsLeft: 1, held: 0 }])
  })

  t.test('trouble on the way keeps the hold and tries again, eight times', async (t) => {
    const ledger = await buildLedger(t)
    const ann = await ledger.recipient('ann')
    await ledger.form(ann.id)
    ledger.wechat(() => notSent())
    const id = await ledger.plan(ann)
    for (let i = 0; i < 12; i++) {
      await ledger.settle()
      ledger.clock.advance(61_000)
    }
    t.match(await ledger.row(id), { state: 'failed', reason: 'notSent', attempt: 8 })
    t.match(await ledger.credentialsOf(ann.id), [{ sendsLeft: 1, held: 0 }])
    t.same(await brokenInvariants(ledger), [])
  })

  t.test('a blocked follower is not written to again until something newer is known', async (t) => {
    const ledger = await buildLedger(t)
    const fan = await ledger.recipient('fan', ledger.service)
    ledger.clock.advance(1000)
    ledger.wechat(() => answer(43004))
    const first = await ledger.plan(fan, { accountId: ledger.service.id })
    await ledger.settle()
    const second = await ledger.plan(fan, { accountId: ledger.service.id })
    await ledger.settle()
    t.match(await ledger.row(first), { state: 'failed', code: 43004 })
    t.match(await ledger.row(second), { state: 'skipped', reason: 'suppressed' })
  })

  t.test('no right here: the fallback is tried, once', async (t) => {
    const ledger = await buildLedger(t)
    const ann = await ledger.people.recipient(ledger.account.id, 'oann', { unionId: 'u-ann' })
    const fan = await ledger.people.recipient(ledger.service.id, 'ofan', { unionId: 'u-ann' })
    await ledger.people.follow(fan.id, true, ledger.clock.now())
    const personId = (await ledger.people.byIds([ann.id])).get(ann.id)!.personId
    const id = await ledger.plan(
      { id: ann.id, personId },
      {
        fallback: [
          {
            accountId: ledger.service.id,
            templateId: 'S',
            data: { thing1: { value: 'y' } },
            open: null,
            channel: 'service'
          }
        ]
      }
    )
    await ledger.settle()
    t.match(await ledger.row(id), { state: 'skipped', reason: 'noCredential', fell: true })
    t.match(ledger.sent, [{ channel: 'service', openId: 'ofan', templateId: 'S' }])
    await ledger.settle()
    t.equal(ledger.sent.length, 1)
    t.same(await brokenInvariants(ledger), [])
  })
})

t.test('caps', async (t) => {
  t.test('three a day for bulk, every message counting; a new day starts afresh', async (t) => {
    const ledger = await buildLedger(t)
    const fan = await ledger.recipient('fan', ledger.service)
    const states = []
    for (let i = 0; i < 5; i++) {
      const id = await ledger.plan(fan, { accountId: ledger.service.id, lane: i < 2 ? 'transactional' : 'bulk' })
      await ledger.settle()
      states.push((await ledger.row(id)).reason ?? 'sent')
    }
    t.same(states, ['sent', 'sent', 'sent', 'capped', 'capped'])
    const transactional = await ledger.plan(fan, { accountId: ledger.service.id })
    await ledger.settle()
    t.match(await ledger.row(transactional), { state: 'accepted' }, 'transactional ones are counted, not stopped')
    ledger.clock.advance(86_400_000)
    const next = await ledger.plan(fan, { accountId: ledger.service.id, lane: 'bulk' })
    await ledger.settle()
    t.match(await ledger.row(next), { state: 'accepted' })
  })

  t.test('a message that did not go gives its place back', async (t) => {
    const ledger = await buildLedger(t)
    const fan = await ledger.recipient('fan', ledger.service)
    ledger.wechat(() => answer(47003))
    for (let i = 0; i < 3; i++) await ledger.plan(fan, { accountId: ledger.service.id, lane: 'bulk' })
    await ledger.settle()
    ledger.wechat(() => answer(0))
    const id = await ledger.plan(fan, { accountId: ledger.service.id, lane: 'bulk' })
    await ledger.settle()
    t.match(await ledger.row(id), { state: 'accepted' })
  })
})

t.test('a process that dies', async (t) => {
  for (const [where, state] of [
    ['after the lease', { state: 'planned', lease: 'dead', n: 1 }],
    ['after naming its hold', { state: 'held', lease: 'dead', n: 1 }],
    ['after the mark', { state: 'sending', lease: 'dead', n: 1 }]
  ] as const) {
    t.test(`${where}: the next lease goes on, one message and one send`, async (t) => {
      const ledger = await buildLedger(t)
      const ann = await ledger.recipient('ann')
      await ledger.form(ann.id, 'only-form')
      const id = await ledger.plan(ann)
      const [credential] = await ledger.credentialsOf(ann.id)
      const due = new Date(ledger.clock.now().getTime() + 60_000)
      const h = `${id}.1`
      await ledger.credentials.rows.updateOne(
        { _id: credential!._id },
        { $set: { sendsLeft: 0, held: 1, holds: [h], heldAt: ledger.clock.now() } }
      )
      const hold =
        state.state === 'planned' ? null : { cred: credential!._id, h, source: 'form' as const, doubt: false }
      await ledger.messages.rows.updateOne(
        { _id: id },
        {
          $set: {
            ...state,
            due,
            hold,
            ...(state.state === 'sending'
              ? { sentAt: ledger.clock.now(), firstSentAt: ledger.clock.now(), attempt: 1 }
              : {})
          }
        }
      )
      ledger.restart()
      await ledger.settle()
      t.equal(ledger.sent.length, 0, 'not before the lease is over')
      ledger.clock.advance(61_000)
      if (state.state === 'sending') ledger.wechat(() => answer(41029)) // it had gone out
      await ledger.settle()
      t.match(await ledger.row(id), { state: 'accepted', by: state.state === 'sending' ? 'inferred' : 'answer' })
      t.equal(ledger.sent.length, 1)
      t.match(await ledger.credentialsOf(ann.id), [{ sendsLeft: 0, held: 0, spent: 1 }])
      t.same(await brokenInvariants(ledger), [])
    })
  }

  t.test('between the verdict and its consequences: the follower does them, twice is once', async (t) => {
    const ledger = await buildLedger(t)
    const ann = await ledger.recipient('ann')
    await ledger.form(ann.id)
    const id = await ledger.plan(ann)
    await ledger.messages.pumps.drain(ledger.account.id)
    ledger.restart()
    const before = await ledger.row(id)
    t.match(before, { state: 'accepted', todo: true })
    await Promise.all([
      ledger.messages.follower.drain(ledger.account.id),
      ledger.messages.follower.drain(ledger.account.id)
    ])
    t.match(await ledger.row(id), { todo: false, hold: { settled: true } })
    t.same(await brokenInvariants(ledger), [])
  })

  t.test('with a batch written down and half applied: it is applied again, counted once', async (t) => {
    const ledger = await buildLedger(t)
    const fan = await ledger.recipient('fan', ledger.service)
    for (let i = 0; i < 5; i++) await ledger.plan(fan, { accountId: ledger.service.id })
    await ledger.messages.follower.step(ledger.service.id)
    const tallies = ledger.db.collection('tallies')
    // the batch comes back, as if the process had died right after F4
    const row = await tallies.findOne({ _id: ledger.service.id as never })
    const rows = await ledger.messages.rows.find({ accountId: ledger.service.id }).toArray()
    await tallies.updateOne(
      { _id: ledger.service.id as never },
      {
        $set: {
          N: row!.N,
          minute: new Date(Math.floor(ledger.clock.now().getTime() / 60_000) * 60_000),
          batch: rows.map((each) => ({
            id: each._id,
            seq: each.seq,
            run: null,
            campaign: null,
            template: each.templateId,
            from: null,
            to: 'open'
          }))
        }
      }
    )
    await ledger.messages.follower.drain(ledger.service.id)
    t.same(await brokenInvariants(ledger), [])
  })

  t.test('with a hold nobody named: the sweep returns it after five minutes', async (t) => {
    const ledger = await buildLedger(t)
    const ann = await ledger.recipient('ann')
    await ledger.form(ann.id)
    const [credential] = await ledger.credentialsOf(ann.id)
    await ledger.credentials.rows.updateOne(
      { _id: credential!._id },
      { $set: { sendsLeft: 0, held: 1, holds: ['gone.1'], heldAt: ledger.clock.now() } }
    )
    t.same(await ledger.messages.sweep(), { orphans: 0, closed: 0 })
    ledger.clock.advance(6 * 60_000)
    t.same(await ledger.messages.sweep(), { orphans: 1, closed: 0 })
    t.match(await ledger.credentialsOf(ann.id), [{ sendsLeft: 1, held: 0, holds: [] }])
  })
})

t.test('two workers at once send each message once and share no right', async (t) => {
  const ledger = await buildLedger(t)
  const people = await Promise.all(Array.from({ length: 40 }, (_, i) => ledger.recipient(`p${i}`)))
  for (const person of people) {
    await ledger.form(person.id)
    for (let i = 0; i < 2; i++) await ledger.plan(person)
  }
  const other = { ...ledger.messages }
  ledger.restart()
  await Promise.all([other.settleAll(), ledger.settle()])
  await ledger.settle()
  ledger.clock.advance(5000)
  await ledger.settle()
  const sent = ledger.sent.map((each) => each.formId)
  t.equal(sent.length, 40)
  t.equal(new Set(sent).size, 40)
  t.same(await brokenInvariants(ledger), [])
})

t.test('a paused account sends nothing and goes on where it was', async (t) => {
  const ledger = await buildLedger(t)
  const ann = await ledger.recipient('ann')
  await ledger.form(ann.id)
  await ledger.accounts.pause(ledger.account.id)
  await ledger.messages.halt(ledger.account.id, true)
  const id = await ledger.plan(ann)
  await ledger.settle()
  t.match(await ledger.row(id), { state: 'planned' })
  await ledger.accounts.resume(ledger.account.id)
  await ledger.messages.halt(ledger.account.id, false)
  await ledger.settle()
  t.match(await ledger.row(id), { state: 'accepted' })
})

t.test('a run', async (t) => {
  const open = (ledger: Awaited<ReturnType<typeof buildLedger>>) =>
    ledger.messages.runs.open({
      id: 'run1',
      campaignId: 'c1',
      accountId: ledger.service.id,
      templateId: 'T',
      lane: 'bulk',
      instant: ledger.clock.now(),
      notAfter: new Date(ledger.clock.now().getTime() + 86_400_000),
      snapshot: {}
    })
  t.test('is finished when all is counted, its counts equal to its rows', async (t) => {
    const ledger = await buildLedger(t)
    await open(ledger)
    for (let i = 0; i < 10; i++) {
      const fan = await ledger.recipient(`fan${i}`, ledger.service)
      await ledger.plan(fan, {
        accountId: ledger.service.id,
        runId: 'run1',
        campaignId: 'c1',
        lane: 'bulk',
        ...(i === 0 ? { skip: { reason: 'missingVariable' as const } } : {})
      })
    }
    await ledger.messages.runs.checkpoint('run1', { from: null, to: null, born: 0, again: false })
    await ledger.settle()
    t.match(await ledger.messages.runs.get('run1'), { state: 'finished' })
    t.same(await ledger.messages.runs.counts('run1'), {
      total: 10,
      byState: { skipped: 1, accepted: 9 },
      byReason: { missingVariable: 1 },
      opened: 0
    })
    t.same(await brokenInvariants(ledger), [])
  })

  t.test('that is paused waits; cancelled, its rows end as cancelled', async (t) => {
    const ledger = await buildLedger(t)
    await open(ledger)
    const fan = await ledger.recipient('fan', ledger.service)
    const id = await ledger.plan(fan, { accountId: ledger.service.id, runId: 'run1', campaignId: 'c1' })
    await ledger.messages.runs.setPaused('c1', true)
    await ledger.settle()
    t.match(await ledger.row(id), { state: 'planned' })
    await ledger.messages.cancelRuns('c1')
    await ledger.settle()
    t.match(await ledger.row(id), { state: 'skipped', reason: 'cancelled' })
    t.equal(ledger.sent.length, 0)
  })

  t.test('goes once more for what failed, never for what may have gone', async (t) => {
    const ledger = await buildLedger(t)
    await open(ledger)
    const fan = await ledger.recipient('fan', ledger.service)
    ledger.wechat(() => answer(47003))
    const id = await ledger.plan(fan, { accountId: ledger.service.id, runId: 'run1', campaignId: 'c1' })
    await ledger.messages.runs.checkpoint('run1', { from: null, to: null, born: 0, again: false })
    await ledger.settle()
    ledger.wechat(() => answer(0))
    const until = new Date(ledger.clock.now().getTime() + 3_600_000)
    t.equal(
      await ledger.messages.retryRun('run1', { states: ['failed', 'unknown', 'accepted'], errcodes: [47003] }, until),
      1
    )
    await ledger.settle()
    t.match(await ledger.row(id), { state: 'accepted' })
    t.equal(await ledger.messages.retryRun('run1', { states: ['accepted', 'unknown'] }, until), 0)
    t.same(await brokenInvariants(ledger), [])
  })

  t.test('goes once more without what is not fit to be sent, nor what somebody cancelled', async (t) => {
    const ledger = await buildLedger(t)
    await open(ledger)
    const fan = await ledger.recipient('fan', ledger.service)
    const plan = (reason: 'missingVariable' | 'invalidValue' | 'cancelled' | 'suppressed') =>
      ledger.plan(fan, { accountId: ledger.service.id, runId: 'run1', campaignId: 'c1', skip: { reason } })
    const [hole, , cancelled, suppressed] = [
      await plan('missingVariable'),
      await plan('invalidValue'),
      await plan('cancelled'),
      await plan('suppressed')
    ]
    await ledger.messages.runs.checkpoint('run1', { from: null, to: null, born: 0, again: false })
    await ledger.settle()
    const until = new Date(ledger.clock.now().getTime() + 3_600_000)
    const retry = (reasons?: string[]) =>
      ledger.messages.retryRun('run1', { states: ['skipped'], ...(reasons && { reasons }) }, until)
    t.equal(await retry(), 1)
    t.equal(await retry(['missingVariable', 'invalidValue', 'systemFailed']), 0)
    t.equal(await retry(['cancelled']), 1)
    await ledger.settle()
    t.match(await ledger.row(hole), { state: 'skipped' })
    t.match(await ledger.row(cancelled), { state: 'accepted' })
    t.match(await ledger.row(suppressed), { state: 'accepted' })
    t.same(await brokenInvariants(ledger), [])
  })
})

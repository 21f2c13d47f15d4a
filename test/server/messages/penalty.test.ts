import t from 'tap'
import { answer, brokenInvariants, buildLedger, closeTestStore, noAnswer } from '../../support/ledger.js'
import { DAY_MS, NEVER } from '../../../shared/limits.js'
import { handBackOf } from '../../../server/messages/marking.js'
import type { Ready } from '../../../server/messages/ready.js'

t.teardown(closeTestStore)

t.test('an interface that is punished', async (t) => {
  const ledger = await buildLedger(t)
  const people = await Promise.all(['a', 'b', 'c'].map((name) => ledger.recipient(name)))
  const [first, second, third] = people as [(typeof people)[0], (typeof people)[0], (typeof people)[0]]
  for (const { id } of people) await ledger.form(id)
  const life = { notAfter: new Date(ledger.clock.now().getTime() + 6 * DAY_MS) }
  ledger.wechat(() => answer(45102))
  const met = await ledger.plan(first, life)
  await ledger.settle()
  t.match(await ledger.row(met), { state: 'failed', code: 45102 })
  const { penalty } = await ledger.accounts.get(ledger.account.id)
  t.match(penalty, { offences: 0, api: 'legacy', note: /^WeChat answered 45102 \(legacy\)/ })
  t.equal(penalty?.blockedUntil?.toISOString(), new Date(ledger.clock.now().getTime() + DAY_MS).toISOString())

  ledger.wechat(() => answer(0))
  const held = await ledger.plan(second, life)
  const short = await ledger.plan(third)
  const sent = ledger.sent.length
  await ledger.settle()
  t.match(await ledger.row(held), { state: 'planned', waitingFor: 'penalty', hold: null })
  t.equal((await ledger.row(held)).due.toISOString(), penalty?.blockedUntil?.toISOString())
  t.match(await ledger.credentialsOf(second.id), [{ sendsLeft: 1, held: 0 }], 'the right is untouched')
  t.equal(ledger.sent.length, sent)

  const grant = await ledger.recipient('d')
  await ledger.grant(grant.id)
  const elsewhere = await ledger.plan(grant, { channel: 'subscribe' })
  await ledger.settle()
  t.match(await ledger.row(elsewhere), { state: 'accepted' }, 'the other interface goes on')

  ledger.clock.advance(DAY_MS)
  await ledger.settle()
  t.match(await ledger.row(held), { state: 'accepted' }, 'it is over by itself')
  t.match(await ledger.row(short), { state: 'expired' }, 'nothing is sent late')
  t.same(await brokenInvariants(ledger), [])
})

t.test('formIds that are punished', async (t) => {
  const ledger = await buildLedger(t)
  const names = ['met', 'poor', 'paid', 'none']
  const people = await Promise.all(names.map((name) => ledger.recipient(name)))
  const [met, poor, paid, none] = people as [
    (typeof people)[0],
    (typeof people)[0],
    (typeof people)[0],
    (typeof people)[0]
  ]
  await ledger.payment(paid.id)
  for (const { id } of [met, poor, paid]) await ledger.form(id)
  ledger.wechat(({ formId }) => answer(formId?.startsWith('form') === true ? 41032 : 0))
  const ids = [await ledger.plan(met)]
  await ledger.settle()
  t.match((await ledger.accounts.get(ledger.account.id)).punished, { api: 'form', offences: 2 })
  for (const each of [poor, paid, none]) ids.push(await ledger.plan(each))
  await ledger.settle()
  const told = (await Promise.all(ids.map((id) => ledger.row(id)))).map(({ state, reason, waitingFor }) =>
    [state, reason ?? waitingFor].join(' ')
  )
  t.same(told, ['planned penalty', 'planned penalty', 'accepted ', 'skipped noCredential'])
  t.equal((await ledger.row(ids[2]!)).hold?.source, 'payment', 'payments may still work')
  const rights = (await Promise.all([met, poor].map(({ id }) => ledger.credentialsOf(id)))).flat()
  t.match(rights, [
    { state: 'live', sendsLeft: 1, held: 0 },
    { state: 'live', sendsLeft: 1, held: 0 }
  ])
  t.equal(ledger.sent.filter(({ formId }) => formId?.startsWith('form')).length, 1, 'one message found out for all')

  ledger.wechat(() => answer(0))
  await ledger.accounts.patch(ledger.account.id, { penalty: null })
  await ledger.messages.loosen(ledger.account.id, 'penalty')
  await ledger.settle()
  t.match(await ledger.row(ids[0]!), { state: 'accepted' }, 'lifted by an operator')
  t.match(await ledger.row(ids[1]!), { state: 'accepted' })
  t.same(await brokenInvariants(ledger), [])
})

t.test('what may be out already waits with its right', async (t) => {
  const ledger = await buildLedger(t)
  const one = await ledger.recipient('one')
  await ledger.form(one.id)
  ledger.wechat(() => noAnswer())
  const id = await ledger.plan(one)
  await ledger.settle()
  const blockedUntil = new Date(ledger.clock.now().getTime() + 3_600_000)
  await ledger.accounts.patch(ledger.account.id, {
    penalty: { offences: 2, blockedUntil, api: 'legacy', note: 'told by mail' }
  })
  ledger.wechat(() => answer(0))
  ledger.clock.advance(60_000)
  await ledger.settle()
  t.match(await ledger.row(id), { state: 'sending', hold: { doubt: true } })
  t.ok((await ledger.row(id)).due < blockedUntil, 'it looks again before its deadline, however long the penalty')
  t.match(await ledger.credentialsOf(one.id), [{ held: 1 }])
  ledger.clock.advance(3_600_000)
  await ledger.settle()
  t.match(await ledger.row(id), { state: 'accepted' })
})

t.test('a penalty meets messages in the queue: none of them fires', async (t) => {
  const ledger = await buildLedger(t)
  await ledger.accounts.patch(ledger.account.id, { limits: { perSecond: 20, inFlight: 1 } })
  const ids: string[] = []
  for (let i = 0; i < 30; i++) {
    const each = await ledger.recipient(`q${i}`)
    await ledger.form(each.id)
    ids.push(await ledger.plan(each))
  }
  ledger.wechat(() => answer(48004))
  await ledger.settle()
  const states = (await Promise.all(ids.map((id) => ledger.row(id)))).map(
    ({ state, waitingFor }) => `${state} ${waitingFor}`
  )
  const failed = states.filter((state) => state.startsWith('failed')).length
  t.ok(failed < 20, `${failed} of 30 met it`)
  t.equal(states.filter((state) => state === 'planned penalty').length, 30 - failed)
  t.match((await ledger.accounts.get(ledger.account.id)).penalty, { offences: 2 }, 'one offence')
  t.same(await brokenInvariants(ledger), [])
})

t.test('a message in doubt that is handed back looks again before it is too late', async (t) => {
  const now = new Date('2090-03-02T04:00:00Z')
  const notAfter = new Date('2090-03-02T05:00:00Z')
  const item = { row: { _id: 'm', notAfter }, lease: 'l', doubt: true, marked: false } as Ready
  const { update } = (handBackOf('a', item, now, NEVER, 'penalty') as { updateOne: { update: any } }).updateOne
  t.equal(update.$set.due.toISOString(), notAfter.toISOString())
})

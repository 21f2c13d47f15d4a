import t from 'tap'
import { tokenStorm } from '../../../server/wechat/token-failures.js'
import { brokenInvariants, buildLedger, closeTestStore } from '../../support/ledger.js'

t.teardown(closeTestStore)

t.test('messages of an account whose tokens are refused rest until the next try', async (t) => {
  const ledger = await buildLedger(t)
  const person = await ledger.recipient('a')
  await ledger.form(person.id)
  const until = new Date(ledger.clock.now().getTime() + 300_000)
  ledger.noToken = tokenStorm(ledger.account.id, until, true)
  const id = await ledger.plan(person)
  await ledger.settle()
  const row = await ledger.row(id)
  t.match(row, { state: 'planned', lease: null, attempt: 0, waitingFor: 'quota' })
  t.equal(row.due.toISOString(), until.toISOString())
  t.match(await ledger.credentialsOf(person.id), [{ sendsLeft: 1, held: 0 }], 'the right is untouched')
  t.equal(ledger.tokenAsked, 1)

  ledger.clock.advance(299_000)
  await ledger.settle()
  t.equal(ledger.tokenAsked, 1, 'nobody looks at it before')
  ledger.clock.advance(2_000)
  ledger.noToken = null
  await ledger.settle()
  t.match(await ledger.row(id), { state: 'accepted' })

  t.test('or until somebody has given the account another secret, or the other kind of token', async (t) => {
    await ledger.form(person.id)
    ledger.noToken = tokenStorm(ledger.account.id, new Date(ledger.clock.now().getTime() + 300_000), false)
    const next = await ledger.plan(person)
    await ledger.settle()
    t.match(await ledger.row(next), { state: 'planned' })
    ledger.noToken = null
    await ledger.messages.loosen(ledger.account.id, 'quota')
    await ledger.settle()
    t.match(await ledger.row(next), { state: 'accepted' })
  })
  t.same(await brokenInvariants(ledger), [])
})

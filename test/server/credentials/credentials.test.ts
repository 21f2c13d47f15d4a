import t from 'tap'
import {
  caughtOnOurClock,
  marginMs,
  policyOf,
  POLICIES,
  refusalOf,
  sourcesOf,
  worth
} from '../../../server/credentials/terms.js'
import { NEVER } from '../../../shared/limits.js'
import { brokenInvariants, buildLedger, closeTestStore } from '../../support/ledger.js'

t.teardown(closeTestStore)

const noon = new Date('2026-03-02T12:00:00Z')
const daysBefore = (days: number) => new Date(noon.getTime() - days * 86_400_000)

t.test('a form id', async (t) => {
  t.test('is worth one send until seven days after it was caught', async (t) => {
    t.same(worth(POLICIES.form, daysBefore(6), noon), { sends: 1, expiresAt: daysBefore(-1) })
    t.equal(worth(POLICIES.form, daysBefore(7), noon), null)
  })
  t.test('gains nothing from a phone whose clock runs ahead', async (t) => {
    t.same(worth(POLICIES.form, daysBefore(-2), noon), worth(POLICIES.form, noon, noon))
    t.same(caughtOnOurClock(noon, daysBefore(-400), daysBefore(-399)), daysBefore(1), 'only the age counts')
    t.same(caughtOnOurClock(noon, daysBefore(1), daysBefore(0)), noon, 'a negative age is none')
  })
})

t.test('what sources are worth', async (t) => {
  t.same(worth(POLICIES.payment, noon, noon), { sends: 3, expiresAt: daysBefore(-7) })
  t.same(worth(POLICIES.grant, noon, noon), { sends: 1, expiresAt: NEVER })
  t.same(worth(POLICIES.longTermGrant, noon, noon), { sends: null, expiresAt: NEVER })
  t.same(sourcesOf('legacy'), ['form', 'payment'])
  t.same(sourcesOf('subscribe'), ['grant', 'longTermGrant'])
  t.equal(marginMs('form'), 600_000)
  t.equal(policyOf('form', { form: { enabled: false } }), null)
  t.match(policyOf('form', { form: { lifeMs: 5 * 86_400_000 } }), { sends: 1, lifeMs: 5 * 86_400_000 })
})

t.test('what is refused at the door', async (t) => {
  const form = (value: string, mock = false) => refusalOf({ source: 'form', value }, mock)
  const table: [string, string | null][] = [
    ['the formId is a mock one', 'mock'],
    ['the formId is subscribe mock one', 'mock'],
    ['the formId is no longer available in develop or trial version of this mini program', 'retired'],
    ['requestFormId:fail deprecated', 'retired'],
    ['requestFormId:fail timeout', 'failed'],
    ['', 'malformed'],
    ['undefined id with spaces', 'malformed'],
    ['9f86d081884c7d659a2feaa0c55ad015', null]
  ]
  for (const [value, wanted] of table) t.equal(form(value), wanted, value)
  t.equal(form('the formId is a mock one', true), null, 'accounts in mode sandbox take mocks')
  t.equal(refusalOf({ source: 'payment', value: 'prepay_id=wx1', result: 'ok' }, false), 'malformed')
  t.equal(refusalOf({ source: 'payment', value: 'wx12345', result: 'requestPayment:fail cancel' }, false), 'failed')
  t.equal(refusalOf({ source: 'grant', templateId: 'T', result: 'reject' }, false), 'rejected')
  t.equal(refusalOf({ source: 'grant', templateId: 'T', result: 'acceptWithAudio' }, false), null)
  t.equal(refusalOf({ source: 'grant', result: 'accept' }, false), 'malformed')
})

t.test('keeping', async (t) => {
  t.test('a batch with bad ones stores the good ones, and everything is a duplicate the second time', async (t) => {
    const ledger = await buildLedger(t)
    const ann = await ledger.recipient('ann')
    const caughtAt = ledger.clock.now()
    const batch = [
      { id: '1', source: 'form' as const, value: 'good-form-id' },
      { id: '2', source: 'form' as const, value: 'the formId is a mock one' },
      { id: '3', source: 'payment' as const, value: 'wxgood', result: 'ok' },
      { id: '4', source: 'grant' as const, templateId: 'T', result: 'accept' },
      { id: '5', source: 'grant' as const, templateId: 'T', result: 'reject' },
      { id: '6', source: 'form' as const, value: 'good-form-id' }
    ].map((item) => ({ ...item, recipientId: ann.id, caughtAt }))
    t.same(await ledger.credentials.keep(ledger.account, batch), [
      { id: '1', verdict: 'stored' },
      { id: '2', verdict: 'refused', reason: 'mock' },
      { id: '3', verdict: 'stored' },
      { id: '4', verdict: 'stored' },
      { id: '5', verdict: 'refused', reason: 'rejected' },
      { id: '6', verdict: 'duplicate' }
    ])
    const again = await ledger.credentials.keep(ledger.account, batch)
    t.same(
      again.map((each) => each.verdict),
      ['duplicate', 'refused', 'duplicate', 'duplicate', 'refused', 'duplicate']
    )
    t.equal((await ledger.credentialsOf(ann.id)).length, 3)
    t.notOk(JSON.stringify(await ledger.credentialsOf(ann.id)).includes('good-form-id'), 'the value is sealed')
  })

  t.test('two taps are two grants, and a long-term template is one right however often', async (t) => {
    const ledger = await buildLedger(t, {
      grantType: async (_account, id) => (id === 'L' ? 'longTerm' : id === 'T' ? 'once' : null)
    })
    const ann = await ledger.recipient('ann')
    await ledger.grant(ann.id)
    await ledger.grant(ann.id)
    await ledger.grant(ann.id, 'L')
    ledger.clock.advance(1000)
    await ledger.grant(ann.id, 'L')
    const rows = await ledger.credentialsOf(ann.id)
    t.equal(rows.filter((row) => row.source === 'grant').length, 2)
    t.equal(rows.filter((row) => row.source === 'longTermGrant').length, 1)
    t.same(await ledger.grant(ann.id, 'nobody'), [
      {
        id: (await ledger.grant(ann.id, 'nobody'))[0]!.id.replace(/\d+$/, (n) => String(Number(n) - 1)),
        verdict: 'refused',
        reason: 'unknownTemplate'
      }
    ])
  })

  t.test('mock ids of one account in mode sandbox are each a right of their own', async (t) => {
    const ledger = await buildLedger(t)
    const ann = await ledger.recipient('ann')
    const account = { ...ledger.account, mode: 'sandbox' as const }
    const mock = (id: string) => ({
      id,
      recipientId: ann.id,
      source: 'form' as const,
      value: 'the formId is a mock one',
      caughtAt: ledger.clock.now()
    })
    t.same(
      (await ledger.credentials.keep(account, [mock('a'), mock('b'), mock('a')])).map((each) => each.verdict),
      ['stored', 'stored', 'duplicate']
    )
  })
})

t.test('a payment that waits for its confirmation', async (t) => {
  const pending = { id: 'p', source: 'payment' as const, value: 'wxpending', result: 'pending', orderId: 'order-1' }
  for (const order of ['phone first', 'backend first'] as const) {
    t.test(`${order}: it lives, ten seconds after we know`, async (t) => {
      const ledger = await buildLedger(t)
      const ann = await ledger.recipient('ann')
      const phone = () =>
        ledger.credentials.keep(ledger.account, [{ ...pending, recipientId: ann.id, caughtAt: ledger.clock.now() }])
      const backend = () =>
        ledger.credentials.confirm(ledger.account, { orderId: 'order-1', paidAt: ledger.clock.now() })
      if (order === 'phone first') {
        await phone()
        t.match(await ledger.credentialsOf(ann.id), [{ state: 'pending' }])
        t.equal(await backend(), 1)
        t.equal(await backend(), 0, 'once')
      } else {
        t.equal(await backend(), 0)
        await phone()
      }
      t.match(await ledger.credentialsOf(ann.id), [{ state: 'live', sendsLeft: 3 }])
      ledger.clock.advance(10_000)
      const id = await ledger.plan(ann)
      await ledger.settle()
      t.match(await ledger.row(id), { state: 'accepted' })
      const [row] = await ledger.credentialsOf(ann.id)
      t.ok(row!.expiresAt.getTime() > ledger.clock.now().getTime() + 6 * 86_400_000, 'for its seven days')
    })
  }
  t.test('handed in again as paid lives too', async (t) => {
    const ledger = await buildLedger(t)
    const ann = await ledger.recipient('ann')
    const keep = (result: string) =>
      ledger.credentials.keep(ledger.account, [
        { ...pending, result, recipientId: ann.id, caughtAt: ledger.clock.now() }
      ])
    await keep('pending')
    t.match(await keep('ok'), [{ verdict: 'duplicate' }])
    t.match(await ledger.credentialsOf(ann.id), [{ state: 'live', sendsLeft: 3 }])
  })
  t.test('nobody confirmed is worth nothing after two hours', async (t) => {
    const ledger = await buildLedger(t)
    const ann = await ledger.recipient('ann')
    await ledger.credentials.keep(ledger.account, [{ ...pending, recipientId: ann.id, caughtAt: ledger.clock.now() }])
    const id = await ledger.plan(ann)
    await ledger.settle()
    t.match(await ledger.row(id), { state: 'skipped', reason: 'noCredential' })
  })
})

t.test('32 claimers on one person’s 100 sends end with exactly 100 holds', async (t) => {
  const ledger = await buildLedger(t)
  const ann = await ledger.recipient('ann')
  for (let i = 0; i < 100; i++) await ledger.form(ann.id, `form-of-a-hundred-${i}`)
  let won = 0
  const claimer = async (name: number) => {
    for (let i = 0; ; i++) {
      const m = `claimer${name}x${i}`
      const answers = await ledger.credentials.holds.hold([
        { m, n: 1, accountId: ledger.account.id, recipientId: ann.id, channel: 'legacy', templateId: 'T', leave: 0 }
      ])
      const answer = answers.get(m)
      if (answer === 'none') return
      if (answer !== 'busy') won += 1
    }
  }
  await Promise.all(Array.from({ length: 32 }, (_, name) => claimer(name)))
  const rows = await ledger.credentialsOf(ann.id)
  t.equal(won, 100)
  t.equal(
    rows.reduce((n, row) => n + row.holds.length, 0),
    100
  )
  t.ok(rows.every((row) => row.sendsLeft === 0 && row.held === 1))
  t.equal(new Set(rows.flatMap((row) => row.holds)).size, 100)
})

t.test('letting go, each twice, ends as once', async (t) => {
  const ledger = await buildLedger(t)
  const ann = await ledger.recipient('ann')
  const want = (m: string) => ({
    m,
    n: 1,
    accountId: ledger.account.id,
    recipientId: ann.id,
    channel: 'legacy' as const,
    templateId: 'T',
    leave: 0
  })
  const end = async (m: string, release: 'spend' | 'refund' | 'burn' | 'defer' | 'return') => {
    const held = (await ledger.credentials.holds.hold([want(m)])).get(m)
    if (held === undefined || typeof held === 'string' || 'from' in held)
      throw new Error(`no hold: ${JSON.stringify(held)}`)
    const letting = {
      accountId: ledger.account.id,
      recipientId: ann.id,
      templateId: 'T',
      credentialId: held.credentialId,
      source: held.source,
      h: held.h,
      release,
      asOf: null,
      why: null
    }
    await ledger.credentials.holds.letGo([letting])
    await ledger.credentials.holds.letGo([letting])
    const row = (await ledger.credentials.byId(held.credentialId))!
    return { state: row.state, sendsLeft: row.sendsLeft, held: row.held, spent: row.spent, letting, row }
  }
  await ledger.payment(ann.id)
  t.match(await end('a', 'refund'), { sendsLeft: 3, held: 0, spent: 0 })
  const spent = await end('b', 'spend')
  t.match(spent, { sendsLeft: 2, held: 0, spent: 1 })
  await ledger.credentials.holds.letGo([{ ...spent.letting, release: 'return' }])
  await ledger.credentials.holds.letGo([{ ...spent.letting, release: 'return' }])
  t.match(
    await ledger.credentials.byId(spent.row._id),
    { sendsLeft: 3, held: 0, spent: 0 },
    'a system failure gives it back'
  )
  const deferred = await end('c', 'defer')
  t.match(deferred, { sendsLeft: 3, held: 0 })
  t.ok(deferred.row.notBefore > ledger.clock.now())
  ledger.clock.advance(60_000)
  t.match(await end('d', 'burn'), { state: 'dead', held: 0 })
  t.same(
    await ledger.credentials.holds.hold([want('e')]).then((answers) => answers.get('e')),
    'none',
    'nothing revives it'
  )
  t.same(await brokenInvariants(ledger), [])
})

t.test('a reserve for transactional messages is not touched by bulk ones', async (t) => {
  const ledger = await buildLedger(t)
  const ann = await ledger.recipient('ann')
  await ledger.form(ann.id)
  await ledger.form(ann.id)
  const hold = async (m: string, leave: number) =>
    (
      await ledger.credentials.holds.hold([
        { m, n: 1, accountId: ledger.account.id, recipientId: ann.id, channel: 'legacy', templateId: 'T', leave }
      ])
    ).get(m)
  t.type(await hold('bulk1', 1), 'object')
  t.equal(await hold('bulk2', 1), 'none')
  t.type(await hold('order', 0), 'object')
})

t.test('what expired unused is waste, by the page that caught it', async (t) => {
  const ledger = await buildLedger(t)
  const { account, clock, credentials } = ledger
  const ann = await ledger.recipient('ann')
  const catchAt = (place: string | undefined, value: string, more: object = {}) =>
    credentials.keep(account, [
      {
        id: value,
        recipientId: ann.id,
        source: 'form' as const,
        value,
        caughtAt: clock.now(),
        ...(place !== undefined && { place }),
        ...more
      }
    ])
  await catchAt('cart', 'form-1')
  await catchAt('cart', 'form-2')
  await catchAt('order', 'form-3')
  await catchAt(undefined, 'form-4')
  await catchAt('order', 'wx-never-paid', { source: 'payment', result: 'pending', orderId: 'o1' })
  await ledger.plan(ann)
  await ledger.settle()
  const wasted = async () =>
    Object.fromEntries(
      ((await credentials.stats(account.id, ['place'])) as { place: string | null; wasted: number }[]).map(
        ({ place, wasted }) => [place ?? 'nowhere', wasted]
      )
    )
  t.same(await wasted(), { cart: 0, order: 0, nowhere: 0 }, 'as long as they live')
  clock.advance(8 * 86_400_000)
  const said = await wasted()
  t.equal(said.cart! + said.order! + said.nowhere!, 3, 'of four one was sent with; an order nobody paid was no right')
  t.same([said.order! <= 1, said.cart! <= 2, said.nowhere! <= 1], [true, true, true])
  const days = (await credentials.stats(account.id, ['source', 'day', 'place'])) as { day: string; source: string }[]
  t.ok(days.some(({ day, source }) => day === '2090-03-02' && source === 'form'))
})

import t from 'tap'
import fc from 'fast-check'
import { funnelOf, noFigures, addFigures } from '../../../server/messages/funnel.js'
import { createReceipts } from '../../../server/receipts/receipts.js'
import { createVerify } from '../../../server/reports/verify.js'
import { silentLog } from '../../../server/platform/log.js'
import type { MessageRow } from '../../../server/messages/model.js'
import { answer, brokenInvariants, buildLedger, closeTestStore, noAnswer, notSent } from '../../support/ledger.js'

t.teardown(closeTestStore)

/** HONGYAN_HISTORIES and HONGYAN_HISTORY_SEED explore further. */
const HISTORIES = Number(process.env.HONGYAN_HISTORIES ?? 8)
const SEED = Number(process.env.HONGYAN_HISTORY_SEED ?? 3)
const RUNS = ['run-a', 'run-b']
const CODES = [0, 0, 0, 0, -1, 40003, 41028, 41029, 43101, 43004, 47003, 43117]

/** Two runs (of the mini-program and of the service account), people of both, and somebody to compare counts with rows. */
async function arranged(t: Parameters<typeof buildLedger>[0]) {
  const ledger = await buildLedger(t)
  const { db, clock, sealer, people, messages, account, service } = ledger
  const receipts = createReceipts({ db, clock, sealer, people, messages })
  await receipts.ready()
  for (const id of RUNS) await open(id)
  await messages.runs.rows.updateMany({}, { $set: { state: 'sending' } })
  const verify = createVerify({ clock, log: silentLog(), messages })

  async function open(id: string) {
    const of = id === 'run-a' ? account : service
    await messages.runs.open({
      id,
      campaignId: `campaign of ${id}`,
      accountId: of.id,
      templateId: 'T',
      lane: 'bulk',
      instant: clock.now(),
      notAfter: new Date(clock.now().getTime() + 7 * 86_400_000),
      snapshot: null
    })
  }
  const known = [
    ...(await Promise.all(['ann', 'bob', 'cid'].map((name) => ledger.recipient(name)))),
    ...(await Promise.all(['fan', 'fox'].map((name) => ledger.recipient(name, service))))
  ]
  return { ...ledger, ledger, receipts, verify, known }
}
type Arranged = Awaited<ReturnType<typeof arranged>>

/** Something that happens; `n` chooses to whom or how. */
type Step = { what: string; n: number }
const steps: Record<string, (world: Arranged, n: number) => Promise<unknown>> = {
  async plan({ ledger, known, service }, n) {
    const who = known[n % known.length]!
    const ofService = who.accountId === service.id
    const channel = ofService ? ('service' as const) : n % 3 === 0 ? ('subscribe' as const) : ('legacy' as const)
    await ledger.plan(who, {
      accountId: who.accountId,
      channel,
      templateId: channel === 'subscribe' ? 'T' : channel,
      runId: n % 4 === 0 ? null : ofService ? 'run-b' : 'run-a',
      campaignId: n % 4 === 0 ? null : 'some',
      lane: n % 2 === 0 ? 'bulk' : 'transactional',
      waitForCredential: n % 5 === 0,
      test: n % 11 === 0,
      ...(n % 7 === 0 && { skip: { reason: 'missingVariable' as const, detail: 'thing1' } })
    })
  },
  form: ({ ledger, known }, n) => ledger.form(known[n % 3]!.id),
  grant: ({ ledger, known }, n) => ledger.grant(known[n % 3]!.id),
  async said({ ledger }, n) {
    const code = CODES[n % CODES.length]!
    ledger.wechat(() => (n % 3 === 0 ? noAnswer() : n % 13 === 0 ? notSent() : answer(code)))
  },
  settle: ({ ledger }) => ledger.settle(),
  send: ({ ledger, known }, n) => ledger.messages.pumps.drain(known[n % known.length]!.accountId),
  follow: ({ ledger, known }, n) => ledger.messages.follower.step(known[n % known.length]!.accountId),
  async receipt({ messages, receipts, clock }, n) {
    const told = await messages.rows.find({ msgid: { $gt: '' } }).toArray()
    const row = told[n % Math.max(1, told.length)]
    if (row === undefined) return
    const verdict = (['delivered', 'delivered', 'userBlock', 'systemFailed', 'failed'] as const)[n % 5]!
    const { accountId, recipientId, msgid } = row
    const code = row.channel === 'subscribe' && verdict === 'failed' ? 43101 : null
    await receipts.apply({ accountId, recipientId: recipientId!, msgid: msgid!, verdict, code, at: clock.now() })
  },
  async open({ messages, clock }, n) {
    const rows = await messages.rows.find({ state: { $in: ['accepted', 'delivered'] } }).toArray()
    const row = rows[n % Math.max(1, rows.length)]
    if (row !== undefined) await messages.opened([{ row, at: clock.now() }])
  },
  async retry({ messages, clock, account, service }, n) {
    const notAfter = new Date(clock.now().getTime() + 3_600_000)
    await messages.retryRun(RUNS[n % 2]!, { states: ['failed', 'skipped', 'expired'] }, notAfter)
    if (n % 3 > 0) for (const { id } of [account, service]) await messages.follower.drain(id)
  },
  resolve: ({ messages }, n) => messages.resolveRun(RUNS[n % 2]!, n % 3 === 0 ? 'failed' : 'accepted'),
  async cancel({ messages }, n) {
    const planned = await messages.rows.find({ state: 'planned' }).toArray()
    const row = planned[n % Math.max(1, planned.length)]
    if (row !== undefined) await messages.cancel(row._id)
  },
  async erase({ people, known }, n) {
    if (n % 5 === 0) await people.erase(known[n % known.length]!.personId).catch(() => {})
  },
  async pause({ messages }, n) {
    await messages.runs.setPaused('campaign of run-a', n % 2 === 0)
  },
  async time({ clock, messages }, n) {
    clock.advance([1_000, 15_000, 60_000, 600_000, 3_600_000, 86_400_000][n % 6]!)
    if (n % 3 === 0) await messages.sweep()
  },
  async restart({ ledger }) {
    ledger.restart()
  }
}
const names = Object.keys(steps)
const MOSTLY = [
  ...names,
  'plan',
  'plan',
  'plan',
  'plan',
  'settle',
  'settle',
  'form',
  'form',
  'grant',
  'said',
  'receipt'
]
const history = fc.array(fc.record({ what: fc.constantFrom(...MOSTLY), n: fc.nat(10_000) }) as fc.Arbitrary<Step>, {
  minLength: 20,
  maxLength: 45
})

/** The funnel, told by the rows alone. */
function funnelOfRows(rows: MessageRow[]) {
  const gone = ['notInAccount', 'optedOut', 'suppressed', 'noCredential']
  const taken = rows.filter(
    ({ state, by }) => state === 'accepted' || state === 'delivered' || (state === 'failed' && by === 'receipt')
  )
  const confirmable = taken.filter(({ channel }) => channel !== 'legacy').length
  const delivered = rows.filter(({ state }) => state === 'delivered').length
  return {
    matched: rows.length,
    reachable: rows.filter(({ state, reason }) => !(state === 'skipped' && gone.includes(reason!))).length,
    claimed: rows.filter(({ state }) => ['accepted', 'delivered', 'failed', 'unknown'].includes(state)).length,
    accepted: taken.length,
    confirmable,
    delivered,
    opened: rows.filter(({ openedAt }) => openedAt !== undefined).length,
    open: rows.filter(({ state }) => ['planned', 'held', 'sending'].includes(state)).length,
    deliveredShare: confirmable === 0 ? null : delivered / confirmable
  }
}

t.test('after any history counters are what the rows say', { timeout: 60_000 + HISTORIES * 5_000 }, async (t) => {
  const seen = new Set<string>()
  const result = await fc.check(
    fc.asyncProperty(history, async (all) => {
      const undone: (() => Promise<void> | void)[] = []
      const world = await arranged({ teardown: (fn) => void undone.push(fn) })
      const { ledger, verify } = world
      try {
        for (const { what, n } of all) await steps[what]!(world, n)
        await ledger.settle()
        for (const id of RUNS) {
          const verified = await verify.run(id)
          if (verified.state !== 'equal') throw new Error(`${id}: ${JSON.stringify(verified)}`)
          const rows = await ledger.messages.rows.find({ runId: id, test: false }).toArray()
          for (const row of rows) seen.add(row.state)
          const counters = await ledger.messages.runs.countersOf(id)
          t.same(funnelOf(counters), funnelOfRows(rows), id)
        }
        const broken = await brokenInvariants(ledger)
        if (broken.length > 0) throw new Error(broken.join('; '))
        for (const { id } of [ledger.account, ledger.service]) {
          const sums = noFigures()
          for (const row of await ledger.messages.counters.find({ accountId: id }).toArray()) addFigures(sums, row)
          const totals = noFigures()
          addFigures(totals, { n: (await ledger.messages.follower.standing([id])).get(id)?.n ?? {} })
          t.same({ ...totals, opened: sums.opened }, sums, 'the account as a whole')
        }
      } finally {
        for (const undo of undone.reverse()) await undo()
      }
    }),
    { numRuns: HISTORIES, seed: SEED, endOnFailure: true }
  )
  t.notOk(result.failed, `${result.errorInstance} ${JSON.stringify(result.counterexample)}`)
  t.same(
    ['accepted', 'delivered', 'failed', 'skipped', 'unknown'].filter((state) => !seen.has(state)),
    [],
    'histories come to every end'
  )
})

t.test('counters that are wrong', async (t) => {
  async function sent(t: Parameters<typeof buildLedger>[0]) {
    const world = await arranged(t)
    await world.messages.runs.rows.deleteOne({ _id: 'run-b' })
    const [ann] = world.known
    for (let i = 0; i < 3; i++) await world.ledger.form(ann!.id)
    for (let i = 0; i < 4; i++) await world.ledger.plan(ann!, { runId: 'run-a', campaignId: 'campaign of run-a' })
    await world.messages.runs.checkpoint('run-a', { from: null, to: null, born: 0, again: false })
    await world.ledger.settle()
    return world
  }

  t.test('are found, put right once, and then equal', async (t) => {
    const { verify, messages, clock } = await sent(t)
    t.same(await verify.run('run-a'), { state: 'equal', differences: {}, overlooked: 0, rows: 4 })
    await messages.counters.updateOne({ runId: 'run-a' }, { $inc: { 'n.accepted': 2, 'n.failed:40003': -1 } })
    const differences = { accepted: 2, 'failed:40003': -1 }
    t.match(await verify.run('run-a'), { state: 'different', differences })
    t.match(await verify.run('run-a'), { state: 'different', differences }, 'looking mends nothing')
    clock.advance(3 * 60_000)
    t.match(await verify.next(), { runId: 'run-a', verified: { state: 'different', differences } })
    t.equal((await verify.run('run-a')).state, 'equal')
    t.match(await messages.runs.counts('run-a'), { total: 4, byState: { accepted: 3, skipped: 1 } })
    await messages.counters.updateOne({ runId: 'run-a' }, { $inc: { 'n.accepted': -1 } })
    await Promise.all([verify.run('run-a', { mend: true }), verify.run('run-a', { mend: true })])
    t.equal((await verify.run('run-a')).state, 'equal', 'two at once mend it once')
  })

  t.test('because nobody was told of a row are counted in the end', async (t) => {
    const { ledger, verify, messages, clock } = await sent(t)
    const [row] = await messages.rows.find({ state: 'accepted' }).toArray()
    await messages.rows.updateOne({ _id: row!._id }, { $set: { state: 'delivered' } })
    t.match(await verify.run('run-a'), { state: 'different', differences: {}, overlooked: 1 })
    clock.advance(3 * 60_000)
    await verify.next()
    t.match(await verify.run('run-a'), { state: 'busy' }, 'the follower has it now')
    await ledger.settle()
    t.match(await messages.runs.counts('run-a'), { byState: { accepted: 2, delivered: 1, skipped: 1 } })
    t.match(await verify.next(), { verified: { state: 'equal' } })
    t.equal(await verify.next(), null, 'a run is compared once')
  })

  t.test('are not looked for while messages move', async (t) => {
    const { ledger, verify, known } = await sent(t)
    await ledger.plan(known[0]!, { runId: 'run-a' })
    t.equal((await verify.run('run-a')).state, 'busy')
    await t.rejects(verify.run('nowhere'), { code: 'runs.not-found' } as any)
  })
})

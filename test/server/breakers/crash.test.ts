import t from 'tap'
import { kindOf } from '../../../server/breakers/judge.js'
import { answer, buildLedger, closeTestStore } from '../../support/ledger.js'
import { ConnectionLost, createLifeline, type Fate } from '../messages/crash-kill.js'
import { seeded } from '../messages/crash-world.js'

t.setTimeout(120_000)
t.teardown(closeTestStore)

const FATES: Fate[] = ['before', 'after', 'half', 'stallBefore', 'stallAfter', 'refused', 'lost']
const CODES = [0, 0, 43101, 47003, 48002, 41028]
const SEEDS = 6

t.test('however processes die, each answer that was stored is counted once', { timeout: 120_000 }, async (t) => {
  const where = new Set<string>()
  for (let seed = 1; seed <= SEEDS; seed++) {
    const ledger = await buildLedger(t, { guarded: true })
    const chance = seeded(seed)
    const below = (n: number) => Math.floor(chance() * n)
    await ledger.accounts.patch(ledger.account.id, {
      breaker: { minMessages: 100_000, minAccountMessages: 1_000_000, windowMs: 3_600_000 }
    })
    ledger.wechat(() => answer(CODES[below(CODES.length)]!))
    for (let i = 0; i < 12; i++) {
      const each = await ledger.recipient(`p${i}`)
      if (i % 2 === 0) await ledger.form(each.id)
      else await ledger.grant(each.id)
      await ledger.plan(each, i % 2 === 0 ? {} : { channel: 'subscribe' })
    }
    const asleep: { wake: () => void; work: Promise<unknown> }[] = []
    for (let deaths = 0; deaths < 15; deaths++) {
      const line = createLifeline(ledger.db, 1 + below(10), FATES[below(FATES.length)]!)
      const work = ledger
        .rooms({ db: line.db })
        .messages.settleAll()
        .catch((error: unknown) => {
          if (!(error instanceof ConnectionLost)) throw error
        })
      const end = await Promise.race([work.then(() => 'done'), line.ended.then(() => 'gone')])
      if (line.where() !== '') where.add(line.where())
      if (end === 'gone') asleep.push({ wake: line.wake, work })
      if (chance() < 0.3) asleep.shift()?.wake()
      ledger.clock.advance(40_000)
    }
    for (const each of asleep) each.wake()
    for (let i = 0; i < 4; i++) {
      ledger.clock.advance(60_000)
      await ledger.settle()
    }
    const lines = (await ledger.messages.rows.find({}).toArray()).flatMap((row) => row.log)
    const expected: Record<string, number> = { ok: 0, block: 0, refusal: 0, failure: 0, punished: 0 }
    for (const { code } of lines) if (code !== null && kindOf(code) !== null) expected[kindOf(code)!]! += 1
    const { data } = await ledger.breakers.page({ templateId: 'T' }, { limit: 20 })
    const { total: _total, ...numbers } = data[0]!.numbers
    t.same(numbers, expected, `seed ${seed}: ${lines.length} answers`)
  }
  t.ok(where.has('breakerCounts.findOneAndUpdate'), [...where].join(' '))
})

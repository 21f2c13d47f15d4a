import t from 'tap'
import { breakerSettings } from '../../../server/accounts/breaker-settings.js'
import {
  kindOf,
  NO_ANSWERS,
  numbersOf,
  probeVerdict,
  restOf,
  tripOf,
  windowStart,
  type Minutes
} from '../../../server/breakers/judge.js'
import { guardsOf, isSuspect, type Standing } from '../../../server/breakers/standing.js'
import type { BreakerNumbers } from '../../../shared/breaker.js'

const settings = breakerSettings()
const numbers = (some: Partial<BreakerNumbers>): BreakerNumbers => {
  const { total: _total, ...kinds } = { ...NO_ANSWERS, ...some }
  return { ...kinds, total: Object.values(kinds).reduce((sum, n) => sum + n, 0) }
}

t.test('what an answer says of its template', async (t) => {
  const table: [code: number, kind: string | null, why: string][] = [
    [0, 'ok', 'accepted'],
    [43101, 'refusal', 'the person refuses'],
    [43004, 'block', 'no follower any more'],
    [48002, 'block', 'the person blocks'],
    [50005, 'block', 'unfollowed'],
    [47003, 'failure', 'the values do not fit'],
    [41028, 'failure', 'the right is no good'],
    [43117, 'failure', 'the person gets too much'],
    [987654, 'failure', 'nobody has described it'],
    [41031, 'failure', 'one formId is shut, not the account'],
    [41032, 'punished', 'formIds are'],
    [41035, 'punished', 'prepay_ids are'],
    [45102, 'punished', 'the interface is'],
    [48004, 'punished', 'the account is'],
    [40001, null, 'the token'],
    [-1, null, 'a busy moment'],
    [45011, null, 'too many this minute'],
    [45009, null, 'the day is used up'],
    [40164, null, 'our address is not on the list: the interface is shut by that']
  ]
  for (const [code, kind, why] of table) t.equal(kindOf(code), kind, `${code}: ${why}`)
})

t.test('a window', async (t) => {
  const minute = Date.parse('2026-03-02T10:00:00Z')
  const minutes: Minutes = {
    [minute - 600_000]: { T: { refusal: 100 } },
    [minute - 540_000]: { T: { ok: 5, refusal: 1 }, U: { block: 2 } },
    [minute]: { T: { ok: 7 }, U: { ok: -3, block: 3 } }
  }
  const from = windowStart(new Date(minute + 59_999), settings)
  t.equal(from.toISOString(), '2026-03-02T09:51:00.000Z', 'ten minutes with the running one')
  t.same(numbersOf(minutes, from, { template: 'T' }), numbers({ ok: 12, refusal: 1 }))
  t.same(numbersOf(minutes, from, { without: new Set() }), numbers({ ok: 9, refusal: 1, block: 5 }))
  t.same(numbersOf(minutes, from, { without: new Set(['T']) }), numbers({ block: 5 }), 'no fewer than none')
})

t.test('a breaker trips', async (t) => {
  const table: [some: Partial<BreakerNumbers>, template: string | null, account: string | null, why: string][] = [
    [{}, null, null, 'nothing was answered'],
    [{ refusal: 49 }, null, null, 'too few to tell'],
    [{ refusal: 50 }, 'refusal', null, 'enough of a template, too few of an account'],
    [{ ok: 36, refusal: 14 }, null, null, '28 % refuse'],
    [{ ok: 35, refusal: 15 }, 'refusal', null, '30 % refuse'],
    [{ ok: 40, block: 10 }, 'block', null, '20 % block'],
    [{ ok: 25, failure: 25 }, 'failure', null, 'half of them fail'],
    [{ ok: 160, block: 40 }, 'block', 'block', '20 % of an account'],
    [{ ok: 40, refusal: 30, block: 30 }, 'block', null, 'that which is furthest over its share'],
    [{ punished: 9 }, null, null, 'a few may be single rights'],
    [{ punished: 10 }, null, 'punished', 'the account is punished'],
    [{ ok: 60, punished: 10 }, null, null, 'some other interface is'],
    [{ punished: 200 }, null, 'punished', 'a penalty is never the template’s']
  ]
  for (const [some, template, account, why] of table) {
    t.equal(tripOf(numbers(some), settings, 'template'), template, `template: ${why}`)
    t.equal(tripOf(numbers(some), settings, 'account'), account, `account: ${why}`)
  }
})

t.test('a try of 20', async (t) => {
  const table: [some: Partial<BreakerNumbers>, through: boolean, verdict: object, why: string][] = [
    [{}, false, { verdict: 'wait' }, 'nothing answered yet'],
    [{}, true, { verdict: 'wait' }, 'nothing went'],
    [{ ok: 19 }, false, { verdict: 'wait' }, 'one is missing'],
    [{ ok: 20 }, true, { verdict: 'good' }, 'all taken'],
    [{ ok: 3 }, true, { verdict: 'good' }, 'no more came'],
    [{ ok: 15, refusal: 5 }, true, { verdict: 'good' }, 'a quarter refuses'],
    [{ refusal: 5 }, false, { verdict: 'wait' }, 'the others may be well'],
    [{ refusal: 6 }, false, { verdict: 'bad', reason: 'refusal' }, 'whatever the others say'],
    [{ ok: 1, refusal: 1 }, true, { verdict: 'bad', reason: 'refusal' }, 'half of the few that went'],
    [{ punished: 10 }, false, { verdict: 'bad', reason: 'punished' }, 'the penalty stands']
  ]
  for (const [some, through, verdict, why] of table)
    t.same(probeVerdict(numbers(some), settings, through), verdict, why)
})

t.test('rests get longer, up to sixteen times', async (t) => {
  const minutes = [1, 2, 3, 5, 6, 60].map((trips) => restOf(trips, { restMs: 60_000 }) / 60_000)
  t.same(minutes, [1, 2, 4, 16, 16, 16])
})

t.test('what a breaker holds', async (t) => {
  const breaker = (some: Partial<Standing[number]>): Standing[number] => ({
    _id: 'b',
    templateId: 'T',
    state: 'open',
    until: new Date(0),
    probesLeft: 0,
    strict: false,
    ...some
  })
  const row = { templateId: 'T', lane: 'transactional' as const, campaignId: null, test: false }
  const table: [breaker: Partial<Standing[number]>, row: Partial<typeof row> & object, holds: boolean, why: string][] =
    [
      [{}, { lane: 'bulk' as never }, true, 'bulk of its template'],
      [{}, { campaignId: 'c' as never }, true, 'a campaign in either lane'],
      [{}, {}, false, 'somebody’s order goes on'],
      [{ strict: true }, {}, true, 'unless the account is punished'],
      [{}, { lane: 'bulk' as never, templateId: 'U' }, false, 'another template'],
      [{ templateId: null }, { lane: 'bulk' as never, templateId: 'U' }, true, 'the whole account'],
      [{ strict: true }, { lane: 'bulk' as never, test: true }, false, 'tests tell what is wrong']
    ]
  for (const [some, other, holds, why] of table) {
    t.equal(guardsOf([breaker(some)], { ...row, ...other }).length === 1, holds, why)
  }
  t.equal(isSuspect([breaker({})], 'T'), true)
  t.equal(isSuspect([breaker({})], 'U'), false)
  t.equal(isSuspect([breaker({ templateId: null, state: 'halfOpen' })], 'U'), true)
})

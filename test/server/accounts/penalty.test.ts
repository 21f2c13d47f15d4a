import t from 'tap'
import { afterAnswer, punishedBy, shuts, sourcesShut, standingPenalty } from '../../../server/accounts/penalty.js'
import { DAY_MS, NEVER } from '../../../shared/limits.js'
import type { Penalty } from '../../../shared/penalty.js'

const now = new Date('2026-03-02T10:00:00Z')
const inDays = (days: number) => new Date(now.getTime() + days * DAY_MS).toISOString()
const given = (some: Partial<Penalty> = {}): Penalty => ({
  offences: 2,
  blockedUntil: new Date(now.getTime() + DAY_MS),
  api: 'legacy',
  note: 'told',
  ...some
})
const told = (penalty: Penalty | null) =>
  penalty === null ? null : [penalty.api, penalty.offences, penalty.blockedUntil?.toISOString() ?? null]

t.test('what a code punishes', async (t) => {
  t.equal(punishedBy(41032, 'legacy'), 'form')
  t.equal(punishedBy(41035, 'legacy'), 'payment')
  t.equal(punishedBy(43106, 'management'), 'management')
  t.equal(punishedBy(48004, 'subscribe'), 'subscribe')
  t.equal(punishedBy(45009, 'subscribe'), null)
})

t.test('an answer', async (t) => {
  const table: [why: string, seen: Penalty | null, code: number, called: 'legacy' | 'service', expected: unknown][] = [
    ['that shuts formIds is the second offence: 7 days', null, 41032, 'legacy', ['form', 2, inDays(7)]],
    ['41034 says the same', null, 41034, 'legacy', ['form', 2, inDays(7)]],
    ['that shuts prepay_ids', null, 41035, 'legacy', ['payment', 2, inDays(7)]],
    ['about adding templates', null, 43106, 'legacy', ['management', 2, inDays(7)]],
    ['48004 shuts what was called', null, 48004, 'service', ['service', 2, inDays(7)]],
    ['45102 is tried again the next day, and no offence', null, 45102, 'legacy', ['legacy', 0, inDays(1)]],
    ['about one formId is noted', null, 41031, 'legacy', ['form', 0, null]],
    ['that means nothing of the kind', null, 47003, 'legacy', null],
    ['after the second: 30 days', given({ blockedUntil: new Date(0) }), 48004, 'service', ['service', 3, inDays(30)]],
    [
      'after the third: for good',
      given({ offences: 3, blockedUntil: null }),
      41032,
      'legacy',
      ['form', 4, NEVER.toISOString()]
    ],
    ['while formIds are shut: all of legacy', given({ api: 'form' }), 41035, 'legacy', ['legacy', 2, inDays(7)]],
    ['of another interface: all of the account', given(), 48004, 'service', ['all', 2, inDays(7)]],
    [
      'while no template may be added: what may not be sent weighs more',
      given({ api: 'management' }),
      41032,
      'legacy',
      ['form', 2, inDays(7)]
    ]
  ]
  for (const [why, seen, code, called, expected] of table)
    t.same(told(afterAnswer(seen, code, called, now)), expected, why)

  const standing = given()
  for (const code of [41031, 41032, 41035, 45102, 48004, 47003]) {
    t.equal(
      afterAnswer(standing, code, 'legacy', now),
      standing,
      `${code}: a thousand messages that meet it are one offence`
    )
  }
  const early = given({ offences: 0, api: 'service' })
  t.same(told(afterAnswer(early, 41032, 'legacy', now)), ['all', 2, inDays(7)], 'a day’s block is no first offence')
})

t.test('what it holds, as long as it stands', async (t) => {
  t.equal(standingPenalty(null, now), null)
  t.equal(standingPenalty(given({ blockedUntil: null }), now), null)
  t.equal(standingPenalty(given({ blockedUntil: now }), now), null, 'over at its last moment')
  const stands = given()
  t.equal(standingPenalty(stands, now), stands)
  const table: [api: Penalty['api'], interfaces: string[], sources: string[]][] = [
    ['form', [], ['form']],
    ['payment', [], ['payment']],
    ['legacy', ['legacy'], []],
    ['subscribe', ['subscribe'], []],
    ['service', ['service'], []],
    ['management', ['management'], []],
    ['all', ['legacy', 'subscribe', 'service'], []]
  ]
  for (const [api, interfaces, sources] of table) {
    const names = ['legacy', 'subscribe', 'service', 'management'] as const
    t.same(
      names.filter((name) => shuts(given({ api }), name)),
      interfaces,
      api
    )
    t.same(sourcesShut(given({ api })), sources, api)
  }
  t.equal(shuts(null, 'legacy'), false)
  t.same(sourcesShut(null), [])
})

import t from 'tap'
import { compileRule } from '../../../server/audiences/rule.js'
import { Rule } from '../../../shared/audience.js'
import { DAY_MS } from '../../../shared/limits.js'

const vip: Rule = { tag: 'vip', op: 'exists' }
const adult: Rule = { attribute: 'age', op: 'gte', value: 18 }
const bought: Rule = { did: 'bought' }
const hasVip = { 'tags.vip': { $exists: true } }
const isAdult = { 'attributes.age': { $gte: 18 } }
const didBuy = { kind: 'did', name: 'bought', where: null, atLeast: 1, withinMs: null }

t.test('a rule', async (t) => {
  const tables: [string, Rule, unknown][] = [
    ['of nothing is everybody', { all: [] }, { filter: {}, rest: null }],
    ['of one comparison is a filter', adult, { filter: isAdult, rest: null }],
    ['of several is one filter', { all: [adult, vip] }, { filter: { $and: [isAdult, hasVip] }, rest: null }],
    ['with any is one filter', { any: [adult, vip] }, { filter: { $or: [isAdult, hasVip] }, rest: null }],
    ['with not is none of them', { not: [adult, vip] }, { filter: { $nor: [isAdult, hasVip] }, rest: null }],
    ['of events asks them', bought, { filter: {}, rest: didBuy }],
    [
      'of both starts from the filter',
      { all: [bought, adult, vip] },
      { filter: { $and: [isAdult, hasVip] }, rest: didBuy }
    ],
    [
      'nested in all is as if it were flat',
      { all: [adult, { all: [vip, bought] }, { reachable: true, templateId: 'T' }] },
      {
        filter: { $and: [isAdult, hasVip] },
        rest: { kind: 'all', parts: [didBuy, { kind: 'reachable', templateId: 'T' }] }
      }
    ],
    [
      'with any over both cannot start from a filter',
      { any: [adult, vip, bought] },
      { filter: {}, rest: { kind: 'any', parts: [{ kind: 'people', filter: { $or: [isAdult, hasVip] } }, didBuy] } }
    ],
    [
      'with not over both keeps the filter inside',
      { not: [bought, adult] },
      { filter: {}, rest: { kind: 'none', parts: [{ kind: 'people', filter: isAdult }, didBuy] } }
    ],
    [
      'of counted events in a span',
      { did: 'bought', atLeast: 3, withinDays: 7, where: { amount: { gt: 5 } } },
      {
        filter: {},
        rest: { kind: 'did', name: 'bought', where: { amount: { gt: 5 } }, atLeast: 3, withinMs: 7 * DAY_MS }
      }
    ],
    [
      'takes text for text, never for a pattern',
      { attribute: 'city', op: 'contains', value: 'a.*(b' },
      { filter: { 'attributes.city': { $regex: 'a\\.\\*\\(b' } }, rest: null }
    ],
    [
      'takes what is missing for different',
      { attribute: 'city', op: 'ne', value: 'x' },
      { filter: { 'attributes.city': { $ne: 'x' } }, rest: null }
    ]
  ]
  for (const [name, rule, expected] of tables)
    t.test(name, async (t) => t.same(compileRule(Rule.parse(rule)), expected))

  t.test('is refused with the place of its fault', async (t) => {
    const refused: [Rule, string, string][] = [
      [{ all: [{ attribute: 'a.b', op: 'eq', value: 1 }] }, '/rule/all/0/attribute', 'rule.attribute'],
      [{ attribute: '$where', op: 'eq', value: 1 }, '/rule/attribute', 'rule.attribute'],
      [{ tag: 'a.b', op: 'exists' }, '/rule/tag', 'rule.tag'],
      [{ tag: '$gt', op: 'exists' }, '/rule/tag', 'rule.tag'],
      [{ any: [{ attribute: 'a', op: 'in', value: 1 }] }, '/rule/any/0/value', 'rule.value'],
      [{ attribute: 'a', op: 'gt' }, '/rule/value', 'rule.value'],
      [{ did: 'x', where: { a: { contains: 1 } } }, '/rule/where/a/contains', 'rule.value']
    ]
    for (const [rule, pointer, code] of refused) {
      t.throws(() => compileRule(rule), { status: 422, errors: [{ pointer, code }] }, JSON.stringify(rule))
    }
  })

  t.test('that is too deep or too wide is refused', async (t) => {
    let deep: Rule = vip
    for (let i = 0; i < 8; i++) deep = { not: [deep] }
    t.throws(() => compileRule(deep), { errors: [{ code: 'rule.tooLarge' }] })
    const wide: Rule = { any: Array.from({ length: 50 }, () => ({ any: [vip, vip, vip, vip] })) }
    t.throws(() => compileRule(wide), { errors: [{ code: 'rule.tooLarge' }] })
  })

  t.test('that knows no such operator does not pass the schema', async (t) => {
    for (const bad of [
      { $where: '1' },
      { attribute: 'a', op: '$gt', value: 1 },
      { all: [], any: [] },
      { any: [] },
      {}
    ]) {
      t.notOk(Rule.safeParse(bad).success, JSON.stringify(bad))
    }
  })
})

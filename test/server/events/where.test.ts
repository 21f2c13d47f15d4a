import t from 'tap'
import { checkComparison, checkWhere, meets } from '../../../server/events/where.js'
import { InvalidInput } from '../../../server/platform/errors.js'

t.test('a where', async (t) => {
  const order = { amount: 120, city: '上海', paid: true, note: '' }
  const met: [string, Record<string, any> | null | undefined, boolean][] = [
    ['that is absent is met by all', undefined, true],
    ['that is null is met by all', null, true],
    ['that is empty is met by all', {}, true],
    ['with a plain value asks for equality', { city: '上海' }, true],
    ['does not take a number for its text', { amount: '120' }, false],
    ['needs every property', { city: '上海', amount: 5 }, false],
    ['takes gte at the edge', { amount: { gte: 120 } }, true],
    ['leaves gt out at the edge', { amount: { gt: 120 } }, false],
    ['takes a range', { amount: { gte: 100, lt: 200 } }, true],
    ['fails when one end of a range does', { amount: { gte: 100, lt: 120 } }, false],
    ['does not order a number by a text', { amount: { gt: '1' } }, false],
    ['orders texts', { city: { gt: '一' } }, true],
    ['is not met by a missing property', { size: { lt: 9 } }, false],
    ['lets ne be met by a missing property', { size: { ne: 9 } }, true],
    ['lets ne fail on the same value', { amount: { ne: 120 } }, false],
    ['knows in', { city: { in: ['北京', '上海'] } }, true],
    ['knows not in', { city: { in: ['北京'] } }, false],
    ['knows exists', { note: { exists: true } }, true],
    ['knows exists false', { note: { exists: false } }, false],
    ['knows exists false of a missing one', { size: { exists: false } }, true],
    ['knows contains', { city: { contains: '海' } }, true],
    ['finds no text in a number', { amount: { contains: '1' } }, false],
    ['compares booleans', { paid: true }, true],
    ['never looks at what is inherited', { constructor: { exists: true } }, false],
    ['takes toString for a name like others', { toString: { exists: false } }, true]
  ]
  for (const [name, where, expected] of met) t.test(name, async (t) => t.equal(meets(where, order), expected))

  t.test('with a value its comparison cannot use is refused, naming the place', async (t) => {
    t.throws(() => checkWhere({ 'a/b': { in: 5 } }, '/where'), {
      errors: [{ pointer: '/where/a~1b/in', code: 'rule.value' }]
    })
    t.throws(() => checkComparison('contains', 5, '/x'), InvalidInput)
    t.throws(() => checkComparison('gt', [1], '/x'), InvalidInput)
    t.throws(() => checkComparison('eq', undefined, '/x'), InvalidInput)
    t.throws(() => checkComparison('exists', 'yes', '/x'), InvalidInput)
    t.doesNotThrow(() => checkWhere({ a: 1, b: { exists: false, in: [1, 2] } }, ''))
  })
})

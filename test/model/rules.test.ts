import t from 'tap'
import { breakAll } from './check.js'
import { RULES } from './rules.js'

t.setTimeout(900_000)

t.test('each rule of the protocol carries something: broken by itself, a promise breaks', async (t) => {
  const trials = await breakAll('', ({ rule, caught }) => t.ok(caught, rule))
  t.equal(trials.length, RULES.length)
  t.ok(RULES.length >= 10)
})

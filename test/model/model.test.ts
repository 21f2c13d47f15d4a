import t from 'tap'
import { lookAtAll, walkAll, type Look } from './check.js'

t.setTimeout(900_000)

const told = ({ world, states, transitions, broken }: Look) => {
  t.comment(`${world}: ${states} states, ${transitions} transitions`)
  t.equal(broken, null, world)
}

t.test('in every state of the small worlds every promise holds, and everything comes to rest from there', async (t) => {
  const looks = await lookAtAll({}, told)
  t.ok(looks.every(({ cut }) => !cut))
  t.ok(looks.reduce((n, { states }) => n + states, 0) > 100_000)
})

t.test('so it is on random ways through larger ones', async (t) => {
  const looks = await walkAll(60, 1, told)
  t.ok(looks.every(({ states }) => states > 1_000))
})

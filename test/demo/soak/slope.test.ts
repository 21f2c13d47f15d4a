import t from 'tap'
import { slopeOf, type Sample } from '../../../demo/soak/slope.js'

/** Ten minutes, a look every two seconds. */
const over = (mb: (minute: number) => number): Sample[] =>
  Array.from({ length: 301 }, (_, i) => ({ at: 5_000 + i * 2_000, mb: mb((i * 2) / 60) }))

t.test('the growth of the last half', async (t) => {
  const slope = (mb: (minute: number) => number) => Math.round(slopeOf(over(mb)) * 100) / 100
  t.equal(
    slope(() => 80),
    0
  )
  t.equal(
    slope((minute) => 80 + 3 * minute),
    3
  )
  t.equal(
    slope((minute) => 80 + 40 * Math.min(minute, 4)),
    0,
    'what it took to warm up does not count'
  )
  t.equal(
    slope((minute) => 80 - minute),
    -1
  )
  t.equal(
    slope((minute) => 80 + 25 * ((minute * 6) % 1)),
    0,
    'what is collected again within half a minute is no growth'
  )
})

t.test('too short to tell', async (t) => {
  t.equal(slopeOf([]), 0)
  t.equal(slopeOf([{ at: 0, mb: 10 }]), 0)
  t.equal(slopeOf(over((minute) => minute).slice(0, 14)), 0)
})

import t from 'tap'
import { plotOf, shareOf } from '../../bench/plot.js'
import { judged } from '../../bench/figure.js'

t.test('how much of its goal a figure takes up', async (t) => {
  t.equal(shareOf(judged('s', 'i', 0.5, { atMost: 1 }, '')), 0.5)
  t.equal(shareOf(judged('s', 'i', 0.2, { atLeast: 0.4 }, '')), 2, 'half of what it should be')
  t.equal(shareOf(judged('s', 'i', 0, { atMost: 0 }, '')), 0.01, 'nothing, as wished')
  t.equal(shareOf(judged('s', 'i', 3, { atMost: 0 }, '')), 100, 'something where nothing was wished')
  t.equal(shareOf(judged('s', 'i', 0, { atLeast: 1 }, '')), 100)
})

t.test('bars, met or not, with their figures', async (t) => {
  const svg = plotOf([judged('a', 'good', 0.5, { atMost: 1 }, ''), judged('a', 'bad', 2, { atMost: 1 }, '')], 'Title')
  t.match(svg, /^<svg /)
  for (const text of ['Title', 'a good', 'a bad', '0.5 (≤ 1)', '2 (≤ 1)', '#2e7d5b', '#c2452d']) {
    t.ok(svg.includes(text), text)
  }
  t.notOk(plotOf([judged('a', 'good', 0.5, { atMost: 1 }, '')], '').includes('#c2452d'))
})

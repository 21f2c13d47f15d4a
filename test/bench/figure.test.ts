import t from 'tap'
import { figuresOf, judged, median, tableOf } from '../../bench/figure.js'

t.test('a figure', async (t) => {
  const note = 'a note'
  t.same(judged('first', 'x', 0.25049, { atLeast: 0.25 }, note), {
    section: 'first',
    id: 'x',
    figure: 0.25,
    goal: '≥ 0.25',
    met: true,
    note
  })
  const why = 'two cores are busy'
  t.equal(judged('first', 'x', 0.2494, { atLeast: 0.25 }, note, why).why, why, 'says why it misses')
  t.notOk('why' in judged('first', 'x', 0.25, { atLeast: 0.25 }, note, why), 'what is met needs no reason')
  t.equal(judged('first', 'x', 0.2494, { atLeast: 0.25 }, note).met, false, 'misses a bound it is below')
  t.equal(judged('first', 'x', 1.5, { atMost: 1.5 }, note).met, true, 'keeps a bound it is at')
  t.equal(judged('first', 'x', 251, { atMost: 250 }, note).met, false, 'misses a bound it is above')
  t.equal(judged('first', 'x', 250.4, { atMost: 250 }, note).met, true, 'is judged as it is shown')
})

t.test('the median', async (t) => {
  t.equal(median([3, 1, 2]), 2)
  t.equal(median([4, 1, 2, 3]), 2.5)
  t.throws(() => median([]), RangeError, 'of nothing is a mistake')
})

t.test('the table shows what was met and what was not', async (t) => {
  const figures = [judged('first', 'one', 1, { atMost: 2 }, 'good'), judged('first', 'two', 3, { atMost: 2 }, 'bad')]
  t.match(tableOf(figures), /one .* 1 .*≤ 2.*✓.*good[^]*two .* 3 .*≤ 2.*✗.*bad/)
})

t.test('a part that breaks off is told as not met, and the others are measured', async (t) => {
  const good = judged('x', 'one', 1, { atMost: 2 }, 'good')
  const said: string[] = []
  const figures = await figuresOf('x', (line) => said.push(line), {
    first: async () => [good],
    second: () => Promise.reject(new Error('no room\nmore of it')),
    third: async () => [good]
  })
  t.same(figures, [
    good,
    { section: 'x', id: 'second', figure: NaN, goal: 'a figure', met: false, note: 'could not be measured: no room' },
    good
  ])
  t.match(said, [/^second broke off: Error: no room/])
})

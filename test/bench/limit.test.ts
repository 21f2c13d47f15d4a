import t from 'tap'
import { shares } from '../../bench/limit.js'

t.setTimeout(120_000)

t.test('workers with wrong clocks share the limit, also when half of them die, and never overstep it', async (t) => {
  const uses = await shares(20, 7, ({ workers, used, worstSecond, commands }) =>
    t.comment(`${workers} workers: ${used}, worst second ${worstSecond}, ${commands} commands`)
  )
  t.same(
    uses.map(({ workers, killed }) => [workers, killed]),
    [
      [1, 0],
      [4, 2],
      [16, 8]
    ]
  )
  for (const { workers, used, worstSecond } of uses) {
    t.ok(worstSecond <= 100, `${workers} workers: ${worstSecond} in the worst second`)
    // in so short a time what the dead had reserved weighs: a block of a quarter of a second each
    t.ok(used >= 0.95 - (Math.floor(workers / 2) * 0.25) / 20, `${workers} workers use ${used}`)
  }
})

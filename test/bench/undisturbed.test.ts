import t from 'tap'
import { undisturbed } from '../../bench/undisturbed.js'

const AWAY_MS = 150

/** Holds this thread up, as a machine does that is away. */
function away() {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 2 * AWAY_MS)
}

t.test('what was measured, or failed, while the machine was away is measured again', async (t) => {
  const said: string[] = []
  let times = 0
  const measure = async () => {
    times += 1
    if (times < 3) away()
    if (times === 1) throw new Error('a lease ran out meanwhile')
    return times
  }
  t.equal(await undisturbed((line) => said.push(line), measure, AWAY_MS), 3)
  t.equal(said.length, 2)
  t.match(said[0], /away for 0\.\d s/)
})

t.test('not for ever, and not without need', async (t) => {
  let times = 0
  const busy = async () => {
    away()
    return ++times
  }
  t.equal(await undisturbed(() => {}, busy, AWAY_MS), 4)
  t.equal(
    await undisturbed(
      () => {},
      async () => 'at once'
    ),
    'at once'
  )
  let tries = 0
  const broken = async () => {
    tries += 1
    throw new Error('of itself')
  }
  await t.rejects(
    undisturbed(() => {}, broken),
    { message: 'of itself' }
  )
  t.equal(tries, 1)
})

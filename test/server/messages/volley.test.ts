import t from 'tap'
import { LATE_MS, volley } from '../../../server/messages/volley.js'

/** A clock that moves by being slept on, and things that happen at its moments. */
function world() {
  let now = 0
  const due: { at: number; go: () => void }[] = []
  const moveTo = (at: number) => {
    for (const each of due.filter((event) => event.at <= at).sort((a, b) => a.at - b.at)) {
      due.splice(due.indexOf(each), 1)
      now = Math.max(now, each.at)
      each.go()
    }
    now = Math.max(now, at)
  }
  const sleep = async (ms: number) => moveTo(now + ms)
  return { pace: { monotonic: () => now, sleep }, sleep, at: (at: number, go: () => void) => void due.push({ at, go }) }
}

const slots = (granted: number, firstAt: number) => ({ granted, firstAt, everyMs: 20 })
const never = () => false
const always = () => true

t.test('each goes at its own moment, none early', async (t) => {
  const { pace, sleep } = world()
  const fired: [string, number][] = []
  const rest = { pace, over: never, room: always, freed: sleep }
  const left = await volley(['a', 'b', 'c'], slots(3, 100), rest, (item) => void fired.push([item, pace.monotonic()]))
  t.same(fired, [
    ['a', 100],
    ['b', 120],
    ['c', 140]
  ])
  t.same(left, [])
})

t.test('slots that are too late are lost, and cost those at the end their turn', async (t) => {
  const { pace, sleep } = world()
  await sleep(100 + LATE_MS + 1)
  const fired: [string, number][] = []
  const rest = { pace, over: never, room: always, freed: sleep }
  const left = await volley(['a', 'b', 'c'], slots(3, 100), rest, (item) => void fired.push([item, pace.monotonic()]))
  t.same(fired, [
    ['a', 120],
    ['b', 140]
  ])
  t.same(left, ['c'])
})

t.test('nobody goes without room: one waits for it as long as the slot is good, and no longer', async (t) => {
  const { pace, sleep, at } = world()
  let free = 1
  at(110, () => (free += 1))
  at(170, () => (free += 1))
  const freed = (ms: number) => sleep(Math.min(ms, 5))
  const fired: [string, number][] = []
  const left = await volley(
    ['a', 'b', 'c', 'd'],
    slots(4, 100),
    { pace, over: never, room: () => free > 0, freed },
    (item) => {
      free -= 1
      fired.push([item, pace.monotonic()])
    }
  )
  // the third slot, of 140, is lost at 165; the fourth, of 160, meets the room of 170
  t.same(fired.slice(0, 2), [
    ['a', 100],
    ['b', 120]
  ])
  t.equal(fired[2]![0], 'c')
  t.ok(fired[2]![1] >= 170 && fired[2]![1] <= 175, `${fired[2]![1]}`)
  t.same(left, ['d'])
})

t.test('when it is over, nobody goes any more', async (t) => {
  const { pace, sleep } = world()
  const fired: string[] = []
  const rest = { pace, over: () => fired.length === 2, room: always, freed: sleep }
  t.same(await volley(['a', 'b', 'c'], slots(3, 0), rest, (item) => void fired.push(item)), ['c'])
  t.same(fired, ['a', 'b'])
})

import t from 'tap'
import { flushMsOf, intakeOf, nextBatch, slotsWanted } from '../../../server/messages/rhythm.js'

const idle = { inFlight: 0, pending: 0, latencyMs: 0 }

t.test('a block is a quarter of a second where few go, a tenth where many do', async (t) => {
  const all = { ...idle, queued: 10_000 }
  t.equal(slotsWanted({ perSecond: 50, inFlight: 200 }, all), 13)
  t.equal(slotsWanted({ perSecond: 100, inFlight: 200 }, all), 25)
  t.equal(slotsWanted({ perSecond: 2_000, inFlight: 1_000 }, all), 200)
  t.equal(slotsWanted({ perSecond: 0.01, inFlight: 1 }, all), 1, 'one at least')
  t.equal(slotsWanted({ perSecond: 2_000, inFlight: 1_000 }, { ...idle, queued: 3 }), 3, 'no more than there are')
  t.equal(flushMsOf({ perSecond: 100, inFlight: 200 }), 200)
  t.equal(flushMsOf({ perSecond: 101, inFlight: 200 }), 100)
})

t.test(
  'with its hands full it asks for the room that comes free during the block, when that is worth it',
  async (t) => {
    const limits = { perSecond: 2_000, inFlight: 500 }
    const full = { queued: 1_000, inFlight: 500, pending: 0, latencyMs: 350 }
    t.equal(slotsWanted(limits, full), 142, '500 answers in 350 ms')
    t.equal(slotsWanted(limits, { ...full, pending: 100 }), 0, 'most of it is promised already')
    t.equal(slotsWanted(limits, { ...full, pending: 80 }), 62)
    t.equal(slotsWanted(limits, { ...full, inFlight: 400 }), 200, 'there is room enough')
    t.equal(slotsWanted({ perSecond: 500, inFlight: 1 }, { ...full, inFlight: 1 }), 0)
    t.equal(slotsWanted({ perSecond: 500, inFlight: 1 }, { ...idle, queued: 9 }), 1)
    t.equal(
      slotsWanted({ perSecond: 500, inFlight: 8 }, { ...full, inFlight: 6, latencyMs: 1_000 }),
      2,
      'a small room is worth a small block'
    )
  }
)

t.test('the first intake is small, those after it grow, and four seconds are in hand at most', async (t) => {
  const limits = { perSecond: 100, inFlight: 200 }
  const taken: number[] = []
  let batch: number | null = null
  for (let waiting = 0; taken.length < 5; waiting = 100) {
    const intake = intakeOf(limits, waiting, batch)
    taken.push(intake)
    batch = nextBatch(intake)
  }
  t.same(taken, [25, 75, 225, 300, 300])
  t.equal(intakeOf(limits, 101, 300), 0, 'a second in hand is enough to wait with')
  t.equal(intakeOf({ perSecond: 2_000, inFlight: 500 }, 0, 5_000), 2_000)
  t.equal(intakeOf({ perSecond: 2_000, inFlight: 500 }, 1_001, 5_000), 0)
  t.equal(nextBatch(900), 1_000)
  t.equal(intakeOf({ perSecond: 0.01, inFlight: 1 }, 0, null), 10)
  t.equal(intakeOf({ perSecond: 0.01, inFlight: 1 }, 6, 30), 0)
})

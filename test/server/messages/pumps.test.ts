import t from 'tap'
import type { AccountPump } from '../../../server/messages/pump.js'
import { createPumps } from '../../../server/messages/pumps.js'

t.test(
  'a worker whose job is given to it once more looks for work once a beat, and keeps the newer lock',
  async (t) => {
    let now = 0
    let looks = 0
    let beat: () => void = () => {}
    const said: string[] = []
    const pumps = createPumps({
      accounts: { list: async () => (looks++, []) } as never,
      pace: { monotonic: () => now, sleep: () => new Promise<void>((resolve) => (beat = resolve)) },
      log: { warn: (_: object, text: string) => said.push(text), error: () => {} } as never,
      make: () => ({}) as AccountPump
    })
    const turn = () => new Promise((resolve) => setImmediate(resolve))
    const stop = new AbortController()
    const touches = { old: 0, young: 0 }
    const old = pumps.run(stop.signal, async () => {
      touches.old += 1
      throw new Error('trying to touch a canceled job')
    })
    await turn()
    const young = pumps.run(stop.signal, async () => void (touches.young += 1))
    await turn()
    const before = looks
    for (let beats = 0; beats < 3; beats++) {
      now += 6000
      beat()
      await turn()
    }
    t.equal(looks - before, 3, 'one look a beat')
    t.same(touches, { old: 0, young: 3 })
    t.same(said, [])

    stop.abort()
    await Promise.all([old, young])
    const after = looks
    beat()
    await turn()
    t.equal(looks, after, 'and both end together')
  }
)

import type { Installation } from '../demo/chaos/installation.js'
import { totalsOf } from '../demo/chaos/report.js'
import { runSeed, type Outcome, type Wish } from '../demo/chaos/run.js'
import { judged, type Figure } from './figure.js'

const SECTION = 'sender'
/** Quick: what `npm run chaos` does at length, five times. */
const ROUGH: Wish = { messages: 2000, seconds: 20, seed: 1, workers: 3, faults: 'chaos', killEveryMs: 2000 }
const TRANSIENT: Omit<Wish, 'messages'> = { seconds: 20, seed: 1, workers: 3, faults: 'transient', killEveryMs: 0 }

/**
 * What is lost, doubled or stuck when everything is killed and WeChat fails; and how much of `faltering` messages arrives
 * when it only falters.
 */
export async function chaosFigures(faltering: number, say: (line: string) => void): Promise<Figure[]> {
  say('2,000 messages, kill -9 every 2 s, the store too, 1 % faults')
  const rough = await run(ROUGH)
  const { kills, storeKills, faults, unknown } = totalsOf([rough])
  const done = `${ROUGH.messages} messages, ${kills} kills and ${storeKills} of the store, ${faults} faults`
  const none = (id: string, figure: number, note: string) => judged(SECTION, id, figure, { atMost: 0 }, note)

  say(`${faltering} messages, 0.8 % transient faults`)
  const calm = await run({ ...TRANSIENT, messages: faltering })
  const met = totalsOf([calm]).faults
  const again = calm.permanentRetries + calm.refusedForGood - calm.refusedMessages
  return [
    none('chaos-lost', rough.lost + rough.disagreements, `${done}; ${unknown} unknown, each with its reason`),
    none('chaos-double', rough.double, done),
    none('chaos-stuck', rough.stuck, `${done}; quiet ${(rough.quietAfterMs ?? NaN) / 1000} s after the faults`),
    judged(
      SECTION,
      'transient-success-percent',
      calm.success * 100,
      { atLeast: 99.99 },
      `of ${calm.messages} messages, ${met} faults that pass; on forms, grants and followers`
    ),
    none(
      'permanent-retries',
      again,
      `${calm.refusedForGood} requests answered for good, to ${calm.refusedMessages} messages`
    )
  ]
}

async function run(wish: Wish): Promise<Outcome> {
  const standing: { installation: Installation | null } = { installation: null }
  try {
    return await runSeed(wish, { step: () => {}, built: (installation) => (standing.installation = installation) })
  } finally {
    await standing.installation?.strike()
  }
}

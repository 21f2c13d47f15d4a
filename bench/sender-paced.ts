import { everyMsOf } from '../server/messages/budget.js'
import { LATE_MS } from '../server/messages/volley.js'
import { judged, median, type Figure } from './figure.js'
import { carriedBy, meanOf, USUAL, type Sent, type SenderGround } from './sender-ground.js'

const SECTION = 'sender'
/**
 * Messages, requests a second WeChat takes, and how many commands a message are too many (null: not judged here). In a
 * quick run those that take longest are measured once.
 */
const PACES = [
  { count: 1_000, perSecond: 50, commands: null, once: true },
  { count: 1_000, perSecond: 100, commands: 0.35, once: false },
  { count: 10_000, perSecond: 1_000, commands: null, once: true }
] as const
/** So many are a quick run, more a thorough one. */
export const QUICK_ROUNDS = 2
const SPARE = 1.05
/** Whoever needs more of a machine's cores than this finds them taken at times. */
const CROWDED = 0.7

/** Goals 1 and 4: does the limit of WeChat alone decide how long it takes, and what does that ask of the store? */
export async function paced(ground: SenderGround, rounds: number, say: (line: string) => void): Promise<Figure[]> {
  const all = []
  for (const pace of PACES) {
    const { count, perSecond } = pace
    const inFlight = Math.min(1_000, perSecond)
    all.push({ pace, accountId: await ground.account({ perSecond, inFlight }, count), sent: [] as Sent[] })
  }
  for (let round = 1; round <= rounds; round++) {
    for (const { pace, accountId, sent } of all) {
      if (pace.once && round > 1 && rounds <= QUICK_ROUNDS) continue
      say(`${pace.count} messages at ${pace.perSecond}/s, round ${round} of ${rounds}`)
      sent.push(await ground.send(accountId, pace.count, USUAL))
    }
  }
  return all.flatMap(({ pace, sent }) => figuresOf(pace, sent))
}

function figuresOf({ count, perSecond, commands }: (typeof PACES)[number], sent: Sent[]): Figure[] {
  const idealMs = ((count - 1) / perSecond) * 1000 + meanOf(USUAL)
  const of = (pick: (each: Sent) => number) => median(sent.map(pick))
  const seconds = (ms: number) => `${(ms / 1000).toFixed(2)} s`
  const wall = of(({ wallMs }) => wallMs)
  const note =
    `${count} messages: ${seconds(wall)} from "resume" to WeChat's last answer, ${seconds(idealMs)} at least; the first call after ` +
    `${of(({ firstMs }) => firstMs).toFixed(0)} ms, all stored after ${seconds(of(({ storedMs }) => storedMs))}, ` +
    `${of(({ seen }) => seen.worstSecond)} calls in the fullest second; median of ${sent.length}`
  const carried = carriedBy(sent)
  // What the spacing of the slots takes, beyond it what was lost on the way.
  const slots = (count - 1) * everyMsOf(perSecond) + meanOf(USUAL)
  const why =
    perSecond > carried.perSecond * CROWDED
      ? carried.words
      : `the slots' spacing alone takes ${seconds(slots)}, the first call came after ${of(({ firstMs }) => firstMs).toFixed(0)} ms, and ` +
        `slots that were missed by more than ${LATE_MS} ms, and the last answer's turn, took ` +
        seconds(wall - slots - of(({ firstMs }) => firstMs))
  const figures = [judged(SECTION, `paced-${perSecond}`, wall / idealMs, { atMost: SPARE }, note, why)]
  if (commands !== null) {
    const asked = `commands a message beyond what a worker asks at rest (${of((each) => each.allCommands).toFixed(2)} with that)`
    figures.push(
      judged(
        SECTION,
        `commands-${perSecond}`,
        of((each) => each.commands),
        { atMost: commands },
        asked,
        `answers were stored in ${of(({ storedMs }) => storedMs / 1000).toFixed(1)} s, and a loaded machine splits what is written together`
      )
    )
  }
  return figures
}

import { startChild } from './child.js'
import { judged, median, type Figure } from './figure.js'
import { AT_ONCE, carriedBy, meanOf, USUAL, type Sent, type SenderGround } from './sender-ground.js'
import { QUICK_ROUNDS } from './sender-paced.js'
import type { Run, StoreWish, Wish } from './sender-peers.js'
import { undisturbed } from './undisturbed.js'

const SECTION = 'sender'
const MESSAGES = 10_000
const IN_FLIGHT = 500
/** The most an account may be given. */
const FASTEST = 2_000
/** Beyond what WeChat lets anybody send: the sender's own speed. */
const UNLIMITED = 100_000
const CLOSE = 200

/** How often each is measured, and how much the slow peers are given. */
export type Profile = { rounds: number; peerMessages: number }
type Say = (line: string) => void

/** Goals 2, 3, 4 and 5: how fast without WeChat's limit, beside those who do less, or do it one by one. */
export async function speed(ground: SenderGround, { rounds, peerMessages }: Profile, say: Say): Promise<Figure[]> {
  const { uri, wechat, fake } = ground
  const peers = startChild('sender-peers')
  try {
    const wide = await ground.account({ perSecond: FASTEST, inFlight: IN_FLIGHT }, MESSAGES)
    const close = await ground.account({ perSecond: UNLIMITED, inFlight: CLOSE }, MESSAGES)
    const raw = (count: number, inFlight: number) => peers.ask<Run>('raw', { wechat, count, inFlight } satisfies Wish)
    const byStore = (how: 'single' | 'agenda') =>
      undisturbed(say, () =>
        peers.ask<Run>(how, { wechat, uri, count: peerMessages, inFlight: CLOSE } satisfies StoreWish)
      )
    const took = {
      wide: [] as Sent[],
      close: [] as Sent[],
      rawWide: [] as Run[],
      rawClose: [] as Run[],
      single: [] as Run[],
      agenda: [] as Run[]
    }
    say('warming up')
    await fake.ask('begin', AT_ONCE)
    await raw(MESSAGES / 4, CLOSE)
    await ground.send(close, MESSAGES / 4, AT_ONCE)
    for (let round = 1; round <= rounds; round++) {
      if (round === 1 || rounds > QUICK_ROUNDS) {
        say(`${MESSAGES} messages, ${IN_FLIGHT} in flight, round ${round} of ${rounds}`)
        await fake.ask('begin', USUAL)
        took.rawWide.push(await raw(MESSAGES, IN_FLIGHT))
        took.wide.push(await ground.send(wide, MESSAGES, USUAL))
      }
      say(`${MESSAGES} messages to a WeChat that answers at once, beside three others, round ${round} of ${rounds}`)
      await fake.ask('begin', AT_ONCE)
      took.rawClose.push(await raw(MESSAGES, CLOSE))
      took.close.push(await ground.send(close, MESSAGES, AT_ONCE))
      await fake.ask('begin', AT_ONCE)
      took.single.push(await byStore('single'))
      took.agenda.push(await byStore('agenda'))
    }
    return [...wideFigures(took.wide, took.rawWide), ...closeFigures(took, peerMessages)]
  } finally {
    await peers.stop()
  }
}

const secondsOf = (runs: Run[]) => median(runs.map(({ seconds }) => seconds))
const cpuOf = (runs: { cpuMicros: number }[]) => median(runs.map(({ cpuMicros }) => cpuMicros))
const wallOf = (sent: Sent[]) => median(sent.map(({ wallMs }) => wallMs)) / 1000
const storeCpuOf = (sent: Sent[]) => median(sent.map(({ storeCpuMicros }) => storeCpuMicros))

function wideFigures(sent: Sent[], raw: Run[]): Figure[] {
  const ideal = (MESSAGES * meanOf(USUAL)) / IN_FLIGHT / 1000
  const most = median(sent.map(({ seen }) => seen.mostInFlight))
  const note =
    `${wallOf(sent).toFixed(2)} s from "resume" to WeChat's last answer, ${ideal} s at least, ${MESSAGES} messages, at most ${most} in ` +
    `flight; the raw loop ${(secondsOf(raw) / ideal).toFixed(2)}; a message costs the sender ${cpuOf(sent).toFixed(0)} µs and ` +
    `the store ${storeCpuOf(sent).toFixed(0)} µs of processor time, on as many cores as there are; median of ${sent.length}`
  const commands = median(sent.map((each) => each.commands))
  return [
    judged(SECTION, 'unpaced', wallOf(sent) / ideal, { atMost: 1.1 }, note, carriedBy(sent).words),
    judged(
      SECTION,
      'commands-unpaced',
      commands,
      { atMost: 0.06 },
      'commands a message beyond what a worker asks at rest'
    )
  ]
}

function closeFigures(
  { close, rawClose, single, agenda }: { close: Sent[]; rawClose: Run[]; single: Run[]; agenda: Run[] },
  peerMessages: number
): Figure[] {
  const rate = (count: number, seconds: number) => count / seconds
  const ours = rate(MESSAGES, wallOf(close))
  const loop = rate(MESSAGES, secondsOf(rawClose))
  const jobs = rate(peerMessages, secondsOf(agenda))
  const singly = rate(peerMessages, secondsOf(single))
  const why = carriedBy(close).words
  const cpu = `${cpuOf(close).toFixed(0)} µs of processor time a message, the raw loop ${cpuOf(rawClose).toFixed(0)}`
  const rates = `${ours.toFixed(0)}/s, the raw undici loop ${loop.toFixed(0)}/s, three commands a message ${singly.toFixed(0)}/s`
  return [
    judged(
      SECTION,
      'raw-ratio',
      ours / loop,
      { atLeast: 0.4 },
      `${rates}; sender, store (${storeCpuOf(close).toFixed(0)} µs a message) and WeChat share the machine's cores`,
      why
    ),
    judged(
      SECTION,
      'raw-ratio-sender-alone',
      cpuOf(rawClose) / cpuOf(close),
      { atLeast: 0.4 },
      `the same by the processor time of the sender alone, its driver counted and the store's process not: ${cpu}`,
      `a message is read and written about seven times on its way, by the driver, where the loop only posts: ${cpu}`
    ),
    judged(
      SECTION,
      'agenda-ratio',
      ours / jobs,
      { atLeast: 5 },
      `one Agenda job a message on the same store ${jobs.toFixed(0)}/s, ${peerMessages} jobs`,
      `${why}; Agenda's job only posts: no right is claimed, no answer kept`
    )
  ]
}

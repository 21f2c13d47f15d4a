import { chaosFigures } from './chaos.js'
import { figuresOf, type Figure } from './figure.js'
import { senderLimit } from './limit.js'
import { captureRates } from './sender-capture.js'
import { withSender } from './sender-ground.js'
import { paced, QUICK_ROUNDS } from './sender-paced.js'
import { inFlight, size } from './sender-size.js'
import { speed } from './sender-speed.js'
import { thousand } from './thousand.js'

const QUICK = {
  rounds: QUICK_ROUNDS,
  peerMessages: 1_000,
  many: 20_000,
  captureRounds: 1,
  captureSeconds: 2,
  faltering: 4_000
}
const FULL = {
  rounds: 5,
  peerMessages: 10_000,
  many: 1_000_000,
  captureRounds: 5,
  captureSeconds: 3,
  faltering: 10_000
}

/**
 * Messages on their way out, beside the limits of WeChat, of the machine, and what others reach: worker, store and WeChat
 * are processes of their own. `full`: more rounds, and a million messages.
 */
export async function sender(say: (line: string) => void, { full }: { full: boolean }): Promise<Figure[]> {
  const profile = full ? FULL : QUICK
  return figuresOf('sender', say, {
    thousand: () => thousand(say),
    paced: () => withSender(say, (ground) => paced(ground, profile.rounds, say)),
    speed: () => withSender(say, (ground) => speed(ground, profile, say)),
    limit: () => senderLimit(say),
    'in-flight': () => inFlight(say),
    size: () => size(profile.many, say),
    capture: () => captureRates(profile.captureRounds, profile.captureSeconds, say),
    chaos: () => chaosFigures(profile.faltering, say)
  })
}

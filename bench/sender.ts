import { chaosFigures } from './chaos.js'
import type { Figure } from './figure.js'
import { senderLimit } from './limit.js'
import { captureRates } from './sender-capture.js'
import { withSender } from './sender-ground.js'
import { paced } from './sender-paced.js'
import { inFlight, size } from './sender-size.js'
import { speed } from './sender-speed.js'
import { thousand } from './thousand.js'

const QUICK = { rounds: 3, peerMessages: 1_000, many: 50_000, captureRounds: 2, captureSeconds: 2 }
const FULL = { rounds: 5, peerMessages: 10_000, many: 1_000_000, captureRounds: 5, captureSeconds: 3 }

/**
 * Messages on their way out, beside the limits of WeChat, of the machine, and what others reach: worker, store and WeChat
 * are processes of their own. `full`: more rounds, and a million messages.
 */
export async function sender(say: (line: string) => void, { full }: { full: boolean }): Promise<Figure[]> {
  const profile = full ? FULL : QUICK
  return [
    ...(await thousand(say)),
    ...(await withSender(say, (ground) => paced(ground, profile.rounds, say))),
    ...(await withSender(say, (ground) => speed(ground, profile, say))),
    ...(await senderLimit(say)),
    ...(await inFlight(say)),
    ...(await size(profile.many, say)),
    ...(await captureRates(profile.captureRounds, profile.captureSeconds, say)),
    ...(await chaosFigures(say))
  ]
}

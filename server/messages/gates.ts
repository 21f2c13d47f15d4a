import type { MessageRow } from './model.js'
import type { SkipReason } from '../../shared/message.js'
import type { Held } from './guarding.js'
import { quietUntil } from './quiet-hours.js'
import { MAX_ATTEMPTS } from './settle.js'

/** What the gates look at besides the row. */
export type GateFacts = {
  now: Date
  run: 'online' | 'paused' | 'cancelled'
  accountPaused: boolean
  optedOut: boolean
  reach: 'ok' | 'blocked' | 'unfollowed'
  /** service accounts: is the recipient a follower? */
  follower: boolean
  waitStopped: boolean
  /** The field and the word in it that no message may hold; null: there is none. */
  sensitive: string | null
  /** A penalty or a breaker that stands in the way. */
  held: Held | null
  /** The account's quiet hours; they are those of `zone`, the person's. */
  quiet: { from: string; to: string; dying: 'send' | 'skip' } | null
  zone: string
  /** When the right that would be used dies; null when unknown. */
  rightDiesAt: Date | null
}

/** What the gates decide for a leased row. */
export type Gate =
  | { go: true }
  | { stop: 'skipped'; reason: SkipReason; detail?: string }
  | { stop: 'expired' }
  | { delay: Date; waitingFor: 'quietHours' | 'time' | Held['waitingFor'] }
  | { giveUp: string }

/** What a message says whose wait something stopped. */
export const WAIT_STOPPED = 'the wait was stopped'
/** 8 min of WeChat's 10-minute memory of client_msg_id, so that clocks two minutes apart do no harm. */
export const SAME_ID_MS = 8 * 60_000

/** Everything that may keep a leased row from being sent, in order (docs/ledger.md B). Pure. */
export function gate(row: MessageRow, facts: GateFacts): Gate {
  const doubt = row.state === 'sending'
  if (doubt) {
    if (row.notAfter <= facts.now) return { giveUp: 'deadline' }
    if (facts.run === 'cancelled') return { giveUp: 'cancelled' }
    if (facts.optedOut) return { giveUp: 'optedOut' }
    const source = row.hold?.source
    if (source === 'payment' || source === 'grant' || source === 'longTermGrant') return { giveUp: 'noAnswer' }
    if (
      row.channel === 'service' &&
      row.firstSentAt !== undefined &&
      facts.now.getTime() - row.firstSentAt.getTime() > SAME_ID_MS
    )
      return { giveUp: 'tooOld' }
    if (row.attempt >= MAX_ATTEMPTS) return { giveUp: 'attempts' }
    if (facts.run === 'paused' || facts.accountPaused)
      return { delay: new Date(facts.now.getTime() + 30_000), waitingFor: 'time' }
    // asking again under a penalty would only find out about the penalty
    if (facts.held !== null)
      return {
        delay: new Date(Math.min(facts.held.until.getTime(), facts.now.getTime() + 600_000)),
        waitingFor: 'penalty'
      }
    return { go: true }
  }
  if (facts.run === 'cancelled') return { stop: 'skipped', reason: 'cancelled' }
  if (facts.waitStopped) return { stop: 'skipped', reason: 'cancelled', detail: WAIT_STOPPED }
  if (facts.optedOut && !row.test) return { stop: 'skipped', reason: 'optedOut' }
  if (row.notAfter <= facts.now) return { stop: 'expired' }
  if (facts.reach !== 'ok') return { stop: 'skipped', reason: 'suppressed', detail: facts.reach }
  if (row.channel === 'service' && !facts.follower)
    return { stop: 'skipped', reason: 'suppressed', detail: 'not a follower' }
  if (facts.sensitive !== null) return { stop: 'skipped', reason: 'sensitiveWord', detail: facts.sensitive }
  if (facts.run === 'paused' || facts.accountPaused) return { delay: facts.now, waitingFor: 'time' }
  if (facts.held !== null) return { delay: facts.held.until, waitingFor: facts.held.waitingFor }
  if (facts.quiet !== null && row.lane === 'bulk' && !row.test) {
    const until = quietUntil(facts.now, facts.quiet, facts.zone)
    if (until !== null) {
      if (until >= row.notAfter) return { stop: 'skipped', reason: 'quietHours' }
      if (facts.rightDiesAt !== null && facts.rightDiesAt <= until) {
        return facts.quiet.dying === 'send'
          ? { go: true }
          : { stop: 'skipped', reason: 'quietHours', detail: 'the right dies before they end' }
      }
      return { delay: until, waitingFor: 'quietHours' }
    }
  }
  return { go: true }
}

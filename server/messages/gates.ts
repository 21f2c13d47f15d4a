import { DateTime } from 'luxon'
import type { MessageRow } from './model.js'
import type { SkipReason } from '../../shared/message.js'
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
  /** The quiet hours of the person's zone, when they bind this row. */
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
  | { delay: Date; waitingFor: 'quietHours' | 'time' }
  | { giveUp: string }

/** What a message says whose wait something stopped. */
export const WAIT_STOPPED = 'the wait was stopped'
/** 8 min of WeChat's 10-minute memory of client_msg_id, so that clocks two minutes apart do no harm. */
export const SAME_ID_MS = 8 * 60_000

/** The end of the quiet hours `now` falls into, or null outside them. Times are HH:mm in `zone`; a window may cross midnight. */
export function quietUntil(now: Date, quiet: { from: string; to: string }, zone: string): Date | null {
  const local = DateTime.fromJSDate(now, { zone })
  const at = (text: string, days: number) => {
    const [hour, minute] = text.split(':').map(Number)
    return local.startOf('day').plus({ days }).set({ hour, minute })
  }
  for (const days of [-1, 0]) {
    const from = at(quiet.from, days)
    let to = at(quiet.to, days)
    if (to <= from) to = at(quiet.to, days + 1)
    if (local >= from && local < to) return to.toJSDate()
  }
  return null
}

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
    return { go: true }
  }
  if (facts.run === 'cancelled') return { stop: 'skipped', reason: 'cancelled' }
  if (facts.waitStopped) return { stop: 'skipped', reason: 'cancelled', detail: WAIT_STOPPED }
  if (facts.optedOut && !row.test) return { stop: 'skipped', reason: 'optedOut' }
  if (row.notAfter <= facts.now) return { stop: 'expired' }
  if (facts.reach !== 'ok') return { stop: 'skipped', reason: 'suppressed', detail: facts.reach }
  if (row.channel === 'service' && !facts.follower)
    return { stop: 'skipped', reason: 'suppressed', detail: 'not a follower' }
  if (facts.run === 'paused' || facts.accountPaused) return { delay: facts.now, waitingFor: 'time' }
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

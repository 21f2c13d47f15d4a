import type { Figures, Funnel } from '../../shared/report.js'
import type { CounterRow } from './model.js'

/** A counter's class in words: the state, and what explains it. */
export const partsOf = (name: string): [state: string, reason: string | undefined] => {
  const at = name.indexOf(':')
  return at < 0 ? [name, undefined] : [name.slice(0, at), name.slice(at + 1)]
}

/** A class as counters name it: their field names hold no dots. */
export const counterField = (name: string): string => name.replaceAll('.', '_').replaceAll('$', '_')

/** Skipped because there was nobody to write to, or no right to do so. */
const UNREACHABLE = ['notInAccount', 'optedOut', 'suppressed', 'noCredential']
/** Failed, though WeChat had taken it: a receipt said so. */
const TAKEN_AND_FAILED = /^(userBlock|systemFailed|receipt .*)$/
/** Ends that only a message with a right in its hands comes to. */
const CLAIMED = ['accepted', 'delivered', 'failed', 'unknown']

/** Did WeChat take the messages of this class? */
const isTaken = (state: string, reason: string | undefined) =>
  state === 'accepted' || state === 'delivered' || (state === 'failed' && TAKEN_AND_FAILED.test(reason ?? ''))

export const noFigures = (): Figures => ({
  filed: 0,
  open: 0,
  accepted: 0,
  delivered: 0,
  failed: 0,
  unknown: 0,
  skipped: 0,
  expired: 0,
  opened: 0
})

/**
 * Adds what a counter says to `figures`. What moved on takes itself out of where it was, so that the figures of all
 * minutes together are those of the rows as they stand. `accepted` keeps what became of it later: delivered, or failed.
 */
export function addFigures(figures: Figures, counter: Pick<CounterRow, 'n' | 'opened'>): void {
  figures.opened += counter.opened ?? 0
  for (const [name, n] of Object.entries(counter.n)) {
    const [state, reason] = partsOf(name)
    figures.filed += n
    if (isTaken(state, reason)) figures.accepted += n
    if (state !== 'accepted' && state in figures) figures[state as Exclude<keyof Figures, 'filed' | 'opened'>] += n
  }
}

/**
 * From whom the audience held to who looked at the card, as far as it is known: an open message is counted as reachable
 * until it is found not to be. Each step holds what the next one does.
 */
export function funnelOf(counters: Pick<CounterRow, 'n' | 'opened' | 'channel'>[]): Funnel {
  const funnel: Funnel = {
    matched: 0,
    reachable: 0,
    claimed: 0,
    accepted: 0,
    confirmable: 0,
    delivered: 0,
    opened: 0,
    open: 0,
    deliveredShare: null
  }
  for (const { n: classes, opened, channel } of counters) {
    funnel.opened += opened ?? 0
    for (const [name, n] of Object.entries(classes)) {
      const [state, reason] = partsOf(name)
      funnel.matched += n
      if (state === 'open') funnel.open += n
      if (state !== 'skipped' || !UNREACHABLE.includes(reason ?? '')) funnel.reachable += n
      if (CLAIMED.includes(state)) funnel.claimed += n
      if (state === 'delivered') funnel.delivered += n
      if (!isTaken(state, reason)) continue
      funnel.accepted += n
      // a legacy mini-program message has no receipt: accepted is the last that is ever heard of it
      if (channel !== 'legacy') funnel.confirmable += n
    }
  }
  if (funnel.confirmable > 0) funnel.deliveredShare = funnel.delivered / funnel.confirmable
  return funnel
}

/** The last minutes that a rate is taken from, the one under way included. */
const RATE_MS = 5 * 60_000

/** How many messages of these counters were through a second, lately. */
export function rateOf(counters: Pick<CounterRow, 'n' | 'minute'>[], now: Date): number {
  const since = now.getTime() - RATE_MS
  const recent = counters.filter(({ minute }) => minute.getTime() > since)
  if (recent.length === 0) return 0
  let through = 0
  for (const { n } of recent) for (const [name, count] of Object.entries(n)) if (name !== 'open') through += count
  const first = Math.min(...recent.map(({ minute }) => minute.getTime()))
  return Math.max(0, through) / Math.max(1, (now.getTime() - first) / 1000)
}

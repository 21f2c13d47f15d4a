import type { Account } from '../accounts/accounts.js'
import type { Slots } from './budget.js'
import { LATE_MS } from './volley.js'

/**
 * How much is decided, and told the store, at a time: the less often, the fewer commands; a pause, and who is urgent, waits
 * for the end of a block.
 */
const BLOCK_MS = 100
const FLUSH_MS = 100
const SLOW = { perSecond: 100, blockMs: 250, flushMs: 200 }
/** The next block is asked for this long before the last one ends, and as much sooner as marking takes. */
const EARLY_MS = 60
const LEAD_MAX_MS = 250
/** Room worth a block, as a share of a full one. */
const WORTH = 0.25
/** In hand are the messages of this many seconds, within these bounds; `BATCH` at most are taken up at a time. */
const STOCK_S = 4
const STOCK = 2_000
const LEAST = 10
const BATCH = 1_000
/** The first ones are few, so that they go soon; then each batch is this much larger. */
const FIRST_S = 0.25
const GROWTH = 3

type Limits = Pick<Account['limits'], 'perSecond' | 'inFlight'>

/** How long answers are gathered before they are stored. */
export const flushMsOf = ({ perSecond }: Limits): number => (perSecond <= SLOW.perSecond ? SLOW.flushMs : FLUSH_MS)

/**
 * Slots worth asking for now: those of a block, as far as there is room, or will be by the answers that come meanwhile; 0:
 * not yet. `pending` have slots and have not gone. Pure.
 */
export function slotsWanted(
  { perSecond, inFlight: most }: Limits,
  { queued, inFlight, pending, latencyMs }: { queued: number; inFlight: number; pending: number; latencyMs: number }
): number {
  const blockMs = perSecond <= SLOW.perSecond ? SLOW.blockMs : BLOCK_MS
  const wanted = Math.min(queued, Math.max(1, Math.ceil((perSecond * blockMs) / 1000)))
  const freeing = (inFlight * blockMs) / Math.max(blockMs, latencyMs)
  const room = Math.floor(most - inFlight - pending + freeing)
  const isWorth = room >= Math.min(wanted, most) * WORTH || inFlight + pending === 0
  return isWorth ? Math.max(1, Math.min(wanted, room)) : 0
}

/**
 * How long it lately took from having slots to having marked their rows, beyond what a slot may be late; `before`: so far.
 * Whole ms. Pure.
 */
export const leadMsOf = (markingMs: number, before: number): number =>
  Math.round(Math.max(0, Math.min(LEAD_MAX_MS, markingMs - LATE_MS), before * 0.9 - 1))

/** When to ask for the block after this one, on the clock its slots are told by. Pure. */
export const nextBlockAt = (
  { firstAt, granted, everyMs }: Pick<Slots, 'firstAt' | 'granted' | 'everyMs'>,
  leadMs: number
): number => firstAt + granted * everyMs - EARLY_MS - leadMs

/**
 * How many messages to take up, with `waiting` in hand; 0: there are enough. `batch` is what the last intake said comes
 * next, null when nothing is under way. Pure.
 */
export function intakeOf({ perSecond }: Limits, waiting: number, batch: number | null): number {
  const stock = Math.min(STOCK, Math.max(LEAST, Math.ceil(perSecond * STOCK_S)))
  if (waiting > Math.min(stock / 2, Math.max(LEAST / 2, perSecond))) return 0
  return Math.min(stock - waiting, batch ?? Math.max(LEAST, Math.ceil(perSecond * FIRST_S)))
}

/** How many come after an intake of this many. */
export const nextBatch = (intake: number): number => Math.min(BATCH, intake * GROWTH)

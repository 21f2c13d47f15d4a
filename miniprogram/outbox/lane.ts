import { BATCH_MAX } from '../settings.js'
import { LANES, type ItemKind } from './item.js'

const BASE_MS = 2000
const CAP_MS = 5 * 60_000
/** A server that asks for more patience than this is asked again anyway. */
const RETRY_AFTER_MAX_MS = 6 * 3_600_000

/** One kind of items on its way to one address, with its own patience: a broken address does not hold up the others. */
export interface Lane {
  kind: ItemKind
  path: string
  dated: boolean
  wire(item: any): object
  failures: number
  /** Our own back-off: not before this moment, unless somebody asks. */
  retryAt: number
  /** The server's Retry-After: not before this moment, whoever asks. */
  notBefore: number
  /** Items a batch; halved when the server cannot take a batch as a whole. */
  width: number
}

export const newLane = (lane: (typeof LANES)[number]): Lane =>
  Object.assign({ failures: 0, retryAt: 0, notBefore: 0, width: BATCH_MAX }, lane)

/** Doubles from 2 s to 5 min, of which half is left to `chance` (0–1): many phones must not come back together. */
export const backoffMs = (failures: number, chance: number): number =>
  Math.min(CAP_MS, BASE_MS * 2 ** Math.min(20, failures - 1)) * (0.5 + chance / 2)

/** A moment further off than any we would set was set by a clock that has since gone back. */
const passed = (at: number, now: number, longest: number) => at <= now || at - now > longest

export const isDue = (lane: Lane, now: number, eager: boolean): boolean =>
  passed(lane.notBefore, now, RETRY_AFTER_MAX_MS) && (eager || passed(lane.retryAt, now, CAP_MS))

/** When the lane may go on by itself; `now` when it may already. */
export const dueAt = (lane: Lane, now: number): number =>
  Math.max(
    passed(lane.notBefore, now, RETRY_AFTER_MAX_MS) ? now : lane.notBefore,
    passed(lane.retryAt, now, CAP_MS) ? now : lane.retryAt
  )

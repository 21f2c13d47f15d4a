import { BATCH_MAX } from '../settings.js'
import { LANES, type Item, type ItemKind } from './item.js'

const BASE_MS = 2000
const CAP_MS = 5 * 60_000
/** A server that asks for more patience than this is asked again after it. */
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
  /** Items the server has spoken on since the start. */
  through: number
  /** By item id: `through` when it was last refused as a whole. */
  refusedAt: Record<string, number>
  /** Items refused on their own account: they go alone, after all others, in turn. */
  aside: Record<string, true>
  turn: number
  /** Items passed over in an answer that spoke on others: they go again with the next round's company, not alone. */
  passed: Record<string, true>
  /** The round on its way, and the one asked for while it was. */
  running: Promise<void> | null
  next: Promise<void> | null
}

export const newLane = (lane: (typeof LANES)[number]): Lane =>
  Object.assign(
    {
      failures: 0,
      retryAt: 0,
      notBefore: 0,
      width: BATCH_MAX,
      through: 0,
      refusedAt: Object.create(null),
      aside: Object.create(null),
      turn: 0,
      passed: Object.create(null),
      running: null,
      next: null
    },
    lane
  )

/** Doubles from 2 s to 5 min, of which half is left to `chance` (0–1): many phones must not come back together. */
export const backoffMs = (failures: number, chance: number): number =>
  Math.min(CAP_MS, BASE_MS * 2 ** Math.min(20, failures - 1)) * (0.5 + chance / 2)

/** A try that came to nothing. `retryAfterMs`: the server's own wish, if it had one. */
export function punish(lane: Lane, now: number, chance: number, retryAfterMs: number | null): void {
  lane.failures += 1
  lane.retryAt = now + backoffMs(lane.failures, chance)
  if (retryAfterMs !== null) lane.notBefore = now + Math.min(retryAfterMs, RETRY_AFTER_MAX_MS)
}

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

/** The lane's items that may travel together. */
export const soundOf = (lane: Lane, items: Item[]): Item[] =>
  items.filter((item) => item.kind === lane.kind && !lane.aside[item.id] && !lane.passed[item.id])

/** The next batch: sound items in order; those set aside go alone, after all others, each in its turn. */
export function choose(lane: Lane, items: Item[], most: number): Item[] {
  const sound = soundOf(lane, items)
  if (sound.length) return sound.slice(0, Math.max(1, Math.min(lane.width, most, BATCH_MAX)))
  const rest = items.filter((item) => item.kind === lane.kind && lane.aside[item.id])
  return rest.length ? [rest[lane.turn % rest.length]] : []
}

/** The items a refusal points to (RFC 9457 `errors` with JSON pointers, as our server words them). */
export function namedIn(body: any, batch: Item[]): Item[] {
  const named: Item[] = []
  for (const fault of body && Array.isArray(body.errors) ? body.errors : []) {
    const found = /^\/items\/(\d+)(\/|$)/.exec(String((fault && fault.pointer) || ''))
    const item = found && batch[Number(found[1])]
    if (item && named.indexOf(item) < 0) named.push(item)
  }
  return named
}

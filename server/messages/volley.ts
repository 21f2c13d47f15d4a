import type { Slots } from './budget.js'
import type { Pace } from './pace.js'

/**
 * A slot this much too late is lost and asked for anew: the limit's spacing margin is 30 ms, and the ways to the store and to
 * WeChat, which are not equally long each time, need their part of it.
 */
export const LATE_MS = 15

export type VolleyParts = {
  pace: Pace
  /** Nothing more is to be fired at all. */
  over: () => boolean
  /** Is there room for one more request? */
  room: () => boolean
  /** Waits until there may be, `ms` at the longest. */
  freed: (ms: number) => Promise<void>
}

/**
 * Gives each item a slot in turn: whoever's moment has come, and for whom there is room, goes; never early. A slot that is
 * lost costs the last of the block its turn, not the first: with a slow store the first slots are lost again and again,
 * and in front is who is urgent. @returns who found no slot
 */
export async function volley<Item>(
  items: readonly Item[],
  { granted, firstAt, everyMs }: Pick<Slots, 'granted' | 'firstAt' | 'everyMs'>,
  { pace, over, room, freed }: VolleyParts,
  go: (item: Item) => void | Promise<void>
): Promise<Item[]> {
  let index = 0
  for (let slot = 0; index < items.length && slot < granted && !over();) {
    const left = firstAt + slot * everyMs - pace.monotonic()
    if (left > 0) await pace.sleep(left)
    else if (-left > LATE_MS) slot += 1
    else if (!room()) await freed(Math.max(1, left + LATE_MS))
    else {
      slot += 1
      await go(items[index++]!)
    }
  }
  return items.slice(index)
}

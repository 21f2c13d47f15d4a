import { setTimeout as sleep } from 'node:timers/promises'
import type { Books, Reader } from './books.js'
import { pause } from './trouble.js'

const WATCH_MS = 5_000
const QUIET_MS = 60_000
const LOOK_MS = 500

/** Says every few seconds how much is on its way. */
export async function watch(reader: Reader, step: (line: string) => void, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    await pause(WATCH_MS, signal)
    if (signal.aborted) return
    const moving = await reader.moving().catch(() => null)
    step(moving === null ? 'the store is away' : `${moving.open} messages on their way`)
  }
}

/**
 * Waits until nothing is left to do; gives up when nothing has moved for a minute. @returns how long it took in ms; null:
 * something stayed
 */
export async function quiet(reader: Reader, step: (line: string) => void): Promise<number | null> {
  const began = performance.now()
  let still = 0
  let least = Infinity
  let at = began
  for (let looks = 1; still < QUIET_MS; looks++) {
    const { open, todo, held } = await reader.moving()
    const left = open + todo + held
    if (left === 0) return Math.round(performance.now() - began)
    // A machine that slept meanwhile gave nobody time to move.
    still = left < least ? 0 : still + Math.min(performance.now() - at, 4 * LOOK_MS)
    least = Math.min(least, left)
    at = performance.now()
    if (looks % 10 === 0) step(`${open} on their way, ${todo} with consequences to draw, ${held} sends held`)
    await sleep(LOOK_MS)
  }
  return null
}

/** The books; a receipt that came since all was quiet has its consequences drawn first, unless a minute does not do. */
export async function booksAtRest(reader: Reader): Promise<Books> {
  const began = performance.now()
  for (;;) {
    const books = await reader.books()
    if (!books.messages.some(({ todo }) => todo) || performance.now() - began > QUIET_MS) return books
    await sleep(LOOK_MS)
  }
}

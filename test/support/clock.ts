import type { Clock } from '../../server/platform/clock.js'

/** A clock a test moves by hand; both its faces move together. */
export type TestClock = Clock & { set(at: Date | string): void; advance(ms: number): void }

export function testClock(start: Date | string = '2026-03-01T00:00:00Z'): TestClock {
  let at = new Date(start).getTime()
  const begin = at
  return {
    now: () => new Date(at),
    monotonic: () => at - begin,
    set: (to) => void (at = new Date(to).getTime()),
    advance: (ms) => void (at += ms)
  }
}

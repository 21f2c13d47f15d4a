const SHANGHAI_MS = 8 * 3_600_000
const DAY_MS = 86_400_000

/** The sandbox's own time: a base clock plus an offset that the control API moves. Milliseconds since 1970. */
export interface SandboxClock {
  now(): number
  /** Moves time by `ms` (negative goes back) and returns the new now. */
  advance(ms: number): number
  /** Sets now to `at`; time then runs on from there. */
  set(at: number): number
  /** How far now is ahead of the base clock. */
  offset(): number
  /** Number of the current day in Shanghai time, the day that daily quotas count by (moment of the reset is assumed, not published). */
  day(): number
  /** Number of the current calendar month in Shanghai time (years × 12 + month), for industries and quota clearing. */
  month(): number
}

/** A clock over `base`, by default the machine's. */
export function createSandboxClock(base: () => number = Date.now): SandboxClock {
  let offset = 0
  const now = () => base() + offset
  return {
    now,
    advance(ms) {
      offset += ms
      return now()
    },
    set(at) {
      offset = at - base()
      return now()
    },
    offset: () => offset,
    day: () => Math.floor((now() + SHANGHAI_MS) / DAY_MS),
    month() {
      const local = new Date(now() + SHANGHAI_MS)
      return local.getUTCFullYear() * 12 + local.getUTCMonth()
    }
  }
}

/** Where "now" comes from. Handed to everything that asks the time, so that tests move weeks in milliseconds. */
export type Clock = {
  /** The wall clock, in the store's time once it has been compared with the store. */
  now(): Date
  /** Milliseconds that never go back; for durations on this machine only. */
  monotonic(): number
}

/** This machine's clock, moved by `offsetMs()` (what was measured against the store; 0 until then). */
export function createClock(offsetMs: () => number = () => 0): Clock {
  return {
    now: () => new Date(Date.now() + Math.round(offsetMs())),
    monotonic: () => performance.now()
  }
}

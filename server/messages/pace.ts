/**
 * The beat sends go out to: this machine's monotonic clock and real waiting. Apart from the wall clock, which tests
 * move by weeks, because slots are paced against the store's own time.
 */
export type Pace = { monotonic(): number; sleep(ms: number): Promise<void> }

export const realPace: Pace = {
  monotonic: () => performance.now(),
  sleep: (ms) => new Promise((resolve) => setTimeout(resolve, Math.max(0, ms)))
}

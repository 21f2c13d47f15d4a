/** Time as a phone's library sees it: its own clock, its timers, its chance. */
export type PhoneEnv = {
  now(): number
  random(): number
  setTimeout(run: () => void, ms: number): unknown
  clearTimeout(timer: any): void
}

/**
 * One phone's own time. Nothing waits for it: it jumps from timer to timer, so that a back-off of minutes passes at
 * once, and stands still while a real answer is under way. Deterministic as long as the answers are.
 */
export function createPhoneTime({ start, random }: { start: number; random: () => number }) {
  let elapsed = 0
  let skew = 0
  let made = 0
  let underWay = 0
  let wake: (() => void) | null = null
  const timers = new Map<number, { at: number; run: () => void }>()

  function setTimer(run: () => void, ms: number): number {
    timers.set(++made, { at: elapsed + Math.max(0, ms), run })
    return made
  }

  /** Until every promise that can go on went on, and no real answer is awaited. */
  async function settle(): Promise<void> {
    for (;;) {
      await new Promise<void>((resolve) => setImmediate(resolve))
      if (underWay === 0) return
      await new Promise<void>((resolve) => (wake = resolve))
    }
  }

  function nextDue(end: number): { at: number; run: () => void } | null {
    let found: number | null = null
    for (const [id, { at }] of timers) if (at <= end && (found === null || at < timers.get(found)!.at)) found = id
    if (found === null) return null
    const timer = timers.get(found)!
    timers.delete(found)
    return timer
  }

  return {
    settle,
    /** Since the phone was bought, by a clock nobody sets. */
    elapsed: () => elapsed,

    /** The person, or a network that knows better, sets the phone's clock; timers do not notice. */
    setClock: (byMs: number) => void (skew += byMs),

    /** A timer of the world outside the app: the app's death does not end it. */
    later: (ms: number) => new Promise<void>((resolve) => void setTimer(resolve, ms)),

    /** Something real; the phone's time stands still until it is there. */
    async real<T>(work: Promise<T>): Promise<T> {
      underWay += 1
      try {
        return await work
      } finally {
        underWay -= 1
        if (underWay === 0) wake?.()
      }
    },

    /** An app's share of this time: its timers die with it. */
    app(): { env: PhoneEnv; kill(): void } {
      const mine = new Set<number>()
      let dead = false
      return {
        env: {
          now: () => start + skew + elapsed,
          random,
          setTimeout(run, ms) {
            if (dead) return 0
            const timer = setTimer(() => {
              mine.delete(timer)
              run()
            }, ms)
            mine.add(timer)
            return timer
          },
          clearTimeout(timer: number) {
            mine.delete(timer)
            timers.delete(timer)
          }
        },
        kill() {
          dead = true
          for (const timer of mine) timers.delete(timer)
          mine.clear()
        }
      }
    },

    /** Lets `ms` pass, or less when `enough` says so after something happened. */
    async advance(ms: number, enough: () => boolean = () => false): Promise<void> {
      const end = elapsed + ms
      await settle()
      while (!enough()) {
        const due = nextDue(end)
        if (due === null) {
          elapsed = end
          return
        }
        elapsed = Math.max(elapsed, due.at)
        due.run()
        await settle()
      }
    }
  }
}
export type PhoneTime = ReturnType<typeof createPhoneTime>

/**
 * A phone's clock, timers and chance, moved by hand: `advance` runs the timers that fall due, and whatever promises
 * they wake, in order. The wall clock can jump without the timers noticing, as on a phone whose user sets it.
 */
export function createVirtualEnv(seed = 1, start = Date.parse('2026-03-01T04:00:00Z')) {
  let elapsed = 0
  let wall = start
  let state = seed >>> 0
  let made = 0
  const timers = new Map<number, { at: number; run: () => void }>()

  const env = {
    now: () => wall + elapsed,
    random() {
      // mulberry32
      state = (state + 0x6d2b79f5) | 0
      let x = Math.imul(state ^ (state >>> 15), 1 | state)
      x = (x + Math.imul(x ^ (x >>> 7), 61 | x)) ^ x
      return ((x ^ (x >>> 14)) >>> 0) / 2 ** 32
    },
    setTimeout(run: () => void, ms: number) {
      timers.set(++made, { at: elapsed + Math.max(0, ms), run })
      return made
    },
    clearTimeout: (timer: number) => void timers.delete(timer)
  }
  /** Lets every promise that can go on, go on. */
  const settle = () => new Promise<void>((resolve) => setImmediate(resolve))

  return {
    env,
    settle,
    /** An Env whose timers can be killed together, as an app's death does. */
    app() {
      const mine = new Set<number>()
      let dead = false
      return {
        env: {
          ...env,
          setTimeout(run: () => void, ms: number) {
            if (dead) return 0
            const timer = env.setTimeout(run, ms)
            mine.add(timer)
            return timer
          }
        },
        kill() {
          dead = true
          mine.forEach((timer) => timers.delete(timer))
        }
      }
    },
    async advance(ms: number) {
      const end = elapsed + ms
      await settle()
      for (;;) {
        const due = [...timers].filter(([, t]) => t.at <= end).sort((a, b) => a[1].at - b[1].at || a[0] - b[0])[0]
        if (!due) break
        timers.delete(due[0])
        elapsed = Math.max(elapsed, due[1].at)
        due[1].run()
        await settle()
      }
      elapsed = end
      await settle()
    },
    jump: (ms: number) => void (wall += ms)
  }
}

import type { Env } from './types.js'

/** The phone's own clock and chance, read at the moment of the call; `over` replaces single ones. */
export function phoneEnv(over: Partial<Env> = {}): Env {
  return Object.assign(
    {
      now: () => Date.now(),
      random: () => Math.random(),
      setTimeout: (run: () => void, ms: number): unknown => setTimeout(run, ms),
      clearTimeout: (timer: any) => clearTimeout(timer)
    },
    over
  )
}

import type { Env } from './types.js'

/** Beyond this no Date can say the moment (ECMAScript: 100,000,000 days from 1970). */
const LAST_MS = 8_640_000_000_000_000

/**
 * The phone's own clock and chance, read at the moment of the call; `over` replaces single ones. One that throws or
 * answers no number is passed over: it is the host's, and no reason to lose a catch.
 */
export function phoneEnv(over?: Partial<Env>): Env {
  const own: Record<keyof Env, (...given: any[]) => any> = {
    now: () => Date.now(),
    random: () => Math.random(),
    setTimeout: (run, ms) => setTimeout(run, ms),
    clearTimeout: (timer) => clearTimeout(timer)
  }
  const env: any = {}
  for (const name of Object.keys(own) as (keyof Env)[]) {
    env[name] = (...given: any[]) => {
      try {
        const from: any = over && over[name] ? over : own
        const value = from[name](...given)
        if (/Timeout/.test(name) || Math.abs(value) <= LAST_MS) return value
      } catch {
        // the phone's own, then
      }
      return own[name](...given)
    }
  }
  return env
}

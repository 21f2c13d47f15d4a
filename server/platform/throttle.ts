import type { Clock } from './clock.js'
import { LimitReached } from './errors.js'

/** At most `limit` tries per key in `windowMs`; counted in this process, for doors where guessing must be slow. */
export function createThrottle({ clock, limit, windowMs }: { clock: Clock; limit: number; windowMs: number }) {
  const tries = new Map<string, { since: number; count: number }>()
  return {
    /** @throws LimitReached */
    count(key: string): void {
      const now = clock.monotonic()
      if (tries.size > 10_000) for (const [old, { since }] of tries) if (now - since >= windowMs) tries.delete(old)
      const seen = tries.get(key)
      if (seen === undefined || now - seen.since >= windowMs) {
        tries.set(key, { since: now, count: 1 })
        return
      }
      seen.count += 1
      if (seen.count > limit)
        throw new LimitReached('too many tries; wait a little', (windowMs - (now - seen.since)) / 1000)
    },
    /** It was the right one after all. */
    forget: (key: string): void => void tries.delete(key)
  }
}

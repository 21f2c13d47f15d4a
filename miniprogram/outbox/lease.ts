import type { Env, PhoneApi } from '../types.js'

const KEY = 'hongyan:lease'

/**
 * The right to talk to the server, held by one copy of the library at a time and kept in storage so that all copies
 * see it. A holder that died keeps others waiting for at most `leaseMs`; a clock that jumped back, not even that.
 */
export function createLease(parts: { api: () => PhoneApi; env: Env; holder: string; leaseMs: number }) {
  const { api, env, holder, leaseMs } = parts
  function read(): { holder: string; until: number } | null {
    try {
      const value = api().getStorageSync!(KEY)
      return value && typeof value.until === 'number' ? value : null
    } catch {
      return null
    }
  }
  return {
    /** Takes or prolongs it; 0 when it is ours now, else the moment from which to try again. */
    take(): number {
      const now = env.now()
      const other = read()
      if (other && other.holder !== holder && other.until > now && other.until - now <= leaseMs) return other.until
      try {
        api().setStorageSync!(KEY, { holder, until: now + leaseMs })
      } catch {
        // storage is full: two copies might both send, and the server knows each item's id
      }
      return 0
    },
    release(): void {
      const mine = read()
      try {
        if (mine && mine.holder === holder) api().setStorageSync!(KEY, { holder: '', until: 0 })
      } catch {
        // it runs out by itself
      }
    }
  }
}

import type { AccountView } from '../../shared/account.js'
import type { BreakerSettings } from '../../shared/breaker.js'

/** Ours: WeChat names no share from which on it punishes. */
const DEFAULTS: AccountView['breaker'] = {
  windowMs: 10 * 60_000,
  minMessages: 50,
  minAccountMessages: 200,
  shares: { block: 0.2, refusal: 0.3, failure: 0.5 },
  restMs: 30 * 60_000,
  probes: 20
}

/** What an account set for its breakers, with the defaults for the rest. */
export function breakerSettings(own: BreakerSettings = {}): AccountView['breaker'] {
  return { ...DEFAULTS, ...own, shares: { ...DEFAULTS.shares, ...own.shares } }
}

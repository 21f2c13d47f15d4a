import type { AccountView } from '../../shared/account.js'
import type { BreakerSettings } from '../../shared/breaker.js'

/** All settings of an account's breakers. */
export type Settings = AccountView['breaker']

/** Ours: WeChat names no share from which on it punishes. */
export const BREAKER_DEFAULTS: Settings = {
  windowMs: 10 * 60_000,
  minMessages: 50,
  minAccountMessages: 200,
  shares: { block: 0.2, refusal: 0.3, failure: 0.5 },
  restMs: 30 * 60_000,
  probes: 20
}

/** What an account set, with the defaults for the rest. */
export function settingsOf(own: BreakerSettings = {}): Settings {
  return { ...BREAKER_DEFAULTS, ...own, shares: { ...BREAKER_DEFAULTS.shares, ...own.shares } }
}

import type { Settings } from './types.js'

/** What holds until the server has spoken. 20 items, 5 s: small enough not to be lost to a closing app. */
export const DEFAULTS: Settings = {
  capPerDay: 0,
  minIntervalMs: 0,
  batchSize: 20,
  flushMs: 5000,
  prompts: [],
  stop: { form: false, payment: false, grant: false },
  acceptMock: false
}

/** Items of one batch at most; the server's limit. */
export const BATCH_MAX = 100

/** Reads settings from outside: whatever is missing or of the wrong kind keeps its default. */
export function readSettings(given: any): Settings {
  const from = given && typeof given === 'object' ? given : {}
  const stop = from.stop && typeof from.stop === 'object' ? from.stop : {}
  const count = (name: 'capPerDay' | 'minIntervalMs' | 'flushMs') =>
    typeof from[name] === 'number' && from[name] >= 0 ? from[name] : DEFAULTS[name]
  return {
    capPerDay: count('capPerDay'),
    minIntervalMs: count('minIntervalMs'),
    batchSize: from.batchSize >= 1 ? Math.min(BATCH_MAX, Math.floor(from.batchSize)) : DEFAULTS.batchSize,
    flushMs: count('flushMs'),
    prompts: Array.isArray(from.prompts)
      ? from.prompts.filter((p: any) => p && typeof p.scene === 'string' && Array.isArray(p.templateIds))
      : [],
    stop: { form: stop.form === true, payment: stop.payment === true, grant: stop.grant === true },
    acceptMock: from.acceptMock === true
  }
}

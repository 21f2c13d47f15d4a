import { DAY_MS, KEPT_DAYS } from '../../shared/limits.js'

/** Longest look-back of any rule is 365 days; a month of grace. */
const LIFE_MS = KEPT_DAYS.events * DAY_MS
/** WeChat's pushes and payment confirmations (`$…`) are facts for consumers, not for audiences. */
const SYSTEM_LIFE_MS = 30 * DAY_MS

/** How long an event of this name is kept after it was received, in ms. */
export const eventLifeMs = (name: string): number => (name.startsWith('$') ? SYSTEM_LIFE_MS : LIFE_MS)

import type { Trigger } from '../../shared/trigger.js'
import { Conflict } from '../platform/errors.js'
import type { CampaignRow } from './model.js'

/** What has been online stays of its kind, and what has run does not run again. @throws Conflict */
export function keepsTrigger(seen: CampaignRow, wanted: Trigger): void {
  if (wanted.kind !== seen.trigger.kind) {
    throw new Conflict('a campaign that has been online keeps its kind of trigger', { code: 'campaigns.trigger-fixed' })
  }
  const was = seen.trigger
  if ('key' in wanted || 'key' in was) {
    const keyOf = (trigger: Trigger) => ('key' in trigger ? trigger.key : undefined)
    if (keyOf(wanted) !== keyOf(was)) {
      throw new Conflict('what waits already was told apart by the key it has', { code: 'campaigns.trigger-fixed' })
    }
  }
  const moved = wanted.kind === 'once' && was.kind === 'once' && wanted.at.getTime() !== was.at.getTime()
  if (seen.runId !== null && moved) {
    throw new Conflict('its run has started already: duplicate it to run again', { code: 'campaigns.trigger-fixed' })
  }
}

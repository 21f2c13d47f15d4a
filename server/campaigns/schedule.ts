import type { Trigger } from '../../shared/trigger.js'
import type { CampaignView } from '../../shared/campaign.js'
import type { CampaignRow } from './model.js'
import { occurrences } from './recurrence.js'
import { MESSAGE_LIFE_MS, SCENE_LIFE_MS } from '../../shared/limits.js'

/** A run nobody was there to start may still start this much later, unless the campaign says otherwise. */
export const LATE_WITHIN_MS = 60 * 60_000
/** Even `skip` forgives this much: a tick, a slow start. */
const PUNCTUAL_MS = 60_000

/** The moments a trigger fires by itself after `now`, at most `count`; none for events. */
export function instantsAfter(trigger: Trigger, now: Date, count: number): Date[] {
  if (trigger.kind === 'once') return trigger.at > now ? [trigger.at] : []
  const found: Date[] = []
  if (trigger.kind !== 'recurring') return found
  for (const at of occurrences(trigger, now)) if (found.push(at) >= count) break
  return found
}

/**
 * The moment a scheduled campaign that goes online at `now` starts from next: what was due while it was not online is
 * owed only by one that runs once. null: none to come, or it waits for events.
 */
export function nextInstant({ trigger, runId }: Pick<CampaignRow, 'trigger' | 'runId'>, now: Date): Date | null {
  if (trigger.kind === 'once') return runId === null ? trigger.at : null
  return instantsAfter(trigger, new Date(now.getTime() - 1), 1)[0] ?? null
}

/** What to do at `now` about a run that is planned for `instant`. */
export function decide(instant: Date, now: Date, missed: CampaignView['missed']): 'wait' | 'start' | 'missed' {
  if (instant > now) return 'wait'
  const tolerated = missed === undefined ? LATE_WITHIN_MS : missed === 'skip' ? 0 : missed.lateWithinMs
  return now.getTime() - instant.getTime() <= Math.max(tolerated, PUNCTUAL_MS) ? 'start' : 'missed'
}

/** How long after its due moment a campaign's message may still go, in ms: as said, else by scene, else a day. */
export function lifeOf(campaign: Pick<CampaignView, 'lifeMs' | 'scene'>): number {
  return campaign.lifeMs ?? (campaign.scene === undefined ? MESSAGE_LIFE_MS : SCENE_LIFE_MS[campaign.scene])
}

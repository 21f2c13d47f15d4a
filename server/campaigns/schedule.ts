import { WAIT_MAX_MS, type EventTrigger, type Trigger } from '../../shared/trigger.js'
import type { CampaignView } from '../../shared/campaign.js'
import type { CampaignRow } from './model.js'
import { occurrences } from './recurrence.js'
import { eventLifeMs } from '../events/life.js'
import type { Fault } from '../platform/errors.js'
import { DAY_MS, LATE_WITHIN_MS, MESSAGE_LIFE_MS, SCENE_LIFE_MS } from '../../shared/limits.js'

/** Even `skip` forgives this much: a tick, a slow start. */
const PUNCTUAL_MS = 60_000
/** An event that was to be missing may arrive this much after its window and still counts. */
export const GRACE_MS = 60_000
/** Longest life of a campaign's message: what happened is needed until then. */
const LONGEST_LIFE_MS = 7 * DAY_MS

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

/** The longest a trigger may wait, in ms: the events it decides by have to be there in the end. */
export function longestWaitMs(trigger: EventTrigger): number {
  const names = [trigger.event, trigger.kind === 'notFollowed' ? trigger.missing : trigger.cancelOn?.event]
  const kept = names.flatMap((name) => (name === undefined ? [] : [eventLifeMs(name)]))
  return Math.min(WAIT_MAX_MS, ...kept.map((lifeMs) => lifeMs - GRACE_MS - LONGEST_LIFE_MS))
}

/** What is wrong with how long a trigger waits; null: nothing. */
export function windowFault(trigger: Trigger): Fault | null {
  if (trigger.kind !== 'event' && trigger.kind !== 'notFollowed') return null
  const [name, ms] = trigger.kind === 'notFollowed' ? ['withinMs', trigger.withinMs] : ['delayMs', trigger.delayMs ?? 0]
  const longest = longestWaitMs(trigger)
  if (ms <= longest) return null
  const message = `these events are kept too short for that: at most ${Math.floor(longest / DAY_MS)} days`
  return { pointer: `/trigger/${name}`, code: 'trigger.window', message }
}

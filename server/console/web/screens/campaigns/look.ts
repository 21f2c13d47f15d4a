import type { Campaign, CampaignState, Run, Trigger, Verb } from '../../api/campaigns.js'
import { atMinute, span } from '../../look/time.js'
import type { Role } from '../../../../../shared/operator.js'
import type { Mood } from '../../parts/state-tag.vue'
import { campaignWords } from './words.js'

const MOODS: Record<CampaignState, Mood> = {
  draft: 'still',
  online: 'good',
  paused: 'warn',
  finished: 'calm',
  cancelled: 'still'
}
export const moodOf = ({ state }: Pick<Campaign, 'state'>): Mood => MOODS[state]

const RUN_MOODS: Record<Run['state'], Mood> = {
  expanding: 'good',
  sending: 'good',
  finished: 'calm',
  cancelled: 'still',
  missed: 'bad'
}
export const runMoodOf = ({ state, paused }: Pick<Run, 'state' | 'paused'>): Mood =>
  paused && (state === 'expanding' || state === 'sending') ? 'warn' : RUN_MOODS[state]
export const isUnderWay = ({ state }: Pick<Run, 'state'>): boolean => state === 'expanding' || state === 'sending'

type Offered = Verb | 'edit' | 'remove'
/** Which verbs a campaign of a state takes. */
export const verbsOf = (state: CampaignState): Offered[] =>
  state === 'draft'
    ? ['edit', 'remove']
    : state === 'online'
      ? ['pause', 'cancel']
      : state === 'paused'
        ? ['resume', 'edit', 'cancel']
        : []

/** The role a verb needs. */
export const roleFor = (verb: Offered): Role => (verb === 'resume' || verb === 'cancel' ? 'operator' : 'editor')

/** When a campaign sends, as a person would say it. */
export function triggerInWords(trigger: Trigger): string {
  const t = campaignWords.value
  if (trigger.kind === 'once') return t.onceAt(atMinute(trigger.at))
  if (trigger.kind === 'recurring') {
    const times = trigger.times.join(' · ')
    if (trigger.every === 'day') return t.everyDay(times)
    const days = [...(trigger.days ?? [])].sort((a, b) => a - b)
    return trigger.every === 'week'
      ? t.everyWeek(days.map((day) => t.weekdays[day as 1] ?? '').join(t.listMark), times)
      : t.everyMonth(days.join(t.listMark), times)
  }
  if (trigger.kind === 'notFollowed') return t.notFollowed(trigger.event, trigger.missing, span(trigger.withinMs))
  if (trigger.before !== undefined) return t.before(trigger.event, trigger.before.property, span(trigger.before.ms))
  return trigger.delayMs === undefined ? t.onEvent(trigger.event) : t.afterEvent(trigger.event, span(trigger.delayMs))
}

/** Is enough of a scheduled trigger filled in to ask when it would fire? */
export function mayFire(trigger: Trigger): boolean {
  if (trigger.kind === 'once') return trigger.at !== ''
  if (trigger.kind !== 'recurring') return false
  const { every, from, days, times } = trigger
  return from !== '' && times.length > 0 && (every === 'day' || (days ?? []).length > 0)
}

import type { Campaign, CampaignState, Run, Trigger, Verb } from '../../api/campaigns.js'
import type { Role } from '../../../../../shared/operator.js'
import type { Mood } from '../../parts/state-tag.vue'
import { messageWords } from '../messages/words.js'
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

/** Is enough of a scheduled trigger filled in to ask when it would fire? */
export function mayFire(trigger: Trigger): boolean {
  if (trigger.kind === 'once') return trigger.at !== ''
  if (trigger.kind !== 'recurring') return false
  const { every, from, days, times } = trigger
  return from !== '' && times.length > 0 && (every === 'day' || (days ?? []).length > 0)
}

/** What holds a run, as a person would say it: somebody's pause, what paused its campaign, or what its messages wait for. */
export function holdInWords(reason: string): string {
  const { stateReasons, states } = campaignWords.value
  const known: Readonly<Record<string, string>> = {
    ...messageWords.value.waits,
    ...stateReasons,
    paused: states.paused
  }
  return known[reason.split(/[ :]/, 1)[0]!] ?? reason
}

import type { Campaign, CampaignState, Run, Trigger, Verb } from '../../api/campaigns.js'
import { atMinute, span, toWall, fromWall } from '../../look/time.js'
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

const DAY_MS = 86_400_000
/** Days looked ahead for the next runs: a month's last day of every kind comes within. */
const AHEAD_DAYS = 800

/** The next instants (ISO) at which a scheduled trigger sends; none for answers to events. */
export function nextRuns(trigger: Trigger, now: number, most = 5): string[] {
  if (trigger.kind === 'once') return Date.parse(trigger.at) > now ? [trigger.at] : []
  if (trigger.kind !== 'recurring') return []
  const { every, times, until } = trigger
  const zone = trigger.zone ?? 'Asia/Shanghai'
  const days = trigger.days ?? []
  const from = Math.max(now + 1, Date.parse(trigger.from))
  const end = until === undefined ? Infinity : Date.parse(until)
  const found: string[] = []
  let day = Date.parse(`${toWall(new Date(from).toISOString(), zone).slice(0, 10)}T00:00Z`)
  for (let looked = 0; looked < AHEAD_DAYS && found.length < most; looked++, day += DAY_MS) {
    const date = new Date(day)
    const lastDay = new Date(Date.UTC(date.getUTCFullYear(), date.getUTCMonth() + 1, 0)).getUTCDate()
    const isDue =
      every === 'day' ||
      (every === 'week'
        ? days.includes(date.getUTCDay() || 7)
        : days.some((wanted) => Math.min(wanted, lastDay) === date.getUTCDate()))
    if (!isDue) continue
    for (const time of [...times].sort()) {
      const at = fromWall(`${date.toISOString().slice(0, 10)}T${time}`, zone)
      if (at === null || Date.parse(at) < from || Date.parse(at) > end || found.length === most) continue
      found.push(at)
    }
  }
  return found
}

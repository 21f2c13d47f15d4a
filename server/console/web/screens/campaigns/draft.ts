import type { Campaign, CampaignBody, Trigger } from '../../api/campaigns.js'
import { fromWall, toWall } from '../../look/time.js'
import { draftOf as ruleDraft, newGroup, ruleOf, type Comparison } from '../audiences/rule-draft.js'

type Answer = Extract<Trigger, { kind: 'event' | 'notFollowed' }>
export type Timing = 'now' | 'delay' | 'before'
export type Opening = 'none' | 'page' | 'miniprogram' | 'url'

/** A campaign as it is typed; all four kinds of trigger stay filled in while one is chosen. */
export type Draft = {
  name: string
  accountId: string
  /** Empty: everybody. */
  audienceId: string
  zone: string
  kind: Trigger['kind']
  /** Instants that were stored, by zone and the minute shown: an input knows no seconds, nor which of two equal hours. */
  exact: Record<string, string>
  /** On the clocks of `zone`, as `<input type=datetime-local>` has it. */
  at: string
  from: string
  until: string
  every: 'day' | 'week' | 'month'
  days: number[]
  times: string[]
  event: string
  where: Comparison[]
  timing: Timing
  delayMs: number
  property: string
  beforeMs: number
  cancelOn: string
  cancelWhere: Comparison[]
  missing: string
  withinMs: number
  key: string
  reentry: 'each' | 'once' | 'days'
  reentryDays: number
  templateId: string
  content: Record<string, string>
  /** Colours that some fields were given over the API; the console sets none and loses none. */
  colors: Record<string, string>
  emphasis: string
  opening: Opening
  page: string
  appId: string
  appPage: string
  url: string
  lane: 'bulk' | 'transactional'
  scene: '' | 'payment' | 'appointment' | 'logistics'
  tooLong: '' | 'cut' | 'skip' | 'fail'
  missingVariable: 'default' | 'skip' | 'stop'
  lifeMs: number | null
  perPersonPerDay: number | null
  waitForCredential: boolean
  topic: string
  /** 0: what was missed is skipped. */
  lateMs: number | null
}

const HOUR_MS = 3_600_000

/** Tomorrow at ten, once: something sensible to begin with. */
export function newDraft(zone: string, now: number): Draft {
  const tomorrow = toWall(new Date(now + 24 * HOUR_MS).toISOString(), zone).slice(0, 10)
  return {
    name: '',
    accountId: '',
    audienceId: '',
    zone,
    kind: 'once',
    exact: {},
    at: `${tomorrow}T10:00`,
    from: `${tomorrow}T00:00`,
    until: '',
    every: 'week',
    days: [1],
    times: ['10:00'],
    event: '',
    where: [],
    timing: 'now',
    delayMs: HOUR_MS / 2,
    property: '',
    beforeMs: HOUR_MS,
    cancelOn: '',
    cancelWhere: [],
    missing: '',
    withinMs: HOUR_MS / 2,
    key: '',
    reentry: 'each',
    reentryDays: 7,
    templateId: '',
    content: {},
    colors: {},
    emphasis: '',
    opening: 'none',
    page: '',
    appId: '',
    appPage: '',
    url: '',
    lane: 'bulk',
    scene: '',
    tooLong: '',
    missingVariable: 'skip',
    lifeMs: null,
    perPersonPerDay: null,
    waitForCredential: false,
    topic: '',
    lateMs: null
  }
}

/** Conditions on an event's properties, as they are stored; undefined: none. */
function whereOf(where: Comparison[]): Answer['where'] {
  const group = newGroup('all', [{ key: 0, kind: 'did', name: 'event', atLeast: 1, withinDays: 0, where }])
  const rule = ruleOf(group) as { all: { where?: Answer['where'] }[] }
  return rule.all[0]?.where
}
function linesOf(where: Answer['where']): Comparison[] {
  if (where === undefined) return []
  const line = ruleDraft({ did: 'event', where }).children[0]
  return line?.kind === 'did' ? line.where : []
}

function cancelOnOf({ cancelOn, cancelWhere }: Draft) {
  const where = whereOf(cancelWhere)
  return { event: cancelOn.trim(), ...(where !== undefined && { where }) }
}

/** The trigger of a draft, as the API takes it. */
export function triggerOf(draft: Draft): Trigger {
  const { kind, zone } = draft
  const instant = (wall: string) => draft.exact[`${zone} ${wall}`] ?? fromWall(wall, zone) ?? ''
  if (kind === 'once') return { kind, at: instant(draft.at), zone }
  if (kind === 'recurring') {
    return {
      kind,
      zone,
      from: instant(draft.from),
      ...(draft.until !== '' && { until: instant(draft.until) }),
      every: draft.every,
      ...(draft.every !== 'day' && { days: [...draft.days].sort((a, b) => a - b) }),
      times: [...new Set(draft.times.filter((time) => time !== ''))].sort()
    }
  }
  const where = whereOf(draft.where)
  const answered = {
    event: draft.event.trim(),
    ...(where !== undefined && { where }),
    ...(draft.key.trim() !== '' && { key: draft.key.trim() }),
    reentry: draft.reentry === 'days' ? { perDays: draft.reentryDays } : draft.reentry
  }
  if (kind === 'notFollowed') return { kind, ...answered, missing: draft.missing.trim(), withinMs: draft.withinMs }
  return {
    kind,
    ...answered,
    ...(draft.timing === 'delay' && { delayMs: draft.delayMs }),
    ...(draft.timing === 'before' && { before: { property: draft.property.trim(), ms: draft.beforeMs } }),
    ...(draft.cancelOn.trim() !== '' && { cancelOn: cancelOnOf(draft) })
  }
}

function openOf({ opening, page, appId, appPage, url }: Draft): CampaignBody['open'] {
  if (opening === 'page') return { page }
  if (opening === 'url') return { url }
  if (opening !== 'miniprogram') return undefined
  return { miniprogram: { appId, ...(appPage !== '' && { page: appPage }) }, ...(url !== '' && { url }) }
}

/** The fields that have something in them. */
export const filled = (content: Draft['content']): Draft['content'] =>
  Object.fromEntries(Object.entries(content).filter(([, value]) => value.trim() !== ''))

const coloured = (content: Draft['content'], colors: Draft['colors']): CampaignBody['content'] =>
  Object.fromEntries(
    Object.entries(content).map(([key, value]) => {
      const color = colors[key]
      return [key, color === undefined ? value : { value, color }]
    })
  )

/** What the API is told of a draft; null until a template is chosen, without which it keeps no campaign. */
export function bodyOf(draft: Draft): CampaignBody | null {
  if (draft.accountId === '' || draft.templateId === '') return null
  const open = openOf(draft)
  return {
    name: draft.name.trim(),
    accountId: draft.accountId,
    audienceId: draft.audienceId === '' ? null : draft.audienceId,
    templateId: draft.templateId,
    lane: draft.lane,
    trigger: triggerOf(draft),
    content: coloured(filled(draft.content), draft.colors),
    missingVariable: draft.missingVariable,
    waitForCredential: draft.waitForCredential,
    ...(open !== undefined && { open }),
    ...(draft.emphasis !== '' && { emphasis: draft.emphasis }),
    ...(draft.scene !== '' && { scene: draft.scene }),
    ...(draft.tooLong !== '' && { tooLong: draft.tooLong }),
    ...(draft.lifeMs !== null && { lifeMs: draft.lifeMs }),
    ...(draft.perPersonPerDay !== null && { caps: { perPersonPerDay: draft.perPersonPerDay } }),
    ...(draft.topic.trim() !== '' && { topic: draft.topic.trim() }),
    ...(draft.lateMs !== null && { missed: { lateWithinMs: draft.lateMs } })
  }
}

/** The same as a change: what is left out is taken back. */
export function patchOf(body: CampaignBody) {
  const nothing = { open: null, emphasis: null, scene: null, tooLong: null, lifeMs: null, caps: null, topic: null }
  return { ...nothing, missed: null, ...body }
}

/** A stored campaign, to be typed on. */
export function draftOf(campaign: Campaign, now: number): Draft {
  const { trigger, open } = campaign
  const zone = ('zone' in trigger && trigger.zone) || 'Asia/Shanghai'
  const draft: Draft = {
    ...newDraft(zone, now),
    name: campaign.name,
    accountId: campaign.accountId,
    audienceId: campaign.audienceId ?? '',
    kind: trigger.kind,
    templateId: campaign.templateId,
    content: Object.fromEntries(
      Object.entries(campaign.content).map(([key, value]) => [key, typeof value === 'string' ? value : value.value])
    ),
    colors: Object.fromEntries(
      Object.entries(campaign.content).flatMap(([key, value]) =>
        typeof value === 'string' || value.color === undefined ? [] : [[key, value.color]]
      )
    ),
    emphasis: campaign.emphasis ?? '',
    opening: open?.miniprogram ? 'miniprogram' : open?.page ? 'page' : open?.url ? 'url' : 'none',
    page: open?.page ?? '',
    appId: open?.miniprogram?.appId ?? '',
    appPage: open?.miniprogram?.page ?? '',
    url: open?.url ?? '',
    lane: campaign.lane ?? 'bulk',
    scene: campaign.scene ?? '',
    tooLong: campaign.tooLong ?? '',
    missingVariable: campaign.missingVariable ?? 'skip',
    lifeMs: campaign.lifeMs ?? null,
    perPersonPerDay: campaign.caps?.perPersonPerDay ?? null,
    waitForCredential: campaign.waitForCredential ?? false,
    topic: campaign.topic ?? '',
    lateMs: campaign.missed === 'skip' ? 0 : (campaign.missed?.lateWithinMs ?? null)
  }
  const walls = (...instants: (string | undefined)[]): Draft['exact'] =>
    Object.fromEntries(instants.flatMap((at) => (at ? [[`${zone} ${toWall(at, zone)}`, at]] : [])))
  if (trigger.kind === 'once') return { ...draft, at: toWall(trigger.at, zone), exact: walls(trigger.at) }
  if (trigger.kind === 'recurring') {
    const { from, until, every, days, times } = trigger
    return {
      ...draft,
      exact: walls(from, until),
      from: toWall(from, zone),
      until: toWall(until, zone),
      every,
      days: [...(days ?? [])],
      times: [...times]
    }
  }
  const { reentry = 'each' } = trigger
  const answer = {
    ...draft,
    event: trigger.event,
    where: linesOf(trigger.where),
    key: trigger.key ?? '',
    reentry: typeof reentry === 'string' ? reentry : ('days' as const),
    ...(typeof reentry === 'object' && { reentryDays: reentry.perDays })
  }
  if (trigger.kind === 'notFollowed') return { ...answer, missing: trigger.missing, withinMs: trigger.withinMs }
  return {
    ...answer,
    timing: trigger.before ? 'before' : trigger.delayMs === undefined ? 'now' : 'delay',
    delayMs: trigger.delayMs ?? draft.delayMs,
    ...(trigger.before && { property: trigger.before.property, beforeMs: trigger.before.ms }),
    cancelOn: trigger.cancelOn?.event ?? '',
    cancelWhere: linesOf(trigger.cancelOn?.where)
  }
}

/** Does this trigger answer what people do? */
export const answersEvents = ({ kind }: Pick<Draft, 'kind'>): boolean => kind === 'event' || kind === 'notFollowed'

export const STEPS = ['name', 'who', 'trigger', 'content', 'open', 'limits', 'review', 'launch'] as const
export type Step = (typeof STEPS)[number]

/** Which step a fault of the API belongs to. */
export function stepOf(pointer: string): Step {
  const at = pointer.split('/')[1] ?? ''
  const table: Record<string, Step> = {
    name: 'name',
    accountId: 'who',
    audienceId: 'who',
    trigger: 'trigger',
    templateId: 'content',
    content: 'content',
    emphasis: 'content',
    tooLong: 'content',
    missingVariable: 'content',
    open: 'open'
  }
  return table[at] ?? (at === '' ? 'launch' : 'limits')
}

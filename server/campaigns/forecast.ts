import type { Collection } from 'mongodb'
import type { z } from 'zod'
import type { ForecastView } from '../../shared/campaign.js'
import type { Account } from '../accounts/accounts.js'
import type { AudienceSource, Audiences } from '../audiences/audiences.js'
import type { Credentials } from '../credentials/credentials.js'
import { everyMsOf, nextReset, quotaOf } from '../messages/budget.js'
import { capKey } from '../messages/caps.js'
import type { Messages } from '../messages/messages.js'
import type { CapRow } from '../messages/model.js'
import { leaveOf, needsCredential, sourcesOff } from '../messages/prepare.js'
import type { People } from '../people/people.js'
import type { Clock } from '../platform/clock.js'
import { dayOf } from '../platform/shanghai.js'
import { DAY_MS } from '../../shared/limits.js'
import type { Template } from '../templates/templates.js'
import { capLimitOf } from './dry-run.js'
import type { CampaignRow } from './model.js'

export type Forecast = z.infer<typeof ForecastView>

/** Persons looked at one by one; of larger audiences the rest is taken to be like them. */
export const LOOKED_AT = 20_000
const BATCH = 1_000

/**
 * How long `count` messages take from `at` on, in ms: at the interface's pace, and on the next day (Asia/Shanghai) what
 * does not fit the day. `left`: what the interface still sends on the first day; `perDay`: on each of the next ones. null:
 * it never sends any.
 */
export function durationOf(
  count: number,
  { at, left, perDay, everyMs }: { at: Date; left: number; perDay: number; everyMs: number }
): number | null {
  if (count <= left) return Math.round(count * everyMs)
  if (perDay <= 0) return null
  const rest = count - left
  const wholeDays = Math.ceil(rest / perDay) - 1
  return Math.round(nextReset(at).getTime() - at.getTime() + wholeDays * DAY_MS + (rest - wholeDays * perDay) * everyMs)
}

/** What would come of a campaign that starts at `at`: whom it reaches then, what the day still has room for. */
export function createForecast({
  clock,
  people,
  audiences,
  credentials,
  messages,
  dayCaps
}: {
  clock: Clock
  people: Pick<People, 'recipientsOfCurrent'>
  audiences: Pick<Audiences, 'preview' | 'stream'>
  credentials: Pick<Credentials, 'reachableAny'>
  messages: Pick<Messages, 'budget'>
  dayCaps: Pick<Collection<CapRow>, 'find'>
}) {
  /** Of the first of the audience: how many can be reached now, how many then, and whose day is full. */
  async function walk(campaign: CampaignRow, account: Account, source: AudienceSource, template: Template, at: Date) {
    const now = clock.now()
    const row = { channel: template.kind, lane: campaign.lane, test: false }
    const isFree = !needsCredential(account, row)
    const limit = dayOf(at).day === dayOf(now).day ? capLimitOf(account, campaign) : null
    const found = { persons: 0, now: 0, then: 0, full: 0, isAll: false }
    for (let after: string | null = null; found.persons < LOOKED_AT;) {
      const page: Awaited<ReturnType<Audiences['stream']>> = await audiences.stream(source, account, {
        after,
        limit: BATCH
      })
      found.persons += page.persons.length
      const recipients = [...(await people.recipientsOfCurrent(account.id, page.persons)).values()].filter(
        ({ reach, follower }) => reach === 'ok' && (template.kind !== 'service' || follower)
      )
      const places = recipients.map(({ id }) => ({
        recipientId: id,
        channel: template.kind,
        templateId: template.templateId,
        leave: leaveOf(account, row)
      }))
      const ids = places.map(({ recipientId }) => recipientId)
      const reachable = (when: Date) =>
        isFree ? ids : credentials.reachableAny(account.id, places, sourcesOff(account), when)
      const [today, then] = await Promise.all([reachable(now), reachable(at)])
      found.now += today.length
      found.then += then.length
      if (limit !== null && then.length > 0) {
        const keys = then.map((id) => capKey(account.id, id, at))
        const full = { _id: { $in: keys }, [`d.${limit - 1}`]: { $exists: true } }
        found.full += (await dayCaps.find(full, { projection: { _id: 1 } }).toArray()).length
      }
      if (page.next === null) {
        found.isAll = true
        break
      }
      after = page.next
    }
    return found
  }

  return async function forecast(
    campaign: CampaignRow,
    account: Account,
    source: AudienceSource,
    template: Template | null,
    at: Date
  ): Promise<Forecast> {
    const { count: matched, reachable: reachableNow } = await audiences.preview(account, source, {
      templateId: template?.templateId
    })
    const limit = capLimitOf(account, campaign)
    const unknown = { matched, reachableNow, sendAt: at, capLimit: limit }
    if (template === null) {
      const none = { reachableAtSendTime: null, capped: null, dailyBudgetLeft: null, durationMs: null }
      return { ...unknown, ...none, estimated: false }
    }
    const seen = await walk(campaign, account, source, template, at)
    const scaled = (part: number) => (seen.isAll ? part : Math.round((part * matched) / Math.max(1, seen.persons)))
    const reachableAtSendTime = scaled(seen.then)
    const capped = scaled(seen.full)
    const perDay = account.limits.perDay[template.kind]
    const budget = await messages.budget.leftOf(account.id, template.kind, perDay, at)
    const left = campaign.lane === 'bulk' ? budget.leftForBulk : budget.left
    const goes = Math.max(0, (campaign.waitForCredential ? matched : reachableAtSendTime) - capped)
    const durationMs = durationOf(goes, {
      at,
      left,
      perDay: quotaOf(perDay, campaign.lane),
      everyMs: everyMsOf(account.limits.perSecond)
    })
    return { ...unknown, reachableAtSendTime, capped, dailyBudgetLeft: left, durationMs, estimated: !seen.isAll }
  }
}

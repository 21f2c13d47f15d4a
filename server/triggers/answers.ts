import type { Collection } from 'mongodb'
import type { EventTrigger, WaitDropReason } from '../../shared/trigger.js'
import type { Account, Accounts } from '../accounts/accounts.js'
import type { AudienceSource, Audiences } from '../audiences/audiences.js'
import type { CampaignRow, Campaigns } from '../campaigns/campaigns.js'
import { orNull } from '../campaigns/check.js'
import { snapshotOf } from '../campaigns/compose.js'
import { lifeOf } from '../campaigns/schedule.js'
import { runIdOf } from '../campaigns/start.js'
import type { EventRow } from '../events/events.js'
import type { Messages, PlanInput } from '../messages/messages.js'
import type { People, Person, Recipient } from '../people/people.js'
import { groupBy } from '../platform/group.js'
import { dayOf } from '../platform/shanghai.js'
import type { ReentryRow } from './model.js'
import { letIn } from './reentry.js'
import { waits } from './timing.js'

export type EventCampaign = CampaignRow & { trigger: EventTrigger }

/** Something that happened, and to whom. */
export type Happening = { event: EventRow; person: Person }

/** An event to be answered now. */
export type Occasion = Happening & {
  /** What the message is for: the event, or the wait. */
  id: string
  waitId: string | null
  /** When the person enters the campaign, for re-entry. */
  at: Date
  dueAt: Date
  notAfter: Date
  /** The day of this instant is the run it is filed in: told by stored rows, never by "now". */
  filed: Date
}

export type Answered = {
  plans: PlanInput[]
  /** Who gets nothing, by occasion. An occasion neither here nor planned is still to be answered: the campaign paused itself. */
  declined: { id: string; reason: WaitDropReason }[]
}

/** A day's run takes rows this long after the day, for events that a sweep brings late. */
const DAY_GRACE_MS = 6 * 3_600_000
/** Day runs remembered as open; forgetting them costs one read each. */
const OPENED_KEPT = 1_000
/** Re-entry questions asked at a time. */
const AT_ONCE = 16

/** What a campaign sends for an occasion. Everything is derived from the event: asked again, the answer is the same. */
export function createAnswers({
  accounts,
  people,
  audiences,
  campaigns,
  messages,
  reentries
}: {
  accounts: Accounts
  people: People
  audiences: Audiences
  campaigns: Campaigns
  messages: Messages
  reentries: Collection<ReentryRow>
}) {
  const opened = new Set<string>()

  /** Those of `list` whose person is in the audience now; null: account or audience is gone, and the campaign paused. */
  async function members<H extends Happening>(
    campaign: EventCampaign,
    list: H[]
  ): Promise<{ account: Account; source: AudienceSource | null; inside: H[] } | null> {
    const account = await orNull(accounts.get(campaign.accountId))
    const source = account === null ? null : await orNull(campaigns.audienceOf(campaign))
    if (account === null || (source === null && campaign.audienceId !== null)) {
      await campaigns.pauseIfOnline(campaign._id, account === null ? 'accountMissing' : 'audienceMissing')
      return null
    }
    if (source === null) return { account, source, inside: list }
    const inside = await audiences.among(source, account, [...new Set(list.map(({ person }) => person.id))])
    return { account, source, inside: list.filter(({ person }) => inside.has(person.id)) }
  }

  async function answer(campaign: EventCampaign, occasions: Occasion[]): Promise<Answered> {
    const plans: PlanInput[] = []
    const declined: Answered['declined'] = []
    const decline = (list: Occasion[], kept: Occasion[], reason: WaitDropReason) => {
      const stay = new Set(kept)
      for (const each of list) if (!stay.has(each)) declined.push({ id: each.id, reason })
    }
    const found = await members(campaign, occasions)
    if (found === null) return { plans, declined }
    const { account, source, inside } = found
    decline(occasions, inside, 'notInAudience')
    if (inside.length === 0) return { plans, declined }
    const recipients = await recipientsFor(account.id, inside)
    const admitted = await admit(campaign, inside, recipients)
    decline(inside, admitted, 'reentry')
    const compose = campaigns.composers.of(`campaign ${campaign._id} ${campaign.rev}`, snapshotOf(campaign, source))
    for (const occasion of admitted) {
      const { event, person } = occasion
      const recipient = recipients.get(event._id) ?? null
      const { data, open, skip, stop } = compose(person, event.properties)
      if (stop !== null && recipient !== null) {
        await campaigns.pauseIfOnline(campaign._id, `missingVariable ${stop}`)
        return { plans, declined }
      }
      const run = await runOf(campaign, occasion)
      const unknown = recipient === null ? ({ reason: 'notInAccount' } as const) : skip
      plans.push({
        // By the person the event named, not by whom that leads to now: a repeat after a merge must say the same.
        id: messages.messageId('run', run, event.personId ?? event.recipientId!, occasion.id),
        accountId: account.id,
        recipientId: recipient?.id ?? null,
        personId: person.id,
        runId: run,
        campaignId: campaign._id,
        lane: campaign.lane,
        channel: campaign.template!.kind,
        templateId: campaign.templateId,
        data,
        open,
        emphasis: campaign.emphasis ?? null,
        dueAt: occasion.dueAt,
        notAfter: occasion.notAfter,
        waitForCredential: campaign.waitForCredential,
        topic: campaign.topic ?? null,
        waitId: occasion.waitId,
        ...(campaign.caps !== undefined && { capLimit: campaign.caps.perPersonPerDay }),
        ...(unknown !== undefined && { skip: unknown })
      })
    }
    return { plans, declined }
  }

  /** Who each event's person is to the account: the recipient the event was posted for, if it is the account's own. */
  async function recipientsFor(accountId: string, met: Happening[]): Promise<Map<string, Pick<Recipient, 'id'>>> {
    const own = met.flatMap(({ event }) =>
      event.accountId === accountId && event.recipientId !== null ? [event.recipientId] : []
    )
    const named = own.length === 0 ? new Map<string, Pick<Recipient, 'id'>>() : await people.byIds(own)
    const rest = met.filter(({ event }) => event.recipientId === null || !named.has(event.recipientId))
    const persons = [...new Map(rest.map(({ person }) => [person.id, person])).values()]
    const found = await people.recipientsOfCurrent(accountId, persons)
    // Unknown here, or joined to somebody else since they were read.
    const lacking = persons.flatMap(({ id }) => (found.has(id) ? [] : [id]))
    for (const [id, recipient] of await people.recipientsOf(accountId, lacking)) found.set(id, recipient)
    const out = new Map<string, Pick<Recipient, 'id'>>()
    for (const { event, person } of met) {
      const recipient = (event.recipientId === null ? undefined : named.get(event.recipientId)) ?? found.get(person.id)
      if (recipient !== undefined) out.set(event._id, recipient)
    }
    return out
  }

  /** Those that re-entry lets in: several of one recipient in order, different recipients side by side. */
  async function admit(
    campaign: EventCampaign,
    occasions: Occasion[],
    recipients: Map<string, Pick<Recipient, 'id'>>
  ): Promise<Occasion[]> {
    const { reentry } = campaign.trigger
    if (reentry === 'each') return occasions
    const groups = [...groupBy(occasions, ({ event, person }) => recipients.get(event._id)?.id ?? person.id)]
    const admitted = new Set<Occasion>()
    for (let from = 0; from < groups.length; from += AT_ONCE) {
      const part = groups.slice(from, from + AT_ONCE).map(async ([recipientId, each]) => {
        for (const one of each) {
          if (await letIn(reentries, campaign._id, recipientId, reentry, one.id, one.at)) admitted.add(one)
        }
      })
      await Promise.all(part)
    }
    return occasions.filter((each) => admitted.has(each))
  }

  /** The run of the day it is filed on. One that waits fire into stays open as long as the last of them may be late. */
  async function runOf(campaign: EventCampaign, { filed }: Occasion): Promise<string> {
    const { day, start, end } = dayOf(filed)
    const id = runIdOf(messages, campaign._id, day)
    if (opened.has(id)) return id
    const lifeMs = lifeOf(campaign)
    await messages.runs.open({
      id,
      campaignId: campaign._id,
      accountId: campaign.accountId,
      templateId: campaign.templateId,
      lane: campaign.lane,
      instant: start,
      notAfter: new Date(end.getTime() + DAY_GRACE_MS + lifeMs),
      snapshot: null,
      openUntil: new Date(end.getTime() + DAY_GRACE_MS + (waits(campaign.trigger) ? lifeMs : 0))
    })
    await campaigns.settleRuns(campaign._id)
    if (opened.size >= OPENED_KEPT) opened.clear()
    opened.add(id)
    return id
  }

  return { members, answer }
}
export type Answers = ReturnType<typeof createAnswers>

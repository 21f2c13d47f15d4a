import type { Connection } from 'mongoose'
import type { Collection } from 'mongodb'
import type { Accounts } from '../accounts/accounts.js'
import type { Audiences } from '../audiences/audiences.js'
import type { CampaignRow, Campaigns } from '../campaigns/campaigns.js'
import { orNull } from '../campaigns/check.js'
import { snapshotOf } from '../campaigns/compose.js'
import { lifeOf } from '../campaigns/schedule.js'
import { runIdOf } from '../campaigns/start.js'
import type { EventRow, Events } from '../events/events.js'
import { meets } from '../events/where.js'
import type { Messages, PlanInput } from '../messages/messages.js'
import type { People, Person, Recipient } from '../people/people.js'
import type { Clock } from '../platform/clock.js'
import { groupBy } from '../platform/group.js'
import { dayOf } from '../platform/shanghai.js'
import { reentryModel, type ReentryRow } from './model.js'
import { letIn } from './reentry.js'

export type Triggers = ReturnType<typeof createTriggers>

type EventCampaign = CampaignRow & { trigger: { kind: 'event' } }
type Happening = { event: EventRow; person: Person }

/** A day's run takes rows this long after the day, for events that a sweep brings late. */
const DAY_GRACE_MS = 6 * 3_600_000
/** Day runs remembered as open; forgetting them costs one read each. */
const OPENED_KEPT = 1_000
/** Re-entry questions asked at a time. */
const AT_ONCE = 16

/**
 * Campaigns that answer events. A consumer of every event: whatever it does is derived from the event and its id, so the
 * same event again (a crash, two processes) plans the same messages again and none twice.
 */
export function createTriggers({
  db,
  clock,
  accounts,
  people,
  audiences,
  events,
  campaigns,
  messages
}: {
  db: Connection
  clock: Clock
  accounts: Accounts
  people: People
  audiences: Audiences
  events: Pick<Events, 'consume'>
  campaigns: Campaigns
  messages: Messages
}) {
  const model = reentryModel(db)
  const reentries = model.collection as unknown as Collection<ReentryRow>
  const opened = new Set<string>()

  events.consume('*', consume)

  /** Plans what a batch of events causes. Repeatable. */
  async function consume(batch: EventRow[]): Promise<void> {
    const listening = await campaigns.listening()
    const names = new Set(listening.map((campaign) => (campaign as EventCampaign).trigger.event))
    const mine = batch.filter(
      (event) => names.has(event.name) && (event.personId !== null || event.recipientId !== null)
    )
    if (mine.length === 0) return
    const happenings = await withPersons(mine)
    const plans: PlanInput[] = []
    for (const campaign of listening as EventCampaign[]) {
      const { event, where } = campaign.trigger
      const met = happenings.filter((each) => each.event.name === event && meets(where, each.event.properties))
      if (met.length > 0) plans.push(...(await answer(campaign, met)))
    }
    if (plans.length > 0) await messages.plan(plans)
  }

  /** The persons behind events as they are now; events of nobody (erased, unknown) are dropped. Oldest event first. */
  async function withPersons(batch: EventRow[]): Promise<Happening[]> {
    const nameless = batch.flatMap((event) => (event.personId === null ? [event.recipientId!] : []))
    const owners = nameless.length === 0 ? new Map<string, string>() : await people.personIdsOf(nameless)
    const idOf = (event: EventRow) => event.personId ?? owners.get(event.recipientId!)
    const persons = await people.persons(batch.flatMap((event) => idOf(event) ?? []))
    return batch
      .flatMap((event) => {
        const id = idOf(event)
        const person = id === undefined ? undefined : persons.get(id)
        return person === undefined ? [] : [{ event, person }]
      })
      .sort((a, b) => a.event.at.getTime() - b.event.at.getTime())
  }

  async function answer(campaign: EventCampaign, met: Happening[]): Promise<PlanInput[]> {
    const account = await orNull(accounts.get(campaign.accountId))
    const source = account === null ? null : await orNull(campaigns.audienceOf(campaign))
    if (account === null || (source === null && campaign.audienceId !== null)) {
      const reason = account === null ? 'accountMissing' : 'audienceMissing'
      await campaigns.pauseIfOnline(campaign._id, reason)
      return []
    }
    if (source !== null) {
      const members = await audiences.among(source, account, [...new Set(met.map(({ person }) => person.id))])
      met = met.filter(({ person }) => members.has(person.id))
    }
    if (met.length === 0) return []
    const recipients = await recipientsFor(account.id, met)
    const admitted = await admit(campaign, met, recipients)
    const compose = campaigns.composers.of(`campaign ${campaign._id} ${campaign.rev}`, snapshotOf(campaign, source))
    const plans: PlanInput[] = []
    for (const { event, person } of admitted) {
      const recipient = recipients.get(event._id) ?? null
      const { data, open, skip, stop } = compose(person, event.properties)
      if (stop !== null && recipient !== null) {
        await campaigns.pauseIfOnline(campaign._id, `missingVariable ${stop}`)
        return plans
      }
      const run = await runOf(campaign, event)
      const unknown = recipient === null ? ({ reason: 'notInAccount' } as const) : skip
      plans.push({
        // By the person the event named, not by whom that leads to now: a repeat after a merge must say the same.
        id: messages.messageId('run', run, event.personId ?? event.recipientId!, event._id),
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
        dueAt: clock.now(),
        notAfter: new Date(event.at.getTime() + lifeOf(campaign)),
        waitForCredential: campaign.waitForCredential,
        topic: campaign.topic ?? null,
        ...(unknown !== undefined && { skip: unknown })
      })
    }
    return plans
  }

  /** Who each event's person is to the account: the recipient the event was posted for, if it is the account's own. */
  async function recipientsFor(accountId: string, met: Happening[]): Promise<Map<string, Recipient>> {
    const own = met.flatMap(({ event }) =>
      event.accountId === accountId && event.recipientId !== null ? [event.recipientId] : []
    )
    const named = own.length === 0 ? new Map<string, Recipient>() : await people.byIds(own)
    const rest = met.filter(({ event }) => event.recipientId === null || !named.has(event.recipientId))
    const found = await people.recipientsOf(accountId, [...new Set(rest.map(({ person }) => person.id))])
    const out = new Map<string, Recipient>()
    for (const { event, person } of met) {
      const recipient = (event.recipientId === null ? undefined : named.get(event.recipientId)) ?? found.get(person.id)
      if (recipient !== undefined) out.set(event._id, recipient)
    }
    return out
  }

  /** Those that re-entry lets in: several events of one recipient in order, different recipients side by side. */
  async function admit(
    campaign: EventCampaign,
    met: Happening[],
    recipients: Map<string, Recipient>
  ): Promise<Happening[]> {
    const { reentry } = campaign.trigger
    if (reentry === 'each') return met
    const groups = [...groupBy(met, ({ event, person }) => recipients.get(event._id)?.id ?? person.id)]
    const admitted = new Set<Happening>()
    for (let from = 0; from < groups.length; from += AT_ONCE) {
      const part = groups.slice(from, from + AT_ONCE).map(async ([recipientId, each]) => {
        for (const one of each) {
          const { _id, at } = one.event
          if (await letIn(reentries, campaign._id, recipientId, reentry, _id, at)) admitted.add(one)
        }
      })
      await Promise.all(part)
    }
    return met.filter((each) => admitted.has(each))
  }

  /** The run of the day the event was received on: never of "now", so that a repeat files in the same. */
  async function runOf(campaign: EventCampaign, event: EventRow): Promise<string> {
    const { day, start, end } = dayOf(event.receivedAt)
    const id = runIdOf(messages, campaign._id, day)
    if (opened.has(id)) return id
    await messages.runs.open({
      id,
      campaignId: campaign._id,
      accountId: campaign.accountId,
      templateId: campaign.templateId,
      lane: campaign.lane,
      instant: start,
      notAfter: new Date(end.getTime() + DAY_GRACE_MS + lifeOf(campaign)),
      snapshot: null,
      openUntil: new Date(end.getTime() + DAY_GRACE_MS)
    })
    await campaigns.settleRuns(campaign._id)
    if (opened.size >= OPENED_KEPT) opened.clear()
    opened.add(id)
    return id
  }

  return {
    /** Makes the indexes. */
    async ready(): Promise<void> {
      await model.createIndexes()
    },

    consume
  }
}

import type { Connection } from 'mongoose'
import type { Collection } from 'mongodb'
import type { WaitState } from '../../shared/trigger.js'
import type { PageQuery } from '../../shared/page.js'
import type { Accounts } from '../accounts/accounts.js'
import type { Audiences } from '../audiences/audiences.js'
import type { Campaigns } from '../campaigns/campaigns.js'
import { lifeOf } from '../campaigns/schedule.js'
import type { EventRow, Events } from '../events/events.js'
import type { Messages, PlanInput } from '../messages/messages.js'
import type { People } from '../people/people.js'
import type { Clock } from '../platform/clock.js'
import { createAnswers, type EventCampaign, type Happening, type Occasion } from './answers.js'
import { createDue } from './due.js'
import { interestOf, isAnswered, mayStop } from './interest.js'
import { reentryModel, type ReentryRow } from './model.js'
import { waits as hasWaits } from './timing.js'
import { createWaits, waitOf } from './waits.js'

export type Triggers = ReturnType<typeof createTriggers>

/**
 * Campaigns that answer events. A consumer of every event: whatever it does is derived from the event and its id, so the
 * same event again (a crash, two processes) plans the same messages and waits again, and none twice.
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
  events: Pick<Events, 'consume' | 'rows'>
  campaigns: Campaigns
  messages: Messages
}) {
  const model = reentryModel(db)
  const reentries = model.collection as unknown as Collection<ReentryRow>
  const waits = createWaits({ db, clock })
  const answers = createAnswers({ accounts, people, audiences, campaigns, messages, reentries })
  const due = createDue({ clock, people, events, campaigns, messages, waits, answers })

  let known: { listening: EventCampaign[]; interest: (event: EventRow) => boolean } | null = null

  events.consume('*', consume, async () => (await heard()).interest)
  messages.onStoppedWaits(waits.stoppedOf)
  people.onErase(({ personIds }) => waits.erase(personIds))
  // Wakes, both: whoever misses one comes to the same when the wait is looked at.
  campaigns.onMove(async ({ _id, state }) => {
    if (state === 'online') await waits.goOn(_id)
    if (state === 'cancelled') await waits.end(_id)
  })

  /** The campaigns that listen, and which events they do anything with. */
  async function heard() {
    const listening = (await campaigns.listening()) as EventCampaign[]
    if (known?.listening !== listening) {
      const any = interestOf(listening.map(({ trigger }) => trigger))
      const interest = (event: EventRow) => (event.personId !== null || event.recipientId !== null) && any(event)
      known = { listening, interest }
    }
    return known
  }

  /** Plans what a batch of events causes. Repeatable. */
  async function consume(batch: EventRow[]): Promise<void> {
    const { listening, interest } = await heard()
    const mine = batch.filter(interest)
    if (mine.length === 0) return
    const happenings = await withPersons(mine)
    const plans: PlanInput[] = []
    const fresh: string[] = []
    for (const campaign of listening) {
      const met = happenings.filter((each) => isAnswered(campaign.trigger, each.event))
      if (met.length === 0) continue
      if (hasWaits(campaign.trigger)) fresh.push(...(await wait(campaign, met)))
      else if (campaign.state === 'online')
        plans.push(
          ...(
            await answers.answer(
              campaign,
              met.map((each) => atOnce(campaign, each))
            )
          ).plans
        )
    }
    if (plans.length > 0) await messages.plan(plans)
    const stopping = listening.filter(({ trigger }) => happenings.some(({ event }) => mayStop(trigger, event)))
    const stoppers = happenings.filter(({ event }) => stopping.some(({ trigger }) => mayStop(trigger, event)))
    await waits.stopBy(stopping, stoppers)
    if (fresh.length > 0) await due.now(fresh)
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

  /** Each event owns a wait, also while the campaign is paused: it may go on in time. @returns those that are due already */
  async function wait(campaign: EventCampaign, met: Happening[]): Promise<string[]> {
    const found = await answers.members(campaign, met)
    if (found === null || found.inside.length === 0) return []
    const now = clock.now()
    const batch = found.inside.map((each) =>
      waitOf(messages.messageId('wait', campaign._id, each.event._id), campaign, each, lifeOf(campaign), now)
    )
    await waits.keep(batch)
    return batch.flatMap((each) => (each.state === 'waiting' && each.due <= now ? [each._id] : []))
  }

  /** What is answered as soon as it is there. Its deadline counts from the event: a late one is not sent late. */
  function atOnce(campaign: EventCampaign, { event, person }: Happening): Occasion {
    const { _id: id, at, receivedAt: filed } = event
    const notAfter = new Date(at.getTime() + lifeOf(campaign))
    return { event, person, id, waitId: null, at, dueAt: clock.now(), notAfter, filed }
  }

  return {
    /** Makes the indexes. */
    async ready(): Promise<void> {
      await model.createIndexes()
      await waits.ready()
    },

    consume,

    /** Decides the waits that are due. @returns how many were taken up */
    fireDue: due.run,

    /** The waits of a campaign, the latest moment first; of these states, or of all. */
    waitsOf: (campaignId: string, states: WaitState[] | undefined, query: PageQuery) =>
      waits.page({ campaignId, ...(states !== undefined && { state: { $in: states } }) }, query),

    /** The collection, for reports. */
    waits: waits.rows
  }
}

import type { EventRow, Events } from '../events/events.js'
import type { Campaigns } from '../campaigns/campaigns.js'
import type { Messages } from '../messages/messages.js'
import type { People, Person } from '../people/people.js'
import type { Clock } from '../platform/clock.js'
import { groupBy } from '../platform/group.js'
import type { Answers, EventCampaign, Occasion } from './answers.js'
import { stopperOf, type Seen } from './judge.js'
import type { WaitRow } from './model.js'
import { namesOf } from './timing.js'
import type { Waits } from './waits.js'

/** Waits decided together. */
const BATCH = 200

/**
 * Decides waits whose moment has come (docs/ledger.md G): what happened is read again, and only that counts. First the
 * message, then the mark: whoever dies in between leaves a wait that comes to the same message.
 */
export function createDue({
  clock,
  people,
  events,
  campaigns,
  messages,
  waits,
  answers
}: {
  clock: Clock
  people: Pick<People, 'persons'>
  events: Pick<Events, 'rows'>
  campaigns: Campaigns
  messages: Messages
  waits: Waits
  answers: Answers
}) {
  /** Decides waits that were taken up. One campaign's trouble holds up no other. @throws the first trouble, at the end */
  async function decide(taken: WaitRow[]): Promise<void> {
    const groups = groupBy(taken, (wait) => wait.campaignId)
    const found = await campaigns.rows.find({ _id: { $in: [...groups.keys()] } }).toArray()
    const byId = new Map(found.map((row) => [row._id, row as EventCampaign]))
    const troubles: unknown[] = []
    for (const [id, list] of groups) {
      await decideOf(byId.get(id), list).catch((error: unknown) => troubles.push(error))
    }
    if (troubles.length > 0) throw troubles[0]
  }

  async function decideOf(campaign: EventCampaign | undefined, taken: WaitRow[]): Promise<void> {
    if (campaign?.state !== 'online' && campaign?.state !== 'paused') {
      return waits.drop(idsOf(taken), 'cancelled')
    }
    const late = ({ notAfter }: WaitRow) => notAfter <= clock.now()
    let list = taken
    if (campaign.state === 'paused') {
      await waits.postpone(idsOf(list.filter((wait) => !late(wait))))
      list = list.filter(late)
      if (list.length === 0) return
    }
    const persons = await people.persons(list.flatMap(({ personId }) => personId ?? []))
    const since = await happenedSince(campaign, list, persons)
    const causes = await eventsOf(list, since)
    const whole: { wait: WaitRow; person: Person; event: EventRow }[] = []
    const [erased, gone]: WaitRow[][] = [[], []]
    for (const wait of list) {
      const person = wait.personId === null ? undefined : persons.get(wait.personId)
      const event = causes.get(wait.eventId)
      if (person === undefined) erased!.push(wait)
      else if (event === undefined) gone!.push(wait)
      else whole.push({ wait, person, event })
    }
    await waits.drop(idsOf(erased!), 'erased')
    await waits.drop(idsOf(gone!), 'eventGone')

    const stopped: { id: string; by: Seen }[] = []
    const occasions: Occasion[] = []
    const tooLate: string[] = []
    for (const { wait, person, event } of whole) {
      const by = stopperOf(campaign.trigger, wait, since.get(person.id) ?? [])
      if (by !== null) stopped.push({ id: wait._id, by })
      else if (late(wait)) tooLate.push(wait._id)
      else occasions.push(occasionOf(wait, person, event))
    }
    await waits.stop(stopped)
    await waits.drop(tooLate, 'late')
    if (occasions.length === 0) return
    const { plans, declined } = await answers.answer(campaign, occasions)
    await messages.plan(plans)
    await waits.fired(plans.flatMap(({ waitId }) => waitId ?? []))
    for (const [reason, each] of groupBy(declined, ({ reason }) => reason)) await waits.drop(idsOf(each), reason)
    const answered = new Set([...plans.map(({ waitId }) => waitId), ...declined.map(({ id }) => id)])
    await waits.postpone(occasions.flatMap(({ id }) => (answered.has(id) ? [] : [id])))
  }

  /** The events the waits came of. Mostly they are among those just read; the others are asked for by id. */
  async function eventsOf(list: WaitRow[], read: Map<string, EventRow[]>): Promise<Map<string, EventRow>> {
    const known = new Map([...read.values()].flat().map((event) => [event._id, event]))
    const lacking = list.flatMap(({ eventId }) => (known.has(eventId) ? [] : [eventId]))
    if (lacking.length > 0) {
      const found = await events.rows.find({ _id: { $in: lacking } }).toArray()
      for (const event of found) known.set(event._id, event)
    }
    return known
  }

  /** What these persons did that this campaign looks at, since they wait, under every id each has had. */
  async function happenedSince(
    { trigger }: EventCampaign,
    list: WaitRow[],
    persons: Map<string, Person>
  ): Promise<Map<string, EventRow[]>> {
    const owner = new Map<string, string>()
    for (const person of persons.values()) for (const id of [person.id, ...person.was]) owner.set(id, person.id)
    if (owner.size === 0) return new Map()
    const first = Math.min(...list.map(({ aAt }) => aAt.getTime()))
    const last = Math.max(...list.map(({ end }) => end.getTime()))
    // Whoever takes an event in names its person, so that the events of nobody need not be asked for.
    const found = await events.rows
      .find({
        personId: { $in: [...owner.keys()] },
        name: { $in: namesOf(trigger) },
        at: { $gte: new Date(first), $lte: new Date(last) }
      })
      .toArray()
    return groupBy(found, (event) => owner.get(event.personId!)!)
  }

  return {
    /**
     * Decides what is due, until nothing is left. Several may do so at once. @returns how many it took up
     * @throws what went wrong with some of them, after the others
     */
    async run(signal?: AbortSignal, onBacklog?: () => Promise<void>): Promise<number> {
      let taken = 0
      let trouble: { error: unknown } | null = null
      for (let first = true; signal?.aborted !== true; first = false) {
        const { mine, more } = await waits.claim(BATCH)
        taken += mine.length
        if (first && more) await onBacklog?.()
        if (mine.length > 0) await decide(mine).catch((error: unknown) => (trouble ??= { error }))
        if (!more) break
      }
      if (trouble !== null) throw (trouble as { error: unknown }).error
      return taken
    },

    /** The in-process wake: these, if their moment has come, without waiting for the next beat. */
    async now(ids: string[]): Promise<void> {
      for (let from = 0; from < ids.length; from += BATCH) {
        const { mine } = await waits.claim(BATCH, ids.slice(from, from + BATCH))
        if (mine.length > 0) await decide(mine)
      }
    }
  }
}
export type Due = ReturnType<typeof createDue>

function occasionOf(wait: WaitRow, person: Person, event: EventRow): Occasion {
  // A reminder's moment may lie before its event came in; both are stored, so a repeat files it in the same run.
  const filed = wait.due > event.receivedAt ? wait.due : event.receivedAt
  const { _id: id, due: at, notAfter } = wait
  return { event, person, id, waitId: id, at, dueAt: filed, notAfter, filed }
}

const idsOf = (list: ({ _id: string } | { id: string })[]) => list.map((each) => ('_id' in each ? each._id : each.id))

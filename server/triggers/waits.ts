import type { AnyBulkWriteOperation, Collection } from 'mongodb'
import type { Connection } from 'mongoose'
import type { z } from 'zod'
import type { EventTrigger, WaitDropReason, WaitState, WaitView } from '../../shared/trigger.js'
import { DAY_MS, KEPT_DAYS } from '../../shared/limits.js'
import type { PageQuery } from '../../shared/page.js'
import type { EventRow } from '../events/events.js'
import type { Clock } from '../platform/clock.js'
import { randomToken } from '../platform/ids.js'
import { insertNew } from '../platform/mongo.js'
import { listPage } from '../platform/page.js'
import { stops, type Seen } from './judge.js'
import { waitModel, type WaitRow } from './model.js'
import { keyOf, timesOf } from './timing.js'

/** Kept this long after its message could still go: longer than any message asks whether it was stopped. */
const KEPT_MS = KEPT_DAYS.waits * DAY_MS
/** Whoever took waits up has this long before somebody else does. */
const LEASE_MS = 30_000
/** Waits of a campaign that stands still are looked at this often. */
const STANDSTILL_MS = 60_000

type Arrival = { event: EventRow; person: { id: string; was: string[] } }

/** The wait an event becomes; one whose moment nobody can tell is dropped from the start, for all to see. Pure. */
export function waitOf(
  id: string,
  campaign: { _id: string; trigger: EventTrigger },
  { event, person }: Arrival,
  lifeMs: number,
  now: Date
): WaitRow {
  const { trigger } = campaign
  const times = timesOf(trigger, event, lifeMs)
  const fault = 'fault' in times ? times.fault : null
  const { due, end, notAfter } = 'fault' in times ? { due: event.at, end: event.at, notAfter: event.at } : times
  return {
    _id: id,
    campaignId: campaign._id,
    eventId: event._id,
    personId: person.id,
    key: keyOf(trigger.key, event.properties),
    aAt: event.at,
    due,
    end,
    notAfter,
    state: fault === null ? 'waiting' : 'dropped',
    reason: fault,
    stoppedBy: null,
    lookAt: due,
    claim: null,
    settledAt: fault === null ? null : now,
    createdAt: now,
    expireAt: new Date(Math.max(due.getTime(), notAfter.getTime(), now.getTime()) + KEPT_MS)
  }
}

/** The waits as stored. Every verb may be repeated, and two processes may use them at once. */
export function createWaits({ db, clock }: { db: Connection; clock: Clock }) {
  const model = waitModel(db)
  const rows = model.collection as unknown as Collection<WaitRow>

  let claiming: Promise<unknown> = Promise.resolve()

  async function claim(limit: number, ids?: string[]): Promise<{ mine: WaitRow[]; more: boolean }> {
    const now = clock.now()
    const ready = { state: 'waiting' as const, lookAt: { $lte: now } }
    const seen = await rows
      .find(ids === undefined ? ready : { ...ready, _id: { $in: ids } })
      .sort({ lookAt: 1 })
      .limit(limit)
      .toArray()
    if (seen.length === 0) return { mine: [], more: false }
    const which = { $in: seen.map((row) => row._id) }
    const mark = { claim: randomToken(9), lookAt: new Date(now.getTime() + LEASE_MS) }
    const { matchedCount } = await rows.updateMany({ _id: which, ...ready }, { $set: mark })
    // All of them: what was read stands, since nothing else about a wait changes while it waits.
    const mine =
      matchedCount === seen.length
        ? seen.map((row) => ({ ...row, ...mark }))
        : await rows.find({ _id: which, claim: mark.claim, state: 'waiting' }).toArray()
    mine.sort((a, b) => a.due.getTime() - b.due.getTime())
    return { mine, more: seen.length === limit }
  }

  const settled = (state: WaitState) => ({ state, settledAt: clock.now() })

  return {
    rows,

    ready: async (): Promise<void> => {
      await model.createIndexes()
    },

    /** Those that are there already stay as they are. */
    keep: (batch: WaitRow[]) => insertNew(rows, batch),

    /**
     * Closes early what these events stop, and flags what has fired, so that its message is taken back. Only a flag: a
     * wait this misses reads the same events when it is due.
     */
    async stopBy(campaigns: { _id: string; trigger: EventTrigger }[], arrivals: Arrival[]): Promise<void> {
      if (campaigns.length === 0 || arrivals.length === 0) return
      const owner = new Map<string, string>()
      for (const { person } of arrivals) for (const id of [person.id, ...person.was]) owner.set(id, person.id)
      const since = new Date(Math.min(...arrivals.map(({ event }) => event.at.getTime())))
      const candidates = await rows
        .find({
          personId: { $in: [...owner.keys()] },
          campaignId: { $in: campaigns.map(({ _id }) => _id) },
          stoppedBy: null,
          end: { $gte: since }
        })
        .toArray()
      const triggers = new Map(campaigns.map(({ _id, trigger }) => [_id, trigger]))
      const found: { id: string; by: Seen }[] = []
      for (const wait of candidates) {
        const theirs = arrivals.filter(({ person }) => person.id === owner.get(wait.personId!))
        const by = theirs.find(({ event }) => stops(triggers.get(wait.campaignId)!, wait, event))
        if (by !== undefined) found.push({ id: wait._id, by: by.event })
      }
      await this.stop(found)
    },

    /** What waits is stopped; what has fired, or was dropped, is flagged. */
    async stop(stopped: { id: string; by: Seen }[]): Promise<void> {
      if (stopped.length === 0) return
      const ops = stopped.flatMap(({ id, by }): AnyBulkWriteOperation<WaitRow>[] => {
        const stoppedBy = { eventId: by._id, name: by.name, at: by.at }
        return [
          {
            updateOne: {
              filter: { _id: id, state: 'waiting' },
              update: { $set: { ...settled('stopped'), stoppedBy } }
            }
          },
          { updateOne: { filter: { _id: id, stoppedBy: null }, update: { $set: { stoppedBy } } } }
        ]
      })
      await rows.bulkWrite(ops)
    },

    /**
     * Takes up waits whose moment has come, those of `ids` or any, in the order of their moments, so that the first of a
     * person enters first. What another took up in the same blink is left out.
     * `more`: was there as much as asked for?
     */
    claim(limit: number, ids?: string[]): Promise<{ mine: WaitRow[]; more: boolean }> {
      // One after another within a process: its deciders would see the same rows.
      const next = claiming.then(() => claim(limit, ids))
      claiming = next.catch(() => {})
      return next
    },

    /** After their messages were planned, never before. */
    async fired(ids: string[]): Promise<void> {
      if (ids.length === 0) return
      await rows.updateMany(
        { _id: { $in: ids }, state: { $ne: 'fired' } },
        { $set: { ...settled('fired'), reason: null } }
      )
    },

    async drop(ids: string[], reason: WaitDropReason): Promise<void> {
      if (ids.length === 0) return
      await rows.updateMany({ _id: { $in: ids }, state: 'waiting' }, { $set: { ...settled('dropped'), reason } })
    },

    /** Their campaign stands still: they are looked at again in a minute, or when it goes on. */
    async postpone(ids: string[]): Promise<void> {
      if (ids.length === 0) return
      const lookAt = new Date(clock.now().getTime() + STANDSTILL_MS)
      await rows.updateMany({ _id: { $in: ids }, state: 'waiting' }, { $set: { lookAt } })
    },

    /** A campaign goes on: what came due meanwhile is looked at now. */
    async goOn(campaignId: string): Promise<void> {
      const now = clock.now()
      await rows.updateMany({ campaignId, due: { $lte: now }, state: 'waiting' }, { $set: { lookAt: now } })
    },

    /** A campaign is over: nothing of it waits any more. */
    async end(campaignId: string): Promise<void> {
      await rows.updateMany(
        { campaignId, state: 'waiting' },
        { $set: { ...settled('dropped'), reason: 'cancelled' as const } }
      )
    },

    /** Of these waits, those that something stopped. */
    async stoppedOf(ids: string[]): Promise<Set<string>> {
      const found = await rows
        .find({ _id: { $in: ids }, stoppedBy: { $ne: null } }, { projection: { _id: 1 } })
        .toArray()
      return new Set(found.map((row) => row._id))
    },

    /** What an erased person waited for is over; that there was something stays, so that counts stay true. */
    async erase(personIds: string[]): Promise<void> {
      const theirs = { personId: { $in: personIds } }
      await rows.updateMany(
        { ...theirs, state: 'waiting' },
        { $set: { ...settled('dropped'), reason: 'erased' as const } }
      )
      await rows.updateMany(theirs, { $set: { personId: null, key: null } })
    },

    page: (filter: { campaignId: string; state?: { $in: WaitState[] } }, query: PageQuery) =>
      listPage(rows, { filter, query, sortable: ['due'], defaultSort: '-due' }, waitView)
  }
}
export type Waits = ReturnType<typeof createWaits>

function waitView(row: WaitRow): z.infer<typeof WaitView> {
  const { _id, state, reason, personId, eventId, aAt, key, due, stoppedBy, settledAt } = row
  return { id: _id, state, reason, personId, eventId, at: aAt, key, due, stoppedBy, settledAt }
}

import type { Connection } from 'mongoose'
import type { Collection } from 'mongodb'
import type { Clock } from '../platform/clock.js'
import type { Jobs } from '../platform/jobs.js'
import type { Log } from '../platform/log.js'
import { insertNew } from '../platform/mongo.js'
import type { People } from '../people/people.js'
import { eventId, type EventOrigin } from './event-id.js'
import { eventLifeMs } from './life.js'
import { eventModel, eventNameModel, type EventNameRow, type EventRow } from './model.js'

export type { EventOrigin } from './event-id.js'
export type { EventRow } from './model.js'
export type Events = ReturnType<typeof createEvents>

/** One thing that happened, whose person is known already (or nobody's: both ids null). */
export type EventInput = {
  /** The sender's own id: handing the same in again is a duplicate. */
  id: string
  name: string
  at: Date
  properties?: Record<string, unknown>
  personId: string | null
  recipientId: string | null
}

export type EventParts = { db: Connection; clock: Clock; log: Log; jobs: Jobs; people: Pick<People, 'onErase'> }

/** Applies events. Must be repeatable: after a crash, or when another handler failed, the same events come again. */
export type EventHandler = (events: EventRow[]) => Promise<void>

/**
 * Tells which events a handler would do anything with, as things stand now; asked once for a batch that is about to be
 * stored. What no handler of its name wants is done from the start. Unsure means yes.
 */
export type Interest = () => Promise<(event: EventRow) => boolean>

/** In-process handling gets this long before a sweep takes over. */
const SWEEP_AFTER_MS = 2_000
const SWEEP_EVERY_MS = 1_000
/** A sweep keeps what it took for itself this long. */
const SWEEP_LEASE_MS = 30_000
const RETRY_MAX_MS = 10 * 60_000
const BATCH = 500
/** Beyond this many waiting in memory, new ones wait in the store for the sweep. */
const INBOX = 20_000
/** A phone whose clock leaps can be ten thousand years off, and a year before 0000 cannot be written as RFC 3339. */
const LONG_AGO = new Date(0)
const NAME_REFRESH_MS = 10 * 60_000

/**
 * What people did, and the inbox of everything from outside: an event is stored under its own id, then acknowledged,
 * then applied by every consumer of its name, in this process at once and by a sweep after a crash.
 */
export function createEvents({ db, clock, log, jobs, people }: EventParts) {
  const model = eventModel(db)
  const rows = model.collection as unknown as Collection<EventRow>
  const nameModel = eventNameModel(db)
  const names = nameModel.collection as unknown as Collection<EventNameRow>
  const handlers: { name: string; handler: EventHandler; interest: Interest | undefined }[] = []
  const inbox: EventRow[] = []
  const namesSeen = new Map<string, number>()
  let draining: Promise<void> | null = null
  let stopped = false

  jobs.define('events.sweep', async () => {
    await sweep()
  })
  // What an erased person did stays as a bare fact of nobody, so that counts stay true.
  people.onErase(async ({ personIds, recipientIds }) => {
    const forget = { $set: { personId: null, recipientId: null, properties: {}, todo: false } }
    await rows.updateMany({ personId: { $in: personIds } }, forget)
    // Pushes may know the recipient only; all their names start with a dollar, for which there is an index.
    await rows.updateMany({ name: { $gte: '$', $lt: '%' }, recipientId: { $in: recipientIds } }, forget)
  })

  async function drain(): Promise<void> {
    try {
      while (inbox.length > 0) await apply(inbox.splice(0, BATCH))
    } catch (error) {
      // What was lost here is still `todo` in the store.
      inbox.length = 0
      log.error({ err: error }, 'events could not be applied, the sweep will')
    } finally {
      draining = null
    }
  }

  function dispatch(fresh: EventRow[]): void {
    if (stopped || fresh.length === 0 || inbox.length + fresh.length > INBOX) return
    inbox.push(...fresh)
    draining ??= drain()
  }

  /** Marks what nobody wants as done; whoever went online by `receivedAt` is among those asked (docs/ledger.md G). */
  async function spare(batch: EventRow[]): Promise<void> {
    const asked = await Promise.all(handlers.map(async ({ name, interest }) => ({ name, wants: await interest?.() })))
    for (const row of batch) {
      const theirs = asked.filter(({ name }) => name === '*' || name === row.name)
      row.todo = theirs.length === 0 || theirs.some(({ wants }) => wants?.(row) ?? true)
    }
  }

  /** Runs every handler over its events; one that fails on many is asked for each alone, so one bad event stops nobody. */
  async function apply(batch: EventRow[]): Promise<void> {
    const failed = new Set<string>()
    for (const { name, handler } of handlers) {
      const mine = name === '*' ? batch : batch.filter((row) => row.name === name)
      if (mine.length === 0) continue
      try {
        await handler(mine)
      } catch (error) {
        if (mine.length === 1) fail(mine[0]!, error)
        else for (const row of mine) await handler([row]).catch((reason: unknown) => fail(row, reason))
      }
    }
    const done = batch.filter((row) => !failed.has(row._id)).map((row) => row._id)
    if (done.length > 0) await rows.updateMany({ _id: { $in: done } }, { $set: { todo: false } })
    await postpone(batch.filter((row) => failed.has(row._id)))

    function fail(row: EventRow, error: unknown): void {
      failed.add(row._id)
      log.error({ err: error, eventId: row._id, name: row.name, tries: row.tries + 1 }, 'an event could not be applied')
    }
  }

  async function postpone(failed: EventRow[]): Promise<void> {
    if (failed.length === 0) return
    const now = clock.now().getTime()
    await rows.bulkWrite(
      failed.map((row) => {
        const due = new Date(now + Math.min(SWEEP_AFTER_MS * 2 ** row.tries, RETRY_MAX_MS))
        return { updateOne: { filter: { _id: row._id }, update: { $set: { due, tries: row.tries + 1 } } } }
      }),
      { ordered: false }
    )
  }

  async function keepNames(batch: EventRow[], now: Date): Promise<void> {
    const stale = new Set<string>()
    for (const { name } of batch) {
      if (name.startsWith('$') || now.getTime() - (namesSeen.get(name) ?? 0) < NAME_REFRESH_MS) continue
      stale.add(name)
    }
    if (stale.size === 0) return
    await names.bulkWrite(
      [...stale].map((name) => ({
        updateOne: {
          filter: { _id: name },
          update: { $setOnInsert: { firstAt: now }, $max: { lastAt: now } },
          upsert: true
        }
      })),
      { ordered: false }
    )
    for (const name of stale) namesSeen.set(name, now.getTime())
  }

  async function sweep(): Promise<number> {
    let swept = 0
    for (;;) {
      const now = clock.now()
      const left = { todo: true, due: { $lte: now } }
      const undone = await rows.find(left).sort({ due: 1 }).limit(BATCH).toArray()
      if (undone.length === 0) return swept
      const due = new Date(now.getTime() + SWEEP_LEASE_MS)
      // Not a lock: two sweepers at once only do the same work twice.
      await rows.updateMany({ _id: { $in: undone.map((row) => row._id) }, todo: true }, { $set: { due } })
      await apply(undone)
      swept += undone.length
    }
  }

  return {
    /** The collections, for lists. */
    rows,
    names,

    /** Makes the indexes, and sees to it that what was left undone is looked for every second. */
    async ready(): Promise<void> {
      await model.createIndexes()
      await nameModel.createIndexes()
      await jobs.every(SWEEP_EVERY_MS, 'events.sweep')
    },

    /**
     * Stores events of one origin, then hands them to the consumers without waiting for these. Verdicts are in the
     * order of the items. `at` in the future counts as now, and what a broken clock puts before 1970 as 1970.
     */
    async intake(
      origin: EventOrigin,
      accountId: string | null,
      items: EventInput[]
    ): Promise<{ id: string; verdict: 'stored' | 'duplicate' }[]> {
      if (items.length === 0) return []
      const now = clock.now()
      const due = new Date(now.getTime() + SWEEP_AFTER_MS)
      const batch = items.map((item): EventRow => {
        return {
          _id: eventId(accountId, origin, item.id),
          accountId,
          origin: `${origin.kind}:${origin.id}`,
          name: item.name,
          personId: item.personId,
          recipientId: item.recipientId,
          at: between(LONG_AGO, item.at, now),
          receivedAt: now,
          properties: item.properties ?? {},
          todo: true,
          due,
          tries: 0,
          expireAt: new Date(now.getTime() + eventLifeMs(item.name))
        }
      })
      await spare(batch)
      const repeated = await insertNew(rows, batch)
      await keepNames(batch, now).catch((error: unknown) => log.warn({ err: error }, 'event names were not kept'))
      dispatch(batch.filter((row, index) => row.todo && !repeated.has(index)))
      return items.map(({ id }, index) => ({ id, verdict: repeated.has(index) ? 'duplicate' : 'stored' }))
    },

    /**
     * Registers a consumer of one name, or of every event by `*`; with `interest`, only what that says yes to must reach
     * it. To be called while the rooms are built.
     */
    consume(name: string, handler: EventHandler, interest?: Interest): void {
      handlers.push({ name, handler, interest })
    },

    /** Applies what was left undone (a crash, a failed handler, another process); how many it tried. */
    sweep,

    /** Waits until everything taken in by this process has been applied once. */
    async idle(): Promise<void> {
      while (draining !== null) await draining
    },

    /** Finishes what is in hand; later events wait in the store. */
    async stop(): Promise<void> {
      stopped = true
      while (draining !== null) await draining
    }
  }
}

const between = (first: Date, at: Date, last: Date): Date => (at < first ? first : at > last ? last : at)

import { Schema, type Connection } from 'mongoose'
import type { Collection } from 'mongodb'
import type { Clock } from '../platform/clock.js'
import { isDuplicateKey } from '../platform/mongo.js'
import type { Lane } from '../../shared/message.js'
import { createBirths, type Born } from './births.js'
import type { Budget } from './budget.js'
import { partsOf } from './funnel.js'
import { counterModel, type CounterRow, type MessageRow } from './model.js'
import { DAY_MS } from '../../shared/limits.js'

/** One execution of a campaign. `cursor`: the last person judged; saved after their rows. */
export type RunRow = Born & {
  _id: string
  campaignId: string
  accountId: string
  templateId: string
  lane: Lane
  state: 'expanding' | 'sending' | 'finished' | 'cancelled' | 'missed'
  paused: boolean
  heldReason: string | null
  cursor: string | null
  instant: Date
  startedAt: Date
  /** While it expands: when its rows were last added to. */
  movedAt: Date
  finishedAt: Date | null
  notAfter: Date
  /** What the campaign said when the run started; a run keeps it. */
  snapshot: unknown
  test: boolean
  /** Event triggers file theirs in one run per day: it never closes by itself before its day is over. */
  openUntil: Date | null
  /** It is over, and its counters have not been compared with its rows since. */
  unverified?: true
}

export type RunOpen = {
  id: string
  campaignId: string
  accountId: string
  templateId: string
  lane: Lane
  instant: Date
  notAfter: Date
  snapshot: unknown
  test?: boolean
  /** Set for runs that are not expanded but filed into (event triggers). */
  openUntil?: Date
}

/** States of runs that may yet send. */
const OPEN: RunRow['state'][] = ['expanding', 'sending']
/** How long a cancelled run is still asked for: longer than any lease of its rows. */
const CANCELLED_MS = 8 * DAY_MS

export type Counts = {
  total: number
  byState: Record<string, number>
  byReason: Record<string, number>
  opened: number
}

const schema = new Schema(
  { _id: String, campaignId: String, accountId: String, state: String, paused: Boolean, instant: Date, removeAt: Date },
  { collection: 'runs', autoIndex: false, versionKey: false, strict: false }
)
schema.index({ campaignId: 1, instant: -1 }) // campaign page: its runs, newest first
schema.index({ state: 1 }) // which expansions stand still?
schema.index({ accountId: 1, state: 1 }) // pump: which runs are closed to sending?
schema.index({ accountId: 1 }, { partialFilterExpression: { telling: true }, name: 'telling' }) // follower: what did expansions plan?
schema.index({ finishedAt: 1 }, { partialFilterExpression: { unverified: true } }) // reports: whose counters are to be compared?

/**
 * A message's class as counters know it: `open`, or its final state with the reason that explains it. What failed by a
 * receipt is told apart from what was refused at once: `userBlock`, `systemFailed`, `receipt <code>`.
 */
export function classOf(row: Pick<MessageRow, 'state' | 'reason' | 'code' | 'by'>): string {
  if (row.state === 'planned' || row.state === 'held' || row.state === 'sending') return 'open'
  if (row.state === 'skipped') return `skipped:${row.reason ?? 'unknown'}`
  if (row.state === 'failed') {
    const why = row.code ?? row.reason ?? 'unknown'
    return row.by === 'receipt' && why !== 'userBlock' && why !== 'systemFailed'
      ? `failed:receipt ${why}`
      : `failed:${why}`
  }
  return row.state
}

/** Sums counter documents into what a run page shows. */
export function sumCounts(rows: Pick<CounterRow, 'n' | 'opened'>[]): Counts {
  const counts: Counts = { total: 0, byState: {}, byReason: {}, opened: 0 }
  for (const row of rows) {
    counts.opened += row.opened ?? 0
    for (const [name, n] of Object.entries(row.n)) {
      const [state, reason] = partsOf(name)
      counts.total += n
      counts.byState[state] = (counts.byState[state] ?? 0) + n
      if (reason !== undefined) counts.byReason[reason] = (counts.byReason[reason] ?? 0) + n
    }
  }
  for (const table of [counts.byState, counts.byReason])
    for (const name of Object.keys(table)) if (table[name] === 0) delete table[name]
  return counts
}

/** Runs and their counts. Campaigns open, pause and cancel them; the pump asks which are closed. */
export function createRuns({ db, clock, budget }: { db: Connection; clock: Clock; budget: Budget }) {
  const model = db.model('Run', schema)
  const rows = model.collection as unknown as Collection<RunRow>
  const counters = counterModel(db).collection as unknown as Collection<CounterRow>
  const closed = new Map<string, { at: number; paused: Set<string>; cancelled: Set<string> }>()

  async function insert(run: RunOpen, state: RunRow['state']): Promise<RunRow> {
    const now = clock.now()
    const row: RunRow = {
      _id: run.id,
      campaignId: run.campaignId,
      accountId: run.accountId,
      templateId: run.templateId,
      lane: run.lane,
      state,
      paused: false,
      heldReason: null,
      cursor: null,
      instant: run.instant,
      startedAt: now,
      movedAt: now,
      finishedAt: state === 'missed' ? now : null,
      notAfter: run.notAfter,
      snapshot: run.snapshot,
      test: run.test ?? false,
      openUntil: run.openUntil ?? null
    }
    try {
      await rows.insertOne(row)
      return row
    } catch (error) {
      if (!isDuplicateKey(error)) throw error
      return (await rows.findOne({ _id: run.id }))!
    }
  }

  return {
    rows,
    births: createBirths(rows as unknown as Parameters<typeof createBirths>[0]),
    ready: async () => {
      await model.createIndexes()
    },

    /** Opens the run, or reads the one that is there: its id is derived, so two schedulers open one. */
    open: (run: RunOpen): Promise<RunRow> => insert(run, run.openUntil === undefined ? 'expanding' : 'sending'),

    /** An instant nobody was there for; one that somebody has started meanwhile stays started. */
    async missed(run: RunOpen): Promise<void> {
      await insert(run, 'missed')
    },

    /**
     * After the rows, never before: a crash repeats a batch and skips none. `born` of the batch may yet be sent. `again`:
     * some of them were there before, so somebody else planned this batch too. @returns was the run still at `from`?
     */
    async checkpoint(
      id: string,
      { from, to, born, again }: { from: string | null; to: string | null; born: number; again: boolean }
    ): Promise<boolean> {
      const moved = await rows.updateOne(
        { _id: id, cursor: from, state: 'expanding' },
        {
          $set: {
            movedAt: clock.now(),
            ...(to === null ? { state: 'sending' as const } : { cursor: to }),
            ...(born > 0 && { telling: true as const }),
            ...(again && { recount: true as const })
          },
          ...(born > 0 && { $inc: { born } })
        }
      )
      // Another expander was here first, and counted the batch as it saw it.
      if (moved.matchedCount === 0) await rows.updateOne({ _id: id }, { $set: { recount: true } })
      return moved.matchedCount > 0
    },

    /** An expansion that goes on where another one may have been cut off between its rows and its checkpoint. */
    async resumed(id: string): Promise<void> {
      await rows.updateOne({ _id: id, state: 'expanding', begun: true }, { $set: { recount: true } })
      await rows.updateOne({ _id: id, state: 'expanding', begun: { $ne: true } }, { $set: { begun: true } })
    },

    get: (id: string) => rows.findOne({ _id: id }),
    /** Of a campaign, those that may yet send. */
    openOf: (campaignId: string) => rows.find({ campaignId, state: { $in: OPEN } }).toArray(),
    /** Runs whose expansion nobody has moved on for `ms`. */
    stuck: (ms: number): Promise<string[]> =>
      rows.distinct('_id', {
        state: 'expanding',
        paused: false,
        movedAt: { $lt: new Date(clock.now().getTime() - ms) }
      }),
    ofCampaign: (campaignId: string, limit = 100) =>
      rows.find({ campaignId }).sort({ instant: -1 }).limit(limit).toArray(),

    /** Pause: nothing fires from the next slot block on. Resume: the other way round. */
    async setPaused(campaignId: string, paused: boolean, reason: string | null = null): Promise<void> {
      const open = await this.openOf(campaignId)
      if (paused) for (const run of open) await budget.stop(run.accountId, run._id)
      await rows.updateMany(
        { _id: { $in: open.map((run) => run._id) } },
        { $set: { paused, heldReason: paused ? (reason ?? 'paused') : null } }
      )
      for (const run of open) closed.delete(run.accountId)
      if (!paused) for (const run of open) await budget.go(run.accountId, run._id)
    },

    /** Ends the campaign's open runs. @returns their ids: the messages room cancels the rows */
    async cancel(campaignId: string): Promise<string[]> {
      const open = await this.openOf(campaignId)
      for (const run of open) await budget.stop(run.accountId, run._id)
      const ids = open.map((run) => run._id)
      await rows.updateMany(
        { _id: { $in: ids } },
        { $set: { state: 'cancelled', finishedAt: clock.now(), unverified: true } }
      )
      for (const run of open) closed.delete(run.accountId)
      return ids
    },

    /** Runs of an account that must not send now; at most a second old. */
    async closedOf(accountId: string): Promise<{ paused: Set<string>; cancelled: Set<string> }> {
      const now = clock.monotonic()
      const known = closed.get(accountId)
      if (known !== undefined && Math.abs(now - known.at) < 1000) return known
      const since = new Date(clock.now().getTime() - CANCELLED_MS)
      const found = await rows
        .find(
          { accountId, $or: [{ paused: true }, { state: 'cancelled', finishedAt: { $gt: since } }] },
          { projection: { state: 1, paused: 1 } }
        )
        .toArray()
      const fresh = {
        at: now,
        paused: new Set(found.filter((run) => run.state !== 'cancelled').map((run) => run._id)),
        cancelled: new Set(found.filter((run) => run.state === 'cancelled').map((run) => run._id))
      }
      closed.set(accountId, fresh)
      return fresh
    },

    /** Of these runs, those that are to stay stopped: paused ones, and cancelled ones as long as rows of theirs may be due. */
    async stoppedOf(ids: string[]): Promise<Set<string>> {
      const since = new Date(clock.now().getTime() - CANCELLED_MS)
      const found = await rows
        .find(
          { _id: { $in: ids }, $or: [{ paused: true }, { state: 'cancelled', finishedAt: { $gt: since } }] },
          { projection: { _id: 1 } }
        )
        .toArray()
      return new Set(found.map((run) => run._id))
    },

    /** Rows by state and reason, exact, from the counters of the follower. */
    async counts(id: string): Promise<Counts> {
      return sumCounts(await counters.find({ runId: id }).toArray())
    },

    /** A run's counters, one a minute and template. */
    countersOf: (id: string): Promise<CounterRow[]> => counters.find({ runId: id }).toArray(),

    /**
     * Every row of the run is counted but those its expansion planned, and nobody plans any more: what is there beyond
     * the counters is what they have not been told. @returns did they have it right?
     */
    async recounted(run: RunRow, counted: number, messages: Collection<MessageRow>): Promise<boolean> {
      const { _id, born = 0 } = run
      const missing = (await messages.countDocuments({ runId: _id })) - counted
      const seen = { _id, ...(run.born === undefined ? { born: { $exists: false } } : { born }) }
      if (missing === 0) await rows.updateOne(seen, { $unset: { recount: '' } })
      else await rows.updateOne(seen, { $set: { born: born + missing, telling: true } })
      return missing === 0
    },

    /** Ends the account's runs that are expanded, have nothing left to count and nothing open. */
    async finishOf(accountId: string, messages: Collection<MessageRow>): Promise<void> {
      for (const run of await rows.find({ accountId, state: 'sending' }).toArray()) {
        if (run.openUntil !== null && run.openUntil > clock.now()) continue
        if (run.telling === true) continue
        const left = await messages.findOne({ accountId, todo: true, runId: run._id }, { projection: { _id: 1 } })
        if (left !== null) continue
        const counts = await this.counts(run._id)
        if (run.recount === true && !(await this.recounted(run, counts.total, messages))) continue
        if ((counts.byState.open ?? 0) > 0) continue
        await rows.updateOne(
          { _id: run._id, state: 'sending' },
          { $set: { state: 'finished', finishedAt: clock.now(), unverified: true } }
        )
      }
    }
  }
}
export type Runs = ReturnType<typeof createRuns>

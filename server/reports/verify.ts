import { counterField } from '../messages/funnel.js'
import type { Messages } from '../messages/messages.js'
import type { MessageRow } from '../messages/model.js'
import { classOf } from '../messages/runs.js'
import type { Clock } from '../platform/clock.js'
import { NotFound } from '../platform/errors.js'
import { ignoreDuplicate } from '../platform/mongo.js'
import type { Log } from '../platform/log.js'
import { DAY_MS, KEPT_DAYS } from '../../shared/limits.js'

/** What a run's counters say too much (or, below 0, too little) of, by class. */
export type Differences = Record<string, number>

export type Verified = {
  /** `busy`: its messages are moving, so there is nothing to compare yet. */
  state: 'equal' | 'different' | 'busy'
  /** By class, and `opened`. */
  differences: Differences
  /** Rows that stand where they were not counted, and that nobody was going to look at. */
  overlooked: number
  /** Rows looked at. */
  rows: number
}

type Compared = Omit<Verified, 'overlooked'> & { overlooked: string[]; mended: number }

/** How the counter that makes up for mistakes is named. */
const MENDED = 'mended'
/** A run is compared this much after it was over; the last receipts have come by then, or are counted later. */
const SETTLED_MS = 2 * 60_000
/** Older ones have begun to lose rows to age. */
const COMPARED_MS = 30 * DAY_MS
const AT_ONCE = 20
const PAGE = 2_000
const PROJECTION = { state: 1, reason: 1, code: 1, by: 1, todo: 1, counted: 1, openedAt: 1, openCounted: 1 } as const

/**
 * Compares the counters of runs with their rows. The counters follow the rows batch by batch and are exact by their
 * protocol (docs/ledger.md E); this is the second look that would show a mistake in it, or a store that lost writes.
 */
export function createVerify({ clock, log, messages }: { clock: Clock; log: Log; messages: Messages }) {
  const { rows, counters, runs } = messages

  /** A run's counters by class, those put right before included; `mended`: how often they were. */
  async function counted(runId: string) {
    const sums = new Map<string, number>()
    let mended = 0
    for (const { _id, b, n, opened } of await runs.countersOf(runId)) {
      if (_id.endsWith(MENDED)) mended = b
      for (const [name, count] of Object.entries(n)) sums.set(name, (sums.get(name) ?? 0) + count)
      sums.set('opened', (sums.get('opened') ?? 0) + (opened ?? 0))
    }
    return { sums, mended }
  }

  /** Is there anything the follower has not counted yet: a row, or what an expansion planned? */
  async function isMoving(accountId: string, runId: string): Promise<boolean> {
    const run = await runs.get(runId)
    if (run === null || run.state === 'expanding' || run.telling === true || run.recount === true) return true
    return (await rows.findOne({ accountId, runId, todo: true }, { projection: { _id: 1 } })) !== null
  }

  async function compare(runId: string, accountId: string, signal?: AbortSignal): Promise<Compared> {
    const busy: Compared = { state: 'busy', differences: {}, overlooked: [], rows: 0, mended: 0 }
    if (await isMoving(accountId, runId)) return busy
    const { sums: before, mended } = await counted(runId)
    const left = new Map(before)
    const take = (name: string) => left.set(name, (left.get(name) ?? 0) - 1)
    const overlooked: string[] = []
    let looked = 0
    const found = rows
      .find({ runId, test: { $ne: true } }, { projection: PROJECTION })
      .batchSize(PAGE) as unknown as AsyncIterable<Pick<MessageRow, '_id' | keyof typeof PROJECTION>>
    for await (const row of found) {
      if (row.todo || signal?.aborted === true) return busy
      looked += 1
      if (row.counted !== null) take(counterField(row.counted))
      if (row.openCounted === true) take('opened')
      const isCounted = row.counted === classOf(row) && (row.openedAt === undefined) === (row.openCounted !== true)
      if (!isCounted) overlooked.push(row._id)
    }
    // what moved meanwhile was still to be counted when it was read, or has changed the counters
    const { sums: after } = await counted(runId)
    if ([...new Set([...before.keys(), ...after.keys()])].some((name) => before.get(name) !== after.get(name)))
      return busy
    const differences: Differences = {}
    for (const [name, n] of left) if (n !== 0) differences[name] = n
    const equal = Object.keys(differences).length === 0 && overlooked.length === 0
    return { state: equal ? 'equal' : 'different', differences, overlooked, rows: looked, mended }
  }

  /** A counter of its own that makes up for the differences, once; and the follower's look at what was overlooked. */
  async function mend(runId: string, { differences, overlooked, mended }: Compared): Promise<void> {
    const run = (await runs.get(runId))!
    const now = clock.now()
    if (Object.keys(differences).length > 0) {
      const [last] = await counters.find({ runId }).sort({ minute: -1 }).limit(1).toArray()
      const { opened = 0, ...classes } = differences
      const inc = Object.fromEntries(Object.entries(classes).map(([name, n]) => [`n.${name}`, -n]))
      // asked for twice with the same `mended`, it is done once
      const filter = { _id: `${run.accountId}|${runId}|${MENDED}`, b: mended === 0 ? { $lt: 1 } : mended }
      const made = {
        accountId: run.accountId,
        runId,
        campaignId: run.campaignId,
        templateId: run.templateId,
        ...(last?.channel !== undefined && { channel: last.channel }),
        minute: last?.minute ?? new Date(Math.floor(now.getTime() / 60_000) * 60_000),
        removeAt: last?.removeAt ?? new Date(now.getTime() + KEPT_DAYS.counters * DAY_MS)
      }
      const change = { $inc: { 'n.open': 0, ...inc, opened: -opened }, $set: { b: mended + 1 }, $setOnInsert: made }
      await counters.updateOne(filter, change, { upsert: mended === 0 }).catch(ignoreDuplicate)
    }
    for (let from = 0; from < overlooked.length; from += PAGE) {
      const ids = overlooked.slice(from, from + PAGE)
      await rows.updateMany(
        { accountId: run.accountId, _id: { $in: ids }, todo: false },
        { $set: { todo: true }, $inc: { seq: 1 } }
      )
    }
  }

  async function run(runId: string, mending: boolean, signal?: AbortSignal): Promise<Verified> {
    const row = await runs.get(runId)
    if (row === null) throw new NotFound('no such run', { code: 'runs.not-found' })
    const compared = await compare(runId, row.accountId, signal)
    const { state, differences, rows } = compared
    const verified = { state, differences, overlooked: compared.overlooked.length, rows }
    if (state !== 'different') return verified
    log.error({ runId, ...verified, mending }, 'counters are not what the rows say')
    if (mending) await mend(runId, compared)
    return verified
  }

  return {
    /**
     * Compares one run's counters with its rows; `mend`: and puts them right. Safe at any time and twice at once.
     * @throws NotFound
     */
    run: (runId: string, { mend: mending = false }: { mend?: boolean } = {}): Promise<Verified> => run(runId, mending),

    /**
     * Compares the next run that is over and has not been compared since, and puts it right. @returns which it was and
     * what was found; null when none was left
     */
    async next(signal?: AbortSignal): Promise<{ runId: string; verified: Verified } | null> {
      const now = clock.now().getTime()
      const waiting = await runs.rows
        .find({
          unverified: true,
          finishedAt: { $gt: new Date(now - COMPARED_MS), $lte: new Date(now - SETTLED_MS) }
        })
        .sort({ finishedAt: 1 })
        .limit(AT_ONCE)
        .toArray()
      for (const { _id, finishedAt } of waiting) {
        const verified = await run(_id, true, signal)
        if (verified.state === 'busy') continue
        // what was overlooked is counted by the follower, and looked at once more
        if (verified.overlooked === 0)
          await runs.rows.updateOne({ _id, finishedAt }, { $unset: { unverified: '' as const } })
        return { runId: _id, verified }
      }
      return null
    }
  }
}

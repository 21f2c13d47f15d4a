import type { AnyBulkWriteOperation, Collection, Filter } from 'mongodb'
import type { Connection } from 'mongoose'
import type { Clock } from '../platform/clock.js'
import { groupBy } from '../platform/group.js'
import { IN_ONE, isDuplicateKey } from '../platform/mongo.js'
import { DAY_MS, KEPT_DAYS } from '../../shared/limits.js'
import type { TemplateKind } from '../../shared/template.js'
import type { Heard } from '../breakers/breakers.js'
import type { Credentials } from '../credentials/credentials.js'
import type { Letting } from '../credentials/letting.js'
import type { Birth } from './births.js'
import type { Caps } from './caps.js'
import { counterField } from './funnel.js'
import { hearingOf, heardOf } from './hearing.js'
import { createLatencies, type Latency } from './latencies.js'
import type { CounterRow, MessageRow } from './model.js'
import { lettingOf } from './release.js'
import { classOf, type Runs } from './runs.js'

/** One row as the batch saw it. */
type Entry = {
  id: string
  seq: number
  run: string | null
  campaign: string | null
  template: string
  channel: TemplateKind
  from: string | null
  to: string
  /** An open nobody has counted yet. */
  opened?: true
  /** Tests are followed, and counted nowhere. */
  test?: true
  /** Answers breakers have not heard of, and the leases of all that were made so far. */
  codes?: number[]
  heard?: number[]
  takenBack?: true
}
type Counted = Pick<Entry, 'run' | 'campaign' | 'template' | 'channel'>
type TallyRow = {
  _id: string
  N: number
  batch: Entry[] | null
  /** What expansions planned, in the same batch. */
  births?: Birth[]
  minute: Date | null
  /** The account's messages by class, all runs and days together. */
  n?: Record<string, number>
  /** Of the latest answers. */
  latency?: Latency
}

export type FollowerParts = {
  db: Connection
  rows: Collection<MessageRow>
  counters: Collection<CounterRow>
  clock: Clock
  credentials: Credentials
  caps: Caps
  runs: Runs
  /** Plans the next step of a fallback chain; may be called again for the same row. */
  fallBack: (row: MessageRow) => Promise<void>
  /** Tells the breakers what was answered; the same batch `N` may be told again. */
  hear?: ((accountId: string, N: number, minute: Date, heard: Heard[]) => Promise<void>) | undefined
  /** Tells other systems what rows came to; the same entries may be told again. */
  tell?: ((accountId: string, minute: Date, entries: Entry[]) => Promise<void>) | undefined
}

const BATCH = 1_000
/** What the follower looks at: no values or links. */
const LEAN = {
  accountId: 1,
  recipientId: 1,
  runId: 1,
  campaignId: 1,
  templateId: 1,
  channel: 1,
  state: 1,
  reason: 1,
  code: 1,
  by: 1,
  hold: 1,
  closed: 1,
  cap: 1,
  window: 1,
  fell: 1,
  seq: 1,
  counted: 1,
  openedAt: 1,
  openCounted: 1,
  test: 1,
  log: 1,
  heard: 1
} as const
type Lean = Pick<MessageRow, '_id' | keyof typeof LEAN>

/** What the row is told: it was counted as that, by batch `N`. */
const told = ({ to, opened, heard }: Entry, N: number) => ({
  counted: to,
  tally: N,
  ...(heard !== undefined && { heard }),
  ...(opened === true && { openCounted: true as const })
})

const field = (name: string) => `n.${counterField(name)}`

/** A row as a batch writes it down. */
function entryOf(row: Lean): Entry {
  const to = classOf(row)
  const hearing = hearingOf(row, row.counted !== to)
  return {
    id: row._id,
    seq: row.seq,
    run: row.runId,
    campaign: row.campaignId,
    template: row.templateId,
    channel: row.channel,
    from: row.counted,
    to,
    ...(row.openedAt !== undefined && row.openCounted !== true && { opened: true as const }),
    ...(row.test && { test: true as const }),
    ...(hearing !== null && {
      codes: hearing.codes,
      heard: hearing.heard,
      ...(hearing.takenBack && { takenBack: true as const })
    })
  }
}

/** Rows of which this is the same are told the same. */
const alikeOf = ({ to, opened, heard }: Entry) => `${to} ${opened} ${heard}`

/** By how much the account's messages of each class change with a batch. */
function totalsOf(entries: Entry[], births: Birth[]): Record<string, number> {
  const deltas: Record<string, number> = {}
  for (const { from, to } of births) deltas[field('open')] = (deltas[field('open')] ?? 0) + to - from
  for (const { from, to, test } of entries) {
    if (test === true || from === to) continue
    if (from !== null) deltas[field(from)] = (deltas[field(from)] ?? 0) - 1
    deltas[field(to)] = (deltas[field(to)] ?? 0) + 1
  }
  return deltas
}

/**
 * Applies the consequences of rows and keeps the counters exact (docs/ledger.md E): two at once are safe, a crash at any
 * point is repeated from the batch log.
 */
export function createFollower(parts: FollowerParts) {
  const { rows, counters, clock, credentials, caps, runs } = parts
  const latencies = createLatencies()
  const tallies = parts.db.collection('tallies') as unknown as Collection<TallyRow>

  const lean = (filter: Filter<MessageRow>, limit = 0): Promise<Lean[]> =>
    rows.find(filter, { projection: LEAN, batchSize: IN_ONE }).limit(limit).toArray() as unknown as Promise<Lean[]>

  /**
   * F3: lets holds go, plans fallbacks, gives caps back; all by name, so twice is once.
   * @returns the holds let go, by message
   */
  async function consequences(accountId: string, fresh: Lean[]): Promise<Map<string, { h: string; seq: number }>> {
    const lettings: { row: Lean; letting: Letting }[] = []
    for (const row of fresh) {
      const letting = lettingOf(row)
      if (letting !== null) lettings.push({ row, letting })
    }
    if (lettings.length > 0) {
      const woken = await credentials.holds.letGo(lettings.map(({ letting }) => letting))
      if (woken.length > 0) await credentials.awake(accountId, woken)
    }
    const fallen = fresh.filter((row) => row.fell).map((row) => row._id)
    if (fallen.length > 0) {
      for (const row of await rows.find({ accountId, _id: { $in: fallen } }).toArray()) await parts.fallBack(row)
    }
    const back = fresh.filter(
      (row) =>
        (row.cap !== null || row.window != null) &&
        (row.state === 'skipped' || row.state === 'expired' || (row.state === 'failed' && row.by !== 'receipt'))
    )
    if (back.length > 0) {
      await caps.giveBack(back.flatMap((row) => [row.cap, row.window].filter((place) => place != null)))
      await rows.bulkWrite(
        back.map((row) => ({
          updateOne: {
            filter: { accountId, _id: row._id, seq: row.seq, state: row.state },
            update: { $set: { cap: null, window: null } }
          }
        })),
        { ordered: false }
      )
    }
    return new Map(lettings.map(({ row, letting }) => [row._id, { h: letting.h, seq: row.seq }]))
  }

  /** F4: deltas per run, minute and template; a document takes each batch once. */
  async function count(accountId: string, N: number, minute: Date, entries: Entry[], births: Birth[]): Promise<void> {
    const groups = new Map<string, { entry: Counted; deltas: Map<string, number> }>()
    const adding = (entry: Counted) => {
      const key = `${accountId}|${entry.run ?? 'direct'}|${minute.getTime()}|${entry.template}`
      let group = groups.get(key)
      if (group === undefined) groups.set(key, (group = { entry, deltas: new Map() }))
      const { deltas } = group
      return (name: string, n: number) => deltas.set(name, (deltas.get(name) ?? 0) + n)
    }
    for (const birth of births) adding(birth)(field('open'), birth.to - birth.from)
    for (const entry of entries) {
      if (entry.test === true || (entry.from === entry.to && entry.opened !== true)) continue
      const add = adding(entry)
      if (entry.opened === true) add('opened', 1)
      if (entry.from === entry.to) {
        add(field(entry.to), 0) // a counter without states would be none
        continue
      }
      if (entry.from !== null) add(field(entry.from), -1)
      add(field(entry.to), 1)
    }
    for (const [_id, { entry, deltas }] of groups) {
      try {
        await counters.updateOne(
          { _id, b: { $lt: N } },
          {
            $inc: Object.fromEntries(deltas),
            $set: { b: N },
            $setOnInsert: {
              accountId,
              runId: entry.run,
              campaignId: entry.campaign,
              templateId: entry.template,
              channel: entry.channel,
              minute,
              removeAt: new Date(minute.getTime() + KEPT_DAYS.counters * DAY_MS)
            }
          } as any,
          { upsert: true }
        )
      } catch (error) {
        if (!isDuplicateKey(error)) throw error // applied before
      }
    }
  }

  /**
   * F5: marks rows as counted and done, and their holds as settled: one write for each that did not move meanwhile. One
   * that did is counted as what it was and stays `todo`.
   */
  async function settleRows(
    accountId: string,
    N: number,
    entries: Entry[],
    gone: Map<string, { h: string; seq: number }>
  ): Promise<void> {
    if (entries.length === 0) return
    const ops: AnyBulkWriteOperation<MessageRow>[] = []
    const rest: Entry[] = []
    for (const entry of entries) {
      const letting = gone.get(entry.id)
      if (letting?.seq !== entry.seq) rest.push(entry)
      else
        ops.push({
          updateOne: {
            filter: { accountId, _id: entry.id, seq: entry.seq, 'hold.h': letting.h, tally: { $lt: N } },
            update: { $set: { ...told(entry, N), todo: false, 'hold.settled': true } }
          }
        })
    }
    for (const alike of groupBy(rest, (entry) => `${entry.seq} ${alikeOf(entry)}`).values()) {
      const { seq } = alike[0]!
      const filter = { accountId, _id: { $in: alike.map(({ id }) => id) }, seq, tally: { $lt: N } }
      ops.push({ updateMany: { filter, update: { $set: { ...told(alike[0]!, N), todo: false } } } })
    }
    const { matchedCount } = await rows.bulkWrite(ops, { ordered: true })
    if (matchedCount === entries.length) return
    const late: AnyBulkWriteOperation<MessageRow>[] = []
    // those that moved meanwhile, and what a broken batch had left over
    for (const alike of groupBy(entries, alikeOf).values()) {
      const filter = { accountId, _id: { $in: alike.map(({ id }) => id) }, tally: { $lt: N } }
      late.push({ updateMany: { filter, update: { $set: told(alike[0]!, N) } } })
    }
    for (const alike of groupBy(entries, (entry) => entry.seq).values()) {
      const filter = { accountId, _id: { $in: alike.map(({ id }) => id) }, seq: alike[0]!.seq, todo: true }
      late.push({ updateMany: { filter, update: { $set: { todo: false } } } })
    }
    await rows.bulkWrite(late, { ordered: true })
  }

  /** F3–F6. `read`: the rows as just read for this batch; a batch found written down reads them anew. */
  async function apply(tally: TallyRow, read: Lean[] | null): Promise<void> {
    const accountId = tally._id
    const entries = tally.batch!
    const births = tally.births ?? []
    const fresh = read ?? (await lean({ accountId, _id: { $in: entries.map((entry) => entry.id) } }))
    const gone = await consequences(accountId, fresh)
    await count(accountId, tally.N, tally.minute!, entries, births)
    const heard = parts.hear === undefined ? [] : heardOf(entries)
    if (heard.length > 0) await parts.hear!(accountId, tally.N, tally.minute!, heard)
    await parts.tell?.(accountId, tally.minute!, entries)
    await settleRows(accountId, tally.N, entries, gone)
    await runs.births.told(tally.N, births)
    const totals = totalsOf(entries, births)
    const latency = read === null ? null : latencies.take(accountId, read, clock.now())
    await tallies.updateOne(
      { _id: accountId, N: tally.N, batch: { $ne: null } },
      {
        $set: { batch: null, births: [], ...(latency !== null && { latency }) },
        ...(Object.keys(totals).length > 0 && { $inc: totals })
      }
    )
  }

  /** One batch of an account. @returns how many rows it took up; 0: nothing was left to do */
  async function step(accountId: string): Promise<number> {
    let tally = await tallies.findOne({ _id: accountId })
    if (tally === null) {
      await tallies.insertOne({ _id: accountId, N: 0, batch: null, minute: null }).catch((error) => {
        if (!isDuplicateKey(error)) throw error
      })
      tally = (await tallies.findOne({ _id: accountId }))!
    }
    if (tally.batch !== null) {
      await apply(tally, null)
      return tally.batch.length + (tally.births?.length ?? 0)
    }
    const [found, births] = await Promise.all([lean({ accountId, todo: true }, BATCH), runs.births.of(accountId)])
    const taken = found.length + births.length
    if (taken === 0) return 0
    const now = clock.now()
    const minute = new Date(Math.floor(now.getTime() / 60_000) * 60_000)
    const batch = found.map(entryOf)
    const claimed = await tallies.updateOne(
      { _id: accountId, N: tally.N, batch: null },
      { $set: { N: tally.N + 1, batch, births, minute } }
    )
    if (claimed.matchedCount === 0) return taken // somebody else's turn: look again
    await apply({ _id: accountId, N: tally.N + 1, batch, births, minute }, found)
    return taken
  }

  /** Batch after batch while they hold `enough` rows; then ends the runs that are through. @returns how many rows there were */
  async function follow(accountId: string, enough: number, signal?: AbortSignal): Promise<number> {
    let total = 0
    for (;;) {
      if (signal?.aborted === true) return total
      const n = await step(accountId)
      total += n
      if (n < enough) break
    }
    await runs.finishOf(accountId, rows)
    return total
  }

  return {
    step,

    /**
     * Of each of these accounts that ever sent something: its messages by class (`open`, or a final state with its reason),
     * of all runs and direct ones together, and how long WeChat's latest answers took.
     */
    async standing(accountIds: string[]): Promise<Map<string, { n: Record<string, number>; latency: Latency | null }>> {
      const found = await tallies.find({ _id: { $in: accountIds } }, { projection: { n: 1, latency: 1 } }).toArray()
      return new Map(found.map(({ _id, n = {}, latency = null }) => [_id, { n, latency }]))
    },

    /** Until nothing is left; then ends the runs that are through. */
    drain: (accountId: string, signal?: AbortSignal): Promise<number> => follow(accountId, 1, signal),

    /** What has come together; what comes meanwhile waits for the next time, rather than be taken up crumb by crumb. */
    follow: (accountId: string, signal?: AbortSignal): Promise<number> => follow(accountId, BATCH, signal)
  }
}
export type Follower = ReturnType<typeof createFollower>

import type { Collection, Filter } from 'mongodb'
import type { Connection } from 'mongoose'
import type { Clock } from '../platform/clock.js'
import { isDuplicateKey } from '../platform/mongo.js'
import { DAY_MS } from '../../shared/limits.js'
import type { Credentials } from '../credentials/credentials.js'
import type { Letting } from '../credentials/letting.js'
import type { Caps } from './caps.js'
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
  from: string | null
  to: string
}
type TallyRow = { _id: string; N: number; batch: Entry[] | null; minute: Date | null }

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
}

const BATCH = 500
/** What the follower looks at: no values, links or attempts. */
const LEAN = {
  accountId: 1,
  recipientId: 1,
  runId: 1,
  campaignId: 1,
  templateId: 1,
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
  counted: 1
} as const
type Lean = Pick<MessageRow, '_id' | keyof typeof LEAN>
const COUNTER_DAYS = 400

/** Field names of counters hold no dots. */
const field = (name: string) => `n.${name.replaceAll('.', '_').replaceAll('$', '_')}`

/**
 * Applies the consequences of rows and keeps the counters exact (docs/ledger.md E): two at once are safe, a crash at any
 * point is repeated from the batch log.
 */
export function createFollower(parts: FollowerParts) {
  const { rows, counters, clock, credentials, caps, runs } = parts
  const tallies = parts.db.collection('tallies') as unknown as Collection<TallyRow>

  const lean = (filter: Filter<MessageRow>, limit = 0): Promise<Lean[]> =>
    rows.find(filter, { projection: LEAN }).limit(limit).toArray() as unknown as Promise<Lean[]>

  /** F3: lets holds go, plans fallbacks, gives caps back; all by name, so twice is once. */
  async function consequences(accountId: string, fresh: Lean[]): Promise<void> {
    const lettings: { row: Lean; letting: Letting }[] = []
    for (const row of fresh) {
      const letting = lettingOf(row)
      if (letting !== null) lettings.push({ row, letting })
    }
    if (lettings.length > 0) {
      const woken = await credentials.holds.letGo(lettings.map(({ letting }) => letting))
      if (woken.length > 0) await credentials.awake(accountId, woken)
      await rows.bulkWrite(
        lettings.map(({ row }) => ({
          updateOne: {
            filter: { accountId, _id: row._id, 'hold.h': row.hold!.h, seq: row.seq },
            update: { $set: { 'hold.settled': true } }
          }
        })),
        { ordered: false }
      )
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
  }

  /** F4: deltas per run, minute and template; a document takes each batch once. */
  async function count(accountId: string, N: number, minute: Date, entries: Entry[]): Promise<void> {
    const groups = new Map<string, { entry: Entry; deltas: Map<string, number> }>()
    for (const entry of entries) {
      if (entry.from === entry.to) continue
      const key = `${accountId}|${entry.run ?? 'direct'}|${minute.getTime()}|${entry.template}`
      let group = groups.get(key)
      if (group === undefined) groups.set(key, (group = { entry, deltas: new Map() }))
      if (entry.from !== null) group.deltas.set(field(entry.from), (group.deltas.get(field(entry.from)) ?? 0) - 1)
      group.deltas.set(field(entry.to), (group.deltas.get(field(entry.to)) ?? 0) + 1)
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
              minute,
              removeAt: new Date(minute.getTime() + COUNTER_DAYS * DAY_MS)
            }
          } as any,
          { upsert: true }
        )
      } catch (error) {
        if (!isDuplicateKey(error)) throw error // applied before
      }
    }
  }

  /** F5: marks rows as counted, then as done; a row that moved on meanwhile stays `todo`. */
  async function settleRows(accountId: string, N: number, entries: Entry[]): Promise<void> {
    const by = <K>(key: (entry: Entry) => K) => {
      const out = new Map<K, string[]>()
      for (const entry of entries) out.set(key(entry), [...(out.get(key(entry)) ?? []), entry.id])
      return out
    }
    const classes = [...by((entry) => entry.to)].map(([counted, ids]) => ({
      updateMany: {
        filter: { accountId, _id: { $in: ids }, tally: { $lt: N } },
        update: { $set: { counted, tally: N } }
      }
    }))
    const seqs = [...by((entry) => entry.seq)].map(([seq, ids]) => ({
      updateMany: { filter: { accountId, _id: { $in: ids }, seq }, update: { $set: { todo: false } } }
    }))
    await rows.bulkWrite([...classes, ...seqs], { ordered: true })
  }

  /** F3–F6. `read`: the rows as just read for this batch; a batch found written down reads them anew. */
  async function apply(tally: TallyRow, read: Lean[] | null): Promise<void> {
    const accountId = tally._id
    const entries = tally.batch!
    await consequences(accountId, read ?? (await lean({ accountId, _id: { $in: entries.map((entry) => entry.id) } })))
    await count(accountId, tally.N, tally.minute!, entries)
    await settleRows(accountId, tally.N, entries)
    await tallies.updateOne({ _id: accountId, N: tally.N }, { $set: { batch: null } })
  }

  return {
    /** One batch of an account. @returns how many rows it took up; 0: nothing was left to do */
    async step(accountId: string): Promise<number> {
      let tally = await tallies.findOne({ _id: accountId })
      if (tally === null) {
        await tallies.insertOne({ _id: accountId, N: 0, batch: null, minute: null }).catch((error) => {
          if (!isDuplicateKey(error)) throw error
        })
        tally = (await tallies.findOne({ _id: accountId }))!
      }
      if (tally.batch !== null) {
        await apply(tally, null)
        return tally.batch.length
      }
      const found = await lean({ accountId, todo: true }, BATCH)
      if (found.length === 0) return 0
      const now = clock.now()
      const minute = new Date(Math.floor(now.getTime() / 60_000) * 60_000)
      const batch: Entry[] = found.map((row) => ({
        id: row._id,
        seq: row.seq,
        run: row.runId,
        campaign: row.campaignId,
        template: row.templateId,
        from: row.counted,
        to: classOf(row)
      }))
      const claimed = await tallies.updateOne(
        { _id: accountId, N: tally.N, batch: null },
        { $set: { N: tally.N + 1, batch, minute } }
      )
      if (claimed.matchedCount === 0) return batch.length // somebody else's turn: look again
      await apply({ _id: accountId, N: tally.N + 1, batch, minute }, found)
      return batch.length
    },

    /** Until nothing is left; then ends the runs that are through. */
    async drain(accountId: string, signal?: AbortSignal): Promise<number> {
      let total = 0
      for (;;) {
        if (signal?.aborted === true) return total
        const n = await this.step(accountId)
        total += n
        if (n === 0) break
      }
      await runs.finishOf(accountId, rows)
      return total
    }
  }
}
export type Follower = ReturnType<typeof createFollower>

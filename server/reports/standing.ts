import type { CounterRow } from '../messages/model.js'

/** Of counters, what sums are made of. */
export type Summand = Pick<CounterRow, 'n' | 'opened' | 'channel'>
type Seen = Pick<CounterRow, 'n' | 'opened' | 'channel' | 'minute' | 'accountId' | 'runId'>
type Kind = 'accountId' | 'runId'
type Sum = { upTo: number; readAt: number; byChannel: Map<string, Summand> }

/** Minutes older than this are over: the follower counts into the minute it is in, and repeats a broken batch at once. */
const OVER_MS = 10 * 60_000
/** All is read again this often, for whatever was counted into a minute that was over. */
const READ_AGAIN_MS = 10 * 60_000
const KEPT = 500

/**
 * Sums of counters for whoever looks every two seconds: minutes that are over are read once and remembered, so that a
 * look late in the evening costs no more than one in the morning. `find` reads counters.
 */
export function createStanding({ find }: { find: (filter: Record<string, unknown>) => Promise<Seen[]> }) {
  const sums = new Map<string, Sum>()

  function keep(key: string, sum: Sum): void {
    sums.delete(key)
    sums.set(key, sum)
    if (sums.size > KEPT) sums.delete(sums.keys().next().value!)
  }

  /** Summands of each id, from `since` to `now`: few, whatever the time between. */
  return async function standing(
    kind: Kind,
    ids: readonly string[],
    since: Date | null,
    now: Date
  ): Promise<Map<string, Summand[]>> {
    const keyOf = (id: string) => `${kind} ${id} ${since?.getTime() ?? ''}`
    const over = now.getTime() - OVER_MS
    const known = new Map<string, Sum>()
    for (const id of ids) {
      const sum = sums.get(keyOf(id))
      if (sum !== undefined && Math.abs(now.getTime() - sum.readAt) < READ_AGAIN_MS) known.set(id, sum)
    }
    const fresh = ids.filter((id) => !known.has(id))
    const from = Math.min(...[...known.values()].map(({ upTo }) => upTo))
    const [whole, later] = await Promise.all([
      fresh.length === 0 ? [] : find({ [kind]: { $in: fresh }, minute: { ...(since && { $gte: since }), $lte: now } }),
      known.size === 0 ? [] : find({ [kind]: { $in: [...known.keys()] }, minute: { $gte: new Date(from), $lte: now } })
    ])

    const found = new Map<string, Summand[]>(ids.map((id) => [id, []]))
    for (const id of fresh) known.set(id, { upTo: -Infinity, readAt: now.getTime(), byChannel: new Map() })
    for (const row of [...whole, ...later]) {
      const id = row[kind]!
      const sum = known.get(id)!
      const minute = row.minute.getTime()
      if (minute < sum.upTo) continue // in the sum already
      if (minute < over) add(sum.byChannel, row)
      else found.get(id)!.push(row)
    }
    for (const [id, sum] of known) {
      sum.upTo = Math.max(sum.upTo, over)
      keep(keyOf(id), sum)
      found.get(id)!.push(...[...sum.byChannel.values()].map((each) => ({ ...each, n: { ...each.n } })))
    }
    return found
  }
}

function add(byChannel: Map<string, Summand>, { channel, n, opened = 0 }: Summand): void {
  let sum = byChannel.get(channel)
  if (sum === undefined) byChannel.set(channel, (sum = { channel, n: {}, opened: 0 }))
  sum.opened = (sum.opened ?? 0) + opened
  for (const [name, count] of Object.entries(n)) sum.n[name] = (sum.n[name] ?? 0) + count
}

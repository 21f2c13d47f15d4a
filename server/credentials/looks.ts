import type { Collection } from 'mongodb'
import { DAY_MS } from '../../shared/limits.js'
import type { Source } from '../../shared/credential.js'
import type { TemplateKind } from '../../shared/template.js'
import type { Clock } from '../platform/clock.js'
import { groupBy } from '../platform/group.js'
import { fits, sendsOf } from './holds.js'
import type { CredentialRow } from './model.js'

/** Who a message is for and what may carry it. */
export type Place = { recipientId: string; channel: TemplateKind; templateId: string }

/** Verdicts of one account and day (Asia/Shanghai): `_id` is `account:day`, `n` counts by `source:verdict or reason`. */
export type TallyRow = { _id: string; n: Record<string, number> }

/** A part of all recipients, a 64th: their ids are keyed hashes, so it is as good as drawn by lot. */
const PART = { range: { $gte: 'A', $lt: 'B' }, of: 64 }
/** With more rights than this in the part, the part stands for all. */
const PART_ENOUGH = 3_000

/** What can be said of the rights that are there; nothing here changes any. */
export function createLooks({
  rows,
  tally,
  clock
}: {
  rows: Collection<CredentialRow>
  tally: Collection<TallyRow>
  clock: Clock
}) {
  async function usableRows(accountId: string, places: Place[], now: Date): Promise<Map<string, CredentialRow[]>> {
    if (places.length === 0) return new Map()
    const recipientIds = [...new Set(places.map((place) => place.recipientId))]
    const live = rows.find({ accountId, recipientId: { $in: recipientIds }, state: 'live', expiresAt: { $gt: now } })
    return groupBy(await live.toArray(), (row) => row.recipientId)
  }

  return {
    /** Of these recipients, those who hold a right that could carry this template now. */
    async reachable(
      accountId: string,
      recipientIds: string[],
      channel: TemplateKind,
      templateId: string
    ): Promise<Set<string>> {
      const now = clock.now()
      const out = new Set<string>()
      for (let i = 0; i < recipientIds.length; i += 1000) {
        const part = recipientIds.slice(i, i + 1000)
        const live = await rows
          .find({ accountId, recipientId: { $in: part }, state: 'live', expiresAt: { $gt: now } })
          .toArray()
        for (const row of live) {
          const usable = { ...row, notBefore: now }
          if ((row.unlimited || row.sendsLeft > 0) && fits(usable, { channel, templateId }, now))
            out.add(row.recipientId)
        }
      }
      return out
    },

    /**
     * Of these places, the recipients who hold a right that could carry their message now, and `leave` more beside it.
     * With `at`: who will then, if nothing is spent or caught until then.
     */
    async reachableAny(
      accountId: string,
      places: (Place & { leave?: number })[],
      without: readonly Source[] = [],
      at: Date = clock.now()
    ): Promise<string[]> {
      const usable = await usableRows(accountId, places, at)
      const fit = (place: Place & { leave?: number }) =>
        sendsOf(usable.get(place.recipientId) ?? [], { ...place, without }, at) > (place.leave ?? 0)
      return [...new Set(places.filter(fit).map((place) => place.recipientId))]
    },

    /** When the last of the rights that could carry their message dies, by recipient. */
    async lastExpiry(accountId: string, places: Place[]): Promise<Map<string, Date>> {
      const now = clock.now()
      const usable = await usableRows(accountId, places, now)
      const out = new Map<string, Date>()
      for (const place of places) {
        const ends = (usable.get(place.recipientId) ?? [])
          .filter((row) => fits(row, place, now))
          .map((row) => row.expiresAt.getTime())
        if (ends.length > 0) out.set(place.recipientId, new Date(Math.max(...ends)))
      }
      return out
    },

    /** How many sends a person has left, by source, for the phone's own status page. */
    async sendsLeft(accountId: string, recipientId: string) {
      const now = clock.now()
      const live = await rows.find({ accountId, recipientId, state: 'live', expiresAt: { $gt: now } }).toArray()
      const sum = (source: Source) =>
        live.filter((row) => row.source === source).reduce((n, row) => n + row.sendsLeft, 0)
      const grants: Record<string, number> = {}
      for (const row of live)
        if (row.source === 'grant') grants[row.templateId!] = (grants[row.templateId!] ?? 0) + row.sendsLeft
      return { form: sum('form'), payment: sum('payment'), grants }
    },

    /** Rights by source, state and day, with what they are worth; for reports. Days are those of Asia/Shanghai. */
    async stats(accountId: string, by: ('source' | 'day' | 'place' | 'state')[]) {
      const now = clock.now()
      const id: Record<string, unknown> = {}
      for (const field of by) {
        id[field] =
          field === 'day'
            ? { $dateToString: { date: '$caughtAt', format: '%Y-%m-%d', timezone: 'Asia/Shanghai' } }
            : `$${field}`
      }
      const groups = await rows
        .aggregate([
          { $match: { accountId } },
          {
            $group: {
              _id: id,
              captured: { $sum: 1 },
              sendsLeft: {
                $sum: {
                  $cond: [{ $and: [{ $eq: ['$state', 'live'] }, { $gt: ['$expiresAt', now] }] }, '$sendsLeft', 0]
                }
              },
              spent: { $sum: '$spent' },
              held: { $sum: '$held' },
              // what was never paid was no right, and what WeChat refused is spent
              wasted: {
                $sum: {
                  $cond: [{ $and: [{ $eq: ['$state', 'live'] }, { $lte: ['$expiresAt', now] }] }, '$sendsLeft', 0]
                }
              }
            }
          }
        ])
        .toArray()
      return groups.map(({ _id, ...numbers }) => ({ ...(_id as object), ...numbers }))
    },

    /** What was handed in, all days together, as `source:stored`, `source:duplicate` or `source:<reason>` → n. */
    async verdicts(accountId: string): Promise<Record<string, number>> {
      const out: Record<string, number> = {}
      for (const row of await tally.find({ _id: { $gte: `${accountId}:`, $lt: `${accountId};` } }).toArray()) {
        for (const [name, n] of Object.entries(row.n)) out[name] = (out[name] ?? 0) + n
      }
      return out
    },

    /**
     * How many people can be written to now, and on each of the next `days` days if nothing is spent or caught until then.
     * `estimated`: there are so many rights that a part of them was looked at.
     */
    async reach(
      accountId: string,
      days: number
    ): Promise<{ days: { at: Date; people: number }[]; estimated: boolean }> {
      const now = clock.now()
      const usable = { accountId, state: 'live' as const, expiresAt: { $gt: now } }
      const part = { ...usable, recipientId: PART.range }
      const estimated = (await rows.countDocuments(part, { limit: PART_ENOUGH })) === PART_ENOUGH
      const groups = await rows
        .aggregate<{ _id: number; people: number }>([
          { $match: { ...(estimated ? part : usable), $or: [{ sendsLeft: { $gt: 0 } }, { unlimited: true }] } },
          { $group: { _id: '$recipientId', until: { $max: '$expiresAt' } } },
          { $project: { left: { $min: [days, { $floor: { $divide: [{ $subtract: ['$until', now] }, DAY_MS] } }] } } },
          { $group: { _id: '$left', people: { $sum: 1 } } }
        ])
        .toArray()
      const held = (day: number) => groups.reduce((sum, { _id: left, people }) => (left >= day ? sum + people : sum), 0)
      const told = Array.from({ length: days + 1 }, (_, day) => ({
        at: new Date(now.getTime() + day * DAY_MS),
        people: held(day) * (estimated ? PART.of : 1)
      }))
      return { days: told, estimated }
    },

    /** Sends that expire on each of the next `days` days (Asia/Shanghai), by source. */
    async forecast(accountId: string, days: number) {
      const now = clock.now()
      const until = new Date(now.getTime() + days * DAY_MS)
      const groups = await rows
        .aggregate([
          { $match: { accountId, state: 'live', expiresAt: { $gt: now, $lte: until } } },
          {
            $group: {
              _id: {
                day: { $dateToString: { date: '$expiresAt', format: '%Y-%m-%d', timezone: 'Asia/Shanghai' } },
                source: '$source'
              },
              sends: { $sum: '$sendsLeft' }
            }
          },
          { $sort: { '_id.day': 1, '_id.source': 1 } }
        ])
        .toArray()
      return groups.map((group) => ({
        day: group._id.day as string,
        source: group._id.source as string,
        expiring: group.sends as number
      }))
    }
  }
}

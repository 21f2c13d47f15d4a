import type { AnyBulkWriteOperation, Collection } from 'mongodb'
import type { Clock } from '../platform/clock.js'
import { groupBy } from '../platform/group.js'
import { IN_ONE } from '../platform/mongo.js'
import type { CredentialRow } from './model.js'
import type { Source } from '../../shared/credential.js'
import type { TemplateKind } from '../../shared/template.js'
import { burnGrants, holdName, key, letGo, parseHold, refund, type Letting, type Release } from './letting.js'
import { marginMs, sourcesOf } from './terms.js'

/** Who wants a send: message `m` at lease number `n`; the hold is named `m.n`. */
export type Want = {
  m: string
  n: number
  accountId: string
  recipientId: string
  channel: TemplateKind
  templateId: string
  /** Sends of this person that must stay for transactional messages; 0 for transactional ones. */
  leave: number
  /** Sources not to be touched now (switched off, punished). */
  without?: readonly Source[]
}

/** What a message got: the credential, its name for the hold, and the sealed value to send with. */
export type Held = {
  credentialId: string
  h: string
  source: Source
  sealed: string | null
  liveAt: Date | null
}
export type HoldAnswer = Held | 'none' | 'busy' | { from: Date }

/** Soonest to expire first; on a tie single-use before multi-use; then by id, so that every process chooses alike. */
export function inOrder(a: CredentialRow, b: CredentialRow): number {
  return (
    a.expiresAt.getTime() - b.expiresAt.getTime() ||
    Number(a.unlimited) - Number(b.unlimited) ||
    a.sends - b.sends ||
    (a._id < b._id ? -1 : 1)
  )
}

/** May this credential carry a message of that template at `now`? (C3's filter, without the counts.) */
export function fits(
  row: CredentialRow,
  want: { channel: TemplateKind; templateId: string; without?: readonly Source[] },
  now: Date
): boolean {
  return (
    row.state === 'live' &&
    sourcesOf(want.channel).includes(row.source) &&
    !(want.without ?? []).includes(row.source) &&
    (want.channel !== 'subscribe' || row.templateId === want.templateId) &&
    row.notBefore <= now &&
    row.expiresAt.getTime() > now.getTime() + marginMs(row.source)
  )
}

/** How many sends of these rows could carry that message now; Infinity with an unlimited one. */
export const sendsOf = (rows: CredentialRow[], want: Parameters<typeof fits>[1], now: Date): number =>
  rows
    .filter((row) => fits(row, want, now))
    .reduce((sum, row) => sum + (row.unlimited ? Infinity : Math.max(0, row.sendsLeft)), 0)

/** When the first of these rows that cannot carry that message yet can; null when none ever will. */
function usableFrom(rows: CredentialRow[], want: Want, now: Date): Date | null {
  const coming = rows.filter(
    (row) => row.notBefore > now && (row.unlimited || row.sendsLeft > 0) && fits(row, want, row.notBefore)
  )
  return coming.reduce<Date | null>(
    (first, { notBefore }) => (first !== null && first < notBefore ? first : notBefore),
    null
  )
}

/** What decides between rights, and what is sent with the one that is chosen. */
const CHOICE = {
  recipientId: 1,
  source: 1,
  templateId: 1,
  sealed: 1,
  state: 1,
  unlimited: 1,
  sends: 1,
  sendsLeft: 1,
  holds: 1,
  liveAt: 1,
  notBefore: 1,
  expiresAt: 1
} as const

/** A hold this old is asked for by the sweep. */
const FORGOTTEN_MS = 5 * 60_000

/**
 * Holding and letting go, write by write (docs/ledger.md C). Each update is one conditional command on one document;
 * all of them may be repeated.
 */
export function createHolds({ rows, clock }: { rows: Collection<CredentialRow>; clock: Clock }) {
  /** One try for all wants: read, assign in memory, one unordered bulkWrite, read back. */
  async function tryHold(wants: Want[]): Promise<Map<string, HoldAnswer>> {
    const answers = new Map<string, HoldAnswer>()
    const now = clock.now()
    const accountId = wants[0]!.accountId
    const recipientIds = [...new Set(wants.map((want) => want.recipientId))]
    const live = (await rows
      .find({ accountId, recipientId: { $in: recipientIds }, state: 'live' }, { projection: CHOICE, batchSize: IN_ONE })
      .toArray()) as CredentialRow[]
    const byRecipient = groupBy(live.sort(inOrder), (row) => row.recipientId)
    const ops: AnyBulkWriteOperation<CredentialRow>[] = []
    const chosen: { want: Want; row: CredentialRow }[] = []
    for (const want of wants) {
      const name = holdName(want.m, want.n)
      const mine = byRecipient.get(want.recipientId) ?? []
      // C4: a hold of an earlier lease of mine that no row ever named
      const orphan = mine.find((row) => row.holds.some((h) => parseHold(h).m === want.m))
      if (orphan !== undefined) {
        const h = orphan.holds.find((each) => parseHold(each).m === want.m)!
        if (parseHold(h).n > want.n) {
          answers.set(want.m, 'busy') // somebody newer has it: I was replaced
          continue
        }
        if (h === name || fits(orphan, want, now)) {
          if (h !== name)
            ops.push({
              updateOne: {
                filter: { ...key(want), _id: orphan._id, state: 'live', holds: h },
                update: { $set: { 'holds.$': name, heldAt: now } }
              }
            })
          chosen.push({ want, row: orphan })
          continue
        }
        ops.push(refund({ ...key(want), credentialId: orphan._id, h }, now))
      }
      const free = mine.filter((row) => fits(row, want, now) && (row.unlimited || row.sendsLeft > 0))
      if (want.leave > 0 && sendsOf(free, want, now) - 1 < want.leave) {
        answers.set(want.m, 'none')
        continue
      }
      const row = free[0]
      if (row === undefined) {
        const from = usableFrom(mine, want, now)
        answers.set(want.m, from === null ? 'none' : { from })
        continue
      }
      chosen.push({ want, row })
      if (row.unlimited) continue // takes no hold; the message row names it all the same
      row.sendsLeft -= 1
      ops.push({
        updateOne: {
          filter: {
            ...key(want),
            _id: row._id,
            state: 'live',
            sendsLeft: { $gt: 0 },
            expiresAt: { $gt: new Date(now.getTime() + marginMs(row.source)) },
            notBefore: { $lte: now },
            holds: { $ne: name }
          },
          update: { $inc: { sendsLeft: -1, held: 1 }, $push: { holds: name }, $set: { heldAt: now } }
        }
      })
    }
    const { matchedCount } =
      ops.length > 0 ? await rows.bulkWrite(ops, { ordered: false }) : { matchedCount: 0 as number }
    const limited = chosen.filter(({ row }) => !row.unlimited)
    // A write for each hold, and every one of them met its right as it was read: who won is known without another look.
    const allWon = matchedCount === ops.length && ops.length === limited.length
    const holding = allWon ? new Set(limited) : await holdersAmong(accountId, limited)
    const greedy = await overstepping(
      limited.filter((each) => each.want.leave > 0 && holding.has(each)),
      now
    )
    for (const each of chosen) {
      const { want, row } = each
      if (greedy.has(want.m)) {
        answers.set(want.m, 'none')
        continue
      }
      if (!row.unlimited && !holding.has(each)) {
        answers.set(want.m, 'busy')
        continue
      }
      answers.set(want.m, {
        credentialId: row._id,
        h: holdName(want.m, want.n),
        source: row.source,
        sealed: row.sealed,
        liveAt: row.liveAt
      })
    }
    return answers
  }

  /** Of those who tried, by the rows as they are now, whose name is on the right. */
  async function holdersAmong(accountId: string, tried: { want: Want; row: CredentialRow }[]) {
    const ids = [...new Set(tried.map(({ row }) => row._id))]
    if (ids.length === 0) return new Set<(typeof tried)[number]>()
    const found = await rows
      .find({ accountId, _id: { $in: ids } }, { projection: { holds: 1 }, batchSize: IN_ONE })
      .toArray()
    const holds = new Map(found.map((row) => [row._id, row.holds]))
    return new Set(tried.filter(({ want, row }) => holds.get(row._id)?.includes(holdName(want.m, want.n))))
  }

  /** The reserve is counted after the hold: two at once may both step back, none oversteps. @returns who stepped back */
  async function overstepping(held: { want: Want; row: CredentialRow }[], now: Date): Promise<Set<string>> {
    const back = new Set<string>()
    if (held.length === 0) return back
    const recipientIds = [...new Set(held.map(({ want }) => want.recipientId))]
    const { accountId } = held[0]!.want
    const live = (await rows
      .find({ accountId, recipientId: { $in: recipientIds }, state: 'live' }, { projection: CHOICE, batchSize: IN_ONE })
      .toArray()) as CredentialRow[]
    const ops = []
    for (const { want, row } of held) {
      const theirs = live.filter((each) => each.recipientId === want.recipientId)
      if (sendsOf(theirs, want, now) >= want.leave) continue
      back.add(want.m)
      ops.push(refund({ ...key(want), credentialId: row._id, h: holdName(want.m, want.n) }, now))
    }
    if (ops.length > 0) await rows.bulkWrite(ops, { ordered: false })
    return back
  }

  return {
    /**
     * Takes one send for each message off what dies first; two processes never share one. 'none': no credential fits;
     * 'busy': others were quicker twice (look again soon); `from`: when one that is not usable yet (a payment WeChat may
     * not know of so soon) will be. Repeating it with the same names changes nothing.
     */
    async hold(wants: Want[]): Promise<Map<string, HoldAnswer>> {
      if (wants.length === 0) return new Map()
      const answers = await tryHold(wants)
      const lost = wants.filter((want) => answers.get(want.m) === 'busy')
      if (lost.length > 0) for (const [m, answer] of await tryHold(lost)) answers.set(m, answer)
      return answers
    },

    /** Lets go of holds, each as told; returns the recipients who may have got a send back (wake their parked messages). */
    async letGo(lettings: Letting[]): Promise<string[]> {
      const now = clock.now()
      const ops = lettings.flatMap((letting) => letGo(letting, now))
      if (ops.length > 0) await rows.bulkWrite(ops, { ordered: true })
      const gives: Release[] = ['refund', 'defer', 'return']
      return [
        ...new Set(lettings.filter((letting) => gives.includes(letting.release)).map((letting) => letting.recipientId))
      ]
    },

    /** C8 by itself: a pushed withdrawal burns what was minted before it. */
    async burnGrants(which: { accountId: string; recipientId: string; templateId: string; asOf: Date; why: string }) {
      await rows.bulkWrite([burnGrants(which, clock.now())])
    },

    /** The sealed values behind holds already named by rows (resends of messages in doubt, and held ones taken up again). */
    async values(accountId: string, ids: string[]): Promise<Map<string, CredentialRow>> {
      if (ids.length === 0) return new Map()
      const found = await rows.find({ accountId, _id: { $in: ids } }).toArray()
      return new Map(found.map((row) => [row._id, row]))
    },

    /**
     * C10: holds older than five minutes, for the sweep to ask whether anybody still names them; page by page, oldest
     * first, so that those of messages nobody answered for do not hide the others.
     */
    async forgotten(limit: number, after: CredentialRow | null = null): Promise<CredentialRow[]> {
      const before = new Date(clock.now().getTime() - FORGOTTEN_MS)
      const next =
        after === null
          ? {}
          : { $or: [{ heldAt: { $gt: after.heldAt } }, { heldAt: after.heldAt, _id: { $gt: after._id } }] }
      return rows
        .find({ held: { $gt: 0 }, heldAt: { $lt: before }, ...next })
        .sort({ heldAt: 1, _id: 1 })
        .limit(limit)
        .toArray()
    }
  }
}
export type Holds = ReturnType<typeof createHolds>

import type { Collection } from 'mongodb'
import { DAY_MS } from '../../shared/limits.js'
import type { Account } from '../accounts/accounts.js'
import { parseHold } from '../credentials/letting.js'
import { duplicatesIn, IN_ONE } from '../platform/mongo.js'
import { dayOf } from '../platform/shanghai.js'
import type { CapRow, MessageRow } from './model.js'

/** Key of a person's day: the day, in Asia/Shanghai, of *this* attempt. */
export const capKey = (accountId: string, recipientId: string, at: Date) =>
  `${accountId}:${recipientId}:${dayOf(at).day}`

/** The key of a source's daily limit on one credential (menu, reply). */
export const windowKey = (credentialId: string, at: Date) => `window:${credentialId}:${dayOf(at).day}`

/**
 * How many messages of the account a person may have had on a day for this one still to go; null: however many. The
 * account's limit stops bulk (transactional ones too where it says so), a campaign's own stops its messages whatever
 * their lane; the tighter one counts.
 */
export function capOf(
  { caps }: Pick<Account, 'caps'>,
  { lane, capLimit }: Pick<MessageRow, 'lane' | 'capLimit'>
): number | null {
  const ofAccount = lane === 'bulk' || caps.stopTransactional ? caps.perPersonPerDay : null
  if (ofAccount === null || capLimit === undefined) return ofAccount ?? capLimit ?? null
  return Math.min(ofAccount, capLimit)
}

/** Is it one of the messages that are counted? All are where the account has a limit, else those with one of their own. */
export const isCapped = ({ caps }: Pick<Account, 'caps'>, { capLimit }: Pick<MessageRow, 'capLimit'>): boolean =>
  caps.perPersonPerDay !== null || capLimit !== undefined

/** A place in a list of `key`; `limit` null: it counts, and nothing stops it. */
export type CapWant = { row: MessageRow; key: string; limit: number | null }
export type CapAnswer = 'in' | 'wait' | 'capped'

/** Did it take its place for good? What is under way may step back; what failed gives its place back soon. */
const charged = (row: Pick<MessageRow, 'state' | 'by'>) =>
  ['accepted', 'delivered', 'unknown'].includes(row.state) || (row.state === 'failed' && row.by === 'receipt')

/**
 * A reservation is garbage, removable by anyone, iff the row does not name it and no lease of that number is running
 * (docs/ledger.md rule 2). `row` was read after the reservation; null when the row is gone.
 */
export function isGarbage(
  name: string,
  row: Pick<MessageRow, 'n' | 'lease' | 'hold' | 'cap' | 'window'> | null,
  kind: 'hold' | 'cap'
): boolean {
  if (row === null) return true
  const named = kind === 'hold' ? row.hold?.h === name : row.cap?.name === name || row.window?.name === name
  if (named) return false
  return !(row.n === parseHold(name).n && row.lease !== null)
}

/**
 * Places under a daily cap, as reservations named `m.n` (docs/ledger.md F): every message takes one; only those the cap
 * stops are turned away when it is full.
 */
export function createCaps({ caps, messages }: { caps: Collection<CapRow>; messages: Collection<MessageRow> }) {
  const read = async (keys: string[]): Promise<Map<string, CapRow>> =>
    new Map((await caps.find({ _id: { $in: keys } }, { batchSize: IN_ONE }).toArray()).map((row) => [row._id, row]))

  async function tryAll(
    wants: CapWant[],
    names: Map<CapWant, string>,
    now: Date
  ): Promise<Map<CapWant, CapRow | undefined>> {
    const keys = [...new Set(wants.map((want) => want.key))]
    const have = await read(keys)
    const removeAt = new Date(now.getTime() + 3 * DAY_MS)
    const ops: any[] = []
    for (const want of wants) {
      const name = names.get(want)!
      const d = have.get(want.key)?.d ?? []
      if (d.includes(name)) continue
      const { m, n } = parseHold(name)
      const older = d.find((each) => parseHold(each).m === m && parseHold(each).n < n)
      if (older !== undefined) {
        ops.push({ updateOne: { filter: { _id: want.key, d: older }, update: { $set: { 'd.$': name } } } })
        continue
      }
      const filter: Record<string, unknown> = { _id: want.key, d: { $ne: name } }
      if (want.limit !== null) filter[`d.${want.limit - 1}`] = { $exists: false }
      const first = !have.has(want.key)
      ops.push({
        updateOne: {
          filter,
          update: { $push: { d: name }, ...(first ? { $setOnInsert: { removeAt } } : {}) },
          ...(first ? { upsert: true } : {})
        }
      })
    }
    if (ops.length === 0) return new Map(wants.map((want) => [want, have.get(want.key)]))
    // two first upserts of a day collide on a real server; that is not "capped": the read tells
    const done = await caps.bulkWrite(ops, { ordered: false }).catch(duplicatesIn)
    // every write found its place: what they made of the lists is known without reading them
    if (!Array.isArray(done) && done.matchedCount + done.upsertedCount === wants.length) {
      return new Map(wants.map((want) => [want, { _id: want.key, d: [names.get(want)!], removeAt }]))
    }
    const back = await read(keys)
    return new Map(wants.map((want) => [want, back.get(want.key)]))
  }

  /** Drops names nobody stands behind; says how many of the others have their place for good. */
  async function clean(key: string, d: string[]): Promise<{ dropped: boolean; charged: number }> {
    const owners = d.map((name) => parseHold(name).m)
    const found = await messages
      .find({ _id: { $in: owners } }, { projection: { n: 1, lease: 1, hold: 1, cap: 1, window: 1, state: 1, by: 1 } })
      .toArray()
    const rows = new Map(found.map((row) => [row._id, row as MessageRow]))
    const garbage = d.filter((name) => isGarbage(name, rows.get(parseHold(name).m) ?? null, 'cap'))
    if (garbage.length > 0) await caps.updateOne({ _id: key }, { $pull: { d: { $in: garbage } } })
    const forGood = d.filter((name) => {
      const row = rows.get(parseHold(name).m)
      return row !== undefined && !garbage.includes(name) && charged(row)
    })
    return { dropped: garbage.length > 0, charged: forGood.length }
  }

  return {
    /** Takes a place for each; `names` are the reservations' names. 'wait': full, but somebody in it may still step back. */
    async take(wants: CapWant[], names: Map<CapWant, string>, now: Date): Promise<Map<CapWant, CapAnswer>> {
      const answers = new Map<CapWant, CapAnswer>()
      if (wants.length === 0) return answers
      const first = await tryAll(wants, names, now)
      const left: CapWant[] = []
      for (const want of wants) {
        if (first.get(want)?.d.includes(names.get(want)!)) answers.set(want, 'in')
        else left.push(want)
      }
      // a second look for those whose first upsert met another's
      const second = left.length > 0 ? await tryAll(left, names, now) : first
      for (const want of left.splice(0)) {
        if (second.get(want)?.d.includes(names.get(want)!)) answers.set(want, 'in')
        else left.push(want)
      }
      for (const want of left) {
        const { dropped, charged } = await clean(want.key, second.get(want)?.d ?? [])
        if (dropped) {
          const again = await tryAll([want], names, now)
          if (again.get(want)?.d.includes(names.get(want)!)) {
            answers.set(want, 'in')
            continue
          }
        }
        answers.set(want, want.limit !== null && charged >= want.limit ? 'capped' : 'wait')
      }
      return answers
    },

    /** Gives places back by name. */
    async giveBack(places: { key: string; name: string }[]): Promise<void> {
      if (places.length === 0) return
      await caps.bulkWrite(
        places.map(({ key, name }) => ({ updateOne: { filter: { _id: key }, update: { $pull: { d: name } } } })),
        { ordered: false }
      )
    }
  }
}
export type Caps = ReturnType<typeof createCaps>

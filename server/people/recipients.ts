import type { Clock } from '../platform/clock.js'
import type { Sealer } from '../platform/sealing.js'
import { ignoreDuplicate, type createMerger } from './merge.js'
import type { PeopleModels, PersonRow, RecipientRow } from './model.js'

/** A person as one account knows them. `id` is a keyed hash; the openid itself is asked for apart (`openIds`). */
export type Recipient = {
  id: string
  accountId: string
  personId: string
  reach: 'ok' | 'blocked' | 'unfollowed'
  reachAt: Date
  follower: boolean
  followedAt: Date | null
  lastInteractionAt: Date | null
  createdAt: Date
}

/** Someone an account met: an openid, and the unionid where the account gets one. */
export type Met = { openId: string; unionId?: string | undefined }

export const LONG_AGO = new Date(0)
const BULK = 1000

export const recipientView = (row: RecipientRow): Recipient => ({
  id: row._id,
  accountId: row.accountId,
  personId: row.personId,
  reach: row.reach,
  reachAt: row.reachAt,
  follower: row.follower,
  followedAt: row.followedAt,
  lastInteractionAt: row.lastInteractionAt,
  createdAt: row.createdAt
})

type Parts = { models: PeopleModels; clock: Clock; sealer: Sealer; merger: ReturnType<typeof createMerger> }

/**
 * Finding or making recipients and the keys that join them to persons. A recipient's first person has an id derived from
 * the recipient, and is inserted before it: two processes that meet the same openid make the same rows, and a crash
 * between the two leaves nothing that the next try does not use.
 */
export function createRecipients({ models, clock, sealer, merger }: Parts) {
  const { people, recipients, identities } = models

  const idOf = (accountId: string, openId: string) => sealer.hash('recipient', accountId, openId)
  const unionHash = (unionId: string) => sealer.hash('union', unionId)
  const externalHash = (externalId: string) => sealer.hash('external', externalId)

  function freshPerson(id: string, accountIds: string[]): PersonRow {
    const now = clock.now()
    return {
      _id: id,
      externalId: null,
      sealedUnionId: null,
      attributes: {},
      tags: {},
      setAt: { attributes: {}, tags: {} },
      optedOut: false,
      topics: [],
      accountIds,
      was: [],
      rev: 0,
      mergedInto: null,
      erasedAt: null,
      todo: false,
      createdAt: now,
      updatedAt: now
    }
  }

  /** Inserts what is not there yet. */
  async function insertNew<Row extends { _id: string }>(
    collection: { insertMany(rows: any[], options: { ordered: boolean }): Promise<unknown> },
    rows: Row[]
  ): Promise<void> {
    if (rows.length === 0) return
    try {
      await collection.insertMany(rows, { ordered: false })
    } catch (error) {
      const failures = [(error as { writeErrors?: unknown }).writeErrors ?? error].flat()
      for (const failure of failures) ignoreDuplicate(failure)
    }
  }

  const ensurePerson = (id: string) => insertNew(people, [freshPerson(id, [])])

  /**
   * The live person a key names; `otherwise` gets the key when it names nobody yet.
   */
  async function ownerOf(key: string, kind: 'union' | 'external', otherwise: string): Promise<PersonRow> {
    for (let tries = 0; tries < 50; tries++) {
      const claim = { kind, personId: otherwise, createdAt: clock.now() }
      await identities.updateOne({ _id: key }, { $setOnInsert: claim }, { upsert: true }).catch(ignoreDuplicate)
      const identity = await identities.findOne({ _id: key })
      if (identity === null) continue
      let row = await merger.root(identity.personId)
      if (row !== null) return row
      await ensurePerson(identity.personId) // whoever claimed the key may have died before this
      row = await merger.root(identity.personId)
      if (row !== null) return row
      // an erased person's key that the erasure has not reached yet
      await identities.deleteOne({ _id: key, personId: identity.personId })
    }
    throw new Error('a key kept changing hands while it was being read')
  }

  /** The live person a key names, or null; makes nothing. */
  async function holderOf(key: string): Promise<PersonRow | null> {
    const identity = await identities.findOne({ _id: key })
    return identity === null ? null : merger.root(identity.personId)
  }

  /** Joins a recipient to whoever has its unionid. The mark on the recipient comes last, so that a crash repeats all. */
  async function join(row: RecipientRow, unionId: string): Promise<RecipientRow> {
    const key = unionHash(unionId)
    const owner = await ownerOf(key, 'union', row.personId)
    const mine = await merger.root(row.personId)
    const person =
      mine === null || mine._id === owner._id ? owner : ((await merger.unite(owner._id, mine._id)) ?? owner)
    const sealedUnionId = sealer.seal(unionId)
    await people.updateOne(
      { _id: person._id, sealedUnionId: null, erasedAt: null },
      { $set: { sealedUnionId }, $inc: { rev: 1 } }
    )
    await people.updateOne(
      { _id: person._id, accountIds: { $ne: row.accountId } },
      { $addToSet: { accountIds: row.accountId }, $inc: { rev: 1 } }
    )
    await recipients.updateOne({ _id: row._id, erasedAt: null }, { $set: { unionHash: key, personId: person._id } })
    return { ...row, personId: person._id, unionHash: key }
  }

  /** Find or make, for up to BULK people of one account. */
  async function meet(accountId: string, met: Met[]): Promise<Map<string, RecipientRow>> {
    const byId = new Map(met.map((each) => [idOf(accountId, each.openId), each]))
    const rows = new Map<string, RecipientRow>()
    const ids = [...byId.keys()]
    for (const row of await recipients.find({ _id: { $in: ids } }).toArray()) rows.set(row._id, row)
    const missing = ids.filter((id) => !rows.has(id))
    if (missing.length > 0) {
      const owners = await knownOwners(missing.map((id) => byId.get(id)!))
      const made = missing.map((id) => freshRecipient(id, accountId, byId.get(id)!, owners))
      const strangers = made.filter((row) => row.unionHash === null)
      await insertNew(
        people,
        strangers.map((row) => freshPerson(row.personId, [accountId]))
      )
      const joined = [...new Set(made.filter((row) => row.unionHash !== null).map((row) => row.personId))]
      if (joined.length > 0) {
        const known = { _id: { $in: joined }, accountIds: { $ne: accountId } }
        await people.updateMany(known, { $addToSet: { accountIds: accountId }, $inc: { rev: 1 } })
      }
      await insertNew(recipients, made)
      // whoever else met them at the same time may have been first
      for (const row of await recipients.find({ _id: { $in: missing } }).toArray()) rows.set(row._id, row)
    }
    for (const row of rows.values())
      if (row.erasedAt !== null) rows.set(row._id, await readmit(row, byId.get(row._id)!))
    for (const row of rows.values()) {
      const { unionId } = byId.get(row._id)!
      if (unionId !== undefined && row.unionHash !== unionHash(unionId)) rows.set(row._id, await join(row, unionId))
    }
    return rows
  }

  /** Persons already known by the unionids of these people, by unionHash. */
  async function knownOwners(met: Met[]): Promise<Map<string, string>> {
    const keys = met.flatMap((each) => (each.unionId === undefined ? [] : [unionHash(each.unionId)]))
    if (keys.length === 0) return new Map()
    const found = await identities.find({ _id: { $in: keys } }).toArray()
    const persons = await merger.roots(found.map((each) => each.personId))
    const owners = new Map<string, string>()
    for (const each of found) {
      const person = persons.get(each.personId)
      if (person !== undefined) owners.set(each._id, person._id)
    }
    return owners
  }

  function freshRecipient(id: string, accountId: string, met: Met, owners: Map<string, string>): RecipientRow {
    const key = met.unionId === undefined ? null : unionHash(met.unionId)
    const owner = key === null ? undefined : owners.get(key)
    return {
      _id: id,
      accountId,
      personId: owner ?? sealer.hash('person', id),
      sealed: sealer.seal(met.openId),
      unionHash: owner === undefined ? null : key,
      reach: 'ok',
      reachAt: LONG_AGO,
      follower: false,
      followerAt: LONG_AGO,
      followedAt: null,
      lastInteractionAt: null,
      erasedAt: null,
      createdAt: clock.now()
    }
  }

  /** Someone who was erased came back: a new person, nothing of the old one. */
  async function readmit(row: RecipientRow, met: Met): Promise<RecipientRow> {
    const personId = sealer.hash('person', row._id, String(row.erasedAt!.getTime()))
    await insertNew(people, [freshPerson(personId, [row.accountId])])
    await recipients.updateOne(
      { _id: row._id, erasedAt: row.erasedAt },
      { $set: { sealed: sealer.seal(met.openId), personId, erasedAt: null, createdAt: clock.now() } }
    )
    return (await recipients.findOne({ _id: row._id }))!
  }

  return {
    idOf,
    unionHash,
    externalHash,
    ensurePerson,
    ownerOf,
    holderOf,

    /** Find or make, in the order given. Someone named twice is made once. */
    async meet(accountId: string, met: Met[]): Promise<RecipientRow[]> {
      const out: RecipientRow[] = []
      for (let from = 0; from < met.length; from += BULK) {
        const part = met.slice(from, from + BULK)
        const rows = await meet(accountId, part)
        for (const each of part) out.push(rows.get(idOf(accountId, each.openId))!)
      }
      return out
    }
  }
}

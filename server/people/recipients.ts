import type { Clock } from '../platform/clock.js'
import { insertNew } from '../platform/mongo.js'
import type { Sealer } from '../platform/sealing.js'
import { AT_ONCE, BULK, freshPerson, type Keys } from './keys.js'
import type { createMerger } from './merge.js'
import { LIVE_PERSON, type PeopleModels, type PersonRow, type RecipientRow } from './model.js'

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

const LONG_AGO = new Date(0)

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

/** Characters of a recipient's id that its own person's begins with. */
const SHARED = 6

/**
 * The id of the person a recipient is at first. Both lie in the same order in the store, so that whoever goes through
 * persons by id meets their recipients, and writes what hangs on them, neighbour by neighbour.
 */
export function personIdOf(sealer: Pick<Sealer, 'hash'>, recipientId: string, ...more: string[]): string {
  return recipientId.slice(0, SHARED) + sealer.hash('person', recipientId, ...more).slice(SHARED)
}

type Parts = {
  models: PeopleModels
  clock: Clock
  sealer: Sealer
  merger: ReturnType<typeof createMerger>
  keys: Keys
}

/**
 * Finding or making recipients and joining them to persons. A recipient's first person has an id derived from the
 * recipient, and is inserted before it: two processes that meet the same openid make the same rows, and a crash between
 * the two leaves nothing that the next try does not use. A unionid is claimed in between, so that the recipient's mark of
 * having been joined comes last and a crash repeats all.
 */
export function createRecipients({ models, clock, sealer, merger, keys }: Parts) {
  const { people, recipients } = models
  const { unionHash } = keys

  const idOf = (accountId: string, openId: string) => sealer.hash('recipient', accountId, openId)
  const keyOf = (met: Met) => (met.unionId === undefined ? null : unionHash(met.unionId))

  /** Joins a recipient to whoever has its unionid, merging two persons where that is needed. */
  async function join(row: RecipientRow, unionId: string): Promise<RecipientRow> {
    const key = unionHash(unionId)
    const owner = await keys.ownerOf(key, 'union', row.personId)
    const mine = await merger.root(row.personId)
    const person =
      mine === null || mine._id === owner._id ? owner : ((await merger.unite(owner._id, mine._id)) ?? owner)
    await people.bulkWrite(toldOf(person._id, row.accountId, unionId))
    await recipients.updateOne({ _id: row._id, erasedAt: null }, { $set: { unionHash: key, personId: person._id } })
    return { ...row, personId: person._id, unionHash: key }
  }

  /** What a person learns by being joined to a recipient. */
  const toldOf = (_id: string, accountId: string, unionId: string) => [
    {
      updateOne: {
        filter: { _id, sealedUnionId: null, erasedAt: null },
        update: { $set: { sealedUnionId: sealer.seal(unionId) }, $inc: { rev: 1 } }
      }
    },
    {
      updateOne: {
        filter: { _id, accountIds: { $ne: accountId } },
        update: { $addToSet: { accountIds: accountId }, $inc: { rev: 1 } }
      }
    }
  ]

  /** `join` of many: in bulk where no persons have to be merged. @returns the rows as they are then */
  async function joinAll(joining: { row: RecipientRow; unionId: string }[]): Promise<RecipientRow[]> {
    if (joining.length === 0) return []
    const owners = await keys.ownersOf(joining.map(({ unionId }) => unionHash(unionId)))
    const claims = new Map<string, string>()
    for (const { row, unionId } of joining) {
      const key = unionHash(unionId)
      if (!owners.has(key) && !claims.has(key)) claims.set(key, row.personId)
    }
    for (const [key, row] of await keys.claim('union', claims)) owners.set(key, row)
    const persons = await merger.roots(joining.map(({ row }) => row.personId))

    const plain: { row: RecipientRow; unionId: string; owner: PersonRow }[] = []
    const others: typeof joining = []
    for (const { row, unionId } of joining) {
      const owner = owners.get(unionHash(unionId))
      const mine = persons.get(row.personId)
      if (owner !== undefined && (mine === undefined || mine._id === owner._id)) plain.push({ row, unionId, owner })
      else others.push({ row, unionId })
    }
    const news = plain.filter(
      ({ row, owner }) => owner.sealedUnionId === null || !owner.accountIds.includes(row.accountId)
    )
    if (news.length > 0) {
      const told = news.flatMap(({ row, unionId, owner }) => toldOf(owner._id, row.accountId, unionId))
      await people.bulkWrite(told, { ordered: false })
    }
    const out: RecipientRow[] = plain.map(({ row, unionId, owner }) => ({
      ...row,
      personId: owner._id,
      unionHash: unionHash(unionId)
    }))
    if (out.length > 0) {
      await recipients.bulkWrite(
        out.map(({ _id, personId, unionHash }) => ({
          updateOne: { filter: { _id, erasedAt: null }, update: { $set: { unionHash, personId } } }
        })),
        { ordered: false }
      )
    }
    for (let from = 0; from < others.length; from += AT_ONCE) {
      const part = others.slice(from, from + AT_ONCE)
      out.push(...(await Promise.all(part.map(({ row, unionId }) => join(row, unionId)))))
    }
    return out
  }

  /** Find or make, for up to BULK people of one account. */
  async function meet(accountId: string, met: Met[]): Promise<Map<string, RecipientRow>> {
    const byId = new Map(met.map((each) => [idOf(accountId, each.openId), each]))
    const rows = new Map<string, RecipientRow>()
    const ids = [...byId.keys()]
    const read = async (some: string[]) => {
      for (const row of await recipients.find({ _id: { $in: some } }).toArray()) rows.set(row._id, row)
    }
    await read(ids)
    const missing = ids.filter((id) => !rows.has(id))
    if (missing.length > 0) {
      await make(accountId, new Map(missing.map((id) => [id, byId.get(id)!])))
      await read(missing) // whoever else met them at the same time may have been first
    }
    for (const row of rows.values()) {
      if (row.erasedAt !== null) rows.set(row._id, await readmit(row, byId.get(row._id)!))
    }
    const joining = [...rows.values()].flatMap((row) => {
      const { unionId } = byId.get(row._id)!
      return unionId === undefined || row.unionHash === unionHash(unionId) ? [] : [{ row, unionId }]
    })
    for (const row of await joinAll(joining)) rows.set(row._id, row)
    return rows
  }

  /** Makes recipients, by their ids, and the persons they are; who turns out to be two persons is left to `joinAll`. */
  async function make(accountId: string, strangers: Map<string, Met>): Promise<void> {
    const owners = await keys.ownersOf([...strangers.values()].map(keyOf).filter((key) => key !== null))
    const joined = [...new Set([...owners.values()].map((row) => row._id))]
    if (joined.length > 0) {
      const unaware = { _id: { $in: joined }, accountIds: { $ne: accountId } }
      await people.updateMany(unaware, { $addToSet: { accountIds: accountId }, $inc: { rev: 1 } })
    }
    const now = clock.now()
    const persons: PersonRow[] = []
    const claims = new Map<string, string>()
    for (const [id, met] of strangers) {
      const key = keyOf(met)
      if (key !== null && owners.has(key)) continue
      const sealedUnionId = met.unionId === undefined ? null : sealer.seal(met.unionId)
      const person = freshPerson(ownPersonOf(id), now, { accountIds: [accountId], sealedUnionId })
      persons.push(person)
      if (key !== null && !claims.has(key)) claims.set(key, person._id)
    }
    await insertNew(people, persons)
    const claimed = await keys.claim('union', claims)
    const made = [...strangers].map(([id, met]) => {
      const key = keyOf(met)
      const known = key === null ? undefined : owners.get(key)
      const own = ownPersonOf(id)
      const isJoined = known !== undefined || (key !== null && claimed.get(key)?._id === own)
      return freshRecipient(id, accountId, met, known?._id ?? own, isJoined ? key : null)
    })
    await insertNew(recipients, made)
    await adoptOrphans(made)
  }

  /**
   * A recipient that is another person than its own: somebody else made it meanwhile, or a try that was cut off left its
   * own person behind and the unionid has become somebody else's since. The two are one human.
   */
  async function adoptOrphans(made: RecipientRow[]): Promise<void> {
    const stored = await recipients.find({ _id: { $in: made.map(({ _id }) => _id) }, erasedAt: null }).toArray()
    const elsewhere = new Map(stored.map((row) => [ownPersonOf(row._id), row.personId]))
    for (const [own, personId] of elsewhere) if (own === personId) elsewhere.delete(own)
    if (elsewhere.size === 0) return
    const orphans = { _id: { $in: [...elsewhere.keys()] }, ...LIVE_PERSON }
    for (const { _id } of await people.find(orphans, { projection: { _id: 1 } }).toArray()) {
      await merger.unite(elsewhere.get(_id)!, _id)
    }
  }

  const ownPersonOf = (recipientId: string) => personIdOf(sealer, recipientId)

  const freshRecipient = (
    id: string,
    accountId: string,
    met: Met,
    personId: string,
    unionHash: string | null
  ): RecipientRow => ({
    _id: id,
    accountId,
    personId,
    sealed: sealer.seal(met.openId),
    unionHash,
    reach: 'ok',
    reachAt: LONG_AGO,
    follower: false,
    followerAt: LONG_AGO,
    followedAt: null,
    lastInteractionAt: null,
    erasedAt: null,
    createdAt: clock.now()
  })

  /** Someone who was erased came back: a new person, nothing of the old one. */
  async function readmit(row: RecipientRow, met: Met): Promise<RecipientRow> {
    const personId = personIdOf(sealer, row._id, String(row.erasedAt!.getTime()))
    await insertNew(people, [freshPerson(personId, clock.now(), { accountIds: [row.accountId] })])
    await recipients.updateOne(
      { _id: row._id, erasedAt: row.erasedAt },
      { $set: { sealed: sealer.seal(met.openId), personId, erasedAt: null, createdAt: clock.now() } }
    )
    return (await recipients.findOne({ _id: row._id }))!
  }

  return {
    idOf,

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

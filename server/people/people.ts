import type { Connection } from 'mongoose'
import type { Clock } from '../platform/clock.js'
import type { Sealer } from '../platform/sealing.js'
import { InvalidInput, NotFound } from '../platform/errors.js'
import { newId } from '../platform/ids.js'
import type { Identify, To } from '../../shared/person.js'
import { fieldUpdate, isFieldName } from './fields.js'
import { createKeys } from './keys.js'
import { createMerger } from './merge.js'
import { LIVE_PERSON, peopleModels, type Attribute, type PersonRow, type RecipientRow, type Tag } from './model.js'
import { createOptOuts } from './opt-outs.js'
import { createRecipients, recipientView, type Met, type Recipient } from './recipients.js'

export type { Met, Recipient } from './recipients.js'

/** A person as other rooms see them. `was`: the ids of persons who turned out to be this one. */
export type Person = {
  id: string
  externalId: string | null
  attributes: Record<string, Attribute>
  tags: Record<string, Tag>
  optedOut: boolean
  /** Topics this person wants nothing of. */
  topics: string[]
  accountIds: string[]
  was: string[]
  createdAt: Date
}

/** Attributes and tags to set; null takes one away. */
export type FieldsPatch = { attributes?: Record<string, Attribute | null>; tags?: Record<string, Tag | null> }

const FIELDS_AT_ONCE = 200
const TRIES = 50

/**
 * People, and who they are to each account. openids and unionids are sealed at the door and found by keyed hash; ids of
 * persons who were merged stay good everywhere.
 */
export function createPeople({ db, clock, sealer }: { db: Connection; clock: Clock; sealer: Sealer }) {
  const models = peopleModels(db)
  const { people, recipients } = models
  const merger = createMerger({ models, clock })
  const keys = createKeys({ models, clock, sealer, merger })
  const meeting = createRecipients({ models, clock, sealer, merger, keys })

  async function rowsOf(ids: Iterable<string>): Promise<Map<string, RecipientRow>> {
    const rows = await recipients.find({ _id: { $in: [...new Set(ids)] } }).toArray()
    return new Map(rows.map((row) => [row._id, row]))
  }

  async function recipientsOf(accountId: string, personIds: string[]): Promise<Map<string, Recipient>> {
    const persons = await merger.roots(personIds)
    const rootOf = new Map<string, string>()
    for (const row of persons.values()) for (const id of [row._id, ...row.was]) rootOf.set(id, row._id)
    if (rootOf.size === 0) return new Map()
    const rows = await recipients.find({ personId: { $in: [...rootOf.keys()] }, accountId, erasedAt: null }).toArray()
    const best = new Map<string, RecipientRow>()
    for (const row of rows) {
      const personId = rootOf.get(row.personId)!
      const rival = best.get(personId)
      if (rival === undefined || isBetter(row, rival)) best.set(personId, row)
    }
    const out = new Map<string, Recipient>()
    for (const [asked, row] of persons) {
      const found = best.get(row._id)
      if (found !== undefined) out.set(asked, { ...recipientView(found), personId: row._id })
    }
    return out
  }

  async function personTo(to: To): Promise<PersonRow | null> {
    if (to.personId !== undefined) return merger.root(to.personId)
    if (to.unionId !== undefined) return keys.holderOf(keys.unionHash(to.unionId))
    if (to.externalId !== undefined) return keys.holderOf(keys.externalHash(to.externalId))
    return null
  }

  /** Writes fields to whoever `id` leads to. @returns null when nobody */
  async function writeFields(
    id: string,
    patch: FieldsPatch,
    extra: Record<string, unknown> = {}
  ): Promise<PersonRow | null> {
    checkNames(patch)
    for (let tries = 0; tries < TRIES; tries++) {
      const row = await merger.root(id)
      if (row === null) return null
      const now = clock.now()
      const { set, unset } = fieldUpdate(patch, now)
      const after = await people.findOneAndUpdate(
        { _id: row._id, ...LIVE_PERSON },
        {
          $set: { ...set, ...extra, updatedAt: now },
          ...(Object.keys(unset).length > 0 && { $unset: unset }),
          $inc: { rev: 1 }
        },
        { returnDocument: 'after' }
      )
      if (after !== null) return after
    }
    throw new Error('a person kept changing while being written')
  }

  return {
    /** Builds the indexes and carries through what a crash left half done. */
    async ready(): Promise<void> {
      await models.ensureIndexes()
      await merger.finish()
    },

    /** Carries through merges and erasures a crash cut off; for a sweeping job. @returns how many */
    finish: (limit?: number) => merger.finish(limit),

    /** Who else must forget an erased person. Handlers run again after a crash. */
    onErase: merger.onErase,

    /** The id a recipient of this openid has, known or not. */
    recipientId: meeting.idOf,

    /** Find or make. With a unionid the recipient is joined to everybody who shares it. */
    async recipient(accountId: string, openId: string, also: { unionId?: string } = {}): Promise<Recipient> {
      const [row] = await meeting.meet(accountId, [{ openId, unionId: also.unionId }])
      return recipientView(row!)
    },

    /** Find or make many, in the order given. With `followingAt`: they follow the account as of then. */
    async recipients(
      accountId: string,
      met: (string | Met)[],
      also: { followingAt?: Date } = {}
    ): Promise<Recipient[]> {
      const rows = await meeting.meet(
        accountId,
        met.map((each) => (typeof each === 'string' ? { openId: each } : each))
      )
      const at = also.followingAt
      if (at !== undefined) {
        const ids = rows.map((row) => row._id)
        for (let from = 0; from < ids.length; from += 1000) {
          const part = { $in: ids.slice(from, from + 1000) }
          await recipients.updateMany(
            { _id: part, followerAt: { $lt: at } },
            { $set: { follower: true, followerAt: at } }
          )
          await recipients.updateMany(
            { _id: part, reachAt: { $lt: at }, reach: 'unfollowed' },
            { $set: { reach: 'ok', reachAt: at } }
          )
        }
      }
      return rows.map((row) => ({ ...recipientView(row), follower: row.follower || at !== undefined }))
    },

    /** Of an account's followers those nobody saw since `since` follow it no more. @returns how many */
    async unseenFollowers(accountId: string, since: Date): Promise<number> {
      const gone = { accountId, follower: true, followerAt: { $lt: since } }
      const ids = (await recipients.find(gone, { projection: { _id: 1 } }).toArray()).map((row) => row._id)
      for (let from = 0; from < ids.length; from += 1000) {
        const part = { $in: ids.slice(from, from + 1000) }
        await recipients.updateMany(
          { _id: part, reachAt: { $lt: since }, reach: 'ok' },
          { $set: { reach: 'unfollowed', reachAt: since } }
        )
        await recipients.updateMany(
          { _id: part, followerAt: { $lt: since } },
          { $set: { follower: false, followerAt: since } }
        )
      }
      return ids.length
    },

    /** Whom a caller means. An openid is taken at the caller's word and made known; the other ids only find. */
    async resolve(accountId: string, to: To): Promise<{ recipient: Recipient | null; personId: string | null }> {
      if (to.openId !== undefined) {
        const [row] = await meeting.meet(accountId, [{ openId: to.openId }])
        const person = await merger.root(row!.personId)
        const personId = person?._id ?? row!.personId
        return { recipient: { ...recipientView(row!), personId }, personId }
      }
      const person = await personTo(to)
      if (person === null) return { recipient: null, personId: null }
      const found = await recipientsOf(accountId, [person._id])
      return { recipient: found.get(person._id) ?? null, personId: person._id }
    },

    /** Finds without making anyone. @returns the person, or null */
    async find(to: To, accountId?: string): Promise<Person | null> {
      if (to.openId === undefined) return personOrNull(await personTo(to))
      if (accountId === undefined) throw invalid('/accountId', 'people.account-needed', 'an openId needs its accountId')
      const row = await recipients.findOne({ _id: meeting.idOf(accountId, to.openId), erasedAt: null })
      return row === null ? null : personOrNull(await merger.root(row.personId))
    },

    /** Recipients by id; unknown ids are left out. */
    async byIds(ids: Iterable<string>): Promise<Map<string, Recipient>> {
      const out = new Map<string, Recipient>()
      for (const row of (await rowsOf(ids)).values()) out.set(row._id, recipientView(row))
      return out
    },

    /** The openids in clear, for the sender and for callers with recipients:identify; the unknown and erased are left out. */
    async openIds(ids: Iterable<string>): Promise<Map<string, string>> {
      const out = new Map<string, string>()
      for (const row of (await rowsOf(ids)).values()) if (row.sealed !== null) out.set(row._id, sealer.open(row.sealed))
      return out
    },

    /** Recipients by id with their openids in clear, read at once; null: erased. Unknown ids are left out. */
    async addresses(ids: Iterable<string>): Promise<Map<string, { recipient: Recipient; openId: string | null }>> {
      const out = new Map<string, { recipient: Recipient; openId: string | null }>()
      for (const row of (await rowsOf(ids)).values()) {
        const openId = row.sealed === null ? null : sealer.open(row.sealed)
        out.set(row._id, { recipient: recipientView(row), openId })
      }
      return out
    },

    /** The persons of these external ids, made where an id names nobody yet: personId by externalId. */
    byExternalIds: keys.byExternalIds,

    /** The persons recipients belong to now. */
    async personIdsOf(recipientIds: Iterable<string>): Promise<Map<string, string>> {
      const rows = await rowsOf(recipientIds)
      const persons = await merger.roots([...rows.values()].map((row) => row.personId))
      const out = new Map<string, string>()
      for (const row of rows.values()) {
        const person = persons.get(row.personId)
        if (person !== undefined) out.set(row._id, person._id)
      }
      return out
    },

    /**
     * Who each person is to an account, by the ids asked for (also former ones); someone unknown to it is left out. Of
     * several the one that can be reached, then the one met last.
     */
    recipientsOf,

    /** Every recipient of these persons, in all accounts, by the ids asked for. */
    async allRecipientsOf(personIds: string[]): Promise<Map<string, Recipient[]>> {
      const persons = await merger.roots(personIds)
      const ids = [...persons.values()].flatMap((row) => [row._id, ...row.was])
      const rows = ids.length === 0 ? [] : await recipients.find({ personId: { $in: ids }, erasedAt: null }).toArray()
      const out = new Map<string, Recipient[]>()
      for (const [asked, row] of persons) {
        const theirs = rows.filter((each) => each.personId === row._id || row.was.includes(each.personId))
        out.set(
          asked,
          theirs.map((each) => ({ ...recipientView(each), personId: row._id }))
        )
      }
      return out
    },

    /** What is known of reaching someone, as of `at`; older news changes nothing. */
    async setReach(recipientId: string, reach: Recipient['reach'], at: Date): Promise<void> {
      await recipients.updateOne({ _id: recipientId, reachAt: { $lt: at } }, { $set: { reach, reachAt: at } })
    },

    /** Someone followed or unfollowed a service account at `at`; older news changes nothing. */
    async follow(recipientId: string, follower: boolean, at: Date): Promise<void> {
      const reach = follower ? 'ok' : 'unfollowed'
      await recipients.updateOne({ _id: recipientId, reachAt: { $lt: at } }, { $set: { reach, reachAt: at } })
      const known = { follower, followerAt: at, ...(follower && { followedAt: at }) }
      await recipients.updateOne({ _id: recipientId, followerAt: { $lt: at } }, { $set: known })
    },

    /** Someone did something towards the account at `at`: they can be reached, and that is remembered. */
    async interacted(recipientId: string, at: Date): Promise<void> {
      await recipients.updateOne(
        { _id: recipientId, reachAt: { $lt: at }, reach: 'blocked' },
        { $set: { reach: 'ok', reachAt: at } }
      )
      await recipients.updateOne({ _id: recipientId }, { $max: { lastInteractionAt: at } })
    },

    ...createOptOuts({ models, clock, merger }),

    /**
     * Whoever any of the ids names, made when none does; two people named at once are joined. Attributes and tags are
     * added to what is known.
     * @throws InvalidInput without any id, with an openId but no accountId, or with a name no field can have
     */
    async identify(body: Identify): Promise<Person> {
      checkNames(body)
      if (body.openId !== undefined && body.accountId === undefined) {
        throw invalid('/accountId', 'people.account-needed', 'an openId needs its accountId')
      }
      if (body.openId === undefined && body.unionId === undefined && body.externalId === undefined) {
        throw invalid('', 'people.no-id', 'give at least one of externalId, unionId, openId')
      }
      for (let tries = 0; tries < TRIES; tries++) {
        let id: string | null = null
        if (body.openId !== undefined) {
          const [row] = await meeting.meet(body.accountId!, [{ openId: body.openId, unionId: body.unionId }])
          id = row!.personId
        }
        const named: [key: string, kind: 'union' | 'external'][] = []
        if (body.unionId !== undefined) named.push([keys.unionHash(body.unionId), 'union'])
        if (body.externalId !== undefined) named.push([keys.externalHash(body.externalId), 'external'])
        // whoever is known by one of the keys takes the others: no person is made only to be merged
        for (const [key] of named) id ??= (await keys.holderOf(key))?._id ?? null
        for (const [key, kind] of named) {
          const owner: PersonRow = await keys.ownerOf(key, kind, id ?? newId())
          id = id === null ? owner._id : ((await merger.unite(id, owner._id))?._id ?? owner._id)
        }
        const extra: Record<string, unknown> = {}
        if (body.externalId !== undefined) extra.externalId = body.externalId
        if (body.unionId !== undefined) extra.sealedUnionId = sealer.seal(body.unionId)
        const row = await writeFields(id!, body, extra)
        if (row !== null) return personView(row)
      }
      throw new Error('a person kept changing while being identified')
    },

    /** Merges attributes and tags into a person; null takes one away. @throws NotFound, InvalidInput */
    async patch(id: string, patch: FieldsPatch): Promise<Person> {
      const row = await writeFields(id, patch)
      if (row === null) throw new NotFound('there is no such person')
      return personView(row)
    },

    /** One person, by any id they ever had. @throws NotFound */
    async person(id: string): Promise<Person> {
      const row = await merger.root(id)
      if (row === null) throw new NotFound('there is no such person')
      return personView(row)
    },

    /** Persons by the ids asked for, former ones too; the unknown and erased are left out. */
    async persons(ids: Iterable<string>): Promise<Map<string, Person>> {
      const out = new Map<string, Person>()
      for (const [asked, row] of await merger.roots(ids)) out.set(asked, personView(row))
      return out
    },

    /** Forgets who a person is: rows stay, empty, so that counts stay true. @throws NotFound */
    async erase(id: string): Promise<void> {
      if (!(await merger.erase(id))) throw new NotFound('there is no such person')
    },

    /** The collections, for lists and for audiences (start from LIVE_PERSON). */
    models
  }
}
export type People = ReturnType<typeof createPeople>

/** May who is bound to these accounts (null: to none) know this person? Yes, if one of them does, or nobody yet. */
export const knows = (accountIds: string[] | null, person: Pick<Person, 'accountIds'>): boolean =>
  accountIds === null || person.accountIds.length === 0 || person.accountIds.some((id) => accountIds.includes(id))

export const personView = (row: PersonRow): Person => ({
  id: row._id,
  externalId: row.externalId,
  attributes: row.attributes,
  tags: row.tags,
  optedOut: row.optedOut,
  topics: row.topics,
  accountIds: row.accountIds,
  was: row.was,
  createdAt: row.createdAt
})

const personOrNull = (row: PersonRow | null) => (row === null ? null : personView(row))

/** Of two recipients of one person in one account: who can be reached; else who was heard of last. */
function isBetter(row: RecipientRow, rival: RecipientRow): boolean {
  if ((row.reach === 'ok') !== (rival.reach === 'ok')) return row.reach === 'ok'
  const heard = (each: RecipientRow) => (each.lastInteractionAt ?? each.createdAt).getTime()
  return heard(row) > heard(rival) || (heard(row) === heard(rival) && row._id < rival._id)
}

function checkNames(patch: { attributes?: object | undefined; tags?: object | undefined }): void {
  const errors = []
  for (const kind of ['attributes', 'tags'] as const) {
    const names = Object.keys(patch[kind] ?? {})
    if (names.length > FIELDS_AT_ONCE) {
      errors.push({ pointer: `/${kind}`, code: 'people.too-many', message: `at most ${FIELDS_AT_ONCE} at once` })
    }
    for (const name of names) {
      if (isFieldName(name)) continue
      errors.push({
        pointer: `/${kind}/${name}`,
        code: 'people.field-name',
        message: 'a name holds no dot and starts with no $'
      })
    }
  }
  if (errors.length > 0) throw new InvalidInput('attributes or tags cannot be stored', { errors })
}

const invalid = (pointer: string, code: string, message: string) =>
  new InvalidInput(message, { code, errors: [{ pointer, code, message }] })

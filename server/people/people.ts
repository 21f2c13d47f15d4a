import type { Document } from 'mongodb'
import type { Connection } from 'mongoose'
import type { Clock } from '../platform/clock.js'
import type { Sealer } from '../platform/sealing.js'
import { InvalidInput, NotFound } from '../platform/errors.js'
import { IN_ONE } from '../platform/mongo.js'
import type { Identify, To } from '../../shared/person.js'
import { createIdentify } from './identify.js'
import { createKeys } from './keys.js'
import { createMerger } from './merge.js'
import { peopleModels, type Attribute, type PersonRow, type RecipientRow, type Tag } from './model.js'
import { createOptOuts } from './opt-outs.js'
import { createReachability } from './reach.js'
import { createRecipients, recipientView, type Met, type Recipient } from './recipients.js'
import { createFieldWriter, type FieldsPatch } from './write-fields.js'
import { createZones } from './zones.js'

export type { Met, Recipient } from './recipients.js'
export type { FieldsPatch } from './write-fields.js'

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

/** A recipient, as far as it decides about a message. */
export type Addressee = Pick<Recipient, 'id' | 'reach' | 'follower'>

/** What decides between several recipients of one person. */
const RIVALRY = { reach: 1, lastInteractionAt: 1, createdAt: 1 } as const
const ADDRESSEE = { ...RIVALRY, personId: 1, follower: 1 } as const
type AddresseeRow = Pick<RecipientRow, '_id' | keyof typeof ADDRESSEE>

/**
 * People, and who they are to each account. openids and unionids are sealed at the door and found by keyed hash; ids of
 * persons who were merged stay good everywhere.
 */
export function createPeople({ db, clock, sealer }: { db: Connection; clock: Clock; sealer: Sealer }) {
  const models = peopleModels(db)
  const { recipients } = models
  const merger = createMerger({ models, clock })
  const keys = createKeys({ models, clock, sealer, merger })
  const meeting = createRecipients({ models, clock, sealer, merger, keys })
  const fields = createFieldWriter({ models, clock, merger })
  const identifying = createIdentify({ models, sealer, merger, keys, meeting, fields })

  async function rowsOf(ids: Iterable<string>): Promise<Map<string, RecipientRow>> {
    const rows = await recipients.find({ _id: { $in: [...new Set(ids)] } }, { batchSize: IN_ONE }).toArray()
    return new Map(rows.map((row) => [row._id, row]))
  }

  async function recipientsOf(accountId: string, personIds: string[]): Promise<Map<string, Recipient>> {
    const persons = await merger.roots(personIds)
    const best = await recipientsAmong<RecipientRow>(accountId, persons.values(), {})
    const out = new Map<string, Recipient>()
    for (const [asked, { _id: personId }] of persons) {
      const found = best.get(personId)
      if (found !== undefined) out.set(asked, { ...recipientView(found), personId })
    }
    return out
  }

  /** Of these persons, by their present ids, who each is to an account. */
  async function recipientsAmong<Row extends Pick<RecipientRow, '_id' | 'personId' | keyof typeof RIVALRY>>(
    accountId: string,
    persons: Iterable<Pick<PersonRow, '_id' | 'was'>>,
    projection: Document
  ): Promise<Map<string, Row>> {
    const rootOf = new Map<string, string>()
    for (const row of persons) for (const id of [row._id, ...row.was]) rootOf.set(id, row._id)
    if (rootOf.size === 0) return new Map()
    const rows = await recipients
      .find<Row>(
        { personId: { $in: [...rootOf.keys()] }, accountId, erasedAt: null },
        { projection, batchSize: IN_ONE }
      )
      .toArray()
    const best = new Map<string, Row>()
    for (const row of rows) {
      const personId = rootOf.get(row.personId)!
      const rival = best.get(personId)
      if (rival === undefined || isBetter(row, rival)) best.set(personId, row)
    }
    return best
  }

  async function personTo(to: To): Promise<PersonRow | null> {
    if (to.personId !== undefined) return merger.root(to.personId)
    if (to.unionId !== undefined) return keys.holderOf(keys.unionHash(to.unionId))
    if (to.externalId !== undefined) return keys.holderOf(keys.externalHash(to.externalId))
    return null
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

    /** The same of persons that are known to be current, and only what decides whether and how they can be written to. */
    async recipientsOfCurrent(
      accountId: string,
      persons: Iterable<Pick<Person, 'id' | 'was'>>
    ): Promise<Map<string, Addressee>> {
      const rows = Array.from(persons, ({ id, was }) => ({ _id: id, was }))
      const best = await recipientsAmong<AddresseeRow>(accountId, rows, ADDRESSEE)
      return new Map(Array.from(best, ([id, { _id, reach, follower }]) => [id, { id: _id, reach, follower }]))
    },

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

    ...createReachability({ models, clock }),

    ...createOptOuts({ models, clock, merger }),
    ...createZones({ models, merger }),

    /**
     * Whoever any of the ids names, made when none does; two people named at once are joined. Attributes and tags are
     * added to what is known.
     * @throws InvalidInput without any id, with an openId but no accountId, or with a name no field can have
     */
    async identify(body: Identify): Promise<Person> {
      return personView(await identifying.identify(body))
    },

    /** identify of many; see there. Persons only other accounts than `allowed` know are left alone (null). */
    identifyAll: (bodies: Identify[], allowed: string[] | null) =>
      identifying.identifyAll(bodies, (person) => knows(allowed, person)),

    /** Tags each of these persons alike; null takes a tag away. What is so already costs no write. @returns how many changed */
    async tagAll(ids: string[], tags: Record<string, Tag | null>): Promise<number> {
      return (await fields.writeAll(ids.map((id) => ({ id, news: { tags } })))).changed.size
    },

    /** Merges attributes and tags into a person; null takes one away. @throws NotFound, InvalidInput */
    async patch(id: string, patch: FieldsPatch): Promise<Person> {
      const row = await fields.write(id, patch)
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

    /** All ids a person goes or went by, for rows that were written under either; of someone unknown, the id asked for. */
    async idsOf(id: string): Promise<string[]> {
      const row = (await merger.roots([id])).get(id)
      return row === undefined ? [id] : [row._id, ...row.was]
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

type Rival = Pick<RecipientRow, '_id' | keyof typeof RIVALRY>

/** Of two recipients of one person in one account: who can be reached; else who was heard of last. */
function isBetter(row: Rival, rival: Rival): boolean {
  if ((row.reach === 'ok') !== (rival.reach === 'ok')) return row.reach === 'ok'
  const heard = (each: Rival) => (each.lastInteractionAt ?? each.createdAt).getTime()
  return heard(row) > heard(rival) || (heard(row) === heard(rival) && row._id < rival._id)
}

const invalid = (pointer: string, code: string, message: string) =>
  new InvalidInput(message, { code, errors: [{ pointer, code, message }] })

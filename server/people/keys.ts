import type { Clock } from '../platform/clock.js'
import { randomToken } from '../platform/ids.js'
import { ignoreDuplicate, insertNew } from '../platform/mongo.js'
import type { Sealer } from '../platform/sealing.js'
import type { createMerger } from './merge.js'
import { LIVE_PERSON, type IdentityRow, type PeopleModels, type PersonRow } from './model.js'

type Parts = { models: PeopleModels; clock: Clock; sealer: Sealer; merger: ReturnType<typeof createMerger> }

/** Most ids of one command. */
export const BULK = 1000
/** Rows that need more than a bulk write gives are seen to one by one, so many side by side. */
export const AT_ONCE = 16
const PERSON_ID_BYTES = 17
const PERSON_ID_CHARACTERS = 22

/** The id of a person who is nobody's recipient yet. Like those of recipients' own persons it may lie anywhere. */
export const newPersonId = (): string => randomToken(PERSON_ID_BYTES).slice(0, PERSON_ID_CHARACTERS)

/** A person nothing is known of but what is given. */
export function freshPerson(
  id: string,
  now: Date,
  known: Partial<Pick<PersonRow, 'accountIds' | 'externalId' | 'sealedUnionId'>> = {}
): PersonRow {
  return {
    _id: id,
    externalId: null,
    sealedUnionId: null,
    attributes: {},
    tags: {},
    setAt: { attributes: {}, tags: {} },
    optedOut: false,
    topics: [],
    accountIds: [],
    was: [],
    rev: 0,
    mergedInto: null,
    erasedAt: null,
    todo: false,
    createdAt: now,
    updatedAt: now,
    ...known
  }
}

/**
 * The keys that name persons across accounts: unionids and external ids. A key is claimed for a person by its row alone,
 * before or after the person is there; whoever finds a key whose person is missing makes that person.
 */
export function createKeys({ models, clock, sealer, merger }: Parts) {
  const { people, identities } = models

  const unionHash = (unionId: string) => sealer.hash('union', unionId)
  const externalHash = (externalId: string) => sealer.hash('external', externalId)

  /** The live persons keys name; a key is left out that names nobody, or somebody not there yet or any more. */
  async function ownersOf(keys: string[]): Promise<Map<string, PersonRow>> {
    const owners = new Map<string, PersonRow>()
    if (keys.length === 0) return owners
    const found = await identities.find({ _id: { $in: keys } }).toArray()
    const persons = await merger.roots(found.map((each) => each.personId))
    for (const each of found) {
      const person = persons.get(each.personId)
      if (person !== undefined) owners.set(each._id, person)
    }
    return owners
  }

  /** Gives each key to the person beside it unless it is somebody's already. @returns whose they are, as `ownersOf` */
  async function claim(kind: IdentityRow['kind'], wanted: Map<string, string>): Promise<Map<string, PersonRow>> {
    const createdAt = clock.now()
    await insertNew(
      identities,
      [...wanted].map(([_id, personId]) => ({ _id, kind, personId, createdAt }))
    )
    return ownersOf([...wanted.keys()])
  }

  /** The live person a key names; `otherwise` gets the key when it names nobody yet. */
  async function ownerOf(key: string, kind: IdentityRow['kind'], otherwise: string): Promise<PersonRow> {
    for (let tries = 0; tries < 50; tries++) {
      const wanted = { kind, personId: otherwise, createdAt: clock.now() }
      await identities.updateOne({ _id: key }, { $setOnInsert: wanted }, { upsert: true }).catch(ignoreDuplicate)
      const identity = await identities.findOne({ _id: key })
      if (identity === null) continue
      let row = await merger.root(identity.personId)
      if (row !== null) return row
      // whoever claimed the key may have died before this
      await insertNew(people, [freshPerson(identity.personId, clock.now())])
      row = await merger.root(identity.personId)
      if (row !== null) return row
      // an erased person's key that the erasure has not reached yet
      await identities.deleteOne({ _id: key, personId: identity.personId })
    }
    throw new Error('a key kept changing hands while it was being read')
  }

  /** The persons of up to BULK external ids. */
  async function byExternalIds(externalIds: string[]): Promise<Map<string, string>> {
    const idOfKey = new Map(externalIds.map((id) => [externalHash(id), id]))
    const keys = [...idOfKey.keys()]
    const owners = await ownersOf(keys)
    const lacking = () => keys.filter((key) => !owners.has(key))
    if (lacking().length > 0) {
      for (const [key, row] of await claim('external', new Map(lacking().map((key) => [key, newPersonId()])))) {
        owners.set(key, row)
      }
      const claimed = await identities.find({ _id: { $in: lacking() } }).toArray()
      const now = clock.now()
      await insertNew(
        people,
        claimed.map(({ _id, personId }) => freshPerson(personId, now, { externalId: idOfKey.get(_id)! }))
      )
      for (const [key, row] of await ownersOf(lacking())) owners.set(key, row)
      const left = lacking()
      for (let from = 0; from < left.length; from += AT_ONCE) {
        const part = left.slice(from, from + AT_ONCE)
        await Promise.all(part.map(async (key) => owners.set(key, await ownerOf(key, 'external', newPersonId()))))
      }
    }
    // made by someone who died before saying whose key it was
    const nameless = [...owners].filter(([, row]) => row.externalId === null)
    if (nameless.length > 0) {
      await people.bulkWrite(
        nameless.map(([key, { _id }]) => ({
          updateOne: {
            filter: { _id, externalId: null, ...LIVE_PERSON },
            update: { $set: { externalId: idOfKey.get(key)! }, $inc: { rev: 1 } }
          }
        })),
        { ordered: false }
      )
    }
    return new Map([...owners].map(([key, row]) => [idOfKey.get(key)!, row._id]))
  }

  return {
    unionHash,
    externalHash,
    ownersOf,
    claim,
    ownerOf,

    /** The live person a key names, or null; makes nothing. */
    async holderOf(key: string): Promise<PersonRow | null> {
      const identity = await identities.findOne({ _id: key })
      return identity === null ? null : merger.root(identity.personId)
    },

    /** Find or make: the person's id by each external id. */
    async byExternalIds(externalIds: string[]): Promise<Map<string, string>> {
      const out = new Map<string, string>()
      for (let from = 0; from < externalIds.length; from += BULK) {
        for (const [id, personId] of await byExternalIds(externalIds.slice(from, from + BULK))) out.set(id, personId)
      }
      return out
    }
  }
}
export type Keys = ReturnType<typeof createKeys>

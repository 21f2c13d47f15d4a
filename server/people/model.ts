import { Schema, type Connection } from 'mongoose'
import type { Collection } from 'mongodb'
import type { AttributeValue } from '../../shared/person.js'
import type { z } from 'zod'

export type Attribute = z.infer<typeof AttributeValue>
export type Tag = string | true

/** One human, as stored. Rows are never removed: a merged one points on, an erased one is empty. */
export type PersonRow = {
  _id: string
  externalId: string | null
  sealedUnionId: string | null
  attributes: Record<string, Attribute>
  tags: Record<string, Tag>
  /** When each attribute and tag was set, in ms since 1970: of two persons who turn out to be one, the newer value stays. */
  setAt: { attributes: Record<string, number>; tags: Record<string, number> }
  optedOut: boolean
  /** Topics this person wants nothing of. */
  topics: string[]
  /** Accounts that know this person. */
  accountIds: string[]
  /** Ids of persons who turned out to be this one; rows elsewhere may still carry them. */
  was: string[]
  rev: number
  mergedInto: string | null
  erasedAt: Date | null
  /** A merge or an erasure that still has to be carried through. */
  todo: boolean
  createdAt: Date
  updatedAt: Date
}

/** The persons there are: neither merged into another nor erased. Every reader of the collection starts from this. */
export const LIVE_PERSON = { mergedInto: null, erasedAt: null } as const

/** A person as one account knows them, as stored. `_id` is the keyed hash of account and openid. */
export type RecipientRow = {
  _id: string
  accountId: string
  personId: string
  /** The openid, sealed; null once erased. */
  sealed: string | null
  /** The unionid this recipient was joined by. */
  unionHash: string | null
  reach: 'ok' | 'blocked' | 'unfollowed'
  /** Age of what `reach` says; older news never undoes it. */
  reachAt: Date
  follower: boolean
  /** Age of what `follower` says. */
  followerAt: Date
  followedAt: Date | null
  lastInteractionAt: Date | null
  erasedAt: Date | null
  createdAt: Date
}

/** Recipients whose reach was ever told: the others are all `ok`. */
export const HEARD_OF = { reachAt: { $gt: new Date(0) } }

/** Whose is this unionid or externalId? `_id` is the keyed hash of it, so one key never names two persons. */
export type IdentityRow = { _id: string; kind: 'union' | 'external'; personId: string; createdAt: Date }

export type OptOutRow = { _id: string; personId: string; topic: string | null; by: string; createdAt: Date }

const options = (collection: string) => ({ collection, autoIndex: false, versionKey: false as const })

const person = new Schema(
  {
    _id: { type: String, required: true },
    externalId: String,
    sealedUnionId: String,
    attributes: {},
    tags: {},
    setAt: {},
    optedOut: Boolean,
    topics: [String],
    accountIds: [String],
    was: [String],
    rev: Number,
    mergedInto: String,
    erasedAt: Date,
    todo: Boolean,
    createdAt: Date,
    updatedAt: Date
  },
  options('people')
)
person.index({ createdAt: 1, _id: 1 }, { partialFilterExpression: LIVE_PERSON, name: 'living' }) // lists: newest first; how many are there?
person.index({ 'attributes.$**': 1 }, { partialFilterExpression: LIVE_PERSON }) // audiences: who has this attribute, or one in that range?
person.index({ 'tags.$**': 1 }, { partialFilterExpression: LIVE_PERSON }) // audiences: who has this tag?
person.index({ accountIds: 1, createdAt: 1 }) // lists of callers bound to some accounts
person.index({ todo: 1 }, { partialFilterExpression: { todo: true } }) // sweep: which merges and erasures were cut off?
person.index({ was: 1 }) // fixed audiences: who is it that had this id?

const recipient = new Schema(
  {
    _id: { type: String, required: true },
    accountId: { type: String, required: true },
    personId: { type: String, required: true },
    sealed: String,
    unionHash: String,
    reach: String,
    reachAt: Date,
    follower: Boolean,
    followerAt: Date,
    followedAt: Date,
    lastInteractionAt: Date,
    erasedAt: Date,
    createdAt: Date
  },
  options('recipients')
)
recipient.index({ personId: 1, accountId: 1 }) // who is this person to that account?
recipient.index({ accountId: 1, follower: 1, followerAt: 1 }) // follower sync: whom did it not see?
recipient.index({ reachAt: 1, _id: 1 }, { partialFilterExpression: HEARD_OF }) // suppressions: the latest first

// Apart from people, since a sharded cluster keeps no unique index beside the shard key.
const identity = new Schema(
  { _id: { type: String, required: true }, kind: String, personId: { type: String, required: true }, createdAt: Date },
  options('identities')
)
identity.index({ personId: 1 }) // merge and erase: which keys lead here?

const optOut = new Schema(
  { _id: { type: String, required: true }, personId: String, topic: String, by: String, createdAt: Date },
  options('optOuts')
)
optOut.index({ personId: 1 }) // merge and erase
optOut.index({ createdAt: 1, _id: 1 }) // lists

/** The four collections of the room, as the driver's own, and the building of their indexes. */
export function peopleModels(db: Connection) {
  const models = {
    people: db.model('Person', person),
    recipients: db.model('Recipient', recipient),
    identities: db.model('Identity', identity),
    optOuts: db.model('OptOut', optOut)
  }
  return {
    people: models.people.collection as unknown as Collection<PersonRow>,
    recipients: models.recipients.collection as unknown as Collection<RecipientRow>,
    identities: models.identities.collection as unknown as Collection<IdentityRow>,
    optOuts: models.optOuts.collection as unknown as Collection<OptOutRow>,
    ensureIndexes: async () => {
      for (const model of Object.values(models)) await model.createIndexes()
    }
  }
}
export type PeopleModels = ReturnType<typeof peopleModels>

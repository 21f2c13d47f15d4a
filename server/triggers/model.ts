import { Schema, type Connection } from 'mongoose'
import { WaitState, type WaitDropReason } from '../../shared/trigger.js'

/**
 * Who was let in by a campaign last, and by which event. `_id` = campaign:recipient (docs/ledger.md F). Kept as long as
 * the longest wish (365 days) can ask; `once` rows stay.
 */
export type ReentryRow = { _id: string; at: Date; by: string; expireAt: Date }

const schema = new Schema(
  { _id: { type: String, required: true }, at: Date, by: String, expireAt: Date },
  { collection: 'reentries', autoIndex: false, versionKey: false }
)
schema.index({ expireAt: 1 }, { expireAfterSeconds: 0 })

export const reentryModel = (db: Connection) => db.model('Reentry', schema)

/** An event that a campaign waits with (docs/ledger.md G): what it waits for is decided by the stored events, not here. */
export type WaitRow = {
  /** H(campaign, event): the same event again is the same wait. */
  _id: string
  campaignId: string
  eventId: string
  /** Whose it was when it happened; null once erased. Of merged persons, rows keep the id they were written with. */
  personId: string | null
  key: string | null
  /** When the event happened. */
  aAt: Date
  due: Date
  /** What happened up to here stops it. */
  end: Date
  /** How long its message may go; whoever comes later than this comes too late. */
  notAfter: Date
  state: WaitState
  /** Why it was dropped. */
  reason: WaitDropReason | null
  /** Early closing, and the flag that takes a planned message back. */
  stoppedBy: { eventId: string; name: string; at: Date } | null
  /** While it waits: when it is looked at (again); `due`, or later after somebody took it up. */
  lookAt: Date
  /** Who took it up last. Not a lock: two at once come to the same end. */
  claim: string | null
  settledAt: Date | null
  createdAt: Date
  expireAt: Date
}

const waitSchema = new Schema(
  {
    _id: { type: String, required: true },
    campaignId: { type: String, required: true },
    eventId: { type: String, required: true },
    personId: { type: String, default: null },
    aAt: { type: Date, required: true },
    due: { type: Date, required: true },
    end: { type: Date, required: true },
    state: { type: String, enum: WaitState.options, required: true },
    lookAt: { type: Date, required: true },
    expireAt: { type: Date, required: true }
  },
  { collection: 'waits', autoIndex: false, versionKey: false, strict: false }
)
waitSchema.index({ lookAt: 1 }, { partialFilterExpression: { state: 'waiting' }, name: 'due' }) // which moments have come?
waitSchema.index({ personId: 1, campaignId: 1 }) // something happened: what of this person does it stop? erasing: what is theirs?
waitSchema.index({ campaignId: 1, due: 1 }) // list of a campaign; resume: what has waited for it?
waitSchema.index({ expireAt: 1 }, { expireAfterSeconds: 0 })

export const waitModel = (db: Connection) => db.model('Wait', waitSchema)

import { Schema, type Connection } from 'mongoose'
import { BreakerState, type BreakerNumbers, type BreakerReason } from '../../shared/breaker.js'
import type { Minutes } from './judge.js'

/** A breaker as it stands. `_id`: the account, or account:template. */
export type BreakerRow = {
  _id: string
  accountId: string
  /** null: of the whole account. */
  templateId: string | null
  state: BreakerState
  reason: BreakerReason | null
  /** What it tripped on. */
  tripped: BreakerNumbers | null
  changedAt: Date
  /** open: when it tries again; halfOpen: when it stops waiting for this try's answers; closed: how long that is news. */
  until: Date | null
  /** halfOpen: how many messages may still try. */
  probesLeft: number
  /** When the last of them was let through. */
  probedAt: Date | null
  trips: number
  /** WeChat punishes the account: transactional messages wait too. */
  strict: boolean
  /** Somebody has to hear of the last change yet. */
  todo: boolean
  rev: number
}

/** Answers of an account in its window; `b` is the last batch of the follower that is in them. */
export type CountsRow = { _id: string; b: number; m?: Minutes; removeAt: Date }

const schema = new Schema<BreakerRow>(
  {
    _id: { type: String, required: true },
    accountId: { type: String, required: true },
    templateId: { type: String, default: null },
    state: { type: String, enum: BreakerState.options, required: true },
    reason: { type: String, default: null },
    tripped: { type: Object, default: null },
    changedAt: { type: Date, required: true },
    until: { type: Date, default: null },
    probesLeft: { type: Number, default: 0 },
    probedAt: { type: Date, default: null },
    trips: { type: Number, default: 0 },
    strict: { type: Boolean, default: false },
    todo: { type: Boolean, default: false },
    rev: { type: Number, required: true }
  },
  { collection: 'breakers', autoIndex: false, versionKey: false }
)
schema.index({ accountId: 1, state: 1 }) // pump: what of this account is not closed?
schema.index({ changedAt: -1, _id: -1 }) // the list
schema.index({ state: 1, until: 1 }) // sweep: which have rested, or waited, long enough?
schema.index({ todo: 1 }, { partialFilterExpression: { todo: true } }) // sweep: whose change has nobody heard of?

export const breakerModel = (db: Connection) => db.model<BreakerRow>('Breaker', schema)

const countsSchema = new Schema(
  { _id: String, b: Number, removeAt: Date },
  { collection: 'breakerCounts', autoIndex: false, versionKey: false, strict: false }
)
countsSchema.index({ removeAt: 1 }, { expireAfterSeconds: 0 }) // an account that sends nothing any more
export const countsModel = (db: Connection) => db.model('BreakerCounts', countsSchema)

import { Schema, type Connection } from 'mongoose'

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

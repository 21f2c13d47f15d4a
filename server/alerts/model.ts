import { Schema, type Connection } from 'mongoose'
import type { Collection } from 'mongodb'
import type { AlertKind, AlertState } from '../../shared/alert.js'

/** One alert, from when it fired to when it was over. The row is the outbox: `tell` is what nobody has been told yet. */
export type AlertRow = {
  _id: string
  kind: AlertKind
  accountId: string | null
  subject: string
  state: AlertState
  /** Seen in what is stored, and looked at each minute; otherwise somebody said so, and silence ends it. */
  standing: boolean
  facts: Record<string, unknown>
  count: number
  firedAt: Date
  lastAt: Date
  clearedAt: Date | null
  tell: ('fired' | 'cleared')[]
  removeAt?: Date
}

const schema = new Schema(
  {
    _id: { type: String, required: true },
    kind: { type: String, required: true },
    accountId: { type: String, default: null },
    subject: { type: String, required: true },
    state: { type: String, required: true },
    firedAt: { type: Date, required: true }
  },
  { collection: 'alerts', autoIndex: false, versionKey: false, strict: false }
)
// One is open of each, whichever process saw it first.
schema.index(
  { kind: 1, accountId: 1, subject: 1 },
  { unique: true, partialFilterExpression: { state: 'open' }, name: 'oneOpen' }
)
schema.index({ firedAt: -1, _id: -1 }) // the list, newest first
schema.index({ tell: 1 }) // outbox: what is to be told? (an empty list has no place in it)
schema.index({ removeAt: 1 }, { expireAfterSeconds: 0 }) // kept 180 days from its end

export function alertModel(db: Connection) {
  const model = db.model('Alert', schema)
  return {
    rows: model.collection as unknown as Collection<AlertRow>,
    ready: async (): Promise<void> => void (await model.createIndexes())
  }
}

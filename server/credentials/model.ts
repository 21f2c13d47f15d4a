import { Schema, type Connection } from 'mongoose'
import { CredentialState, Source } from '../../shared/credential.js'

/** One right to send, as stored. `holds` and `spentBy` name the messages (`messageId.leaseNumber`). */
export type CredentialRow = {
  _id: string
  accountId: string
  recipientId: string
  hash: string
  source: Source
  templateId: string | null
  sealed: string | null
  orderId: string | null
  place: string | null
  state: CredentialState
  why: string | null
  unlimited: boolean
  sends: number
  sendsLeft: number
  held: number
  spent: number
  holds: string[]
  spentBy: string[]
  heldAt: Date | null
  defers: number
  caughtAt: Date
  mintedAt: Date
  liveAt: Date | null
  notBefore: Date
  expiresAt: Date
  /** pending payments: when the right dies once it is confirmed. */
  lifeEnds?: Date
  removeAt: Date
  history: { at: Date; what: string; m: string | null }[]
  createdAt: Date
}

const schema = new Schema(
  {
    _id: { type: String, required: true },
    accountId: { type: String, required: true },
    recipientId: { type: String, required: true }, // the openid itself lives sealed in recipients, nowhere else
    hash: { type: String, required: true }, // keyed hash of what makes it unique
    source: { type: String, enum: Source.options, required: true },
    templateId: { type: String, default: null },
    sealed: { type: String, default: null }, // formId or prepay_id, encrypted
    orderId: { type: String, default: null },
    place: { type: String, default: null },
    state: { type: String, enum: CredentialState.options, required: true },
    why: { type: String, default: null },
    unlimited: { type: Boolean, required: true },
    sends: { type: Number, required: true },
    sendsLeft: { type: Number, required: true },
    held: { type: Number, required: true },
    spent: { type: Number, required: true },
    holds: { type: [String], required: true },
    spentBy: { type: [String], required: true },
    heldAt: { type: Date, default: null },
    defers: { type: Number, default: 0 },
    caughtAt: Date,
    mintedAt: Date,
    liveAt: { type: Date, default: null },
    notBefore: Date,
    expiresAt: Date, // NEVER for grants: MongoDB sorts null before every date
    lifeEnds: Date,
    removeAt: Date,
    history: { type: [], default: [] },
    createdAt: Date
  },
  { collection: 'credentials', autoIndex: false, versionKey: false }
)
schema.index({ accountId: 1, recipientId: 1, hash: 1 }, { unique: true }) // a phone retrying its outbox must not mint twice
schema.index({ accountId: 1, recipientId: 1, state: 1, expiresAt: 1 }) // claim: what can be spent on this person, first to die first?
schema.index({ accountId: 1, orderId: 1 }, { partialFilterExpression: { orderId: { $gt: '' } } }) // which payment was this order?
schema.index({ heldAt: 1 }, { partialFilterExpression: { held: { $gt: 0 } } }) // sweep: whose hold was forgotten?
schema.index({ removeAt: 1 }, { expireAfterSeconds: 0 }) // 30 days after expiry: the report still counts the wasted

export const credentialModel = (db: Connection) => db.model('Credential', schema)

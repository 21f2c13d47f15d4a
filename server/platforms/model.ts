import { Schema, type Connection } from 'mongoose'

/** The one third-party platform of an installation. What is secret is sealed. */
export type PlatformRow = {
  _id: 'platform'
  appId: string
  sealedSecret: string
  sealedToken: string
  sealedAesKey: string
  mode: 'live' | 'sandbox'
  /** null: the installation's own default. */
  apiBase: string | null
  /** The newest ticket WeChat pushed, and when by WeChat's clock. */
  sealedTicket: string | null
  ticketAt: Date | null
  rev: number
  createdAt: Date
  updatedAt: Date
}

/** What an account's administrator consented to, by appId. Outlives the account here, so that nothing revives it unasked. */
export type AuthorizationRow = {
  _id: string
  /** The platform it was given to. */
  platformAppId: string
  sealedRefreshToken: string | null
  /** When it was asked for: an older answer never takes the place of a newer one. */
  refreshAt: Date
  /** When WeChat was last asked what was granted; as above. */
  lookedAt: Date
  /** Keyed hash of the code of the last consent: event and returning browser carry the same one. */
  codePrint: string | null
  withdrawnAt: Date | null
  /** The account was removed here; only a new consent brings it back. */
  removedAt: Date | null
}

/** A link given out: who comes back with its state was sent by us. */
export type LinkRow = {
  /** Keyed hash of the state. */
  _id: string
  /** appId of the account whose permissions are to be updated; null: any. */
  appId: string | null
  expiresAt: Date
  /** Keyed hash of the code it came back with: good for that one alone. */
  codePrint: string | null
}

const platformSchema = new Schema<PlatformRow>(
  {
    _id: { type: String, required: true },
    appId: { type: String, required: true },
    sealedSecret: { type: String, required: true },
    sealedToken: { type: String, required: true },
    sealedAesKey: { type: String, required: true },
    mode: { type: String, required: true },
    apiBase: { type: String, default: null },
    sealedTicket: { type: String, default: null },
    ticketAt: { type: Date, default: null },
    rev: { type: Number, required: true },
    createdAt: { type: Date, required: true },
    updatedAt: { type: Date, required: true }
  },
  { collection: 'platform', autoIndex: false, versionKey: false }
)

const authorizationSchema = new Schema<AuthorizationRow>(
  {
    _id: { type: String, required: true },
    platformAppId: { type: String, required: true },
    sealedRefreshToken: { type: String, default: null },
    refreshAt: { type: Date, required: true },
    lookedAt: { type: Date, required: true },
    codePrint: { type: String, default: null },
    withdrawnAt: { type: Date, default: null },
    removedAt: { type: Date, default: null }
  },
  { collection: 'authorizations', autoIndex: false, versionKey: false }
)
authorizationSchema.index({ codePrint: 1 }, { sparse: true }) // a browser came back: whose consent is this?

const linkSchema = new Schema<LinkRow>(
  {
    _id: { type: String, required: true },
    appId: { type: String, default: null },
    expiresAt: { type: Date, required: true },
    codePrint: { type: String, default: null }
  },
  { collection: 'authorizationLinks', autoIndex: false, versionKey: false }
)
// A day late: an administrator who reloads the page they were sent back to still sees what came of it.
linkSchema.index({ expiresAt: 1 }, { expireAfterSeconds: 86_400 })

export const platformModel = (db: Connection) => db.model<PlatformRow>('Platform', platformSchema)
export const authorizationModel = (db: Connection) => db.model<AuthorizationRow>('Authorization', authorizationSchema)
export const linkModel = (db: Connection) => db.model<LinkRow>('AuthorizationLink', linkSchema)

import { Schema, type Connection } from 'mongoose'
import type { Role, Scope } from '../../shared/operator.js'

export type OperatorRow = {
  _id: string
  /** Lower case. */
  email: string
  password: string
  role: Role
  accountIds: string[] | null
  /** How often all logins of this operator were ended: tokens say which count they were made under. Absent: never. */
  sessions?: number
  totp?: {
    /** The secret in force; null or absent: logins ask for no code. */
    sealed?: string | null
    /** One that was begun and waits for its first code. */
    sealedNext?: string | null
    /** A code of this step, or an earlier one, was used. */
    lastStep?: number
    /** Keyed hashes of the recovery codes that are left. */
    recovery?: string[]
    enabledAt?: Date
  }
  createdAt: Date
}

const operators = new Schema<OperatorRow>(
  {
    _id: { type: String, required: true },
    email: { type: String, required: true },
    password: { type: String, required: true },
    role: { type: String, required: true },
    accountIds: { type: [String], default: null },
    sessions: { type: Number },
    totp: {
      type: new Schema(
        {
          sealed: String,
          sealedNext: String,
          lastStep: Number,
          recovery: { type: [String], default: undefined },
          enabledAt: Date
        },
        { _id: false }
      )
    },
    createdAt: { type: Date, required: true }
  },
  { collection: 'operators', autoIndex: false, versionKey: false }
)
operators.index({ email: 1 }, { unique: true }) // login; one operator an address
operators.index({ createdAt: 1, _id: 1 }) // the list

export const operatorModel = (db: Connection) => db.model<OperatorRow>('Operator', operators)

export type RefreshRow = {
  /** Hash of the token. */
  _id: string
  operatorId: string
  /** All tokens descended from one login: a stolen one ends them all. */
  family: string
  usedAt: Date | null
  expiresAt: Date
}

const refreshTokens = new Schema<RefreshRow>(
  {
    _id: { type: String, required: true },
    operatorId: { type: String, required: true },
    family: { type: String, required: true },
    usedAt: { type: Date, default: null },
    expiresAt: { type: Date, required: true }
  },
  { collection: 'refreshTokens', autoIndex: false, versionKey: false }
)
refreshTokens.index({ family: 1 }) // log out
refreshTokens.index({ operatorId: 1 }) // end all sessions of an operator
refreshTokens.index({ expiresAt: 1 }, { expireAfterSeconds: 0 })

export const refreshModel = (db: Connection) => db.model<RefreshRow>('RefreshToken', refreshTokens)

export type ApiKeyRow = {
  _id: string
  name: string
  /** Hash of the whole key; the key itself is shown once and kept nowhere. */
  hash: string
  prefix: string
  scopes: Scope[]
  accountIds: string[] | null
  expiresAt: Date | null
  lastUsedAt: Date | null
  createdAt: Date
}

const apiKeys = new Schema<ApiKeyRow>(
  {
    _id: { type: String, required: true },
    name: { type: String, required: true },
    hash: { type: String, required: true },
    prefix: { type: String, required: true },
    scopes: { type: [String], required: true },
    accountIds: { type: [String], default: null },
    expiresAt: { type: Date, default: null },
    lastUsedAt: { type: Date, default: null },
    createdAt: { type: Date, required: true }
  },
  { collection: 'apiKeys', autoIndex: false, versionKey: false }
)
apiKeys.index({ hash: 1 }, { unique: true }) // whose key is this?
apiKeys.index({ createdAt: 1, _id: 1 }) // the list

export const apiKeyModel = (db: Connection) => db.model<ApiKeyRow>('ApiKey', apiKeys)

/** Settings of the installation; `setup` holds the code of the first run until it is used. */
export type SettingRow = { _id: string; sealed: string; createdAt: Date }

const settings = new Schema<SettingRow>(
  { _id: { type: String, required: true }, sealed: String, createdAt: Date },
  { collection: 'settings', autoIndex: false, versionKey: false, strict: false }
)

export const settingModel = (db: Connection) => db.model<SettingRow>('Setting', settings)

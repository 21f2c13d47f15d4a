import { Schema, type Connection } from 'mongoose'
import type { AccountView, Interface } from '../../shared/account.js'
import type { BreakerSettings } from '../../shared/breaker.js'
import type { Penalty } from '../../shared/penalty.js'
import type { Authorizer } from './permissions.js'

/** One interface WeChat has shut for a while: 45009, a penalty, too many refusals. */
export type Block = { until: Date; code: number | null; note: string }

/** A mini-program or service account as it is stored. Secrets are sealed; everything else is settings. */
export type AccountRow = {
  _id: string
  appId: string
  kind: AccountView['kind']
  mode: AccountView['mode']
  name: string
  /** Of accounts connected by QR that never had one: nothing, sealed. */
  sealedSecret: string
  /** Absent in rows older than accounts by QR: `secret`. */
  connectedBy?: AccountView['connectedBy']
  /** null for accounts connected by secret. */
  authorizer?: Authorizer | null
  /** null: the installation's own default. */
  apiBase: string | null
  tokenApi: AccountView['tokenApi']
  zone: string
  state: AccountView['state']
  disabledReason: string | null
  paused: boolean
  sources: AccountView['sources']
  limits: { perSecond?: number; inFlight?: number; perDay?: { legacy?: number; subscribe?: number; service?: number } }
  caps: { perPersonPerDay?: number | null; stopTransactional?: boolean }
  /** Absent in rows older than these settings. */
  capture?: Partial<AccountView['capture']>
  quietHours: AccountView['quietHours']
  serviceWindow: AccountView['serviceWindow']
  reserveForTransactional: number
  grantsFrom: AccountView['grantsFrom']
  /** Absent in rows older than the setting: off. */
  testLadder?: AccountView['testLadder']
  /** Absent in rows older than the setting: all defaults. */
  breaker?: BreakerSettings
  callback: {
    sealedToken: string | null
    sealedAesKey: string | null
    mode: AccountView['callback']['mode']
    format: AccountView['callback']['format']
    relayTo: string | null
    lastReceivedAt: Date | null
    /** When a push or a check of the address was last turned away for its signature; absent: never. */
    lastRefusedAt?: Date
  }
  permissions: number[]
  functions: AccountView['functions']
  penalty: Penalty | null
  blocked: Partial<Record<Interface, Block>>
  sharedUntil: Date | null
  verifiedAt: Date | null
  rev: number
  createdAt: Date
  updatedAt: Date
}

const anything = Schema.Types.Mixed

const schema = new Schema<AccountRow>(
  {
    _id: { type: String, required: true },
    appId: { type: String, required: true },
    kind: { type: String, required: true },
    mode: { type: String, required: true },
    name: { type: String, required: true },
    sealedSecret: { type: String, required: true },
    connectedBy: { type: String, default: 'secret' },
    authorizer: { type: anything, default: null },
    apiBase: { type: String, default: null },
    tokenApi: { type: String, required: true },
    zone: { type: String, required: true },
    state: { type: String, required: true },
    disabledReason: { type: String, default: null },
    paused: { type: Boolean, default: false },
    sources: { type: anything, default: {} },
    limits: { type: anything, default: {} },
    caps: { type: anything, default: {} },
    capture: { type: anything, default: {} },
    quietHours: { type: anything, default: null },
    serviceWindow: { type: anything, required: true },
    reserveForTransactional: { type: Number, default: 0 },
    grantsFrom: { type: String, required: true },
    testLadder: { type: String, default: 'off' },
    breaker: { type: anything, default: {} },
    callback: { type: anything, required: true },
    permissions: { type: [Number], default: [] },
    functions: { type: anything, default: {} },
    penalty: { type: anything, default: null },
    blocked: { type: anything, default: {} },
    sharedUntil: { type: Date, default: null },
    verifiedAt: { type: Date, default: null },
    rev: { type: Number, required: true },
    createdAt: { type: Date, required: true },
    updatedAt: { type: Date, required: true }
  },
  { collection: 'accounts', autoIndex: false, minimize: false, versionKey: false }
)
schema.index({ appId: 1 }, { unique: true }) // one account an appId; also: whose push is this?
schema.index({ createdAt: -1, _id: -1 }) // the list

export const accountModel = (db: Connection) => db.model<AccountRow>('Account', schema)

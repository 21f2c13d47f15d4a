import { Schema, type Connection } from 'mongoose'
import { Lane, MessageState, type WaitingFor } from '../../shared/message.js'
import { NEVER } from '../../shared/limits.js'
import type { Source } from '../../shared/credential.js'
import type { Release } from '../credentials/letting.js'
import { TemplateKind, type Open } from '../../shared/template.js'
import type { z } from 'zod'

/** `due` of a row nobody needs to look at again. */
export const FAR = NEVER
/** An unknown message is given up after this, when no receipt can be expected any more. */
export const UNKNOWN_MS = 72 * 3_600_000

/** A reservation the row names. `cred` null: a service-account message that needs no credential. */
export type RowHold = {
  cred: string | null
  h: string
  source: Source | 'none'
  doubt: boolean
  minus1?: boolean
  do?: Release
  asOf?: Date
  why?: string
  settled?: boolean
}

export type AttemptLine = {
  at: Date
  /** The lease it was made under: its name within the row. Absent in rows older than breakers. */
  n?: number
  code: number | null
  kind: string
  latencyMs: number | null
  rid: string | null
  note: string | null
}

export type FallbackStep = {
  accountId: string
  templateId: string
  data: Record<string, { value: string; color?: string }>
  open: Open | null
  channel: TemplateKind
}

/** One message to one person: the row that proves what happened (docs/ledger.md B). */
export type MessageRow = {
  _id: string
  accountId: string
  recipientId: string | null
  personId: string | null
  runId: string | null
  campaignId: string | null
  lane: Lane
  channel: TemplateKind
  templateId: string
  data: Record<string, { value: string; color?: string }>
  open: Open | null
  emphasis: string | null
  reference: string | null
  topic: string | null
  test: boolean
  waitForCredential: boolean
  state: MessageState
  reason: string | null
  detail: string | null
  code: number | null
  by: string | null
  n: number
  lease: string | null
  due: Date
  dueAt: Date
  notAfter: Date
  parked: boolean
  parks: number
  waitingFor: z.infer<typeof WaitingFor> | null
  hold: RowHold | null
  cap: { key: string; name: string } | null
  /** Its campaign's own limit of messages to this person a day, as it was when the row was planned. */
  capLimit?: number
  /** The place under a window source's own daily limit (menu, reply). */
  window: { key: string; name: string } | null
  attempt: number
  round: number
  /** Absent, not null: $min takes null for less than any date. */
  firstSentAt?: Date
  sentAt: Date | null
  settledAt: Date | null
  msgid: string | null
  /** When the person first opened the card. */
  openedAt?: Date
  /** Has the follower counted that? */
  openCounted?: true
  closed: boolean
  waitId: string | null
  fallback: FallbackStep[]
  fell: boolean
  /** Direct sends: keyed hash of the body asked for. */
  bodyHash: string | null
  /** The message this one replaces, and which step of its chain it is. */
  fellFrom: string | null
  step: number
  /** Lines of the log that have been counted for the breakers, by their lease. */
  heard?: number[]
  seq: number
  todo: boolean
  counted: string | null
  tally: number
  log: AttemptLine[]
  createdAt: Date
  removeAt: Date
}

const schema = new Schema(
  {
    _id: { type: String, required: true },
    accountId: { type: String, required: true },
    recipientId: { type: String, default: null },
    personId: { type: String, default: null },
    runId: { type: String, default: null },
    campaignId: { type: String, default: null },
    lane: { type: String, enum: Lane.options, required: true },
    channel: { type: String, enum: TemplateKind.options, required: true },
    templateId: { type: String, required: true },
    state: { type: String, enum: MessageState.options, required: true },
    due: { type: Date, required: true },
    notAfter: { type: Date, required: true },
    removeAt: { type: Date, required: true }
  },
  { collection: 'messages', autoIndex: false, versionKey: false, strict: false }
)
// Of what changes as a message moves, only `due`, `todo` and the states that something went wrong with are indexed: every
// other index costs nothing after the insert.
schema.index({ accountId: 1, lane: 1, due: 1 }) // pump: what is due? (final rows are due in the year 9999)
schema.index({ accountId: 1, seq: 1 }, { partialFilterExpression: { todo: true }, name: 'todo' }) // follower: what has consequences left?
schema.index({ accountId: 1, recipientId: 1 }) // a right or a receipt arrived: which of this recipient's messages wait for it?
schema.index({ accountId: 1, msgid: 1 }, { partialFilterExpression: { msgid: { $gt: '' } } }) // receipt: whose is it?
schema.index({ runId: 1, createdAt: -1, _id: -1 }) // run: list, cancel, retry
schema.index({ accountId: 1, reference: 1 }, { partialFilterExpression: { reference: { $gt: '' } } }) // backend: cancel or find by its own name
schema.index({ personId: 1, createdAt: -1, _id: -1 }) // person: timeline
schema.index({ createdAt: -1, _id: -1 }) // console: newest first
schema.index({ accountId: 1, createdAt: -1, _id: -1 }) // console: of one account
schema.index({ campaignId: 1, createdAt: -1, _id: -1 }, { partialFilterExpression: { campaignId: { $gt: '' } } }) // of one campaign
schema.index(
  { state: 1, createdAt: -1, _id: -1 },
  { partialFilterExpression: { state: { $in: ['failed', 'unknown', 'skipped', 'expired'] } } }
) // console: what went wrong? (few do, so few rows ever enter it)
schema.index({ removeAt: 1 }, { expireAfterSeconds: 0 }) // kept 180 days

export const messageModel = (db: Connection) => db.model('Message', schema)

const counterSchema = new Schema(
  { _id: String, b: Number },
  { collection: 'counters', autoIndex: false, versionKey: false, strict: false }
)
counterSchema.index({ runId: 1, minute: 1 }) // run page: its counts
counterSchema.index({ accountId: 1, minute: 1 }) // dashboard: what happened in these minutes?
counterSchema.index({ campaignId: 1, minute: 1 }, { partialFilterExpression: { campaignId: { $gt: '' } } }) // campaign page: its series
counterSchema.index({ removeAt: 1 }, { expireAfterSeconds: 0 })
export const counterModel = (db: Connection) => db.model('Counter', counterSchema)

const capSchema = new Schema(
  { _id: String, d: { type: [String] }, removeAt: Date },
  { collection: 'dayCaps', autoIndex: false, versionKey: false }
)
capSchema.index({ removeAt: 1 }, { expireAfterSeconds: 0 })
export const capModel = (db: Connection) => db.model('DayCap', capSchema)

/** One counter document: deltas by class of one run, minute and template; `b` is the last batch applied. */
export type CounterRow = {
  _id: string
  accountId: string
  runId: string | null
  campaignId: string | null
  templateId: string
  channel: TemplateKind
  minute: Date
  b: number
  n: Record<string, number>
  /** Messages opened; beside `n`, since an open moves no state. */
  opened?: number
  removeAt: Date
}
export type CapRow = { _id: string; d: string[]; removeAt: Date }

import { Schema, type Connection } from 'mongoose'
import type { Collection } from 'mongodb'
import type { TemplateField, TemplateKind } from '../../shared/template.js'

/** A difference from what was last read, that nobody made here. */
export type Drift = {
  kind: 'gone' | 'changed'
  at: Date
  /** When it was last seen as it was before. */
  lastSeenAt: Date
  /** What is different now; none for a template that is gone. */
  changes: { part: 'title' | 'content' | 'grantType' | 'choices'; before: string; after: string }[]
  /** When an operator said they know; null: the alarm stands. */
  readAt: Date | null
}

/** One message template of an account, as last read from WeChat. Rows outlive the template: messages still name it. */
export type TemplateRow = {
  /** `accountId:templateId` */
  _id: string
  accountId: string
  templateId: string
  kind: TemplateKind
  title: string
  fields: TemplateField[]
  content: string
  example: string
  grantType: 'once' | 'longTerm' | null
  /** The values an enum field may take, by key. */
  choices: Record<string, string[]>
  state: 'live' | 'deleted'
  syncedAt: Date
  deletedAt: Date | null
  /** Grows with every change, not with every reading. Rows of before there were drifts have none of these yet. */
  rev?: number
  /** The alarm that stands, if any. */
  drift?: Drift | null
  /** The last drifts, oldest first, whether read or not. */
  drifts?: Drift[]
  /** Since when we are deleting it on WeChat: then its going is no drift. */
  removingSince?: Date | null
}

/** When an account's templates were last read, by whichever process. */
export type TemplateSyncRow = {
  /** accountId */
  _id: string
  triedAt: Date
  /** Last time every kind was read; null: never yet. */
  syncedAt: Date | null
  /** What kept the last try from reading them all. */
  problem: string | null
  /** When the industries were last set from here. */
  industriesSetAt?: Date
}

const schema = new Schema(
  {
    _id: { type: String, required: true },
    accountId: { type: String, required: true },
    templateId: { type: String, required: true },
    kind: { type: String, required: true },
    title: String,
    fields: [],
    content: String,
    example: String,
    grantType: String,
    choices: {},
    state: String,
    syncedAt: Date,
    deletedAt: Date,
    rev: Number,
    drift: {},
    drifts: [],
    removingSince: Date
  },
  { collection: 'templates', autoIndex: false, versionKey: false }
)
schema.index({ accountId: 1, kind: 1, syncedAt: 1 }) // sync: which of this kind did WeChat not name any more?
schema.index({ title: 1, _id: 1 }) // lists

const syncSchema = new Schema(
  { _id: { type: String, required: true }, triedAt: Date, syncedAt: Date, problem: String, industriesSetAt: Date },
  { collection: 'templateSyncs', autoIndex: false, versionKey: false }
)

export function templateModels(db: Connection) {
  const templates = db.model('Template', schema)
  const syncs = db.model('TemplateSync', syncSchema)
  return {
    rows: templates.collection as unknown as Collection<TemplateRow>,
    syncs: syncs.collection as unknown as Collection<TemplateSyncRow>,
    ensureIndexes: async () => {
      await templates.createIndexes()
      await syncs.createIndexes()
    }
  }
}

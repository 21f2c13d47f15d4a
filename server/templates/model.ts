import { Schema, type Connection } from 'mongoose'
import type { Collection } from 'mongodb'
import type { TemplateField, TemplateKind } from '../../shared/template.js'

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
    deletedAt: Date
  },
  { collection: 'templates', autoIndex: false, versionKey: false }
)
schema.index({ accountId: 1, kind: 1, syncedAt: 1 }) // sync: which of this kind did WeChat not name any more?
schema.index({ title: 1, _id: 1 }) // lists

const syncSchema = new Schema(
  { _id: { type: String, required: true }, triedAt: Date, syncedAt: Date, problem: String },
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

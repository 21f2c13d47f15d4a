import { Schema, type Connection } from 'mongoose'
import type { Collection } from 'mongodb'
import type { ImportResult } from '../../../shared/person.js'
import type { Column } from './columns.js'

/** A file being worked through, as far as it has come. */
export type ImportRow = {
  /** The id of its operation. */
  _id: string
  /** Where its bytes are kept. */
  file: string
  state: 'running' | 'done' | 'failed'
  format: 'csv' | 'ndjson'
  delimiter: string
  columns: Column[] | null
  /** Whose recipients the openids are, where a row does not say. */
  accountId: string | null
  /** The accounts the caller may use; null: all. */
  accountIds: string[] | null
  /** The list the people come into, and which of its fillings. */
  list: { audienceId: string; listId: string } | null
  /** Everything before this byte is stored; the next row is `row + 1`. */
  position: number
  row: number
  result: ImportResult
  /** Tries since the last step that came through. */
  tries: number
  touchedAt: Date
  expireAt: Date
}

const schema = new Schema(
  { _id: { type: String, required: true }, state: String, touchedAt: Date, expireAt: Date },
  { collection: 'imports', autoIndex: false, versionKey: false, strict: false }
)
schema.index({ state: 1, touchedAt: 1 }) // sweep: which lost their job?
schema.index({ expireAt: 1 }, { expireAfterSeconds: 0 })

export function importModel(db: Connection) {
  const model = db.model('Import', schema)
  return { rows: model.collection as unknown as Collection<ImportRow>, createIndexes: () => model.createIndexes() }
}

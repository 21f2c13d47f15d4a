import { Schema, type Connection } from 'mongoose'

export type OperationRow = {
  _id: string
  kind: string
  accountId: string | null
  state: 'running' | 'done' | 'failed'
  done: number
  total: number | null
  result: unknown
  error: string | null
  touchedAt: Date
  createdAt: Date
}

const schema = new Schema<OperationRow>(
  {
    _id: { type: String, required: true },
    kind: { type: String, required: true },
    accountId: { type: String, default: null },
    state: { type: String, required: true },
    done: { type: Number, default: 0 },
    total: { type: Number, default: null },
    result: { type: Schema.Types.Mixed, default: null },
    error: { type: String, default: null },
    touchedAt: { type: Date, required: true },
    createdAt: { type: Date, required: true }
  },
  { collection: 'operations', autoIndex: false, versionKey: false }
)
schema.index({ createdAt: 1 }, { expireAfterSeconds: 30 * 86_400 }) // swept after a month

export const operationModel = (db: Connection) => db.model<OperationRow>('Operation', schema)

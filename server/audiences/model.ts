import { Schema, type Connection } from 'mongoose'
import type { Rule } from '../../shared/audience.js'

/** Whom an audience holds: a rule, or a fixed list. What a run keeps of it. */
export type AudienceSource = { rule: Rule } | { personIds: string[]; listId?: string }

/** A saved rule over people, or a fixed list; exactly one of the two. */
export type AudienceRow = {
  _id: string
  name: string
  rule: Rule | null
  personIds: string[] | null
  /** The filling of a fixed list that imports added to; null (or absent): none did. */
  listId?: string | null
  createdAt: Date
  updatedAt: Date
}

const schema = new Schema(
  {
    _id: { type: String, required: true },
    name: { type: String, required: true },
    rule: { type: Object, default: null },
    personIds: { type: [String], default: null },
    listId: { type: String, default: null },
    createdAt: { type: Date, required: true },
    updatedAt: { type: Date, required: true }
  },
  { collection: 'audiences', autoIndex: false, versionKey: false, minimize: false }
)
schema.index({ createdAt: 1, _id: 1 }) // list: newest first

export const audienceModel = (db: Connection) => db.model('Audience', schema)

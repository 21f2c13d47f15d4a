import { Schema, type Connection } from 'mongoose'

/** Something a person did, or WeChat said, as stored. It is the inbox too: `todo` until every consumer applied it. */
export type EventRow = {
  /** H(account, origin, the sender's id): repeating an event is harmless. */
  _id: string
  accountId: string | null
  /** `key:<id>`, `phone:<recipient>`, `wechat:<…>`, `paid:<…>`: a phone cannot occupy a backend's id. */
  origin: string
  name: string
  personId: string | null
  recipientId: string | null
  /** When it happened; never after it was received. */
  at: Date
  receivedAt: Date
  properties: Record<string, unknown>
  todo: boolean
  /** While `todo`: when a sweep looks at it (again). */
  due: Date
  tries: number
  expireAt: Date
}

const schema = new Schema(
  {
    _id: { type: String, required: true },
    accountId: { type: String, default: null },
    origin: { type: String, required: true },
    name: { type: String, required: true },
    personId: { type: String, default: null },
    recipientId: { type: String, default: null },
    at: { type: Date, required: true },
    receivedAt: { type: Date, required: true },
    properties: { type: Object, required: true },
    todo: { type: Boolean, required: true },
    due: { type: Date, required: true },
    tries: { type: Number, required: true },
    expireAt: { type: Date, required: true }
  },
  { collection: 'events', autoIndex: false, versionKey: false, minimize: false }
)
schema.index({ due: 1 }, { partialFilterExpression: { todo: true } }) // sweep: what was left undone?
schema.index({ personId: 1, name: 1, at: 1 }) // audiences and triggers: did this person do that, and when?
schema.index({ name: 1, at: 1 }) // list: who did that lately?
schema.index({ at: 1, _id: 1 }) // list: what happened lately?
schema.index({ expireAt: 1 }, { expireAfterSeconds: 0 })

export const eventModel = (db: Connection) => db.model('Event', schema)

/** The names seen so far, so that nobody types one from memory. */
export type EventNameRow = { _id: string; firstAt: Date; lastAt: Date }

const nameSchema = new Schema(
  { _id: { type: String, required: true }, firstAt: Date, lastAt: Date },
  { collection: 'eventNames', autoIndex: false, versionKey: false }
)
export const eventNameModel = (db: Connection) => db.model('EventName', nameSchema)

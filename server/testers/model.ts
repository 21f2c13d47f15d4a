import { Schema, type Connection } from 'mongoose'
import type { TesterView } from '../../shared/tester.js'

/** A code that was given out; the code itself is kept nowhere. */
export type CodeRow = {
  /** Keyed hash of account and code. */
  _id: string
  accountId: string
  /** Whose own enrolment it brings; null: nobody's in particular. */
  operatorId: string | null
  expiresAt: Date
  usedBy: string | null
  removeAt: Date
}

const codes = new Schema<CodeRow>(
  {
    _id: { type: String, required: true },
    accountId: { type: String, required: true },
    operatorId: { type: String, default: null },
    expiresAt: { type: Date, required: true },
    usedBy: { type: String, default: null },
    removeAt: { type: Date, required: true }
  },
  { collection: 'testerCodes', autoIndex: false, versionKey: false }
)
codes.index({ usedBy: 1 }) // erasing: which did they use?
codes.index({ removeAt: 1 }, { expireAfterSeconds: 0 })

/** One recipient as a tester of their account. */
export type TesterRow = {
  _id: string
  accountId: string
  recipientId: string
  operatorId: string | null
  via: TesterView['via']
  enrolledAt: Date
}

const testers = new Schema<TesterRow>(
  {
    _id: { type: String, required: true },
    accountId: { type: String, required: true },
    recipientId: { type: String, required: true },
    operatorId: { type: String, default: null },
    via: { type: String, required: true },
    enrolledAt: { type: Date, required: true }
  },
  { collection: 'testers', autoIndex: false, versionKey: false }
)
testers.index({ accountId: 1, enrolledAt: -1 }) // list; whom do tests go to? who is this operator?
testers.index({ recipientId: 1 }) // erasing

export const testerModels = (db: Connection) => ({
  codes: db.model<CodeRow>('TesterCode', codes),
  testers: db.model<TesterRow>('Tester', testers)
})

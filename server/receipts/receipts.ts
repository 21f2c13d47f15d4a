import { Schema, type Connection } from 'mongoose'
import type { Collection, Filter } from 'mongodb'
import type { Clock } from '../platform/clock.js'
import { ignoreDuplicate } from '../platform/mongo.js'
import type { Sealer } from '../platform/sealing.js'
import type { Jobs } from '../platform/jobs.js'
import type { People } from '../people/people.js'
import type { Messages } from '../messages/messages.js'
import { FAR, type MessageRow } from '../messages/model.js'
import { DAY_MS } from '../../shared/limits.js'

/** WeChat's later word on a message. `at` = the push's CreateTime (whole seconds). */
export type Receipt = {
  accountId: string
  recipientId: string
  msgid: string
  templateId?: string | null
  verdict: 'delivered' | 'userBlock' | 'systemFailed' | 'failed'
  /** subscribe messages name an error. */
  code?: number | null
  at: Date
}
type ReceiptRow = Receipt & {
  _id: string
  due: Date
  tries: number
  todo: boolean
  messageId: string | null
  receivedAt: Date
  removeAt: Date
}

const schema = new Schema(
  { _id: String },
  { collection: 'receipts', autoIndex: false, versionKey: false, strict: false }
)
schema.index({ due: 1 }, { partialFilterExpression: { todo: true } }) // which receipts still look for their message?
schema.index({ removeAt: 1 }, { expireAfterSeconds: 0 })

/** What a row looked at must still stand for: a retry of it is not what the receipt is about. */
const attemptOf = (row: MessageRow) => ({ round: row.round, ...(row.hold === null ? {} : { 'hold.h': row.hold.h }) })

const GIVE_UP_MS = DAY_MS
const LOOK_WIDER_MS = 2 * 60_000

/**
 * Receipts find their messages (docs/ledger.md I), also when they come before the send's own answer was stored. The
 * first verdict wins; applying one again changes nothing.
 */
export function createReceipts({
  db,
  clock,
  sealer,
  people,
  messages
}: {
  db: Connection
  clock: Clock
  sealer: Sealer
  people: People
  messages: Messages
}) {
  const model = db.model('Receipt', schema)
  const rows = model.collection as unknown as Collection<ReceiptRow>
  const messageRows = messages.rows

  function changeOf(receipt: Receipt, found: { hold: MessageRow['hold'] } | null): any {
    const now = clock.now()
    const base = { lease: null, due: FAR, by: 'receipt', todo: true, settledAt: now }
    if (receipt.verdict === 'delivered')
      return { $set: { ...base, state: 'delivered', reason: null, code: null }, $inc: { seq: 1 } }
    const failed = {
      ...base,
      state: 'failed',
      reason: receipt.verdict === 'failed' ? 'refused' : receipt.verdict,
      code: receipt.code ?? null
    }
    // the window was not used up: whatever C5 or C6 did before, the send comes back
    const back =
      receipt.verdict === 'systemFailed' && found?.hold != null ? { 'hold.do': 'return', 'hold.settled': false } : {}
    return { $set: { ...failed, ...back }, $inc: { seq: 1 } }
  }

  const OPEN = { $or: [{ state: { $in: ['accepted', 'sending', 'unknown'] } }, { state: 'failed', by: 'operator' }] }

  /** M12 by msgid. @returns the message's id when it has (or had) its verdict */
  async function byMsgid(receipt: ReceiptRow): Promise<string | null> {
    const named = { accountId: receipt.accountId, msgid: receipt.msgid }
    const row = await messageRows.findOne(named)
    if (row === null) return null
    await messageRows.updateOne(
      { ...named, _id: row._id, ...attemptOf(row), ...OPEN } as Filter<MessageRow>,
      changeOf(receipt, row)
    )
    return row._id
  }

  /** Two minutes on: exactly one message without an answer that it could be about. */
  async function byTime(receipt: ReceiptRow): Promise<string | null> {
    const from = new Date(receipt.at.getTime() - 120_000)
    // what was sent after the receipt had come is not what it is about: a retry, after a systemFailed one
    const to = new Date(Math.min(receipt.at.getTime() + 5_000, receipt.receivedAt.getTime()))
    const candidates = await messageRows
      .find({
        accountId: receipt.accountId,
        recipientId: receipt.recipientId,
        ...(receipt.templateId == null ? {} : { templateId: receipt.templateId }),
        msgid: null,
        sentAt: { $gte: from, $lte: to },
        $or: [{ state: { $in: ['sending', 'unknown', 'accepted', 'delivered'] } }, { state: 'failed', by: 'operator' }]
      } as Filter<MessageRow>)
      .limit(3)
      .toArray()
    const [only] = candidates
    if (candidates.length !== 1 || only === undefined) return null
    if (only.state !== 'unknown' && only.by !== 'operator') return null
    const answer = await messageRows.updateOne(
      { accountId: only.accountId, _id: only._id, state: only.state, msgid: null, ...attemptOf(only) },
      { ...changeOf(receipt, only), $set: { ...changeOf(receipt, only).$set, msgid: receipt.msgid } }
    )
    return answer.matchedCount > 0 ? only._id : null
  }

  async function look(receipt: ReceiptRow): Promise<boolean> {
    const now = clock.now()
    const age = now.getTime() - receipt.receivedAt.getTime()
    const messageId = (await byMsgid(receipt)) ?? (age >= LOOK_WIDER_MS ? await byTime(receipt) : null)
    if (messageId !== null || age >= GIVE_UP_MS) {
      await rows.updateOne({ _id: receipt._id }, { $set: { todo: false, messageId } })
      return messageId !== null
    }
    const wait = Math.min(2000 * 2 ** Math.min(receipt.tries, 12), 600_000)
    await rows.updateOne({ _id: receipt._id }, { $set: { due: new Date(now.getTime() + wait) }, $inc: { tries: 1 } })
    return false
  }

  const idOf = (receipt: { accountId: string; recipientId: string; msgid: string }) =>
    sealer.hash('receipt', receipt.accountId, receipt.recipientId, receipt.msgid)

  // A receipt is stored before it looks, an answer before it tells: whichever is second finds the first.
  messages.onNumbered(async (accountId, numbered) => {
    const ids = numbered.map((message) => idOf({ accountId, ...message }))
    const early = await rows.find({ _id: { $in: ids }, todo: true }).toArray()
    await Promise.all(early.map(look))
  })

  return {
    ready: async () => {
      await model.createIndexes()
    },

    /** Keeps the receipt, then finds its message now or later. Repeatable. @returns was the message found already? */
    async apply(receipt: Receipt): Promise<boolean> {
      const now = clock.now()
      const _id = idOf(receipt)
      const row: ReceiptRow = {
        ...receipt,
        _id,
        due: now,
        tries: 0,
        todo: true,
        messageId: null,
        receivedAt: now,
        removeAt: new Date(now.getTime() + 8 * DAY_MS)
      }
      await rows.insertOne(row).catch(ignoreDuplicate)
      if (receipt.verdict === 'userBlock') await people.setReach(receipt.recipientId, 'blocked', receipt.at)
      const kept = (await rows.findOne({ _id }))!
      return kept.todo ? look(kept) : kept.messageId !== null
    },

    /** Receipts whose message was not there yet look again. @returns how many found it */
    async sweep(limit = 500): Promise<number> {
      let found = 0
      const due = await rows
        .find({ todo: true, due: { $lte: clock.now() } })
        .sort({ due: 1 })
        .limit(limit)
        .toArray()
      for (const receipt of due) if (await look(receipt)) found += 1
      return found
    }
  }
}
export type Receipts = ReturnType<typeof createReceipts>

/** Registers the sweep. */
export async function receiptJobs({ jobs, receipts }: { jobs: Jobs; receipts: Receipts }): Promise<void> {
  jobs.define('receipts.look', async () => {
    await receipts.sweep()
  })
  await jobs.every(2000, 'receipts.look')
}

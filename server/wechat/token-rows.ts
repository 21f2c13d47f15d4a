import type { Connection } from 'mongoose'
import { ignoreDuplicate } from '../platform/mongo.js'

/** The one row all processes share for an account's access token. */
export type TokenRow = {
  _id: string
  /** Sealed; null until the first one was fetched. */
  token: string | null
  /** Grows by one with every new token; 0 before the first. */
  gen: number
  expiresAt: Date
  /** From when on someone should fetch the next one while this one still serves. */
  renewAt: Date
  /** When this token (not the same once more) was fetched. */
  madeAt: Date
  lease: string | null
  leaseUntil: Date | null
  /** Forced refreshes of the stable token: how many on `day` (days since 1970 in Asia/Shanghai), and when the last. */
  forced: { day: number; n: number; at: Date | null }
  /** Nothing is fetched or handed out before: tokens were refused twice in a row. */
  blockedUntil: Date | null
}

/** The writes of the token protocol; each is one conditional update and says whether it matched. */
export type TokenRows = {
  read(accountId: string): Promise<TokenRow | null>
  /** Makes an empty row where there is none. */
  make(accountId: string): Promise<void>
  /** Takes the lease if the row is still at `gen` and nobody holds an unexpired one. The row then, or null. */
  lease(accountId: string, gen: number, lease: string, now: Date, until: Date): Promise<TokenRow | null>
  /** Notes a forced refresh about to be made and starts the lease's time anew. */
  noteForced(accountId: string, lease: string, forced: TokenRow['forced'], until: Date): Promise<boolean>
  /** Puts a token in and gives the lease back; only for who holds the lease and saw `gen`. */
  store(
    accountId: string,
    lease: string,
    gen: number,
    next: Pick<TokenRow, 'token' | 'gen' | 'expiresAt' | 'renewAt' | 'madeAt'>
  ): Promise<boolean>
  release(accountId: string, lease: string): Promise<void>
  block(accountId: string, until: Date): Promise<void>
  remove(accountId: string): Promise<void>
}

const LONG_AGO = new Date(0)

/** Rows in the collection `tokens`. */
export function createTokenRows(db: Connection): TokenRows {
  const rows = db.collection<TokenRow>('tokens')
  return {
    read: (accountId) => rows.findOne({ _id: accountId }),
    async make(accountId) {
      const empty = {
        token: null,
        gen: 0,
        expiresAt: LONG_AGO,
        renewAt: LONG_AGO,
        madeAt: LONG_AGO,
        lease: null,
        leaseUntil: null,
        forced: { day: 0, n: 0, at: null },
        blockedUntil: null
      }
      // a duplicate: another process was first
      await rows.updateOne({ _id: accountId }, { $setOnInsert: empty }, { upsert: true }).catch(ignoreDuplicate)
    },
    lease: (accountId, gen, lease, now, until) =>
      rows.findOneAndUpdate(
        { _id: accountId, gen, $or: [{ leaseUntil: null }, { leaseUntil: { $lt: now } }] },
        { $set: { lease, leaseUntil: until } },
        { returnDocument: 'after' }
      ),
    async noteForced(accountId, lease, forced, until) {
      const result = await rows.updateOne({ _id: accountId, lease }, { $set: { forced, leaseUntil: until } })
      return result.matchedCount === 1
    },
    async store(accountId, lease, gen, next) {
      const result = await rows.updateOne(
        { _id: accountId, lease, gen },
        { $set: { ...next, lease: null, leaseUntil: null } }
      )
      return result.matchedCount === 1
    },
    async release(accountId, lease) {
      await rows.updateOne({ _id: accountId, lease }, { $set: { lease: null, leaseUntil: null } })
    },
    async block(accountId, until) {
      await rows.updateOne({ _id: accountId }, { $max: { blockedUntil: until } })
    },
    async remove(accountId) {
      await rows.deleteOne({ _id: accountId })
    }
  }
}

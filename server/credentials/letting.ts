import type { AnyBulkWriteOperation } from 'mongodb'
import { DAY_MS, KEPT_UNEXPIRING_DAYS, NEVER } from '../../shared/limits.js'
import type { Source } from '../../shared/credential.js'
import type { CredentialRow } from './model.js'

/** How a hold is let go of. */
export type Release = 'spend' | 'refund' | 'burn' | 'burnAll' | 'defer' | 'return'
export type Letting = {
  accountId: string
  recipientId: string
  templateId: string
  credentialId: string | null
  source: Source | 'none'
  h: string
  release: Release
  /** burnAll: grants minted before this are gone (the refused attempt's sentAt). */
  asOf: Date | null
  why: string | null
}

export const holdName = (m: string, n: number) => `${m}.${n}`

/** `m.n` apart; ids hold no dot. */
export function parseHold(h: string): { m: string; n: number } {
  const dot = h.lastIndexOf('.')
  return { m: h.slice(0, dot), n: Number(h.slice(dot + 1)) }
}

/** Spent and burned rows are kept this long at most. */
const kept = (now: Date) => new Date(now.getTime() + KEPT_UNEXPIRING_DAYS * DAY_MS)

const line = (at: Date, what: string, m: string | null) => ({ history: { $each: [{ at, what, m }], $slice: -20 } })

/** A person in an account; what every write asks for, so that a sharded collection knows where to look. */
export const key = (want: { accountId: string; recipientId: string }) => ({
  accountId: want.accountId,
  recipientId: want.recipientId
})

/** C6: the send is there again. */
export const refund = (
  letting: { accountId: string; recipientId: string; credentialId: string; h: string },
  now: Date
): AnyBulkWriteOperation<CredentialRow> => ({
  updateOne: {
    filter: { ...key(letting), _id: letting.credentialId, holds: letting.h },
    update: { $pull: { holds: letting.h }, $inc: { sendsLeft: 1, held: -1 }, $push: line(now, 'refunded', letting.h) }
  }
})

/** C5–C9, C11 as bulk operations. */
export function letGo(letting: Letting, now: Date): AnyBulkWriteOperation<CredentialRow>[] {
  const { credentialId: id, h } = letting
  if (id === null) return []
  const filter = { ...key(letting), _id: id, holds: h }
  switch (letting.release) {
    case 'spend':
      return [
        {
          updateOne: {
            filter,
            update: {
              $pull: { holds: h },
              $inc: { held: -1, spent: 1 },
              $push: { spentBy: h, ...line(now, 'spent', h) },
              $min: { removeAt: kept(now) } // grants have no expiry to be dated from
            }
          }
        }
      ]
    case 'refund':
      return [refund({ ...key(letting), credentialId: id, h }, now)]
    case 'burn':
      return [
        {
          updateOne: {
            filter,
            update: {
              $pull: { holds: h },
              $inc: { held: -1 },
              $set: { state: 'dead', why: letting.why ?? 'burned' },
              $min: { removeAt: kept(now) },
              $push: line(now, 'burned', h)
            }
          }
        }
      ]
    case 'burnAll':
      return [
        burnGrants(
          { ...key(letting), templateId: letting.templateId, asOf: letting.asOf ?? now, why: letting.why ?? '43101' },
          now
        ),
        // the refused grant itself, whatever the clocks of those who minted and sent it say
        {
          updateOne: {
            filter,
            update: {
              $pull: { holds: h },
              $inc: { held: -1 },
              $set: { state: 'dead', why: letting.why ?? '43101', removeAt: kept(now) }
            }
          }
        }
      ]
    case 'defer':
      return [
        {
          updateOne: {
            filter,
            update: [
              {
                $set: {
                  holds: { $filter: { input: '$holds', as: 'h', cond: { $ne: ['$$h', h] } } },
                  sendsLeft: { $add: ['$sendsLeft', 1] },
                  held: { $subtract: ['$held', 1] },
                  notBefore: { $add: [now, { $multiply: [10_000, { $pow: [2, { $ifNull: ['$defers', 0] }] }] }] },
                  defers: { $add: [{ $ifNull: ['$defers', 0] }, 1] }
                }
              }
            ]
          }
        }
      ]
    case 'return':
      return [
        refund({ ...key(letting), credentialId: id, h }, now),
        {
          updateOne: {
            filter: { ...key(letting), _id: id, spentBy: h },
            update: {
              $pull: { spentBy: h },
              $inc: { spent: -1, sendsLeft: 1 },
              $push: line(now, 'returned', h),
              ...(letting.source === 'grant' ? { $set: { removeAt: NEVER } } : {})
            }
          }
        }
      ]
  }
}

/** C8: what was granted for this template before `asOf` is gone. */
export const burnGrants = (
  which: { accountId: string; recipientId: string; templateId: string; asOf: Date; why: string },
  now: Date
): AnyBulkWriteOperation<CredentialRow> => ({
  updateMany: {
    filter: {
      ...key(which),
      templateId: which.templateId,
      source: { $in: ['grant', 'longTermGrant'] },
      state: 'live',
      mintedAt: { $lt: which.asOf }
    },
    update: {
      $set: { state: 'dead', why: which.why, removeAt: kept(now) },
      $push: line(now, `burned ${which.why}`, null)
    }
  }
})

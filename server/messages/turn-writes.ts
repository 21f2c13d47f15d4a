import type { AnyBulkWriteOperation, UpdateFilter } from 'mongodb'
import type { MessageState, SkipReason } from '../../shared/message.js'
import { FAR, UNKNOWN_MS, type MessageRow, type RowHold } from './model.js'

const FIRST_PARK_MS = 5_000
const LONGEST_PARK_MS = 600_000
/** Reasons that let a chain go on to its next template. */
const FALLS: readonly (SkipReason | null)[] = ['noCredential', 'suppressed']

/**
 * What becomes of leased rows that do not go on to their slot (docs/ledger.md B, M4 to M5), collected for one bulk
 * command. Every update asks for the lease: a row that was taken over meanwhile stays as it is.
 */
export function createTurnWrites(turn: { accountId: string; lease: string; now: Date; random: () => number }) {
  const { now } = turn
  const ops: AnyBulkWriteOperation<MessageRow>[] = []
  const write = (row: MessageRow, states: MessageState[], update: UpdateFilter<MessageRow>) =>
    ops.push({
      updateOne: {
        filter: { accountId: turn.accountId, _id: row._id, state: { $in: states }, lease: turn.lease },
        update
      }
    })
  const CALM: MessageState[] = ['planned', 'held']
  /** About `ms` from now, so that those who wait for the same thing do not all come back at once. */
  const soon = (ms: number) => new Date(now.getTime() + ms * (0.75 + 0.5 * turn.random()))
  const inTime = (row: MessageRow, at: Date) => new Date(Math.min(at.getTime(), row.notAfter.getTime()))

  return {
    ops,
    soon,

    /** It ends here. `hold`: what it had reserved in this turn, to be let go by name. */
    stop(
      row: MessageRow,
      state: 'skipped' | 'expired',
      reason: SkipReason | null,
      detail: string | null,
      hold?: RowHold
    ): void {
      const falls = FALLS.includes(reason) && row.fallback.length > 0
      write(row, CALM, {
        $set: {
          state,
          reason,
          detail,
          lease: null,
          due: FAR,
          waitingFor: null,
          todo: true,
          settledAt: now,
          parked: false,
          ...(falls ? { fell: true } : {}),
          ...(hold === undefined ? {} : { hold })
        },
        $inc: { seq: 1 }
      })
    },

    /** It waits until then (its deadline at the latest) and holds nothing meanwhile. */
    delay(row: MessageRow, until: Date, waitingFor: MessageRow['waitingFor']): void {
      const had = row.hold !== null && row.hold.settled !== true
      write(row, CALM, {
        $set: { state: 'planned', due: inTime(row, until), lease: null, waitingFor, ...(had ? { todo: true } : {}) },
        ...(had ? { $inc: { seq: 1 } } : {})
      })
    },

    /** It was perhaps sent; it is asked about again then. */
    doubtUntil(row: MessageRow, due: Date): void {
      write(row, ['sending'], { $set: { due, lease: null } })
    },

    /** It was perhaps sent, and cannot be asked about any more. */
    giveUp(row: MessageRow, reason: string): void {
      write(row, ['sending'], {
        $set: {
          state: 'unknown',
          reason,
          due: new Date(now.getTime() + UNKNOWN_MS),
          lease: null,
          todo: true,
          settledAt: now
        },
        $inc: { seq: 1 }
      })
    },

    /** It keeps what it holds and comes back for its place under a cap. */
    wait(row: MessageRow, hold: RowHold, due: Date): void {
      write(row, CALM, { $set: { state: 'held', hold, parked: false, due, lease: null } })
    },

    /** M5: it waits for a right, looking again by itself less and less often. */
    park(row: MessageRow): void {
      const ms = Math.min(FIRST_PARK_MS * 2 ** Math.min(row.parks, 10), LONGEST_PARK_MS)
      write(row, ['planned'], {
        $set: {
          parked: true,
          lease: null,
          waitingFor: 'credential',
          due: inTime(row, new Date(now.getTime() + ms))
        },
        $inc: { parks: 1 }
      })
    }
  }
}
export type TurnWrites = ReturnType<typeof createTurnWrites>

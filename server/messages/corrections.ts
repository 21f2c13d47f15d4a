import type { Collection, Filter } from 'mongodb'
import type { MessageState, SkipReason } from '../../shared/message.js'
import type { Clock } from '../platform/clock.js'
import { Conflict, InvalidInput, NotFound } from '../platform/errors.js'
import { FAR, type MessageRow } from './model.js'
import type { Runs } from './runs.js'

/** Reasons of rows whose text is not fit to be sent; a retry does not mend it. */
const UNFIT: string[] = ['missingVariable', 'invalidValue'] satisfies SkipReason[]
const RETRYABLE: readonly string[] = ['failed', 'skipped', 'expired'] satisfies MessageState[]

export type CorrectionsParts = {
  rows: Collection<MessageRow>
  clock: Clock
  runs: Runs
  /** Something of this account is due now. */
  wake: (accountId: string) => void
}

/** What people do to messages that were planned: look, cancel, move, decide, send once more (docs/ledger.md B, M13 to M16). */
export function createCorrections({ rows, clock, runs, wake }: CorrectionsParts) {
  /** M15: what is planned or held is cancelled; what is being sent cannot be. @returns how many */
  async function cancelRows(filter: Filter<MessageRow>): Promise<number> {
    const answer = await rows.updateMany({ ...filter, state: { $in: ['planned', 'held'] } } as Filter<MessageRow>, {
      $set: {
        state: 'skipped',
        reason: 'cancelled',
        lease: null,
        due: FAR,
        todo: true,
        parked: false,
        waitingFor: null,
        settledAt: clock.now()
      },
      $inc: { seq: 1 }
    })
    return answer.modifiedCount
  }

  async function get(id: string): Promise<MessageRow> {
    const row = await rows.findOne({ _id: id })
    if (row === null) throw new NotFound('no such message', { code: 'messages.not-found' })
    return row
  }

  return {
    get,
    cancelRows,

    /** M15 of one message. @throws NotFound, Conflict when it is being sent or is through */
    async cancel(id: string): Promise<MessageRow> {
      const row = await get(id)
      if ((await cancelRows({ accountId: row.accountId, _id: id })) === 0) {
        throw new Conflict(`a message that is ${row.state} cannot be cancelled`, { code: 'messages.not-cancellable' })
      }
      return get(id)
    },

    /** All that is still planned under a caller's own name. @returns how many were cancelled */
    cancelReference: (accountId: string, reference: string) => cancelRows({ accountId, reference }),

    /** Ends a campaign's open runs and cancels their rows. */
    async cancelRuns(campaignId: string): Promise<void> {
      for (const runId of await runs.cancel(campaignId)) await cancelRows({ runId })
    },

    /**
     * Moves or rewrites a message while it is planned; moved, its deadline moves along unless another is given.
     * @throws NotFound, Conflict, InvalidInput when it would be due after its deadline
     */
    async patch(id: string, change: { dueAt?: Date; notAfter?: Date; data?: MessageRow['data'] }): Promise<MessageRow> {
      const row = await get(id)
      const dueAt = change.dueAt ?? row.dueAt
      const life = row.notAfter.getTime() - row.dueAt.getTime()
      const notAfter = change.notAfter ?? new Date(dueAt.getTime() + life)
      if (notAfter <= dueAt) {
        const message = 'notAfter must be later than the moment it is due'
        throw new InvalidInput(message, { errors: [{ pointer: '/notAfter', code: 'time.before-due', message }] })
      }
      const set: Record<string, unknown> = { notAfter }
      if (change.dueAt !== undefined) Object.assign(set, { due: dueAt, dueAt })
      if (change.data !== undefined) set.data = change.data
      const answer = await rows.updateOne(
        { accountId: row.accountId, _id: id, state: 'planned', lease: null },
        { $set: set }
      )
      if (answer.matchedCount === 0)
        throw new Conflict('only a planned message can be changed', { code: 'messages.not-planned' })
      wake(row.accountId)
      return get(id)
    },

    /** M13: an operator says what an unknown one was. @throws NotFound, Conflict when it is not unknown */
    async resolve(id: string, as: 'accepted' | 'failed'): Promise<MessageRow> {
      const row = await get(id)
      const answer = await rows.updateOne(
        { accountId: row.accountId, _id: id, state: 'unknown' },
        { $set: { state: as, by: 'operator', due: FAR, todo: true, settledAt: clock.now() }, $inc: { seq: 1 } }
      )
      if (answer.matchedCount === 0) {
        throw new Conflict(`only unknown messages are resolved; this one is ${row.state}`, {
          code: 'messages.not-unknown'
        })
      }
      return get(id)
    },

    /** M13 for a whole run. @returns how many */
    async resolveRun(runId: string, as: 'accepted' | 'failed'): Promise<number> {
      const answer = await rows.updateMany(
        { runId, state: 'unknown' },
        { $set: { state: as, by: 'operator', due: FAR, todo: true, settledAt: clock.now() }, $inc: { seq: 1 } }
      )
      return answer.modifiedCount
    },

    /**
     * M16: rows of a run go once more, by state, reason and code. What may have gone out never does, nor what has holes
     * in it; by receipt only systemFailed, and what somebody cancelled only when that is asked for. @returns how many
     */
    async retryRun(
      runId: string,
      which: { states: string[]; reasons?: string[]; errcodes?: number[] },
      notAfter: Date
    ): Promise<number> {
      const run = await runs.get(runId)
      if (run === null) throw new NotFound('no such run', { code: 'runs.not-found' })
      const now = clock.now()
      const filter = {
        runId,
        state: { $in: which.states.filter((state) => RETRYABLE.includes(state)) },
        fell: { $ne: true },
        reason:
          which.reasons === undefined
            ? { $nin: [...UNFIT, 'cancelled'] }
            : { $in: which.reasons.filter((reason) => !UNFIT.includes(reason)) },
        ...(which.errcodes === undefined ? {} : { code: { $in: which.errcodes } })
      } as Filter<MessageRow>
      const fresh = {
        state: 'planned',
        cap: null,
        window: null,
        by: null,
        reason: null,
        detail: null,
        code: null,
        lease: null,
        due: now,
        attempt: 0,
        parks: 0,
        closed: false,
        notAfter,
        todo: true,
        settledAt: null
      }
      const again = await rows.updateMany(
        { $and: [filter, { by: { $ne: 'receipt' } }, { reason: { $ne: 'systemFailed' } }] } as Filter<MessageRow>,
        { $set: fresh as any, $inc: { seq: 1 }, $unset: { firstSentAt: '' } }
      )
      const rounds = await rows.updateMany(
        { $and: [filter, { by: 'receipt', reason: 'systemFailed' }] } as Filter<MessageRow>,
        {
          $set: { ...fresh, msgid: null } as any,
          $inc: { seq: 1, round: 1 },
          $unset: { firstSentAt: '' }
        }
      )
      const n = again.modifiedCount + rounds.modifiedCount
      if (n > 0) {
        await runs.rows.updateOne({ _id: runId, state: 'finished' }, { $set: { state: 'sending', finishedAt: null } })
        wake(run.accountId)
      }
      return n
    }
  }
}

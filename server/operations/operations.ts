import type { Connection } from 'mongoose'
import type { OperationView } from '../../shared/operation.js'
import type { Clock } from '../platform/clock.js'
import { NotFound } from '../platform/errors.js'
import { newId } from '../platform/ids.js'
import type { Log } from '../platform/log.js'
import { operationModel, type OperationRow } from './model.js'

/** The hand of whoever does the work. Each call is one write; none of them throws. */
export type Operation = {
  id: string
  /** Where callers watch it: the Location of the 202. */
  location: string
  progress(done: number, total?: number): Promise<void>
  done(result?: unknown): Promise<void>
  failed(error: unknown): Promise<void>
}

export type Operations = ReturnType<typeof createOperations>

/** Whose work has not been heard of for so long died with its process. */
const SILENT_MS = 10 * 60_000

/** Long work callers can watch. */
export function createOperations({ db, clock, log }: { db: Connection; clock: Clock; log: Log }) {
  const model = operationModel(db)

  function hand(id: string): Operation {
    async function write(set: Partial<OperationRow>) {
      try {
        await model.updateOne({ _id: id, state: 'running' }, { $set: { ...set, touchedAt: clock.now() } })
      } catch (error) {
        log.warn({ err: error, operation: id }, 'the progress of an operation was not written')
      }
    }
    return {
      id,
      location: `/v1/operations/${id}`,
      progress: (done, total) => write({ done, ...(total !== undefined && { total }) }),
      done: (result = null) => write({ state: 'done', result }),
      failed: (error) => write({ state: 'failed', error: error instanceof Error ? error.message : String(error) })
    }
  }

  return {
    /** Makes the indexes. */
    async ready(): Promise<void> {
      await model.createIndexes()
    },

    /** Begins one. `accountId`, if it is about one account, decides who may watch. */
    async start(kind: string, total?: number, accountId?: string): Promise<Operation> {
      const id = newId()
      const now = clock.now()
      await model.collection.insertOne({
        _id: id,
        kind,
        accountId: accountId ?? null,
        state: 'running',
        done: 0,
        total: total ?? null,
        result: null,
        error: null,
        touchedAt: now,
        createdAt: now
      } as never)
      return hand(id)
    },

    /** The hand of one begun earlier, perhaps by another process (a job takes it from its data). */
    resume: (id: string): Operation => hand(id),

    /** @throws NotFound */
    async get(id: string): Promise<OperationView & { accountId: string | null }> {
      const row = await model.findById(id).lean<OperationRow>()
      if (row === null) throw new NotFound('no such operation', { code: 'operations.not-found' })
      const silent = row.state === 'running' && clock.now().getTime() - row.touchedAt.getTime() > SILENT_MS
      return {
        id: row._id,
        kind: row.kind,
        accountId: row.accountId,
        state: silent ? 'failed' : row.state,
        done: row.done,
        total: row.total,
        result: row.result,
        error: silent ? 'nothing was heard of it for 10 minutes' : row.error
      }
    }
  }
}

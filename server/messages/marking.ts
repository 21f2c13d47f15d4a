import type { AnyBulkWriteOperation, Collection } from 'mongodb'
import { FAR, type MessageRow } from './model.js'
import { WAIT_STOPPED } from './gates.js'
import type { Ready } from './ready.js'

/**
 * M8 for a block: the rows say `sending` before a request may leave. Asking again for the same rows changes nothing.
 * @returns the rows that were not marked because their lease is somebody else's by now
 */
export async function markSending(
  rows: Collection<MessageRow>,
  accountId: string,
  items: Ready[],
  now: Date
): Promise<Ready[]> {
  const fresh = items.filter((item) => !item.marked)
  if (fresh.length === 0) return []
  const answer = await rows.bulkWrite(
    fresh.map((item) => markOf(accountId, item, now)),
    { ordered: false }
  )
  let mine = new Set(fresh)
  if (answer.matchedCount < fresh.length) {
    const ids = fresh.map((item) => item.row._id)
    const back = await rows
      .find({ accountId, _id: { $in: ids }, state: 'sending' }, { projection: { lease: 1 } })
      .toArray()
    const leases = new Map(back.map((row) => [row._id, row.lease]))
    mine = new Set(fresh.filter((item) => leases.get(item.row._id) === item.lease))
  }
  for (const item of mine) {
    item.marked = true
    item.row.attempt += 1
    item.row.sentAt = now
  }
  return fresh.filter((item) => !mine.has(item))
}

/**
 * The last look before M8: what an event took back since the gate ends here, and what it had reserved is let go by name
 * (M4). What may be out is not asked about. @returns the others
 */
export async function withoutStopped(
  rows: Collection<MessageRow>,
  accountId: string,
  items: Ready[],
  stoppedWaits: (waitIds: string[]) => Promise<Set<string>>,
  now: Date
): Promise<Ready[]> {
  const asked = items.filter(({ row, marked, doubt }) => row.waitId !== null && !marked && !doubt)
  if (asked.length === 0) return items
  const stopped = await stoppedWaits(asked.map(({ row }) => row.waitId!))
  const ending = new Set(asked.filter(({ row }) => stopped.has(row.waitId!)))
  if (ending.size === 0) return items
  await rows.bulkWrite(
    [...ending].map(({ row, lease, hold, cap, window }) => ({
      updateOne: {
        filter: { accountId, _id: row._id, lease, state: { $in: ['planned' as const, 'held' as const] } },
        update: {
          $set: {
            state: 'skipped' as const,
            reason: 'cancelled',
            detail: WAIT_STOPPED,
            hold,
            cap,
            window,
            lease: null,
            due: FAR,
            waitingFor: null,
            parked: false,
            todo: true,
            settledAt: now
          },
          $inc: { seq: 1 }
        }
      }
    })),
    { ordered: false }
  )
  return items.filter((item) => !ending.has(item))
}

function markOf(accountId: string, item: Ready, now: Date): AnyBulkWriteOperation<MessageRow> {
  return {
    updateOne: {
      filter: {
        accountId,
        _id: item.row._id,
        lease: item.lease,
        ...(item.doubt ? { state: 'sending' } : { state: { $in: ['planned', 'held'] } })
      },
      update: {
        $set: {
          state: 'sending',
          sentAt: now,
          cap: item.cap,
          window: item.window,
          parked: false,
          waitingFor: null,
          ...(item.doubt ? {} : { hold: item.hold })
        },
        $inc: { attempt: 1 },
        $min: { firstSentAt: now }
      }
    }
  }
}

/**
 * M9 and M7: gives a row back that was not fired, naming what it holds. With `due` (a wait longer than a minute) it
 * holds nothing any more: planned again, and the follower lets go. Pure.
 */
export function handBackOf(
  accountId: string,
  item: Ready,
  now: Date,
  due: Date | null,
  waitingFor: MessageRow['waitingFor'] = 'quota'
): AnyBulkWriteOperation<MessageRow> {
  const filter = {
    accountId,
    _id: item.row._id,
    lease: item.lease,
    ...(item.marked || item.doubt
      ? { state: 'sending' as const }
      : { state: { $in: ['planned' as const, 'held' as const] } })
  }
  const byDeadline = (at: Date) => new Date(Math.min(at.getTime(), item.row.notAfter.getTime()))
  const uncounted = item.marked ? { attempt: -1 } : {}
  if (item.doubt)
    return {
      updateOne: {
        filter,
        update: {
          $set: { lease: null, due: due === null ? now : byDeadline(due) },
          ...(item.marked ? { $inc: uncounted } : {})
        }
      }
    }
  const named = { hold: item.hold, cap: item.cap, window: item.window, lease: null }
  // no request is out: none was first
  const unfirst = item.marked ? { $unset: { firstSentAt: '' as const } } : {}
  if (due === null)
    return {
      updateOne: {
        filter,
        update: { $set: { ...named, state: 'held', due: now }, ...(item.marked ? { $inc: uncounted } : {}), ...unfirst }
      }
    }
  return {
    updateOne: {
      filter,
      update: {
        $set: {
          ...named,
          state: 'planned',
          due: byDeadline(due),
          waitingFor,
          todo: true
        },
        $inc: { seq: 1, ...uncounted },
        ...unfirst
      }
    }
  }
}

import type { Collection } from 'mongodb'
import type { TimelineEntry } from '../../shared/timeline.js'
import { NEVER } from '../../shared/limits.js'
import type { CredentialRow } from '../credentials/model.js'
import { parseHold } from '../credentials/letting.js'
import type { EventRow } from '../events/model.js'
import type { MessageRow } from '../messages/model.js'
import type { Clock } from '../platform/clock.js'
import { InvalidInput } from '../platform/errors.js'
import type { People, Person, Recipient } from './people.js'

/** Where a page ended. Entries are in order of time, then id. */
type Position = { at: Date; id: string }

/** Whose rows, in which accounts (null: all), from where on, how many. */
type Ask = { ids: string[]; recipients: Recipient[]; allowed: string[] | null; after: Position | null; limit: number }

/** What WeChat says of messages is told by the messages themselves. */
const RECEIPTS = ['$push:templatesendjobfinish', '$push:subscribe_msg_sent_event']

/** What is known of one person, newest first, from every room that keeps some of it. */
export function createTimeline({
  clock,
  people,
  events,
  messages,
  credentials
}: {
  clock: Clock
  people: Pick<People, 'models' | 'allRecipientsOf'>
  events: { rows: Collection<EventRow> }
  messages: { rows: Collection<MessageRow> }
  credentials: { rows: Collection<CredentialRow> }
}) {
  const within = (allowed: string[] | null) => (allowed === null ? {} : { accountId: { $in: allowed } })

  async function happened({ ids, allowed, after, limit }: Ask): Promise<TimelineEntry[]> {
    const theirs = {
      personId: { $in: ids },
      name: { $nin: RECEIPTS },
      ...within(allowed),
      ...beyond('event', 'at', after)
    }
    const rows = await events.rows.find(theirs).sort({ at: -1, _id: -1 }).limit(limit).toArray()
    return rows.map(({ _id, at, accountId, recipientId, name, properties }) => {
      // A push that is kept whole is sealed: nothing for a reader.
      const { sealed: _sealed, ...open } = properties
      const shown = name.startsWith('$') ? open : properties
      return { kind: 'event', id: `event:${_id}`, at, accountId, recipientId, name, properties: shown }
    })
  }

  async function sent({ ids, allowed, after, limit }: Ask): Promise<TimelineEntry[]> {
    const of = (kind: string, field: string) => ({
      personId: { $in: ids },
      ...within(allowed),
      ...beyond(kind, field, after)
    })
    const [planned, opened] = await Promise.all([
      messages.rows.find(of('message', 'createdAt')).sort({ createdAt: -1, _id: -1 }).limit(limit).toArray(),
      messages.rows
        .find({ $and: [of('open', 'openedAt'), { openedAt: { $exists: true } }] })
        .sort({ openedAt: -1, _id: -1 })
        .limit(limit)
        .toArray()
    ])
    return [
      ...planned.map((row): TimelineEntry => {
        const { _id, createdAt: at, accountId, recipientId, campaignId, runId, templateId, lane, test } = row
        const { state, reason, dueAt, sentAt, settledAt } = row
        const what = {
          messageId: _id,
          campaignId,
          runId,
          templateId,
          lane,
          test,
          state,
          reason,
          dueAt,
          sentAt,
          settledAt
        }
        return { kind: 'message', id: `message:${_id}`, at, accountId, recipientId, ...what }
      }),
      ...opened.map(({ _id, openedAt, accountId, recipientId }): TimelineEntry => ({
        kind: 'open',
        id: `open:${_id}`,
        at: openedAt!,
        accountId,
        recipientId,
        messageId: _id
      }))
    ]
  }

  /** Rights of one person are few: all are read, and told from their history. */
  async function held({ recipients, after }: Ask): Promise<TimelineEntry[]> {
    const theirs = recipients.map(({ id, accountId }) => ({ accountId, recipientId: id }))
    if (theirs.length === 0) return []
    const rows = await credentials.rows.find({ $or: theirs }, { projection: { sealed: 0, hash: 0 } }).toArray()
    const now = clock.now()
    return rows.flatMap((row) => livesOf(row as CredentialRow, now)).filter((entry) => isBeyond(entry, after))
  }

  async function wished({ ids, recipients, after }: Ask): Promise<TimelineEntry[]> {
    const said = await people.models.optOuts.find({ personId: { $in: ids } }).toArray()
    const entries: TimelineEntry[] = said.map(({ _id, createdAt: at, topic, by }) => ({
      kind: 'optOut',
      id: `optOut:${_id}`,
      at,
      accountId: null,
      recipientId: null,
      topic,
      by
    }))
    for (const { id: recipientId, accountId, reach, reachAt: at } of recipients) {
      if (at.getTime() === 0) continue // nothing was ever heard
      entries.push({ kind: 'reach', id: `reach:${recipientId}`, at, accountId, recipientId, reach })
    }
    return entries.filter((entry) => isBeyond(entry, after))
  }

  return {
    /**
     * A page of what happened to a person and what they did, newest first, as far as it is about accounts of `allowed`
     * (null: all). @throws InvalidInput for a cursor that is none
     */
    async page(
      person: Pick<Person, 'id' | 'was'>,
      allowed: string[] | null,
      { limit, cursor }: { limit: number; cursor?: string | undefined }
    ): Promise<{ data: TimelineEntry[]; page: { nextCursor: string | null } }> {
      const all = (await people.allRecipientsOf([person.id])).get(person.id) ?? []
      const recipients = all.filter(({ accountId }) => allowed === null || allowed.includes(accountId))
      const after = cursor === undefined ? null : readCursor(cursor)
      const ask: Ask = { ids: [person.id, ...person.was], recipients, allowed, after, limit: limit + 1 }
      const found = (await Promise.all([happened(ask), sent(ask), held(ask), wished(ask)])).flat()
      const data = found.sort(newestFirst).slice(0, limit)
      const nextCursor = found.length > limit ? writeCursor(data.at(-1)!) : null
      return { data, page: { nextCursor } }
    }
  }
}
export type Timeline = ReturnType<typeof createTimeline>

/** From its capture to its end. */
function livesOf(row: CredentialRow, now: Date): TimelineEntry[] {
  const { _id: credentialId, accountId, recipientId, source, templateId, expiresAt } = row
  const of = (what: string, at: Date, place: string, messageId: string | null): TimelineEntry => ({
    kind: 'credential',
    id: `credential:${credentialId}:${place}`,
    at,
    accountId,
    recipientId,
    credentialId,
    what,
    source,
    templateId,
    messageId
  })
  const lines = row.history.map(({ at, what, m }, i) =>
    of(what, at, String(i).padStart(3, '0'), m === null ? null : parseHold(m).m)
  )
  const wasted = row.unlimited || row.sendsLeft > 0
  const over = wasted && expiresAt <= now && expiresAt.getTime() !== NEVER.getTime()
  return over ? [...lines, of('expired', expiresAt, 'end', null)] : lines
}

function newestFirst(a: Position, b: Position): number {
  const order = b.at.getTime() - a.at.getTime()
  if (order !== 0) return order
  return a.id < b.id ? 1 : a.id > b.id ? -1 : 0
}

const isBeyond = (entry: Position, after: Position | null) => after === null || newestFirst(after, entry) < 0

/** `isBeyond` as a filter on rows whose entries are `kind:_id` at `field`. */
function beyond(kind: string, field: string, after: Position | null): Record<string, unknown> {
  if (after === null) return {}
  const earlier = { [field]: { $lt: after.at } }
  const prefix = `${kind}:`
  if (after.id.startsWith(prefix)) {
    return { $or: [earlier, { [field]: after.at, _id: { $lt: after.id.slice(prefix.length) } }] }
  }
  return prefix < after.id ? { [field]: { $lte: after.at } } : earlier
}

const writeCursor = ({ at, id }: Position) => Buffer.from(JSON.stringify([at.getTime(), id])).toString('base64url')

function readCursor(cursor: string): Position {
  try {
    const [at, id] = JSON.parse(Buffer.from(cursor, 'base64url').toString('utf8'))
    if (typeof at === 'number' && Math.abs(at) < 8.64e15 && typeof id === 'string') return { at: new Date(at), id }
  } catch {
    // said below
  }
  const message = 'not a cursor this list gave out'
  throw new InvalidInput(message, { errors: [{ pointer: '/cursor', code: 'cursor.invalid', message }] })
}

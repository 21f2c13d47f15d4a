import type { Collection } from 'mongodb'
import { WebhookEvent } from '../../shared/webhook.js'
import type { News, Webhooks } from '../webhooks/webhooks.js'
import type { MessageRow } from './model.js'

/** A row as the follower's batch has it written down: the class it had, the one it has now, and whether it was opened. */
type Moved = { id: string; seq: number; from: string | null; to: string; opened?: true }

const SHOWN = {
  personId: 1,
  runId: 1,
  campaignId: 1,
  templateId: 1,
  reference: 1,
  msgid: 1,
  test: 1,
  fell: 1,
  sentAt: 1,
  settledAt: 1,
  openedAt: 1,
  createdAt: 1
} as const
type Shown = Pick<MessageRow, '_id' | keyof typeof SHOWN>

/** Which events a step of a row is; `open` ones are none. */
export function eventsOf({ from, to, opened }: Moved): WebhookEvent[] {
  const events: string[] = from === to ? [] : [`message.${to.split(':')[0]!}`]
  if (opened === true) events.push('message.opened')
  return events.filter((event): event is WebhookEvent => (WebhookEvent.options as string[]).includes(event))
}

/**
 * Files what a batch of the follower did as news (docs/ledger.md E, F3). Ids are made of row and step, as the batch has
 * them, so that a batch repeated after a crash files each once. Where nobody listens it asks nothing of the store.
 */
export function createMessageNews({
  rows,
  webhooks
}: {
  rows: Collection<MessageRow>
  webhooks: Pick<Webhooks, 'wanted' | 'file'>
}) {
  return async (accountId: string, minute: Date, entries: Moved[]): Promise<void> => {
    const wanted = await webhooks.wanted(accountId)
    if (wanted.size === 0) return
    const told = entries.flatMap((entry) =>
      eventsOf(entry)
        .filter((event) => wanted.has(event))
        .map((event) => ({ entry, event }))
    )
    if (told.length === 0) return
    const ids = [...new Set(told.map(({ entry }) => entry.id))]
    const found = (await rows
      .find({ accountId, _id: { $in: ids } }, { projection: SHOWN })
      .toArray()) as unknown as Shown[]
    const byId = new Map(found.map((row) => [row._id, row]))
    const news = told.flatMap(({ entry, event }) => {
      const row = byId.get(entry.id)
      return row === undefined ? [] : [newsOf(accountId, row, entry, event, minute)]
    })
    await webhooks.file(news)
  }
}

function newsOf(accountId: string, row: Shown, { id, seq, to }: Moved, type: WebhookEvent, minute: Date): News {
  const opened = type === 'message.opened'
  const [state = '', ...rest] = to.split(':')
  const why = rest.length === 0 ? null : rest.join(':')
  const code = why !== null && /^-?\d+$/.test(why) ? Number(why) : null
  const { personId, runId, campaignId, templateId, reference, msgid, test } = row
  const at = (opened ? row.openedAt : (row.settledAt ?? row.sentAt)) ?? minute
  return {
    id: opened ? `${id}:${seq}:opened` : `${id}:${seq}`,
    type,
    at,
    accountId,
    personId,
    data: {
      id,
      accountId,
      campaignId,
      runId,
      templateId,
      personId,
      reference,
      state,
      reason: code === null ? why : null,
      code,
      msgid,
      test,
      // another account or template is tried in its place
      fallsBack: row.fell && state === 'failed',
      sentAt: row.sentAt?.toISOString() ?? null,
      ...(opened && { openedAt: at.toISOString() })
    }
  }
}

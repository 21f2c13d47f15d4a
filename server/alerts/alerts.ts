import type { UpdateFilter } from 'mongodb'
import type { Connection } from 'mongoose'
import type { AlertKind, AlertState, AlertView } from '../../shared/alert.js'
import { DAY_MS } from '../../shared/limits.js'
import type { PageQuery } from '../../shared/page.js'
import type { WebhookEvent } from '../../shared/webhook.js'
import type { Clock } from '../platform/clock.js'
import { newId } from '../platform/ids.js'
import type { Language } from '../platform/language.js'
import type { Log } from '../platform/log.js'
import { isDuplicateKey } from '../platform/mongo.js'
import { listPage, type Page } from '../platform/page.js'
import type { SettingsRoom } from '../settings/settings.js'
import type { News, Webhooks } from '../webhooks/webhooks.js'
import { alertModel, type AlertRow } from './model.js'
import { markdownOf, titleOf } from './texts.js'

/** What an alert is about. `name`: what of the account; empty for all of it. */
export type Subject = { accountId: string | null; name: string }

export type Alerts = ReturnType<typeof createAlerts>

const KEPT_DAYS = 180
/** The same is written at most this often by one process: a whole block of messages may have met it at once. */
const AGAIN_MS = 10_000
const REMEMBERED = 1_000
const TOLD_AT_ONCE = 100

/** What is wrong, once each: who fires, who clears, and telling of both. */
export function createAlerts({
  db,
  clock,
  log,
  settings,
  webhooks,
  accountName
}: {
  db: Connection
  clock: Clock
  log: Log
  settings: Pick<SettingsRoom, 'get'>
  webhooks: Pick<Webhooks, 'file'>
  /** What people call an account; null: it is not there any more. */
  accountName: (id: string) => Promise<string | null>
}) {
  const { rows, ready } = alertModel(db)
  const written = new Map<string, number>()

  const keyOf = (kind: AlertKind, { accountId, name }: Subject) => `${kind} ${accountId ?? ''} ${name}`

  /** Sees to it that the alert is open. @returns true when it was not before */
  async function open(row: AlertRow): Promise<boolean> {
    const { kind, accountId, subject, facts, lastAt, standing, _id, ...first } = row
    const filter = { kind, accountId, subject, state: 'open' as const }
    const { state: _state, count: _count, ...setOnInsert } = first
    const seen = { $set: { facts, lastAt, standing }, $inc: { count: 1 } }
    const update = { ...seen, $setOnInsert: { _id, ...setOnInsert } } as UpdateFilter<AlertRow>
    try {
      return (await rows.updateOne(filter, update, { upsert: true })).upsertedCount === 1
    } catch (error) {
      if (!isDuplicateKey(error)) throw error
      await rows.updateOne(filter, seen) // somebody was faster
      return false
    }
  }

  /** Tells what has not been told; repeated after a crash, under the same ids. */
  async function publish(): Promise<void> {
    const { language } = await settings.get()
    for (;;) {
      const found = await rows
        .find({ tell: { $in: ['fired', 'cleared'] } })
        .sort({ firedAt: 1 })
        .limit(TOLD_AT_ONCE)
        .toArray()
      for (const row of found) {
        const name = row.accountId === null ? null : await accountName(row.accountId)
        await webhooks.file(row.tell.flatMap((what) => newsOf(row, what, name, language)))
        await rows.updateOne({ _id: row._id }, { $pullAll: { tell: row.tell } })
      }
      if (found.length < TOLD_AT_ONCE) return
    }
  }

  /** At once where it can be; the job that collects news mends what fails here. */
  async function publishSoon(): Promise<void> {
    await publish().catch((error: unknown) => log.warn({ err: error }, 'an alert was not told yet; it will be'))
  }

  return {
    ready,

    /**
     * Something is wrong: fires the alert, or notes that it is still so. One that is switched off in the settings is only
     * logged. `standing`: it is looked at each minute; without it, silence ends it.
     */
    async raise(
      kind: AlertKind,
      subject: Subject,
      facts: Record<string, unknown>,
      { standing = false }: { standing?: boolean } = {}
    ): Promise<void> {
      const now = clock.now()
      const key = keyOf(kind, subject)
      if (now.getTime() - (written.get(key) ?? -Infinity) < AGAIN_MS) return
      if (written.size >= REMEMBERED) written.clear()
      written.set(key, now.getTime())
      const { thresholds } = await settings.get()
      if (!thresholds[kind].enabled)
        return void log.warn({ kind, ...subject, ...facts }, 'an alert that is switched off')
      const fresh: AlertRow = {
        _id: newId(),
        kind,
        accountId: subject.accountId,
        subject: subject.name,
        state: 'open',
        standing,
        facts,
        count: 1,
        firedAt: now,
        lastAt: now,
        clearedAt: null,
        tell: ['fired']
      }
      if (!(await open(fresh))) return
      log.warn({ kind, ...subject, ...facts }, 'an alert fired')
      await publishSoon()
    },

    /** It is over; nothing when none is open. @returns was there one? */
    async clear(kind: AlertKind, { accountId, name }: Subject): Promise<boolean> {
      const now = clock.now()
      const { modifiedCount } = await rows.updateOne(
        { kind, accountId, subject: name, state: 'open' },
        {
          $set: { state: 'cleared', clearedAt: now, removeAt: new Date(now.getTime() + KEPT_DAYS * DAY_MS) },
          $push: { tell: 'cleared' }
        }
      )
      written.delete(keyOf(kind, { accountId, name }))
      if (modifiedCount === 0) return false
      log.info({ kind, accountId, subject: name }, 'an alert is over')
      await publishSoon()
      return true
    },

    publish,

    /** Those of a kind that are open. */
    openOf: (kind: AlertKind): Promise<AlertRow[]> => rows.find({ kind, state: 'open' }).toArray(),

    /** One page, newest first. */
    page(
      filter: { state?: AlertState[] | undefined; kind?: AlertKind[] | undefined; accountIds: string[] | null },
      query: PageQuery,
      language: Language
    ): Promise<Page<AlertView>> {
      const { state, kind, accountIds } = filter
      return listPage<AlertRow, AlertView>(
        rows,
        {
          filter: {
            ...(state !== undefined && { state: { $in: state } }),
            ...(kind !== undefined && { kind: { $in: kind } }),
            ...(accountIds !== null && { accountId: { $in: accountIds } })
          },
          query,
          sortable: ['firedAt', 'lastAt'],
          defaultSort: '-firedAt'
        },
        (row) => alertView(row, language)
      )
    }
  }
}

function alertView({ _id, tell: _tell, standing: _standing, removeAt: _gone, ...row }: AlertRow, language: Language) {
  return { id: _id, ...row, title: titleOf(row, language) }
}

/** News of their own beside the alert's, for those who listen to one kind alone. */
const OWN_EVENT: Partial<Record<AlertKind, WebhookEvent>> = {
  credentials: 'credential.low',
  account: 'account.problem'
}

function newsOf(row: AlertRow, what: 'fired' | 'cleared', accountName: string | null, language: Language): News[] {
  const { _id, kind, subject, accountId, facts, firedAt, clearedAt } = row
  const at = what === 'fired' ? firedAt : (clearedAt ?? firedAt)
  const title = titleOf(row, language)
  const data = {
    id: _id,
    kind,
    accountId,
    subject,
    title,
    facts,
    firedAt: firedAt.toISOString(),
    ...(what === 'cleared' && { clearedAt: at.toISOString() })
  }
  const common = { at, accountId, data }
  const markdown = markdownOf({ ...row, accountName, what, at }, language)
  const all: News[] = [{ ...common, id: `${_id}:${what}`, type: `alert.${what}`, alert: { kind, markdown } }]
  const own = OWN_EVENT[kind]
  if (what === 'fired' && own !== undefined) all.push({ ...common, id: `${_id}:${own}`, type: own })
  return all
}

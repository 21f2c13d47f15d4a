import type { Collection } from 'mongodb'
import type { Account } from '../accounts/accounts.js'
import type { Clock } from '../platform/clock.js'
import { isDuplicateKey } from '../platform/mongo.js'
import type { TemplateKind } from '../../shared/template.js'
import type { WechatApi } from '../wechat/api.js'
import { changeOf, goneSince } from './drift.js'
import type { Drift, TemplateRow } from './model.js'
import { LEGACY_PAGE, readTemplates, type ReadTemplate } from './read.js'

/**
 * What one reading found, per kind; a kind that could not be read keeps its mirror. `drifted`: those of `changed` and
 * `removed` that nobody here had a hand in.
 */
export type SyncResult = {
  kinds: Partial<Record<TemplateKind, { count: number } | { problem: string }>>
  added: string[]
  changed: string[]
  removed: string[]
  drifted: string[]
}

export const nothingFound = (): SyncResult => ({ kinds: {}, added: [], changed: [], removed: [], drifted: [] })

const KEPT_DRIFTS = 20

export const rowId = (accountId: string, templateId: string) => `${accountId}:${templateId}`

/**
 * Keeps the rows as WeChat has the templates. Every write is one document and says which revision it goes by, so that
 * a reading that is repeated, cut off or done by two processes at once raises each alarm once.
 */
export function createMirror({
  rows,
  clock,
  wechat
}: {
  rows: Collection<TemplateRow>
  clock: Clock
  wechat: WechatApi
}) {
  const asSeen = (row: TemplateRow) => ({ _id: row._id, rev: row.rev ?? (null as never), syncedAt: row.syncedAt })
  const alarm = (drift: Drift) => ({ $push: { drifts: { $each: [drift], $slice: -KEPT_DRIFTS } } })

  async function insert(accountId: string, read: ReadTemplate, syncedAt: Date): Promise<boolean> {
    const fresh = {
      state: 'live' as const,
      syncedAt,
      deletedAt: null,
      rev: 1,
      drift: null,
      drifts: [],
      removingSince: null
    }
    try {
      await rows.insertOne({ _id: rowId(accountId, read.templateId), accountId, ...read, ...fresh })
      return true
    } catch (error) {
      if (!isDuplicateKey(error)) throw error
      return false
    }
  }

  /** Brings a known row up to what was read; says what that meant. */
  async function update(row: TemplateRow, read: ReadTemplate, at: Date, result: SyncResult): Promise<void> {
    const { templateId, ...fields } = read
    // Deleted here after the reading began: WeChat's answer is the older word.
    if (row.deletedAt !== null && row.deletedAt > at) return
    const returned = row.state === 'deleted'
    const change = changeOf(row, read, at)
    // Back as it was: what was said of its going is over.
    const settled = returned && change === null && row.drift?.kind === 'gone'
    const moved = returned || change !== null || row.content !== read.content
    // Still there though we were deleting it: that came to nothing. A deletion begun since is not this reading's business.
    const failed = row.removingSince != null && row.removingSince <= at
    const set = {
      ...fields,
      state: 'live' as const,
      syncedAt: at,
      deletedAt: null,
      ...(failed && { removingSince: null })
    }
    const { matchedCount } = await rows.updateOne(asSeen(row), {
      $set: { ...set, ...(change !== null && { drift: change }), ...(settled && { drift: null }) },
      $inc: { rev: moved ? 1 : 0 },
      ...(change !== null && alarm(change))
    })
    if (matchedCount === 0) return
    if (returned) result.added.push(templateId)
    else if (change !== null) result.changed.push(templateId)
    if (change !== null) result.drifted.push(templateId)
  }

  async function bury(row: TemplateRow, at: Date, result: SyncResult): Promise<void> {
    const drift = row.removingSince ? null : goneSince(row, at)
    const { matchedCount } = await rows.updateOne(asSeen(row), {
      $set: { state: 'deleted', deletedAt: at, removingSince: null, ...(drift !== null && { drift }) },
      $inc: { rev: 1 },
      ...(drift !== null && alarm(drift))
    })
    if (matchedCount === 0) return
    result.removed.push(row.templateId)
    if (drift !== null) result.drifted.push(row.templateId)
  }

  return {
    /** Reads one kind and brings the rows up to it: first what is there, then what is not any more. */
    async read(account: Account, kind: TemplateKind, result: SyncResult): Promise<void> {
      const startedAt = clock.now()
      const read = await readTemplates(wechat, account, kind)
      const known = new Map(
        (await rows.find({ accountId: account.id, kind }).toArray()).map((row) => [row.templateId, row])
      )
      for (const each of read) {
        const row = known.get(each.templateId)
        if (row !== undefined) await update(row, each, startedAt, result)
        else if (await insert(account.id, each, startedAt)) result.added.push(each.templateId)
      }
      const named = new Set(read.map((each) => each.templateId))
      // Only what was there before the reading began: one added meanwhile is not missing.
      let gone = [...known.values()].filter(
        (row) => row.state === 'live' && !named.has(row.templateId) && row.syncedAt <= startedAt
      )
      if (gone.length > 0 && kind === 'legacy' && read.length >= LEGACY_PAGE) {
        const again = new Set((await readTemplates(wechat, account, kind)).map((each) => each.templateId))
        gone = gone.filter((row) => !again.has(row.templateId))
      }
      for (const row of gone) await bury(row, startedAt, result)
      result.kinds[kind] = { count: read.length }
    },

    /** Keeps one that exists on WeChat but could not be read back; the next reading fills in its text. */
    insert,

    /** From now on its going is no drift. */
    async removing(row: Pick<TemplateRow, '_id'>): Promise<void> {
      await rows.updateOne({ _id: row._id, state: 'live' }, { $set: { removingSince: clock.now() } })
    },

    /** WeChat would not delete it. */
    async staying(row: Pick<TemplateRow, '_id'>): Promise<void> {
      await rows.updateOne({ _id: row._id, state: 'live' }, { $set: { removingSince: null } })
    },

    /** It is deleted, by us; an alarm about it is over. */
    async removed(row: Pick<TemplateRow, '_id'>): Promise<void> {
      await rows.updateOne(
        { _id: row._id, state: 'live' },
        { $set: { state: 'deleted', deletedAt: clock.now(), removingSince: null, drift: null }, $inc: { rev: 1 } }
      )
    },

    /** Somebody knows: the alarm is taken down and stays in the history. Nothing to do when none stands. */
    async acknowledge(id: string): Promise<void> {
      const row = await rows.findOne({ _id: id })
      if (row === null || !row.drift) return
      const readAt = clock.now()
      const drifts = (row.drifts ?? []).map((each) =>
        each.at.getTime() === row.drift!.at.getTime() ? { ...each, readAt } : each
      )
      await rows.updateOne(asSeen(row), { $set: { drift: null, drifts }, $inc: { rev: 1 } })
    }
  }
}

import type { Db, Document } from 'mongodb'
import { rowOf } from '../server/messages/plan.js'
import { FAR } from '../server/messages/model.js'
import { newId } from '../server/platform/ids.js'
import { DAY_MS, KEPT_DAYS, MINUTE_MS } from '../shared/limits.js'
import { fill } from './crowd.js'

const TEMPLATE = 'BenchTemplate_'.padEnd(43, '0')

/** Campaigns as they would lie in the store, one made a minute. @returns their ids, the oldest first */
export async function putCampaigns(db: Db, accountId: string, count: number, now: Date): Promise<string[]> {
  const ids = Array.from({ length: count }, () => newId())
  await fill(db.collection('campaigns'), count, (i) => {
    const at = new Date(now.getTime() - (count - i) * MINUTE_MS)
    return {
      _id: ids[i]!,
      name: `活动 ${i}`,
      accountId,
      audienceId: null,
      templateId: TEMPLATE,
      lane: 'bulk',
      trigger: { kind: 'once', at, zone: 'Asia/Shanghai' },
      content: {},
      open: null,
      missingVariable: 'skip',
      waitForCredential: false,
      state: i % 10 === 0 ? 'draft' : 'finished',
      stateReason: null,
      template: null,
      nextAt: null,
      runId: null,
      activatedAt: at,
      rev: 1,
      moves: [],
      createdAt: at,
      updatedAt: at
    } as Document
  })
  return ids
}

/**
 * Messages that have ended, planned over thirty days: one in a hundred failed, and of those one in ten with a code hardly
 * any has. `of` says whose each is.
 */
export async function putMessages(
  db: Db,
  count: number,
  now: Date,
  of: (i: number) => { accountId: string; campaignId: string; runId: string }
): Promise<void> {
  const step = (30 * DAY_MS) / count
  await fill(db.collection('messages'), count, (i) => {
    const at = new Date(now.getTime() - (count - i) * step)
    const failed = i % 100 === 0
    const code = i % 1000 === 0 ? 47003 : 43101
    const planned = rowOf(
      {
        id: `bench${String(i).padStart(20, '0')}`,
        ...of(i),
        recipientId: `r${i % 50_000}`,
        personId: `p${i % 50_000}`,
        lane: 'bulk',
        channel: 'legacy',
        templateId: TEMPLATE,
        data: { keyword1: { value: `D${i}` }, keyword2: { value: '飞雁速运' } },
        open: null,
        dueAt: at,
        notAfter: new Date(at.getTime() + DAY_MS),
        waitForCredential: false,
        told: true
      },
      at
    )
    const state = failed ? 'failed' : 'accepted'
    const why = failed ? { code, reason: String(code), by: 'answer' } : {}
    return {
      ...planned,
      ...why,
      state,
      due: FAR,
      sentAt: at,
      settledAt: at,
      attempt: 1,
      counted: failed ? `failed:${code}` : 'accepted',
      removeAt: new Date(now.getTime() + KEPT_DAYS.messages * DAY_MS)
    } as Document
  })
}

/** A zone in which it is late in the evening: a day's counters lie behind it. */
export function eveningZone(now: Date): string {
  const ahead = (((23 - now.getUTCHours()) % 24) + 24) % 24
  const offset = ahead > 12 ? ahead - 24 : ahead
  return offset === 0 ? 'UTC' : `Etc/GMT${offset > 0 ? '-' : '+'}${Math.abs(offset)}`
}

/** Runs that are being sent since yesterday, and the minutes they were counted in. */
export type Sending = {
  /** Adds so many accepted messages to the minute of `now`, spread over the runs. */
  took(messages: number, now: Date): Promise<void>
}

/** Runs of these campaigns that took `perSecond` messages together for a whole day, and have as many before them. */
export async function putRuns(
  db: Db,
  accountId: string,
  campaignIds: readonly string[],
  perSecond: number,
  now: Date
): Promise<Sending> {
  const runs = campaignIds.map((campaignId) => ({ campaignId, runId: newId() }))
  const each = Math.round((perSecond * 60) / runs.length)
  const counter = (i: number, minute: Date, n: Record<string, number>) => ({
    _id: `${accountId}|${runs[i]!.runId}|${minute.getTime()}|${TEMPLATE}`,
    accountId,
    ...runs[i]!,
    templateId: TEMPLATE,
    channel: 'legacy',
    minute,
    b: 1,
    n,
    removeAt: new Date(now.getTime() + KEPT_DAYS.counters * DAY_MS)
  })
  const minutes = DAY_MS / MINUTE_MS
  const first = Math.floor(now.getTime() / MINUTE_MS) * MINUTE_MS - (minutes - 1) * MINUTE_MS
  await fill(db.collection('runs'), runs.length, (i) => ({
    _id: runs[i]!.runId as unknown as Document['_id'],
    campaignId: runs[i]!.campaignId,
    accountId,
    templateId: TEMPLATE,
    lane: 'bulk',
    state: 'sending',
    paused: false,
    heldReason: null,
    cursor: null,
    instant: new Date(first),
    startedAt: new Date(first),
    movedAt: now,
    finishedAt: null,
    notAfter: new Date(now.getTime() + DAY_MS),
    snapshot: null,
    test: false,
    openUntil: new Date(now.getTime() + DAY_MS)
  }))
  await fill(db.collection('counters'), runs.length * minutes, (k) => {
    const [i, m] = [k % runs.length, Math.floor(k / runs.length)]
    const born: Record<string, number> = m === 0 ? { open: 2 * minutes * each } : { open: 0 }
    // the minute under way holds as much as has gone by of it
    const took = m === minutes - 1 ? Math.round((each * (now.getTime() % MINUTE_MS)) / MINUTE_MS) : each
    const n = { open: born.open! - took, accepted: took - 10, 'failed:43101': 5, 'skipped:noCredential': 5 }
    return counter(i, new Date(first + m * MINUTE_MS), n)
  })
  return {
    async took(messages, at) {
      const minute = new Date(Math.floor(at.getTime() / MINUTE_MS) * MINUTE_MS)
      const part = Math.round(messages / runs.length)
      await db.collection('counters').bulkWrite(
        runs.map((_, i) => {
          const { _id, n: _n, ...rest } = counter(i, minute, {})
          return {
            updateOne: {
              filter: { _id: _id as unknown as Document['_id'] },
              update: { $inc: { 'n.accepted': part, 'n.open': -part }, $setOnInsert: rest },
              upsert: true
            }
          }
        }) as Parameters<ReturnType<Db['collection']>['bulkWrite']>[0]
      )
    }
  }
}

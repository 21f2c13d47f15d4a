import type { SkipReason } from '../../shared/message.js'
import { DAY_MS, KEPT_DAYS } from '../../shared/limits.js'
import { FAR, type MessageRow } from './model.js'

/** Rows are kept this long after the day they were due. */
const KEPT_MS = KEPT_DAYS.messages * DAY_MS

type Asked =
  | 'accountId'
  | 'recipientId'
  | 'personId'
  | 'runId'
  | 'campaignId'
  | 'lane'
  | 'channel'
  | 'templateId'
  | 'data'
  | 'open'
  | 'dueAt'
  | 'notAfter'
  | 'waitForCredential'
type May =
  'emphasis' | 'reference' | 'topic' | 'test' | 'waitId' | 'fallback' | 'fellFrom' | 'step' | 'bodyHash' | 'capLimit'

/** One message to plan. */
export type PlanInput = Pick<MessageRow, Asked> &
  Partial<Pick<MessageRow, May>> & {
    /** Derived (messageId), so that planning again changes nothing. */
    id: string
    /** Known beforehand not to go: filed as skipped, counted and listable. */
    skip?: { reason: SkipReason; detail?: string }
    /** Its run tells the counters of it (H), so that the row itself has nothing to say yet. */
    told?: boolean
  }

/** The row a plan becomes. Pure. */
export function rowOf(input: PlanInput, now: Date): MessageRow {
  const skip = input.skip
  const told = input.told === true && skip === undefined
  return {
    _id: input.id,
    accountId: input.accountId,
    recipientId: input.recipientId,
    personId: input.personId,
    runId: input.runId,
    campaignId: input.campaignId,
    lane: input.lane,
    channel: input.channel,
    templateId: input.templateId,
    data: input.data,
    open: input.open,
    emphasis: input.emphasis ?? null,
    reference: input.reference ?? null,
    topic: input.topic ?? null,
    test: input.test ?? false,
    waitForCredential: input.waitForCredential,
    state: skip === undefined ? 'planned' : 'skipped',
    reason: skip?.reason ?? null,
    detail: skip?.detail ?? null,
    code: null,
    by: null,
    n: 0,
    lease: null,
    // A test is waited for by somebody: it is the first of its lane.
    due: skip !== undefined ? FAR : input.test === true ? new Date(0) : input.dueAt,
    dueAt: input.dueAt,
    notAfter: input.notAfter,
    parked: false,
    parks: 0,
    waitingFor: skip === undefined && input.dueAt > now ? 'time' : null,
    hold: null,
    cap: null,
    window: null,
    attempt: 0,
    round: 0,
    sentAt: null,
    settledAt: skip === undefined ? null : now,
    msgid: null,
    closed: false,
    waitId: input.waitId ?? null,
    fallback: input.fallback ?? [],
    fell: false,
    bodyHash: input.bodyHash ?? null,
    ...(input.capLimit !== undefined && { capLimit: input.capLimit }),
    fellFrom: input.fellFrom ?? null,
    step: input.step ?? 0,
    seq: 1,
    todo: !told,
    counted: told ? 'open' : null,
    tally: 0,
    log: [],
    createdAt: now,
    removeAt: new Date(Math.max(now.getTime(), input.dueAt.getTime()) + KEPT_MS)
  }
}

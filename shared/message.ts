import { z } from 'zod'
import { Instant } from './instant.js'
import { Content, Open } from './template.js'
import { To } from './person.js'
import { FALLBACKS, MESSAGE_BATCH } from './limits.js'

export const MessageState = z.enum([
  'planned',
  'held',
  'sending',
  'accepted',
  'delivered',
  'failed',
  'unknown',
  'skipped',
  'expired'
])
export type MessageState = z.infer<typeof MessageState>

export const SkipReason = z.enum([
  'notInAccount',
  'noCredential',
  'capped',
  'quietHours',
  'optedOut',
  'suppressed',
  'missingVariable',
  'invalidValue',
  'sensitiveWord',
  'overDailyBudget',
  'cancelled'
])
export type SkipReason = z.infer<typeof SkipReason>

export const WaitingFor = z.enum(['time', 'credential', 'quietHours', 'quota', 'penalty', 'breaker'])
export const Lane = z.enum(['transactional', 'bulk'])
export type Lane = z.infer<typeof Lane>
export const Scene = z.enum(['payment', 'appointment', 'logistics'])
export type Scene = z.infer<typeof Scene>

const Fallback = z.strictObject({
  accountId: z.string(),
  templateId: z.string(),
  content: Content,
  open: Open.optional()
})

const body = {
  to: To,
  templateId: z.string().min(1).max(64),
  content: Content,
  emphasis: z.string().max(64).optional(),
  open: Open.optional(),
  lane: Lane.default('transactional'),
  at: Instant.optional(),
  notAfter: Instant.optional(),
  scene: Scene.optional(),
  waitForCredential: z.boolean().default(false),
  /** The caller's own name for it, e.g. an order number; searchable, cancels in one call. */
  reference: z.string().min(1).max(128).optional(),
  /** Content is Liquid over `data`; otherwise it is literal. */
  templated: z.boolean().default(false),
  data: z.record(z.string(), z.unknown()).optional(),
  tooLong: z.enum(['cut', 'skip', 'fail']).optional(),
  fallback: z.array(Fallback).max(FALLBACKS).optional()
}

export const MessagePost = z.strictObject({ accountId: z.string(), ...body })
export type MessagePost = z.infer<typeof MessagePost>

export const MessageBatchPost = z.strictObject({
  accountId: z.string(),
  items: z
    .array(z.strictObject({ id: z.string().min(1).max(64), ...body }))
    .min(1)
    .max(MESSAGE_BATCH)
})

export const MessagePosted = z.object({
  id: z.string(),
  state: MessageState,
  reference: z.string().nullable(),
  reachable: z.object({ now: z.boolean(), atSendTime: z.boolean(), reason: z.string().optional() })
})
export const MessageBatchPosted = z.object({
  items: z.array(
    z.object({
      id: z.string(),
      verdict: z.enum(['planned', 'refused']),
      message: MessagePosted.optional(),
      errors: z.array(z.object({ pointer: z.string(), code: z.string(), message: z.string() })).optional()
    })
  )
})

export const MessagePatch = z.strictObject({ at: Instant, content: Content, notAfter: Instant }).partial()
export const MessageCancelPost = z.strictObject({ accountId: z.string(), reference: z.string().min(1).max(128) })

export const MessageView = z.object({
  id: z.string(),
  accountId: z.string(),
  recipientId: z.string().nullable(),
  personId: z.string().nullable(),
  runId: z.string().nullable(),
  campaignId: z.string().nullable(),
  templateId: z.string(),
  lane: Lane,
  state: MessageState,
  reason: z.string().nullable(),
  /** What decided the state: answer, receipt, operator, inferred, or ourselves. */
  by: z.string().nullable(),
  code: z.int().nullable(),
  waitingFor: WaitingFor.nullable(),
  reference: z.string().nullable(),
  msgid: z.string().nullable(),
  dueAt: Instant,
  notAfter: Instant,
  sentAt: Instant.nullable(),
  settledAt: Instant.nullable(),
  /** When the person first opened the card, as far as it was told. */
  openedAt: Instant.nullable(),
  attempts: z.int(),
  test: z.boolean(),
  createdAt: Instant
})
export type MessageView = z.infer<typeof MessageView>

export const MessageDetail = MessageView.extend({
  data: z.record(z.string(), z.object({ value: z.string(), color: z.string().optional() })),
  open: Open.nullable(),
  credential: z.object({ id: z.string(), source: z.string() }).nullable(),
  attemptLog: z.array(
    z.object({
      at: Instant,
      code: z.int().nullable(),
      kind: z.string(),
      latencyMs: z.int().nullable(),
      rid: z.string().nullable(),
      note: z.string().nullable()
    })
  )
})
export const ResolvePost = z.strictObject({ as: z.enum(['accepted', 'failed']) })

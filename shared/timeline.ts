import { z } from 'zod'
import { Source } from './credential.js'
import { Instant } from './instant.js'
import { Lane, MessageState } from './message.js'

const entry = {
  id: z.string(),
  at: Instant,
  /** null: not about one account. */
  accountId: z.string().nullable(),
  recipientId: z.string().nullable(),
  /** Only for callers with the scope recipients:identify. */
  openId: z.string().optional()
}

/** One thing that happened to a person, or that they did. */
export const TimelineEntry = z.discriminatedUnion('kind', [
  z.object({ ...entry, kind: z.literal('event'), name: z.string(), properties: z.record(z.string(), z.unknown()) }),
  z.object({
    ...entry,
    kind: z.literal('credential'),
    credentialId: z.string(),
    /** `captured`, `spent`, `refunded`, `returned`, `burned …`, `expired`. */
    what: z.string(),
    source: Source,
    templateId: z.string().nullable(),
    messageId: z.string().nullable()
  }),
  z.object({
    ...entry,
    kind: z.literal('message'),
    messageId: z.string(),
    campaignId: z.string().nullable(),
    runId: z.string().nullable(),
    templateId: z.string(),
    lane: Lane,
    test: z.boolean(),
    /** As it is now; `at` is when it was planned. */
    state: MessageState,
    reason: z.string().nullable(),
    dueAt: Instant,
    sentAt: Instant.nullable(),
    settledAt: Instant.nullable()
  }),
  z.object({ ...entry, kind: z.literal('open'), messageId: z.string() }),
  z.object({ ...entry, kind: z.literal('optOut'), topic: z.string().nullable(), by: z.string() }),
  z.object({ ...entry, kind: z.literal('reach'), reach: z.enum(['ok', 'blocked', 'unfollowed']) })
])
export type TimelineEntry = z.output<typeof TimelineEntry>

export const TimelineQuery = z.object({
  limit: z.coerce.number().int().min(1).max(100).default(20),
  cursor: z.string().max(500).optional()
})

/** What a message has to pass, in the order it does. */
export const GateName = z.enum([
  'campaign',
  'audience',
  'recipient',
  'reentry',
  'content',
  'template',
  'optedOut',
  'suppressed',
  'follower',
  'account',
  'breaker',
  'quietHours',
  'credential',
  'cap',
  'interface'
])
export type GateName = z.infer<typeof GateName>

/** `detail` says why not, or what it passes by; null when there is nothing to say. */
export const GateView = z.object({ gate: GateName, pass: z.boolean(), detail: z.string().nullable() })
export type GateView = z.infer<typeof GateView>

/** A campaign, or a template of an account. */
export const WhyNotQuery = z.object({
  campaignId: z.string().max(64).optional(),
  accountId: z.string().max(64).optional(),
  templateId: z.string().max(64).optional(),
  lane: Lane.default('bulk'),
  topic: z.string().max(40).optional()
})

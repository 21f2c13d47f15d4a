import { z } from 'zod'
import { Instant } from './instant.js'

export const WebhookEvent = z.enum([
  'message.accepted',
  'message.delivered',
  'message.failed',
  'message.skipped',
  'message.unknown',
  'message.expired',
  'message.opened',
  'campaign.state',
  'credential.low',
  'account.problem',
  'alert.fired',
  'alert.cleared'
])
export type WebhookEvent = z.infer<typeof WebhookEvent>

/** What `POST …/test` sends; nobody subscribes to it. */
export const TEST_EVENT = 'webhook.test'

/** Webhooks of one installation at most; ours. */
export const WEBHOOKS = 50

const body = {
  name: z.string().min(1).max(60).optional(),
  /** https, or http for hosts the installation allows by name; no user or password in it. */
  url: z.url({ protocol: /^https?$/ }).max(2_000),
  events: z
    .array(WebhookEvent)
    .min(1)
    .transform((events) => [...new Set(events)]),
  /** Only what concerns these accounts; null: all there are. */
  accountIds: z.array(z.string()).min(1).max(100).nullable().optional()
}

export const WebhookCreate = z.strictObject(body)
export type WebhookCreate = z.infer<typeof WebhookCreate>
/** `enabled: true` also switches one on again that was switched off for failing. */
export const WebhookPatch = z.strictObject({ ...body, enabled: z.boolean() }).partial()
export type WebhookPatch = z.infer<typeof WebhookPatch>

export const WebhookView = z.object({
  id: z.string(),
  name: z.string().nullable(),
  url: z.string(),
  events: z.array(WebhookEvent),
  accountIds: z.array(z.string()).nullable(),
  enabled: z.boolean(),
  /** Why we switched it off; null: we did not. */
  disabledReason: z.string().nullable(),
  /** Since when nothing arrives there; null: the last delivery did. */
  failingSince: Instant.nullable(),
  lastSuccessAt: Instant.nullable(),
  createdAt: Instant,
  updatedAt: Instant
})
export type WebhookView = z.infer<typeof WebhookView>
/** `secret`: shown this once, kept sealed. */
export const WebhookCreated = WebhookView.extend({ secret: z.string() })

/** The new secret; deliveries are signed with the old one too until then. */
export const WebhookSecret = z.object({ secret: z.string(), oldUntil: Instant })

export const DeliveryState = z.enum(['waiting', 'delivered', 'failed'])
export type DeliveryState = z.infer<typeof DeliveryState>

export const DeliveryView = z.object({
  id: z.string(),
  /** The `webhook-id` header: the same for every attempt, and at every webhook that is told of it. */
  webhookId: z.string(),
  event: z.string(),
  state: DeliveryState,
  attempts: z.array(z.object({ at: Instant, status: z.int().nullable(), ms: z.int(), error: z.string().nullable() })),
  /** When it is tried next; null: not any more. */
  nextAt: Instant.nullable(),
  createdAt: Instant
})
export type DeliveryView = z.infer<typeof DeliveryView>

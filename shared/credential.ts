import { z } from 'zod'
import { Instant } from './instant.js'
import { BACKEND_BATCH } from './limits.js'

/** Where a right to send came from. */
export const Source = z.enum([
  'form',
  'payment',
  'grant',
  'longTermGrant',
  'follow',
  'scan',
  'menu',
  'reply',
  'servicePayment'
])
export type Source = z.infer<typeof Source>

export const CredentialState = z.enum(['pending', 'live', 'dead'])
export type CredentialState = z.infer<typeof CredentialState>

/** What became of one item handed in. */
export const Verdict = z.enum(['stored', 'duplicate', 'refused'])
export const RefusedReason = z.enum([
  'mock',
  'failed',
  'retired',
  'expired',
  'malformed',
  'overQuota',
  'rejected',
  'unknownTemplate'
])
export type RefusedReason = z.infer<typeof RefusedReason>
export const ItemVerdict = z.object({ id: z.string(), verdict: Verdict, reason: RefusedReason.optional() })
export type ItemVerdict = z.infer<typeof ItemVerdict>
export const Verdicts = z.object({ items: z.array(ItemVerdict) })

/** Backends hand in rights they hold themselves. */
export const CredentialsPost = z.strictObject({
  accountId: z.string(),
  items: z
    .array(
      z.strictObject({
        id: z.string().min(1).max(64),
        openId: z.string().min(1).max(64),
        source: z.enum(['form', 'payment', 'grant']),
        value: z.string().max(512).optional(),
        templateId: z.string().max(64).optional(),
        result: z.string().max(64).optional(),
        caughtAt: Instant.optional(),
        orderId: z.string().max(64).optional()
      })
    )
    .min(1)
    .max(BACKEND_BATCH)
})
export type CredentialsPost = z.infer<typeof CredentialsPost>

/** A backend says that an order was paid; may come before the phone's report. */
export const CredentialConfirm = z.strictObject({
  accountId: z.string(),
  orderId: z.string().min(1).max(64),
  paidAt: Instant,
  openId: z.string().optional()
})

export const CredentialView = z.object({
  id: z.string(),
  accountId: z.string(),
  recipientId: z.string(),
  source: Source,
  templateId: z.string().nullable(),
  /** Only enough of the value to tell two apart. */
  value: z.string(),
  state: CredentialState,
  why: z.string().nullable(),
  sendsLeft: z.int(),
  held: z.int(),
  spent: z.int(),
  unlimited: z.boolean(),
  place: z.string().nullable(),
  orderId: z.string().nullable(),
  mintedAt: Instant,
  notBefore: Instant,
  expiresAt: Instant.nullable(),
  createdAt: Instant
})
export type CredentialView = z.infer<typeof CredentialView>
export const CredentialDetail = CredentialView.extend({
  history: z.array(z.object({ at: Instant, what: z.string(), messageId: z.string().nullable() }))
})

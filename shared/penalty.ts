import { z } from 'zod'
import { Instant } from './instant.js'

/**
 * What a penalty of WeChat's is about: a source of rights (`form`, `payment`), one interface, adding templates
 * (`management`), or all sends of the account.
 */
export const PenaltyApi = z.enum(['form', 'payment', 'legacy', 'subscribe', 'service', 'management', 'all'])
export type PenaltyApi = z.infer<typeof PenaltyApi>

/** What WeChat holds against an account. While `blockedUntil` is to come, messages that need `api` wait. */
export const Penalty = z.strictObject({
  /** How often the account has offended, as far as known. */
  offences: z.int().min(0).max(1_000),
  /** null: nothing is held, it is only noted; the year 9999: for good. */
  blockedUntil: Instant.nullable(),
  api: PenaltyApi,
  note: z.string().max(500)
})
export type Penalty = z.infer<typeof Penalty>

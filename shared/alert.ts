import { z } from 'zod'
import { Instant } from './instant.js'

/**
 * What can be wrong, five kinds of our own and one about webhooks themselves: too many messages fail; rights to send run
 * out; messages go out late; WeChat or somebody else gets in an account's way; a breaker stopped sending; a webhook was
 * switched off because nothing arrived there any more.
 */
export const AlertKind = z.enum(['failures', 'credentials', 'queue', 'account', 'breaker', 'webhook'])
export type AlertKind = z.infer<typeof AlertKind>

export const AlertState = z.enum(['open', 'cleared'])
export type AlertState = z.infer<typeof AlertState>

/** One alert, from when it fired to when it was over; of each kind and subject one is open at a time. */
export const AlertView = z.object({
  id: z.string(),
  kind: AlertKind,
  /** What of the account it is about; empty: all of it. */
  subject: z.string(),
  /** null: not about an account. */
  accountId: z.string().nullable(),
  state: AlertState,
  /** In the caller's language. */
  title: z.string(),
  /** The figures it fired or was last seen with. */
  facts: z.record(z.string(), z.unknown()),
  /** How often it was seen, at most once in ten seconds. */
  count: z.int(),
  firedAt: Instant,
  lastAt: Instant,
  clearedAt: Instant.nullable()
})
export type AlertView = z.infer<typeof AlertView>

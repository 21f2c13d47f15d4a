import { z } from 'zod'
import { Instant } from './instant.js'

/** Whom a code is for: the operator who makes it, or somebody they hand it to. */
export const TesterCodePost = z.strictObject({ for: z.enum(['me', 'others']).default('me') })
export type TesterCodePost = z.infer<typeof TesterCodePost>

/** Good once, for 10 minutes: sent to the service account as a message, or typed in the kit. */
export const TesterCode = z.object({ code: z.string(), expiresAt: Instant })

/** Somebody who is sent tests of an account's campaigns. */
export const TesterView = z.object({
  id: z.string(),
  recipientId: z.string(),
  /** null: nobody any more. */
  personId: z.string().nullable(),
  /** The operator whose own enrolment this is; null for others. */
  operatorId: z.string().nullable(),
  via: z.enum(['message', 'phone']),
  enrolledAt: Instant
})
export type TesterView = z.infer<typeof TesterView>

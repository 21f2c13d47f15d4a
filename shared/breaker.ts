import { z } from 'zod'
import { Instant } from './instant.js'

const share = z.number().gt(0).max(1)

/** When a breaker trips and how it tries again; what is left out keeps its default. */
export const BreakerSettings = z.strictObject({
  /** How far back it looks, in ms; whole minutes. */
  windowMs: z.int().min(60_000).max(3_600_000).multipleOf(60_000).optional(),
  /** Fewer answers of a template in the window prove nothing. */
  minMessages: z.int().min(1).max(100_000).optional(),
  /** As `minMessages`, of the whole account. */
  minAccountMessages: z.int().min(1).max(1_000_000).optional(),
  /** The share of answers that is too many, by kind. */
  shares: z.strictObject({ block: share.optional(), refusal: share.optional(), failure: share.optional() }).optional(),
  /** After a trip nothing is tried for this long, in ms; twice as long each time a try fails, 16 times at most. */
  restMs: z
    .int()
    .min(60_000)
    .max(7 * 86_400_000)
    .optional(),
  /** How many messages try whether things are better. */
  probes: z.int().min(1).max(1_000).optional()
})
export type BreakerSettings = z.infer<typeof BreakerSettings>

export const BreakerState = z.enum(['closed', 'open', 'halfOpen'])
export type BreakerState = z.infer<typeof BreakerState>

/** What tripped it: people blocked the sender, refused its messages, other codes, or WeChat punishes the account. */
export const BreakerReason = z.enum(['block', 'refusal', 'failure', 'punished'])
export type BreakerReason = z.infer<typeof BreakerReason>

/** Answers of a window by kind; `total` is their sum. */
export const BreakerNumbers = z.object({
  ok: z.int(),
  block: z.int(),
  refusal: z.int(),
  failure: z.int(),
  punished: z.int(),
  total: z.int()
})
export type BreakerNumbers = z.infer<typeof BreakerNumbers>

export const BreakerView = z.object({
  id: z.string(),
  accountId: z.string(),
  /** null: the breaker of the whole account. */
  templateId: z.string().nullable(),
  state: BreakerState,
  reason: BreakerReason.nullable(),
  /** Of the window that ends now. */
  numbers: BreakerNumbers,
  /** Of the window it tripped on; null while it is closed. */
  tripped: BreakerNumbers.nullable(),
  changedAt: Instant,
  /** open: when it tries again by itself; otherwise null. */
  triesAt: Instant.nullable(),
  /** Trips since it was last closed. */
  trips: z.int()
})
export type BreakerView = z.infer<typeof BreakerView>

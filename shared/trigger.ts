import { z } from 'zod'
import { Instant, Zone } from './instant.js'
import { Where } from './audience.js'

export const Reentry = z.union([z.enum(['once', 'each']), z.strictObject({ perDays: z.number().positive().max(365) })])
export type Reentry = z.infer<typeof Reentry>

/** What makes a campaign send. */
export const Trigger = z.discriminatedUnion('kind', [
  z.strictObject({ kind: z.literal('once'), at: Instant, zone: Zone.default('Asia/Shanghai') }),
  z.strictObject({
    kind: z.literal('event'),
    event: z.string().min(1).max(64),
    where: Where.optional(),
    reentry: Reentry.default('each')
  })
])
export type Trigger = z.infer<typeof Trigger>

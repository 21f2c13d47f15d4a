import { z } from 'zod'
import { Instant } from './instant.js'
import { BACKEND_BATCH } from './limits.js'
import { EventItem } from './capture.js'

/** Backends post what people did; each item names one person in one way. */
export const EventsPost = z.strictObject({
  accountId: z.string().optional(),
  items: z
    .array(
      EventItem.extend({
        openId: z.string().max(64).optional(),
        personId: z.string().max(64).optional(),
        externalId: z.string().max(128).optional()
      })
    )
    .min(1)
    .max(BACKEND_BATCH)
})
export type EventsPost = z.infer<typeof EventsPost>

export const EventView = z.object({
  id: z.string(),
  name: z.string(),
  personId: z.string().nullable(),
  accountId: z.string().nullable(),
  at: Instant,
  receivedAt: Instant,
  properties: z.record(z.string(), z.unknown())
})

import { z } from 'zod'
import { Instant } from './instant.js'
import { TimelineEntry } from './timeline.js'

/** All that is kept of one person. */
export const PersonExport = z.object({
  exportedAt: Instant,
  /** false: there is more than fits; the oldest is left out. */
  complete: z.boolean(),
  person: z.object({
    id: z.string(),
    /** Ids of persons who turned out to be this one. */
    was: z.array(z.string()),
    externalId: z.string().nullable(),
    /** Only for callers with the scope recipients:identify, as are openids. */
    unionId: z.string().nullable(),
    attributes: z.record(z.string(), z.unknown()),
    tags: z.record(z.string(), z.unknown()),
    optedOut: z.boolean(),
    topics: z.array(z.string()),
    createdAt: Instant
  }),
  recipients: z.array(
    z.object({
      id: z.string(),
      accountId: z.string(),
      openId: z.string().nullable(),
      reach: z.string(),
      follower: z.boolean()
    })
  ),
  optOuts: z.array(z.object({ topic: z.string().nullable(), by: z.string(), createdAt: Instant })),
  /** What was said to them. */
  messages: z.array(
    z.object({
      id: z.string(),
      accountId: z.string(),
      templateId: z.string(),
      data: z.record(z.string(), z.unknown()),
      open: z.unknown(),
      reference: z.string().nullable(),
      createdAt: Instant
    })
  ),
  /** What they did and what happened to them, newest first. */
  timeline: z.array(TimelineEntry)
})
export type PersonExport = z.output<typeof PersonExport>

import { z } from 'zod'
import { Instant } from './instant.js'
import { AttributeValue } from './person.js'

export const Operator = z.enum(['eq', 'ne', 'in', 'gt', 'gte', 'lt', 'lte', 'exists', 'contains'])
const value = z.union([AttributeValue, z.array(AttributeValue).max(1000)])
const name = z.string().min(1).max(64)

/** A rule over people: all/any/not of attribute, tag, did (events), reachable. An empty `all` means everybody. */
export type Rule =
  | { all: Rule[] }
  | { any: Rule[] }
  | { not: Rule[] }
  | { attribute: string; op: z.infer<typeof Operator>; value?: z.infer<typeof value> }
  | { tag: string; op: z.infer<typeof Operator>; value?: z.infer<typeof value> }
  | { did: string; where?: Record<string, unknown>; atLeast?: number; withinDays?: number }
  | { reachable: true; templateId?: string }

/** Comparison of properties: `{ "amount": { "gte": 100 }, "city": "上海" }` */
export const Where = z.record(z.string().max(64), z.union([AttributeValue, z.partialRecord(Operator, value)]))
export type Where = z.infer<typeof Where>

export const Rule: z.ZodType<Rule> = z
  .lazy(() =>
    z.union([
      z.strictObject({ all: z.array(Rule).max(50) }),
      z.strictObject({ any: z.array(Rule).min(1).max(50) }),
      z.strictObject({ not: z.array(Rule).min(1).max(50) }),
      z.strictObject({ attribute: name, op: Operator, value: value.optional() }),
      z.strictObject({ tag: name, op: Operator, value: value.optional() }),
      z.strictObject({
        did: name,
        where: Where.optional(),
        atLeast: z.int().min(1).max(1000).optional(),
        withinDays: z.number().positive().max(365).optional()
      }),
      z.strictObject({ reachable: z.literal(true), templateId: z.string().max(64).optional() })
    ])
  )
  .meta({ id: 'AudienceRule' }) as z.ZodType<Rule>

export const AudienceCreate = z.strictObject({
  name: z.string().min(1).max(60),
  rule: Rule.optional(),
  /** A fixed list instead of a rule. */
  personIds: z.array(z.string()).max(10_000).optional()
})
export const AudiencePatch = AudienceCreate.partial()
export const AudienceView = z.object({
  id: z.string(),
  name: z.string(),
  rule: Rule.nullable(),
  personIds: z.array(z.string()).nullable(),
  /** How many people imports put into a fixed list, besides `personIds`. */
  imported: z.int(),
  createdAt: Instant,
  updatedAt: Instant
})
export const AudiencePreviewPost = z.strictObject({
  accountId: z.string(),
  rule: Rule,
  templateId: z.string().optional()
})
export const AudiencePreview = z.object({
  count: z.int(),
  /** 0: `count` was counted. Else it is estimated, and 95 of 100 times the true number is within so many of it. */
  countMargin: z.int(),
  reachable: z.int(),
  /** As `countMargin`. */
  reachableMargin: z.int(),
  samples: z.array(z.object({ personId: z.string(), attributes: z.record(z.string(), AttributeValue) }))
})

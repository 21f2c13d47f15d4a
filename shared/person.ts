import { z } from 'zod'
import { Instant } from './instant.js'

export const AttributeValue = z.union([z.string().max(500), z.number(), z.boolean()])
// An object with a field called _bsontype is no plain one to MongoDB's drivers.
const key = z.string().regex(/^(?!_bsontype$)[A-Za-z_][A-Za-z0-9_]{0,63}$/)
const tag = z
  .string()
  .min(1)
  .max(64)
  .regex(/^(?!_bsontype$)/)
export const Attributes = z.record(key, AttributeValue)
export const Tags = z.record(tag, z.union([z.string().max(200), z.literal(true)]))

/** Upsert: whoever any of the ids already names; two people named at once are joined. */
export const Identify = z.strictObject({
  externalId: z.string().min(1).max(128).optional(),
  unionId: z.string().min(1).max(64).optional(),
  accountId: z.string().optional(),
  openId: z.string().min(1).max(64).optional(),
  attributes: Attributes.optional(),
  tags: Tags.optional()
})
export type Identify = z.infer<typeof Identify>

/** Who a message or a look-up is for. */
export const To = z
  .strictObject({
    openId: z.string().min(1).max(64).optional(),
    unionId: z.string().min(1).max(64).optional(),
    personId: z.string().min(1).max(64).optional(),
    externalId: z.string().min(1).max(128).optional()
  })
  .refine((to) => Object.values(to).filter((value) => value !== undefined).length === 1, {
    message: 'exactly one of openId, unionId, personId, externalId'
  })
export type To = z.infer<typeof To>

export const PersonView = z.object({
  id: z.string(),
  externalId: z.string().nullable(),
  attributes: z.record(z.string(), AttributeValue),
  tags: z.record(z.string(), z.union([z.string(), z.literal(true)])),
  optedOut: z.boolean(),
  recipients: z.array(
    z.object({
      id: z.string(),
      accountId: z.string(),
      /** Only for callers with the scope recipients:identify. */
      openId: z.string().optional(),
      reach: z.enum(['ok', 'blocked', 'unfollowed']),
      follower: z.boolean()
    })
  ),
  createdAt: Instant
})

/** PATCH merges; null takes an attribute or a tag away. */
export const PersonPatch = z
  .strictObject({
    attributes: z.record(key, AttributeValue.nullable()),
    tags: z.record(tag, z.union([z.string().max(200), z.literal(true), z.null()]))
  })
  .partial()
export type PersonPatch = z.infer<typeof PersonPatch>

/** Finds a person without making one. */
export const PersonLookup = z.strictObject({
  accountId: z.string().optional(),
  openId: z.string().min(1).max(64).optional(),
  unionId: z.string().min(1).max(64).optional(),
  externalId: z.string().min(1).max(128).optional()
})
export type PersonLookup = z.infer<typeof PersonLookup>

/** Nothing more for this person; with a topic, nothing of that topic. */
export const OptOutCreate = z.strictObject({
  personId: z.string().min(1).max(64),
  topic: z.string().min(1).max(40).nullable().optional()
})
export const OptOutView = z.object({
  id: z.string(),
  personId: z.string(),
  topic: z.string().nullable(),
  /** Who asked: the person (phone), or the caller that told us. */
  by: z.string(),
  createdAt: Instant
})
export type OptOutView = z.infer<typeof OptOutView>

/** Why a row of an imported file was left out: its place as a spreadsheet counts, the field, and the rule it breaks. */
export const ImportFault = z.object({ row: z.int(), field: z.string(), rule: z.string(), message: z.string() })
export type ImportFault = z.infer<typeof ImportFault>

/** The result of an import's operation. `faults` holds the first of the failed rows. */
export const ImportResult = z.object({
  rows: z.int(),
  created: z.int(),
  changed: z.int(),
  unchanged: z.int(),
  failed: z.int(),
  /** Who came into the list, of an import into one. */
  joined: z.int(),
  faults: z.array(ImportFault)
})
export type ImportResult = z.infer<typeof ImportResult>

/** Somebody nothing can be sent to: they refused the account (blocked) or left it (unfollowed). The id is the recipient's. */
export const SuppressionView = z.object({
  id: z.string(),
  accountId: z.string(),
  personId: z.string(),
  reason: z.enum(['blocked', 'unfollowed']),
  since: Instant,
  /** Only for callers with the scope recipients:identify. */
  openId: z.string().optional()
})
export type SuppressionView = z.infer<typeof SuppressionView>

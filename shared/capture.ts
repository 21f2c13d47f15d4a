import { z } from 'zod'
import { Instant } from './instant.js'
import { CAPTURE_BATCH } from './limits.js'

/** A phone trades a wx.login code for a session. */
export const CaptureSessionPost = z.strictObject({ appId: z.string().max(32), code: z.string().min(1).max(128) })

/** What a phone is told about how to behave. */
export const CaptureSettings = z.object({
  capPerDay: z.int(),
  minIntervalMs: z.int(),
  batchSize: z.int(),
  flushMs: z.int(),
  prompts: z.array(z.object({ scene: z.string(), templateIds: z.array(z.string()) })),
  stop: z.object({ form: z.boolean(), payment: z.boolean(), grant: z.boolean() }),
  /** Accounts in mode sandbox take the devtools' mock ids. */
  acceptMock: z.boolean()
})
export const CaptureSession = z.object({ token: z.string(), expiresAt: Instant, settings: CaptureSettings })

/** A host's backend mints the phone's token, so that no second wx.login is needed. */
export const CaptureSessionMint = z.strictObject({ accountId: z.string(), openId: z.string().min(1).max(64) })

const itemId = z.string().min(1).max(64)

export const CaptureItem = z.strictObject({
  id: itemId,
  source: z.enum(['form', 'payment', 'grant']),
  /** formId or bare prepay_id. */
  value: z.string().max(512).optional(),
  templateId: z.string().max(64).optional(),
  /** What WeChat answered: for a grant its word for that template, for a payment `ok` or `pending`. */
  result: z.string().max(200).optional(),
  caughtAt: Instant,
  /** Where in the app it was caught; for reports. */
  place: z.string().max(100).optional(),
  orderId: z.string().max(64).optional()
})
export type CaptureItem = z.infer<typeof CaptureItem>

/** `sentAt` is the phone's own clock, so that only the age counts. */
export const CaptureBatch = z.strictObject({ sentAt: Instant, items: z.array(CaptureItem).min(1).max(CAPTURE_BATCH) })
export type CaptureBatch = z.infer<typeof CaptureBatch>

export const EventItem = z.strictObject({
  id: itemId,
  name: z.string().regex(/^[A-Za-z][A-Za-z0-9_.]{0,63}$/),
  at: Instant,
  properties: z.record(z.string().max(64), z.union([z.string().max(500), z.number(), z.boolean()])).optional()
})
export const CaptureEvents = z.strictObject({ sentAt: Instant, items: z.array(EventItem).min(1).max(CAPTURE_BATCH) })
export const CaptureOpens = z.strictObject({
  items: z
    .array(z.strictObject({ id: itemId, tag: z.string().max(200), at: Instant }))
    .min(1)
    .max(CAPTURE_BATCH)
})
/** A code somebody was given to become a tester of the app, as typed. */
export const CaptureTester = z.strictObject({ code: z.string().min(1).max(40) })
export const EventVerdict = z.object({
  id: z.string(),
  verdict: z.enum(['stored', 'duplicate', 'refused']),
  reason: z.string().optional()
})
export const EventVerdicts = z.object({ items: z.array(EventVerdict) })

export const CaptureStatus = z.object({
  optedOut: z.boolean(),
  topics: z.array(z.string()),
  sendsLeft: z.object({ form: z.int(), payment: z.int(), grants: z.record(z.string(), z.int()) })
})
export const CapturePreferences = z.strictObject({
  optedOut: z.boolean(),
  topics: z.array(z.string().max(40)).max(50).optional()
})

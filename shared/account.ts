import { z } from 'zod'
import { Instant, Zone } from './instant.js'
import { BreakerSettings } from './breaker.js'
import { Source } from './credential.js'
import { Penalty } from './penalty.js'

export const AccountKind = z.enum(['miniprogram', 'service'])
export type AccountKind = z.infer<typeof AccountKind>

/** Which of WeChat's interfaces a budget, a block or a penalty is about. */
export const Interface = z.enum(['legacy', 'subscribe', 'service', 'management'])
export type Interface = z.infer<typeof Interface>

/** Overrides of one source's policy; absent = the default of the source table. `enabled: false` switches it off. */
export const SourceOverride = z.strictObject({
  enabled: z.boolean().optional(),
  sends: z.int().min(1).max(3).optional(),
  lifeMs: z.int().positive().optional(),
  perDay: z.int().positive().optional()
})

export const AccountLimits = z.strictObject({
  /** Requests a second to one interface; the server never goes over it in any sliding second. */
  perSecond: z.number().positive().max(2000).optional(),
  inFlight: z.int().min(1).max(1000).optional(),
  perDay: z
    .strictObject({ legacy: z.int().optional(), subscribe: z.int().optional(), service: z.int().optional() })
    .optional()
})

export const AccountCaps = z.strictObject({
  perPersonPerDay: z.int().min(1).max(50).nullable().optional(),
  /** false (default): only bulk messages are stopped by the cap; every message counts. */
  stopTransactional: z.boolean().optional()
})

/** What phones are told about catching rights. */
export const CaptureWishes = z.strictObject({
  /** Forms a person's phone hands in a day at most; 0: as many as there are. */
  capPerDay: z.int().min(0).max(1_000).optional(),
  /** Between two forms of a phone, in ms. */
  minIntervalMs: z.int().min(0).max(86_400_000).optional(),
  /** Which templates a scene of the mini-program asks for; WeChat takes 3 an occasion, newer clients 5. */
  prompts: z
    .array(
      z.strictObject({
        scene: z.string().min(1).max(40),
        templateIds: z.array(z.string().min(1).max(64)).min(1).max(5)
      })
    )
    .max(50)
    .optional()
})

export const QuietHours = z.strictObject({
  from: z.string().regex(/^([01]\d|2[0-3]):[0-5]\d$/),
  to: z.string().regex(/^([01]\d|2[0-3]):[0-5]\d$/),
  /** A right that dies before they end: is its message sent in the quiet hours, or skipped? */
  dying: z.enum(['send', 'skip']).default('skip')
})

export const AppId = z.string().regex(/^wx[0-9a-f]{16}$/, 'an appId is wx and 16 hex digits')
/** The EncodingAESKey of a callback. */
export const AesKey = z.string().regex(/^[A-Za-z0-9+/]{43}$/, 'an EncodingAESKey is 43 letters and digits')

const settings = {
  name: z.string().min(1).max(60),
  apiBase: z.url().optional(),
  tokenApi: z.enum(['stable', 'classic']).optional(),
  sources: z.partialRecord(Source, SourceOverride).optional(),
  limits: AccountLimits.optional(),
  caps: AccountCaps.optional(),
  capture: CaptureWishes.optional(),
  quietHours: QuietHours.nullable().optional(),
  /** Must a service-account template ride on a recent interaction? */
  serviceWindow: z.strictObject({ bulk: z.boolean(), transactional: z.boolean() }).optional(),
  reserveForTransactional: z.int().min(0).max(3).optional(),
  grantsFrom: z.enum(['phone', 'events']).optional(),
  zone: Zone.optional(),
  /** `required`: a campaign goes online only after an accepted test send and a dry run of it as it is. */
  testLadder: z.enum(['off', 'required']).optional(),
  /** When sending of a template, or of the account, is stopped for what people and WeChat answer. */
  breaker: BreakerSettings.optional(),
  callback: z
    .strictObject({
      token: z.string().min(3).max(32).optional(),
      aesKey: AesKey.optional(),
      mode: z.enum(['plain', 'compatible', 'safe']).optional(),
      format: z.enum(['xml', 'json']).optional(),
      /** Another system that lives on this account's pushes: each goes on there as it came; null: nobody. */
      relayTo: z.url().nullable().optional()
    })
    .optional()
}

export const AccountCreate = z.strictObject({
  kind: AccountKind,
  appId: AppId,
  secret: z.string().min(8).max(64),
  mode: z.enum(['live', 'sandbox']).default('live'),
  ...settings
})
export type AccountCreate = z.infer<typeof AccountCreate>

export const AccountPatch = z
  .strictObject({
    secret: z.string().min(8).max(64),
    mode: z.enum(['live', 'sandbox']),
    /** null: it was lifted. */
    penalty: Penalty.nullable(),
    ...settings
  })
  .partial()
export type AccountPatch = z.infer<typeof AccountPatch>

/** An account as REST shows it; secrets never leave. */
export const AccountView = z.object({
  id: z.string(),
  kind: AccountKind,
  appId: z.string(),
  name: z.string(),
  mode: z.enum(['live', 'sandbox']),
  apiBase: z.string(),
  tokenApi: z.enum(['stable', 'classic']),
  zone: z.string(),
  state: z.enum(['ready', 'limited', 'disabled']),
  disabledReason: z.string().nullable(),
  paused: z.boolean(),
  sources: z.partialRecord(Source, SourceOverride),
  limits: z.object({
    perSecond: z.number(),
    inFlight: z.int(),
    perDay: z.object({ legacy: z.int(), subscribe: z.int(), service: z.int() })
  }),
  caps: z.object({ perPersonPerDay: z.int().nullable(), stopTransactional: z.boolean() }),
  capture: CaptureWishes.required(),
  quietHours: QuietHours.nullable(),
  serviceWindow: z.object({ bulk: z.boolean(), transactional: z.boolean() }),
  reserveForTransactional: z.int(),
  grantsFrom: z.enum(['phone', 'events']),
  testLadder: z.enum(['off', 'required']),
  breaker: BreakerSettings.required().extend({ shares: BreakerSettings.shape.shares.unwrap().required() }),
  callback: z.object({
    url: z.string(),
    token: z.string().nullable(),
    mode: z.enum(['plain', 'compatible', 'safe']),
    format: z.enum(['xml', 'json']),
    relayTo: z.string().nullable(),
    lastReceivedAt: Instant.nullable()
  }),
  /** By its own secret, or by QR code through the third-party platform. */
  connectedBy: z.enum(['secret', 'qr']),
  /** Of accounts connected by QR: when its administrator consented, took that back, and which compulsory sets are missing. */
  authorization: z
    .object({
      authorizedAt: Instant,
      withdrawnAt: Instant.nullable(),
      missing: z.array(z.object({ id: z.int(), name: z.string(), for: z.string() }))
    })
    .nullable(),
  /** Permission sets granted, by their number; empty for accounts connected by secret, which have all of them. */
  permissions: z.array(z.int()),
  functions: z.record(z.string(), z.object({ ok: z.boolean(), missing: z.array(z.string()) })),
  penalty: Penalty.nullable(),
  createdAt: Instant,
  updatedAt: Instant
})
export type AccountView = z.infer<typeof AccountView>

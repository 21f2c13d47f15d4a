import { z } from 'zod'
import { AccountKind, AesKey, AppId } from './account.js'
import { Instant } from './instant.js'

/** Settings of the third-party platform, as entered in its console; the first time all four of the first are needed. */
export const PlatformPatch = z
  .strictObject({
    appId: AppId,
    secret: z.string().min(8).max(64),
    token: z.string().min(3).max(32),
    aesKey: AesKey,
    mode: z.enum(['live', 'sandbox']),
    apiBase: z.url().nullable()
  })
  .partial()
export type PlatformPatch = z.infer<typeof PlatformPatch>

/** The platform as REST shows it; secret and key never leave. */
export const PlatformView = z.object({
  /** null until the platform is set up. */
  appId: z.string().nullable(),
  token: z.string().nullable(),
  mode: z.enum(['live', 'sandbox']),
  apiBase: z.string(),
  /** What to enter in the platform's console. */
  callback: z.object({
    /** "authorisation event" address */
    eventUrl: z.string(),
    /** "message and event" address; WeChat puts the account's appId in place of `$APPID$` */
    messageUrl: z.string(),
    /** authorisation domain */
    domain: z.string()
  }),
  /** The newest ticket WeChat pushed; without a living one nothing can be authorised. */
  ticket: z.object({ receivedAt: Instant, expiresAt: Instant }).nullable(),
  updatedAt: Instant.nullable()
})
export type PlatformView = z.infer<typeof PlatformView>

export const AuthorizationPost = z.strictObject({
  /** Update this account's permissions; only its administrator can consent. Without it any account may be connected. */
  accountId: z.string().optional(),
  /** Offer only accounts of this kind. */
  kind: AccountKind.optional()
})

export const AuthorizationLink = z.object({
  /** The page with the QR code, for a computer; good for one consent. */
  url: z.string(),
  /** The same for a browser inside WeChat. */
  urlInWechat: z.string(),
  expiresAt: Instant
})

/** Where WeChat sends the administrator back to; what a browser is shown as a page. */
export const AuthorizationReturn = z.object({
  accountId: z.string(),
  appId: z.string(),
  name: z.string(),
  state: z.enum(['ready', 'limited', 'disabled']),
  disabledReason: z.string().nullable()
})
export type AuthorizationReturn = z.infer<typeof AuthorizationReturn>

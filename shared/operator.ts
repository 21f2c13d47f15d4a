import { z } from 'zod'
import { Instant } from './instant.js'

export const Role = z.enum(['owner', 'operator', 'editor', 'viewer'])
export type Role = z.infer<typeof Role>

/** What a machine's key may do. */
export const Scope = z.enum([
  'accounts:read',
  'accounts:write',
  'capture:mint',
  'credentials:read',
  'credentials:write',
  'people:read',
  'people:write',
  'recipients:identify',
  'events:write',
  'events:read',
  'templates:read',
  'templates:write',
  'audiences:read',
  'audiences:write',
  'campaigns:read',
  'campaigns:write',
  'messages:read',
  'messages:send',
  'tokens:read',
  'tokens:refresh',
  'alerts:read',
  'webhooks:read',
  'webhooks:write',
  'settings:read',
  'settings:write'
])
export type Scope = z.infer<typeof Scope>

const password = z.string().min(10).max(200)
export const SetupPost = z.strictObject({ code: z.string(), email: z.email(), password })
export const LoginPost = z.strictObject({
  email: z.email(),
  password: z.string().max(200),
  /** Of an authenticator app, or a recovery code; only for operators who have a second factor. */
  code: z.string().max(40).optional()
})
export const TotpBegin = z.strictObject({ password: z.string().max(200) })
/** `uri`: what a QR code for the app says; `secret` to type instead. */
export const TotpBegun = z.object({ secret: z.string(), uri: z.string() })
export const TotpConfirm = z.strictObject({ code: z.string().min(1).max(40) })
export const TotpConfirmed = z.object({ recoveryCodes: z.array(z.string()) })
export const TotpRemove = z.strictObject({ password: z.string().max(200), code: z.string().min(1).max(40) })
/** How things stand before anybody has signed in. */
export const AuthState = z.object({ setUp: z.boolean(), session: z.boolean() })
export const LoginAnswer = z.object({ token: z.string(), expiresAt: Instant })

export const OperatorCreate = z.strictObject({
  email: z.email(),
  password,
  role: Role,
  accountIds: z.array(z.string()).nullable().optional()
})
export const OperatorPatch = z
  .strictObject({ password, role: Role, accountIds: z.array(z.string()).nullable() })
  .partial()
export const OperatorView = z.object({
  id: z.string(),
  email: z.string(),
  role: Role,
  accountIds: z.array(z.string()).nullable(),
  /** Does a login ask for a code of an authenticator app? */
  totp: z.boolean(),
  createdAt: Instant
})

export const ApiKeyCreate = z.strictObject({
  name: z.string().min(1).max(60),
  scopes: z.array(Scope).min(1),
  accountIds: z.array(z.string()).nullable().optional(),
  expiresAt: Instant.optional()
})
export const ApiKeyView = z.object({
  id: z.string(),
  name: z.string(),
  prefix: z.string(),
  scopes: z.array(Scope),
  accountIds: z.array(z.string()).nullable(),
  expiresAt: Instant.nullable(),
  lastUsedAt: Instant.nullable(),
  createdAt: Instant
})
export const ApiKeyCreated = ApiKeyView.extend({ key: z.string() })

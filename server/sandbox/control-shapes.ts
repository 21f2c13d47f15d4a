import { z } from 'zod'

const Appid = z.string().regex(/^wx[0-9a-f]{16}$/, 'an appid is wx and 16 hex digits')
const Openid = z.string().min(1)
const Share = z.number().min(0).max(1)
const Ms = z.number().int().min(0)

export const AppInput = z.strictObject({
  appid: Appid,
  secret: z.string().min(1),
  kind: z.enum(['miniprogram', 'service']),
  name: z.string().optional(),
  userName: z
    .string()
    .regex(/^gh_[0-9a-f]{12}$/)
    .optional()
    .describe('original id; made up when absent'),
  callback: z
    .strictObject({
      url: z.url(),
      token: z.string().min(1),
      aesKey: z.string().length(43).optional(),
      mode: z.enum(['plain', 'compatible', 'safe']).optional(),
      format: z.enum(['xml', 'json']).optional()
    })
    .optional(),
  openPlatform: z.string().min(1).optional().describe('apps with the same value share unionids'),
  pages: z.array(z.string()).optional().describe('released pages; absent: every page without a leading slash passes'),
  linked: z.array(Appid).optional().describe('mini-programs a service account may jump to; absent: all of the sandbox'),
  whitelist: z.array(z.string()).optional().describe('caller addresses that may fetch tokens; absent: all'),
  verified: z.boolean().optional().describe('default true; false: 48001 on template calls of a service account'),
  payment: z.boolean().optional().describe('mini-program with payment enabled: 30,000,000 subscribe sends a day'),
  secretFrozen: z.boolean().optional(),
  serviceType: z
    .union([z.literal(0), z.literal(1), z.literal(2)])
    .optional()
    .describe('2 (default) service account; 0, 1 subscription account: no template calls'),
  status: z
    .union([z.literal(1), z.literal(14), z.literal(16), z.literal(18), z.literal(19)])
    .optional()
    .describe('1 (default) normal, 14 closed, 16 banned, 18 warned, 19 frozen; shown to platforms'),
  penalty: z
    .strictObject({
      formIds: z.union([z.literal(41032), z.literal(41034)]).optional(),
      prepayIds: z.literal(41035).optional()
    })
    .optional()
    .describe('what sends with a formId or a prepay_id are answered'),
  onceTemplateId: z.string().length(43).optional().describe("a service account's template for one-time subscriptions"),
  quotas: z.record(z.string(), z.number().int().min(0)).optional().describe('daily limits by path')
})

export const UsersInput = z.strictObject({
  count: z.number().int().min(1).max(1_000_000).default(1),
  appids: z.array(Appid).min(1),
  followers: z
    .array(Appid)
    .default([])
    .describe('service accounts among appids that these people follow from the start')
})

export const CodeInput = z.strictObject({
  appid: Appid,
  openid: Openid.optional().describe('absent: a new person opens the app'),
  count: z.number().int().min(1).max(10_000).optional()
})

export const FormIdInput = z.strictObject({
  appid: Appid,
  openid: Openid,
  count: z.number().int().min(1).max(10_000).default(1),
  build: z.enum(['release', 'trial', 'develop']).default('release')
})

export const OrderInput = z.strictObject({
  appid: Appid,
  openid: Openid,
  orderId: z.string().min(1).optional(),
  paid: z.boolean().default(false).describe('true: paid and synchronised at once')
})

export const PayInput = z.strictObject({ prepayId: z.string().min(1), syncMs: Ms.optional() })

export const GrantInput = z.strictObject({
  appid: Appid,
  openid: Openid,
  templateId: z.string().min(1),
  result: z.enum(['accept', 'reject']).default('accept'),
  count: z.number().int().min(1).max(10_000).default(1),
  push: z.boolean().default(true)
})

export const WithdrawInput = z.strictObject({
  appid: Appid,
  openid: Openid,
  templateId: z.string().min(1),
  push: z.boolean().default(true)
})

export const FollowersInput = z.strictObject({
  appid: Appid,
  openids: z.array(Openid).min(1),
  follow: z.boolean(),
  scene: z.string().min(1).optional().describe('of the parametric QR code that led here'),
  push: z.boolean().default(true)
})

export const BlockInput = z.strictObject({
  appid: Appid,
  openids: z.array(Openid).min(1),
  how: z
    .enum(['none', 'refuse', 'drop', 'fail'])
    .default('refuse')
    .describe(
      'refuse: sends answer 43101; drop: accepted, then pushed as failed:user block; fail: accepted, then failed: system failed; none: lifted'
    )
})

export const RuleInput = z.strictObject({
  path: z.string().startsWith('/').optional().describe('exact, or a prefix ending in *'),
  appid: Appid.optional(),
  openid: Openid.optional().describe('touser or openid of the call'),
  nth: z
    .number()
    .int()
    .min(1)
    .optional()
    .describe('fires on the nth matching call (and on the following ones up to times)'),
  every: z.number().int().min(1).optional().describe('fires on every nth matching call'),
  probability: Share.optional(),
  times: z.number().int().min(1).optional().describe('at most so often; default 1 with nth, else unlimited'),
  action: z.union([
    z.strictObject({ errcode: z.number().int(), errmsg: z.string().optional() }),
    z.strictObject({ http: z.number().int().min(300).max(599) }),
    z.strictObject({ delayMs: Ms }),
    z.strictObject({ hang: z.union([z.literal(true), z.enum(['before', 'after'])]) }),
    z.strictObject({ reset: z.enum(['before', 'after']) }),
    z.strictObject({ html: z.literal(true) }),
    z.strictObject({ truncate: z.literal(true) }),
    z.strictObject({ empty: z.literal(true) }),
    z.strictObject({ huge: z.number().int().min(1).max(64_000_000) }),
    z.strictObject({
      drip: z
        .union([z.literal(true), Ms])
        .describe('one byte at a time; a number sets the milliseconds between, else 250')
    })
  ])
})
export type RuleInput = z.infer<typeof RuleInput>

export const PlatformInput = z.strictObject({
  appid: Appid,
  secret: z.string().min(1),
  name: z.string().optional(),
  token: z.string().min(1),
  aesKey: z.string().length(43),
  eventUrl: z.url().optional().describe('tickets and authorisation events go here'),
  messageUrl: z
    .string()
    .startsWith('http')
    .optional()
    .describe('events of accounts go here; $APPID$ becomes the appid'),
  domain: z.string().optional().describe('host the authorisation page may return to; absent: any'),
  whitelist: z.array(z.string()).optional().describe('caller addresses that may fetch component tokens; absent: all'),
  published: z.boolean().optional().describe('default true; false: only testAccounts may authorise it'),
  testAccounts: z.array(Appid).optional(),
  sets: z.array(z.number().int()).optional().describe('permission sets it asks for'),
  tickets: z.boolean().optional().describe('default true: one at once and every ten minutes')
})

export const AuthorizationInput = z.strictObject({
  platform: Appid,
  appid: Appid,
  sets: z.array(z.number().int()).optional().describe('permission sets granted; absent: those the platform asks for')
})

export const UnauthorizationInput = z.strictObject({ platform: Appid, appid: Appid })

export const OnceInput = z.strictObject({
  appid: Appid,
  openid: Openid,
  scene: z.number().int().min(0).max(10_000),
  action: z.enum(['confirm', 'cancel']).default('confirm')
})

export const InteractionInput = z.strictObject({
  appid: Appid,
  openid: Openid,
  kind: z
    .enum(['text', 'click', 'view', 'scan'])
    .describe('a message, a menu key, a menu link, a parametric QR code (which makes a stranger a follower)'),
  text: z.string().optional().describe('of a message'),
  key: z.string().optional().describe('of a menu entry, or the scene of a QR code')
})

export const BlockFormIdsInput = z.strictObject({ formIds: z.array(z.string().min(1)).min(1) })

export const ClockInput = z.union([
  z.strictObject({ advanceMs: z.number().int() }),
  z.strictObject({ set: z.union([z.number().int(), z.iso.datetime({ offset: true })]) })
])

export const LatencyInput = z
  .strictObject({ minMs: Ms, maxMs: Ms })
  .refine(({ minMs, maxMs }) => minMs <= maxMs, 'minMs must not be above maxMs')

export const AppidInput = z.strictObject({ appid: Appid })

export const QuotaInput = z.strictObject({
  appid: Appid,
  path: z.string().startsWith('/'),
  limit: z.number().int().min(0).optional(),
  used: z.number().int().min(0).optional(),
  perMinute: z.number().int().min(0).optional().describe('calls a minute before 45011')
})

export const TemplateInput = z.strictObject({
  appid: Appid,
  templateId: z.string().min(1),
  disabled: z.boolean().describe('48011 on legacy sends, 43116 on service sends')
})

export const SettingsInput = z.strictObject({
  legacyMode: z.enum(['live', 'retired_46101', 'retired_45103']).optional(),
  duplicateAnswer: z.union([z.literal('first'), z.number().int()]).optional(),
  clientMsgIdMs: Ms.optional(),
  sameContentMs: Ms.optional(),
  credentialDays: z.number().positive().optional(),
  syncMs: Ms.optional(),
  templateLimit: z.number().int().min(0).optional(),
  subscribeTemplateLimit: z.number().int().min(0).optional(),
  strictNewtmpl: z.boolean().optional(),
  forceUsedUp: z.enum(['same', 'quota']).optional(),
  riskyWords: z.array(z.string().min(1)).optional(),
  activeMs: Ms.optional(),
  preAuthSeconds: z.number().int().min(1).optional(),
  authCodeSeconds: z.number().int().min(1).optional(),
  rotateRefreshToken: z.boolean().optional(),
  push: z
    .strictObject({
      on: z.boolean().optional(),
      minDelayMs: Ms.optional(),
      maxDelayMs: Ms.optional(),
      timeoutMs: z.number().int().min(1).optional(),
      attempts: z.number().int().min(1).optional(),
      retryDelayMs: Ms.optional(),
      twice: Share.optional(),
      lost: Share.optional(),
      early: Share.optional()
    })
    .optional()
})

export const LedgerQuery = z.strictObject({
  appid: Appid.optional(),
  channel: z.enum(['legacy', 'subscribe', 'service', 'once']).optional(),
  openid: Openid.optional(),
  templateId: z.string().optional(),
  after: z.coerce.number().int().optional().describe('rows with a higher seq only'),
  limit: z.coerce.number().int().min(0).default(100_000)
})

export const CredentialsQuery = z.strictObject({ appid: Appid.optional(), openid: Openid.optional() })
export const RequestsQuery = z.strictObject({
  path: z.string().optional(),
  code: z.coerce.number().int().optional(),
  limit: z.coerce.number().int().min(0).default(100)
})
export const PushesQuery = z.strictObject({ appid: Appid.optional(), event: z.string().optional() })
export const RuleQuery = z.strictObject({ id: z.string().optional() })
export const PhoneQuery = z.strictObject({
  appid: Appid.optional().describe('a mini-program; absent: the first one'),
  openid: Openid.optional(),
  user: z.coerce.number().int().min(0).optional().describe("place in the app's list of users; absent: the first one")
})

export const NoticesQuery = z.strictObject({
  appid: Appid,
  openid: Openid,
  after: z.coerce.number().int().min(0).optional().describe('messages with a higher seq only')
})

export const CheckoutQuery = z.strictObject({ appid: Appid, openid: Openid })
export const CheckoutBody = z.strictObject({
  orderId: z.string().min(1).max(64).optional(),
  amount: z.number().int().min(1).optional().describe('in fen'),
  description: z.string().min(1).max(127).optional()
})
export type CheckoutInput = z.infer<typeof CheckoutQuery> & z.infer<typeof CheckoutBody>

export const OrderQuery = z.strictObject({ prepayId: z.string().min(1) })

export const PhoneRequestInput = z.strictObject({
  appid: Appid,
  url: z.string().max(8192),
  method: z.enum(['GET', 'POST', 'PUT', 'DELETE', 'OPTIONS', 'HEAD', 'TRACE', 'CONNECT']).optional(),
  header: z.record(z.string(), z.string()).optional(),
  data: z.string().optional().describe('the body, as text'),
  timeout: z.number().positive().optional().describe('milliseconds; at most and by default 60,000')
})

export const RequestDomainsInput = z.strictObject({
  domains: z.array(z.url({ protocol: /^https?$/ })).max(200)
})

export const ResetInput = z.strictObject({ keepApps: z.boolean().default(false) })

export type AppInput = z.infer<typeof AppInput>
export type UsersInput = z.input<typeof UsersInput>
export type CodeInput = z.input<typeof CodeInput>
export type FormIdInput = z.input<typeof FormIdInput>
export type OrderInput = z.input<typeof OrderInput>
export type PayInput = z.input<typeof PayInput>
export type GrantInput = z.input<typeof GrantInput>
export type WithdrawInput = z.input<typeof WithdrawInput>
export type FollowersInput = z.input<typeof FollowersInput>
export type BlockInput = z.input<typeof BlockInput>
export type PlatformInput = z.input<typeof PlatformInput>
export type AuthorizationInput = z.input<typeof AuthorizationInput>
export type OnceInput = z.input<typeof OnceInput>
export type InteractionInput = z.input<typeof InteractionInput>
export type PhoneQuery = z.infer<typeof PhoneQuery>
export type NoticesQuery = z.infer<typeof NoticesQuery>
export type OrderQuery = z.infer<typeof OrderQuery>
export type PhoneRequestInput = z.infer<typeof PhoneRequestInput>
export type ClockInput = z.infer<typeof ClockInput>
export type LatencyInput = z.infer<typeof LatencyInput>
export type QuotaInput = z.infer<typeof QuotaInput>
export type TemplateInput = z.infer<typeof TemplateInput>
export type SettingsInput = z.infer<typeof SettingsInput>

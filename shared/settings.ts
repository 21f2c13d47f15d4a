import { z } from 'zod'
import { AlertKind } from './alert.js'
import { Instant } from './instant.js'

const enabled = z.boolean()
const share = z.number().gt(0).max(1)
const minutes = z.int().min(1).max(1_440)

/** Each alert fires at one figure and is over at another, so that it does not come and go around one. */
const thresholds = {
  /** Messages failed or unknown, of all decided within the window. */
  failures: z.strictObject({
    enabled,
    share,
    clearShare: share,
    /** Fewer decided messages say nothing. */
    atLeast: z.int().min(1).max(1_000_000),
    windowMinutes: z.int().min(1).max(120)
  }),
  /** Days the rights at hand last, at the pace of the past week. */
  credentials: z.strictObject({
    enabled,
    days: z.number().positive().max(365),
    clearDays: z.number().positive().max(365),
    /** Fewer messages sent in the past week say nothing. */
    atLeast: z.int().min(1).max(1_000_000)
  }),
  /** How long the message that is due longest has been due, in ms. */
  queue: z.strictObject({
    enabled,
    behindMs: z.int().min(1_000).max(86_400_000),
    clearMs: z.int().min(1_000).max(86_400_000)
  }),
  /** `calmMinutes`: a problem seen in answers is over when none was seen for so long. */
  account: z.strictObject({ enabled, calmMinutes: minutes }),
  breaker: z.strictObject({ enabled, calmMinutes: minutes }),
  webhook: z.strictObject({ enabled })
}

/** A group robot of WeCom, or whoever takes its messages: told when alerts fire and when they are over. */
const target = {
  name: z.string().min(1).max(60),
  /** Which alerts; null: all. */
  kinds: z.array(AlertKind).min(1).nullable(),
  /** Of which accounts; null: all, and alerts about none. */
  accountIds: z.array(z.string()).min(1).max(100).nullable()
}

export const TargetPut = z.strictObject({
  /** The one that is there already; without it a new one is made. */
  id: z.string().max(64).optional(),
  name: target.name,
  /** With its key; kept sealed and never shown whole. May be left out for one that is there. */
  url: z
    .url({ protocol: /^https?$/ })
    .max(2_000)
    .optional(),
  kinds: target.kinds.default(null),
  accountIds: target.accountIds.default(null)
})
export type TargetPut = z.infer<typeof TargetPut>

export const TargetView = z.object({
  id: z.string(),
  ...target,
  /** Without what makes it secret. */
  url: z.string()
})

/** The figures in force. */
export const Thresholds = z
  .strictObject(thresholds)
  .refine(({ failures }) => failures.clearShare <= failures.share, {
    path: ['failures', 'clearShare'],
    message: 'is at most share'
  })
  .refine(({ credentials }) => credentials.clearDays >= credentials.days, {
    path: ['credentials', 'clearDays'],
    message: 'is at least days'
  })
  .refine(({ queue }) => queue.clearMs <= queue.behindMs, {
    path: ['queue', 'clearMs'],
    message: 'is at most behindMs'
  })
export type Thresholds = z.infer<typeof Thresholds>

/** What alerts are told in, where nobody asks for a language. */
export const AlertLanguage = z.enum(['zh', 'en'])

/** Merged field by field; null takes a group back to its defaults. `targets` is the whole list. */
export const SettingsPatch = z
  .strictObject({
    alerts: z
      .strictObject({
        language: AlertLanguage.nullable(),
        failures: thresholds.failures.partial().nullable(),
        credentials: thresholds.credentials.partial().nullable(),
        queue: thresholds.queue.partial().nullable(),
        account: thresholds.account.partial().nullable(),
        breaker: thresholds.breaker.partial().nullable(),
        webhook: thresholds.webhook.partial().nullable(),
        targets: z.array(TargetPut).max(10)
      })
      .partial()
  })
  .partial()
export type SettingsPatch = z.infer<typeof SettingsPatch>

export const SettingsView = z.object({
  alerts: z.object({ language: AlertLanguage, ...thresholds, targets: z.array(TargetView) }),
  /** null: everything is as it came. */
  updatedAt: Instant.nullable()
})
export type SettingsView = z.infer<typeof SettingsView>

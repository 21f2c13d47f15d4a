import {
  DAY_MS,
  FORM_LIFE_MS,
  FORM_MARGIN_MS,
  FORM_SENDS,
  MARGIN_MS,
  NEVER,
  PAYMENT_SENDS
} from '../../shared/limits.js'
import type { Source } from '../../shared/credential.js'
import type { TemplateKind } from '../../shared/template.js'

/** What one source is worth. `sends` null = unlimited, `lifeMs` null = until withdrawn, `perDay` null = no daily limit. */
export type Policy = {
  sends: number | null
  lifeMs: number | null
  perDay: number | null
  channel: TemplateKind
  origin: string
}

/** The one table of sends and lives. Overridable per account; the service-account rows are the sender's own discipline. */
export const POLICIES: Record<Source, Policy> = {
  form: {
    sends: FORM_SENDS,
    lifeMs: FORM_LIFE_MS,
    perDay: null,
    channel: 'legacy',
    origin: 'WeChat, template message rules'
  },
  payment: {
    sends: PAYMENT_SENDS,
    lifeMs: FORM_LIFE_MS,
    perDay: null,
    channel: 'legacy',
    origin: 'WeChat, template message rules'
  },
  grant: { sends: 1, lifeMs: null, perDay: null, channel: 'subscribe', origin: 'WeChat, subscribe message rules' },
  longTermGrant: {
    sends: null,
    lifeMs: null,
    perDay: null,
    channel: 'subscribe',
    origin: 'WeChat, subscribe message rules'
  },
  follow: { sends: 1, lifeMs: 2 * DAY_MS, perDay: null, channel: 'service', origin: 'ours, after the customer' },
  scan: { sends: 1, lifeMs: 2 * DAY_MS, perDay: null, channel: 'service', origin: 'ours, after the customer' },
  menu: { sends: null, lifeMs: 7 * DAY_MS, perDay: 3, channel: 'service', origin: 'ours, after the customer' },
  reply: { sends: null, lifeMs: 7 * DAY_MS, perDay: 3, channel: 'service', origin: 'ours, after the customer' },
  servicePayment: {
    sends: null,
    lifeMs: 7 * DAY_MS,
    perDay: null,
    channel: 'service',
    origin: 'ours, after the customer'
  }
}

export type PolicyOverride = { enabled?: boolean; sends?: number; lifeMs?: number; perDay?: number }

/** The policy an account really has; null when it switched the source off. */
export function policyOf(source: Source, overrides: Partial<Record<Source, PolicyOverride>> = {}): Policy | null {
  const base = POLICIES[source]
  const own = overrides[source]
  if (own === undefined) return base
  if (own.enabled === false) return null
  return {
    ...base,
    sends: base.sends === null ? null : (own.sends ?? base.sends),
    lifeMs: own.lifeMs ?? base.lifeMs,
    perDay: perDayOf(source, overrides)
  }
}

/** How often a day one right of this source is used at most, also where the source has been switched off since. */
export const perDayOf = (source: Source, overrides: Partial<Record<Source, PolicyOverride>>): number | null =>
  overrides[source]?.perDay ?? POLICIES[source].perDay

/** What a catch is worth at `now`; null when it arrived dead. A phone whose clock runs ahead gains nothing. */
export function worth(policy: Policy, caughtAt: Date, now: Date): { sends: number | null; expiresAt: Date } | null {
  if (policy.lifeMs === null) return { sends: policy.sends, expiresAt: NEVER }
  const expiresAt = new Date(Math.min(caughtAt.getTime(), now.getTime()) + policy.lifeMs)
  return expiresAt > now ? { sends: policy.sends, expiresAt } : null
}

/** Life a credential must have left to be chosen, in ms: one resend of a form must fit inside its life. */
export const marginMs = (source: Source) => (source === 'form' ? FORM_MARGIN_MS : MARGIN_MS)

/** Sources that may carry a message of this channel. */
export const sourcesOf = (channel: TemplateKind) =>
  (Object.keys(POLICIES) as Source[]).filter((source) => POLICIES[source].channel === channel)

/**
 * When a phone caught something, on our clock: only the age counts, so a phone whose clock is wrong by years is right
 * here. A negative age is none.
 */
export const caughtOnOurClock = (received: Date, sentAt: Date, caughtAt: Date) =>
  new Date(received.getTime() - Math.max(0, sentAt.getTime() - caughtAt.getTime()))

/** Why an item is refused at the door; null when its value may be real. `acceptMock`: accounts in mode sandbox. */
export function refusalOf(
  item: {
    source: 'form' | 'payment' | 'grant'
    value?: string
    templateId?: string
    result?: string
    orderId?: string
  },
  acceptMock: boolean
): 'mock' | 'failed' | 'retired' | 'malformed' | 'rejected' | null {
  if (item.source === 'grant') {
    if (item.templateId === undefined || item.templateId.trim() === '') return 'malformed'
    if (item.result === undefined) return 'malformed'
    return item.result.startsWith('accept') ? null : 'rejected'
  }
  const value = item.value ?? ''
  if (value.trim() === '') return 'malformed'
  // the literals seen in the wild: devtools, trial builds since 2020-01, phones whose request failed or is deprecated
  if (/^the formId is no longer available/i.test(value)) return 'retired'
  if (/^the formId is/i.test(value)) return acceptMock ? null : 'mock'
  if (/^requestFormId:fail deprecated/i.test(value)) return 'retired'
  if (/^requestFormId:fail/i.test(value)) return 'failed'
  if (item.source === 'payment' && item.result !== undefined && !/^(ok|pending|requestPayment:ok)$/.test(item.result))
    return 'failed'
  if (item.source === 'payment' && value.startsWith('prepay_id=')) return 'malformed'
  return /^[\x21-\x7e]{4,512}$/.test(value) ? null : 'malformed'
}

/**
 * Plain numbers both sides obey, each with its source. No imports, so that phones may load this file.
 * "WeChat" = WeChat's documents of mini-program template messages (2016–2020) and subscribe messages;
 * "ours" = our own discipline, overridable per account.
 */
export const MINUTE_MS = 60_000
export const DAY_MS = 86_400_000

/** Items of one batch a phone hands in; ours. */
export const CAPTURE_BATCH = 100
/** Items of one batch a backend hands in (credentials, events); ours. */
export const BACKEND_BATCH = 500
/** Messages of one batch a backend posts; ours. */
export const MESSAGE_BATCH = 100
/** A form submitted in the mini-program: 1 message within 7 days; WeChat. */
export const FORM_SENDS = 1
/** A payment made in the mini-program: 3 messages within 7 days; WeChat. */
export const PAYMENT_SENDS = 3
export const FORM_LIFE_MS = 7 * DAY_MS
/** Seconds WeChat needs before a paid prepay_id may be used; developers' reports of 5–10 s. */
export const PAYMENT_SETTLE_MS = 10_000
/** A pending payment nobody confirmed dies after this; WeChat lets a prepay_id be paid within 2 h. */
export const PAYMENT_PENDING_MS = 2 * 3_600_000
/** Life a credential must still have to be chosen: one resend of a form must fit; ours. */
export const FORM_MARGIN_MS = 10 * 60_000
export const MARGIN_MS = 60_000
/** Keywords of one template: legacy 1–10, subscribe 2–5; WeChat. */
export const LEGACY_KEYWORDS = { min: 1, max: 10 }
export const SUBSCRIBE_KEYWORDS = { min: 2, max: 5 }
/** Messages an interface takes a day until the account says otherwise; WeChat. */
export const PER_DAY = { legacy: 1_000_000, subscribe: 10_000_000, service: 100_000 }
/** Requests a second to one interface, and how many at once; ours, WeChat names no number. */
export const PER_SECOND = 50
export const IN_FLIGHT = 200
/** Where an account's days begin and end; ours. */
export const ZONE = 'Asia/Shanghai'
/** Messages to one person a day; the customer's rule. */
export const PER_PERSON_PER_DAY = 3
/** How late a message may be by scene, in ms; the customer's rule. */
export const SCENE_LIFE_MS = { payment: 60_000, appointment: 5 * 60_000, logistics: 30 * 60_000 } as const
/** A run nobody was there to start may still start this much later; ours. */
export const LATE_WITHIN_MS = 3_600_000
/** Longest life of a message nobody gave a notAfter: transactional 1 day, bulk 1 day; ours. */
export const MESSAGE_LIFE_MS = DAY_MS
/** Fallbacks a message may carry; ours. */
export const FALLBACKS = 3
/**
 * How many days rows are kept, by collection; ours. What is not named goes with what it hangs on, or stays. Waits are kept
 * so long after their message could still go, credentials after they expired; what never expires, after its last use.
 */
export const KEPT_DAYS = {
  events: 400,
  messages: 180,
  counters: 400,
  auditLogs: 400,
  waits: 30,
  credentials: 30
} as const
export const KEPT_UNEXPIRING_DAYS = 180
/** A date that means "never": MongoDB sorts null before every date, so null cannot mean it. */
export const NEVER = new Date('9999-01-01T00:00:00Z')

/** The words of the story `campaigns`: who there is, what they do when, and what was set up. Plain data, times in ms. */

export type AppName = 'shop' | 'clinic' | 'service'
export type TemplateName = 'shipped' | 'pickup' | 'booking' | 'visit' | 'brand'

/** What a mini-program's backend hands in; `caughtAt`: when the person did it, if earlier. */
export type HandedIn = {
  does: 'hand in'
  app: AppName
  source: 'form' | 'payment' | 'grant'
  template?: TemplateName
  times?: number
  caughtAt?: number
}
export type Happening = {
  does: 'event'
  name: string
  happened: number
  properties: Record<string, string | number | boolean>
}
export type Direct = {
  does: 'direct'
  reference: string
  app: AppName
  template: TemplateName
  lane: 'transactional' | 'bulk'
  fallback: { app: AppName; template: TemplateName }[]
  lifeMs: number
}
export type Deed =
  | HandedIn
  | Happening
  | Direct
  | { does: 'follow' }
  | { does: 'leave' }
  | { does: 'leave silently' }
  | { does: 'tap the menu' }
  | { does: 'write' }
  | { does: 'opt out'; topic: string | null }
  | { does: 'opt in'; topic: string | null }
  /** `refuse`: WeChat answers 43101; `drop`: it takes the message and tells later that the person blocked it. */
  | { does: 'block'; app: AppName; how: 'refuse' | 'drop' | 'none' }
  /** WeChat answers this code to every subscription message for them. */
  | { does: 'fail'; app: AppName; code: number }

/** One person of the story; `about` tells what is special about them. */
export type Actor = {
  name: string
  act: string
  about: string
  apps: AppName[]
  attributes: Record<string, string | number | boolean>
  /** Done at visits, in the order given. */
  deeds: (Deed & { at: number })[]
}

export type Condition =
  | { all: Condition[] }
  | { any: Condition[] }
  | { not: Condition[] }
  | { attribute: string; op: 'eq' | 'gte' | 'exists'; value?: string | number | boolean }
  | { tag: string; op: 'eq'; value: string }

export type WhereOf = Record<string, string | number | boolean | { gte: number }>
export type Timing =
  | { kind: 'once'; at: number }
  | {
      kind: 'recurring'
      from: number
      until: number
      zone: string
      every: 'day' | 'week'
      days?: number[]
      times: string[]
    }
  | {
      kind: 'event'
      event: string
      where?: WhereOf
      key?: string
      reentry?: 'once' | 'each' | { perDays: number }
      delayMs?: number
      before?: { property: string; ms: number }
      cancelOn?: { event: string }
    }
  | {
      kind: 'notFollowed'
      event: string
      where?: WhereOf
      key?: string
      reentry?: 'once' | 'each' | { perDays: number }
      missing: string
      withinMs: number
    }

/** A campaign as an operator sets it up. */
export type Plan = {
  key: string
  app: AppName
  template: TemplateName
  lane: 'transactional' | 'bulk'
  audience: Condition | null
  timing: Timing
  lifeMs: number
  waitForCredential?: boolean
  topic?: string
  /** This attribute of the person is written into the message; whoever has none is left out. */
  needs?: string
  /** Messages of it to one person and day at most, beside what the account allows. */
  perPersonPerDay?: number
  /** Set up only when its own act begins. */
  lateComer?: boolean
  /** How late it may still start; an hour when not said. */
  lateWithinMs?: number
}

/** When sending of a template stops by itself: its share of failures, among so many answers; and for how long. */
export type Breaker = {
  app: AppName
  template: TemplateName
  from: number
  least: number
  share: number
  restMs: number
}

/** The rules an account was given. */
export type House = {
  perPersonPerDay: number | null
  quiet: { from: string; to: string; dying: 'send' | 'skip' } | null
  zone: string
  /** Only sources of rights may send in bulk to followers of a service account. */
  windowForBulk: boolean
}

export type Story = {
  houses: Record<AppName, House>
  plans: Plan[]
  breaker: Breaker
  cast: Actor[]
  /** When somebody looks: what is due by then happens, then what people do at that moment. */
  visits: number[]
}

/** What became of one message, or of a wait that came to none. */
export type Fate = {
  /** The campaign's key, or the reference of a direct message. */
  of: string
  app: AppName
  what: string
  /** The visit (its place in the list) a send was made at; null: nothing was sent. */
  visit: number | null
}

/** A fate the oracle foresees: settled in what is due at a visit (twice its place in the list), or in what people do then (one more). */
export type Foreseen = Fate & { settled: number }

/** When a story is told in Shanghai: the `day`-th day of it (1 = the Monday it begins), at this time. */
export const MONDAY = Date.UTC(2030, 2, 4) - 8 * 3_600_000
export const MINUTE_MS = 60_000
export const HOUR_MS = 3_600_000
export const DAY_MS = 86_400_000
export function on(day: number, time: string): number {
  const [hour, minute] = time.split(':').map(Number) as [number, number]
  return MONDAY + (day - 1) * DAY_MS + hour * HOUR_MS + minute * MINUTE_MS
}

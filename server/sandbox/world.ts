import { createChance, type Chance } from './chance.js'
import { createSandboxClock, type SandboxClock } from './clock.js'
import type { Query } from './query.js'
import { DAILY_LIMITS, ERRMSG, SUBSCRIBE_DAILY_WITH_PAYMENT } from './codes.js'

/** Which of WeChat's message calls carried a message; `once` is the one-time subscription of a service account. */
export type Channel = 'legacy' | 'subscribe' | 'service' | 'once'

/** Where and how an app's events are pushed. `aesKey` (43 characters) is needed by the modes compatible and safe. */
export interface Callback {
  url: string
  token: string
  aesKey?: string
  mode?: 'plain' | 'compatible' | 'safe'
  format?: 'xml' | 'json'
}

/**
 * One issued access_token. `diesAt` is when it stops working, `retired` whether a newer one or an order took its place. `platform`
 * is the third-party platform it was issued to: with the platform's own appid it is a component token, else an authorizer's.
 */
export interface Token {
  value: string
  appid: string
  platform?: string
  expiresAt: number
  diesAt: number
  retired: boolean
}

/** A human as one app knows them. */
export interface User {
  index: number
  openid: string
  personKey: string
  sessionKey: string
  sessionKeyUntil: number
  follows: boolean
  followedAt: number
  /** scene of the QR code that made the follower, if it was one */
  qrScene?: string
  /** last use of the app: the content check wants it younger than two hours */
  seenAt: number
  /** refuse: sends answer 43101. drop: accepted, then pushed as `failed:user block`. fail: accepted, then `failed: system failed`. */
  block: 'none' | 'refuse' | 'drop' | 'fail'
  /** Subscribe sends left by template id; Infinity for a long-term grant. */
  grants: Map<string, number>
  /** Scenes of one-time subscriptions confirmed and not yet used: the same scene does not add up. */
  scenes: Set<number>
  tags: Set<number>
  sendsUnderWay: number
  recent: { hash: number; at: number }[]
  logins: number[]
}

/** A template of an app's own, of any of the three kinds. */
export interface Template {
  templateId: string
  kind: 'legacy' | 'subscribe' | 'service'
  title: string
  content: string
  example: string
  keys: string[]
  /** subscribe: 2 one-time, 3 long-term */
  type?: 2 | 3
  enumerations?: Map<string, string[]>
  /** service: values are judged by type (category template) or cut (industry template) */
  category?: boolean
  industry?: number
  disabled?: boolean
}

/** What calls are counted against: an app, or a platform for its own calls. */
export interface Metered {
  payment: boolean
  /** daily limits by path */
  quotas: Map<string, number>
  usage: Map<string, { day: number; used: number }>
  /** limits by path and minute */
  paces: Map<string, number>
  minutes: Map<string, { minute: number; used: number }>
}

export interface App extends Metered {
  appid: string
  secret: string
  kind: 'miniprogram' | 'service'
  name: string
  userName: string
  verified: boolean
  /** 2 service account; 0 and 1 are subscription accounts, which have no templates */
  serviceType: 0 | 1 | 2
  /** 1 normal, 14 closed, 16 banned, 18 warned, 19 frozen */
  status: number
  /** Penalties: the code that sends with a formId or a prepay_id end with. */
  penalty: { formIds?: number; prepayIds?: number }
  /** A service account's one template for one-time subscriptions; empty for a mini-program. */
  onceTemplateId: string
  openPlatform?: string
  pages?: Set<string>
  linked?: Set<string>
  whitelist?: Set<string>
  secretFrozen: boolean
  callback?: Callback
  users: Map<string, User>
  userList: User[]
  followerCount: number
  templates: Map<string, Template>
  classic: Token[]
  stable: Token[]
  forced: { day: number; used: number; lastAt: number }
  industries?: [number, number]
  industriesMonth: number
  quotaClears: { month: number; used: number; paths: number }
  tags: Map<number, string>
}

/** What one account granted a platform. */
export interface Authorization {
  appid: string
  refreshToken: string
  /** ids of permission sets */
  sets: Set<number>
  authorizedAt: number
  tokens: Token[]
  options: Map<string, string>
}

/** A third-party platform: no account itself, it calls on behalf of those that authorised it. */
export interface Platform extends Metered {
  appid: string
  secret: string
  name: string
  /** An unpublished one may only be authorised by its test accounts. */
  published: boolean
  testAccounts: Set<string>
  /** Permission sets it asks for unless the link says otherwise. */
  sets: number[]
  /** Host that the authorisation page may return to; absent: any. */
  domain?: string
  whitelist?: Set<string>
  /** Where tickets and authorisation events go; none are pushed without. */
  eventUrl?: string
  /** Where the events of its accounts go; `$APPID$` in it becomes the account's appid. */
  messageUrl?: string
  token: string
  aesKey: string
  /** newest first; each is good for 12 hours */
  tickets: { value: string; at: number }[]
  /** null: no tickets are pushed by themselves */
  nextTicketAt: number | null
  tokens: Token[]
  preAuthCodes: Map<string, { expiresAt: number; used: boolean }>
  authCodes: Map<string, { appid: string; expiresAt: number; used: boolean }>
  authorizations: Map<string, Authorization>
}

export interface FormId {
  id: string
  appid: string
  openid: string
  createdAt: number
  build: 'release' | 'trial' | 'develop'
  usesLeft: number
  blocked?: boolean
}

export interface Prepay {
  id: string
  appid: string
  openid: string
  orderId: string
  createdAt: number
  paidAt?: number
  visibleAt?: number
  usesLeft: number
}

export interface LoginCode {
  appid: string
  openid: string
  expiresAt: number
  used: boolean
}

/** What the facts leave open, as switches; the defaults are our reading. */
export interface Settings {
  /** live: legacy sends work; the others answer as WeChat does since 2020. */
  legacyMode: 'live' | 'retired_46101' | 'retired_45103'
  /** Answer to a repeated client_msg_id: the first msgid with errcode 0, or this errcode. */
  duplicateAnswer: 'first' | number
  clientMsgIdMs: number
  /** Same openid, template and data within this time on a service account: 40241. 0 switches the check off. */
  sameContentMs: number
  credentialDays: number
  /** From payment until the prepay_id works. */
  syncMs: number
  templateLimit: number
  subscribeTemplateLimit: number
  /** newtmpl add and delete take only the form encoding. */
  strictNewtmpl: boolean
  /** The 21st forced stable_token refresh of a day: the same token, or 45009. */
  forceUsedUp: 'same' | 'quota'
  riskyWords: string[]
  /** How long ago a person may last have used the mini-program for the content check. */
  activeMs: number
  preAuthSeconds: number
  authCodeSeconds: number
  /** Each refresh of an authorizer's token changes its refresh token too. */
  rotateRefreshToken: boolean
  push: {
    on: boolean
    minDelayMs: number
    maxDelayMs: number
    timeoutMs: number
    attempts: number
    retryDelayMs: number
    /** Shares (0–1) of pushes sent twice, lost, or sent before the send call is answered. */
    twice: number
    lost: number
    early: number
  }
}

/** One settled call: the errcode it carries and the text of its body. */
export interface Answer {
  code: number
  text: string
  /** Content type when not the usual one. */
  type?: string
  /** 302 to this address instead of a body. */
  redirect?: string
  /** Called once the answer has left (or was withheld). */
  done?: () => void
}

/**
 * A call as a handler sees it, checked as far as its route asks: `app` behind a good token (`platform` behind a component token),
 * `body` an object.
 */
export interface Call {
  method: string
  path: string
  query: Query
  ip: string
  app: App
  platform: Platform
  body: Record<string, any>
}

export const OK: Answer = { code: 0, text: '{"errcode":0,"errmsg":"ok"}' }

export const DEFAULT_SETTINGS: Settings = {
  legacyMode: 'live',
  duplicateAnswer: 'first',
  clientMsgIdMs: 600_000,
  sameContentMs: 60_000,
  credentialDays: 7,
  syncMs: 5_000,
  templateLimit: 25,
  subscribeTemplateLimit: 25,
  strictNewtmpl: false,
  forceUsedUp: 'same',
  riskyWords: ['违禁', '赌博'],
  activeMs: 7_200_000,
  preAuthSeconds: 600,
  authCodeSeconds: 600,
  rotateRefreshToken: false,
  push: {
    on: true,
    minDelayMs: 100,
    maxDelayMs: 800,
    timeoutMs: 5_000,
    attempts: 3,
    retryDelayMs: 1_000,
    twice: 0,
    lost: 0,
    early: 0
  }
}

/** All state of one sandbox. Handlers read and change it directly; it lives in memory only. */
export interface World {
  clock: SandboxClock
  chance: Chance
  settings: Settings
  apps: Map<string, App>
  platforms: Map<string, Platform>
  tokens: Map<string, Token>
  formIds: Map<string, FormId>
  prepays: Map<string, Prepay>
  codes: Map<string, LoginCode>
  /** unionid by open platform and person */
  unionids: Map<string, string>
  msgids: number
  /** Back to empty; chance goes on, so ids of an earlier life never return. */
  clear(): void
  /** An error answer with WeChat's text (or `text`) and a fresh rid. */
  fault(code: number, text?: string): Answer
  rid(): string
  /** The next msgid: 19 digits, beyond 2^53, so text from the start. */
  nextMsgid(): string
  /** Counts one call against the app's day quota of `path`; false when it was used up already. */
  spend(app: Metered, path: string): boolean
  limitOf(app: Metered, path: string): number
  usedOf(app: Metered, path: string): number
  /** Counts one call of `key` in this minute; false when `limit` was reached already. */
  spendMinute(app: Metered, key: string, limit: number): boolean
}

export function createWorld({ seed, now }: { seed: number; now: () => number }): World {
  const clock = createSandboxClock(now)
  const chance = createChance(seed)
  const msgidHead = String(2_000 + Math.floor(chance.next() * 1_000))
  const world: World = {
    clock,
    chance,
    settings: structuredClone(DEFAULT_SETTINGS),
    apps: new Map(),
    platforms: new Map(),
    tokens: new Map(),
    formIds: new Map(),
    prepays: new Map(),
    codes: new Map(),
    unionids: new Map(),
    msgids: 100_000_000_000_000 + Math.floor(chance.next() * 1e12),
    clear() {
      for (const part of [
        world.apps,
        world.platforms,
        world.tokens,
        world.formIds,
        world.prepays,
        world.codes,
        world.unionids
      ])
        part.clear()
      world.settings = structuredClone(DEFAULT_SETTINGS)
    },
    rid: () =>
      `${hex8(Math.floor(clock.now() / 1000))}-${hex8(chance.next() * 4_294_967_296)}-${hex8(chance.next() * 4_294_967_296)}`,
    fault: (code, text) => ({
      code,
      text: `{"errcode":${code},"errmsg":${JSON.stringify(`${text ?? ERRMSG.get(code) ?? 'error'} rid: ${world.rid()}`)}}`
    }),
    nextMsgid: () => msgidHead + String(++world.msgids),
    limitOf(app, path) {
      const own = app.quotas.get(path)
      if (own !== undefined) return own
      if (path === '/cgi-bin/message/subscribe/send' && app.payment) return SUBSCRIBE_DAILY_WITH_PAYMENT
      return DAILY_LIMITS[path] ?? Infinity
    },
    usedOf(app, path) {
      const usage = app.usage.get(path)
      return usage !== undefined && usage.day === clock.day() ? usage.used : 0
    },
    spend(app, path) {
      const day = clock.day()
      let usage = app.usage.get(path)
      if (usage === undefined || usage.day !== day) app.usage.set(path, (usage = { day, used: 0 }))
      if (usage.used >= world.limitOf(app, path)) return false
      usage.used++
      return true
    },
    spendMinute(app, key, limit) {
      const minute = Math.floor(clock.now() / 60_000)
      let usage = app.minutes.get(key)
      if (usage === undefined || usage.minute !== minute) app.minutes.set(key, (usage = { minute, used: 0 }))
      if (usage.used >= limit) return false
      usage.used++
      return true
    }
  }
  return world
}

const hex8 = (n: number) => (n >>> 0).toString(16).padStart(8, '0')

/** An answer of the read kind: the payload as JSON, by default without errcode. */
export const reply = (payload: unknown): Answer => ({ code: 0, text: JSON.stringify(payload) })

/** The page part of a card's target: a leading slash or a page that was not released is refused (41030). Empty means no link. */
export function pageIsReleased(app: App, page: unknown): boolean {
  if (page === undefined || page === null || page === '') return true
  if (typeof page !== 'string' || page.startsWith('/')) return false
  const path = page.split('?', 1)[0]!
  return path !== '' && (app.pages === undefined || app.pages.has(path))
}

/** The user behind an openid that a caller sent, whatever its type; undefined when the app does not know it. */
export const userOf = (app: App, openid: unknown): User | undefined =>
  typeof openid === 'string' ? app.users.get(openid) : undefined

/** The person's id across apps of one Open Platform account; undefined when the app is bound to none. */
export const unionidOf = (world: World, app: App, user: User): string | undefined => {
  if (app.openPlatform === undefined) return undefined
  const key = `${app.openPlatform} ${user.personKey}`
  let unionid = world.unionids.get(key)
  if (unionid === undefined) world.unionids.set(key, (unionid = `o${world.chance.word(27)}`))
  return unionid
}

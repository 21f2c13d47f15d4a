/** Which app's token a call carries; the names of the sandbox's stage below. */
export type AppName = 'mini' | 'clinic' | 'service' | 'unverified'

/** One HTTP call. `{name}` in any text is replaced by what the stage or an earlier step called so. */
export interface Ask {
  method: string
  path: string
  query?: Readonly<Record<string, string>>
  /** sent as JSON */
  body?: unknown
  /** sent as it is, with `type` */
  text?: string
  type?: string
}

/** Something that happens before the case asks: a control call (`/sandbox/…`) or a call of WeChat. `keep` names parts of its answer. */
export interface Step extends Ask {
  as?: AppName
  times?: number
  /** name → path into the answer, dots between; an empty path is the answer itself */
  keep?: Readonly<Record<string, string>>
}

/**
 * One statement about WeChat's servers. `fact` is the number of the statement it was derived from, `M` for mini-programs and `S`
 * for service accounts and platforms.
 */
export interface Case {
  fact: string
  name: string
  /** whose token the call carries; absent: none */
  as?: AppName
  before?: readonly Step[]
  ask: Ask
  /** errcode; 0 also stands for an answer without one. A list where the facts leave several open. */
  code: number | readonly number[]
  /** What the answer must match: values, expressions, constructors. */
  has?: object
  /** Keys the answer must not have. */
  lacks?: readonly string[]
  /** What the raw text of the answer must match. */
  text?: RegExp
  /** What its content type must match. */
  contentType?: RegExp
  /** Asked as often as there are codes here, all at once; these are the codes of the answers, sorted. */
  atOnce?: readonly number[]
  /** HTTP status when not 200 */
  status?: number
  /** Read-only cases without a token that speak of one kind of app all the same. */
  of?: AppName
  /** Changes nothing and needs nothing prepared: may be asked of the real servers. */
  readOnly?: true
}

/** Cases that belong together. */
export interface Chapter {
  title: string
  cases: readonly Case[]
}

export const MINI = { appid: 'wx5b1a2c3d4e5f6001', secret: '6001a1b2c3d4e5f60718293a4b5c6d7e' }
export const CLINIC = { appid: 'wx5b1a2c3d4e5f6002', secret: '6002a1b2c3d4e5f60718293a4b5c6d7e' }
export const SERVICE = { appid: 'wx5b1a2c3d4e5f6003', secret: '6003a1b2c3d4e5f60718293a4b5c6d7e' }
export const UNVERIFIED = { appid: 'wx00000000000000b2', secret: 'unverified-secret' }
export const PLATFORM = { appid: 'wx5b1a2c3d4e5f6009', secret: '6009a1b2c3d4e5f60718293a4b5c6d7e' }

const id = (head: string) => head.padEnd(43, '0')
export const LEGACY_TEMPLATE = id('SandboxLegacyShipped_')
export const ONE_TIME = id('SandboxSubscribePickup_')
export const LONG_TERM = id('SandboxLongTermVisit_')
export const CATEGORY = id('SandboxServiceShipped_')
export const ONCE = id('SandboxOnceNotice_')
export const STRANGER = 'oStranger0000000000000000000'
export const NO_TEMPLATE = 'N'.repeat(43)

export const LEGACY = '/cgi-bin/message/wxopen/template/send'
export const SUBSCRIBE = '/cgi-bin/message/subscribe/send'
export const BIZ = '/cgi-bin/message/subscribe/bizsend'
export const SEND = '/cgi-bin/message/template/send'
export const FORM = 'application/x-www-form-urlencoded'

export const MINUTE = 60_000
export const HOUR = 60 * MINUTE
export const DAY = 24 * HOUR

export const get = (path: string, query?: Record<string, string>): Ask => ({
  method: 'GET',
  path,
  ...(query === undefined ? {} : { query })
})
export const post = (path: string, body: unknown = {}, query?: Record<string, string>): Ask => ({
  method: 'POST',
  path,
  body,
  ...(query === undefined ? {} : { query })
})
/** A POST whose body is sent as it is. */
export const raw = (path: string, text: string, type = 'application/json'): Ask => ({
  method: 'POST',
  path,
  text,
  type
})
/** A step of the control API. */
export const set = (name: string, body: unknown, keep?: Record<string, string>): Step => ({
  ...post(`/sandbox/${name}`, body),
  ...(keep === undefined ? {} : { keep })
})
/** Time passes. */
export const later = (advanceMs: number): Step => set('clock', { advanceMs })

/**
 * The parts of `wx` this library may touch, all optional: base libraries differ, and Taro or uni may stand in.
 * Every member is looked up at the moment of the call, never kept.
 */
export interface PhoneApi {
  getStorageSync?(key: string): any
  setStorageSync?(key: string, value: any): any
  removeStorageSync?(key: string): any
  request?(options: any): any
  login?(options: any): any
  requestPayment?(options: any): any
  requestSubscribeMessage?(options: any): any
  getSetting?(options: any): any
  getAccountInfoSync?(): any
  getLaunchOptionsSync?(): any
  onAppShow?(listener: any): any
  onAppHide?(listener: any): any
  offAppShow?(listener: any): any
  offAppHide?(listener: any): any
  onNetworkStatusChange?(listener: any): any
  offNetworkStatusChange?(listener: any): any
}

/** Time, timers and chance. A phone has them as globals; tests and simulations pass their own. */
export interface Env {
  /** Milliseconds since 1970, by the phone's own clock; it may jump. */
  now(): number
  /** 0 ≤ x < 1 */
  random(): number
  setTimeout(run: () => void, ms: number): unknown
  clearTimeout(timer: any): void
}

/** What the server tells phones about how to behave. */
export interface Settings {
  /** Form catches kept a day (Asia/Shanghai); 0 = no cap. */
  capPerDay: number
  /** Shortest time between two kept form catches; 0 = none. */
  minIntervalMs: number
  /** Items a batch, 1–100. */
  batchSize: number
  /** Longest time a catch waits for company before it is handed in. */
  flushMs: number
  /** Which templates a scene should ask for. */
  prompts: { scene: string; templateIds: string[] }[]
  /** Sources the server wants no more of. */
  stop: { form: boolean; payment: boolean; grant: boolean }
  /** Sandbox accounts take the devtools' mock ids. */
  acceptMock: boolean
}

/** What a host's `getSession` answers with: the body of `POST /v1/capture/sessions`, or the bare token. */
export type HostSession = string | { token: string; expiresAt?: string; settings?: Partial<Settings> }

export interface Options {
  /** Base address of your Hongyan server, without `/v1`; must be in the mini-program's request domains. */
  server: string
  /** The mini-program's own app id; read from the platform when absent. */
  appId?: string
  /** Fetches a phone token from your own backend. When given, `wx.login` is never called. */
  getSession?: () => HostSession | Promise<HostSession>
  /** Prints every catch, refusal and verdict; or hands them to your function. */
  debug?: boolean | ((line: string, facts: Record<string, unknown>) => void)
  /** `wx` when absent; Taro or uni may be passed. */
  api?: PhoneApi
  env?: Partial<Env>
  /** Also catches payments the host makes by `wx.requestPayment` itself. Off by default: prefer `requestPayment`. */
  hookPayments?: boolean
  /** Query parameter in which a message's page carries its tag. Default `hytag`. */
  tagParam?: string
  /** Catches kept while they cannot be handed in. Default 500. */
  outboxSize?: number
  /** How long one copy of the library may hold the outbox while it talks to the server. Default 30 000. */
  leaseMs?: number
  /** How long one request may take. Default 15 000; keep it well under `leaseMs`. */
  timeoutMs?: number
}

/** What WeChat said to one request for subscriptions. Never a rejection: a refusal is an outcome too. */
export interface SubscribeOutcome {
  /** WeChat's word by template id: `accept…`, `reject`, `ban`, `filter`; or `fail:<code or words>` for all of them. */
  results: Record<string, string>
  /** Template ids whose word starts with `accept`. */
  accepted: string[]
  /** Templates whose answer the person told WeChat to keep without asking again: `accept`, `reject` or `ban`. */
  always: Record<string, string>
  /** The person's switch for all of this mini-program's messages; absent where the phone does not tell. */
  mainSwitch?: boolean
  /** Template ids not asked for in this call, being more than WeChat takes at once. */
  left: string[]
  errMsg: string
  /** WeChat's code when the whole request failed, e.g. 20004: the user's main switch is off. */
  errCode?: number
}

export interface Preferences {
  optedOut: boolean
  topics?: string[]
}

/** Counts of this phone. All but `refused` live in storage and survive restarts. */
export interface Status {
  /** Catches waiting in storage. */
  queued: number
  /** Catches put into the outbox, by form, payment, grant, event, open. */
  caught: Record<string, number>
  /** Catches the server spoke its verdict on: stored, duplicate, refused. */
  acknowledged: Record<string, number>
  /** Catches given up on purpose, by the same kinds as `caught`. */
  dropped: Record<string, number>
  /**
   * Turned away at the door since the app started, by reason: mock, failed, retired, empty, malformed, stopped, capped,
   * tooSoon, unpaid, noPrepayId, tooLarge. Of the first five the first an app start is handed in, so that the server counts, too.
   */
  refused: Record<string, number>
  /** Storage lines that could not be read back. */
  corrupt: number
  signedIn: boolean
}

/** What `wx.requestPayment` takes, and two of our own that do not reach it. */
export interface PaymentOptions {
  timeStamp: string
  nonceStr: string
  /** `prepay_id=…`, as your backend signed it. */
  package: string
  paySign: string
  signType?: string
  success?(res: any): void
  fail?(res: any): void
  complete?(res: any): void
  /** Your order, up to 64 characters: with it your backend can confirm the payment. */
  orderId?: string | number
  /** Where in the app, up to 100 characters; for reports. */
  place?: string
  /** What other platforms take besides. */
  [more: string]: any
}
/** As `wx` does it: a promise only for who gave no callback. */
export type PaymentAnswer<T> = T extends { success: any } | { fail: any } | { complete: any }
  ? void
  : Promise<{ errMsg: string }>

/** A form's submit event, as WeChat, Taro and uni hand it over. */
export interface FormEvent {
  detail?: { formId?: unknown }
  currentTarget?: { dataset?: Record<string, any> }
}

export interface Kit {
  /** For a host's own `<form report-submit bindsubmit>`: hand the submit event on. `place` also comes from `data-place`. */
  captureSubmit(event: FormEvent, place?: string): void
  /** `wx.requestPayment`; the prepay_id is handed in once the payment succeeded. `orderId` and `place` stay with us. */
  requestPayment<T extends PaymentOptions>(options: T): PaymentAnswer<T>
  /** Asks for subscriptions, at once: call it first in the tap. At most 5 templates; `left` names the rest. */
  requestSubscribe(templateIds: string[], place?: string): Promise<SubscribeOutcome>
  /**
   * Reports what the person did. Name: a letter, then up to 63 of `A–Z a–z 0–9 _ .`; up to 30 properties, 8,000
   * characters in all; values text, number, boolean, Date.
   */
  track(name: string, properties?: Record<string, any>): void
  /** Reports that a message was opened; done by itself for launches, call it for pages opened in other ways. */
  reportOpen(options?: { query?: Record<string, any> }): void
  /** With a wish: sets it and answers what is now in force. Without: asks the server. Null when it did not say so. */
  preferences(wish?: Preferences): Promise<(Preferences & { sendsLeft?: any }) | null>
  /** Templates the server wants asked for in this scene; empty before the first session. */
  templatesFor(scene: string): string[]
  /** What the server told this phone last, or the defaults. */
  settings(): Settings
  status(): Status
  /** Hands in what waits. Resolves when this round is over, whatever came of it. */
  flush(): Promise<void>
  /** Ends timers and listeners; what waits, or is caught still, stays in storage for the next kit. */
  stop(): void
}

/** Which send call of WeChat carries a message; also the interface its daily quota is counted on. */
export type Channel = 'legacy' | 'subscribe' | 'service'

/** One message, ready to be sent: values rendered and checked, the right to send in hand. */
export type SendInput = {
  channel: Channel
  openId: string
  templateId: string
  /** By field key of the template (`keyword1`, `thing2`); `color` (`#RRGGBB`) is shown by legacy messages only. */
  data: Record<string, { value: string; color?: string }>
  /** Page of the own mini-program, without a leading slash, may carry a query (legacy, subscribe). */
  page?: string
  /** Opened on tap (service); wins over `url`, which old clients fall back to. */
  miniprogram?: { appId: string; page?: string }
  url?: string
  /** A bare formId or prepay_id (legacy). */
  formId?: string
  /** The field key to enlarge (legacy). */
  emphasis?: string
  /** The same for every attempt at the same message; WeChat drops repeats within 10 minutes (service). */
  clientMsgId?: string
  /** zh_CN (default), zh_HK, zh_TW or en_US (subscribe). */
  lang?: string
  /** Which build a tap opens (subscribe); `formal` when absent. */
  miniprogramState?: 'developer' | 'trial' | 'formal'
}

/** One send call of WeChat: where it goes and what it says. Pure. */
export type Sender = {
  channel: Channel
  path: string
  body(input: SendInput): Record<string, unknown>
}

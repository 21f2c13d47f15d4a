import type { WechatPush } from '../wechat/callback.js'

/** One fact a push tells, ready for the events room. Holds no openid: whom it is about is said by recipientId alone. */
export type PushEvent = {
  /** The same for a push WeChat repeats, different for all others of this person. */
  id: string
  /** `$push:` and WeChat's event name in lower case, or `$push:message` for what a person wrote. */
  name: string
  at: Date
  properties: PushProperties
}

export type PushProperties = {
  /** Seconds since 1970 by WeChat's clock. */
  createTime: number
  msgType: string
  eventKey?: string
  msgId?: string
  status?: string
  templateId?: string
  subscribeStatus?: string
  popupScene?: string
  errorCode?: number
  errorStatus?: string
  /** The whole push, sealed: what the fields above do not say. */
  sealed?: string
}

/** Pushes whose fields are all understood; the others are kept whole besides. */
const UNDERSTOOD = new Set([
  'templatesendjobfinish',
  'subscribe',
  'unsubscribe',
  'scan',
  'click',
  'view',
  'subscribe_msg_popup_event',
  'subscribe_msg_change_event',
  'subscribe_msg_sent_event'
])
/** WeChat caps EventKey at 1 KB in practice; a longer one is no key of ours. */
const TEXT_LIMIT = 1_000

/**
 * What a push says, one event per item of its list. Two events of one person in one second differ by name, MsgID or
 * place in the list (service-account documentation, message push).
 */
export function pushEvents(push: WechatPush, seal: (text: string) => string): PushEvent[] {
  const kind = push.msgType === 'event' || push.event !== undefined ? (push.event ?? 'unknown') : 'message'
  const word = kind.toLowerCase()
  const createTime = Math.floor(push.createTime.getTime() / 1_000)
  const common: PushProperties = {
    createTime,
    msgType: short(push.msgType),
    ...(push.eventKey !== undefined && { eventKey: short(push.eventKey) }),
    ...(push.msgId !== undefined && { msgId: short(push.msgId) }),
    ...(push.status !== undefined && { status: short(push.status) }),
    ...(!UNDERSTOOD.has(word) && { sealed: seal(JSON.stringify(push.raw)) })
  }
  const event = (properties: PushProperties, index: number): PushEvent => ({
    id: [word, createTime, properties.msgId ?? '', index].join(':'),
    name: `$push:${word}`.slice(0, 100),
    at: push.createTime,
    properties
  })
  if (push.list.length === 0) return [event(common, 0)]
  return push.list.map((item, index) => event({ ...common, ...item }, index))
}

const short = (text: string) => text.slice(0, TEXT_LIMIT)

import { createDecipheriv, createHash, timingSafeEqual } from 'node:crypto'
import { XMLParser } from 'fast-xml-parser'
import { InvalidInput, NotAllowed } from '../platform/errors.js'
import { parseJson } from './json.js'

/** One item of the three subscribe_msg_… events; only what the event has is there. */
export type PushItem = {
  templateId: string
  /** `accept` or `reject`. */
  subscribeStatus?: string
  popupScene?: string
  msgId?: string
  /** 0: delivered. */
  errorCode?: number
  errorStatus?: string
}

/** A push as plain values. Ids are strings; `raw` holds everything as it came, for events nobody knows yet. */
export type WechatPush = {
  /** The account's `gh_…` id. */
  toUserName: string
  /** The openid it is about; empty for a platform's own events. */
  fromUserName: string
  /** WeChat's clock, whole seconds; 1970 when the push has none. */
  createTime: Date
  /** `event`, `text`, …; empty for a platform's authorisation events. */
  msgType: string
  event?: string
  eventKey?: string
  /** A platform's authorisation event: `component_verify_ticket`, `authorized`, … */
  infoType?: string
  content?: string
  /** MsgID of a finished send, or MsgId of a person's message: all digits. */
  msgId?: string
  /** Of TEMPLATESENDJOBFINISH: `success`, `failed:user block`, `failed: system failed`. */
  status?: string
  list: PushItem[]
  raw: Record<string, unknown>
}

/** What the push's URL carried. */
export type PushQuery = {
  signature?: string
  timestamp?: string
  nonce?: string
  msg_signature?: string
  encrypt_type?: string
  echostr?: string
}

/** Token and key as entered in WeChat's console; `aesKey` (43 characters) is needed for compatible and safe mode. */
export type CallbackKeys = {
  token: string
  aesKey?: string
  /** The account's appId, or the platform's for accounts connected by QR. */
  appId: string
  mode: 'plain' | 'compatible' | 'safe'
}

// No entities and no attributes: what WeChat sends needs neither, and an entity is how XML is made to explode.
const xml = new XMLParser({
  ignoreAttributes: true,
  ignoreDeclaration: true,
  parseTagValue: false,
  processEntities: false,
  trimValues: true
})

/** WeChat's console says safe mode, the account here says plain. */
export class Encrypted extends InvalidInput {
  constructor() {
    super('the push is encrypted: set the callback of the account to safe mode, with its EncodingAESKey', {
      code: 'callback.encrypted'
    })
  }
}

/** SHA-1 over the parts, sorted bytewise and joined: lower-case hex. The first part is the callback's token. */
export function signature(...parts: string[]): string {
  const sorted = parts.map((part) => Buffer.from(part)).sort(Buffer.compare)
  return createHash('sha1').update(Buffer.concat(sorted)).digest('hex')
}

/** Whether `given` is the signature over the parts; takes the same time however wrong it is. */
export function verifySignature(given: string | undefined, ...parts: string[]): boolean {
  if (given === undefined) return false
  const right = Buffer.from(signature(...parts))
  const asked = Buffer.from(given)
  return asked.length === right.length && timingSafeEqual(asked, right)
}

/**
 * The message in an `Encrypt` text of safe mode, and the appId behind it: 16 random bytes, 4-byte length, message, appId,
 * padded to 32 (not 16) bytes, AES-256-CBC, base64.
 * @throws InvalidInput `callback.bad-key` for a malformed key, `callback.undecipherable` for all else
 */
export function decrypt(aesKey: string, encrypted: string): { message: string; appId: string } {
  const key = keyOf(aesKey)
  const bytes = Buffer.from(encrypted, 'base64')
  if (bytes.length === 0 || bytes.length % 16 !== 0) throw undecipherable()
  const decipher = createDecipheriv('aes-256-cbc', key, key.subarray(0, 16)).setAutoPadding(false)
  const padded = Buffer.concat([decipher.update(bytes), decipher.final()])
  const pad = padded[padded.length - 1]!
  const end = padded.length - pad
  if (pad < 1 || pad > 32 || end < 20 || !padded.subarray(end).every((byte) => byte === pad)) throw undecipherable()
  const length = padded.readUInt32BE(16)
  if (20 + length > end) throw undecipherable()
  return {
    message: padded.toString('utf8', 20, 20 + length),
    appId: padded.toString('utf8', 20 + length, end)
  }
}

/**
 * A push's body, decrypted before if it was encrypted, as plain values. XML or JSON by content type, or by its first
 * character when the type says neither.
 * @throws InvalidInput `callback.unreadable` when it is neither, or holds a document type declaration
 */
export function parsePush(body: string, contentType = ''): WechatPush {
  const raw = parseBody(body, contentType)
  const msgId = text(raw.MsgID) ?? text(raw.MsgId) ?? text(raw.MsgId64)
  const seconds = Number(text(raw.CreateTime) ?? 0)
  const push: WechatPush = {
    toUserName: text(raw.ToUserName) ?? '',
    fromUserName: text(raw.FromUserName) ?? '',
    createTime: new Date(Number.isFinite(seconds) ? seconds * 1_000 : 0),
    msgType: text(raw.MsgType) ?? '',
    list: itemsOf(raw),
    raw
  }
  const optional = {
    event: text(raw.Event),
    eventKey: text(raw.EventKey),
    infoType: text(raw.InfoType),
    content: text(raw.Content),
    status: text(raw.Status),
    msgId
  }
  for (const [name, value] of Object.entries(optional)) if (value !== undefined) Object.assign(push, { [name]: value })
  return push
}

/**
 * The text to answer WeChat's check of a callback URL with.
 * @throws NotAllowed `callback.bad-signature`
 */
export function answerEcho(keys: CallbackKeys, query: PushQuery): string {
  const { timestamp = '', nonce = '', echostr = '' } = query
  if (!verifySignature(query.signature, keys.token, timestamp, nonce)) throw badSignature()
  return echostr
}

/**
 * Checks and opens a push in the account's mode: the signature first, before anything in the body is believed.
 * @throws NotAllowed `callback.bad-signature` also for a push meant for another appId, or clear text in safe mode
 * @throws Encrypted for a push with nothing in clear where no key is known; InvalidInput as `decrypt` and `parsePush`
 */
export function openPush(keys: CallbackKeys, query: PushQuery, body: string, contentType = ''): WechatPush {
  const { timestamp = '', nonce = '' } = query
  const encrypted = query.encrypt_type === 'aes'
  if (keys.mode === 'safe' && !encrypted) throw badSignature()
  if (keys.mode === 'plain' || !encrypted) {
    if (!verifySignature(query.signature, keys.token, timestamp, nonce)) throw badSignature()
    const push = parsePush(body, contentType)
    if (push.msgType === '' && push.raw.Encrypt !== undefined) throw new Encrypted()
    return push
  }
  const envelope = text(parseBody(body, contentType).Encrypt) ?? ''
  if (!verifySignature(query.msg_signature, keys.token, timestamp, nonce, envelope)) throw badSignature()
  const { message, appId } = decrypt(keys.aesKey ?? '', envelope)
  if (appId !== keys.appId) throw badSignature()
  return parsePush(message)
}

function parseBody(body: string, contentType: string): Record<string, unknown> {
  const start = body.trimStart()
  const isJson = start.startsWith('{') || (/json/i.test(contentType) && !start.startsWith('<'))
  try {
    if (isJson) {
      const value = parseJson(start)
      if (typeof value === 'object' && value !== null && !Array.isArray(value)) {
        JSON.stringify(value) // nested so deep that nobody can write it down again
        return value as Record<string, unknown>
      }
    } else if (start.startsWith('<') && !/^(?:<\?[^>]*>\s*|<!--[^]*?-->\s*)*<!DOCTYPE/i.test(start)) {
      const document = xml.parse(start, true) as Record<string, unknown>
      const root = document.xml
      if (typeof root === 'object' && root !== null && !Array.isArray(root)) return root as Record<string, unknown>
    }
  } catch {
    // falls through to the one error for everything unreadable
  }
  throw new InvalidInput('the push is neither XML nor JSON as WeChat writes it', { code: 'callback.unreadable' })
}

/** XML wraps the items by the event's name, JSON does not; one item may come bare instead of in an array. */
function itemsOf(raw: Record<string, unknown>): PushItem[] {
  const wrapper = raw.SubscribeMsgPopupEvent ?? raw.SubscribeMsgChangeEvent ?? raw.SubscribeMsgSentEvent ?? raw
  const list = Array.isArray(wrapper) ? wrapper : ((wrapper as { List?: unknown }).List ?? [])
  const items: PushItem[] = []
  for (const entry of Array.isArray(list) ? list : [list]) {
    if (typeof entry !== 'object' || entry === null) continue
    const templateId = text(entry.TemplateId)
    if (templateId === undefined) continue
    const item: PushItem = { templateId }
    const subscribeStatus = text(entry.SubscribeStatusString)
    const popupScene = text(entry.PopupScene)
    const msgId = text(entry.MsgID) ?? text(entry.MsgId)
    const errorCode = text(entry.ErrorCode)
    const errorStatus = text(entry.ErrorStatus)
    if (subscribeStatus !== undefined) item.subscribeStatus = subscribeStatus
    if (popupScene !== undefined) item.popupScene = popupScene
    if (msgId !== undefined) item.msgId = msgId
    if (errorCode !== undefined) item.errorCode = Number(errorCode)
    if (errorStatus !== undefined) item.errorStatus = errorStatus
    items.push(item)
  }
  return items
}

/** A text, or a number as text; undefined for what is missing, blank or neither. */
function text(value: unknown): string | undefined {
  if (typeof value === 'number') return String(value)
  return typeof value === 'string' && value !== '' ? value : undefined
}

function keyOf(aesKey: string): Buffer {
  const key = Buffer.from(`${aesKey}=`, 'base64')
  if (!/^[A-Za-z0-9+/]{43}$/.test(aesKey) || key.length !== 32) {
    throw new InvalidInput('the EncodingAESKey must have 43 letters and digits', { code: 'callback.bad-key' })
  }
  return key
}

function undecipherable(): InvalidInput {
  return new InvalidInput('the push cannot be decrypted with this key', { code: 'callback.undecipherable' })
}

function badSignature(): NotAllowed {
  return new NotAllowed('the push is not signed with the token of this account', { code: 'callback.bad-signature' })
}

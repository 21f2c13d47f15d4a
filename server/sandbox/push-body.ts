import type { App } from './world.js'

/** A field of an event: text becomes CDATA, numbers and `{ raw }` plain text. */
export type PushField = string | number | { raw: string }

/** What happened, before it is written as XML or JSON. */
export interface PushEvent {
  openid: string
  event: string
  /** MsgType; `event` when absent. A message has no Event. */
  type?: string
  fields?: Record<string, PushField>
  subscribe?: { wrapper: string; items: Record<string, string | { raw: string }>[] }
  /** What a person did: a platform hears of it only with permission set 1. */
  message?: boolean
}

/** A section cannot hold its own end: it is parted there. */
const escaped = (text: string) => text.replaceAll(']]>', ']]]]><![CDATA[>')
const cdata = (value: PushField) =>
  typeof value === 'number' ? String(value) : typeof value === 'string' ? `<![CDATA[${escaped(value)}]]>` : value.raw
const elements = (fields: Record<string, PushField>) =>
  Object.entries(fields)
    .map(([name, value]) => `<${name}>${cdata(value)}</${name}>`)
    .join('')
const plain = (value: PushField) => (typeof value === 'object' ? value.raw : value)
const plainAll = (fields: Record<string, PushField>) =>
  Object.fromEntries(Object.entries(fields).map(([name, value]) => [name, plain(value)]))

function head(app: App, event: PushEvent, seconds: number) {
  return {
    ToUserName: app.userName,
    FromUserName: event.openid,
    CreateTime: seconds,
    MsgType: event.type ?? 'event',
    ...(event.type === undefined ? { Event: event.event } : {})
  }
}

/** The event as WeChat writes it in XML; `seconds` is its CreateTime. */
export function xmlBody(app: App, event: PushEvent, seconds: number): string {
  const lists = event.subscribe?.items.map((item) => `<List>${elements(item)}</List>`).join('') ?? ''
  const wrapped =
    event.subscribe === undefined ? '' : `<${event.subscribe.wrapper}>${lists}</${event.subscribe.wrapper}>`
  return `<xml>${elements(head(app, event, seconds))}${elements(event.fields ?? {})}${wrapped}</xml>`
}

/** The JSON form has no wrapper, and `List` is a bare object when it holds one item: a trap seen in the wild. */
export function jsonBody(app: App, event: PushEvent, seconds: number): string {
  const items = event.subscribe?.items.map(plainAll)
  const list = items === undefined ? {} : { List: items.length === 1 ? items[0] : items }
  return JSON.stringify({ ...head(app, event, seconds), ...plainAll(event.fields ?? {}), ...list })
}

/** What a platform is told about itself and its accounts: plain elements, as documented. */
export const infoBody = (fields: Record<string, string | number>): string =>
  `<xml>${Object.entries(fields)
    .map(([name, value]) => `<${name}>${value}</${name}>`)
    .join('')}</xml>`

import { Agent, request } from 'undici'
import { encryptPush, signatureOf } from './push-crypto.js'
import type { App, World } from './world.js'

/** The body of an event: text fields become CDATA, numbers and `{ raw }` plain text, `{ wrapper, list }` a subscribe payload. */
export interface PushEvent {
  openid: string
  event: string
  fields?: Record<string, string | number | { raw: string }>
  subscribe?: { wrapper: string; items: Record<string, string | { raw: string }>[] }
}

/** What became of one push. `status` of an attempt is the HTTP status, or 0 without an answer. */
export interface PushRecord {
  id: number
  at: number
  appid: string
  event: string
  openid: string
  body: string
  state: 'waiting' | 'acknowledged' | 'failed' | 'lost'
  attempts: { at: number; status: number; answer: string }[]
}

const KEPT = 2_000
const IN_FLIGHT = 64

/** Sends signed events to the apps' callback addresses, each up to `settings.push.attempts` times until acknowledged. */
export function createPushes(world: World, log?: (line: string) => void) {
  const agent = new Agent({ connections: 32, pipelining: 1 })
  const timers = new Set<NodeJS.Timeout>()
  const queue: (() => Promise<void>)[] = []
  const records: PushRecord[] = []
  const counts = { sent: 0, acknowledged: 0, failed: 0, lost: 0, calls: 0 }
  let running = 0
  let closed = false
  let ids = 0
  let generation = 0

  function later(ms: number, act: () => void) {
    if (closed) return
    const timer = setTimeout(() => {
      timers.delete(timer)
      act()
    }, ms)
    timers.add(timer)
  }

  function pump() {
    while (running < IN_FLIGHT && queue.length > 0 && !closed) {
      running++
      void queue.shift()!().finally(() => {
        running--
        pump()
      })
    }
  }

  async function post(app: App, record: PushRecord): Promise<boolean> {
    const callback = app.callback
    if (callback === undefined) return true
    counts.calls++
    const timestamp = String(Math.floor(world.clock.now() / 1000))
    const nonce = String(1_000_000_000 + Math.floor(world.chance.next() * 1_000_000_000))
    const target = new URL(callback.url)
    target.searchParams.set('signature', signatureOf(callback.token, timestamp, nonce))
    target.searchParams.set('timestamp', timestamp)
    target.searchParams.set('nonce', nonce)
    target.searchParams.set('openid', record.openid)
    const json = callback.format === 'json'
    let body = record.body
    if (callback.mode !== undefined && callback.mode !== 'plain' && callback.aesKey !== undefined) {
      const encrypted = encryptPush(callback.aesKey, app.appid, record.body, world.chance.word(16))
      target.searchParams.set('encrypt_type', 'aes')
      target.searchParams.set('msg_signature', signatureOf(callback.token, timestamp, nonce, encrypted))
      const clear = callback.mode === 'compatible'
      if (json)
        body = JSON.stringify({
          ...(clear ? JSON.parse(record.body) : { ToUserName: app.userName }),
          Encrypt: encrypted
        })
      else if (clear) body = record.body.replace('</xml>', `<Encrypt><![CDATA[${encrypted}]]></Encrypt></xml>`)
      else
        body = `<xml><ToUserName><![CDATA[${app.userName}]]></ToUserName><Encrypt><![CDATA[${encrypted}]]></Encrypt></xml>`
    }
    const attempt = { at: world.clock.now(), status: 0, answer: '' }
    record.attempts.push(attempt)
    const { timeoutMs } = world.settings.push
    try {
      const response = await request(target, {
        dispatcher: agent,
        method: 'POST',
        headers: { 'content-type': json ? 'application/json' : 'text/xml', 'user-agent': 'Mozilla/4.0' },
        body,
        headersTimeout: timeoutMs,
        bodyTimeout: timeoutMs,
        signal: AbortSignal.timeout(timeoutMs)
      })
      attempt.status = response.statusCode
      attempt.answer = (await response.body.text()).slice(0, 200)
      const answer = attempt.answer.trim()
      return (
        response.statusCode === 200 &&
        (answer === '' || answer === 'success' || answer.startsWith('<xml>') || answer.startsWith('{'))
      )
    } catch (error) {
      attempt.answer = error instanceof Error ? error.message : String(error)
      return false
    }
  }

  function deliver(app: App, record: PushRecord, born: number) {
    queue.push(async () => {
      if (closed || born !== generation) return
      const good = await post(app, record)
      if (closed || born !== generation) return
      if (good) {
        if (record.state !== 'acknowledged') counts.acknowledged++
        record.state = 'acknowledged'
      } else if (record.attempts.length < world.settings.push.attempts) {
        later(world.settings.push.retryDelayMs, () => deliver(app, record, born))
      } else {
        record.state = 'failed'
        counts.failed++
        log?.(`push ${record.event} to ${app.appid} not acknowledged after ${record.attempts.length} tries`)
      }
    })
    pump()
  }

  return {
    /**
     * Pushes an event shortly from now (at once with `now`). Nothing happens when pushes are off or the app has no callback.
     * The shares `lost` and `twice` of the settings apply here.
     */
    send(app: App, event: PushEvent, now = false) {
      const { push } = world.settings
      if (!push.on || app.callback === undefined || closed) return
      const record: PushRecord = {
        id: ++ids,
        at: world.clock.now(),
        appid: app.appid,
        event: event.event,
        openid: event.openid,
        body: app.callback.format === 'json' ? jsonBody(app, event, world) : xmlBody(app, event, world),
        state: 'waiting',
        attempts: []
      }
      records.push(record)
      if (records.length > KEPT * 1.25) records.splice(0, records.length - KEPT)
      if (push.lost > 0 && world.chance.next() < push.lost) {
        record.state = 'lost'
        counts.lost++
        return
      }
      counts.sent++
      const born = generation
      const wait = () => (now ? 0 : world.chance.between(push.minDelayMs, push.maxDelayMs))
      later(wait(), () => deliver(app, record, born))
      if (push.twice > 0 && world.chance.next() < push.twice) later(wait(), () => deliver(app, record, born))
    },

    /** True when this event should leave before its send call is answered. */
    isEarly: () => world.settings.push.early > 0 && world.chance.next() < world.settings.push.early,

    /** The newest pushes (2,000 are kept) and the counts since the start or reset; `waiting` are not settled yet. */
    report(filter: { appid?: string; event?: string } = {}) {
      const rows = records.filter(
        (row) =>
          (filter.appid === undefined || row.appid === filter.appid) &&
          (filter.event === undefined || row.event === filter.event)
      )
      return { ...counts, waiting: queue.length + running + timers.size, rows }
    },

    clear() {
      generation++
      for (const timer of timers) clearTimeout(timer)
      timers.clear()
      queue.length = records.length = 0
      counts.sent = counts.acknowledged = counts.failed = counts.lost = counts.calls = 0
    },

    async close() {
      closed = true
      for (const timer of timers) clearTimeout(timer)
      timers.clear()
      queue.length = 0
      await agent.destroy()
    }
  }
}

/** What `createPushes` makes. */
export type Pushes = ReturnType<typeof createPushes>

const cdata = (value: string | number | { raw: string }) =>
  typeof value === 'number' ? String(value) : typeof value === 'string' ? `<![CDATA[${value}]]>` : value.raw
const elements = (fields: Record<string, string | number | { raw: string }>) =>
  Object.entries(fields)
    .map(([name, value]) => `<${name}>${cdata(value)}</${name}>`)
    .join('')
const plain = (value: string | number | { raw: string }) => (typeof value === 'object' ? value.raw : value)
const plainAll = (fields: Record<string, string | number | { raw: string }>) =>
  Object.fromEntries(Object.entries(fields).map(([name, value]) => [name, plain(value)]))

function head(app: App, event: PushEvent, world: World) {
  return {
    ToUserName: app.userName,
    FromUserName: event.openid,
    CreateTime: Math.floor(world.clock.now() / 1000),
    MsgType: 'event',
    Event: event.event
  }
}

function xmlBody(app: App, event: PushEvent, world: World): string {
  const lists = event.subscribe?.items.map((item) => `<List>${elements(item)}</List>`).join('') ?? ''
  const wrapped =
    event.subscribe === undefined ? '' : `<${event.subscribe.wrapper}>${lists}</${event.subscribe.wrapper}>`
  return `<xml>${elements(head(app, event, world))}${elements(event.fields ?? {})}${wrapped}</xml>`
}

/** The JSON form has no wrapper, and `List` is a bare object when it holds one item: a trap seen in the wild. */
function jsonBody(app: App, event: PushEvent, world: World): string {
  const items = event.subscribe?.items.map(plainAll)
  const list = items === undefined ? {} : { List: items.length === 1 ? items[0] : items }
  return JSON.stringify({ ...head(app, event, world), ...plainAll(event.fields ?? {}), ...list })
}

import { createPoster } from './post.js'
import { encryptPush, signatureOf } from './push-crypto.js'
import { infoBody, jsonBody, xmlBody, type PushEvent } from './push-body.js'
import type { App, Platform, World } from './world.js'

/** Where a push goes and how it is sealed. */
interface Target {
  /** app or platform as the record names it */
  appid: string
  url: string
  token: string
  mode: 'plain' | 'compatible' | 'safe'
  json: boolean
  aesKey?: string
  /** trailing id of the sealed text */
  receiver: string
  /** what names the receiver in the envelope */
  envelope: { ToUserName: string } | { AppId: string }
  openid?: string
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
  const poster = createPoster()
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

  /** Who hears of an app's event: its own server, and the message address of each platform it authorised. */
  function targetsOf(app: App, event: PushEvent): Target[] {
    const targets: Target[] = []
    const { callback } = app
    const base = { appid: app.appid, envelope: { ToUserName: app.userName }, openid: event.openid }
    if (callback !== undefined) {
      const mode = callback.aesKey === undefined ? 'plain' : (callback.mode ?? 'plain')
      targets.push({ ...base, ...callback, mode, json: callback.format === 'json', receiver: app.appid })
    }
    for (const platform of world.platforms.values()) {
      const sets = platform.authorizations.get(app.appid)?.sets
      if (sets === undefined || platform.messageUrl === undefined || (event.message === true && !sets.has(1))) continue
      const url = platform.messageUrl.replaceAll('$APPID$', app.appid)
      targets.push({ ...base, ...sealedBy(platform), url })
    }
    return targets
  }

  async function post(target: Target, record: PushRecord): Promise<boolean> {
    counts.calls++
    const timestamp = String(Math.floor(world.clock.now() / 1000))
    const nonce = String(1_000_000_000 + Math.floor(world.chance.next() * 1_000_000_000))
    const address = new URL(target.url)
    address.searchParams.set('signature', signatureOf(target.token, timestamp, nonce))
    address.searchParams.set('timestamp', timestamp)
    address.searchParams.set('nonce', nonce)
    if (target.openid !== undefined) address.searchParams.set('openid', target.openid)
    let body = record.body
    if (target.mode !== 'plain' && target.aesKey !== undefined) {
      const encrypted = encryptPush(target.aesKey, target.receiver, record.body, world.chance.word(16))
      address.searchParams.set('encrypt_type', 'aes')
      address.searchParams.set('msg_signature', signatureOf(target.token, timestamp, nonce, encrypted))
      const clear = target.mode === 'compatible'
      const sealed = `<Encrypt><![CDATA[${encrypted}]]></Encrypt></xml>`
      const [[name, id]] = Object.entries(target.envelope) as [[string, string]]
      if (target.json)
        body = JSON.stringify({ ...(clear ? JSON.parse(record.body) : target.envelope), Encrypt: encrypted })
      else if (clear) body = record.body.replace(/<\/xml>$/, () => sealed)
      else body = `<xml><${name}><![CDATA[${id}]]></${name}>${sealed}`
    }
    const attempt = { at: world.clock.now(), status: 0, answer: '' }
    record.attempts.push(attempt)
    try {
      const type = target.json ? 'application/json' : 'text/xml'
      Object.assign(attempt, await poster.post(address, body, type, world.settings.push.timeoutMs))
      const answer = attempt.answer.trim()
      return (
        attempt.status === 200 &&
        (answer === '' || answer === 'success' || answer.startsWith('<xml>') || answer.startsWith('{'))
      )
    } catch (error) {
      attempt.answer = error instanceof Error ? error.message : String(error)
      return false
    }
  }

  function deliver(target: Target, record: PushRecord, born: number) {
    queue.push(async () => {
      if (closed || born !== generation) return
      const good = await post(target, record)
      if (closed || born !== generation) return
      if (good) {
        if (record.state !== 'acknowledged') counts.acknowledged++
        record.state = 'acknowledged'
      } else if (record.attempts.length < world.settings.push.attempts) {
        later(world.settings.push.retryDelayMs, () => deliver(target, record, born))
      } else {
        record.state = 'failed'
        counts.failed++
        log?.(`push ${record.event} to ${record.appid} not acknowledged after ${record.attempts.length} tries`)
      }
    })
    pump()
  }

  /** Writes a push down and sends it shortly from now; the shares `lost` and `twice` of the settings apply here. */
  function schedule(target: Target, event: string, body: string, now: boolean) {
    const { push } = world.settings
    const { appid, openid = '' } = target
    const at = world.clock.now()
    const record: PushRecord = { id: ++ids, at, appid, event, openid, body, state: 'waiting', attempts: [] }
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
    later(wait(), () => deliver(target, record, born))
    if (push.twice > 0 && world.chance.next() < push.twice) later(wait(), () => deliver(target, record, born))
  }

  return {
    /** Pushes an event of an app shortly from now (at once with `now`) to all who should hear; to nobody when pushes are off. */
    send(app: App, event: PushEvent, now = false) {
      if (!world.settings.push.on || closed) return
      const seconds = Math.floor(world.clock.now() / 1000)
      for (const target of targetsOf(app, event))
        schedule(target, event.event, target.json ? jsonBody(app, event, seconds) : xmlBody(app, event, seconds), now)
    },

    /** Tells a platform about itself or an account, at its event address; `fields` come after AppId, CreateTime, InfoType. */
    inform(platform: Platform, infoType: string, fields: Record<string, string | number>) {
      if (!world.settings.push.on || closed || platform.eventUrl === undefined) return
      const CreateTime = Math.floor(world.clock.now() / 1000)
      const body = infoBody({ AppId: platform.appid, CreateTime, InfoType: infoType, ...fields })
      const target = { ...sealedBy(platform), appid: platform.appid, url: platform.eventUrl }
      schedule({ ...target, envelope: { AppId: platform.appid } }, infoType, body, false)
    },

    /** False when nobody would hear of an app's events. */
    isHeard: (app: App) => app.callback !== undefined || world.platforms.size > 0,

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

    close() {
      closed = true
      for (const timer of timers) clearTimeout(timer)
      timers.clear()
      queue.length = 0
      poster.close()
    }
  }
}

/** What `createPushes` makes. */
export type Pushes = ReturnType<typeof createPushes>

/** Platforms get everything in safe mode and XML, under their own key. */
const sealedBy = ({ appid, token, aesKey }: Platform) => ({
  token,
  aesKey,
  mode: 'safe' as const,
  json: false,
  receiver: appid
})

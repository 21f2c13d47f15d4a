import { isEventName, readProperties } from './capture/event.js'
import { refuseFormId, type Refusal } from './capture/form-id.js'
import { createPayments } from './capture/payment.js'
import { isPaid, prepayIdOf } from './capture/prepay-id.js'
import { createSubscriptions } from './capture/subscription.js'
import { noteForm, refuseForm } from './door.js'
import { phoneEnv } from './env.js'
import { createSessions } from './login.js'
import { createOutbox } from './outbox/outbox.js'
import { DEFAULTS } from './settings.js'
import { createTransport } from './transport.js'
import type {
  Kit,
  Options,
  PaymentOptions,
  PhoneApi,
  Preferences,
  Settings,
  Status,
  SubscribeOutcome
} from './types.js'

declare const wx: PhoneApi | undefined

/**
 * One whole kit: catches, keeps, hands in. Several may live side by side (two copies of the library on one storage, or
 * many simulated phones), since nothing is held outside. Without `server` it only keeps; a later kit on the same
 * storage hands in. Nothing here throws into the caller.
 */
export function createKit(given?: Partial<Options>): Kit {
  const options: Partial<Options> = given || {}
  const env = phoneEnv(options.env)
  const api = (): PhoneApi => options.api || (typeof wx === 'undefined' ? {} : wx) || {}
  const server = safely('server', () => String(options.server || ''), '').replace(/\/+$/, '')
  const timeoutMs = atLeast1(options.timeoutMs, 15_000)
  const transport = createTransport({ api, env, timeoutMs })
  const sessions = server
    ? createSessions({ server, appId, getSession: options.getSession, api, env, timeoutMs, transport })
    : null
  const outbox = createOutbox({
    api,
    env,
    sessions,
    size: atLeast1(options.outboxSize, 500),
    leaseMs: atLeast1(options.leaseMs, 30_000),
    say
  })
  const refused: Record<string, number> = {}
  const reported: Record<string, true> = {}
  const opened: Record<string, true> = Object.create(null) // tags come from outside, "constructor" among them
  const undo: (() => void)[] = []
  const payments = createPayments({
    api,
    paid: (given, res) => safely('payment', () => capturePayment(given, res), undefined)
  })
  const requestSubscribe = createSubscriptions({
    api,
    env,
    answered: (outcome, place) => safely('subscribe', () => captureGrants(outcome, place), undefined)
  })

  function say(line: string, facts: Record<string, unknown> = {}): void {
    if (!options.debug) return
    try {
      if (typeof options.debug === 'function') options.debug(line, facts)
      else console.log('[hongyan]', line, facts)
    } catch {
      // a host's own printer is no reason to lose a catch
    }
  }
  /** The edge to the host: what goes wrong in here stays in here. */
  function safely<T>(what: string, run: () => T, otherwise: T): T {
    try {
      return run()
    } catch (error) {
      say(`${what} failed`, { error: String(error) })
      return otherwise
    }
  }
  function appId(): string {
    return (
      safely('appId', () => String(options.appId || ''), '') ||
      safely('appId', () => String(api().getAccountInfoSync!().miniProgram.appId), '')
    )
  }
  const settings = () => (sessions ? sessions.settings() : DEFAULTS)
  const placed = (place: unknown) => (typeof place === 'string' && place ? place.slice(0, 100) : undefined)

  function turnAway(source: string, reason: string, facts: Record<string, unknown> = {}): void {
    refused[reason] = (refused[reason] || 0) + 1
    say('refused at the door', Object.assign({ source, reason, times: refused[reason] }, facts))
  }

  function captureForm(value: unknown, place: unknown): void {
    const told = sessions ? sessions.told() : DEFAULTS // asked once: a tap waits for each look into storage
    const now = told || DEFAULTS
    if (now.stop.form) return turnAway('form', 'stopped')
    const reason = refuseFormId(value)
    // before the server has spoken we cannot know whether it takes mock ids; it judges them itself then
    const mockMayPass = now.acceptMock || told === null
    if (reason && !(reason === 'mock' && mockMayPass)) {
      turnAway('form', reason, { value })
      report(reason, value, place, now)
      return
    }
    const at = env.now()
    const caught = {
      kind: 'credential' as const,
      source: 'form' as const,
      value: value as string,
      place: placed(place)
    }
    const unwanted = outbox.keep([caught], now, (box) => {
      const why = refuseForm(now, box, at)
      if (why === null) noteForm(box, at)
      return why
    })
    if (unwanted !== null) turnAway('form', unwanted)
  }
  /** The first of each kind an app start is handed in as it is: the server refuses it by kind, too, and counts. */
  function report(reason: Refusal, value: unknown, place: unknown, now: Settings): void {
    if (!sessions || reported[reason]) return
    reported[reason] = true
    const text = typeof value === 'string' && reason !== 'malformed' && value ? value : undefined
    outbox.keep([{ kind: 'credential', source: 'form', value: text, place: placed(place) }], now)
  }

  function capturePayment(given: PaymentOptions, res: any): void {
    const { place } = given
    const value = prepayIdOf(given.package)
    if (!isPaid(res)) return turnAway('payment', 'unpaid')
    if (value === null) return turnAway('payment', 'noPrepayId')
    const now = settings()
    if (now.stop.payment) return turnAway('payment', 'stopped')
    const order = given.orderId === undefined || given.orderId === null ? '' : String(given.orderId)
    if (order.length > 64) say('orderId left out: longer than 64 characters', { orderId: order })
    const orderId = order && order.length <= 64 ? order : undefined
    outbox.keep([{ kind: 'credential', source: 'payment', value, result: 'ok', orderId, place: placed(place) }], now)
  }

  function captureGrants({ results, errMsg }: SubscribeOutcome, place: unknown): void {
    say('subscription answer', { results, errMsg })
    const now = settings()
    if (now.stop.grant) return turnAway('grant', 'stopped')
    const tap = outbox.newId() // one mark for all templates of one tap
    outbox.keep(
      Object.keys(results)
        .filter((templateId) => templateId.length <= 64)
        .map((templateId) => ({
          kind: 'credential' as const,
          source: 'grant' as const,
          value: tap,
          templateId,
          result: results[templateId].slice(0, 200),
          place: placed(place)
        })),
      now
    )
  }

  function reportOpen(from?: any): void {
    const launched = from || (api().getLaunchOptionsSync && api().getLaunchOptionsSync!())
    const tag = launched && launched.query && launched.query[options.tagParam || 'hytag']
    // the same options are handed out again each time the app comes back to the front
    if (typeof tag !== 'string' || !tag || tag.length > 200 || opened[tag]) return
    opened[tag] = true
    outbox.keep([{ kind: 'open', tag }], settings())
  }

  async function preferences(wish?: Preferences) {
    if (!sessions) return null
    const ask = wish
      ? { method: 'PUT' as const, path: '/v1/capture/preferences', body: () => wish }
      : { method: 'GET' as const, path: '/v1/capture/status' }
    const answer = await sessions.call(ask)
    if (answer.status < 200 || answer.status > 299) return null
    // a hotel's log-in page says 200, too: only what the server says is in force
    const { body } = answer
    return body && typeof body.optedOut === 'boolean' && Array.isArray(body.topics) ? body : null
  }

  function listen(on: 'onAppShow' | 'onAppHide' | 'onNetworkStatusChange', run: (res: any) => void): void {
    const listener = (res: any) => safely(on, () => run(res), undefined)
    const off = on.replace('on', 'off') as 'offAppShow'
    safely(on, () => api()[on] && api()[on]!(listener), undefined)
    undo.push(() => api()[off] && api()[off]!(listener))
  }

  if (sessions) {
    safely('launch', () => reportOpen(), undefined)
    listen('onAppShow', (res) => {
      reportOpen(res || {})
      outbox.wake(env.now())
    })
    listen('onAppHide', () => void outbox.flush(true))
    listen('onNetworkStatusChange', (res) => {
      if (!res || !res.isConnected) return
      outbox.forgive()
      void outbox.flush()
    })
    // The first session brings the settings; what an earlier start left behind travels with it
    const ready = () => void outbox.flush()
    sessions.get().then(ready, ready)
  }
  if (options.hookPayments) safely('hook', () => undo.push(payments.hook()), 0)

  return {
    captureSubmit(event, place) {
      safely(
        'captureSubmit',
        () => {
          const data = event && event.currentTarget && event.currentTarget.dataset
          captureForm(event && event.detail && event.detail.formId, place || (data && data.place))
        },
        undefined
      )
    },
    requestPayment: payments.request,
    requestSubscribe,
    track(name, properties) {
      safely(
        'track',
        () => {
          if (!isEventName(name)) return turnAway('event', 'malformed', { name })
          const read = readProperties(properties)
          if (read.refused) return turnAway('event', read.refused, { name })
          if (read.left.length) say('properties left out', { name, left: read.left })
          outbox.keep([{ kind: 'event', name, properties: read.properties }], settings())
        },
        undefined
      )
    },
    reportOpen: (from) => safely('reportOpen', () => reportOpen(from), undefined),
    preferences: (wish) =>
      preferences(wish).catch((error) => {
        say('preferences failed', { error: String(error) })
        return null
      }),
    templatesFor(scene) {
      const found = settings().prompts.filter((prompt) => prompt.scene === scene)[0]
      return found ? found.templateIds.slice() : []
    },
    settings,
    status: () => safely('status', status, EMPTY),
    flush: () => outbox.flush(true),
    stop() {
      outbox.stop()
      for (const run of undo) safely('stop', run, undefined)
    }
  }

  function status(): Status {
    const box = outbox.box.read()
    const pick = (what: string) => {
      const found: Record<string, number> = {}
      for (const key of Object.keys(box.counts)) {
        const [group, name] = key.split('.')
        if (group === what && name) found[name] = box.counts[key]
      }
      return found
    }
    return {
      queued: box.items.length,
      caught: pick('caught'),
      acknowledged: pick('acknowledged'),
      dropped: pick('dropped'),
      refused: Object.assign({}, refused),
      corrupt: box.counts['corrupt'] || 0,
      signedIn: sessions !== null && sessions.signedIn()
    }
  }
}

/** A number from the host's options that makes sense, or ours. */
const atLeast1 = (given: unknown, ours: number) => (typeof given === 'number' && given >= 1 ? given : ours)

const EMPTY: Status = { queued: 0, caught: {}, acknowledged: {}, dropped: {}, refused: {}, corrupt: 0, signedIn: false }

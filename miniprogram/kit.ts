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
import type { Kit, Options, PaymentOptions, PhoneApi, Preferences, Status, SubscribeOutcome } from './types.js'

declare const wx: PhoneApi | undefined

/**
 * One whole kit: catches, keeps, hands in. Several may live side by side (two copies of the library on one storage, or
 * many simulated phones), since nothing is held outside. Without `server` it only keeps; a later kit on the same
 * storage hands in. Nothing here throws into the caller.
 */
export function createKit(options: Partial<Options> = {}): Kit {
  const env = phoneEnv(options.env)
  const api = (): PhoneApi => options.api || (typeof wx === 'undefined' ? {} : wx) || {}
  const server = String(options.server || '').replace(/\/+$/, '')
  const timeoutMs = options.timeoutMs || 15_000
  const transport = createTransport({ api, env, timeoutMs })
  const sessions = server
    ? createSessions({ server, appId, getSession: options.getSession, api, env, timeoutMs, transport })
    : null
  const outbox = createOutbox({
    api,
    env,
    sessions,
    size: options.outboxSize || 500,
    leaseMs: options.leaseMs || 30_000,
    say
  })
  const refused: Record<string, number> = {}
  const reported: Record<string, true> = {}
  const opened: Record<string, true> = {}
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
    return options.appId || safely('appId', () => String(api().getAccountInfoSync!().miniProgram.appId), '')
  }
  const settings = () => (sessions ? sessions.settings() : DEFAULTS)
  const placed = (place: unknown) => (typeof place === 'string' && place ? place.slice(0, 100) : undefined)

  function turnAway(source: string, reason: string, facts: Record<string, unknown> = {}): void {
    refused[reason] = (refused[reason] || 0) + 1
    say('refused at the door', Object.assign({ source, reason, times: refused[reason] }, facts))
  }

  function captureForm(value: unknown, place: unknown): void {
    if (settings().stop.form) return turnAway('form', 'stopped')
    const reason = refuseFormId(value)
    // before the server has spoken we cannot know whether it takes mock ids; it judges them itself then
    const mockMayPass = settings().acceptMock || (sessions !== null && !sessions.known())
    if (reason && !(reason === 'mock' && mockMayPass)) {
      turnAway('form', reason, { value })
      report(reason, value, place)
      return
    }
    const now = env.now()
    const unwanted = refuseForm(settings(), outbox.box.read(), now)
    if (unwanted) return turnAway('form', unwanted)
    outbox.keep([{ kind: 'credential', source: 'form', value: value as string, place: placed(place) }], (b) =>
      noteForm(b, now)
    )
  }
  /** The first of each kind an app start is handed in as it is: the server refuses it by kind, too, and counts. */
  function report(reason: Refusal, value: unknown, place: unknown): void {
    if (!sessions || reported[reason]) return
    reported[reason] = true
    const text = typeof value === 'string' && reason !== 'malformed' && value ? value : undefined
    outbox.keep([{ kind: 'credential', source: 'form', value: text, place: placed(place) }])
  }

  function capturePayment(given: PaymentOptions, res: any): void {
    const { orderId, place } = given
    const value = prepayIdOf(given.package)
    if (!isPaid(res)) return turnAway('payment', 'unpaid')
    if (value === null) return turnAway('payment', 'noPrepayId')
    if (settings().stop.payment) return turnAway('payment', 'stopped')
    const order = orderId === undefined || orderId === null ? '' : String(orderId)
    if (order.length > 64) say('orderId left out: longer than 64 characters', { orderId: order })
    outbox.keep([
      {
        kind: 'credential',
        source: 'payment',
        value,
        result: 'ok',
        orderId: order && order.length <= 64 ? order : undefined,
        place: placed(place)
      }
    ])
  }

  function captureGrants({ results, errMsg }: SubscribeOutcome, place: unknown): void {
    say('subscription answer', { results, errMsg })
    if (settings().stop.grant) return turnAway('grant', 'stopped')
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
        }))
    )
  }

  function reportOpen(from?: any): void {
    const launched = from || (api().getLaunchOptionsSync && api().getLaunchOptionsSync!())
    const tag = launched && launched.query && launched.query[options.tagParam || 'hytag']
    // the same options are handed out again each time the app comes back to the front
    if (typeof tag !== 'string' || !tag || tag.length > 200 || opened[tag]) return
    opened[tag] = true
    outbox.keep([{ kind: 'open', tag }])
  }

  async function preferences(wish?: Preferences) {
    if (!sessions) return null
    const ask = wish
      ? { method: 'PUT' as const, path: '/v1/capture/preferences', body: () => wish }
      : { method: 'GET' as const, path: '/v1/capture/status' }
    const answer = await sessions.call(ask)
    if (answer.status < 200 || answer.status > 299) return null
    return answer.body && typeof answer.body.optedOut === 'boolean' ? answer.body : wish || null
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
          if (read.left.length) say('properties left out', { name, left: read.left })
          outbox.keep([{ kind: 'event', name, properties: read.properties }])
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

const EMPTY: Status = { queued: 0, caught: {}, acknowledged: {}, dropped: {}, refused: {}, corrupt: 0, signedIn: false }

import type { Ledger } from './ledger.js'
import type { Route } from './routes.js'
import { queryOf, type Query } from './query.js'
import type { Rule, Rules } from './rules.js'
import type { Tokens } from './tokens.js'
import { isObject } from './values.js'
import type { Answer, App, Platform, Token, World } from './world.js'

/** A request as it came over the wire. */
export interface Incoming {
  method: string
  path: string
  query: string
  contentType: string
  body: string
  ip: string
}

/** How a call ends: the answer (none when a fault withheld the processing) and the fault that struck, if any. */
export interface Outcome {
  answer: Answer | undefined
  rule: Rule | undefined
}

/** A finished call as it is remembered; secrets are taken out when it is shown. */
export interface RequestRecord {
  incoming: Incoming
  at: number
  appid: string | undefined
  code: number | undefined
  answer: string
  ruleId: string | undefined
}

const KEPT = 2_000
const SECRET_FIELDS =
  /("(?:(?:app|component_app|component_)?secret|component_verify_ticket|authorization_code|session_key|(?:component_|authorizer_)?access_token|(?:authorizer_)?refresh_token)"\s*:\s*")[^"]*"/g
const RID = /rid: ([0-9a-f]{8}-[0-9a-f]{8}-[0-9a-f]{8})/

/** Who is behind a call's token: an app or a platform, nobody for calls without. */
interface Caller {
  token: Token | undefined
  app: App | undefined
  platform: Platform | undefined
}
const NOBODY: Caller = { token: undefined, app: undefined, platform: undefined }

interface Parts {
  world: World
  routes: Map<string, Route>
  tokens: Tokens
  rules: Rules
  ledger: Ledger
}

/** Answers calls as WeChat: path, method, token, body, kind of app, quota, then the call's own checks. */
export function createWechat({ world, routes, tokens, rules, ledger }: Parts) {
  const ring: RequestRecord[] = []
  let cursor = 0

  /** The body as its route wants it, or the fault. */
  function bodyOf(route: Route, incoming: Incoming): Record<string, any> | number {
    if (route.body === 'none') return {}
    const { body } = incoming
    if (body === '') return route.body === 'loose' ? {} : 44002
    const urlencoded = incoming.contentType.startsWith('application/x-www-form-urlencoded')
    if (route.body === 'form' && (urlencoded || world.settings.strictNewtmpl)) return urlencoded ? formBody(body) : {}
    try {
      const parsed: unknown = JSON.parse(body)
      return isObject(parsed) ? parsed : 47001
    } catch {
      return route.body === 'form' ? formBody(body) : 47001
    }
  }

  /** The checks between the token and the call's own: kind of app, what was granted, retirement, quotas. */
  function admit(route: Route, path: string, app: App, token: Token): Answer | undefined {
    if (route.kind !== undefined && app.kind !== route.kind) return world.fault(route.foreign ?? 48001)
    if (route.verified && (!app.verified || app.serviceType !== 2)) return world.fault(48001)
    if (token.platform !== undefined && route.set !== undefined && app.kind === 'service') {
      const grant = world.platforms.get(token.platform)?.authorizations.get(app.appid)
      if (grant?.sets.has(route.set) !== true) return world.fault(61007)
    }
    if (route.legacy && world.settings.legacyMode !== 'live')
      return world.fault(world.settings.legacyMode === 'retired_46101' ? 46101 : 45103)
    if (route.sends) ledger.sending(app.appid, path)
    if (!route.quota) return undefined
    if (!world.spend(app, path)) return world.fault(45009)
    const pace = app.paces.get(path)
    return pace === undefined || world.spendMinute(app, path, pace) ? undefined : world.fault(45011)
  }

  /** Who calls: the app or platform behind the token, nobody where none is needed, or the fault. */
  function callerOf(route: Route, query: Query): Caller | Answer {
    if (route.token === false) return NOBODY
    const component = route.token === 'component'
    const value = component
      ? (query.get('component_access_token') ?? query.get('access_token'))
      : query.get('access_token')
    const token = tokens.check(value, component)
    if ('code' in token) return token
    if (component) {
      const platform = world.platforms.get(token.appid)
      return platform === undefined ? world.fault(40001) : { token, platform, app: undefined }
    }
    const app = world.apps.get(token.appid)
    return app === undefined ? world.fault(40001) : { token, app, platform: undefined }
  }

  return {
    /** Takes one call through all checks and any fault rule. What it changes is changed when this returns. */
    take(incoming: Incoming): Outcome {
      const { method, path } = incoming
      ledger.called(path)
      const route = routes.get(path)
      const query = queryOf(incoming.query)
      let caller: Caller = NOBODY
      let body: Record<string, any> = {}
      let early: Answer | undefined
      if (route === undefined) early = world.fault(40066)
      else if (route.method !== 'any' ? route.method !== method : method !== 'GET' && method !== 'POST')
        early = world.fault(route.wrongMethod ?? (route.method === 'POST' ? 43002 : 43001))
      else {
        const found = callerOf(route, query)
        if ('code' in found) early = found
        else caller = found
        if (early === undefined) {
          const parsed = bodyOf(route, incoming)
          if (typeof parsed === 'number') early = world.fault(parsed)
          else body = parsed
        }
      }
      const { app, platform, token } = caller
      let rule: Rule | undefined
      if (rules.some()) {
        const appid = app?.appid ?? platform?.appid ?? query.get('appid') ?? firstText(body.appid, body.component_appid)
        const openid = firstText(body.touser, body.openid) ?? query.get('openid') ?? undefined
        rule = rules.strike(path, appid, openid)
      }
      let answer: Answer | undefined
      if (rule !== undefined && 'errcode' in rule.action) answer = world.fault(rule.action.errcode, rule.action.errmsg)
      else if (rule === undefined || isProcessed(rule)) {
        answer = early ?? (app === undefined ? undefined : admit(route!, path, app, token!))
        answer ??= route!.handle({ method, path, query, ip: incoming.ip, app: app!, platform: platform!, body })
      }
      if (answer !== undefined) ledger.answered(answer.code)
      ring[cursor++ % KEPT] = {
        incoming,
        at: world.clock.now(),
        appid: app?.appid ?? platform?.appid ?? query.get('appid') ?? undefined,
        code: answer?.code,
        answer: answer?.text ?? '',
        ruleId: rule?.id
      }
      return { answer, rule }
    },

    /** The newest calls, newest first, without secrets and tokens. */
    requests({ path, code, limit = 100 }: { path?: string; code?: number; limit?: number }) {
      const found = []
      for (let i = cursor - 1; i >= Math.max(0, cursor - KEPT) && found.length < limit; i--) {
        const row = ring[i % KEPT]!
        const { incoming } = row
        if (path !== undefined && incoming.path !== path) continue
        if (code !== undefined && row.code !== code) continue
        found.push({
          at: row.at,
          method: incoming.method,
          path: incoming.path,
          query: withoutSecrets(incoming.query),
          appid: row.appid ?? null,
          body: incoming.body.replace(SECRET_FIELDS, '$1***"'),
          code: row.code ?? null,
          answer: row.answer.replace(SECRET_FIELDS, '$1***"'),
          rule: row.ruleId ?? null
        })
      }
      return found
    },

    /** The remembered call whose answer carried this rid. */
    findRid(rid: string) {
      const row = ring.find((one) => RID.exec(one.answer)?.[1] === rid)
      if (row === undefined) return undefined
      const { at, appid, answer, incoming } = row
      return { at, appid, answer, path: incoming.path, query: withoutSecrets(incoming.query), body: incoming.body }
    },

    forget() {
      ring.length = 0
      cursor = 0
    }
  }
}

/** What `createWechat` makes. */
export type Wechat = ReturnType<typeof createWechat>

/** Faults that happen after the work was done: the ledger shows it whatever the caller sees. */
const isProcessed = ({ action }: Rule) =>
  'delayMs' in action ||
  'truncate' in action ||
  'drip' in action ||
  ('reset' in action && action.reset === 'after') ||
  ('hang' in action && action.hang === 'after')

const firstText = (...values: unknown[]) => values.find((value): value is string => typeof value === 'string')

/** A name given several times, or as `name[0]`, makes a list; kidList always is one. */
function formBody(text: string): Record<string, any> {
  const body = Object.create(null) as Record<string, any>
  for (const [name, value] of new URLSearchParams(text)) {
    const plain = name.replace(/\[\d*\]$/, '')
    const isList = plain !== name || plain === 'kidList' || plain in body
    body[plain] = isList ? [...[body[plain] ?? []].flat(), value] : value
  }
  return body
}

function withoutSecrets(query: string): string {
  return query.replace(/(^|&)((?:component_)?access_token|secret|appsecret|signature)=[^&]*/g, '$1$2=***')
}

import type { Ledger } from './ledger.js'
import type { Route } from './routes.js'
import type { Rule, Rules } from './rules.js'
import type { Tokens } from './tokens.js'
import { isObject } from './values.js'
import type { Answer, App, World } from './world.js'

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
export interface RequestRecord extends Incoming {
  at: number
  appid: string | undefined
  code: number | undefined
  answer: string
  ruleId: string | undefined
}

const KEPT = 2_000
const NO_QUERY = new URLSearchParams()
const RID = /rid: ([0-9a-f]{8}-[0-9a-f]{8}-[0-9a-f]{8})/

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

  function remember(record: RequestRecord) {
    ring[cursor % KEPT] = record
    cursor++
  }

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

  function settle(
    route: Route,
    incoming: Incoming,
    query: URLSearchParams,
    app: App | undefined,
    body: Record<string, any>
  ): Answer {
    if (app !== undefined) {
      if (route.kind !== undefined && app.kind !== route.kind) return world.fault(route.foreign ?? 48001)
      if (route.verified && !app.verified) return world.fault(48001)
      if (route.legacy && world.settings.legacyMode !== 'live')
        return world.fault(world.settings.legacyMode === 'retired_46101' ? 46101 : 45103)
      if (route.sends) ledger.sending(app.appid, incoming.path)
      if (route.quota && !world.spend(app, incoming.path)) return world.fault(45009)
    }
    return route.handle({ method: incoming.method, path: incoming.path, query, ip: incoming.ip, app: app!, body })
  }

  return {
    /** Takes one call through all checks and any fault rule. What it changes is changed when this returns. */
    take(incoming: Incoming): Outcome {
      const { method, path } = incoming
      ledger.called(path)
      const route = routes.get(path)
      const query = incoming.query === '' ? NO_QUERY : new URLSearchParams(incoming.query)
      let app: App | undefined
      let body: Record<string, any> = {}
      let early: Answer | undefined
      if (route === undefined) early = world.fault(40066)
      else if (route.method !== 'any' && route.method !== method)
        early = world.fault(route.method === 'GET' ? 43001 : 43002)
      else if (method !== 'GET' && method !== 'POST') early = world.fault(43001)
      else {
        if (route.token) {
          const checked = tokens.check(query.get('access_token'))
          if ('appid' in checked) app = checked
          else early = checked
        }
        if (early === undefined) {
          const parsed = bodyOf(route, incoming)
          if (typeof parsed === 'number') early = world.fault(parsed)
          else body = parsed
        }
      }
      let rule: Rule | undefined
      if (rules.some()) {
        const appid = app?.appid ?? query.get('appid') ?? (typeof body.appid === 'string' ? body.appid : undefined)
        const openid: unknown = body.touser ?? body.openid ?? query.get('openid')
        rule = rules.strike(path, appid, typeof openid === 'string' ? openid : undefined)
      }
      let answer: Answer | undefined
      if (rule !== undefined && 'errcode' in rule.action) answer = world.fault(rule.action.errcode, rule.action.errmsg)
      else if (rule === undefined || isProcessed(rule)) answer = early ?? settle(route!, incoming, query, app, body)
      if (answer !== undefined) ledger.answered(answer.code)
      remember({
        ...incoming,
        at: world.clock.now(),
        appid: app?.appid ?? query.get('appid') ?? undefined,
        code: answer?.code,
        answer: answer?.text ?? '',
        ruleId: rule?.id
      })
      return { answer, rule }
    },

    /** The newest calls, newest first, without secrets and tokens. */
    requests({ path, code, limit = 100 }: { path?: string; code?: number; limit?: number }) {
      const found = []
      for (let i = cursor - 1; i >= Math.max(0, cursor - KEPT) && found.length < limit; i--) {
        const row = ring[i % KEPT]!
        if (path !== undefined && row.path !== path) continue
        if (code !== undefined && row.code !== code) continue
        found.push({
          at: row.at,
          method: row.method,
          path: row.path,
          query: withoutSecrets(row.query),
          appid: row.appid ?? null,
          body: row.body.replace(/("(?:secret|appsecret)"\s*:\s*")[^"]*"/g, '$1***"'),
          code: row.code ?? null,
          answer: row.answer.replace(/("(?:access_token|session_key)":")[^"]*"/g, '$1***"'),
          rule: row.ruleId ?? null
        })
      }
      return found
    },

    /** The remembered call whose answer carried this rid. */
    findRid(rid: string) {
      const row = ring.find((one) => RID.exec(one.answer)?.[1] === rid)
      return row === undefined ? undefined : { ...row, query: withoutSecrets(row.query), appid: row.appid }
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

/** `kidList[0]=1&kidList[1]=2` and repeated `kidList=` both make a list. */
function formBody(text: string): Record<string, any> {
  const body: Record<string, any> = {}
  const kids: string[] = []
  for (const [name, value] of new URLSearchParams(text)) {
    if (/^kidList(\[\d*\])?$/.test(name)) kids.push(value)
    else body[name] = value
  }
  if (kids.length > 0) body.kidList = kids
  return body
}

function withoutSecrets(query: string): string {
  return query.replace(/(^|&)(access_token|secret|appsecret|signature)=[^&]*/g, '$1$2=***')
}

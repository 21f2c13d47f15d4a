import { DAILY_LIMITS } from './codes.js'
import { OK, reply, type Answer, type App, type Call, type World } from './world.js'

const CLEARS_A_MONTH = 10
const RID_MS = 7 * 86_400_000
const PATH_CLEARS_A_MONTH = 50

/** A past call as rid/get shows it. */
export interface RidRecord {
  at: number
  appid?: string
  path: string
  query: string
  body: string
  answer: string
}

/** Calls about calls: quotas, rids, addresses. */
export function createOperations(
  world: World,
  findRid: (rid: string) => RidRecord | undefined,
  isPath: (path: string) => boolean
) {
  const { clock } = world

  /** What this month's clearing used so far. */
  function clearsOf(app: App) {
    if (app.quotaClears.month !== clock.month()) app.quotaClears = { month: clock.month(), used: 0, paths: 0 }
    return app.quotaClears
  }

  function clear(app: App): Answer {
    const clears = clearsOf(app)
    if (clears.used >= CLEARS_A_MONTH) return world.fault(48006)
    clears.used++
    app.usage.clear()
    return OK
  }

  /** The path a quota call speaks of, or the fault. */
  function pathOf(body: Record<string, any>): string | Answer {
    const path: unknown = body.cgi_path
    if (typeof path !== 'string' || !path.startsWith('/')) return world.fault(76003)
    if (path.startsWith('/sns/')) return world.fault(76022)
    return isPath(path) ? path : world.fault(76021)
  }

  return {
    /** POST /cgi-bin/clear_quota */
    clearQuota: ({ app, body }: Call): Answer => (body.appid === app.appid ? clear(app) : world.fault(40013)),

    /** POST /cgi-bin/clear_quota/v2: by secret, in body or query. */
    clearQuotaBySecret({ body, query }: Call): Answer {
      const app = world.apps.get(String(body.appid ?? query.get('appid') ?? ''))
      if (app === undefined) return world.fault(40013)
      return (body.appsecret ?? query.get('appsecret')) === app.secret ? clear(app) : world.fault(40125)
    },

    /** POST /cgi-bin/openapi/quota/get */
    quota({ app, body }: Call): Answer {
      const path = pathOf(body)
      if (typeof path !== 'string') return path
      const limit = world.limitOf(app, path)
      const daily_limit = Number.isFinite(limit) ? limit : (DAILY_LIMITS[path] ?? 1_000_000)
      const used = world.usedOf(app, path)
      return reply({
        errcode: 0,
        errmsg: 'ok',
        quota: { daily_limit, used, remain: Math.max(0, daily_limit - used) },
        rate_limit: { call_count: 0, refresh_second: 0 },
        component_rate_limit: { call_count: 0, refresh_second: 0 }
      })
    },

    /** POST /cgi-bin/openapi/quota/clear */
    clearOne({ app, body }: Call): Answer {
      const path = pathOf(body)
      if (typeof path !== 'string') return path
      const clears = clearsOf(app)
      if (clears.paths >= PATH_CLEARS_A_MONTH) return world.fault(48006)
      clears.paths++
      app.usage.delete(path)
      return OK
    },

    /** POST /cgi-bin/openapi/rid/get: the app's own calls of the last 7 days, as far as they are kept. */
    rid({ app, body }: Call): Answer {
      const rid: unknown = body.rid
      if (typeof rid !== 'string' || !/^[0-9a-f]{8}-[0-9a-f]{8}-[0-9a-f]{8}$/.test(rid)) return world.fault(76002)
      const found = findRid(rid)
      if (found === undefined) return world.fault(76001)
      if (found.appid !== app.appid) return world.fault(76003)
      if (clock.now() - found.at > RID_MS) return world.fault(76004)
      return reply({
        errcode: 0,
        errmsg: 'ok',
        request: {
          invoke_time: Math.floor(found.at / 1000),
          cost_in_ms: 1,
          request_url: found.query === '' ? found.path : `${found.path}?${found.query}`,
          request_body: found.body,
          response_body: found.answer,
          client_ip: '127.0.0.1'
        }
      })
    },

    /** GET /cgi-bin/get_api_domain_ip and /cgi-bin/getcallbackip */
    addresses: (): Answer => reply({ ip_list: ['127.0.0.1'] })
  }
}

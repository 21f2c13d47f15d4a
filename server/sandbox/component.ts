import type { Tokens } from './tokens.js'
import { OK, reply, type Answer, type App, type Authorization, type Call, type Platform, type World } from './world.js'

/** A ticket serves this long, and a new one comes this often. */
export const TICKET_LIFE_MS = 12 * 3_600_000
export const TICKET_EVERY_MS = 600_000
const LIST_MAX = 500
/** What an account's option may be set to. */
const OPTIONS: Readonly<Record<string, readonly string[]>> = {
  location_report: ['0', '1', '2'],
  voice_recognize: ['0', '1'],
  customer_service: ['0', '1']
}

/** Calls of a third-party platform about itself and the accounts that authorised it: `/cgi-bin/component/*`. */
export function createComponent(world: World, tokens: Tokens, startTickets: (platform: Platform) => void) {
  const { clock, chance } = world

  /** The platform that a call without token names and proves to be, or the fault. */
  function caller(appid: unknown, secret: unknown, ip: string): Platform | Answer {
    if (typeof appid !== 'string' || appid === '') return world.fault(41002)
    if (typeof secret !== 'string' || secret === '') return world.fault(41004)
    const platform = world.platforms.get(appid)
    if (platform === undefined) return world.fault(world.apps.has(appid) ? 61011 : 40013)
    if (platform.secret !== secret) return world.fault(40125)
    return platform.whitelist === undefined || platform.whitelist.has(ip) ? platform : world.fault(61004)
  }

  /** The fault of a body that names another platform than the token, or none. */
  const foreign = ({ platform, body }: Call): Answer | undefined =>
    body.component_appid === platform.appid ? undefined : world.fault(61011)

  /** The account a call speaks of and what it granted, or the fault. */
  function granted(call: Call): { app: App; grant: Authorization } | Answer {
    const stray = foreign(call)
    if (stray !== undefined) return stray
    const appid: unknown = call.body.authorizer_appid
    if (typeof appid !== 'string' || appid === '') return world.fault(41002)
    const app = world.apps.get(appid)
    if (app === undefined) return world.fault(40013)
    const grant = call.platform.authorizations.get(appid)
    return grant === undefined ? world.fault(61003) : { app, grant }
  }

  const funcInfo = (grant: Authorization) =>
    [...grant.sets].map((id) => ({
      funcscope_category: { id },
      confirm_info: { need_confirm: 0, already_confirm: 0, can_confirm: 0 }
    }))

  function accountToken(platform: Platform, grant: Authorization) {
    const token = tokens.issue(grant.appid, grant.tokens, platform.appid)
    return {
      authorizer_access_token: token.value,
      expires_in: tokens.secondsLeft(token),
      authorizer_refresh_token: grant.refreshToken
    }
  }

  return {
    /** POST /cgi-bin/component/api_start_push_ticket: no token; the key is `component_secret` here. */
    startTicket({ body, ip }: Call): Answer {
      const platform = caller(body.component_appid, body.component_secret, ip)
      if (!('appid' in platform)) return platform
      startTickets(platform)
      return OK
    },

    /** POST /cgi-bin/component/api_component_token: by the newest ticket or any younger than 12 hours. */
    token({ body, ip, path }: Call): Answer {
      const platform = caller(body.component_appid, body.component_appsecret, ip)
      if (!('appid' in platform)) return platform
      const ticket = platform.tickets.find(({ value }) => value === body.component_verify_ticket)
      if (ticket === undefined) return world.fault(61006)
      if (clock.now() >= ticket.at + TICKET_LIFE_MS) return world.fault(61005)
      if (!world.spend(platform, path)) return world.fault(45009)
      const token = tokens.issue(platform.appid, platform.tokens, platform.appid)
      return reply({ component_access_token: token.value, expires_in: tokens.secondsLeft(token) })
    },

    /** POST /cgi-bin/component/api_create_preauthcode: good for one authorisation. */
    preAuthCode(call: Call): Answer {
      const stray = foreign(call)
      if (stray !== undefined) return stray
      const code = `preauthcode@@@${chance.word(60)}`
      const seconds = world.settings.preAuthSeconds
      call.platform.preAuthCodes.set(code, { expiresAt: clock.now() + seconds * 1000, used: false })
      return reply({ pre_auth_code: code, expires_in: seconds })
    },

    /** POST /cgi-bin/component/api_query_auth: what an authorisation code stands for, once. */
    queryAuth(call: Call): Answer {
      const stray = foreign(call)
      if (stray !== undefined) return stray
      const { platform, body } = call
      const code = platform.authCodes.get(body.authorization_code)
      if (code === undefined || code.used) return world.fault(61009)
      if (code.expiresAt <= clock.now()) return world.fault(61010)
      const grant = platform.authorizations.get(code.appid)
      if (grant === undefined) return world.fault(61003)
      code.used = true
      return reply({
        authorization_info: {
          authorizer_appid: grant.appid,
          ...accountToken(platform, grant),
          func_info: funcInfo(grant)
        }
      })
    },

    /** POST /cgi-bin/component/api_authorizer_token: an account's next token, for its refresh token. */
    authorizerToken(call: Call): Answer {
      const found = granted(call)
      if ('code' in found) return found
      const { grant } = found
      if (call.body.authorizer_refresh_token !== grant.refreshToken) return world.fault(61023)
      if (world.settings.rotateRefreshToken) grant.refreshToken = newRefreshToken(world)
      return reply(accountToken(call.platform, grant))
    },

    /** POST /cgi-bin/component/api_get_authorizer_info */
    authorizerInfo(call: Call): Answer {
      const found = granted(call)
      if ('code' in found) return found
      const { app, grant } = found
      const isMini = app.kind === 'miniprogram'
      return reply({
        authorizer_info: {
          nick_name: app.name,
          head_img: '',
          service_type_info: { id: isMini ? 0 : app.serviceType },
          verify_type_info: { id: app.verified ? 0 : -1 },
          user_name: app.userName,
          principal_name: app.name,
          alias: '',
          business_info: { open_store: 0, open_scan: 0, open_pay: app.payment ? 1 : 0, open_card: 0, open_shake: 0 },
          qrcode_url: '',
          signature: '',
          account_status: app.status,
          ...(isMini
            ? { MiniProgramInfo: { network: { RequestDomain: [] }, categories: [], visit_status: 0 } }
            : { register_type: 0 }),
          basic_config: { is_phone_configured: true, is_email_configured: true }
        },
        authorization_info: {
          authorizer_appid: app.appid,
          authorizer_refresh_token: grant.refreshToken,
          func_info: funcInfo(grant)
        }
      })
    },

    /** POST /cgi-bin/component/api_get_authorizer_list: by age, at most 500; what is beyond the limits is clamped. */
    authorizers(call: Call): Answer {
      const stray = foreign(call)
      if (stray !== undefined) return stray
      const { offset = 0, count = LIST_MAX } = call.body
      if (!Number.isInteger(offset) || !Number.isInteger(count)) return world.fault(47001)
      const from = Math.max(0, offset)
      const all = [...call.platform.authorizations.values()]
      const list = all
        .slice(from, from + Math.min(LIST_MAX, Math.max(0, count)))
        .map(({ appid, refreshToken, authorizedAt }) => ({
          authorizer_appid: appid,
          refresh_token: refreshToken,
          auth_time: Math.floor(authorizedAt / 1000)
        }))
      return reply({ total_count: all.length, list })
    },

    /** POST /cgi-bin/component/api_get_authorizer_option */
    option(call: Call): Answer {
      const found = granted(call)
      if ('code' in found) return found
      const { option_name } = call.body
      if (!Object.hasOwn(OPTIONS, option_name)) return world.fault(40097)
      const option_value = found.grant.options.get(option_name) ?? '0'
      return reply({ authorizer_appid: found.app.appid, option_name, option_value })
    },

    /** POST /cgi-bin/component/api_set_authorizer_option */
    setOption(call: Call): Answer {
      const found = granted(call)
      if ('code' in found) return found
      const { option_name, option_value } = call.body
      if (!Object.hasOwn(OPTIONS, option_name) || !OPTIONS[option_name]!.includes(String(option_value)))
        return world.fault(40097)
      found.grant.options.set(option_name, String(option_value))
      return OK
    }
  }
}

/** A refresh token nobody has had yet. */
export const newRefreshToken = (world: World) => `refreshtoken@@@${world.chance.word(43)}`

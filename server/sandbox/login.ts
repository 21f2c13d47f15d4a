import { createHmac } from 'node:crypto'
import { OK, reply, unionidOf, userOf, type Answer, type App, type Call, type User, type World } from './world.js'

const LOGINS_A_MINUTE = 100
const SESSION_MS = 3 * 86_400_000
const RESETS_A_MINUTE = 60_000
/** Permission set of mini-program login. */
const LOGIN_SET = 20

/** Login of mini-programs: js_code for openid, and the session checks. */
export function createLogin(world: World) {
  const { clock, chance } = world

  /** `/sns/*` answers JSON as text/plain and sets its trace mark off with a comma. */
  const sns = (answer: Answer): Answer => ({
    ...answer,
    text: answer.text.replace(' rid: ', ', rid: '),
    type: 'text/plain'
  })
  const fault = (code: number) => sns(world.fault(code))

  function newSession(user: User) {
    user.sessionKey = Buffer.from(chance.word(16), 'latin1').toString('base64')
    user.sessionKeyUntil = clock.now() + SESSION_MS
  }

  /** The user whose session a signed GET speaks of, or the fault. */
  function session(call: Call): User | Answer {
    const user = userOf(call.app, call.query.get('openid'))
    if (user === undefined) return world.fault(40003)
    if (call.query.get('sig_method') !== 'hmac_sha256') return world.fault(87008)
    if (user.sessionKey === '' || user.sessionKeyUntil <= clock.now()) return world.fault(87007)
    const good = createHmac('sha256', user.sessionKey).update('').digest('hex')
    return call.query.get('signature') === good ? user : world.fault(87009)
  }

  /** What a code is worth: the person, with a new session. */
  function exchange(app: App, jsCode: string): Answer {
    const code = world.codes.get(jsCode)
    if (code === undefined || code.appid !== app.appid) return fault(40029)
    if (code.used) return fault(40163)
    if (code.expiresAt <= clock.now()) return fault(40029)
    const user = app.users.get(code.openid)!
    user.logins = user.logins.filter((at) => at > clock.now() - 60_000)
    if (user.logins.length >= LOGINS_A_MINUTE) return fault(45011)
    user.logins.push(clock.now())
    user.seenAt = clock.now()
    code.used = true
    newSession(user)
    const unionid = unionidOf(world, app, user)
    return sns(
      reply({ session_key: user.sessionKey, openid: user.openid, ...(unionid === undefined ? {} : { unionid }) })
    )
  }

  return {
    /** GET /sns/jscode2session: a code works once, for 5 minutes, for its own app. */
    code2session({ query }: Call): Answer {
      const appid = query.get('appid')
      const secret = query.get('secret')
      const jsCode = query.get('js_code')
      if (!appid) return fault(41002)
      if (!secret) return fault(41004)
      if (!jsCode) return fault(41008)
      if (query.get('grant_type') !== 'authorization_code') return fault(40002)
      const app = world.apps.get(appid)
      if (app === undefined || app.kind !== 'miniprogram') return fault(40013)
      if (app.secret !== secret) return fault(40125)
      return exchange(app, jsCode)
    },

    /** GET /sns/component/jscode2session: a platform's way, without the app's secret. */
    componentSession({ query, platform }: Call): Answer {
      const appid = query.get('appid')
      const jsCode = query.get('js_code')
      if (!appid) return fault(41002)
      if (!jsCode) return fault(41008)
      if (query.get('grant_type') !== 'authorization_code') return fault(40002)
      if (query.get('component_appid') !== platform.appid) return fault(61011)
      const app = world.apps.get(appid)
      if (app === undefined || app.kind !== 'miniprogram') return fault(40013)
      const grant = platform.authorizations.get(appid)
      if (grant === undefined) return fault(61003)
      return grant.sets.has(LOGIN_SET) ? exchange(app, jsCode) : fault(61007)
    },

    /** GET /wxa/checksession */
    checkSession(call: Call): Answer {
      const user = session(call)
      return 'openid' in user ? OK : user
    },

    /** GET /wxa/resetusersessionkey: a new key that dies when the old one would have. */
    resetSession(call: Call): Answer {
      const user = session(call)
      if (!('openid' in user)) return user
      if (!world.spendMinute(call.app, call.path, RESETS_A_MINUTE)) return world.fault(45011)
      const until = user.sessionKeyUntil
      newSession(user)
      user.sessionKeyUntil = until
      return reply({ errcode: 0, errmsg: 'ok', openid: user.openid, session_key: user.sessionKey })
    }
  }
}

import type { Answer, App, Call, Token, World } from './world.js'

const LIFE_MS = 7_200_000
const OVERLAP_MS = 300_000
const FORCES_A_DAY = 20
const FORCE_GAP_MS = 30_000
const STABLE_A_MINUTE = 10_000
const KEPT_MS = 86_400_000
const SHAPE = /^\d{2,3}_[A-Za-z0-9_-]{40,509}$/

/** The two token calls and the check every other call makes. Classic and stable tokens never touch one another. */
export function createTokens(world: World) {
  const { clock, chance } = world

  function mint({ appid }: { appid: string }, line: Token[], platform?: string): Token {
    const now = clock.now()
    const token: Token = {
      value: `${70 + Math.floor(chance.next() * 30)}_${chance.word(133)}`,
      appid,
      ...(platform === undefined ? {} : { platform }),
      expiresAt: now + LIFE_MS,
      diesAt: now + LIFE_MS,
      retired: false
    }
    world.tokens.set(token.value, token)
    line.unshift(token)
    for (const old of line.splice(2)) kill(old)
    const gone = now - KEPT_MS
    if (world.tokens.size > 64)
      for (const [value, old] of world.tokens) if (old.diesAt < gone) world.tokens.delete(value)
    return token
  }

  /** Ends a token's life at `at`, unless it ends sooner. */
  function kill(token: Token, at = clock.now()) {
    token.retired = true
    token.diesAt = Math.min(token.diesAt, at)
  }

  /** A new token before which the last one of the line works five more minutes. */
  function replace(owner: { appid: string }, line: Token[], platform?: string): Token {
    const previous = line[0]
    const token = mint(owner, line, platform)
    if (previous !== undefined) kill(previous, clock.now() + OVERLAP_MS)
    return token
  }

  /** What answers call expires_in. */
  const secondsLeft = ({ expiresAt }: Token) => Math.max(0, Math.ceil((expiresAt - clock.now()) / 1000))

  const granted = (token: Token): Answer => ({
    code: 0,
    text: `{"access_token":"${token.value}","expires_in":${secondsLeft(token)}}`
  })

  /** The checks both calls share, up to the quota; an App when they pass. */
  function caller(grantType: unknown, appid: unknown, secret: unknown, call: Call): App | Answer {
    if (typeof appid !== 'string' || appid === '') return world.fault(41002)
    if (typeof secret !== 'string' || secret === '') return world.fault(41004)
    if (grantType !== 'client_credential') return world.fault(40002)
    const app = world.apps.get(appid)
    if (app === undefined) return world.fault(world.platforms.has(appid) ? 61024 : 40013)
    if (app.secret !== secret) return world.fault(40125)
    if (app.secretFrozen) return world.fault(40243)
    if (app.whitelist !== undefined && !app.whitelist.has(call.ip))
      return world.fault(40164, `invalid ip ${call.ip} ipv6 ::ffff:${call.ip}, not in whitelist`)
    if (!world.spend(app, call.path)) return world.fault(45009)
    return app
  }

  return {
    secondsLeft,

    /** GET /cgi-bin/token: always a new token; the one before works five more minutes, older ones die. */
    classic(call: Call): Answer {
      const app = caller(call.query.get('grant_type'), call.query.get('appid'), call.query.get('secret'), call)
      if (!('appid' in app)) return app
      return granted(replace(app, app.classic))
    },

    /** POST /cgi-bin/stable_token: the same token until its last five minutes; a forced refresh ends the old one at once. */
    stable(call: Call): Answer {
      const app = caller(call.body.grant_type, call.body.appid, call.body.secret, call)
      if (!('appid' in app)) return app
      if (!world.spendMinute(app, call.path, STABLE_A_MINUTE)) return world.fault(45011)
      const now = clock.now()
      const current = app.stable[0]
      const alive = current !== undefined && !current.retired && current.diesAt > now
      if (call.body.force_refresh === true && alive) {
        if (app.forced.day !== clock.day()) app.forced = { day: clock.day(), used: 0, lastAt: app.forced.lastAt }
        if (app.forced.used >= FORCES_A_DAY && world.settings.forceUsedUp === 'quota') return world.fault(45009)
        if (app.forced.used < FORCES_A_DAY && now - app.forced.lastAt >= FORCE_GAP_MS) {
          app.forced.used++
          app.forced.lastAt = now
          kill(current)
          return granted(mint(app, app.stable))
        }
      }
      if (alive && current.expiresAt - now > OVERLAP_MS) return granted(current)
      return granted(mint(app, app.stable))
    },

    /** A token of a platform: its own (`appid` is the platform's) or that of an account which authorised it. */
    issue: (appid: string, line: Token[], platform: string): Token => replace({ appid }, line, platform),

    /** The living token that `value` is, or the fault; `component` says which of the two kinds the call wants. */
    check(value: string | null, component: boolean): Token | Answer {
      if (value === null || value === '') return world.fault(41001)
      const token = world.tokens.get(value)
      if (token === undefined) return world.fault(SHAPE.test(value) ? 40001 : 40014)
      if (clock.now() >= token.diesAt)
        return world.fault(token.retired && token.diesAt < token.expiresAt ? 40001 : 42001)
      const isComponent = token.platform === token.appid
      if (isComponent !== component) return world.fault(component ? 61014 : 61015)
      if (token.platform === undefined || isComponent) return token
      return world.platforms.get(token.platform)?.authorizations.has(token.appid) === true ? token : world.fault(61003)
    },

    /** Voids every living token of an app or platform, as if someone else had refreshed them away. Returns how many died. */
    voidAll(appid: string): number {
      let died = 0
      for (const token of world.tokens.values()) {
        if (token.appid !== appid || token.diesAt <= clock.now()) continue
        kill(token)
        died++
      }
      return died
    }
  }
}

/** What `createTokens` makes. */
export type Tokens = ReturnType<typeof createTokens>

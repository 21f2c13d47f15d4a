import { setTimeout as wait } from 'node:timers/promises'
import type { Account, Accounts } from '../accounts/accounts.js'
import type { Authorizer } from '../accounts/permissions.js'
import type { Clock } from '../platform/clock.js'
import type { Log } from '../platform/log.js'
import type { WechatClient, WechatResult } from '../wechat/client.js'
import type { ComponentApi } from '../wechat/component.js'
import type { AuthorizationInfo, AuthorizerInfo, AuthorizerPage } from '../wechat/component-shapes.js'
import { expectOk } from '../wechat/expect-ok.js'
import { SessionBody, type TokenBody } from '../wechat/shapes.js'
import type { ComponentToken } from './component-token.js'
import type { Grants } from './grants.js'
import type { Settings } from './settings.js'

/** Error codes of WeChat's third-party platform documentation. */
const WITHDRAWN = 61003
const REFRESH_TOKEN_WRONG = 61023
const CODE_SPENT = new Set([61009, 61010])

const PAGE = 500
const LOOKS = 3
const STORE_TRIES = 5
const STORE_AGAIN_MS = 200
/** Clocks of ours and WeChat's are taken to agree within this. */
const SKEW_MS = 5 * 60_000

/** Hears of an account whose authorisation was read anew; `changed`: its tokens are others now, or none. */
export type AuthorizationListener = (account: Account, changed: boolean) => Promise<void>

/**
 * Accounts whose administrators let the platform act for them. WeChat is the truth: whatever brings news (an event, a
 * returning browser, an hourly look), it is asked what stands, and that is stored; so all of it may be repeated.
 */
export function createAuthorizations(parts: {
  clock: Clock
  log: Log
  accounts: Accounts
  client: WechatClient
  api: ComponentApi
  token: ComponentToken
  settings: Settings
  grants: Grants
  sleep?: (ms: number) => Promise<unknown>
}) {
  const { clock, log, accounts, client, api, token, settings, grants, sleep = wait } = parts
  const listeners: AuthorizationListener[] = []

  async function tell(account: Account, changed: boolean): Promise<void> {
    for (const listener of listeners) await listener(account, changed)
  }

  /** WeChat gives each refresh token out once: it is put away before anything else happens, and not at the first try alone. */
  async function putAway(appId: string, refreshToken: string | undefined, askedAt: Date): Promise<void> {
    if (refreshToken === undefined || refreshToken === '') return
    const { appId: platformAppId } = await settings.target()
    for (let tries = 1; ; tries++) {
      try {
        return await grants.keepRefreshToken(appId, platformAppId, refreshToken, askedAt)
      } catch (error) {
        // Lost it is not: WeChat tells it again (see `recovered`).
        if (tries === STORE_TRIES) throw error
        log.warn({ err: error, appId }, 'a refresh token was not stored; trying again')
        await sleep(STORE_AGAIN_MS * tries)
      }
    }
  }

  /** Trades in a code. @returns the appId that consented; null when the code was traded in before, or is too old */
  async function trade(code: string): Promise<string | null> {
    const askedAt = clock.now()
    const result = await token.with((platform, own) => api.queryAuth(platform, own, code))
    if (result.kind === 'answer' && CODE_SPENT.has(result.errcode)) return null
    const { authorizer_appid: appId, authorizer_refresh_token: refreshToken } = expectOk(result).authorization_info
    // WeChat knows the code no more: whoever comes back with it, now or after a crash, is known by our note of it.
    await grants.consented(appId, (await settings.target()).appId, code)
    await putAway(appId, refreshToken, askedAt)
    return appId
  }

  /** Whose code that is; null also when the account was let go since: the same consent does not bring it back. */
  async function standing(code: string): Promise<string | null> {
    const grant = await grants.byCode(code)
    return grant === null || grant.removedAt !== null ? null : grant._id
  }

  async function withdraw(appId: string, askedAt: Date): Promise<void> {
    if (!(await grants.gone(appId, askedAt))) return
    const done = await accounts.withdraw(appId, askedAt)
    if (done === null) return
    if (done.changed) log.warn({ appId }, "an account's administrator took the authorisation back")
    await tell(done.account, done.changed)
  }

  /**
   * Asks WeChat what the account granted, and stores it. @returns null when it granted nothing (any more)
   * @throws NoPlatform, NoTicket, UpstreamFailure
   */
  async function look(appId: string, tries = 1): Promise<Account | null> {
    const askedAt = clock.now()
    const result = await token.with((platform, own) => api.authorizerInfo(platform, own, appId))
    if (result.kind === 'answer' && result.errcode === WITHDRAWN) {
      await withdraw(appId, askedAt)
      return null
    }
    const { authorizer_info: who, authorization_info: what } = expectOk(result)
    const { appId: platformAppId, mode, ownApiBase } = await settings.target()
    await putAway(appId, what.authorizer_refresh_token, askedAt)
    if (!(await grants.stands(appId, platformAppId, askedAt))) {
      // Someone asked later and may not have stored all of it yet.
      return tries < LOOKS ? look(appId, tries + 1) : accounts.get(appId)
    }
    const { account, changed } = await accounts.consent({
      ...describe(appId, who, what, askedAt),
      mode,
      apiBase: ownApiBase
    })
    if (changed)
      log.info({ accountId: account.id, appId, permissions: account.permissions }, 'an account was authorised')
    await tell(account, changed)
    return account
  }

  /** The refresh token WeChat holds to be right, when ours is not: a crash may have come between its answer and our store. */
  async function recovered(appId: string, wrong: string): Promise<string | null> {
    const { appId: platformAppId } = await settings.target()
    const kept = await grants.refreshToken(appId, platformAppId)
    if (kept !== null && kept !== wrong) return kept
    const askedAt = clock.now()
    const info = await token.with((platform, own) => api.authorizerInfo(platform, own, appId))
    let right = info.kind === 'answer' ? info.body.authorization_info?.authorizer_refresh_token : undefined
    if (right === undefined || right === wrong) {
      right = (await listed()).find((each) => each.authorizer_appid === appId)?.refresh_token
    }
    if (right === undefined || right === wrong) return null
    await putAway(appId, right, askedAt)
    log.warn({ appId }, 'the refresh token of an account was read anew from WeChat')
    return right
  }

  async function listed() {
    const all: AuthorizerPage['list'] = []
    for (;;) {
      const page = expectOk(await token.with((platform, own) => api.authorizers(platform, own, all.length, PAGE)))
      all.push(...page.list)
      if (page.list.length === 0 || all.length >= page.total_count) return all
    }
  }

  return {
    /** To be called while the rooms are built. */
    onChange(listener: AuthorizationListener): void {
      listeners.push(listener)
    },

    /** As above. */
    look: (appId: string) => look(appId),

    /** News of an account, with the code of the consent if there was one. Repeatable. @throws as `look` */
    async heard(appId: string, code: string | null, at: Date): Promise<void> {
      const known = await grants.get(appId)
      // Told before it was removed here, handled after: it stays removed. WeChat counts in whole seconds.
      if (known?.removedAt != null && at.getTime() + 1_000 <= known.removedAt.getTime()) return
      if (code !== null) {
        const { appId: platformAppId } = await settings.target()
        await grants.keepCode(appId, platformAppId, code)
        // Whatever becomes of the code, what counts is what stands when WeChat is asked next.
        await trade(code).catch((error: unknown) => log.warn({ err: error, appId }, 'a consent was not traded in'))
      }
      await look(appId)
    },

    /** The account whose administrator came back with this code. @returns null when the code is nobody's, or too old */
    async returned(code: string): Promise<Account | null> {
      const known = await standing(code)
      if (known !== null) return look(known)
      const appId = (await trade(code)) ?? (await standing(code))
      return appId === null ? null : look(appId)
    },

    /** The account's next token, as WeChat's token call answers it. Its successor's refresh token is stored first. */
    async nextToken(appId: string): Promise<WechatResult<TokenBody>> {
      const { appId: platformAppId } = await settings.target()
      const grant = await grants.get(appId)
      if (grant === null || grant.withdrawnAt !== null || grant.platformAppId !== platformAppId) return notAuthorized()
      let used = (await grants.refreshToken(appId, platformAppId)) ?? (await recovered(appId, ''))
      if (used === null) return notAuthorized()
      for (let tries = 1; ; tries++) {
        const askedAt = clock.now()
        const refreshToken = used
        const result = await token.with((platform, own) => api.authorizerToken(platform, own, appId, refreshToken))
        if (result.kind !== 'answer') return result
        if (result.errcode === 0) {
          const { authorizer_access_token: access_token, expires_in, authorizer_refresh_token } = result.body
          await putAway(appId, authorizer_refresh_token, askedAt)
          return { ...result, body: { access_token, expires_in } }
        }
        if (result.errcode === WITHDRAWN) await withdraw(appId, askedAt)
        if (result.errcode !== REFRESH_TOKEN_WRONG || tries === 2) return result as WechatResult<never>
        used = await recovered(appId, refreshToken)
        if (used === null) return result as WechatResult<never>
      }
    },

    /** Trades a wx.login code in for a mini-program that gave us no secret. */
    session: (appId: string, jsCode: string): Promise<WechatResult<SessionBody>> =>
      token.with((platform, own) =>
        client.call({
          shape: SessionBody,
          base: platform.apiBase,
          method: 'GET',
          path: '/sns/component/jscode2session',
          query: {
            appid: appId,
            js_code: jsCode,
            grant_type: 'authorization_code',
            component_appid: platform.appId,
            component_access_token: own
          }
        })
      ),

    letGo: grants.letGo,

    /** Another platform was set up: what was granted to the one before is worth nothing. */
    async disown(platformAppId: string): Promise<void> {
      const now = clock.now()
      for (const appId of await grants.disown(platformAppId)) {
        const done = await accounts.withdraw(appId, now)
        if (done !== null) await tell(done.account, done.changed)
      }
    },

    /** Asks WeChat who authorised the platform, for events that never came. @returns how many accounts were looked at */
    async reconcile(): Promise<number> {
      const { appId: platformAppId } = await settings.target()
      const all = await listed()
      const suspects = new Set<string>()
      for (const { authorizer_appid: appId, auth_time } of all) {
        const known = await grants.get(appId)
        const consented = auth_time * 1_000
        if (known === null || known.withdrawnAt !== null || known.sealedRefreshToken === null) suspects.add(appId)
        else if (consented + SKEW_MS > known.lookedAt.getTime()) suspects.add(appId)
        if (known?.removedAt != null && consented <= known.removedAt.getTime()) suspects.delete(appId)
      }
      const there = new Set(all.map((each) => each.authorizer_appid))
      for (const { _id } of await grants.standing(platformAppId)) if (!there.has(_id)) suspects.add(_id)
      for (const appId of suspects) {
        await look(appId).catch((error: unknown) => log.warn({ err: error, appId }, 'an account was not looked at'))
      }
      return suspects.size
    }
  }
}
export type Authorizations = ReturnType<typeof createAuthorizations>

/** What WeChat's answers say of an account. */
function describe(appId: string, who: AuthorizerInfo, what: AuthorizationInfo, askedAt: Date) {
  const kind = who.MiniProgramInfo == null ? ('service' as const) : ('miniprogram' as const)
  const authorizer: Authorizer = {
    serviceType: kind === 'service' ? (who.service_type_info?.id ?? null) : null,
    verified: (who.verify_type_info?.id ?? -1) === 0,
    status: who.account_status ?? null,
    authorizedAt: askedAt,
    withdrawnAt: null
  }
  const permissions = what.func_info.map(({ funcscope_category: { id } }) => id).sort((a, b) => a - b)
  return { kind, appId, name: who.nick_name || appId, permissions, authorizer }
}

/** What WeChat would say, without asking it again. */
const notAuthorized = (): WechatResult<never> => ({
  kind: 'answer',
  errcode: WITHDRAWN,
  errmsg: 'component is not authorized by this account',
  rid: null,
  body: {} as never,
  httpStatus: 200,
  ms: 0
})

import type { z } from 'zod'
import type { WechatClient, WechatRequest, WechatResult } from './client.js'
import * as shapes from './component-shapes.js'
import { Said } from './shapes.js'

/** A third-party platform (component): what its calls have to know of it. */
export type WechatPlatform = {
  /** The platform's own appId (component_appid). */
  appId: string
  /** Origin (and path prefix, if any) of the API: `https://api.weixin.qq.com` or the sandbox. */
  apiBase: string
}

/** 1: official and service accounts, 2: mini-programs, 3: both. */
export type AuthType = 1 | 2 | 3

/**
 * The calls of a third-party platform, one method each; all answer a WechatResult and none throws. Who calls fetches
 * and keeps the tokens: the platform's own lives on the ticket WeChat pushes every ten minutes.
 */
export function createComponentApi({ client }: { client: WechatClient }) {
  const post = <Body>(
    platform: WechatPlatform,
    name: string,
    shape: z.ZodType<Body>,
    json: Record<string, unknown>,
    query?: WechatRequest['query']
  ): Promise<WechatResult<Body>> =>
    client.call({
      shape,
      base: platform.apiBase,
      method: 'POST',
      path: `/cgi-bin/component/${name}`,
      account: platform.appId,
      json,
      ...(query && { query })
    })
  /** Newer pages call the parameter access_token; this name is the one both ages take. */
  const withToken = <Body>(
    platform: WechatPlatform,
    token: string,
    name: string,
    shape: z.ZodType<Body>,
    json: Record<string, unknown>
  ) => post(platform, name, shape, { component_appid: platform.appId, ...json }, { component_access_token: token })

  return {
    /** Asks WeChat to push tickets (again); needs no token. */
    startPushTicket: (platform: WechatPlatform, secret: string) =>
      post(platform, 'api_start_push_ticket', Said, { component_appid: platform.appId, component_secret: secret }),

    /** The platform's own token, for the newest ticket. 61005 and 61006: the ticket is too old or wrong. */
    token: (platform: WechatPlatform, secret: string, ticket: string) =>
      post(platform, 'api_component_token', shapes.PlatformToken, {
        component_appid: platform.appId,
        component_appsecret: secret,
        component_verify_ticket: ticket
      }),

    /** A code for one authorisation link; obey its `expires_in` (seconds). */
    preAuthCode: (platform: WechatPlatform, token: string) =>
      withToken(platform, token, 'api_create_preauthcode', shapes.PreAuthCode, {}),

    /** Trades the code of a consent for the account's tokens and grants; once. 61009 and 61010: begin anew. */
    queryAuth: (platform: WechatPlatform, token: string, authorizationCode: string) =>
      withToken(platform, token, 'api_query_auth', shapes.Consent, {
        authorization_code: authorizationCode
      }),

    /** An account's next token. 61003: it withdrew; 61023: the refresh token was replaced (see `authorizers`). */
    authorizerToken: (platform: WechatPlatform, token: string, appId: string, refreshToken: string) =>
      withToken(platform, token, 'api_authorizer_token', shapes.AuthorizerToken, {
        authorizer_appid: appId,
        authorizer_refresh_token: refreshToken
      }),

    /** Who an account is, and what it granted now. */
    authorizerInfo: (platform: WechatPlatform, token: string, appId: string) =>
      withToken(platform, token, 'api_get_authorizer_info', shapes.Authorizer, { authorizer_appid: appId }),

    /** Accounts that authorised the platform, at most 500 a page. */
    authorizers: (platform: WechatPlatform, token: string, offset = 0, count = 100) =>
      withToken(platform, token, 'api_get_authorizer_list', shapes.AuthorizerPage, { offset, count })
  }
}

/** The platform's calls. */
export type ComponentApi = ReturnType<typeof createComponentApi>

/** Where an account's administrator consents; WeChat sends them to `redirectUri?auth_code=…&expires_in=…` afterwards. */
export type ConsentLink = {
  platformAppId: string
  preAuthCode: string
  redirectUri: string
  authType?: AuthType
  /** Narrows it to one account, whose administrator alone can consent. */
  bizAppId?: string
  /** Permission sets to ask for; without it those the platform was published with. */
  permissionSets?: readonly number[]
}

/** The page that shows the QR code, for a computer. `host` is the sandbox's where that stands in for WeChat. */
export function consentPage(link: ConsentLink, host = 'https://mp.weixin.qq.com'): string {
  return `${host}/cgi-bin/componentloginpage?${consentQuery(link)}`
}

/** The page for a browser inside WeChat: nothing to scan. */
export function consentPageInWechat(link: ConsentLink, host = 'https://open.weixin.qq.com'): string {
  return `${host}/wxaopen/safe/bindcomponent?action=bindcomponent&no_scan=1&${consentQuery(link)}#wechat_redirect`
}

function consentQuery(link: ConsentLink): string {
  const query = new URLSearchParams({
    component_appid: link.platformAppId,
    pre_auth_code: link.preAuthCode,
    redirect_uri: link.redirectUri,
    auth_type: String(link.authType ?? 3)
  })
  if (link.bizAppId !== undefined) query.set('biz_appid', link.bizAppId)
  if (link.permissionSets !== undefined) query.set('category_id_list', link.permissionSets.join('|'))
  return query.toString()
}

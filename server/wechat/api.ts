import { createHmac } from 'node:crypto'
import type { z } from 'zod'
import type { TokenCentre } from './access-token.js'
import type { WechatAccount } from './account.js'
import type { WechatClient, WechatRequest, WechatResult } from './client.js'
import * as shapes from './shapes.js'
import { fetchClassicToken, fetchStableToken } from './token-calls.js'
import { withToken } from './with-token.js'

/** Where a checked text is to appear: 1 profile, 2 comment, 3 forum, 4 social log. */
export type TextScene = 1 | 2 | 3 | 4

/** A link of a service-account message to a mini-program linked with the account. */
export type AppLink = { appid: string; pagepath?: string }

type Call<Body> = Omit<WechatRequest<Body>, 'base' | 'account'>
type Shape<Body> = z.ZodType<Body>

/**
 * WeChat's calls other than sending, one method each. All answer a WechatResult (`expectOk` turns it into a body or an
 * error) and throw only what the token centre throws. Tokens are fetched here, and refused ones replaced, as `withToken`
 * says.
 */
export function createWechatApi({ client, tokens }: { client: WechatClient; tokens: TokenCentre }) {
  const call = <Body>(account: WechatAccount, request: Call<Body>): Promise<WechatResult<Body>> =>
    withToken(tokens, account, (token) =>
      client.call({
        ...request,
        base: account.apiBase,
        account: account.accountId,
        query: { access_token: token, ...request.query }
      })
    )
  const get = <Body>(account: WechatAccount, path: string, shape: Shape<Body>, query?: WechatRequest['query']) =>
    call(account, { method: 'GET', path, shape, ...(query && { query }) })
  const post = <Body>(account: WechatAccount, path: string, shape: Shape<Body>, json: unknown) =>
    call(account, { method: 'POST', path, shape, json })

  /** Tokens and logins: the calls that need the secret instead of a token. */
  const login = {
    token: (account: WechatAccount, secret: string): Promise<WechatResult<shapes.TokenBody>> =>
      fetchClassicToken(client, account, secret),
    stableToken: (account: WechatAccount, secret: string, force = false): Promise<WechatResult<shapes.TokenBody>> =>
      fetchStableToken(client, account, secret, force),
    /** Exchanges the code of wx.login, valid 5 minutes, once. 40029 and 40163: the phone needs a new one. */
    jscode2session: (account: WechatAccount, secret: string, code: string): Promise<WechatResult<shapes.SessionBody>> =>
      client.call({
        base: account.apiBase,
        method: 'GET',
        path: '/sns/jscode2session',
        shape: shapes.SessionBody,
        query: { appid: account.appId, secret, js_code: code, grant_type: 'authorization_code' }
      }),
    /** Is this session_key (base64, as received) still the person's? 87009: no, the phone logs in anew. */
    checkSession: (account: WechatAccount, openId: string, sessionKey: string) =>
      get(account, '/wxa/checksession', shapes.Said, {
        openid: openId,
        // Over the empty text, and keyed with the base64 letters themselves: decoded first, WeChat answers 87009.
        signature: createHmac('sha256', sessionKey).update('').digest('hex'),
        sig_method: 'hmac_sha256'
      })
  }

  /** Template library and own templates of legacy mini-program messages; pages hold at most 20. */
  const legacy = {
    libraryList: (account: WechatAccount, offset = 0, count = 20) =>
      post(account, '/cgi-bin/wxopen/template/library/list', shapes.LibraryPage, { offset, count }),
    libraryGet: (account: WechatAccount, id: string) =>
      post(account, '/cgi-bin/wxopen/template/library/get', shapes.LibraryEntry, { id }),
    /** 1 to 10 keywords; the n-th becomes `keyword<n>`. */
    add: (account: WechatAccount, id: string, keywordIds: number[]) =>
      post(account, '/cgi-bin/wxopen/template/add', shapes.TemplateId, { id, keyword_id_list: keywordIds }),
    /** One page; no total is told, an empty one is the end. */
    list: (account: WechatAccount, offset = 0, count = 20) =>
      post(account, '/cgi-bin/wxopen/template/list', shapes.LegacyTemplates, { offset, count }),
    del: (account: WechatAccount, templateId: string) =>
      post(account, '/cgi-bin/wxopen/template/del', shapes.Said, { template_id: templateId })
  }

  /** Library and own templates of subscribe messages (mini-programs, and service accounts with permission set 89). */
  const subscribe = {
    getCategory: (account: WechatAccount) => get(account, '/wxaapi/newtmpl/getcategory', shapes.Categories),
    /** `limit` at most 30. */
    getPubTemplateTitles: (account: WechatAccount, categoryIds: (number | string)[], start = 0, limit = 30) =>
      get(account, '/wxaapi/newtmpl/getpubtemplatetitles', shapes.SubscribeTitles, {
        ids: categoryIds.join(','), // bare: WeChat answers 200019 to quoted ids
        start,
        limit
      }),
    getPubTemplateKeywords: (account: WechatAccount, tid: string) =>
      get(account, '/wxaapi/newtmpl/getpubtemplatekeywords', shapes.SubscribeKeywords, { tid }),
    /** 2 to 5 keyword ids, none for titles numbered 10000000 to 19999999; `sceneDesc` at most 15 characters. */
    addTemplate: (account: WechatAccount, tid: string, kidList: number[], sceneDesc?: string) =>
      call(account, {
        method: 'POST',
        shape: shapes.PriTmplId,
        path: '/wxaapi/newtmpl/addtemplate',
        // A form, whatever newer pages say: JSON bodies were seen answered with 200014.
        form: [
          ['tid', tid],
          ...kidList.map((kid, i) => [`kidList[${i}]`, String(kid)] as const),
          ...(sceneDesc ? [['sceneDesc', sceneDesc] as const] : [])
        ]
      }),
    getTemplate: (account: WechatAccount) => get(account, '/wxaapi/newtmpl/gettemplate', shapes.SubscribeTemplates),
    delTemplate: (account: WechatAccount, priTmplId: string) =>
      call(account, {
        method: 'POST',
        path: '/wxaapi/newtmpl/deltemplate',
        shape: shapes.Said,
        form: [['priTmplId', priTmplId]]
      })
  }

  /** Industries and own templates of a service account; at most 25 templates. */
  const service = {
    getIndustry: (account: WechatAccount) => get(account, '/cgi-bin/template/get_industry', shapes.Industries),
    /** Ids `1` to `41`, two different ones; once a month. Templates of an industry that goes are deleted. */
    setIndustry: (account: WechatAccount, industryId1: string, industryId2: string) =>
      post(account, '/cgi-bin/template/api_set_industry', shapes.Said, {
        industry_id1: industryId1,
        industry_id2: industryId2
      }),
    /** `keywordNames` in display order for library entries with a purely numeric id; none for `TM…` and `OPENTM…`. */
    addTemplate: (account: WechatAccount, shortId: string, keywordNames?: string[]) =>
      post(account, '/cgi-bin/template/api_add_template', shapes.TemplateId, {
        template_id_short: shortId,
        ...(keywordNames && keywordNames.length > 0 && { keyword_name_list: keywordNames })
      }),
    getAllPrivateTemplate: (account: WechatAccount) =>
      get(account, '/cgi-bin/template/get_all_private_template', shapes.ServiceTemplates),
    delPrivateTemplate: (account: WechatAccount, templateId: string) =>
      post(account, '/cgi-bin/template/del_private_template', shapes.Said, { template_id: templateId })
  }

  /**
   * Sends of a service account that no channel of ours carries: each is paid by a consent WeChat itself keeps (43101
   * without one), and neither answers a msgid.
   */
  const consented = {
    /** One message for one confirmation of the same `scene` (0 to 10000); `title` at most 15, `content` 200 characters. */
    once: (
      account: WechatAccount,
      message: {
        openId: string
        templateId: string
        scene: number
        title: string
        content: string
        url?: string
        miniprogram?: AppLink
      }
    ) =>
      post(account, '/cgi-bin/message/template/subscribe', shapes.Said, {
        touser: message.openId,
        template_id: message.templateId,
        ...(message.url && { url: message.url }),
        ...(message.miniprogram && { miniprogram: message.miniprogram }),
        scene: String(message.scene),
        title: message.title,
        data: { content: { value: message.content } }
      }),
    /** A subscription notification, of a template of `subscribe`; permission set 89. */
    bizSend: (
      account: WechatAccount,
      message: {
        openId: string
        templateId: string
        data: Record<string, { value: string }>
        page?: string
        miniprogram?: AppLink
      }
    ) =>
      post(account, '/cgi-bin/message/subscribe/bizsend', shapes.Said, {
        touser: message.openId,
        template_id: message.templateId,
        ...(message.page && { page: message.page }),
        ...(message.miniprogram && { miniprogram: message.miniprogram }),
        data: message.data
      })
  }

  /** Followers of a service account. */
  const users = {
    /** Up to 10,000 openids after `nextOpenId`; 500 calls a day. */
    get: (account: WechatAccount, nextOpenId?: string) =>
      get(account, '/cgi-bin/user/get', shapes.FollowerPage, { next_openid: nextOpenId || undefined }),
    info: (account: WechatAccount, openId: string, lang = 'zh_CN') =>
      get(account, '/cgi-bin/user/info', shapes.FollowerInfo, { openid: openId, lang }),
    /** At most 100 openids. */
    batchGet: (account: WechatAccount, openIds: string[], lang = 'zh_CN') =>
      post(account, '/cgi-bin/user/info/batchget', shapes.FollowerInfos, {
        user_list: openIds.map((openid) => ({ openid, lang }))
      })
  }

  /** Tags a service account has put on its followers. */
  const tags = {
    list: (account: WechatAccount) => get(account, '/cgi-bin/tags/get', shapes.Tags),
    /** Up to 10,000 openids after `nextOpenId`. */
    members: (account: WechatAccount, tagId: number, nextOpenId?: string) =>
      post(account, '/cgi-bin/user/tag/get', shapes.TagPage, {
        tagid: tagId,
        ...(nextOpenId && { next_openid: nextOpenId })
      }),
    of: (account: WechatAccount, openId: string) =>
      post(account, '/cgi-bin/tags/getidlist', shapes.TagIds, { openid: openId }),
    /** At most 50 openids. */
    put: (account: WechatAccount, tagId: number, openIds: string[]) =>
      post(account, '/cgi-bin/tags/members/batchtagging', shapes.Said, { openid_list: openIds, tagid: tagId }),
    /** At most 50 openids. */
    remove: (account: WechatAccount, tagId: number, openIds: string[]) =>
      post(account, '/cgi-bin/tags/members/batchuntagging', shapes.Said, { openid_list: openIds, tagid: tagId })
  }

  const quota = {
    /** Zeroes the day's counters of all calls; 10 a month. */
    clear: (account: WechatAccount) => post(account, '/cgi-bin/clear_quota', shapes.Said, { appid: account.appId }),
    /** `cgiPath` like `/cgi-bin/message/subscribe/send`; /sns/ paths have no quota to ask for. */
    get: (account: WechatAccount, cgiPath: string) =>
      post(account, '/cgi-bin/openapi/quota/get', shapes.QuotaBody, { cgi_path: cgiPath })
  }

  const lookup = {
    /** What a call of this account was and got, by the rid of its answer; for 7 days. */
    rid: (account: WechatAccount, rid: string) => post(account, '/cgi-bin/openapi/rid/get', shapes.RidBody, { rid }),
    /** Addresses of the API's hosts. */
    apiAddresses: (account: WechatAccount) => get(account, '/cgi-bin/get_api_domain_ip', shapes.Addresses),
    /** Addresses pushes come from. */
    pushAddresses: (account: WechatAccount) => get(account, '/cgi-bin/getcallbackip', shapes.Addresses)
  }

  const content = {
    /**
     * Version 2 of msg_sec_check: a verdict, not 87014. At most 2,500 characters; the person must have been in the
     * mini-program within two hours, else 61010.
     */
    checkText: (
      account: WechatAccount,
      text: { openId: string; scene: TextScene; content: string; title?: string; nickname?: string }
    ) =>
      post(account, '/wxa/msg_sec_check', shapes.TextVerdict, {
        version: 2,
        openid: text.openId,
        scene: text.scene,
        content: text.content,
        ...(text.title && { title: text.title }),
        ...(text.nickname && { nickname: text.nickname })
      })
  }

  return { login, legacy, subscribe, service, consented, users, tags, quota, lookup, content, call }
}

/** WeChat's calls other than sending. */
export type WechatApi = ReturnType<typeof createWechatApi>

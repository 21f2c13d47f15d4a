import { createHmac } from 'node:crypto'
import type { TokenCentre } from './access-token.js'
import type { WechatAccount } from './account.js'
import type { WechatClient, WechatRequest, WechatResult } from './client.js'
import { fetchClassicToken, fetchStableToken, type TokenBody } from './token-calls.js'
import { withToken } from './with-token.js'

/** Answer of the login exchange; `unionid` only for apps bound to an Open Platform account. */
export type SessionBody = { openid: string; session_key: string; unionid?: string }

export type LibraryPage = { list: { id: string; title: string }[]; total_count: number }
export type LibraryEntry = {
  id: string
  title: string
  keyword_list: { keyword_id: number; name: string; example: string }[]
}
export type LegacyTemplate = { template_id: string; title: string; content: string; example: string }

export type SubscribeTitles = {
  count: number
  /** `type` 2: one-time, 3: long-term. */
  data: { tid: number; title: string; type: number; categoryId: string }[]
}
export type SubscribeKeywords = { count: number; data: { kid: number; name: string; example: string; rule: string }[] }
export type SubscribeTemplate = {
  priTmplId: string
  title: string
  content: string
  example: string
  /** 2: one-time, 3: long-term. */
  type: number
  keywordEnumValueList?: { keywordCode: string; enumValueList: string[] }[]
}

export type Industry = { first_class: string; second_class: string }
export type ServiceTemplate = {
  template_id: string
  title: string
  primary_industry: string
  deputy_industry: string
  content: string
  example: string
}

/** One page of followers; `data` is missing on an empty page. The last page has `count` 0 or below 10,000, or no `next_openid`. */
export type FollowerPage = { total: number; count: number; data?: { openid: string[] }; next_openid?: string }
/** A follower; someone who does not follow has `subscribe` 0 and little else. */
export type FollowerInfo = {
  subscribe: 0 | 1
  openid: string
  unionid?: string
  /** Unix seconds. */
  subscribe_time?: number
  subscribe_scene?: string
  tagid_list?: number[]
  remark?: string
  qr_scene?: number
  qr_scene_str?: string
}

export type QuotaBody = {
  quota: { daily_limit: number; used: number; remain: number }
  rate_limit?: { call_count: number; refresh_second: number }
  component_rate_limit?: { call_count: number; refresh_second: number }
}

/** A past call as WeChat remembers it for 7 days. */
export type RidBody = {
  request: {
    /** Unix seconds. */
    invoke_time: number
    cost_in_ms: number
    request_url: string
    request_body: string
    response_body: string
    client_ip: string
  }
}

/** `tagid` is WeChat's number; 2 is the one called 星标组. */
export type Tag = { id: number; name: string; count: number }
/** One page of the people with a tag; `data` is missing on an empty page. */
export type TagPage = { count: number; data?: { openid: string[] }; next_openid?: string }

/** The content check's verdict; `label` 100: nothing found. */
export type TextVerdict = {
  trace_id: string
  result: { suggest: 'pass' | 'review' | 'risky'; label: number }
  detail?: { strategy: string; errcode: number; suggest?: string; label?: number; prob?: number; keyword?: string }[]
}
/** Where a checked text is to appear: 1 profile, 2 comment, 3 forum, 4 social log. */
export type TextScene = 1 | 2 | 3 | 4

/** A link of a service-account message to a mini-program linked with the account. */
export type AppLink = { appid: string; pagepath?: string }

type Call = Omit<WechatRequest, 'base' | 'account'>

/**
 * WeChat's calls other than sending, one method each. All answer a WechatResult (`expectOk` turns it into a body or an
 * error) and throw only what the token centre throws. Tokens are fetched here, and refused ones replaced, as `withToken`
 * says.
 */
export function createWechatApi({ client, tokens }: { client: WechatClient; tokens: TokenCentre }) {
  const call = <Body>(account: WechatAccount, request: Call): Promise<WechatResult<Body>> =>
    withToken(tokens, account, (token) =>
      client.call<Body>({
        ...request,
        base: account.apiBase,
        account: account.accountId,
        query: { access_token: token, ...request.query }
      })
    )
  const get = <Body>(account: WechatAccount, path: string, query?: Call['query']) =>
    call<Body>(account, { method: 'GET', path, ...(query && { query }) })
  const post = <Body>(account: WechatAccount, path: string, json: unknown) =>
    call<Body>(account, { method: 'POST', path, json })

  /** Tokens and logins: the calls that need the secret instead of a token. */
  const login = {
    token: (account: WechatAccount, secret: string): Promise<WechatResult<TokenBody>> =>
      fetchClassicToken(client, account, secret),
    stableToken: (account: WechatAccount, secret: string, force = false): Promise<WechatResult<TokenBody>> =>
      fetchStableToken(client, account, secret, force),
    /** Exchanges the code of wx.login, valid 5 minutes, once. 40029 and 40163: the phone needs a new one. */
    jscode2session: (account: WechatAccount, secret: string, code: string): Promise<WechatResult<SessionBody>> =>
      client.call({
        base: account.apiBase,
        method: 'GET',
        path: '/sns/jscode2session',
        query: { appid: account.appId, secret, js_code: code, grant_type: 'authorization_code' }
      }),
    /** Is this session_key (base64, as received) still the person's? 87009: no, the phone logs in anew. */
    checkSession: (account: WechatAccount, openId: string, sessionKey: string) =>
      get<object>(account, '/wxa/checksession', {
        openid: openId,
        // Over the empty text, and keyed with the base64 letters themselves: decoded first, WeChat answers 87009.
        signature: createHmac('sha256', sessionKey).update('').digest('hex'),
        sig_method: 'hmac_sha256'
      })
  }

  /** Template library and own templates of legacy mini-program messages; pages hold at most 20. */
  const legacy = {
    libraryList: (account: WechatAccount, offset = 0, count = 20) =>
      post<LibraryPage>(account, '/cgi-bin/wxopen/template/library/list', { offset, count }),
    libraryGet: (account: WechatAccount, id: string) =>
      post<LibraryEntry>(account, '/cgi-bin/wxopen/template/library/get', { id }),
    /** 1 to 10 keywords; the n-th becomes `keyword<n>`. */
    add: (account: WechatAccount, id: string, keywordIds: number[]) =>
      post<{ template_id: string }>(account, '/cgi-bin/wxopen/template/add', { id, keyword_id_list: keywordIds }),
    /** One page; no total is told, an empty one is the end. */
    list: (account: WechatAccount, offset = 0, count = 20) =>
      post<{ list: LegacyTemplate[] }>(account, '/cgi-bin/wxopen/template/list', { offset, count }),
    del: (account: WechatAccount, templateId: string) =>
      post<object>(account, '/cgi-bin/wxopen/template/del', { template_id: templateId })
  }

  /** Library and own templates of subscribe messages (mini-programs, and service accounts with permission set 89). */
  const subscribe = {
    getCategory: (account: WechatAccount) =>
      get<{ data: { id: number; name: string }[] }>(account, '/wxaapi/newtmpl/getcategory'),
    /** `limit` at most 30. */
    getPubTemplateTitles: (account: WechatAccount, categoryIds: (number | string)[], start = 0, limit = 30) =>
      get<SubscribeTitles>(account, '/wxaapi/newtmpl/getpubtemplatetitles', {
        ids: categoryIds.join(','), // bare: WeChat answers 200019 to quoted ids
        start,
        limit
      }),
    getPubTemplateKeywords: (account: WechatAccount, tid: string) =>
      get<SubscribeKeywords>(account, '/wxaapi/newtmpl/getpubtemplatekeywords', { tid }),
    /** 2 to 5 keyword ids, none for titles numbered 10000000 to 19999999; `sceneDesc` at most 15 characters. */
    addTemplate: (account: WechatAccount, tid: string, kidList: number[], sceneDesc?: string) =>
      call<{ priTmplId: string }>(account, {
        method: 'POST',
        path: '/wxaapi/newtmpl/addtemplate',
        // A form, whatever newer pages say: JSON bodies were seen answered with 200014.
        form: [
          ['tid', tid],
          ...kidList.map((kid, i) => [`kidList[${i}]`, String(kid)] as const),
          ...(sceneDesc ? [['sceneDesc', sceneDesc] as const] : [])
        ]
      }),
    getTemplate: (account: WechatAccount) => get<{ data: SubscribeTemplate[] }>(account, '/wxaapi/newtmpl/gettemplate'),
    delTemplate: (account: WechatAccount, priTmplId: string) =>
      call<object>(account, { method: 'POST', path: '/wxaapi/newtmpl/deltemplate', form: [['priTmplId', priTmplId]] })
  }

  /** Industries and own templates of a service account; at most 25 templates. */
  const service = {
    getIndustry: (account: WechatAccount) =>
      get<{ primary_industry: Industry; secondary_industry: Industry }>(account, '/cgi-bin/template/get_industry'),
    /** Ids `1` to `41`, two different ones; once a month. Templates of an industry that goes are deleted. */
    setIndustry: (account: WechatAccount, industryId1: string, industryId2: string) =>
      post<object>(account, '/cgi-bin/template/api_set_industry', {
        industry_id1: industryId1,
        industry_id2: industryId2
      }),
    /** `keywordNames` in display order for library entries with a purely numeric id; none for `TM…` and `OPENTM…`. */
    addTemplate: (account: WechatAccount, shortId: string, keywordNames?: string[]) =>
      post<{ template_id: string }>(account, '/cgi-bin/template/api_add_template', {
        template_id_short: shortId,
        ...(keywordNames && keywordNames.length > 0 && { keyword_name_list: keywordNames })
      }),
    getAllPrivateTemplate: (account: WechatAccount) =>
      get<{ template_list: ServiceTemplate[] }>(account, '/cgi-bin/template/get_all_private_template'),
    delPrivateTemplate: (account: WechatAccount, templateId: string) =>
      post<object>(account, '/cgi-bin/template/del_private_template', { template_id: templateId })
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
      post<object>(account, '/cgi-bin/message/template/subscribe', {
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
      post<object>(account, '/cgi-bin/message/subscribe/bizsend', {
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
      get<FollowerPage>(account, '/cgi-bin/user/get', { next_openid: nextOpenId || undefined }),
    info: (account: WechatAccount, openId: string, lang = 'zh_CN') =>
      get<FollowerInfo>(account, '/cgi-bin/user/info', { openid: openId, lang }),
    /** At most 100 openids. */
    batchGet: (account: WechatAccount, openIds: string[], lang = 'zh_CN') =>
      post<{ user_info_list: FollowerInfo[] }>(account, '/cgi-bin/user/info/batchget', {
        user_list: openIds.map((openid) => ({ openid, lang }))
      })
  }

  /** Tags a service account has put on its followers. */
  const tags = {
    list: (account: WechatAccount) => get<{ tags: Tag[] }>(account, '/cgi-bin/tags/get'),
    /** Up to 10,000 openids after `nextOpenId`. */
    members: (account: WechatAccount, tagId: number, nextOpenId?: string) =>
      post<TagPage>(account, '/cgi-bin/user/tag/get', { tagid: tagId, ...(nextOpenId && { next_openid: nextOpenId }) }),
    of: (account: WechatAccount, openId: string) =>
      post<{ tagid_list: number[] }>(account, '/cgi-bin/tags/getidlist', { openid: openId }),
    /** At most 50 openids. */
    put: (account: WechatAccount, tagId: number, openIds: string[]) =>
      post<object>(account, '/cgi-bin/tags/members/batchtagging', { openid_list: openIds, tagid: tagId }),
    /** At most 50 openids. */
    remove: (account: WechatAccount, tagId: number, openIds: string[]) =>
      post<object>(account, '/cgi-bin/tags/members/batchuntagging', { openid_list: openIds, tagid: tagId })
  }

  const quota = {
    /** Zeroes the day's counters of all calls; 10 a month. */
    clear: (account: WechatAccount) => post<object>(account, '/cgi-bin/clear_quota', { appid: account.appId }),
    /** `cgiPath` like `/cgi-bin/message/subscribe/send`; /sns/ paths have no quota to ask for. */
    get: (account: WechatAccount, cgiPath: string) =>
      post<QuotaBody>(account, '/cgi-bin/openapi/quota/get', { cgi_path: cgiPath })
  }

  const lookup = {
    /** What a call of this account was and got, by the rid of its answer; for 7 days. */
    rid: (account: WechatAccount, rid: string) => post<RidBody>(account, '/cgi-bin/openapi/rid/get', { rid }),
    /** Addresses of the API's hosts. */
    apiAddresses: (account: WechatAccount) => get<{ ip_list: string[] }>(account, '/cgi-bin/get_api_domain_ip'),
    /** Addresses pushes come from. */
    pushAddresses: (account: WechatAccount) => get<{ ip_list: string[] }>(account, '/cgi-bin/getcallbackip')
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
      post<TextVerdict>(account, '/wxa/msg_sec_check', {
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

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

type Call = Omit<WechatRequest, 'base'>

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

  const quota = {
    /** Zeroes the day's counters of all calls; 10 a month. */
    clear: (account: WechatAccount) => post<object>(account, '/cgi-bin/clear_quota', { appid: account.appId }),
    /** `cgiPath` like `/cgi-bin/message/subscribe/send`; /sns/ paths have no quota to ask for. */
    get: (account: WechatAccount, cgiPath: string) =>
      post<QuotaBody>(account, '/cgi-bin/openapi/quota/get', { cgi_path: cgiPath })
  }

  return { login, legacy, subscribe, service, users, quota, call }
}

/** WeChat's calls other than sending. */
export type WechatApi = ReturnType<typeof createWechatApi>

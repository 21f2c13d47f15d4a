/** What a call to WeChat has to know of the account it is made for. The secret is fetched apart, when it is needed. */
export type WechatAccount = {
  accountId: string
  appId: string
  kind: 'miniprogram' | 'service'
  /** Origin (and path prefix, if any) of the API: `https://api.weixin.qq.com` or the sandbox. */
  apiBase: string
  /** `stable`: POST /cgi-bin/stable_token; `classic`: GET /cgi-bin/token. Their tokens do not affect each other. */
  tokenApi: 'stable' | 'classic'
}

import type { WechatAccount } from './account.js'
import type { WechatClient, WechatResult } from './client.js'

/** What both token calls answer. */
export type TokenBody = { access_token: string; expires_in: number }

/** GET /cgi-bin/token: always a new token; the one before keeps working for up to 5 minutes. 2,000 a day. */
export function fetchClassicToken(
  client: WechatClient,
  account: WechatAccount,
  secret: string
): Promise<WechatResult<TokenBody>> {
  const query = { grant_type: 'client_credential', appid: account.appId, secret }
  return client.call({ base: account.apiBase, method: 'GET', path: '/cgi-bin/token', query })
}

/**
 * POST /cgi-bin/stable_token: the same token until its last 5 minutes. With `force` the one before dies at once; WeChat
 * allows that 20 times a day, 30 s apart, and otherwise answers as without.
 */
export function fetchStableToken(
  client: WechatClient,
  account: WechatAccount,
  secret: string,
  force = false
): Promise<WechatResult<TokenBody>> {
  const json = { grant_type: 'client_credential', appid: account.appId, secret, force_refresh: force }
  return client.call({ base: account.apiBase, method: 'POST', path: '/cgi-bin/stable_token', json })
}

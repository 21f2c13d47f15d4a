import type { WechatAccount } from './account.js'
import type { WechatClient, WechatResult } from './client.js'
import { TokenBody } from './shapes.js'

/** The longest one of them may take. */
export const TOKEN_CALL_MS = 10_000

/**
 * Makes ready to fetch a token of an account: reads what that takes, and gives the call. With `force` a stable token is
 * replaced though it still works.
 */
export type TokenFetcher = (account: WechatAccount) => Promise<(force: boolean) => Promise<WechatResult<TokenBody>>>

/** Tokens by app secret; `secretOf` gives it in clear and is asked once a fetch. */
export function bySecret({
  client,
  secretOf
}: {
  client: WechatClient
  secretOf: (accountId: string) => Promise<string>
}): TokenFetcher {
  const bounded: WechatClient = { ...client, call: (r) => client.call({ ...r, timeoutMs: TOKEN_CALL_MS }) }
  return async (account) => {
    const secret = await secretOf(account.accountId)
    return (force) =>
      account.tokenApi === 'classic'
        ? fetchClassicToken(bounded, account, secret)
        : fetchStableToken(bounded, account, secret, force)
  }
}

/** GET /cgi-bin/token: always a new token; the one before keeps working for up to 5 minutes. 2,000 a day. */
export function fetchClassicToken(
  client: WechatClient,
  account: WechatAccount,
  secret: string
): Promise<WechatResult<TokenBody>> {
  const query = { grant_type: 'client_credential', appid: account.appId, secret }
  return client.call({ base: account.apiBase, method: 'GET', path: '/cgi-bin/token', query, shape: TokenBody })
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
  return client.call({ base: account.apiBase, method: 'POST', path: '/cgi-bin/stable_token', json, shape: TokenBody })
}

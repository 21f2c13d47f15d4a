import type { WechatAccount } from '../wechat/account.js'
import type { Account } from './accounts.js'

/** What calls to WeChat need to know of an account. */
export const targetOf = (account: Pick<Account, 'id' | 'appId' | 'kind' | 'apiBase' | 'tokenApi'>): WechatAccount => ({
  accountId: account.id,
  appId: account.appId,
  kind: account.kind,
  apiBase: account.apiBase,
  tokenApi: account.tokenApi
})

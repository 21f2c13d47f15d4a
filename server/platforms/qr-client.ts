import type { Accounts } from '../accounts/accounts.js'
import type { WechatClient, WechatRequest, WechatResult } from '../wechat/client.js'
import type { Authorizations } from './authorizations.js'

/**
 * A client that makes WeChat's two calls by app secret another way for accounts connected by QR, which have none: through
 * the platform they authorised. Everything else goes out as it is. Unlike others it throws when the platform itself
 * cannot act (no settings, no ticket, no token).
 */
export function createQrClient({
  client,
  accounts,
  authorizations
}: {
  client: WechatClient
  accounts: Pick<Accounts, 'get'>
  authorizations: Pick<Authorizations, 'nextToken' | 'session'>
}): WechatClient {
  const ways: Record<string, (appId: string, query: NonNullable<WechatRequest['query']>) => Promise<WechatResult>> = {
    '/cgi-bin/token': (appId) => authorizations.nextToken(appId),
    '/sns/jscode2session': (appId, query) => authorizations.session(appId, String(query.js_code))
  }
  return {
    async call<Body>(request: WechatRequest): Promise<WechatResult<Body>> {
      const way = ways[request.path]
      const { query } = request
      if (way === undefined || typeof query?.appid !== 'string') return client.call<Body>(request)
      const { connectedBy } = await accounts.get(query.appid)
      return connectedBy === 'qr' ? way(query.appid, query) : client.call<Body>(request)
    },
    close: () => client.close()
  }
}

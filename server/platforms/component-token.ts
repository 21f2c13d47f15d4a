import type { Connection } from 'mongoose'
import type { Clock } from '../platform/clock.js'
import type { Log } from '../platform/log.js'
import type { Sealer } from '../platform/sealing.js'
import { createTokenCentre } from '../wechat/access-token.js'
import type { WechatResult } from '../wechat/client.js'
import type { ComponentApi, WechatPlatform } from '../wechat/component.js'
import type { TokenBody } from '../wechat/shapes.js'
import { withToken } from '../wechat/with-token.js'
import type { Settings } from './settings.js'

/** Its row among the tokens; no account has this id. */
const ID = 'platform'

/**
 * The platform's own token, kept as every account's is: one process fetches, the old one serves meanwhile, a refused one
 * is replaced once. Only the call that fetches it is another: secret and ticket instead of the secret alone.
 */
export function createComponentToken({
  db,
  clock,
  log,
  sealer,
  random,
  api,
  settings
}: {
  db: Connection
  clock: Clock
  log: Log
  sealer: Sealer
  random: () => number
  api: ComponentApi
  settings: Settings
}) {
  const centre = createTokenCentre({ db, clock, seal: sealer, random, log, fetcher: async () => getNext })

  async function getNext(): Promise<WechatResult<TokenBody>> {
    const { platform, secret, ticket } = await settings.means()
    const result = await api.token(platform, secret, ticket)
    if (result.kind !== 'answer') return result
    const { component_access_token: access_token, expires_in } = result.body
    return { ...result, body: { access_token, expires_in } }
  }

  return {
    /** Makes a call with the token. @throws NoPlatform, NoTicket; UpstreamFailure when WeChat gives no token */
    async with<Body>(
      call: (platform: WechatPlatform, token: string) => Promise<WechatResult<Body>>
    ): Promise<WechatResult<Body>> {
      // Asked here first: a centre that failed once waits before it tries again, and the ticket may come any moment.
      const { platform } = await settings.means()
      const { appId, apiBase } = platform
      const target = { accountId: ID, appId, kind: 'service', apiBase, tokenApi: 'classic' } as const
      return withToken(centre, target, (token) => call(platform, token))
    },
    /** Another secret, another platform: its token is void. */
    forget: () => centre.forget(ID)
  }
}
export type ComponentToken = ReturnType<typeof createComponentToken>

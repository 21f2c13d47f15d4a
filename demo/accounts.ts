import type { Client } from './client.js'
import type { DemoAccount } from './ledgers.js'
import { finished } from './stage.js'

const fixedId = (head: string) => head.padEnd(43, '0')

/** The sandbox's own apps (server/sandbox/README.md) with the templates they start with. */
export const SHOP = {
  appid: 'wx5b1a2c3d4e5f6001',
  secret: '6001a1b2c3d4e5f60718293a4b5c6d7e',
  kind: 'miniprogram',
  name: '晨读书店',
  legacy: fixedId('SandboxLegacyShipped_'),
  subscribe: fixedId('SandboxSubscribePickup_')
} as const
export const CLINIC = {
  appid: 'wx5b1a2c3d4e5f6002',
  secret: '6002a1b2c3d4e5f60718293a4b5c6d7e',
  kind: 'miniprogram',
  name: '山岚诊所',
  subscribe: fixedId('SandboxSubscribeBooking_'),
  longTerm: fixedId('SandboxLongTermVisit_')
} as const
export const SERVICE = {
  appid: 'wx5b1a2c3d4e5f6003',
  secret: '6003a1b2c3d4e5f60718293a4b5c6d7e',
  kind: 'service',
  name: '晨读书店服务号',
  service: fixedId('SandboxServiceShipped_')
} as const

/** Requests a second to one interface: fast enough for a short demo, slow enough to watch. */
const LIMITS = { perSecond: 100 }
type Limits = { perSecond: number; inFlight?: number }

/**
 * Connects the three apps of the sandbox, as an operator would: by secret, with a callback for WeChat's pushes (told to
 * the sandbox too), templates read. In mode live, so that the devtools' mock ids are refused and counted.
 */
export async function connectAccounts(api: Client, sandbox: Client, limits: Limits = LIMITS) {
  const own = { openPlatform: 'demo' }
  const [shop, clinic, service] = await Promise.all(
    [SHOP, CLINIC, SERVICE].map((app) => connect(api, sandbox, app, own, limits))
  )
  return { shop: shop!, clinic: clinic!, service: service! }
}

/** Connects the shop alone, bound to no Open Platform: its people have an openid and no more. */
export const connectShop = (api: Client, sandbox: Client): Promise<DemoAccount> =>
  connect(api, sandbox, SHOP, {}, LIMITS)

async function connect(
  api: Client,
  sandbox: Client,
  { appid, secret, kind, name }: typeof SHOP | typeof CLINIC | typeof SERVICE,
  own: { openPlatform?: string },
  limits: Limits
): Promise<DemoAccount> {
  const token = `demo${appid.slice(-8)}`
  const account = await api.post('/v1/accounts', {
    kind,
    appId: appid,
    secret,
    name,
    mode: 'live',
    apiBase: sandbox.url,
    limits,
    callback: { token, mode: 'plain' }
  })
  const callback = { url: account.callback.url, token }
  await sandbox.post('/sandbox/apps', { appid, secret, kind, name, ...own, callback })
  await finished(api, await api.post('/v1/templates/sync', { accountId: account.id }))
  return { id: account.id, appId: appid }
}

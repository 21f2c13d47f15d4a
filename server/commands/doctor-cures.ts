import { ConfigFault } from '../config.js'
import { EmbeddedStoreError, isDiskFull, type StoreErrorCode } from '../embedded/storage/store-error.js'
import { KeysFault } from '../platform/keys.js'
import { StoreUnreachable } from '../platform/mongo.js'
import { restOf } from '../wechat/token-failures.js'
import { AnotherKeyring } from './ground.js'

/** Says how one thing is: a line, and a second one with the cure when it is wrong; null then. */
export type Check = <T>(name: string, work: () => Promise<[T, string]>) => Promise<T | null>

/** Something is wrong, and this is what to do about it. */
export class Trouble extends Error {
  constructor(
    message: string,
    readonly cure: string,
    cause?: unknown
  ) {
    super(message, { cause })
  }
}

export const FREE_SPACE = 'free some space there, or point HONGYAN_DATA at a larger disk; what was acknowledged is kept'
export const NOT_WRITABLE = 'run it as the user the directory belongs to, or choose another with HONGYAN_DATA'

const OF_THE_STORE: Partial<Record<StoreErrorCode, string>> = {
  'store.disk-full': FREE_SPACE,
  'store.damaged':
    'restore a backup (`hongyan store backup`) into an empty directory; `hongyan store check` looks closer',
  'store.not-writable': NOT_WRITABLE,
  'store.foreign': 'choose another directory with HONGYAN_DATA',
  'store.too-new': 'run the version of Hongyan that wrote it, or a newer one'
}

const CONSOLE = "WeChat's console (mp.weixin.qq.com, 开发管理 › 开发设置)"
const SECRET = `copy the AppSecret from ${CONSOLE} and set it: PATCH /v1/accounts/{id} {"secret":"…"}`

const OTHER_TOKENS =
  'have every other system that replaces this account’s tokens take ours instead (GET /v1/accounts/{id}/token); PATCH /v1/accounts/{id} {"tokenApi":"classic"} (or "stable") goes on at once with tokens of the other kind; without either WeChat takes a new one within two hours'

/** What to do about a code of WeChat's that an account cannot live with. */
const OF_WECHAT: Record<string, string> = {
  40001: SECRET,
  40125: SECRET,
  41004: SECRET,
  40243: `unfreeze or reset the AppSecret in ${CONSOLE}, then set it: PATCH /v1/accounts/{id} {"secret":"…"}`,
  40013: 'compare the appId with the one in WeChat’s console; connect the account anew under the right one',
  41002: 'compare the appId with the one in WeChat’s console; connect the account anew under the right one',
  50002: 'the account is under a penalty: read the notices in WeChat’s console, and docs/compliance.md',
  50004: 'the account is under a penalty: read the notices in WeChat’s console, and docs/compliance.md',
  50007: 'the account is frozen: read the notices in WeChat’s console'
}

/**
 * What to do about what WeChat said of an account, in the words `verify` keeps it in; null where they say it all.
 */
export function cureOfAccount(reason: string): string | null {
  const address = /does not accept calls from (\S+?):/.exec(reason)?.[1]
  if (address !== undefined) {
    return `add ${address} (what WeChat saw; behind NAT the outer address) to IP白名单 in ${CONSOLE}; it counts within minutes`
  }
  return OF_WECHAT[/\((\d{5})\)/.exec(reason)?.[1] ?? ''] ?? null
}

/** What to do about an error; null where its own message says it. */
export function cureOf(error: unknown): string | null {
  for (let each: unknown = error; each instanceof Error; each = each.cause) {
    if (each instanceof Trouble) return each.cure
    if (each instanceof ConfigFault) return 'README.md lists every variable; `hongyan --help` too'
    if (each instanceof AnotherKeyring) {
      return 'bring back the keys.json that belongs to this store (mode 600), or its HONGYAN_KEYS; a wrong ring is refused so that nothing is sealed with it'
    }
    if (each instanceof KeysFault) {
      if (isDiskFull(each.cause)) return FREE_SPACE
      if (['EACCES', 'EPERM'].includes(String((each.cause as { code?: unknown } | undefined)?.code)))
        return NOT_WRITABLE
      return 'put back your copy of the ring; `hongyan keys new` prints a new one, good for an empty store only'
    }
    if (each instanceof EmbeddedStoreError) return OF_THE_STORE[each.code] ?? null
    if (each instanceof StoreUnreachable) {
      return 'is mongod up, and MONGODB_URI (host, port, user, replicaSet) what it should be? Firewalls and TLS count, too'
    }
    if (isDiskFull(each)) return FREE_SPACE
    if ((each as { code?: unknown }).code === 'wechat.not-reached') {
      return 'is api.weixin.qq.com reachable from here (DNS, proxy, firewall, port 443)? HONGYAN_API_BASE or the account’s apiBase may point elsewhere'
    }
    if (restOf(each) !== null) return OTHER_TOKENS
    const said = cureOfAccount(each.message)
    if (said !== null) return said
  }
  return null
}

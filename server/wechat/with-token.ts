import type { TokenCentre } from './access-token.js'
import type { WechatAccount } from './account.js'
import type { WechatResult } from './client.js'
import { isTokenErrcode } from './errcodes.js'

/** The first try, one more with a token the centre still believes in, and one with a newer one. */
const TRIES = 3

/**
 * Makes a call with the account's token and tells the token centre how that went. A refused call is repeated with the
 * token the centre then hands out: exactly once with a newer one, and at most once before that with the same.
 * @throws what `TokenCentre.current` and `refused` throw
 */
export async function withToken<Body>(
  tokens: Pick<TokenCentre, 'current' | 'refused' | 'worked'>,
  account: WechatAccount,
  call: (token: string) => Promise<WechatResult<Body>>
): Promise<WechatResult<Body>> {
  let { token, gen } = await tokens.current(account)
  for (let tries = 1; ; tries++) {
    const result = await call(token)
    if (result.kind !== 'answer') return result
    if (!isTokenErrcode(result.errcode)) {
      tokens.worked(account, gen)
      return result
    }
    if (tries === TRIES) return result
    const next = await tokens.refused(account, gen)
    if (next.gen !== gen) tries = TRIES - 1
    ;({ token, gen } = next)
  }
}

import type { JWT } from '@fastify/jwt'
import type { Clock } from './clock.js'
import { NotAuthenticated } from './errors.js'

export type Minted = { token: string; expiresAt: Date }

/** What a phone's token says: bound to one account and one recipient of it. */
export type PhoneBearer = { kind: 'phone'; accountId: string; recipientId: string; personId: string }

/** Signed tokens of limited life: operators' and phones'. */
export type Tokens = {
  operator(id: string): Minted
  phone(bound: { accountId: string; recipientId: string; personId: string }): Minted
  /** @throws NotAuthenticated when the token is forged, spoilt or over */
  read(token: string): { kind: 'operator'; id: string } | PhoneBearer
}

const OPERATOR_LIFE_MS = 15 * 60_000
const PHONE_LIFE_MS = 2 * 3_600_000

/** Claims are short, since a phone sends them with every batch. */
type Claims = { k: 'o'; sub: string; exp: number } | { k: 'p'; sub: string; acc: string; per: string; exp: number }

export function createTokens({
  jwt,
  clock,
  operatorLifeMs = OPERATOR_LIFE_MS,
  phoneLifeMs = PHONE_LIFE_MS
}: {
  jwt: JWT
  clock: Clock
  operatorLifeMs?: number
  phoneLifeMs?: number
}): Tokens {
  function mint(claims: Record<string, string>, lifeMs: number): Minted {
    const iat = Math.floor(clock.now().getTime() / 1000)
    const exp = iat + Math.floor(lifeMs / 1000)
    return { token: jwt.sign({ ...claims, iat, exp }), expiresAt: new Date(exp * 1000) }
  }

  return {
    operator: (id) => mint({ k: 'o', sub: id }, operatorLifeMs),
    phone: ({ accountId, recipientId, personId }) =>
      mint({ k: 'p', sub: recipientId, acc: accountId, per: personId }, phoneLifeMs),
    read(token) {
      let claims: Claims
      try {
        // Expiry is judged below, by the store's clock and not by this machine's.
        claims = jwt.verify<Claims>(token, { ignoreExpiration: true } as never)
      } catch (error) {
        throw new NotAuthenticated('this token is not valid', { cause: error })
      }
      if (claims.exp * 1000 <= clock.now().getTime()) {
        throw new NotAuthenticated('this token has expired', { code: 'auth.expired' })
      }
      return claims.k === 'p'
        ? { kind: 'phone', recipientId: claims.sub, accountId: claims.acc, personId: claims.per }
        : { kind: 'operator', id: claims.sub }
    }
  }
}

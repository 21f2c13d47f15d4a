import type { JWT } from '@fastify/jwt'
import { z } from 'zod'
import type { Clock } from './clock.js'
import { NotAuthenticated } from './errors.js'

export type Minted = { token: string; expiresAt: Date }

/** What a phone's token says: bound to one account and one recipient of it. */
export type PhoneBearer = { kind: 'phone'; accountId: string; recipientId: string; personId: string }

/** Signed tokens of limited life: operators' and phones'. */
export type Tokens = {
  /** `sessions`: how often the operator's logins were ended altogether; tokens of an earlier count are over. */
  operator(id: string, sessions?: number): Minted
  phone(bound: { accountId: string; recipientId: string; personId: string }): Minted
  /** @throws NotAuthenticated when the token is forged, spoilt or over */
  read(token: string): { kind: 'operator'; id: string; sessions: number } | PhoneBearer
}

const OPERATOR_LIFE_MS = 15 * 60_000
const PHONE_LIFE_MS = 2 * 3_600_000

/** Claims are short, since a phone sends them with every batch. What is signed and reads otherwise is no token of ours. */
const Claims = z.discriminatedUnion('k', [
  z.object({ k: z.literal('o'), sub: z.string().min(1), ses: z.int().min(0).default(0), exp: z.int() }),
  z.object({ k: z.literal('p'), sub: z.string().min(1), acc: z.string().min(1), per: z.string().min(1), exp: z.int() })
])
type Claims = z.output<typeof Claims>

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
  function mint(claims: Record<string, string | number>, lifeMs: number): Minted {
    const iat = Math.floor(clock.now().getTime() / 1000)
    const exp = iat + Math.floor(lifeMs / 1000)
    return { token: jwt.sign({ ...claims, iat, exp }), expiresAt: new Date(exp * 1000) }
  }

  return {
    operator: (id, sessions = 0) => mint({ k: 'o', sub: id, ses: sessions }, operatorLifeMs),
    phone: ({ accountId, recipientId, personId }) =>
      mint({ k: 'p', sub: recipientId, acc: accountId, per: personId }, phoneLifeMs),
    read(token) {
      let claims: Claims
      try {
        // Expiry is judged below, by the store's clock and not by this machine's.
        claims = Claims.parse(jwt.verify(token, { ignoreExpiration: true } as never))
      } catch (error) {
        throw new NotAuthenticated('this token is not valid', { cause: error })
      }
      if (claims.exp * 1000 <= clock.now().getTime()) {
        throw new NotAuthenticated('this token has expired', { code: 'auth.expired' })
      }
      return claims.k === 'p'
        ? { kind: 'phone', recipientId: claims.sub, accountId: claims.acc, personId: claims.per }
        : { kind: 'operator', id: claims.sub, sessions: claims.ses }
    }
  }
}

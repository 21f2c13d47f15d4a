import { randomBytes, scrypt, timingSafeEqual } from 'node:crypto'

/** scrypt's N (a power of two) and p; r is 8. */
export type PasswordCost = { N: number; p: number }

/** One of the equals in OWASP's cheat sheet of password storage (2024): 32 MB and a third of a second a guess. */
const COST: PasswordCost = { N: 2 ** 15, p: 3 }
const KEY_BYTES = 32

/** Turns passwords into what may be stored, and compares. */
export function createPasswords(cost: PasswordCost = COST) {
  // Stands in for a stranger's: comparing with it takes as long as with a real one.
  const nobody = `scrypt.${cost.N}.${cost.p}.${randomBytes(16).toString('base64url')}.none`
  return {
    /** `scrypt.N.p.salt.key`: what a later change of cost needs is in the value. */
    async hash(password: string): Promise<string> {
      const salt = randomBytes(16)
      const key = await derive(password, salt, cost)
      return `scrypt.${cost.N}.${cost.p}.${salt.toString('base64url')}.${key.toString('base64url')}`
    },
    /** `stored` null (a stranger) is never right, and found out as slowly, so that nobody can probe for accounts. */
    async matches(password: string, stored: string | null): Promise<boolean> {
      const [, N, p, salt = '', key = ''] = (stored ?? nobody).split('.')
      const derived = await derive(password, Buffer.from(salt, 'base64url'), { N: Number(N), p: Number(p) })
      const expected = Buffer.from(key, 'base64url')
      return expected.length === derived.length && timingSafeEqual(derived, expected)
    }
  }
}

function derive(password: string, salt: Buffer, { N, p }: PasswordCost): Promise<Buffer> {
  const options = { N, r: 8, p, maxmem: 256 * N * 8 }
  return new Promise((resolve, reject) => {
    scrypt(password.normalize('NFKC'), salt, KEY_BYTES, options, (error, key) => (error ? reject(error) : resolve(key)))
  })
}

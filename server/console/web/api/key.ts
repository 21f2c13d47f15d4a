/** A name nobody else gives, for an Idempotency-Key; unlike randomUUID also where the page came over plain HTTP. */
export function newKey(): string {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, '0')).join('')
}

/** The header that makes a repeated call the same call. */
export const keyed = (key: string) => ({ 'idempotency-key': key })

import { createHash } from 'node:crypto'

/** How many documents a collection has, and a sum over their bytes that does not depend on their order. */
export type Sum = { documents: number; checksum: string }

const MODULUS = 1n << 128n

/**
 * Adds up documents: the first 128 bits of each one's SHA-256, modulo 2^128. Equal sums mean equal documents, whatever
 * order a server gives them in; one that is missing, doubled or changed shows.
 */
export function createChecksum() {
  let documents = 0
  let total = 0n
  return {
    add(raw: Uint8Array): void {
      documents++
      const digest = createHash('sha256').update(raw).digest()
      total = (total + (digest.readBigUInt64BE(0) << 64n) + digest.readBigUInt64BE(8)) % MODULUS
    },
    sum: (): Sum => ({ documents, checksum: total.toString(16).padStart(32, '0') })
  }
}

import { createHmac, timingSafeEqual } from 'node:crypto'

/** One-time codes by time, as authenticator apps make them: RFC 6238 with SHA-1, 30 s and 6 digits. */

const STEP_MS = 30_000
const DIGITS = 6
/** A phone's clock may be a step behind or ahead (RFC 6238, 5.2). */
const DRIFT_STEPS = 1
const ALPHABET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567'

/** The step an instant lies in. */
export const stepAt = (at: Date): number => Math.floor(at.getTime() / STEP_MS)

/** The code of a step (RFC 4226, 5.3). */
export function codeAt(secret: Buffer, step: number, { digits = DIGITS, algorithm = 'sha1' } = {}): string {
  const counter = Buffer.alloc(8)
  counter.writeBigUInt64BE(BigInt(step))
  const mac = createHmac(algorithm, secret).update(counter).digest()
  const offset = mac[mac.length - 1]! & 0x0f
  const number = mac.readUInt32BE(offset) & 0x7fffffff
  return String(number % 10 ** digits).padStart(digits, '0')
}

/**
 * The step whose code this is, of those around `at`; null when it is none of theirs, or of one no later than `after`: a
 * code that was used once is used up.
 */
export function matchedStep(secret: Buffer, code: string, at: Date, after: number): number | null {
  const typed = Buffer.from(code.replaceAll(/[\s-]/g, ''))
  let matched: number | null = null
  for (let drift = -DRIFT_STEPS; drift <= DRIFT_STEPS; drift++) {
    const step = stepAt(at) + drift
    const expected = Buffer.from(codeAt(secret, step))
    const same = typed.length === expected.length && timingSafeEqual(typed, expected)
    if (same && step > after) matched = step
  }
  return matched
}

/** Bytes as people type them (RFC 4648, base 32 without padding). */
export function toBase32(bytes: Buffer): string {
  let text = ''
  let [bits, value] = [0, 0]
  for (const byte of bytes) {
    value = (value << 8) | byte
    bits += 8
    while (bits >= 5) {
      bits -= 5
      text += ALPHABET[(value >> bits) & 31]
    }
    value &= (1 << bits) - 1
  }
  return bits > 0 ? text + ALPHABET[(value << (5 - bits)) & 31] : text
}

/** What a QR code for an authenticator app says. */
export function otpauthUri(secret: string, email: string, issuer = 'Hongyan'): string {
  const label = `${encodeURIComponent(issuer)}:${encodeURIComponent(email)}`
  return `otpauth://totp/${label}?${new URLSearchParams({ secret, issuer }).toString()}`
}

import { createHash, createHmac, pbkdf2Sync, randomBytes, timingSafeEqual } from 'node:crypto'

const ITERATIONS = 15_000

/** Who may come in over TCP, with the password in the form SCRAM keeps. */
export type ScramUser = { name: string; salt: Buffer; storedKey: Buffer; serverKey: Buffer }

/** Prepares a user. The password is normalised by NFKC, which for ordinary text is what SASLprep (RFC 4013) does. */
export function createScramUser(name: string, password: string): ScramUser {
  const salt = randomBytes(28)
  const salted = pbkdf2Sync(password.normalize('NFKC'), salt, ITERATIONS, 32, 'sha256')
  return { name, salt, storedKey: sha256(hmac(salted, 'Client Key')), serverKey: hmac(salted, 'Server Key') }
}

/**
 * One SCRAM-SHA-256 conversation, server side (RFC 5802, RFC 7677). Each step takes the client's payload and gives the
 * server's; null means that the client is not who it says, or speaks another dialect.
 */
export function createScramConversation(user: ScramUser) {
  let header = ''
  let firstBare = ''
  let serverFirst = ''
  let nonce = ''
  return {
    first(payload: string): string | null {
      const parts = /^([ny],(?:a=[^,]*)?,)(n=([^,]*),r=([^,]+).*)$/s.exec(payload)
      if (!parts) return null
      const name = parts[3].replace(/=2C/g, ',').replace(/=3D/g, '=')
      if (name !== user.name) return null
      header = Buffer.from(parts[1]).toString('base64')
      firstBare = parts[2]
      nonce = parts[4] + randomBytes(24).toString('base64')
      serverFirst = `r=${nonce},s=${user.salt.toString('base64')},i=${ITERATIONS}`
      return serverFirst
    },
    final(payload: string): string | null {
      const parts = /^(c=([^,]*),r=([^,]*)),p=(.+)$/s.exec(payload)
      // A nonce serves once: what was sent before, even to this very server, proves nothing now.
      if (!parts || nonce === '' || parts[2] !== header || parts[3] !== nonce) return null
      const message = `${firstBare},${serverFirst},${parts[1]}`
      const signature = hmac(user.storedKey, message)
      const proof = Buffer.from(parts[4], 'base64')
      if (proof.length !== signature.length) return null
      const clientKey = Buffer.from(proof.map((byte, i) => byte ^ signature[i]))
      if (!timingSafeEqual(sha256(clientKey), user.storedKey)) return null
      return `v=${hmac(user.serverKey, message).toString('base64')}`
    }
  }
}

function hmac(key: Buffer, text: string): Buffer {
  return createHmac('sha256', key).update(text).digest()
}

function sha256(bytes: Buffer): Buffer {
  return createHash('sha256').update(bytes).digest()
}

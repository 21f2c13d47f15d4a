import { createCipheriv, createHash } from 'node:crypto'

/** sha1 over the parts, sorted bytewise and joined without separator; lower-case hex. Signs pushes (`signature`, `msg_signature`). */
export function signatureOf(...parts: string[]): string {
  const sorted = parts.map((part) => Buffer.from(part)).sort(Buffer.compare)
  return createHash('sha1').update(Buffer.concat(sorted)).digest('hex')
}

/**
 * The base64 `Encrypt` of a push in safe mode: 16 random bytes, length, message, receiver's appid; AES-256-CBC with PKCS#7 to 32.
 * `aesKey` is the 43-character EncodingAESKey, `random` 16 characters.
 */
export function encryptPush(aesKey: string, appid: string, message: string, random: string): string {
  const key = Buffer.from(`${aesKey}=`, 'base64')
  const body = Buffer.from(message)
  const size = Buffer.alloc(4)
  size.writeUInt32BE(body.length)
  const plain = Buffer.concat([Buffer.from(random, 'latin1'), size, body, Buffer.from(appid)])
  const pad = 32 - (plain.length % 32)
  const cipher = createCipheriv('aes-256-cbc', key, key.subarray(0, 16)).setAutoPadding(false)
  return Buffer.concat([cipher.update(Buffer.concat([plain, Buffer.alloc(pad, pad)])), cipher.final()]).toString(
    'base64'
  )
}

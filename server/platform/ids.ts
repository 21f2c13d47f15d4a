import { randomBytes } from 'node:crypto'
import { ObjectId } from 'bson'

/** A new id: 24 hex digits that sort by the second they were made in. */
export function newId(): string {
  return new ObjectId().toHexString()
}

/** A secret nobody guesses: `bytes` random bytes as base64url. */
export function randomToken(bytes = 24): string {
  return randomBytes(bytes).toString('base64url')
}

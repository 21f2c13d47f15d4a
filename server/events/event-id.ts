import { createHash } from 'node:crypto'

/** Who says that it happened. Ids of different origins never meet. */
export type EventOrigin = { kind: 'key' | 'phone' | 'wechat' | 'paid'; id: string }

/** The name of an event: H(account, origin, the sender's own id), 132 bits as 22 characters. */
export function eventId(accountId: string | null, origin: EventOrigin, id: string): string {
  const hash = createHash('sha256')
  for (const part of [accountId ?? '', origin.kind, origin.id, id]) {
    hash.update(`${Buffer.byteLength(part)}:`).update(part)
  }
  return hash.digest('base64url').slice(0, 22)
}

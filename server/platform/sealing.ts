import { createCipheriv, createDecipheriv, createHmac, hkdfSync, randomBytes } from 'node:crypto'

/** Keys of one installation. `sealing` is in order: the first seals, all open. `hash` never changes: ids are made of it. */
export type Keyring = { sealing: { id: string; key: Buffer }[]; hash: Buffer }

/** A ring that may grow while the process runs. */
export type LiveRing = {
  /** As it is now, as far as that is known without asking again too often. */
  now(): Keyring
  /** Asked again: for a value whose key is not in it. */
  fresh(): Keyring
}

/** Hides values so that only holders of the keys read them, and names them so that they can be found again. */
export type Sealer = {
  /** AES-256-GCM under the newest key; the result names its key: `k1.<base64url>`. Two seals of one text differ. */
  seal(text: string): string
  /** The id of the key that seals now. */
  current(): string
  /** @throws Error when the key is unknown or the text was changed */
  open(sealed: string): string
  /** HMAC-SHA256 of the parts, 132 bits as 22 characters of base64url; ('ab', 'c') and ('a', 'bc') differ. */
  hash(...parts: string[]): string
  /** Key material for another purpose (tokens); stable as long as the hash key is. */
  derive(purpose: string): Buffer
}

const IV_BYTES = 12
const TAG_BYTES = 16
const HASH_CHARACTERS = 22

/** With a live ring, a key that was added or made current elsewhere is used without a restart; none is ever forgotten. */
export function createSealer(ring: Keyring | LiveRing): Sealer {
  const live: LiveRing = 'now' in ring ? ring : { now: () => ring, fresh: () => ring }
  const keys = new Map<string, Buffer>()
  let newest = learn(live.now())
  const { hash: hashRoot } = live.now()
  // Separate keys for separate uses, so that an id of one kind tells nothing about another.
  const hashKey = derived(hashRoot, 'hash')

  function learn({ sealing }: Keyring) {
    const [first] = sealing
    if (first === undefined) throw new Error('a keyring needs a sealing key')
    for (const { id, key } of sealing) keys.set(id, key)
    return first
  }

  return {
    current: () => (newest = learn(live.now())).id,
    seal(text) {
      newest = learn(live.now())
      const iv = randomBytes(IV_BYTES)
      const cipher = createCipheriv('aes-256-gcm', newest.key, iv)
      cipher.setAAD(Buffer.from(newest.id))
      const body = Buffer.concat([iv, cipher.update(text, 'utf8'), cipher.final(), cipher.getAuthTag()])
      return `${newest.id}.${body.toString('base64url')}`
    },
    open(sealed) {
      const dot = sealed.indexOf('.')
      const id = sealed.slice(0, Math.max(dot, 0))
      if (!keys.has(id)) newest = learn(live.fresh())
      const key = keys.get(id)
      if (key === undefined) throw new Error(`sealed with the key "${id}", which this keyring does not hold`)
      const body = Buffer.from(sealed.slice(dot + 1), 'base64url')
      if (body.length < IV_BYTES + TAG_BYTES) throw new Error('a sealed value was cut off')
      const decipher = createDecipheriv('aes-256-gcm', key, body.subarray(0, IV_BYTES))
      decipher.setAAD(Buffer.from(id))
      decipher.setAuthTag(body.subarray(body.length - TAG_BYTES))
      return (
        decipher.update(body.subarray(IV_BYTES, body.length - TAG_BYTES), undefined, 'utf8') + decipher.final('utf8')
      )
    },
    hash(...parts) {
      const hmac = createHmac('sha256', hashKey)
      for (const part of parts) hmac.update(`${Buffer.byteLength(part)}:`).update(part)
      return hmac.digest('base64url').slice(0, HASH_CHARACTERS)
    },
    derive: (purpose) => derived(hashRoot, purpose)
  }
}

function derived(key: Buffer, purpose: string): Buffer {
  return Buffer.from(hkdfSync('sha256', key, '', `hongyan ${purpose}`, 32))
}

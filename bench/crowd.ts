import { MongoClient, type Collection, type Document } from 'mongodb'
import { openEmbedded } from '../server/embedded/embedded.js'
import { DATABASE } from '../server/commands/ground.js'
import { storeDir } from '../server/commands/data-dir.js'
import { freshPerson } from '../server/people/keys.js'
import { personIdOf } from '../server/people/recipients.js'
import { newRight } from '../server/credentials/new-right.js'
import { loadKeys } from '../server/platform/keys.js'
import { createSealer } from '../server/platform/sealing.js'

/** A crowd as it would lie in the store after months of use. */
export type Crowd = {
  /** How many people were put there. */
  size: number
  /** Gives these many of them, spread over all, a right of this source: a form, or a service account's menu for two days. */
  grant(count: number, right: { source: 'form' | 'menu' }): Promise<void>
  close(): Promise<void>
}

const BATCH = 2_000
const DAY_MS = 86_400_000
const AT_ONCE = 2
const CITIES = ['上海', '北京', '广州', '深圳', '杭州', '成都', '武汉', '西安', '南京', '苏州']
const LEVELS = ['普通', '银', '金', '钻石']

export const openIdOf = (i: number): string => `oCrowd${String(i).padStart(22, '0')}`

/**
 * Puts people and their recipients of one account straight into the store of the installation in `dir`, in the form and
 * with the ids the server itself gives them: through the API a million would take a quarter of an hour. One in ten lives
 * in each city, one in four has each level; both are spread evenly over all.
 */
export async function loadCrowd(
  dir: string,
  account: { id: string; kind: 'miniprogram' | 'service' },
  size: number,
  say: (line: string) => void = () => {},
  openId: (i: number) => string = openIdOf
): Promise<Crowd> {
  const store = await openEmbedded({ dir: storeDir(dir) })
  const client = await new MongoClient(store.uri, { maxPoolSize: AT_ONCE }).connect()
  const db = client.db(DATABASE)
  const { keyring } = await loadKeys(dir)
  const sealer = createSealer(keyring)
  const recipientIdOf = (i: number) => sealer.hash('recipient', account.id, openId(i))
  const now = new Date()
  const began = performance.now()

  await fill(db.collection('people'), size, (i) => {
    const attributes = { city: CITIES[i % 10]!, age: 18 + (i % 50), nickName: `用户${i}` }
    const tags = { level: LEVELS[Math.floor(i / 10) % 4]! }
    const person = freshPerson(personIdOf(sealer, recipientIdOf(i)), now, { accountIds: [account.id] })
    return { ...person, attributes, tags }
  })
  await fill(db.collection('recipients'), size, (i) => {
    const id = recipientIdOf(i)
    const long = new Date(0)
    return {
      _id: id,
      accountId: account.id,
      personId: personIdOf(sealer, id),
      sealed: sealer.seal(openId(i)),
      unionHash: null,
      reach: 'ok',
      reachAt: long,
      follower: account.kind === 'service',
      followerAt: long,
      followedAt: null,
      lastInteractionAt: null,
      erasedAt: null,
      createdAt: now
    }
  })
  say(`${size} people in ${((performance.now() - began) / 1000).toFixed(0)} s`)

  return {
    size,
    async grant(count, { source }) {
      const at = new Date()
      const expiresAt = new Date(at.getTime() + (source === 'form' ? 7 : 2) * DAY_MS)
      await fill(db.collection('credentials'), count, (i) => {
        const recipientId = recipientIdOf(Math.floor((i * size) / count))
        const mint = { recipientId, source, at, key: String(i), hash: sealer.hash('crowd', recipientId) }
        const right = newRight(account.id, mint, source === 'form' ? 1 : null, expiresAt, at)
        return source === 'form' ? { ...right, sealed: sealer.seal(`form of ${i}`), place: 'home' } : right
      })
    },
    async close() {
      await client.close()
      await store.close()
    }
  }
}

/** Inserts `size` rows in batches, in the order of their ids within each: people met over months lie in no order at all. */
export async function fill(rows: Collection<Document>, size: number, make: (i: number) => Document): Promise<void> {
  const under: Promise<unknown>[] = []
  for (let from = 0; from < size; from += BATCH) {
    const part = Array.from({ length: Math.min(BATCH, size - from) }, (_, k) => make(from + k))
    under.push(rows.insertMany(part, { ordered: false }))
    if (under.length >= AT_ONCE) await under.shift()
  }
  await Promise.all(under)
}

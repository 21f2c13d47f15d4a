import { createHash } from 'node:crypto'
import type { IndexDescription } from 'mongodb'

/** A right to send, much as the product keeps it: about 300 bytes. */
export type Row = {
  key: string
  accountId: string
  personId: string
  status: 'free' | 'spent'
  place: string
  uses: number
  score: number
  caughtAt: Date
  expiresAt: Date
  purgeAt: Date
}

/** How many places there are, and groups in the $group. */
export const PLACES = 50
const DAY = 86_400_000
const FIRST_AT = Date.UTC(2024, 0, 1)
/** Every tenth row is one to purge when the TTL index comes. */
const PURGED_EVERY = 10

/** The unique key of row `i`: as good as random, so that neighbours in time lie far apart in the index. */
export const keyOf = (i: number): string => createHash('md5').update(`row ${i}`).digest('hex')

/** Row `i`; always the same. */
export function rowOf(i: number): Row {
  const key = keyOf(i)
  const chance = parseInt(key.slice(0, 8), 16)
  const caughtAt = FIRST_AT + i * 25
  return {
    key,
    accountId: `account-${chance % 4}`,
    personId: `person-${chance % 50_000}`,
    status: chance % 5 === 0 ? 'spent' : 'free',
    place: `place-${(chance >>> 4) % PLACES}`,
    uses: 1,
    score: (chance >>> 8) % 1000,
    caughtAt: new Date(caughtAt),
    expiresAt: new Date(caughtAt + 7 * DAY + (chance % 60_000)),
    purgeAt: new Date(i % PURGED_EVERY === 0 ? FIRST_AT : FIRST_AT + 36_500 * DAY)
  }
}

/** The indexes rows are loaded with; `_id` comes by itself. */
export const INDEXES: IndexDescription[] = [{ key: { key: 1 }, unique: true }, { key: { status: 1, expiresAt: 1 } }]

/** The pipeline of the grouping figures. */
export const GROUPING = [
  { $group: { _id: '$place', n: { $sum: 1 }, score: { $sum: '$score' }, last: { $max: '$caughtAt' } } }
]

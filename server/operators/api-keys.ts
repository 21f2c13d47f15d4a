import type { Connection } from 'mongoose'
import type { z } from 'zod'
import type { ApiKeyCreate, ApiKeyView, Scope } from '../../shared/operator.js'
import type { PageQuery } from '../../shared/page.js'
import { KEY_PREFIX, type MachineCaller } from '../platform/auth.js'
import type { Clock } from '../platform/clock.js'
import { newId, randomToken } from '../platform/ids.js'
import { listPage, type Page } from '../platform/page.js'
import type { Sealer } from '../platform/sealing.js'
import { NoSuchKey } from './errors.js'
import { apiKeyModel, type ApiKeyRow } from './model.js'

export type ApiKey = z.output<typeof ApiKeyView>
export type ApiKeys = ReturnType<typeof createApiKeys>

/** How long a revoked key may go on working in another process. */
const CACHE_MS = 2_000
const CACHE_SIZE = 1_000
const LAST_USED_EVERY_MS = 60_000

/** What an operator of these accounts may know of: keys of more accounts, or of all, are for others to see to. */
const within = (accountIds: string[] | null) =>
  accountIds === null ? {} : { accountIds: { $ne: null, $not: { $elemMatch: { $nin: accountIds } } } }

/** Keys for programs: random, shown once, stored as a keyed hash. */
export function createApiKeys({ db, clock, sealer }: { db: Connection; clock: Clock; sealer: Sealer }) {
  const model = apiKeyModel(db)
  const cache = new Map<string, { caller: MachineCaller; expiresAt: Date | null; readAt: number }>()
  const hashOf = (key: string) => sealer.hash('api key', key)

  const toView = (row: ApiKeyRow): ApiKey => ({
    id: row._id,
    name: row.name,
    prefix: row.prefix,
    scopes: row.scopes,
    accountIds: row.accountIds,
    expiresAt: row.expiresAt,
    lastUsedAt: row.lastUsedAt,
    createdAt: row.createdAt
  })

  return {
    ready: async (): Promise<void> => void (await model.createIndexes()),

    /** The new key with its only showing of `key`. */
    async create(body: z.output<typeof ApiKeyCreate>): Promise<ApiKey & { key: string }> {
      const key = KEY_PREFIX + randomToken(24)
      const row: ApiKeyRow = {
        _id: newId(),
        name: body.name,
        hash: hashOf(key),
        prefix: key.slice(0, KEY_PREFIX.length + 6),
        scopes: [...new Set<Scope>(body.scopes)],
        accountIds: body.accountIds ?? null,
        expiresAt: body.expiresAt ?? null,
        lastUsedAt: null,
        createdAt: clock.now()
      }
      await model.collection.insertOne(row as never)
      return { ...toView(row), key }
    },

    /** Those that reach none but these accounts; null: all. */
    page(query: PageQuery, accountIds: string[] | null): Promise<Page<ApiKey>> {
      const options = { filter: within(accountIds), query, sortable: ['createdAt'], defaultSort: '-createdAt' }
      return listPage<ApiKeyRow, ApiKey>(model.collection, options, toView)
    },

    /** @throws NoSuchKey, also for one that reaches other accounts than these */
    async remove(id: string, accountIds: string[] | null): Promise<void> {
      cache.clear()
      const { deletedCount } = await model.deleteOne({ _id: id, ...within(accountIds) })
      if (deletedCount === 0) throw new NoSuchKey()
    },

    /** Who calls with this key? Null when it is unknown, revoked (up to 2 s ago elsewhere) or over. */
    async callerOf(key: string): Promise<MachineCaller | null> {
      const now = clock.now()
      const hash = hashOf(key)
      let known = cache.get(hash)
      if (known === undefined || Math.abs(now.getTime() - known.readAt) >= CACHE_MS) {
        const row = await model.findOne({ hash }).lean<ApiKeyRow>()
        if (row === null) {
          cache.delete(hash)
          return null
        }
        const { _id: id, scopes, accountIds, expiresAt } = row
        known = {
          caller: { kind: 'machine', id, scopes: new Set(scopes), accountIds },
          expiresAt,
          readAt: now.getTime()
        }
        if (cache.size >= CACHE_SIZE) cache.clear()
        cache.set(hash, known)
        if (row.lastUsedAt === null || now.getTime() - row.lastUsedAt.getTime() >= LAST_USED_EVERY_MS) {
          await model.updateOne({ _id: id }, { $set: { lastUsedAt: now } })
        }
      }
      return known.expiresAt !== null && known.expiresAt <= now ? null : known.caller
    }
  }
}

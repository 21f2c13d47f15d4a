import type { Connection } from 'mongoose'
import type { Clock } from '../platform/clock.js'
import type { Sealer } from '../platform/sealing.js'
import { authorizationModel, type AuthorizationRow } from './model.js'

const LONG_AGO = new Date(0)

/**
 * What each account's administrator granted, as rows. WeChat may be asked by several processes at once and answer in any
 * order: each write says when its question was put, and the answer to an older question changes nothing.
 */
export function createGrants({ db, clock, sealer }: { db: Connection; clock: Clock; sealer: Sealer }) {
  const model = authorizationModel(db)

  async function begin(appId: string, platformAppId: string): Promise<void> {
    const fresh = {
      platformAppId,
      sealedRefreshToken: null,
      refreshAt: LONG_AGO,
      lookedAt: LONG_AGO,
      codePrint: null,
      withdrawnAt: null,
      removedAt: null
    }
    await model.updateOne({ _id: appId }, { $setOnInsert: fresh }, { upsert: true })
  }

  return {
    async ready(): Promise<void> {
      await model.createIndexes()
    },

    get: (appId: string) => model.findById(appId).lean<AuthorizationRow>().exec(),
    byCode: (code: string) =>
      model
        .findOne({ codePrint: sealer.hash('authorization-code', code) })
        .lean<AuthorizationRow>()
        .exec(),
    /** Those that stand, of this platform. */
    standing: (platformAppId: string) =>
      model.find({ platformAppId, withdrawnAt: null, removedAt: null }).lean<AuthorizationRow[]>().exec(),

    /** The refresh token in clear; null when there is none, or no grant of this platform stands. */
    async refreshToken(appId: string, platformAppId: string): Promise<string | null> {
      const row = await model.findById(appId).lean<AuthorizationRow>()
      if (row === null || row.withdrawnAt !== null || row.platformAppId !== platformAppId) return null
      return row.sealedRefreshToken === null ? null : sealer.open(row.sealedRefreshToken)
    },

    /** Before a code is traded in: whose it is. Whoever finds it spent then knows whom to ask about. */
    async keepCode(appId: string, platformAppId: string, code: string): Promise<void> {
      await begin(appId, platformAppId)
      await model.updateOne({ _id: appId }, { $set: { codePrint: sealer.hash('authorization-code', code) } })
    },

    /** A code was traded in: a consent, which brings back an account that was let go. */
    async consented(appId: string, platformAppId: string, code: string): Promise<void> {
      await begin(appId, platformAppId)
      const codePrint = sealer.hash('authorization-code', code)
      await model.updateOne({ _id: appId }, { $set: { codePrint, removedAt: null } })
    },

    /** The token to refresh with from now on, unless a newer answer brought another. */
    async keepRefreshToken(appId: string, platformAppId: string, refreshToken: string, askedAt: Date): Promise<void> {
      await begin(appId, platformAppId)
      await model.updateOne(
        { _id: appId, refreshAt: { $lte: askedAt } },
        { $set: { sealedRefreshToken: sealer.seal(refreshToken), refreshAt: askedAt } }
      )
    },

    /** The grant stands. False when something newer is known. */
    async stands(appId: string, platformAppId: string, askedAt: Date): Promise<boolean> {
      await begin(appId, platformAppId)
      const { matchedCount } = await model.updateOne(
        { _id: appId, lookedAt: { $lte: askedAt } },
        { $set: { platformAppId, lookedAt: askedAt, withdrawnAt: null, removedAt: null } }
      )
      return matchedCount === 1
    },

    /** The grant is gone, and its token with it. False when something newer is known, or there was none. */
    async gone(appId: string, askedAt: Date): Promise<boolean> {
      const { matchedCount } = await model.updateOne(
        { _id: appId, lookedAt: { $lte: askedAt } },
        { $set: { lookedAt: askedAt, withdrawnAt: askedAt, sealedRefreshToken: null } }
      )
      return matchedCount === 1
    },

    /** The account left, or goes by its own secret now: only a later consent brings it back. */
    async letGo(appId: string): Promise<void> {
      await model.updateOne({ _id: appId }, { $set: { removedAt: clock.now() } })
    },

    /** Ends what was granted to other platforms. @returns whose it was */
    async disown(platformAppId: string): Promise<string[]> {
      const others = { platformAppId: { $ne: platformAppId }, withdrawnAt: null }
      const rows = await model.find(others, { _id: 1 }).lean<{ _id: string }[]>()
      await model.updateMany(others, { $set: { withdrawnAt: clock.now(), sealedRefreshToken: null } })
      return rows.map(({ _id }) => _id)
    }
  }
}
export type Grants = ReturnType<typeof createGrants>

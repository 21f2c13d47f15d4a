import { Schema, type Connection } from 'mongoose'
import type { Collection } from 'mongodb'
import type { Account, Accounts } from '../accounts/accounts.js'
import { targetOf } from '../accounts/target.js'
import type { Operation, Operations } from '../operations/operations.js'
import type { People } from '../people/people.js'
import type { Clock } from '../platform/clock.js'
import { AppError, InvalidInput, UpstreamFailure } from '../platform/errors.js'
import type { Jobs } from '../platform/jobs.js'
import type { Log } from '../platform/log.js'
import { isDuplicateKey } from '../platform/mongo.js'
import type { Sealer } from '../platform/sealing.js'
import type { Source } from '../../shared/credential.js'
import type { WechatApi } from '../wechat/api.js'
import type { FollowerInfo } from '../wechat/shapes.js'
import { expectOk } from '../wechat/expect-ok.js'
import { createFollowerTags, type TagPlace } from './tags.js'

/** One reading of an account's follower list, as far as it has come. */
type SyncRow = {
  /** accountId: one at a time */
  _id: string
  operationId: string
  state: 'running' | 'done' | 'failed'
  /** What the list is taken to be as of; followers not seen since are gone. */
  startedAt: Date
  touchedAt: Date
  /** Sealed `next_openid`: everything up to it is stored. */
  cursor: string | null
  done: number
  joined: number
  /** The list is through; what is left are the tags. */
  listed: boolean
  /** Ask WeChat about everyone, not only about those we had not met. */
  full: boolean
  /** Bring WeChat's tags too, once the list is through. */
  tags: boolean
  /** How far the tags are; the openid is sealed. */
  tagPlace: TagPlace | null
}

/** Of a sync that is over: where it was, is somebody's openid, and nobody needs it any more. */
const NO_PLACE = { cursor: null, tagPlace: null } as const

/** Keeps a right that came with following; credentials' `mint`. Repeatable by `key`. */
export type MintFollow = (
  account: Account,
  right: { recipientId: string; source: Source; at: Date; key: string }
) => Promise<unknown>

export type FollowerParts = {
  db: Connection
  clock: Clock
  log: Log
  sealer: Sealer
  accounts: Accounts
  people: People
  wechat: WechatApi
  jobs: Jobs
  operations: Operations
  /** Absent: following is worth nothing here. */
  mint?: MintFollow
}

/** Most openids WeChat puts on a page of user/get; how its last page looks is not promised. */
const PAGE = 10_000
const PART = 1_000
/** Most openids of one user/info/batchget. */
const INFO = 100
/** Following is worth a message for this long. */
const YOUNG_MS = 48 * 3_600_000
const MINTS_AT_ONCE = 16
/** People who come while a sync is under way may be counted and not listed: so many, or 1 in 100. */
const COMINGS = 20
/** A sync not heard of for so long died with its process. */
const SILENT_MS = 10 * 60_000

const schema = new Schema(
  {
    _id: { type: String, required: true },
    operationId: String,
    state: String,
    startedAt: Date,
    touchedAt: Date,
    cursor: String,
    done: Number,
    joined: Number,
    listed: Boolean,
    full: Boolean,
    tags: Boolean,
    tagPlace: Object
  },
  { collection: 'followerSyncs', autoIndex: false, versionKey: false }
)

/** A list that ends with fewer than it counts would make the others look like gone. */
const endedEarly = (met: number, total: number) =>
  new UpstreamFailure(`WeChat ended the list of followers early: ${met} of ${total}`, true, {
    code: 'followers.ended-early',
    facts: { met, total }
  })

class NoFollowers extends InvalidInput {
  constructor() {
    super('only a service account has followers', { code: 'followers.no-service-account' })
  }
}

/** The people who follow a service account, brought over page by page. */
export function createFollowers(parts: FollowerParts) {
  const { db, clock, log, sealer, accounts, people, wechat, jobs, operations, mint } = parts
  const model = db.model('FollowerSync', schema)
  const rows = model.collection as unknown as Collection<SyncRow>
  const followerTags = createFollowerTags(parts)

  jobs.define('followers.sync', async ({ data, signal }) => carryOn(data.accountId, data.operationId, signal))
  jobs.define('followers.learn', async ({ data }) => learn(data.accountId, data.recipientIds), { concurrency: 2 })

  async function serviceAccount(idOrAppId: string): Promise<Account> {
    const account = await accounts.get(idOrAppId)
    if (account.kind !== 'service') throw new NoFollowers()
    return account
  }

  /** Goes on where the checkpoint stands; the checkpoint is written after the rows, so a crash repeats and never skips. */
  async function carryOn(accountId: string, operationId: string, signal: AbortSignal): Promise<void> {
    const mine = { _id: accountId, operationId, state: 'running' as const }
    const operation = operations.resume(operationId)
    try {
      const account = await serviceAccount(accountId)
      for (;;) {
        const row = await rows.findOne(mine)
        if (row === null) return // finished, or replaced by a newer one
        if (signal.aborted) throw new Error('stopping')
        if (row.listed) break
        const last = await page(account, row, operation)
        if (last) await rows.updateOne(mine, { $set: { listed: true } })
      }
      const row = await rows.findOne(mine)
      if (row === null) return
      const gone = await people.unseenFollowers(account.id, row.startedAt)
      const tagged = row.tags ? await bringTags(account, row) : {}
      await operation.done({ followers: row.done, joined: row.joined, gone, ...tagged })
      await rows.updateOne(mine, { $set: { state: 'done', ...NO_PLACE, touchedAt: clock.now() } })
      log.info({ accountId, followers: row.done, joined: row.joined, gone }, 'followers were brought over')
    } catch (error) {
      // Agenda tries again what may help: from the checkpoint, at growing distances.
      const hopeless = error instanceof AppError && !isWorthRetrying(error)
      if (!hopeless) throw error
      await operation.failed(error)
      await rows.updateOne(mine, { $set: { state: 'failed', ...NO_PLACE, touchedAt: clock.now() } })
    }
  }

  /** Goes on where the tags stand. An account that may not read tags has its followers all the same. */
  async function bringTags(account: Account, row: SyncRow): Promise<object> {
    const { tagPlace, startedAt } = row
    const from = tagPlace && { ...tagPlace, openId: tagPlace.openId && sealer.open(tagPlace.openId) }
    try {
      return await followerTags.bring(account, startedAt, from, async ({ tagId, openId }) => {
        const tagPlace = { tagId, openId: openId && sealer.seal(openId) }
        await rows.updateOne(
          { _id: account.id, operationId: row.operationId },
          { $set: { tagPlace, touchedAt: clock.now() } }
        )
      })
    } catch (error) {
      if (!(error instanceof AppError) || isWorthRetrying(error)) throw error
      log.warn({ err: error, accountId: account.id }, 'the tags of followers could not be read')
      return { tags: null, tagsProblem: error.message }
    }
  }

  /** One page. @returns was it the last? */
  async function page(account: Account, row: SyncRow, operation: Operation): Promise<boolean> {
    const cursor = row.cursor === null ? undefined : sealer.open(row.cursor)
    const answer = expectOk(await wechat.users.get(targetOf(account), cursor))
    const openIds = answer.data?.openid ?? []
    const met = row.done + openIds.length
    const all = openIds.length < PAGE && met >= answer.total
    const last = all || openIds.length === 0 || !answer.next_openid || answer.next_openid === cursor
    if (last && met < answer.total - Math.max(COMINGS, answer.total / 100)) throw endedEarly(met, answer.total)
    let joined = 0
    for (let from = 0; from < openIds.length; from += PART) {
      joined += await welcome(account, openIds.slice(from, from + PART), row)
      await rows.updateOne({ _id: row._id, operationId: row.operationId }, { $set: { touchedAt: clock.now() } })
      await operation.progress(row.done + Math.min(from + PART, openIds.length), answer.total)
    }
    const next = answer.next_openid || openIds.at(-1)
    await rows.updateOne(
      { _id: row._id, operationId: row.operationId, done: row.done, cursor: row.cursor },
      {
        $set: { cursor: next === undefined ? row.cursor : sealer.seal(next), touchedAt: clock.now() },
        $inc: { done: openIds.length, joined }
      }
    )
    return last
  }

  /** Makes followers known; asks WeChat about those not met before. @returns how many it told a unionid of */
  async function welcome(account: Account, openIds: string[], row: SyncRow): Promise<number> {
    const known = await people.byIds(openIds.map((openId) => people.recipientId(account.id, openId)))
    const strangers = openIds.filter((openId) => {
      const recipient = known.get(people.recipientId(account.id, openId))
      return row.full || recipient === undefined || !recipient.follower
    })
    const infos = await infosOf(account, strangers)
    await people.recipients(
      account.id,
      openIds.map((openId) => ({ openId, unionId: infos.get(openId)?.unionid })),
      { followingAt: row.startedAt }
    )
    await mintYoung(account, infos)
    return [...infos.values()].filter((info) => info.unionid !== undefined).length
  }

  async function infosOf(account: Account, openIds: string[]): Promise<Map<string, FollowerInfo>> {
    const infos = new Map<string, FollowerInfo>()
    for (let from = 0; from < openIds.length; from += INFO) {
      const answer = expectOk(await wechat.users.batchGet(targetOf(account), openIds.slice(from, from + INFO)))
      for (const info of answer.user_info_list) infos.set(info.openid, info)
    }
    return infos
  }

  /** Following is worth a message within 48 hours; a push that said so before has minted the same, by the same key. */
  async function mintYoung(account: Account, infos: Map<string, FollowerInfo>): Promise<void> {
    if (mint === undefined) return
    const since = clock.now().getTime() - YOUNG_MS
    const followedAt = ({ subscribe_time }: FollowerInfo) => (subscribe_time ?? 0) * 1_000
    const young = [...infos.values()].filter((info) => info.subscribe === 1 && followedAt(info) > since)
    for (let from = 0; from < young.length; from += MINTS_AT_ONCE) {
      const minting = young.slice(from, from + MINTS_AT_ONCE).map((info) =>
        mint(account, {
          recipientId: people.recipientId(account.id, info.openid),
          source: info.subscribe_scene === 'ADD_SCENE_QR_CODE' ? 'scan' : 'follow',
          at: new Date(followedAt(info)),
          key: String(info.subscribe_time)
        })
      )
      await Promise.all(minting)
    }
  }

  /** Learns the unionids of recipients met by a push. Those erased meanwhile are left alone. */
  async function learn(accountId: string, recipientIds: string[]): Promise<void> {
    const account = await serviceAccount(accountId)
    const openIds = [...(await people.openIds(recipientIds)).values()]
    const infos = await infosOf(account, openIds)
    const met = openIds.flatMap((openId) => {
      const unionId = infos.get(openId)?.unionid
      return unionId === undefined ? [] : [{ openId, unionId }]
    })
    if (met.length > 0) await people.recipients(account.id, met)
  }

  return {
    /** Builds the indexes. */
    ready: async (): Promise<void> => {
      await model.createIndexes()
      await followerTags.ready()
    },

    /**
     * Begins to bring over all followers; one under way is joined instead. With `full` WeChat is asked about those we
     * know as well (unionids that came later); with `tags` their tags at WeChat become tags of theirs here.
     * @throws InvalidInput on a mini-program
     */
    async startSync(
      idOrAppId: string,
      { full = false, tags = true } = {}
    ): Promise<{ operationId: string; location: string }> {
      const account = await serviceAccount(idOrAppId)
      const seen = await rows.findOne({ _id: account.id })
      const now = clock.now()
      if (seen?.state === 'running' && now.getTime() - seen.touchedAt.getTime() < SILENT_MS) {
        return { operationId: seen.operationId, location: operations.resume(seen.operationId).location }
      }
      const operation = await operations.start('followers.sync', undefined, account.id)
      const fresh = {
        operationId: operation.id,
        state: 'running' as const,
        startedAt: now,
        touchedAt: now,
        cursor: null,
        done: 0,
        joined: 0,
        listed: false,
        full,
        tags,
        tagPlace: null
      }
      if (!(await begin(account.id, seen, fresh))) {
        const winner = await rows.findOne({ _id: account.id })
        await operation.failed(new Error('another synchronisation of these followers began at the same moment'))
        const operationId = winner?.operationId ?? operation.id
        return { operationId, location: operations.resume(operationId).location }
      }
      await jobs.now('followers.sync', { accountId: account.id, operationId: operation.id })
      return { operationId: operation.id, location: operation.location }
    },

    /** Asks WeChat for the unionids of these recipients, as a job. */
    learnLater: (accountId: string, recipientIds: string[]): Promise<void> =>
      jobs.now('followers.learn', { accountId, recipientIds })
  }

  /** Two who begin at once: one wins. */
  async function begin(accountId: string, seen: SyncRow | null, fresh: Omit<SyncRow, '_id'>): Promise<boolean> {
    if (seen !== null) {
      const answer = await rows.updateOne({ _id: accountId, operationId: seen.operationId }, { $set: fresh })
      return answer.matchedCount > 0
    }
    try {
      await rows.insertOne({ _id: accountId, ...fresh })
      return true
    } catch (error) {
      if (isDuplicateKey(error)) return false
      throw error
    }
  }
}
export type Followers = ReturnType<typeof createFollowers>

/** 45009 is over for today, however often one asks; the same call helps later for what WeChat calls busy. */
function isWorthRetrying(error: AppError): boolean {
  return error instanceof UpstreamFailure && error.retryable && error.facts.errcode !== 45009
}

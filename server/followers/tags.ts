import { Schema, type Connection } from 'mongoose'
import type { Collection } from 'mongodb'
import type { Account } from '../accounts/accounts.js'
import { targetOf } from '../accounts/target.js'
import type { People } from '../people/people.js'
import { groupBy } from '../platform/group.js'
import type { Clock } from '../platform/clock.js'
import { insertNew } from '../platform/mongo.js'
import type { WechatApi } from '../wechat/api.js'
import { expectOk } from '../wechat/expect-ok.js'

/** A follower who carries a tag at WeChat: `_id` is recipient and tag, `seenAt` the sync that last found it so. */
type TagRow = { _id: string; accountId: string; recipientId: string; name: string; seenAt: Date }

/** How far the tags are: the one being read, and what of it is stored. */
export type TagPlace = { tagId: number; openId: string | null }

const schema = new Schema(
  { _id: { type: String, required: true }, accountId: String, recipientId: String, name: String, seenAt: Date },
  { collection: 'followerTags', autoIndex: false, versionKey: false }
)
schema.index({ accountId: 1, seenAt: 1 }) // sync: who carries a tag no more?
schema.index({ recipientId: 1 }) // erasing

const PART = 1_000
/** A tag of a person has at most so many characters. */
const NAME_LIMIT = 64

/** WeChat's tag as a tag of a person: what stands before it tells it from our own. */
export const tagName = (name: string): string => `wechat:${name.replace(/[.$\0]/g, '·')}`.slice(0, NAME_LIMIT)

/**
 * WeChat's own tags of followers as tags of persons (`wechat:<name>` → true). Which recipient carries which is kept, so
 * that a tag taken away at WeChat is taken from the person, unless another service account has given it too.
 */
export function createFollowerTags({
  db,
  people,
  wechat
}: {
  db: Connection
  clock: Clock
  people: Pick<People, 'recipients' | 'tagAll' | 'allRecipientsOf' | 'personIdsOf' | 'onErase'>
  wechat: Pick<WechatApi, 'tags'>
}) {
  const model = db.model('FollowerTag', schema)
  const rows = model.collection as unknown as Collection<TagRow>
  const idOf = (recipientId: string, name: string) => `${recipientId}:${name}`

  people.onErase(async ({ recipientIds }) => {
    await rows.deleteMany({ recipientId: { $in: recipientIds } })
  })

  async function carry(account: Account, openIds: string[], name: string, seenAt: Date): Promise<void> {
    const met = await people.recipients(account.id, openIds)
    const found = met.map(({ id }) => ({ _id: idOf(id, name), accountId: account.id, recipientId: id, name, seenAt }))
    await rows.updateMany({ _id: { $in: found.map(({ _id }) => _id) } }, { $max: { seenAt } })
    await insertNew(rows, found)
    const ids = [...new Set(met.map(({ personId }) => personId))]
    await people.tagAll(ids, { [name]: true })
  }

  /** First from the person, then the row: a crash in between repeats. */
  async function lose(stale: TagRow[]): Promise<void> {
    const personOf = await people.personIdsOf(stale.map(({ recipientId }) => recipientId))
    const theirs = await people.allRecipientsOf([...new Set(personOf.values())])
    const gone = new Set(stale.map(({ _id }) => _id))
    const elsewhere = (row: TagRow) =>
      (theirs.get(personOf.get(row.recipientId) ?? '') ?? [])
        .map(({ id }) => idOf(id, row.name))
        .filter((id) => !gone.has(id))
    const asked = stale.flatMap(elsewhere)
    const kept = new Set((await rows.find({ _id: { $in: asked } }).toArray()).map(({ _id }) => _id))
    const losing = stale.filter((row) => !elsewhere(row).some((id) => kept.has(id)))
    for (const [name, list] of groupBy(losing, (row) => row.name)) {
      const ids = new Set(list.flatMap(({ recipientId }) => personOf.get(recipientId) ?? []))
      await people.tagAll([...ids], { [name]: null })
    }
    await rows.deleteMany({ _id: { $in: [...gone] } })
  }

  return {
    ready: async (): Promise<void> => {
      await model.createIndexes()
    },

    /**
     * Brings all tags over, from `place` on, and tells `reached` after each page. `seenAt` is the sync's own time: what
     * was not seen since then is taken away. @returns how many tags there are, and how often one was taken away
     */
    async bring(
      account: Account,
      seenAt: Date,
      place: TagPlace | null,
      reached: (place: TagPlace) => Promise<void>
    ): Promise<{ tags: number; untagged: number }> {
      const { tags } = expectOk(await wechat.tags.list(targetOf(account)))
      const left = tags.filter(({ id }) => place === null || id >= place.tagId).sort((a, b) => a.id - b.id)
      for (const tag of left) {
        let from = place?.tagId === tag.id ? place.openId : null
        // WeChat's count may be behind, and of a reading gone on with the first pages are not counted: a page more is asked
        for (let left = tag.count; left > 0;) {
          const page = expectOk(await wechat.tags.members(targetOf(account), tag.id, from ?? undefined))
          const openIds = page.data?.openid ?? []
          for (let at = 0; at < openIds.length; at += PART) {
            await carry(account, openIds.slice(at, at + PART), tagName(tag.name), seenAt)
          }
          const next = page.next_openid || openIds.at(-1)
          if (openIds.length === 0 || next === undefined || next === from) break
          from = next
          await reached({ tagId: tag.id, openId: from })
        }
        await reached({ tagId: tag.id + 1, openId: null })
      }
      let untagged = 0
      for (;;) {
        const stale = await rows
          .find({ accountId: account.id, seenAt: { $lt: seenAt } })
          .limit(PART)
          .toArray()
        if (stale.length === 0) return { tags: tags.length, untagged }
        await lose(stale)
        untagged += stale.length
      }
    }
  }
}
export type FollowerTags = ReturnType<typeof createFollowerTags>

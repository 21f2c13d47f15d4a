import type { Filter } from 'mongodb'
import type { Clock } from '../platform/clock.js'
import { NotFound } from '../platform/errors.js'
import { HEARD_OF, type PeopleModels, type RecipientRow } from './model.js'
import type { Recipient } from './recipients.js'

/** Recipients nothing can be sent to: they refused the account, or left it. */
export const SUPPRESSED: Filter<RecipientRow> = {
  ...HEARD_OF,
  reach: { $in: ['blocked', 'unfollowed'] },
  erasedAt: null
}

/** What is known of reaching people: who refused an account or left it, who follows it, and when they were heard of. */
export function createReachability({ models, clock }: { models: PeopleModels; clock: Clock }) {
  const { recipients } = models

  return {
    /** Of an account's followers those nobody saw since `since` follow it no more. @returns how many */
    async unseenFollowers(accountId: string, since: Date): Promise<number> {
      const gone = { accountId, follower: true, followerAt: { $lt: since } }
      const ids = (await recipients.find(gone, { projection: { _id: 1 } }).toArray()).map((row) => row._id)
      for (let from = 0; from < ids.length; from += 1000) {
        const part = { $in: ids.slice(from, from + 1000) }
        await recipients.updateMany(
          { _id: part, reachAt: { $lt: since }, reach: 'ok' },
          { $set: { reach: 'unfollowed', reachAt: since } }
        )
        await recipients.updateMany(
          { _id: part, followerAt: { $lt: since } },
          { $set: { follower: false, followerAt: since } }
        )
      }
      return ids.length
    },

    /** What is known of reaching someone, as of `at`; older news changes nothing. */
    async setReach(recipientId: string, reach: Recipient['reach'], at: Date): Promise<void> {
      await recipients.updateOne({ _id: recipientId, reachAt: { $lt: at } }, { $set: { reach, reachAt: at } })
    },

    /** Someone followed or unfollowed a service account at `at`; older news changes nothing. */
    async follow(recipientId: string, follower: boolean, at: Date): Promise<void> {
      const reach = follower ? 'ok' : 'unfollowed'
      await recipients.updateOne({ _id: recipientId, reachAt: { $lt: at } }, { $set: { reach, reachAt: at } })
      const known = { follower, followerAt: at, ...(follower && { followedAt: at }) }
      await recipients.updateOne({ _id: recipientId, followerAt: { $lt: at } }, { $set: known })
    },

    /** Someone did something towards the account at `at`: they can be reached, and that is remembered. */
    async interacted(recipientId: string, at: Date): Promise<void> {
      await recipients.updateOne(
        { _id: recipientId, reachAt: { $lt: at }, reach: 'blocked' },
        { $set: { reach: 'ok', reachAt: at } }
      )
      await recipients.updateOne({ _id: recipientId }, { $max: { lastInteractionAt: at } })
    },

    /** Someone nothing can be sent to, by the recipient's id. @throws NotFound also for those who can be reached */
    async suppressed(recipientId: string): Promise<RecipientRow> {
      const row = await recipients.findOne({ _id: recipientId, ...SUPPRESSED })
      if (row === null) throw new NotFound('there is no such suppression')
      return row
    },

    /** An operator's word that someone can be reached again, as of now; newer news of the contrary wins. */
    async lift(recipientId: string): Promise<void> {
      const at = clock.now()
      await recipients.updateOne({ _id: recipientId, reachAt: { $lte: at } }, { $set: { reach: 'ok', reachAt: at } })
    }
  }
}

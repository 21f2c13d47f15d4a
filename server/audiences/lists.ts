import type { Connection } from 'mongoose'
import { Schema } from 'mongoose'
import type { Collection } from 'mongodb'
import { DAY_MS } from '../../shared/limits.js'
import type { Clock } from '../platform/clock.js'
import { Conflict, InvalidInput, NotFound } from '../platform/errors.js'
import { newId } from '../platform/ids.js'
import { insertNew } from '../platform/mongo.js'
import type { AudienceRow } from './model.js'

/** Somebody in a filling of a fixed list: `_id` is filling and person, so that a filling is read in order of persons. */
type MemberRow = { _id: string; personId: string; addedAt: Date; expireAt: Date | null }

const schema = new Schema(
  { _id: { type: String, required: true }, personId: String, addedAt: Date, expireAt: Date },
  { collection: 'audienceMembers', autoIndex: false, versionKey: false }
)
schema.index({ personId: 1 }) // erasing: which lists hold this person?
schema.index({ expireAt: 1 }, { expireAfterSeconds: 0 })

/** Runs that began with a filling still read it this long after it was replaced. */
const KEPT_MS = 30 * DAY_MS

/**
 * Fixed lists too long for their audience's own document, as imports make them. A filling never changes but by growing:
 * replacing a list begins another, so that a run keeps whom it started with.
 */
export function createLists({
  db,
  clock,
  audiences
}: {
  db: Connection
  clock: Clock
  audiences: Collection<AudienceRow>
}) {
  const model = db.model('AudienceMember', schema)
  const rows = model.collection as unknown as Collection<MemberRow>
  const idOf = (listId: string, personId: string) => `${listId}:${personId}`
  const all = (listId: string) => ({ $gte: `${listId}:`, $lt: `${listId};` })

  async function fillingOf(audienceId: string): Promise<string | null> {
    const audience = await audiences.findOne({ _id: audienceId }, { projection: { rule: 1, listId: 1 } })
    if (audience === null) throw new NotFound('no such audience', { code: 'audiences.not-found' })
    if (audience.rule === null) return audience.listId ?? null
    const message = 'this audience is a rule, and no list people could be put into'
    throw new InvalidInput(message, { errors: [{ pointer: '/audienceId', code: 'audience.not-a-list', message }] })
  }

  return {
    ready: async (): Promise<void> => {
      await model.createIndexes()
    },

    /** The present filling of a fixed list, begun if there is none. @throws NotFound, InvalidInput for a rule */
    async fill(audienceId: string): Promise<string> {
      const known = await fillingOf(audienceId)
      if (known !== null) return known
      const fresh = { $set: { listId: newId(), updatedAt: clock.now() } }
      await audiences.updateOne({ _id: audienceId, rule: null, listId: null }, fresh)
      return (await fillingOf(audienceId)) ?? this.fill(audienceId)
    },

    /** Puts persons into a filling. @returns how many were not in it before @throws Conflict when it was replaced */
    async join({ audienceId, listId }: { audienceId: string; listId: string }, personIds: string[]): Promise<number> {
      const current = await audiences.updateOne({ _id: audienceId, listId }, { $set: { updatedAt: clock.now() } })
      if (current.matchedCount === 0) {
        throw new Conflict('the list was replaced or deleted meanwhile', { code: 'audiences.list-replaced' })
      }
      const addedAt = clock.now()
      const batch = personIds.map((personId) => ({ _id: idOf(listId, personId), personId, addedAt, expireAt: null }))
      return batch.length - (await insertNew(rows, batch)).size
    },

    /** Up to `limit` persons of a filling beyond `after`, in order; who came after `before` is left out. */
    async page(listId: string, after: string | null, limit: number, before: Date | null): Promise<string[]> {
      const from = after === null ? all(listId) : { $gt: idOf(listId, after), $lt: `${listId};` }
      const found = await rows
        .find({ _id: from, ...(before !== null && { addedAt: { $lte: before } }) }, { projection: { _id: 1 } })
        .sort({ _id: 1 })
        .limit(limit)
        .toArray()
      return found.map(({ _id }) => _id.slice(listId.length + 1))
    },

    /** Those of these ids a filling holds. */
    async holds(listId: string, personIds: string[]): Promise<Set<string>> {
      const ids = personIds.map((personId) => idOf(listId, personId))
      const found = await rows.find({ _id: { $in: ids } }, { projection: { _id: 1 } }).toArray()
      return new Set(found.map(({ _id }) => _id.slice(listId.length + 1)))
    },

    count: (listId: string): Promise<number> => rows.countDocuments({ _id: all(listId) }),

    /** No audience has this filling any more; runs may read it a while yet. */
    async forget(listId: string): Promise<void> {
      await rows.updateMany({ _id: all(listId) }, { $set: { expireAt: new Date(clock.now().getTime() + KEPT_MS) } })
    },

    async erase(personIds: string[]): Promise<void> {
      await rows.deleteMany({ personId: { $in: personIds } })
    }
  }
}
export type Lists = ReturnType<typeof createLists>

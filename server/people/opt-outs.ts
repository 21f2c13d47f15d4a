import type { Clock } from '../platform/clock.js'
import { NotFound } from '../platform/errors.js'
import { ignoreDuplicate } from '../platform/mongo.js'
import { optOutId, type createMerger } from './merge.js'
import { LIVE_PERSON, type OptOutRow, type PeopleModels, type PersonRow } from './model.js'

const TRIES = 50

/** What people want nothing of: told on the person, so that one read answers it, and kept as records of who said so. */
export function createOptOuts({
  models,
  clock,
  merger
}: {
  models: PeopleModels
  clock: Clock
  merger: ReturnType<typeof createMerger>
}) {
  const { people, optOuts } = models

  async function change(personId: string, topic: string | null, out: boolean): Promise<PersonRow> {
    for (let tries = 0; tries < TRIES; tries++) {
      const row = await merger.root(personId)
      if (row === null) throw new NotFound('there is no such person')
      const change =
        topic === null
          ? { $set: { optedOut: out } }
          : out
            ? { $addToSet: { topics: topic } }
            : { $pull: { topics: topic } }
      const answer = await people.updateOne({ _id: row._id, ...LIVE_PERSON }, { ...change, $inc: { rev: 1 } })
      if (answer.matchedCount > 0) return row
    }
    throw new Error('a person kept changing while being written')
  }

  return {
    /** Of these persons (former ids too) those who want nothing, or nothing of this topic. */
    async optedOut(personIds: string[], topic?: string | null): Promise<Set<string>> {
      const out = new Set<string>()
      if (personIds.length === 0) return out
      // One read finds who said so, and the few who were merged: for those their successor's word counts.
      const any: object[] = [{ optedOut: true }, { mergedInto: { $ne: null } }]
      if (topic != null) any.push({ topics: topic })
      const found = await people
        .find({ _id: { $in: [...new Set(personIds)] }, erasedAt: null, $or: any }, { projection: { mergedInto: 1 } })
        .toArray()
      const merged: string[] = []
      for (const row of found) {
        if (row.mergedInto === null) out.add(row._id)
        else merged.push(row._id)
      }
      if (merged.length === 0) return out
      for (const [asked, row] of await merger.roots(merged)) {
        if (row.optedOut || (topic != null && row.topics.includes(topic))) out.add(asked)
      }
      return out
    },

    /** No more messages for this person; with a topic, none of that topic. `by` says who asked. @throws NotFound */
    async optOut(personId: string, topic: string | null, by: string): Promise<OptOutRow> {
      const row = await change(personId, topic, true)
      const record = { personId: row._id, topic, by, createdAt: clock.now() }
      const _id = optOutId(row._id, topic)
      await optOuts.updateOne({ _id }, { $setOnInsert: record }, { upsert: true }).catch(ignoreDuplicate)
      return (await optOuts.findOne({ _id })) ?? { _id, ...record }
    },

    /** Takes an opt-out back; without a topic only the general one. @throws NotFound */
    async optIn(personId: string, topic: string | null): Promise<void> {
      const row = await change(personId, topic, false)
      await optOuts.deleteOne({ _id: optOutId(row._id, topic) })
    },

    /** Takes the opt-out of this id back. @throws NotFound */
    async removeOptOut(id: string): Promise<void> {
      const record = await optOuts.findOne({ _id: id })
      if (record === null) throw new NotFound('there is no such opt-out')
      await change(record.personId, record.topic, false)
      await optOuts.deleteOne({ _id: id })
    }
  }
}

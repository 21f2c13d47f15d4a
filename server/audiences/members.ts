import type { Collection } from 'mongodb'
import { meets } from '../events/where.js'
import type { EventRow } from '../events/model.js'
import { IN_ONE } from '../platform/mongo.js'
import { LIVE_PERSON, type PersonRow } from '../people/model.js'
import type { Person } from '../people/people.js'
import type { PeopleFilter, Part } from './rule.js'

/** A person as audiences read them: who they are, and what content may say of them. */
export type Member = Pick<Person, 'id' | keyof typeof MEMBER>
export type MemberRow = Pick<PersonRow, '_id' | keyof typeof MEMBER>
/** The projection that reads a member. */
export const MEMBER = { was: 1, accountIds: 1, attributes: 1, tags: 1 } as const

/** A batch of persons by id, as read; the ids each had before a merge are in `was` (their events still carry them). */
export type Batch = Map<string, Member>

/** Which of these persons hold a right that can be used now? */
export type Reach = (persons: Member[], templateId: string | null) => Promise<Set<string>>

/** A batch of these rows. */
export const batchOf = (rows: MemberRow[]): Batch => new Map(rows.map(({ _id: id, ...rest }) => [id, { id, ...rest }]))

/** Reads at most `limit` live persons beyond `after`, by id; null from the start. */
export async function readBatch(
  people: Collection<PersonRow>,
  filter: PeopleFilter,
  { after, limit, createdBefore }: { after: string | null; limit: number; createdBefore: Date | null }
): Promise<Batch> {
  const from = {
    ...LIVE_PERSON,
    ...(after !== null && { _id: { $gt: after } }),
    ...(createdBefore !== null && { createdAt: { $lte: createdBefore } }),
    ...(Object.keys(filter).length > 0 && { $and: [filter] })
  }
  const found = people.find<MemberRow>(from, { projection: MEMBER, batchSize: IN_ONE })
  const rows = await found.sort({ _id: 1 }).limit(limit).toArray()
  return batchOf(rows)
}

/** The live persons these ids lead to; ids of merged ones lead to who they are now. */
export async function currentPersons(people: Collection<PersonRow>, ids: string[]): Promise<Batch> {
  const isOneOf = { $or: [{ _id: { $in: ids } }, { was: { $in: ids } }] }
  const rows = await people
    .find<MemberRow>({ ...LIVE_PERSON, ...isOneOf }, { projection: MEMBER, batchSize: IN_ONE })
    .toArray()
  return batchOf(rows)
}

/** Asks a compiled rule of batches of persons; each part costs one query a batch, parts that decide nothing none. */
export function createMembership(parts: {
  people: Collection<PersonRow>
  events: Collection<EventRow>
  reach: Reach
  now: Date
}) {
  return { members }

  /** Those of the batch who meet the part. */
  async function members(part: Part, batch: Batch): Promise<Set<string>> {
    if (batch.size === 0) return new Set()
    switch (part.kind) {
      case 'people': {
        const ids = [...batch.keys()]
        const rows = await parts.people
          .find({ _id: { $in: ids }, $and: [part.filter] }, { projection: { _id: 1 } })
          .toArray()
        return new Set(rows.map((row) => row._id))
      }
      case 'did':
        return did(part, batch)
      case 'reachable':
        return parts.reach([...batch.values()], part.templateId)
      case 'all': {
        let left = batch
        for (const each of part.parts) left = only(left, await members(each, left))
        return new Set(left.keys())
      }
      default: {
        const found = new Set<string>()
        let left = batch
        for (const each of part.parts) {
          for (const id of await members(each, left)) found.add(id)
          left = without(batch, found)
        }
        return part.kind === 'any' ? found : new Set(left.keys())
      }
    }
  }

  async function did(part: Part & { kind: 'did' }, batch: Batch): Promise<Set<string>> {
    const owner = new Map<string, string>()
    for (const { id, was } of batch.values()) for (const each of [id, ...was]) owner.set(each, id)
    const filter = {
      personId: { $in: [...owner.keys()] },
      name: part.name,
      ...(part.withinMs !== null && { at: { $gte: new Date(parts.now.getTime() - part.withinMs) } })
    }
    const times = new Map<string, number>()
    const count = (personId: string, n: number) => {
      const id = owner.get(personId)!
      times.set(id, (times.get(id) ?? 0) + n)
    }
    if (part.where === null && part.atLeast === 1) {
      for (const personId of await parts.events.distinct('personId', filter)) count(personId!, 1)
    } else if (part.where === null) {
      const groups = parts.events.aggregate<{ _id: string; n: number }>([
        { $match: filter },
        { $group: { _id: '$personId', n: { $sum: 1 } } }
      ])
      for (const group of await groups.toArray()) count(group._id, group.n)
    } else {
      // Compared here and not by MongoDB: a property's name may hold dots, and triggers must judge alike.
      const rows = parts.events.find(filter, { projection: { personId: 1, properties: 1 } })
      for await (const row of rows) if (meets(part.where, row.properties)) count(row.personId!, 1)
    }
    return new Set([...times].flatMap(([id, n]) => (n >= part.atLeast ? [id] : [])))
  }
}

const only = (batch: Batch, ids: Set<string>): Batch => new Map([...batch].filter(([id]) => ids.has(id)))
const without = (batch: Batch, ids: Set<string>): Batch => new Map([...batch].filter(([id]) => !ids.has(id)))

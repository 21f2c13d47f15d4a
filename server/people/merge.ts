import type { Clock } from '../platform/clock.js'
import { ignoreDuplicate } from '../platform/mongo.js'
import { takenOver, winnerOf } from './fields.js'
import type { OptOutRow, PeopleModels, PersonRow } from './model.js'
import { LIVE_PERSON } from './model.js'

/** Told whose traces must go: every id the person had, and every recipient. Runs again after a crash. */
export type EraseHandler = (erased: { personIds: string[]; recipientIds: string[] }) => Promise<void>

const HOPS = 32
const TRIES = 50

/**
 * Joining two persons who turn out to be one, and erasing one. Both are stored as a fact first and then carried through
 * in steps that may be repeated from the start, by anyone who meets the row or by `finish`.
 *
 * Merge of L into W:
 *  1. `{_id L, live} → mergedInto W, todo`: decides. From here on nobody writes to L (every write asks for a live row),
 *     and whoever reads L goes on to W.
 *  2. `{_id W, live, rev as read}` takes over attributes, tags, opt-outs, accounts, and L's ids into `was`, in one
 *     update; done before = `was` holds L. W merged or erased meanwhile: the same with the row it points to.
 *  3. recipients of L → W.   4. keys (unionid, externalId) of L → W.   5. opt-out records of L → W.
 *  6. W no longer live: 3–5 again with its successor. Else `{_id L} → stripped, todo false`.
 * Dying after 1 leaves `todo`; after 2–5 too. A recipient that some slower process files under L after step 3 is still
 * found, since W is asked for by all the ids in `was`. The older person always wins, so that mergedInto only leads to
 * older rows: two processes merging the same pair agree, and chains have an end.
 *
 * Erasing P: 1. `{_id P, live} → erasedAt, todo, stripped`.  2. keys removed: nobody is led here any more.
 *  3. handlers (messages, credentials, events strip theirs).  4. recipients stripped of the sealed openid.
 *  5. opt-out records removed.  6. `todo false`. P and its recipients stay as empty rows, so that counts stay true.
 */
export function createMerger({ models, clock }: { models: PeopleModels; clock: Clock }) {
  const { people, recipients, identities, optOuts } = models
  const handlers: EraseHandler[] = []

  /** Where an id leads now: the live person, or null when unknown or erased. Finishes what it finds half done. */
  async function root(id: string): Promise<PersonRow | null> {
    let row = await people.findOne({ _id: id })
    for (let hop = 0; row !== null && row.mergedInto !== null; hop++) {
      if (hop === HOPS) throw new Error('a chain of merged persons does not end')
      if (row.todo) await absorb(row)
      row = await people.findOne({ _id: row.mergedInto })
    }
    return row === null || row.erasedAt !== null ? null : row
  }

  /** root of many at once, by the ids asked for; the unknown and the erased are left out. */
  async function roots(ids: Iterable<string>): Promise<Map<string, PersonRow>> {
    const found = new Map<string, PersonRow>()
    let asked = new Map<string, string[]>()
    for (const id of new Set(ids)) asked.set(id, [id])
    for (let hop = 0; asked.size > 0; hop++) {
      if (hop === HOPS) throw new Error('a chain of merged persons does not end')
      const next = new Map<string, string[]>()
      for (const row of await people.find({ _id: { $in: [...asked.keys()] } }).toArray()) {
        const names = asked.get(row._id)!
        if (row.mergedInto === null) {
          if (row.erasedAt === null) for (const name of names) found.set(name, row)
          continue
        }
        if (row.todo) await absorb(row)
        next.set(row.mergedInto, [...(next.get(row.mergedInto) ?? []), ...names])
      }
      asked = next
    }
    return found
  }

  /** Makes two persons one. @returns the one that stays, or null when both are gone */
  async function unite(a: string, b: string): Promise<PersonRow | null> {
    for (let tries = 0; tries < TRIES; tries++) {
      const [one, two] = [await root(a), await root(b)]
      if (one === null || two === null || one._id === two._id) return one ?? two
      const [winner, loser] = winnerOf(one, two)
      const decided = await people.updateOne(
        { _id: loser._id, ...LIVE_PERSON },
        { $set: { mergedInto: winner._id, todo: true, updatedAt: clock.now() } }
      )
      if (decided.matchedCount === 0) continue // merged or erased by somebody else meanwhile
      const frozen = await people.findOne({ _id: loser._id })
      if (frozen !== null) await absorb(frozen)
      return root(winner._id)
    }
    throw new Error('two persons kept changing while they were being joined')
  }

  /** Steps 2–6 for a person already marked as merged. */
  async function absorb(loser: PersonRow): Promise<void> {
    const ids = [loser._id, ...loser.was]
    for (let tries = 0; tries < TRIES; tries++) {
      const winner = await root(loser.mergedInto!)
      // The same human asked to be erased: that goes for this half too.
      if (winner === null) return eraseTraces(loser._id, ids)
      if (!winner.was.includes(loser._id)) {
        const { set, unset } = takenOver(winner, loser)
        if (winner.externalId === null && loser.externalId !== null) set.externalId = loser.externalId
        if (winner.sealedUnionId === null && loser.sealedUnionId !== null) set.sealedUnionId = loser.sealedUnionId
        if (loser.optedOut) set.optedOut = true
        const taken = await people.updateOne(
          { _id: winner._id, ...LIVE_PERSON, rev: winner.rev },
          {
            $set: { ...set, updatedAt: clock.now() },
            ...(Object.keys(unset).length > 0 && { $unset: unset }),
            $addToSet: {
              was: { $each: ids },
              topics: { $each: loser.topics },
              accountIds: { $each: loser.accountIds }
            },
            $inc: { rev: 1 }
          }
        )
        if (taken.matchedCount === 0) continue
      }
      await recipients.updateMany({ personId: { $in: ids } }, { $set: { personId: winner._id } })
      await identities.updateMany({ personId: { $in: ids } }, { $set: { personId: winner._id } })
      await moveOptOuts(ids, winner._id)
      const still = await people.findOne({ _id: winner._id, ...LIVE_PERSON }, { projection: { _id: 1 } })
      if (still === null) continue
      await people.updateOne({ _id: loser._id }, { $set: { ...STRIPPED, todo: false } })
      return
    }
    throw new Error('a person kept changing while another was being joined to it')
  }

  async function moveOptOuts(ids: string[], to: string): Promise<void> {
    for (const row of await optOuts.find({ personId: { $in: ids } }).toArray()) {
      const moved: OptOutRow = { ...row, _id: optOutId(to, row.topic), personId: to }
      const { _id, ...fields } = moved
      await optOuts.updateOne({ _id }, { $setOnInsert: fields }, { upsert: true }).catch(ignoreDuplicate)
      await optOuts.deleteOne({ _id: row._id })
    }
  }

  async function eraseTraces(personId: string, ids: string[]): Promise<void> {
    await identities.deleteMany({ personId: { $in: ids } })
    const theirs = await recipients.find({ personId: { $in: ids } }, { projection: { _id: 1 } }).toArray()
    const recipientIds = theirs.map((row) => row._id)
    for (const handler of handlers) await handler({ personIds: ids, recipientIds })
    await recipients.updateMany(
      { personId: { $in: ids }, erasedAt: null },
      { $set: { sealed: null, unionHash: null, lastInteractionAt: null, erasedAt: clock.now() } }
    )
    await optOuts.deleteMany({ personId: { $in: ids } })
    await people.updateOne({ _id: personId }, { $set: { ...STRIPPED, todo: false } })
  }

  return {
    root,
    roots,
    unite,
    onErase: (handler: EraseHandler) => void handlers.push(handler),

    /** @returns false when there is nobody of that id */
    async erase(id: string): Promise<boolean> {
      for (let tries = 0; tries < TRIES; tries++) {
        const row = await root(id)
        if (row === null) {
          const gone = await people.findOne({ _id: id, todo: true })
          if (gone !== null && gone.erasedAt !== null) await eraseTraces(gone._id, [gone._id, ...gone.was])
          return gone !== null
        }
        const decided = await people.updateOne(
          { _id: row._id, ...LIVE_PERSON, rev: row.rev },
          { $set: { ...STRIPPED, erasedAt: clock.now(), todo: true }, $inc: { rev: 1 } }
        )
        if (decided.matchedCount === 0) continue
        await eraseTraces(row._id, [row._id, ...row.was])
        return true
      }
      throw new Error('a person kept changing while being erased')
    },

    /** Carries through what crashes left half done. @returns how many */
    async finish(limit = 100): Promise<number> {
      const rows = await people.find({ todo: true }).limit(limit).toArray()
      for (const row of rows) {
        if (row.mergedInto !== null) await absorb(row)
        else await eraseTraces(row._id, [row._id, ...row.was])
      }
      return rows.length
    }
  }
}

const STRIPPED = {
  externalId: null,
  sealedUnionId: null,
  attributes: {},
  tags: {},
  setAt: { attributes: {}, tags: {} },
  topics: [] as string[]
}

/** One record per person and topic, so that saying it twice changes nothing. */
export const optOutId = (personId: string, topic: string | null) =>
  topic === null ? personId : `${personId}.${Buffer.from(topic).toString('base64url')}`

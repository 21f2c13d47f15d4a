import type { Connection } from 'mongoose'
import type { Collection } from 'mongodb'
import type { z } from 'zod'
import type { AudienceCreate, AudiencePatch, AudienceView, Rule } from '../../shared/audience.js'
import type { PageQuery } from '../../shared/page.js'
import type { Account } from '../accounts/accounts.js'
import type { Credentials } from '../credentials/credentials.js'
import type { Events } from '../events/events.js'
import type { People } from '../people/people.js'
import type { Clock } from '../platform/clock.js'
import { Conflict, InvalidInput, NotFound } from '../platform/errors.js'
import { newId } from '../platform/ids.js'
import { listPage } from '../platform/page.js'
import type { Templates } from '../templates/templates.js'
import { createLists } from './lists.js'
import { createMembership, currentPersons, readBatch, type Batch, type Member, type Reach } from './members.js'
import { audienceModel, type AudienceRow, type AudienceSource } from './model.js'
import { createPreview } from './preview.js'
import { createReach } from './reach.js'
import { compileRule } from './rule.js'

export type { AudienceSource } from './model.js'

/** A campaign that is not over and sends to an audience. */
export type AudienceUse = { campaignId: string; name: string; state: string; accountId: string }

export type Audiences = ReturnType<typeof createAudiences>

const BATCH = 1_000
const allIds = ({ id, was }: Pick<Member, 'id' | 'was'>): string[] => [id, ...was]

/** No id of ours is longer; a list of 10,000 has to stay small enough to be stored and shown. */
const ID_LIMIT = 64

/** Saved rules over people: who is in, how many, and streams of them. Nothing is materialised. */
export function createAudiences({
  db,
  clock,
  random,
  people,
  events,
  credentials,
  templates
}: {
  db: Connection
  clock: Clock
  /** Between 0 and 1: where samples are taken. */
  random: () => number
  people: People
  events: Pick<Events, 'rows'>
  credentials: Credentials
  templates: Templates
}) {
  const model = audienceModel(db)
  const rows = model.collection as unknown as Collection<AudienceRow>
  const rowsOfPeople = people.models.people
  const uses: ((audienceId: string) => Promise<AudienceUse[]>)[] = []
  const reachOf = createReach({ clock, people, credentials, templates })
  const lists = createLists({ db, clock, audiences: rows })
  people.onErase(async ({ personIds }) => {
    await lists.erase(personIds)
    await rows.updateMany({ personIds: { $in: personIds } }, { $pull: { personIds: { $in: personIds } } })
  })

  const membership = (reach: Reach) =>
    createMembership({ people: rowsOfPeople, events: events.rows, reach, now: clock.now() })

  async function row(id: string): Promise<AudienceRow> {
    const found = await rows.findOne({ _id: id })
    if (found === null) throw new NotFound('no such audience', { code: 'audiences.not-found' })
    return found
  }

  async function view({ _id, listId, ...row }: AudienceRow): Promise<z.infer<typeof AudienceView>> {
    return { id: _id, ...row, imported: listId == null ? 0 : await lists.count(listId) }
  }

  /** Of these persons (already known to meet the rule's filter), those who meet the rest. */
  async function narrowed(source: AudienceSource, account: Account, batch: Batch): Promise<Member[]> {
    if ('personIds' in source) return [...batch.values()]
    const { rest } = compileRule(source.rule)
    if (rest === null) return [...batch.values()]
    const met = await membership((persons, templateId) => reachOf(account, persons, templateId)).members(rest, batch)
    return [...batch.values()].filter(({ id }) => met.has(id))
  }

  async function stream(
    source: AudienceSource,
    account: Account,
    {
      after,
      limit = BATCH,
      createdBefore = null
    }: { after: string | null; limit?: number; createdBefore?: Date | null }
  ): Promise<{ persons: Member[]; next: string | null }> {
    if ('personIds' in source) {
      const posted = source.personIds.filter((id) => after === null || id > after)
      const { listId } = source
      const imported = listId === undefined ? [] : await lists.page(listId, after, limit + 1, createdBefore)
      const ids = [...new Set([...posted, ...imported])].sort()
      const part = ids.slice(0, limit)
      const found: Batch = part.length === 0 ? new Map() : await currentPersons(rowsOfPeople, part)
      const persons = await oncePerList(source, found, part)
      return { persons, next: ids.length > limit ? part.at(-1)! : null }
    }
    const { filter } = compileRule(source.rule)
    const batch = await readBatch(rowsOfPeople, filter, { after, limit, createdBefore })
    const next = batch.size < limit ? null : [...batch.keys()].at(-1)!
    return { persons: await narrowed(source, account, batch), next }
  }

  /** Those of these ids a fixed list holds as they are. */
  async function listedOf(source: { personIds: string[]; listId?: string }, ids: string[]): Promise<Set<string>> {
    const listed = source.listId === undefined ? new Set<string>() : await lists.holds(source.listId, ids)
    const posted = new Set(source.personIds)
    for (const id of ids) if (posted.has(id)) listed.add(id)
    return listed
  }

  /** A list may hold several ids of one person, far apart: the person belongs to the first of them. */
  async function oncePerList(
    source: { personIds: string[]; listId?: string },
    found: Batch,
    part: string[]
  ): Promise<Member[]> {
    const merged = [...found.values()].filter(({ was }) => was.length > 0)
    const listed = merged.length === 0 ? new Set<string>() : await listedOf(source, merged.flatMap(allIds))
    const here = new Set(part)
    const first = (ids: string[]) => ids.filter((id) => listed.has(id)).sort()[0]
    return [...found.values()].filter((person) => person.was.length === 0 || here.has(first(allIds(person))!))
  }

  async function among(source: AudienceSource, account: Account, personIds: string[]): Promise<Set<string>> {
    if (personIds.length === 0) return new Set()
    if ('personIds' in source) {
      const found = await currentPersons(rowsOfPeople, personIds)
      const listed = await listedOf(source, [...found.values()].flatMap(allIds))
      const inside = [...found.values()].filter((person) => allIds(person).some((each) => listed.has(each)))
      return new Set(inside.map(({ id }) => id))
    }
    const { filter } = compileRule(source.rule)
    const wanted = { $and: [{ _id: { $in: personIds } }, filter] }
    const batch = await readBatch(rowsOfPeople, wanted, { after: null, limit: personIds.length, createdBefore: null })
    return new Set((await narrowed(source, account, batch)).map(({ id }) => id))
  }

  async function* listed(source: AudienceSource, account: Account): AsyncGenerator<Member[]> {
    for (let after: string | null = null; ;) {
      const { persons, next }: { persons: Member[]; next: string | null } = await stream(source, account, { after })
      yield persons
      if (next === null) return
      after = next
    }
  }

  const preview = createPreview({ persons: rowsOfPeople, random, narrowed, reachOf, listed })

  return {
    rows,

    /** Makes the indexes. */
    async ready(): Promise<void> {
      await model.createIndexes()
      await lists.ready()
    },

    /** Putting people into a fixed list, however many. */
    lists: { fill: lists.fill, join: lists.join },

    /** @throws NotFound */
    get: async (id: string) => view(await row(id)),

    /** What a run keeps: later changes of the audience are not its business. @throws NotFound */
    async sourceOf(id: string): Promise<AudienceSource> {
      return sourceOf(await row(id))
    },

    page: (query: PageQuery) =>
      listPage(
        rows,
        { filter: {}, query, sortable: ['createdAt', 'name', 'updatedAt'], defaultSort: '-createdAt' },
        view
      ),

    /** @throws InvalidInput when the rule cannot be compiled, or not exactly one of rule and personIds is given */
    async create(wanted: z.infer<typeof AudienceCreate>) {
      const now = clock.now()
      const made: AudienceRow = { _id: newId(), name: wanted.name, ...bodyOf(wanted), createdAt: now, updatedAt: now }
      await rows.insertOne(made)
      return view(made)
    },

    /** Giving a rule replaces a list, and the other way round. @throws NotFound, InvalidInput */
    async patch(id: string, wanted: z.infer<typeof AudiencePatch>) {
      const body = wanted.rule === undefined && wanted.personIds === undefined ? {} : bodyOf(wanted)
      const set = { ...(wanted.name !== undefined && { name: wanted.name }), ...body, updatedAt: clock.now() }
      const seen = await rows.findOneAndUpdate({ _id: id }, { $set: set }, { returnDocument: 'before' })
      if (seen === null) throw new NotFound('no such audience', { code: 'audiences.not-found' })
      const changed = { ...seen, ...set }
      if (seen.listId != null && changed.listId == null) await lists.forget(seen.listId)
      return view(changed)
    },

    /** Registers who knows what an audience is used for. To be called while the rooms are built. */
    onUse: (asked: (audienceId: string) => Promise<AudienceUse[]>): void => void uses.push(asked),

    /**
     * Only what no campaign needs can be deleted. The refusal names the campaigns of `accountIds` (null: of all).
     * @throws NotFound, Conflict
     */
    async remove(id: string, accountIds: string[] | null = null): Promise<void> {
      await row(id)
      const using = (await Promise.all(uses.map((asked) => asked(id)))).flat()
      if (using.length > 0) throw inUse(using.filter(({ accountId }) => accountIds?.includes(accountId) ?? true))
      const gone = await rows.findOneAndDelete({ _id: id })
      if (gone === null) throw new NotFound('no such audience', { code: 'audiences.not-found' })
      if (gone.listId != null) await lists.forget(gone.listId)
    },

    /**
     * The next persons of an audience by id, judged now. `next` is where to go on (also when nobody of the batch met
     * the rule); null at the end. Whoever was created after `createdBefore` is left out.
     */
    stream,

    /** Of these (current) person ids, those in the audience now. */
    among,

    /** Is this person in the audience now? */
    async matches(source: AudienceSource, account: Account, personId: string): Promise<boolean> {
      return (await among(source, account, [personId])).has(personId)
    },

    /**
     * How many are in it now, how many of them `account` can reach now (with this template), and who for example: only
     * people one of the accounts `knownTo` knows (null: anybody). Of large audiences parts are estimated; the margins say so.
     */
    preview,

    /** Checks a rule without saving it. @throws InvalidInput */
    check(rule: Rule): void {
      compileRule(rule)
    }
  }
}

/** Whoever may see none of the campaigns is told no more than that there are some. */
function inUse(using: AudienceUse[]): Conflict {
  const names = using.map(({ name }) => `“${name}”`).join(', ')
  return new Conflict(`campaigns that are not over send to this audience${names === '' ? '' : `: ${names}`}`, {
    code: 'audiences.in-use',
    facts: { campaigns: using.map(({ campaignId, name, state }) => ({ id: campaignId, name, state })) }
  })
}

export function sourceOf({
  rule,
  personIds,
  listId
}: Pick<AudienceRow, 'rule' | 'personIds' | 'listId'>): AudienceSource {
  return rule !== null ? { rule } : { personIds: personIds ?? [], ...(listId != null && { listId }) }
}

function bodyOf(wanted: { rule?: Rule; personIds?: string[] }): Pick<AudienceRow, 'rule' | 'personIds' | 'listId'> {
  if ((wanted.rule === undefined) === (wanted.personIds === undefined)) {
    const message = 'give a rule or personIds, one of the two'
    throw new InvalidInput(message, { errors: [{ pointer: '/rule', code: 'audience.ruleOrList', message }] })
  }
  const tooLong = wanted.personIds?.findIndex((id) => id.length > ID_LIMIT) ?? -1
  if (tooLong >= 0) {
    const message = `an id has at most ${ID_LIMIT} characters`
    throw new InvalidInput(message, {
      errors: [{ pointer: `/personIds/${tooLong}`, code: 'audience.idTooLong', message }]
    })
  }
  if (wanted.rule === undefined) return { rule: null, personIds: [...new Set(wanted.personIds)], listId: null }
  compileRule(wanted.rule)
  return { rule: wanted.rule, personIds: null, listId: null }
}

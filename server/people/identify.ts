import type { Identify } from '../../shared/person.js'
import { InvalidInput } from '../platform/errors.js'
import { groupBy } from '../platform/group.js'
import type { Sealer } from '../platform/sealing.js'
import { AT_ONCE, newPersonId, type Keys } from './keys.js'
import type { createMerger } from './merge.js'
import type { IdentityRow, PeopleModels, PersonRow } from './model.js'
import type { createRecipients } from './recipients.js'
import { checkNames, type FieldWriter } from './write-fields.js'

/** What became of one of many; null: a person this caller may not know of. */
export type Identified = { personId: string; outcome: 'created' | 'changed' | 'unchanged' } | null

type Parts = {
  models: PeopleModels
  sealer: Sealer
  merger: ReturnType<typeof createMerger>
  keys: Keys
  meeting: ReturnType<typeof createRecipients>
  fields: FieldWriter
}

const TRIES = 50

/** Finding, making and joining persons by every id a caller has of them, and noting what the caller says of them. */
export function createIdentify({ models, sealer, merger, keys, meeting, fields }: Parts) {
  const { recipients } = models

  /** The person any of the ids names, made when none does; two named at once are joined. */
  async function personOf(body: Identify): Promise<string> {
    let id: string | null = null
    if (body.openId !== undefined) {
      const [row] = await meeting.meet(body.accountId!, [{ openId: body.openId, unionId: body.unionId }])
      id = row!.personId
    }
    const named: [key: string, kind: IdentityRow['kind']][] = []
    if (body.unionId !== undefined) named.push([keys.unionHash(body.unionId), 'union'])
    if (body.externalId !== undefined) named.push([keys.externalHash(body.externalId), 'external'])
    // whoever is known by one of the keys takes the others: no person is made only to be merged
    for (const [key] of named) id ??= (await keys.holderOf(key))?._id ?? null
    for (const [key, kind] of named) {
      const owner: PersonRow = await keys.ownerOf(key, kind, id ?? newPersonId())
      id = id === null ? owner._id : ((await merger.unite(id, owner._id))?._id ?? owner._id)
    }
    return id!
  }

  /** Each one's person, by bulk commands where no two persons have to be joined. Somebody may be named in many places. */
  async function personsOf(bodies: Identify[]): Promise<string[]> {
    const found = new Map<Identify, string>()
    const met = bodies.filter((body) => body.openId !== undefined)
    for (const [accountId, part] of groupBy(met, (body) => body.accountId!)) {
      const rows = await meeting.meet(
        accountId,
        part.map(({ openId, unionId }) => ({ openId: openId!, unionId }))
      )
      for (const [i, body] of part.entries()) found.set(body, rows[i]!.personId)
    }
    const named = bodies.filter((body) => body.openId === undefined && body.externalId !== undefined)
    const byName = await keys.byExternalIds([...new Set(named.map((body) => body.externalId!))])
    for (const body of named) found.set(body, byName.get(body.externalId!)!)

    const joining = await otherKeys(bodies, found)
    for (let from = 0; from < joining.length; from += AT_ONCE) {
      const part = joining.slice(from, from + AT_ONCE)
      await Promise.all(part.map(async (body) => found.set(body, await personOf(body))))
    }
    return bodies.map((body) => found.get(body)!)
  }

  /**
   * Gives each person found the key its line names besides, where that is nobody's. @returns those that name two persons,
   * or were not found by any key yet
   */
  async function otherKeys(bodies: Identify[], found: Map<Identify, string>): Promise<Identify[]> {
    const second = (body: Identify): [kind: IdentityRow['kind'], key: string] | null => {
      // the unionid that came with an openid was seen to when they met
      if (body.openId !== undefined)
        return body.externalId === undefined ? null : ['external', keys.externalHash(body.externalId)]
      return body.unionId === undefined ? null : ['union', keys.unionHash(body.unionId)]
    }
    const wanted = bodies.flatMap((body) => {
      const key = found.has(body) ? second(body) : null
      return key === null ? [] : [{ body, kind: key[0], key: key[1] }]
    })
    const owners = await keys.ownersOf(wanted.map(({ key }) => key))
    const persons = await merger.roots(wanted.map(({ body }) => found.get(body)!))
    for (const kind of ['external', 'union'] as const) {
      const claims = new Map<string, string>()
      for (const each of wanted) {
        const person = persons.get(found.get(each.body)!)
        if (each.kind !== kind || owners.has(each.key) || claims.has(each.key) || person === undefined) continue
        claims.set(each.key, person._id)
      }
      for (const [key, owner] of await keys.claim(kind, claims)) owners.set(key, owner)
    }
    const torn = wanted.filter(({ body, key }) => owners.get(key)?._id !== persons.get(found.get(body)!)?._id)
    return [...torn.map(({ body }) => body), ...bodies.filter((body) => !found.has(body))]
  }

  /** Who is known already by some id of these, and by whom a caller bound to `allowed` is not to be told. */
  async function knownOf(bodies: Identify[], knows: (person: PersonRow) => boolean) {
    const keyed = bodies.map((body) => [
      ...(body.unionId === undefined ? [] : [keys.unionHash(body.unionId)]),
      ...(body.externalId === undefined ? [] : [keys.externalHash(body.externalId)])
    ])
    const owners = await keys.ownersOf([...new Set(keyed.flat())])
    const recipientIds = bodies.map(({ accountId, openId }) =>
      openId === undefined ? null : meeting.idOf(accountId!, openId)
    )
    const ids = [...new Set(recipientIds)].filter((id) => id !== null)
    const there = await recipients.find({ _id: { $in: ids }, erasedAt: null }, { projection: { _id: 1 } }).toArray()
    const met = new Set(there.map((row) => row._id))
    return bodies.map((_, i) => {
      const persons = keyed[i]!.flatMap((key) => owners.get(key) ?? [])
      const isMet = recipientIds[i] !== null && met.has(recipientIds[i]!)
      return { known: persons.length > 0 || isMet, hidden: !persons.every(knows) }
    })
  }

  return {
    /** @throws InvalidInput without any id, with an openId but no accountId, or with a name no field can have */
    async identify(body: Identify): Promise<PersonRow> {
      checkNames(body)
      if (body.openId !== undefined && body.accountId === undefined) {
        throw invalid('/accountId', 'people.account-needed', 'an openId needs its accountId')
      }
      if (body.openId === undefined && body.unionId === undefined && body.externalId === undefined) {
        throw invalid('', 'people.no-id', 'give at least one of externalId, unionId, openId')
      }
      for (let tries = 0; tries < TRIES; tries++) {
        const id = await personOf(body)
        const extra: Record<string, unknown> = {}
        if (body.externalId !== undefined) extra.externalId = body.externalId
        if (body.unionId !== undefined) extra.sealedUnionId = sealer.seal(body.unionId)
        const row = await fields.write(id, body, extra)
        if (row !== null) return row
      }
      throw new Error('a person kept changing while being identified')
    },

    /**
     * `identify` of up to BULK at once, in the order given; accountIds are ours. What is as it should be costs no write.
     * Whom `knows` denies is left alone. @throws nothing a line could be to blame for: check lines before
     */
    async identifyAll(bodies: Identify[], knows: (person: PersonRow) => boolean): Promise<Identified[]> {
      const before = await knownOf(bodies, knows)
      const open = bodies.filter((_, i) => !before[i]!.hidden)
      const ids = await personsOf(open)
      const { rootOf, changed } = await fields.writeAll(
        open.map((body, i) => ({
          id: ids[i]!,
          news: {
            ...(body.attributes !== undefined && { attributes: body.attributes }),
            ...(body.tags !== undefined && { tags: body.tags }),
            externalId: body.externalId,
            ...(body.unionId !== undefined && { sealedUnionId: sealer.seal(body.unionId) })
          }
        }))
      )
      const idOf = new Map(open.map((body, i) => [body, ids[i]!]))
      const made = new Set<string>()
      return bodies.map((body, i): Identified => {
        const { known, hidden } = before[i]!
        if (hidden) return null
        const personId = rootOf.get(idOf.get(body)!) ?? idOf.get(body)!
        if (!known && !made.has(personId)) {
          made.add(personId)
          return { personId, outcome: 'created' }
        }
        return { personId, outcome: changed.has(personId) && !made.has(personId) ? 'changed' : 'unchanged' }
      })
    }
  }
}

const invalid = (pointer: string, code: string, message: string) =>
  new InvalidInput(message, { code, errors: [{ pointer, code, message }] })

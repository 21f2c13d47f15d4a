import type { z } from 'zod'
import type { EventsPost } from '../../shared/event.js'
import { knows, type People } from '../people/people.js'

/** Who an item is about, or why that cannot be said. */
export type Whose = { personId: string; recipientId: string | null } | { refused: WhoseFault }
export type WhoseFault = 'noPerson' | 'ambiguous' | 'accountNeeded' | 'unknownPerson'

type Item = z.infer<typeof EventsPost>['items'][number]

/**
 * Finds the persons of a batch, all at once where the people room can. An openid or externalId nobody has yet is somebody
 * new; a personId must be known. To a caller bound to `allowed` accounts, whom only others know is unknown.
 */
export async function resolvePersons(
  people: People,
  accountId: string | null,
  items: Item[],
  allowed: string[] | null = null
): Promise<Whose[]> {
  const openIds = unique(items, 'openId')
  const personIds = unique(items, 'personId')
  const externalIds = unique(items, 'externalId')
  const recipients = new Map<string, { personId: string; recipientId: string }>()
  if (accountId !== null && openIds.length > 0) {
    const met = await people.recipients(accountId, openIds)
    met.forEach((recipient, i) => {
      recipients.set(openIds[i]!, { personId: recipient.personId, recipientId: recipient.id })
    })
  }
  const external = await people.byExternalIds(externalIds)
  const persons = await people.persons(allowed === null ? personIds : [...personIds, ...external.values()])
  return items.map((item): Whose => {
    const given = [item.openId, item.personId, item.externalId].filter((id) => id !== undefined).length
    if (given !== 1) return { refused: given === 0 ? 'noPerson' : 'ambiguous' }
    if (item.openId !== undefined) return recipients.get(item.openId) ?? { refused: 'accountNeeded' }
    const id = item.personId ?? external.get(item.externalId!)!
    if (item.externalId !== undefined && allowed === null) return { personId: id, recipientId: null }
    const person = persons.get(id)
    if (person === undefined || !knows(allowed, person)) return { refused: 'unknownPerson' }
    return { personId: person.id, recipientId: null }
  })
}

/** The ids of one kind, of items that name nobody in another way as well. */
function unique(items: Item[], kind: 'openId' | 'personId' | 'externalId'): string[] {
  const ids = items.flatMap((item) => {
    const given = [item.openId, item.personId, item.externalId].filter((id) => id !== undefined).length
    return given === 1 && item[kind] !== undefined ? [item[kind]] : []
  })
  return [...new Set(ids)]
}

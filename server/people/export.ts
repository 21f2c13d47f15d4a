import type { Collection } from 'mongodb'
import type { PersonExport } from '../../shared/person-export.js'
import type { MessageRow } from '../messages/model.js'
import type { Clock } from '../platform/clock.js'
import type { Sealer } from '../platform/sealing.js'
import type { People, Person } from './people.js'
import type { Timeline } from './timeline.js'

/** Beyond this many entries the oldest are left out, and the answer says so. */
const ENTRIES = 20_000
const PAGE = 100

export type PersonExporter = ReturnType<typeof createPersonExport>

/** All that is kept of one person, in one piece: what somebody who asks for their data is given. */
export function createPersonExport({
  clock,
  sealer,
  people,
  timeline,
  messages
}: {
  clock: Clock
  sealer: Sealer
  people: Pick<People, 'models' | 'allRecipientsOf' | 'openIds'>
  timeline: Timeline
  messages: { rows: Collection<MessageRow> }
}) {
  return {
    /** As far as it is about accounts of `allowed` (null: all). `identify`: openids and unionid too. */
    async of(person: Person, allowed: string[] | null, identify: boolean): Promise<PersonExport> {
      const ids = [person.id, ...person.was]
      const row = await people.models.people.findOne({ _id: person.id }, { projection: { sealedUnionId: 1 } })
      const all = (await people.allRecipientsOf([person.id])).get(person.id) ?? []
      const recipients = all.filter(({ accountId }) => allowed === null || allowed.includes(accountId))
      const openIds = identify ? await people.openIds(recipients.map(({ id }) => id)) : new Map<string, string>()
      const optOuts = await people.models.optOuts.find({ personId: { $in: ids } }).toArray()

      const entries: PersonExport['timeline'] = []
      let cursor: string | null | undefined
      do {
        const { data, page } = await timeline.page(person, allowed, { limit: PAGE, cursor: cursor ?? undefined })
        entries.push(...data)
        cursor = page.nextCursor
      } while (cursor !== null && entries.length < ENTRIES)

      const theirs = { personId: { $in: ids }, ...(allowed !== null && { accountId: { $in: allowed } }) }
      const sent = await messages.rows
        .find(theirs, { projection: { accountId: 1, templateId: 1, data: 1, open: 1, reference: 1, createdAt: 1 } })
        .sort({ createdAt: -1 })
        .limit(ENTRIES)
        .toArray()
      const sealed = identify ? (row?.sealedUnionId ?? null) : null
      return {
        exportedAt: clock.now(),
        complete: cursor === null && sent.length < ENTRIES,
        person: {
          id: person.id,
          was: person.was,
          externalId: person.externalId,
          unionId: sealed === null ? null : sealer.open(sealed),
          attributes: person.attributes,
          tags: person.tags,
          optedOut: person.optedOut,
          topics: person.topics,
          createdAt: person.createdAt
        },
        recipients: recipients.map(({ id, accountId, reach, follower }) => ({
          id,
          accountId,
          openId: openIds.get(id) ?? null,
          reach,
          follower
        })),
        optOuts: optOuts.map(({ topic, by, createdAt }) => ({ topic, by, createdAt })),
        messages: sent.map(({ _id, accountId, templateId, data, open, reference, createdAt }) => ({
          id: _id,
          accountId,
          templateId,
          data: data as Record<string, unknown>,
          open,
          reference,
          createdAt
        })),
        timeline: entries
      }
    }
  }
}

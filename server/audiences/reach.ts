import type { Account } from '../accounts/accounts.js'
import type { Credentials } from '../credentials/credentials.js'
import type { People, Person } from '../people/people.js'
import type { Clock } from '../platform/clock.js'
import type { Templates } from '../templates/templates.js'

/**
 * Which of these persons can `account` write to now, with this template, or with any when null? Reachable is who is its
 * recipient (a follower, where it is a service account), has not blocked it, and holds a live right; where a service
 * account's windows are off, following is enough.
 */
export function createReach({
  clock,
  people,
  credentials,
  templates
}: {
  clock: Clock
  people: People
  credentials: Credentials
  templates: Templates
}) {
  return async function reach(
    account: Account,
    persons: Pick<Person, 'id' | 'was'>[],
    templateId: string | null
  ): Promise<Set<string>> {
    if (persons.length === 0) return new Set()
    const recipients = new Map<string, string>()
    const reachable = new Set<string>()
    for (const [personId, recipient] of await people.recipientsOfCurrent(account.id, persons)) {
      if (recipient.reach !== 'ok') continue
      if (account.kind === 'service' && !recipient.follower) continue
      if (account.kind === 'service' && !account.serviceWindow.bulk) reachable.add(personId)
      else recipients.set(recipient.id, personId)
    }
    const holders = await withRight(account.id, [...recipients.keys()], templateId)
    for (const recipientId of holders) reachable.add(recipients.get(recipientId)!)
    return reachable
  }

  async function withRight(accountId: string, recipientIds: string[], templateId: string | null): Promise<Set<string>> {
    if (recipientIds.length === 0) return new Set()
    if (templateId !== null) {
      const { kind } = await templates.get(accountId, templateId)
      return credentials.reachable(accountId, recipientIds, kind, templateId)
    }
    const live = { state: 'live' as const, expiresAt: { $gt: clock.now() } }
    const rows = await credentials.rows
      .find({
        accountId,
        recipientId: { $in: recipientIds },
        ...live,
        $or: [{ sendsLeft: { $gt: 0 } }, { unlimited: true }]
      })
      .project<{ recipientId: string }>({ recipientId: 1 })
      .toArray()
    return new Set(rows.map((row) => row.recipientId))
  }
}

import type { z } from 'zod'
import type { TestSendsPost, TestSendsView } from '../../shared/campaign.js'
import type { SkipReason } from '../../shared/message.js'
import type { Account, Accounts } from '../accounts/accounts.js'
import type { Credentials } from '../credentials/credentials.js'
import { needsCredential, sourcesOff } from '../messages/prepare.js'
import type { Messages, PlanInput } from '../messages/messages.js'
import { knows, type People, type Person, type Recipient } from '../people/people.js'
import type { Clock } from '../platform/clock.js'
import { Conflict, InvalidInput } from '../platform/errors.js'
import { newId } from '../platform/ids.js'
import type { Templates } from '../templates/templates.js'
import type { Testers } from '../testers/testers.js'
import type { Composers } from './compose.js'
import type { Ladder } from './ladder.js'
import type { CampaignRow } from './model.js'
import { rehearsed, type Rehearsed } from './rehearsal.js'
import { lifeOf } from './schedule.js'

export type TestSender = {
  /** The operator who asks; null for machines, which are nobody. */
  operatorId: string | null
  /** Whom the caller may know. */
  accountIds: string[] | null
}

type Skip = NonNullable<PlanInput['skip']>

/** Real messages of a campaign to a few, so that somebody sees the card before everybody does. */
export function createTestSends({
  clock,
  accounts,
  people,
  templates,
  credentials,
  messages,
  testers,
  composers,
  ladder
}: {
  clock: Clock
  accounts: Accounts
  people: People
  templates: Templates
  credentials: Credentials
  messages: Messages
  testers: Testers
  composers: Composers
  ladder: Ladder
}) {
  /** Whom it goes to, as persons; the recipient where a tester is known by it. */
  async function persons(
    account: Account,
    to: z.infer<typeof TestSendsPost>['to'],
    sender: TestSender
  ): Promise<Map<string, string | null>> {
    if (to === 'me') {
      const me = sender.operatorId === null ? null : await testers.me(account.id, sender.operatorId)
      if (me === null || me.personId === null) {
        throw new Conflict(
          sender.operatorId === null
            ? 'a key is nobody: send tests to "testers" or to persons'
            : 'you are no tester of this account yet: make a code (POST /v1/accounts/{id}/tester-codes), and send it to the ' +
                'service account as a message or type it in the kit',
          { code: 'testers.not-enrolled' }
        )
      }
      return new Map([[me.personId, me.recipientId]])
    }
    if (to === 'testers') {
      const all = (await testers.of(account.id)).filter((each) => each.personId !== null)
      if (all.length === 0) {
        throw new Conflict(
          'this account has no testers: give somebody a code (POST /v1/accounts/{id}/tester-codes, for: others)',
          { code: 'testers.none' }
        )
      }
      return new Map(all.map((each) => [each.personId!, each.recipientId]))
    }
    const known = await people.persons(to)
    const faults = to.flatMap((id, index) => {
      const person = known.get(id)
      if (person !== undefined && knows(sender.accountIds, person)) return []
      return [{ pointer: `/to/${index}`, code: 'person.unknown', message: 'nobody is known by that id' }]
    })
    if (faults.length > 0) {
      throw new InvalidInput('somebody is not known', { code: 'messages.unknown-person', errors: faults })
    }
    return new Map(to.map((id) => [known.get(id)!.id, null]))
  }

  /** Of these recipients, those whose message a right stands ready for; null: none is needed. */
  async function ready({ account, snapshot }: Rehearsed, campaign: CampaignRow, recipientIds: string[]) {
    const channel = snapshot.template.kind
    if (!needsCredential(account, { channel, lane: campaign.lane, test: true })) return null
    const leave = campaign.lane === 'bulk' ? account.reserveForTransactional : 0
    const places = recipientIds.map((recipientId) => ({
      recipientId,
      channel,
      templateId: campaign.templateId,
      leave
    }))
    return new Set(await credentials.reachableAny(account.id, places, sourcesOff(account)))
  }

  return {
    /**
     * Sends it now, past caps and quiet hours, each on a right of the person's own, outside all counts. What is known at
     * once not to go is said at once. @throws Conflict without testers or while the account cannot send, InvalidInput
     */
    async send(
      campaign: CampaignRow,
      { to, event }: z.infer<typeof TestSendsPost>,
      sender: TestSender
    ): Promise<z.infer<typeof TestSendsView>> {
      const trial = await rehearsed(campaign, null, { accounts, templates, composers })
      const { account, snapshot } = trial
      if (account.state === 'disabled' || account.paused) {
        const code = account.paused ? 'accounts.paused' : 'accounts.disabled'
        throw new Conflict('the account cannot send now', { code })
      }
      const wanted = await persons(account, to, sender)
      const ids = [...wanted.keys()]
      const [known, best] = await Promise.all([people.persons(ids), people.recipientsOf(account.id, ids)])
      const own = await people.byIds([...wanted.values()].filter((id) => id !== null))
      const addressed = ids.flatMap((id): { person: Person; recipient: Recipient | null }[] => {
        const person = known.get(id)
        if (person === undefined) return [] // erased since
        return [{ person, recipient: own.get(wanted.get(id) ?? '') ?? best.get(id) ?? null }]
      })
      const recipientIds = addressed.flatMap(({ recipient }) => recipient?.id ?? [])
      const rights = await ready(trial, campaign, recipientIds)

      const now = clock.now()
      const occasion = newId()
      const plans = addressed.map(({ person, recipient }): PlanInput => {
        const { data, open, skip } = trial.compose(person, event)
        const refused = refusal(recipient, snapshot.template.kind, rights) ?? skip
        return {
          id: messages.messageId('test', campaign._id, occasion, person.id),
          accountId: account.id,
          recipientId: recipient?.id ?? null,
          personId: person.id,
          runId: null,
          campaignId: campaign._id,
          lane: campaign.lane,
          channel: snapshot.template.kind,
          templateId: campaign.templateId,
          data,
          open,
          emphasis: snapshot.emphasis,
          dueAt: now,
          notAfter: new Date(now.getTime() + lifeOf(campaign)),
          waitForCredential: false,
          topic: snapshot.topic,
          test: true,
          ...(refused !== undefined && { skip: refused })
        }
      })
      await messages.plan(plans)
      await ladder.tested(
        campaign,
        plans.filter((plan) => plan.skip === undefined).map((plan) => plan.id)
      )
      return {
        messages: plans.map(({ id, personId, skip }) => ({
          id,
          personId: personId!,
          state: skip === undefined ? 'planned' : 'skipped',
          reason: skip?.reason ?? null,
          detail: skip?.detail ?? null
        }))
      }
    }
  }
}

/** Why nothing can go to this recipient, whatever the message says. */
function refusal(recipient: Recipient | null, channel: string, rights: ReadonlySet<string> | null): Skip | undefined {
  const skip = (reason: SkipReason, detail?: string): Skip => ({ reason, ...(detail !== undefined && { detail }) })
  if (recipient === null) return skip('notInAccount')
  if (recipient.reach !== 'ok') return skip('suppressed', recipient.reach)
  if (channel === 'service' && !recipient.follower) return skip('suppressed', 'not a follower')
  return rights !== null && !rights.has(recipient.id) ? skip('noCredential') : undefined
}

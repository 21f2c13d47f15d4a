import type { Collection } from 'mongodb'
import type { Accounts } from '../accounts/accounts.js'
import type { Audiences } from '../audiences/audiences.js'
import type { Messages, PlanInput } from '../messages/messages.js'
import type { People } from '../people/people.js'
import type { Clock } from '../platform/clock.js'
import type { Log } from '../platform/log.js'
import { orNull } from './check.js'
import type { Composers, Snapshot } from './compose.js'
import type { CampaignRow } from './model.js'

/** Persons judged at a time (docs/ledger.md H). */
const BATCH = 1_000

/**
 * Turns a run's audience into message rows, a thousand persons at a time: rows first, then the cursor. A crash repeats a
 * batch whose rows are there already, and skips none; two expanders at once do the same work twice.
 */
export function createExpander({
  rows,
  clock,
  log,
  accounts,
  people,
  audiences,
  messages,
  composers,
  pause
}: {
  rows: Collection<CampaignRow>
  clock: Clock
  log: Log
  accounts: Accounts
  people: People
  audiences: Audiences
  messages: Messages
  composers: Composers
  pause: (campaignId: string, reason: string) => Promise<void>
}) {
  /** One batch. @returns is there more to do now? */
  async function step(runId: string): Promise<boolean> {
    const run = await messages.runs.get(runId)
    if (run === null || run.state !== 'expanding' || run.paused) return false
    const campaign = await rows.findOne({ _id: run.campaignId }, { projection: { state: 1 } })
    if (campaign?.state !== 'online') return false
    const snapshot = run.snapshot as Snapshot
    if (snapshot.source === null) throw new Error('a run without an audience cannot be expanded')
    const account = await orNull(accounts.get(run.accountId))
    if (account === null) {
      await pause(run.campaignId, 'accountMissing')
      return false
    }
    const compose = composers.of(`run ${runId}`, snapshot)
    const { personIds, next } = await audiences.stream(snapshot.source, account, {
      after: run.cursor,
      limit: BATCH,
      createdBefore: run.startedAt
    })
    const [recipients, persons] = await Promise.all([
      people.recipientsOf(account.id, personIds),
      people.persons(personIds)
    ])
    const plans: PlanInput[] = []
    const dueAt = clock.now()
    for (const personId of personIds) {
      const person = persons.get(personId)
      if (person === undefined) continue // erased since the batch was read
      const recipient = recipients.get(personId) ?? null
      const { data, open, skip, stop } = compose(person)
      if (stop !== null && recipient !== null) {
        await pause(run.campaignId, `missingVariable ${stop}`)
        return false
      }
      const unknown = recipient === null ? ({ reason: 'notInAccount' } as const) : skip
      plans.push({
        id: messages.messageId('run', runId, recipient?.id ?? personId, ''),
        accountId: account.id,
        recipientId: recipient?.id ?? null,
        personId,
        runId,
        campaignId: run.campaignId,
        lane: run.lane,
        channel: snapshot.template.kind,
        templateId: run.templateId,
        data,
        open,
        emphasis: snapshot.emphasis,
        dueAt,
        notAfter: run.notAfter,
        waitForCredential: snapshot.waitForCredential,
        topic: snapshot.topic,
        ...(unknown !== undefined && { skip: unknown })
      })
    }
    if (plans.length > 0) await messages.plan(plans)
    if (next === null) {
      await messages.runs.expanded(runId)
      log.info({ runId, campaignId: run.campaignId }, 'run expanded')
      return false
    }
    await messages.runs.checkpoint(runId, next)
    return true
  }

  return {
    /** Goes on until the audience is through, the run is held, `signal` says stop, or `batches` are done. */
    async expand(runId: string, signal?: AbortSignal, batches = Infinity): Promise<void> {
      for (let done = 0; done < batches && signal?.aborted !== true; done++) {
        if (!(await step(runId))) return
      }
      // Stopped in the middle: the row must stay, so that another worker takes over.
      if (signal?.aborted === true) throw new Error('stopping')
    }
  }
}

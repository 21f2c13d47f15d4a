import type { Collection } from 'mongodb'
import type { Account, Accounts } from '../accounts/accounts.js'
import type { AudienceSource, Audiences } from '../audiences/audiences.js'
import type { Messages, PlanInput } from '../messages/messages.js'
import type { People, Recipient } from '../people/people.js'
import type { Clock } from '../platform/clock.js'
import type { Log } from '../platform/log.js'
import { orNull } from './check.js'
import type { Composers, Snapshot } from './compose.js'
import type { CampaignRow } from './model.js'

/** Persons judged at a time (docs/ledger.md H). */
const BATCH = 1_000
/** Batches that are written side by side: while the store makes one durable it takes in the next. */
const AT_ONCE = 3

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
  type Run = NonNullable<Awaited<ReturnType<Messages['runs']['get']>>>
  type Page = Awaited<ReturnType<Audiences['stream']>> & { after: string | null; recipients: Map<string, Recipient> }

  const sourceOf = (run: Run): AudienceSource => {
    const { source } = run.snapshot as Snapshot
    if (source === null) throw new Error('a run without an audience cannot be expanded')
    return source
  }

  /** The persons behind `after`, as they are now. */
  async function read(run: Run, account: Account, after: string | null): Promise<Page> {
    const source = sourceOf(run)
    const page = await audiences.stream(source, account, { after, limit: BATCH, createdBefore: run.startedAt })
    return { ...page, after, recipients: await people.recipientsOfCurrent(account.id, page.persons) }
  }

  /** The run and its account, if the run is to be expanded now. */
  async function current(runId: string): Promise<{ run: Run; account: Account } | null> {
    const run = await messages.runs.get(runId)
    if (run === null || run.state !== 'expanding' || run.paused) return null
    const campaign = await rows.findOne({ _id: run.campaignId }, { projection: { state: 1 } })
    if (campaign?.state !== 'online') return null
    const account = await orNull(accounts.get(run.accountId))
    if (account !== null) return { run, account }
    await pause(run.campaignId, 'accountMissing')
    return null
  }

  /** The messages of a batch; null when the content pauses the campaign. */
  async function plansOf(run: Run, account: Account, { persons, recipients }: Page): Promise<PlanInput[] | null> {
    const snapshot = run.snapshot as Snapshot
    const compose = composers.of(`run ${run._id}`, snapshot)
    const idOf = messages.runMessageIds(run._id)
    const plans: PlanInput[] = []
    const dueAt = clock.now()
    for (const person of persons) {
      const recipient = recipients.get(person.id) ?? null
      const { data, open, skip, stop } = compose(person)
      if (stop !== null && recipient !== null) {
        await pause(run.campaignId, `missingVariable ${stop}`)
        return null
      }
      const unknown = recipient === null ? ({ reason: 'notInAccount' } as const) : skip
      plans.push({
        id: idOf(recipient?.id ?? person.id),
        accountId: account.id,
        recipientId: recipient?.id ?? null,
        personId: person.id,
        runId: run._id,
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
        told: true,
        ...(snapshot.capLimit != null && { capLimit: snapshot.capLimit }),
        ...(unknown !== undefined && { skip: unknown })
      })
    }
    return plans
  }

  /** Rows first, then the checkpoint, and that behind those of earlier batches. @returns was the run where it was left? */
  async function write(run: Run, page: Page, plans: PlanInput[], before: Promise<boolean>): Promise<boolean> {
    const { duplicates } = await messages.plan(plans)
    if (!(await before)) return false
    const born = plans.filter(({ skip }) => skip === undefined).length
    return messages.runs.checkpoint(run._id, { from: page.after, to: page.next, born, again: duplicates > 0 })
  }

  return {
    /**
     * Goes on until the audience is through, the run is held, `signal` says stop, or `batches` are done. While some
     * batches are written the next one is read.
     */
    async expand(runId: string, signal?: AbortSignal, batches = Infinity): Promise<void> {
      await messages.runs.resumed(runId)
      const under: Promise<boolean>[] = []
      let ahead: { after: string; page: Promise<Page> } | null = null
      /** Where to go on; undefined: where the run stands. */
      let at: string | null | undefined
      /** Waits for all batches but `most`. @returns has nobody else moved the run on? */
      const written = async (most: number): Promise<boolean> => {
        let alone = true
        while (under.length > most) alone = (await under.shift()!) && alone
        return alone
      }
      for (let done = 0; done < batches && signal?.aborted !== true; done++) {
        const now = await current(runId)
        if (now === null) break
        const { run, account } = now
        const after = at === undefined ? run.cursor : at
        const page: Page = ahead?.after === after ? await ahead.page : await read(run, account, after)
        ahead = null
        if (page.next !== null && done + 1 < batches) ahead = { after: page.next, page: read(run, account, page.next) }
        ahead?.page.catch(() => {}) // whoever asks for it is told
        const plans = await plansOf(run, account, page)
        if (plans === null) break
        const writing = write(run, page, plans, under.at(-1) ?? Promise.resolve(true))
        writing.catch(() => {})
        under.push(writing)
        at = page.next
        const alone = await written(page.next === null ? 0 : AT_ONCE - 1)
        if (!alone) {
          // Another expander is further on: its batches are done.
          await written(0)
          at = undefined
        } else if (page.next === null) return void log.info({ runId, campaignId: run.campaignId }, 'run expanded')
      }
      await written(0)
      await ahead?.page
      // Stopped in the middle: the row must stay, so that another worker takes over.
      if (signal?.aborted === true) throw new Error('stopping')
    }
  }
}

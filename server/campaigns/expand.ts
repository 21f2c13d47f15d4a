import type { Collection } from 'mongodb'
import type { Account, Accounts } from '../accounts/accounts.js'
import type { AudienceSource, Audiences } from '../audiences/audiences.js'
import type { Messages, PlanInput } from '../messages/messages.js'
import type { Addressee, People } from '../people/people.js'
import type { Clock } from '../platform/clock.js'
import type { Log } from '../platform/log.js'
import { orNull } from './check.js'
import type { Composers, Snapshot } from './compose.js'
import type { CampaignRow } from './model.js'

/** Persons judged at a time (docs/ledger.md H). */
const BATCH = 1_000
/** Batches that are written side by side: while the store makes one durable it takes in the next. */
const AT_ONCE = 2
/** Batches that are read before they are asked for. */
const AHEAD = 2

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
  type Persons = Awaited<ReturnType<Audiences['stream']>> & { after: string | null }
  type Page = Persons & { recipients: Map<string, Addressee> }

  const sourceOf = (run: Run): AudienceSource => {
    const { source } = run.snapshot as Snapshot
    if (source === null) throw new Error('a run without an audience cannot be expanded')
    return source
  }

  /** The persons behind `after`, as they are now. */
  async function read(run: Run, account: Account, after: string | null): Promise<Persons> {
    const page = await audiences.stream(sourceOf(run), account, { after, limit: BATCH, createdBefore: run.startedAt })
    return { ...page, after }
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

  /** The pages of an audience from `after` on; while one is worked with, the next ones are read. */
  function pagesFrom(run: Run, account: Account, after: string | null): () => Promise<Page> {
    const ahead: Promise<Page>[] = []
    let from: Promise<{ after: string | null } | null> = Promise.resolve({ after })
    const more = () => {
      const persons = from.then((start) => start && read(run, account, start.after))
      from = persons.then((read) => (read === null || read.next === null ? null : { after: read.next }))
      const page = persons.then(async (read) => {
        if (read === null) throw new Error('there is nothing beyond the last page')
        return { ...read, recipients: await people.recipientsOfCurrent(account.id, read.persons) }
      })
      for (const each of [from, page]) each.catch(() => {}) // whoever asks for the page is told
      ahead.push(page)
    }
    return () => {
      while (ahead.length <= AHEAD) more()
      return ahead.shift()!
    }
  }

  return {
    /**
     * Goes on until the audience is through, the run is held, `signal` says stop, or `batches` are done. While some
     * batches are written the next ones are read, and whether to go on is asked.
     */
    async expand(runId: string, signal?: AbortSignal, batches = Infinity): Promise<void> {
      await messages.runs.resumed(runId)
      const under: Promise<boolean>[] = []
      /** Waits for all batches but `most`. @returns has nobody else moved the run on? */
      const written = async (most: number): Promise<boolean> => {
        let alone = true
        while (under.length > most) alone = (await under.shift()!) && alone
        return alone
      }
      let now = await current(runId)
      let pages: (() => Promise<Page>) | null = null
      for (let done = 0; now !== null && done < batches && signal?.aborted !== true; done++) {
        const { run, account }: { run: Run; account: Account } = now
        pages ??= pagesFrom(run, account, run.cursor)
        const asked = current(runId)
        asked.catch(() => {})
        const page = await pages()
        const plans = await plansOf(run, account, page)
        if (plans === null) break
        const writing = write(run, page, plans, under.at(-1) ?? Promise.resolve(true))
        writing.catch(() => {})
        under.push(writing)
        const alone = await written(page.next === null ? 0 : AT_ONCE - 1)
        if (alone && page.next === null) return void log.info({ runId, campaignId: run.campaignId }, 'run expanded')
        now = await asked
        if (!alone) {
          // Another expander is further on: its batches are done.
          await written(0)
          pages = null
          now = await current(runId)
        }
      }
      await written(0)
      // Stopped in the middle: the row must stay, so that another worker takes over.
      if (signal?.aborted === true) throw new Error('stopping')
    }
  }
}

import type { Collection, Filter } from 'mongodb'
import type { Connection } from 'mongoose'
import { randomToken } from '../platform/ids.js'
import type { Clock } from '../platform/clock.js'
import type { Log } from '../platform/log.js'
import type { Sealer } from '../platform/sealing.js'
import { Conflict, InvalidInput, NotFound } from '../platform/errors.js'
import type { Accounts } from '../accounts/accounts.js'
import type { Credentials } from '../credentials/credentials.js'
import type { People } from '../people/people.js'
import type { Senders } from '../senders/senders.js'
import type { TokenCentre } from '../wechat/access-token.js'
import type { SkipReason, Lane } from '../../shared/message.js'
import type { Open, TemplateKind } from '../../shared/template.js'
import { DAY_MS } from '../../shared/limits.js'
import { createBudget } from './budget.js'
import { createCaps } from './caps.js'
import { createEffects } from './effects.js'
import { createFollower } from './follower.js'
import {
  capModel,
  counterModel,
  FAR,
  messageModel,
  type CapRow,
  type CounterRow,
  type FallbackStep,
  type MessageRow
} from './model.js'
import { realPace, type Pace } from './pace.js'
import { createPrepare, wakeParked } from './prepare.js'
import { createAccountPump } from './pump.js'
import { createPumps } from './pumps.js'
import { createRuns } from './runs.js'
import { createSweep } from './sweep.js'

/** One message to plan. `id` is derived (messageId), so that planning again changes nothing. */
export type PlanInput = {
  id: string
  accountId: string
  recipientId: string | null
  personId: string | null
  runId: string | null
  campaignId: string | null
  lane: Lane
  channel: TemplateKind
  templateId: string
  data: Record<string, { value: string; color?: string }>
  open: Open | null
  emphasis?: string | null
  dueAt: Date
  notAfter: Date
  waitForCredential: boolean
  reference?: string | null
  topic?: string | null
  test?: boolean
  waitId?: string | null
  fallback?: FallbackStep[]
  fellFrom?: string | null
  step?: number
  /** Direct sends: what was asked for under this name, so that a key is not used for two messages. */
  bodyHash?: string | null
  /** Known beforehand not to go: filed as skipped, counted and listable. */
  skip?: { reason: SkipReason; detail?: string }
}

export type MessagesParts = {
  db: Connection
  clock: Clock
  pace?: Pace
  log: Log
  sealer: Sealer
  random: () => number
  accounts: Accounts
  people: People
  credentials: Credentials
  senders: Senders
  tokens: TokenCentre
  /** Waits an event stopped meanwhile; the triggers room knows. */
  stoppedWaits?: (waitIds: string[]) => Promise<Set<string>>
}

const KEPT_MS = 180 * DAY_MS
const RETRYABLE = ['failed', 'skipped', 'expired']

/** The messages room: the rows that prove what happened to every message, and the machinery that moves them. */
export function createMessages(parts: MessagesParts) {
  const { db, clock, log, sealer, accounts, people, credentials } = parts
  const pace = parts.pace ?? realPace
  const model = messageModel(db)
  const counterRows = counterModel(db)
  const capRows = capModel(db)
  const rows = model.collection as unknown as Collection<MessageRow>
  const counters = counterRows.collection as unknown as Collection<CounterRow>
  const budget = createBudget({ db, clock, pace })
  const runs = createRuns({ db, clock, budget })
  const caps = createCaps({ caps: capRows.collection as unknown as Collection<CapRow>, messages: rows })
  const prepare = createPrepare({
    rows,
    clock,
    pace,
    sealer,
    random: parts.random,
    newLease: () => randomToken(9),
    credentials,
    people,
    runs,
    caps,
    stoppedWaits: parts.stoppedWaits ?? (async () => new Set())
  })
  const effect = createEffects({ db, clock, log, accounts, people, budget })
  const pumps = createPumps({
    accounts,
    pace,
    log,
    make: (accountId) =>
      createAccountPump(accountId, {
        rows,
        clock,
        pace,
        log,
        random: parts.random,
        accounts,
        senders: parts.senders,
        tokens: parts.tokens,
        budget,
        prepare,
        effect,
        tagOf
      })
  })
  const follower = createFollower({ db, rows, counters, clock, credentials, caps, runs, fallBack })

  credentials.onWake(async (accountId, recipientIds) => {
    if ((await wakeParked(rows, accountId, recipientIds, clock.now())) > 0) pumps.wake(accountId)
  })

  // an erased person's rows stay, so that counts stay true; what they said and to whom does not
  people.onErase(async ({ personIds, recipientIds }) => {
    const theirs = {
      $or: [{ personId: { $in: personIds } }, { recipientId: { $in: recipientIds } }]
    } as Filter<MessageRow>
    await cancelRows(theirs)
    await credentials.erase(recipientIds)
    await rows.updateMany(theirs, { $set: { data: {}, open: null, reference: null, fallback: [], personId: null } })
  })

  const messageId = (...names: string[]) => sealer.hash('message', ...names)

  const tagOf = (id: string) => `${id}.${sealer.hash('tag', id).slice(0, 8)}`

  function rowOf(input: PlanInput): MessageRow {
    const now = clock.now()
    const skip = input.skip
    return {
      _id: input.id,
      accountId: input.accountId,
      recipientId: input.recipientId,
      personId: input.personId,
      runId: input.runId,
      campaignId: input.campaignId,
      lane: input.lane,
      channel: input.channel,
      templateId: input.templateId,
      data: input.data,
      open: input.open,
      emphasis: input.emphasis ?? null,
      reference: input.reference ?? null,
      topic: input.topic ?? null,
      test: input.test ?? false,
      waitForCredential: input.waitForCredential,
      state: skip === undefined ? 'planned' : 'skipped',
      reason: skip?.reason ?? null,
      detail: skip?.detail ?? null,
      code: null,
      by: null,
      n: 0,
      lease: null,
      due: skip === undefined ? input.dueAt : FAR,
      dueAt: input.dueAt,
      notAfter: input.notAfter,
      parked: false,
      parks: 0,
      waitingFor: skip === undefined && input.dueAt > now ? 'time' : null,
      hold: null,
      cap: null,
      window: null,
      attempt: 0,
      round: 0,
      sentAt: null,
      settledAt: skip === undefined ? null : now,
      msgid: null,
      closed: false,
      waitId: input.waitId ?? null,
      fallback: input.fallback ?? [],
      fell: false,
      bodyHash: input.bodyHash ?? null,
      fellFrom: input.fellFrom ?? null,
      step: input.step ?? 0,
      seq: 1,
      todo: true,
      counted: null,
      tally: 0,
      log: [],
      createdAt: now,
      removeAt: new Date(Math.max(now.getTime(), input.dueAt.getTime()) + KEPT_MS)
    }
  }

  /** M1: files messages; those already there count as duplicates and stay as they are. Wakes this process's pumps. */
  async function plan(inputs: PlanInput[]): Promise<{ planned: number; duplicates: number }> {
    if (inputs.length === 0) return { planned: 0, duplicates: 0 }
    let duplicates = 0
    try {
      await rows.insertMany(inputs.map(rowOf), { ordered: false })
    } catch (error) {
      const faults = [(error as { writeErrors?: { code: number }[] }).writeErrors ?? []].flat()
      if (faults.length === 0 || faults.some((fault) => fault.code !== 11000)) throw error
      duplicates = faults.length
    }
    for (const accountId of new Set(inputs.map((input) => input.accountId))) pumps.wake(accountId)
    return { planned: inputs.length - duplicates, duplicates }
  }

  /** The next step of a chain, in its own account; `_id` = H(m, step), so twice is once. */
  async function fallBack(row: MessageRow): Promise<void> {
    const [next, ...rest] = row.fallback
    if (next === undefined || row.personId === null) return
    const account = await accounts.get(next.accountId).catch((error: unknown) => {
      if (error instanceof NotFound) return null // removed meanwhile: the chain ends here, the follower goes on
      throw error
    })
    if (account === null) return
    const recipient = (await people.recipientsOf(account.id, [row.personId])).get(row.personId) ?? null
    const step = row.step + 1
    await plan([
      {
        id: messageId('fallback', row.fellFrom ?? row._id, String(step)),
        accountId: account.id,
        recipientId: recipient?.id ?? null,
        personId: row.personId,
        runId: row.runId,
        campaignId: row.campaignId,
        lane: row.lane,
        channel: next.channel,
        templateId: next.templateId,
        data: next.data,
        open: next.open,
        dueAt: clock.now(),
        notAfter: row.notAfter,
        waitForCredential: false,
        reference: row.reference,
        topic: row.topic,
        test: row.test,
        fallback: rest,
        fellFrom: row.fellFrom ?? row._id,
        step,
        ...(recipient === null ? { skip: { reason: 'notInAccount' as const } } : {})
      }
    ])
  }

  /** M15: what is planned or held is cancelled; what is being sent cannot be. @returns how many */
  async function cancelRows(filter: Filter<MessageRow>): Promise<number> {
    const answer = await rows.updateMany({ ...filter, state: { $in: ['planned', 'held'] } } as Filter<MessageRow>, {
      $set: {
        state: 'skipped',
        reason: 'cancelled',
        lease: null,
        due: FAR,
        todo: true,
        parked: false,
        waitingFor: null,
        settledAt: clock.now()
      },
      $inc: { seq: 1 }
    })
    return answer.modifiedCount
  }

  async function get(id: string): Promise<MessageRow> {
    const row = await rows.findOne({ _id: id })
    if (row === null) throw new NotFound('no such message', { code: 'messages.not-found' })
    return row
  }

  return {
    rows,
    counters,
    runs,
    budget,
    follower,
    pumps,
    plan,
    messageId,
    get,

    ready: async () => {
      await model.createIndexes()
      await counterRows.createIndexes()
      await capRows.createIndexes()
      await runs.ready()
    },

    /** This process's pumps look at the account at once. */
    wake: (accountId: string) => pumps.wake(accountId),

    /** M15 of one message. @throws NotFound, Conflict when it is being sent or is through */
    async cancel(id: string): Promise<MessageRow> {
      const row = await get(id)
      if ((await cancelRows({ accountId: row.accountId, _id: id })) === 0) {
        throw new Conflict(`a message that is ${row.state} cannot be cancelled`, { code: 'messages.not-cancellable' })
      }
      return get(id)
    },

    /** All that is still planned under a caller's own name. @returns how many were cancelled */
    cancelReference: (accountId: string, reference: string) => cancelRows({ accountId, reference }),

    /** Ends a campaign's open runs and cancels their rows. */
    async cancelRuns(campaignId: string): Promise<void> {
      for (const runId of await runs.cancel(campaignId)) await cancelRows({ runId })
    },

    /**
     * Moves or rewrites a message while it is planned; moved, its deadline moves along unless another is given.
     * @throws NotFound, Conflict, InvalidInput when it would be due after its deadline
     */
    async patch(id: string, change: { dueAt?: Date; notAfter?: Date; data?: MessageRow['data'] }): Promise<MessageRow> {
      const row = await get(id)
      const dueAt = change.dueAt ?? row.dueAt
      const life = row.notAfter.getTime() - row.dueAt.getTime()
      const notAfter = change.notAfter ?? new Date(dueAt.getTime() + life)
      if (notAfter <= dueAt) {
        const message = 'notAfter must be later than the moment it is due'
        throw new InvalidInput(message, { errors: [{ pointer: '/notAfter', code: 'time.before-due', message }] })
      }
      const set: Record<string, unknown> = { notAfter }
      if (change.dueAt !== undefined) Object.assign(set, { due: dueAt, dueAt })
      if (change.data !== undefined) set.data = change.data
      const answer = await rows.updateOne(
        { accountId: row.accountId, _id: id, state: 'planned', lease: null },
        { $set: set }
      )
      if (answer.matchedCount === 0)
        throw new Conflict('only a planned message can be changed', { code: 'messages.not-planned' })
      pumps.wake(row.accountId)
      return get(id)
    },

    /** M13: an operator says what an unknown one was. @throws NotFound, Conflict when it is not unknown */
    async resolve(id: string, as: 'accepted' | 'failed'): Promise<MessageRow> {
      const row = await get(id)
      const answer = await rows.updateOne(
        { accountId: row.accountId, _id: id, state: 'unknown' },
        { $set: { state: as, by: 'operator', due: FAR, todo: true, settledAt: clock.now() }, $inc: { seq: 1 } }
      )
      if (answer.matchedCount === 0) {
        throw new Conflict(`only unknown messages are resolved; this one is ${row.state}`, {
          code: 'messages.not-unknown'
        })
      }
      return get(id)
    },

    /** M13 for a whole run. @returns how many */
    async resolveRun(runId: string, as: 'accepted' | 'failed'): Promise<number> {
      const answer = await rows.updateMany(
        { runId, state: 'unknown' },
        { $set: { state: as, by: 'operator', due: FAR, todo: true, settledAt: clock.now() }, $inc: { seq: 1 } }
      )
      return answer.modifiedCount
    },

    /**
     * M16: rows of a run go once more, by state, reason and code. What may have gone out never does; by receipt only
     * systemFailed. @returns how many
     */
    async retryRun(
      runId: string,
      which: { states: string[]; reasons?: string[]; errcodes?: number[] },
      notAfter: Date
    ): Promise<number> {
      const run = await runs.get(runId)
      if (run === null) throw new NotFound('no such run', { code: 'runs.not-found' })
      const now = clock.now()
      const filter = {
        runId,
        state: { $in: which.states.filter((state) => RETRYABLE.includes(state)) },
        fell: { $ne: true },
        ...(which.reasons === undefined ? {} : { reason: { $in: which.reasons } }),
        ...(which.errcodes === undefined ? {} : { code: { $in: which.errcodes } })
      } as Filter<MessageRow>
      const fresh = {
        state: 'planned',
        cap: null,
        window: null,
        by: null,
        reason: null,
        detail: null,
        code: null,
        lease: null,
        due: now,
        attempt: 0,
        parks: 0,
        closed: false,
        notAfter,
        todo: true,
        settledAt: null
      }
      const again = await rows.updateMany(
        {
          $and: [
            filter,
            { $or: [{ by: { $ne: 'receipt' } }, { reason: 'systemFailed' }] },
            { reason: { $ne: 'systemFailed' } }
          ]
        } as Filter<MessageRow>,
        { $set: fresh as any, $inc: { seq: 1 }, $unset: { firstSentAt: '' } }
      )
      const rounds = await rows.updateMany({ ...filter, by: 'receipt', reason: 'systemFailed' } as Filter<MessageRow>, {
        $set: { ...fresh, msgid: null } as any,
        $inc: { seq: 1, round: 1 },
        $unset: { firstSentAt: '' }
      })
      const n = again.modifiedCount + rounds.modifiedCount
      if (n > 0) {
        await runs.rows.updateOne({ _id: runId, state: 'finished' }, { $set: { state: 'sending', finishedAt: null } })
        pumps.wake(run.accountId)
      }
      return n
    },

    /** Stops everything of an account from the next slot block on, or lets it go on. */
    async halt(accountId: string, halted: boolean): Promise<void> {
      if (halted) await budget.stop(accountId, 'account')
      else await budget.go(accountId, 'account')
      pumps.wake(accountId)
    },

    /** What a card's page query carries (`hytag`), so that an open can be told; forgeable by nobody without the key. */
    tagOf,

    /** A person opened the card this tag was on. Unknown and forged tags change nothing. */
    async opened(accountId: string, tag: string, at: Date): Promise<void> {
      const id = tag.slice(0, tag.lastIndexOf('.'))
      if (tag !== tagOf(id)) return
      const seen = at < clock.now() ? at : clock.now()
      await rows.updateOne({ accountId, _id: id, openedAt: { $exists: false } }, { $set: { openedAt: seen } })
    },

    /** What is done each minute; safe at any time and twice at once. */
    sweep: createSweep({ rows, clock, accounts, credentials, budget, runs, wake: pumps.wake }),

    /** Everything due now is sent and settled, here and now; for tests and commands. */
    async settleAll(): Promise<void> {
      for (;;) {
        let moved = 0
        for (const account of await accounts.list()) {
          moved += await pumps.drain(account.id)
          moved += await follower.drain(account.id)
        }
        if (moved === 0) return
      }
    }
  }
}
export type Messages = ReturnType<typeof createMessages>

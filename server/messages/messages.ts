import type { Collection, Filter } from 'mongodb'
import type { Connection } from 'mongoose'
import { randomToken } from '../platform/ids.js'
import type { Clock } from '../platform/clock.js'
import type { Log } from '../platform/log.js'
import { insertNew } from '../platform/mongo.js'
import type { Sealer } from '../platform/sealing.js'
import { NotFound } from '../platform/errors.js'
import { Lane } from '../../shared/message.js'
import type { Accounts } from '../accounts/accounts.js'
import type { Credentials } from '../credentials/credentials.js'
import { createTags } from '../opens/tags.js'
import type { People } from '../people/people.js'
import type { Senders } from '../senders/senders.js'
import type { TokenCentre } from '../wechat/access-token.js'
import type { WordLists } from '../words/words.js'
import type { Alerts } from '../alerts/alerts.js'
import type { Webhooks } from '../webhooks/webhooks.js'
import type { Numbered } from './answers.js'
import { createBudget } from './budget.js'
import { createCaps } from './caps.js'
import { createCorrections } from './corrections.js'
import { createEffects } from './effects.js'
import type { Breakers } from '../breakers/breakers.js'
import type { BreakerRow } from '../breakers/model.js'
import { createFollower } from './follower.js'
import { NO_GUARDS, PER_PROBE } from './guarding.js'
import { capModel, counterModel, FAR, messageModel, type CapRow, type CounterRow, type MessageRow } from './model.js'
import { createMessageNews } from './news.js'
import { realPace, type Pace } from './pace.js'
import { rowOf, type PlanInput } from './plan.js'
import { createPrepare, wakeParked } from './prepare.js'
import { createAccountPump } from './pump.js'
import { createPumps } from './pumps.js'
import { createRuns } from './runs.js'
import { createSweep } from './sweep.js'

export type { PlanInput } from './plan.js'
export type { Numbered } from './answers.js'

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
  /** Without it nothing trips. */
  breakers?: Breakers
  /** Without it every word may be sent. */
  words?: Pick<WordLists, 'finders'>
  /** Told what is wrong; without it that is only logged. */
  alerts?: Pick<Alerts, 'raise'>
  /** Told what becomes of messages; without it nobody is. */
  webhooks?: Pick<Webhooks, 'wanted' | 'file'>
  /** What the outside calls this server: links lead through it. Without it they go out as they are. */
  publicUrl?: string
}

/** Of the hash that tells a run's messages from another's. */
const RUN_CHARACTERS = 11

/** Rows that are let go on in one command. */
const LOOSENED = 5_000

/** The messages room: the rows that prove what happened to every message, and the machinery that moves them. */
export function createMessages(parts: MessagesParts) {
  const { db, clock, log, sealer, accounts, people, credentials } = parts
  const guards = parts.breakers ?? NO_GUARDS
  const pace = parts.pace ?? realPace
  const tags = createTags({ sealer, publicUrl: parts.publicUrl })
  const model = messageModel(db)
  const counterRows = counterModel(db)
  const capRows = capModel(db)
  const rows = model.collection as unknown as Collection<MessageRow>
  const counters = counterRows.collection as unknown as Collection<CounterRow>
  const budget = createBudget({ db, pace })
  const runs = createRuns({ db, clock, budget })
  const caps = createCaps({ caps: capRows.collection as unknown as Collection<CapRow>, messages: rows })
  let askStopped = async (_waitIds: string[]): Promise<Set<string>> => new Set()
  const stoppedWaits = (waitIds: string[]) => askStopped(waitIds)
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
    guards,
    words: parts.words ?? null,
    stoppedWaits
  })
  const effect = createEffects({ clock, log, accounts, people, budget, alerts: parts.alerts })
  const listeners: ((accountId: string, messages: Numbered[]) => Promise<void>)[] = []
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
        guards,
        stoppedWaits,
        numbered: async (id, messages) => {
          for (const listener of listeners) await listener(id, messages)
        },
        effect,
        lead: tags.lead
      })
  })
  const { cancelRows, ...corrections } = createCorrections({ rows, clock, runs, wake: (id) => pumps.wake(id) })
  const follower = createFollower({
    db,
    rows,
    counters,
    clock,
    credentials,
    caps,
    runs,
    fallBack,
    hear: parts.breakers?.hear,
    tell: parts.webhooks && createMessageNews({ rows, webhooks: parts.webhooks })
  })

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
  /** A run's messages lie together, in the order of the recipients: neighbours in the audience, neighbours in the store. */
  function runMessageIds(runId: string): (whom: string) => string {
    const run = sealer.hash('run', runId).slice(0, RUN_CHARACTERS)
    return (whom) => run + whom
  }

  /** M1: files messages; those already there count as duplicates and stay as they are. Wakes this process's pumps. */
  async function plan(inputs: PlanInput[]): Promise<{ planned: number; duplicates: number }> {
    if (inputs.length === 0) return { planned: 0, duplicates: 0 }
    const now = clock.now()
    const { size: duplicates } = await insertNew(
      rows,
      inputs.map((input) => rowOf(input, now))
    )
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
        waitId: row.waitId,
        fallback: rest,
        fellFrom: row.fellFrom ?? row._id,
        step,
        ...(row.capLimit !== undefined && { capLimit: row.capLimit }),
        ...(recipient === null ? { skip: { reason: 'notInAccount' as const } } : {})
      }
    ])
  }

  /**
   * What waits for this need wait no longer: it is looked at now. Whatever still holds it holds it again. `only`: of one
   * template, or so many at most.
   */
  async function loosen(
    accountId: string,
    waitingFor: NonNullable<MessageRow['waitingFor']>,
    only: { templateId?: string; limit?: number } = {}
  ): Promise<void> {
    const now = clock.now()
    const waiting = {
      accountId,
      lane: { $in: Lane.options },
      due: { $gt: now, $lt: FAR },
      state: 'planned' as const,
      waitingFor,
      lease: null,
      ...(only.templateId !== undefined && { templateId: only.templateId })
    }
    // a few thousand at a time: a million rows in one command would keep everybody else waiting
    for (let left = only.limit ?? Infinity; left > 0; left -= LOOSENED) {
      const limit = Math.min(left, LOOSENED)
      const some = await rows
        .find(waiting, { projection: { _id: 1 } })
        .limit(limit)
        .toArray()
      if (some.length === 0) return
      const which = { ...waiting, _id: { $in: some.map((row) => row._id) } }
      await rows.updateMany(which, { $set: { due: now, waitingFor: null } })
      pumps.wake(accountId)
      if (some.length < limit) return
    }
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
    runMessageIds,

    ready: async () => {
      await model.createIndexes()
      await counterRows.createIndexes()
      await capRows.createIndexes()
      await runs.ready()
    },

    /** This process's pumps look at the account at once. */
    wake: (accountId: string) => pumps.wake(accountId),

    ...corrections,

    /** What waits for a breaker that tries: a few of its messages look again; for one that closed: all of them. */
    async letTry({ accountId, templateId, state, probesLeft }: BreakerRow): Promise<void> {
      if (state === 'open' || (state === 'halfOpen' && probesLeft <= 0)) return
      await loosen(accountId, 'breaker', {
        ...(templateId !== null && { templateId }),
        ...(state === 'halfOpen' && { limit: probesLeft * PER_PROBE })
      })
    },

    loosen,

    /** Tells of messages whose numbers this process has just stored; may be missed by a crash. */
    onNumbered(listener: (accountId: string, messages: Numbered[]) => Promise<void>): void {
      listeners.push(listener)
    },

    /** Says who knows which waits an event stopped meanwhile. To be called while the rooms are built. */
    onStoppedWaits(asked: (waitIds: string[]) => Promise<Set<string>>): void {
      askStopped = asked
    },

    /** Stops everything of an account from the next slot block on, or lets it go on. */
    async halt(accountId: string, halted: boolean): Promise<void> {
      if (halted) await budget.stop(accountId, 'account')
      else await budget.go(accountId, 'account')
      pumps.wake(accountId)
    },

    tags,

    /**
     * O1: these cards were opened, not before they went out. The first time counts and moves no state: the follower adds
     * it to the counters.
     */
    async opened(seen: { row: MessageRow; at: Date }[]): Promise<void> {
      const now = clock.now()
      const first = seen.filter(({ row }) => row.openedAt === undefined)
      if (first.length === 0) return
      await rows.bulkWrite(
        first.map(({ row: { accountId, _id, sentAt, createdAt }, at }) => ({
          updateOne: {
            filter: { accountId, _id, openedAt: { $exists: false } },
            update: {
              $set: { openedAt: between(sentAt ?? createdAt, at, now), todo: true },
              $inc: { seq: 1 }
            }
          }
        })),
        { ordered: false }
      )
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

/** A phone's clock may be off by years. */
const between = (first: Date, at: Date, last: Date): Date => (at > last ? last : at < first ? first : at)

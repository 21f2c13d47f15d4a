import type { Collection, Filter } from 'mongodb'
import type { Connection } from 'mongoose'
import type { BreakerNumbers, BreakerReason, BreakerView } from '../../shared/breaker.js'
import { DAY_MS } from '../../shared/limits.js'
import type { PageQuery } from '../../shared/page.js'
import type { Account, Accounts } from '../accounts/accounts.js'
import type { Clock } from '../platform/clock.js'
import { NotFound } from '../platform/errors.js'
import type { Log } from '../platform/log.js'
import { ignoreDuplicate, isDuplicateKey } from '../platform/mongo.js'
import { listPage } from '../platform/page.js'
import {
  kindOf,
  NO_ANSWERS,
  numbersOf,
  probeVerdict,
  restOf,
  tripOf,
  windowStart,
  type AnswerKind,
  type Minutes
} from './judge.js'
import { breakerModel, countsModel, type BreakerRow, type CountsRow } from './model.js'
import { isSuspect, type Standing } from './standing.js'

/** Answers the follower has found in settled rows: how many of a template said what. */
export type Heard = { templateId: string; code: number; n: number }
/** Told of every change: a breaker that opened, tries, or closed. May be told again of the same one. */
export type BreakerListener = (row: BreakerRow) => Promise<void>

const CACHE_MS = 1_000
/** How long a try waits for its answers before it lets others try. */
const PATIENCE_MS = 10 * 60_000
/** Receipts come after answers: a try is judged this long after its last message went out. */
const RECEIPTS_MS = 10_000
/** Processes hear of a change within a second; for this long those who follow are told of a closed one again. */
const TOLD_AGAIN_MS = 60_000
/** Counts of an account that sends nothing any more are forgotten. */
const KEPT_MS = 2 * DAY_MS

const idOf = (accountId: string, templateId: string | null) =>
  templateId === null ? accountId : `${accountId}:${templateId}`
/** Names of fields hold neither dots nor dollars. */
const field = (name: string) => name.replaceAll('.', '_').replaceAll('$', '_')

/**
 * The breakers room: one breaker a template and one an account. They live on counts the follower writes batch by batch,
 * so all workers see one truth, and move by conditional updates, so each trip happens once.
 */
export function createBreakers({
  db,
  clock,
  log,
  accounts
}: {
  db: Connection
  clock: Clock
  log: Log
  accounts: Pick<Accounts, 'get'>
}) {
  const model = breakerModel(db)
  const countsRows = countsModel(db)
  const rows = model.collection as unknown as Collection<BreakerRow>
  const counts = countsRows.collection as unknown as Collection<CountsRow>
  const listeners: BreakerListener[] = []
  const cache = new Map<string, { at: number; standing: Standing }>()
  /** Breakers known to have a row. */
  const known = new Set<string>()

  /** Those of an account that are not closed; at most a second old. */
  async function standing(accountId: string): Promise<Standing> {
    const now = clock.monotonic()
    const seen = cache.get(accountId)
    if (seen !== undefined && Math.abs(now - seen.at) < CACHE_MS) return seen.standing
    const fresh = await rows.find({ accountId, state: { $in: ['open', 'halfOpen'] } }).toArray()
    cache.set(accountId, { at: now, standing: fresh })
    return fresh
  }

  /** Moves a breaker on as it was seen; false when somebody else did. */
  async function move(seen: BreakerRow, set: Partial<BreakerRow>): Promise<boolean> {
    const { matchedCount } = await rows.updateOne(
      { _id: seen._id, state: seen.state, rev: seen.rev },
      { $set: { ...set, changedAt: clock.now(), todo: true }, $inc: { rev: 1 } }
    )
    cache.delete(seen.accountId)
    if (matchedCount === 1) {
      const { accountId, templateId } = seen
      log.warn({ accountId, templateId, state: set.state, reason: set.reason }, 'a breaker moved')
    }
    return matchedCount === 1
  }

  /** A row for each breaker there is, closed at first. */
  async function present(accountId: string, templateIds: string[]): Promise<void> {
    for (const templateId of [null, ...templateIds]) {
      const _id = idOf(accountId, templateId)
      if (known.has(_id)) continue
      const fresh: BreakerRow = {
        _id,
        accountId,
        templateId,
        state: 'closed',
        reason: null,
        tripped: null,
        changedAt: clock.now(),
        until: null,
        probesLeft: 0,
        probedAt: null,
        trips: 0,
        strict: false,
        todo: false,
        rev: 1
      }
      await rows.insertOne(fresh).catch(ignoreDuplicate)
      known.add(_id)
    }
  }

  async function trip(row: BreakerRow, account: Account, reason: BreakerReason, numbers: BreakerNumbers) {
    const trips = row.trips + 1
    const until = new Date(clock.now().getTime() + restOf(trips, account.breaker))
    const strict = row.templateId === null && reason === 'punished'
    await move(row, { state: 'open', reason, tripped: numbers, until, probesLeft: 0, probedAt: null, trips, strict })
  }

  /** Looks at one account's breakers with these counts; moves those whose time or numbers have come. */
  async function judge(account: Account, minutes: Minutes): Promise<void> {
    const now = clock.now()
    const from = windowStart(now, account.breaker)
    const mine = await rows.find({ accountId: account.id }).toArray()
    const apart = new Set<string>()
    for (const row of mine) {
      if (row.templateId === null) continue
      if ((await moved(row)) !== 'closed') apart.add(field(row.templateId))
    }
    // one bad template must not stop all the others
    const whole = mine.find((row) => row.templateId === null)
    if (whole !== undefined) await moved(whole)

    async function moved(row: BreakerRow): Promise<BreakerRow['state']> {
      const which = row.templateId === null ? { without: apart } : { template: field(row.templateId) }
      const numbers = numbersOf(minutes, from, which)
      if (row.state === 'closed') {
        const reason = tripOf(numbers, account.breaker, row.templateId === null ? 'account' : 'template')
        if (reason === null) return 'closed'
        await trip(row, account, reason, numbers)
      } else if (row.state === 'halfOpen') await judgeTry(row, numbers)
      return row.state === 'closed' ? 'open' : row.state
    }

    async function judgeTry(row: BreakerRow, numbers: BreakerNumbers): Promise<void> {
      const late = row.until !== null && row.until <= now
      const told = row.probedAt === null || now.getTime() - row.probedAt.getTime() >= RECEIPTS_MS
      const through = late || (numbers.total >= account.breaker.probes && told)
      const said = probeVerdict(numbers, account.breaker, through)
      if (said.verdict === 'bad') await trip(row, account, said.reason, numbers)
      else if (said.verdict === 'good') {
        const until = new Date(now.getTime() + TOLD_AGAIN_MS)
        await move(row, { state: 'closed', reason: null, tripped: null, until, trips: 0, strict: false })
      } else if (late) {
        // nobody answered, perhaps nobody went: others may try
        const until = new Date(now.getTime() + PATIENCE_MS)
        await rows.updateOne(
          { _id: row._id, state: 'halfOpen', rev: row.rev },
          { $set: { until, probesLeft: account.breaker.probes }, $inc: { rev: 1 } }
        )
        cache.delete(row.accountId)
      }
    }
  }

  /** open → halfOpen: what was counted before says nothing about the try. */
  async function tryAgain(row: BreakerRow, account: Account): Promise<void> {
    const seen = await counts.findOne({ _id: row.accountId })
    const paths = Object.keys(seen?.m ?? {}).map((minute) =>
      row.templateId === null ? `m.${minute}` : `m.${minute}.${field(row.templateId)}`
    )
    if (paths.length > 0) {
      await counts.updateOne(
        { _id: row.accountId },
        { $unset: Object.fromEntries(paths.map((path) => [path, 1 as const])) }
      )
    }
    const until = new Date(clock.now().getTime() + PATIENCE_MS)
    await move(row, { state: 'halfOpen', until, probesLeft: account.breaker.probes, probedAt: null })
  }

  /** Minutes that are out of every window. */
  async function forget(accountId: string, minutes: Minutes, from: Date): Promise<void> {
    const old = Object.keys(minutes).filter((minute) => Number(minute) < from.getTime())
    if (old.length === 0) return
    const paths = Object.fromEntries(old.map((minute) => [`m.${minute}`, 1 as const]))
    await counts.updateOne({ _id: accountId }, { $unset: paths })
  }

  /** Tells those who follow of changes nobody has heard of yet; also of `more`. */
  async function tell(filter: Filter<BreakerRow> = {}, more: Filter<BreakerRow>[] = []): Promise<void> {
    const which = { $or: [{ ...filter, todo: true }, ...more] }
    for (const row of await rows.find(which).toArray()) {
      cache.delete(row.accountId)
      for (const listener of listeners) await listener(row)
      await rows.updateOne({ _id: row._id, rev: row.rev }, { $set: { todo: false } })
    }
  }

  const orNull = async (accountId: string) =>
    accounts.get(accountId).catch((error: unknown) => {
      if (error instanceof NotFound) return null
      throw error
    })

  async function view(row: BreakerRow): Promise<BreakerView> {
    const { _id: id, accountId, templateId, state, reason, tripped, changedAt, until, trips } = row
    const account = await orNull(accountId)
    const minutes = (await counts.findOne({ _id: accountId }))?.m ?? {}
    const others = await rows.find({ accountId, templateId: { $ne: null }, state: { $ne: 'closed' } }).toArray()
    const without = new Set(others.map((each) => field(each.templateId!)))
    const which = templateId === null ? { without } : { template: field(templateId) }
    const from = account === null ? clock.now() : windowStart(clock.now(), account.breaker)
    const numbers = account === null ? NO_ANSWERS : numbersOf(minutes, from, which)
    const triesAt = state === 'open' ? until : null
    return { id, accountId, templateId, state, reason, numbers, tripped, changedAt, triesAt, trips }
  }

  return {
    async ready(): Promise<void> {
      await model.createIndexes()
      await countsRows.createIndexes()
    },

    standing,

    /** As read lately, without asking: what this process knew when it last looked. */
    isSuspect: (accountId: string, templateId: string): boolean =>
      isSuspect(cache.get(accountId)?.standing ?? [], templateId),

    /** Tells of every change. To be called while the rooms are built. */
    onChange: (listener: BreakerListener): void => void listeners.push(listener),

    /**
     * The follower's batch `b` of an account, heard at `minute`. The same batch again changes nothing: a crash in between
     * repeats it.
     */
    async hear(accountId: string, b: number, minute: Date, heard: Heard[]): Promise<void> {
      const deltas: Record<string, number> = {}
      const templateIds = new Set<string>()
      for (const { templateId, code, n } of heard) {
        const kind: AnswerKind | null = kindOf(code)
        if (kind === null) continue
        templateIds.add(templateId)
        const path = `m.${minute.getTime()}.${field(templateId)}.${kind}`
        deltas[path] = (deltas[path] ?? 0) + n
      }
      if (templateIds.size === 0) return
      const account = await orNull(accountId)
      if (account === null) return
      await present(accountId, [...templateIds])
      const after = await counts
        .findOneAndUpdate(
          { _id: accountId, b: { $lt: b } },
          { $inc: deltas, $set: { b, removeAt: new Date(clock.now().getTime() + KEPT_MS) } } as never,
          { upsert: true, returnDocument: 'after' }
        )
        .catch((error: unknown) => {
          if (!isDuplicateKey(error)) throw error
          return counts.findOne({ _id: accountId }) // counted before
        })
      await judge(account, after?.m ?? {})
      await tell({ accountId })
    },

    /** Takes up to `k` of a try's messages. @returns how many may go */
    async probes(id: string, k: number): Promise<number> {
      const before = await rows.findOneAndUpdate(
        { _id: id, state: 'halfOpen', probesLeft: { $gt: 0 } },
        [
          {
            $set: {
              probesLeft: { $max: [0, { $subtract: ['$probesLeft', k] }] },
              probedAt: clock.now()
            }
          }
        ] as never,
        { returnDocument: 'before' }
      )
      return before === null ? 0 : Math.min(k, before.probesLeft)
    },

    /** Time passes: those that have rested try again, tries are judged, and changes nobody heard of are told. */
    async sweep(): Promise<void> {
      const now = clock.now()
      for (const row of await rows.find({ state: 'open', until: { $lte: now } }).toArray()) {
        const account = await orNull(row.accountId)
        if (account !== null) await tryAgain(row, account)
      }
      for (const accountId of await rows.distinct('accountId', { state: 'halfOpen' })) {
        const account = await orNull(accountId)
        if (account !== null) await judge(account, (await counts.findOne({ _id: accountId }))?.m ?? {})
      }
      for (const { _id, m = {} } of await counts.find({}).toArray()) {
        const account = await orNull(_id)
        if (account !== null) await forget(_id, m, windowStart(now, account.breaker))
        else {
          // the account was removed
          await rows.deleteMany({ accountId: _id })
          await counts.deleteOne({ _id })
        }
      }
      // a try that has messages left: those it was offered could not go
      const trying = { state: 'halfOpen' as const, probesLeft: { $gt: 0 } }
      // one that has closed: somebody may have been sent to wait who had not heard of it yet
      await tell({}, [trying, { state: 'closed', until: { $gt: now } }])
    },

    /** An operator lets it try at once; one that tries already gets its tries anew. Closed ones stay. @throws NotFound */
    async reset(id: string): Promise<BreakerView> {
      const row = await find(id)
      const account = await orNull(row.accountId)
      if (row.state !== 'closed' && account !== null) await tryAgain(row, account)
      await tell({ accountId: row.accountId })
      return view(await find(id))
    },

    /** Those that are not closed: what somebody should look at. */
    list: (): Promise<BreakerRow[]> => rows.find({ state: { $in: ['open', 'halfOpen'] } }).toArray(),

    /** @throws NotFound */
    find,

    page: (filter: Record<string, unknown>, query: PageQuery) =>
      listPage(rows, { filter, query, sortable: ['changedAt', 'id'], defaultSort: '-changedAt' }, view)
  }

  async function find(id: string): Promise<BreakerRow> {
    const row = await rows.findOne({ _id: id })
    if (row === null) throw new NotFound('no such breaker', { code: 'breakers.not-found' })
    return row
  }
}
export type Breakers = ReturnType<typeof createBreakers>

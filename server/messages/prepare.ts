import type { Collection } from 'mongodb'
import type { Clock } from '../platform/clock.js'
import type { Account } from '../accounts/accounts.js'
import type { Credentials } from '../credentials/credentials.js'
import type { Place } from '../credentials/credentials.js'
import type { Held, Letting, Want } from '../credentials/holds.js'
import { fits, holdName } from '../credentials/holds.js'
import type { Source } from '../../shared/credential.js'
import type { SkipReason } from '../../shared/message.js'
import { POLICIES } from '../credentials/terms.js'
import type { Sealer } from '../platform/sealing.js'
import type { Recipient } from '../people/recipients.js'
import { capKey, windowKey, type Caps, type CapWant } from './caps.js'
import { gate, quietUntil } from './gates.js'
import type { MessageRow, RowHold } from './model.js'
import { FAR } from './model.js'
import { lettingOf } from './release.js'
import type { Runs } from './runs.js'
import type { Pace } from './pace.js'

/** How long a lease runs, and how much of it a request may still be started in (lease − HTTP timeout − 5 s). */
export const LEASE_MS = 30_000
export const FIRE_WITHIN_MS = 15_000

/** A leased row with everything it needs in hand: only its slot is missing. */
export type Ready = {
  row: MessageRow
  lease: string
  /** When the lease was asked for, before the command: by the beat and by the wall. */
  leasedAt: { monotonic: number; wall: number }
  hold: RowHold
  /** The bare formId or prepay_id; null where the channel needs none. */
  value: string | null
  openId: string
  cap: { key: string; name: string } | null
  window: { key: string; name: string } | null
  liveForMs: number | null
  /** M8 was written: the row says `sending`. */
  marked: boolean
  doubt: boolean
}

/** The part of the people room the pump needs. */
export type PumpPeople = {
  addresses(recipientIds: string[]): Promise<Map<string, { recipient: Recipient; openId: string | null }>>
  optedOut(personIds: string[], topic?: string | null): Promise<Set<string>>
}

export type PrepareParts = {
  rows: Collection<MessageRow>
  clock: Clock
  pace: Pace
  sealer: Sealer
  random: () => number
  newLease: () => string
  credentials: Credentials
  people: PumpPeople
  runs: Runs
  caps: Caps
  /** Waits an event stopped meanwhile (by wait id). */
  stoppedWaits: (waitIds: string[]) => Promise<Set<string>>
}

/** Does this message need a right to send, or is a follower enough? */
export function needsCredential(
  account: Pick<Account, 'serviceWindow'>,
  row: Pick<MessageRow, 'channel' | 'lane' | 'test'>
): boolean {
  if (row.channel !== 'service') return true
  return row.lane === 'bulk' ? account.serviceWindow.bulk : account.serviceWindow.transactional
}

/** Sources the account may not use now. */
export function sourcesOff(account: Pick<Account, 'sources'>): Source[] {
  return (Object.keys(account.sources) as Source[]).filter((source) => account.sources[source]?.enabled === false)
}

/**
 * Leases due rows and takes them through the gates up to their slot (docs/ledger.md B, M2 to the cap). Each step is one
 * bulk command; a row that falls out is settled here.
 */
export function createPrepare(parts: PrepareParts) {
  const { rows, clock, pace, credentials, people, runs, caps, random } = parts

  /** Ids of due rows, transactional first, at most one per recipient and none of `busy`. */
  async function dueIds(account: Account, limit: number, busy: ReadonlySet<string>, now: Date) {
    const { paused } = await runs.closedOf(account.id)
    const offline: Record<string, unknown>[] = []
    if (account.paused) offline.push({ state: 'sending' })
    else if (paused.size > 0) offline.push({ runId: { $nin: [...paused] } }, { state: 'sending' })
    const found: Pick<MessageRow, '_id' | 'state' | 'recipientId'>[] = []
    const taken = new Set<string>()
    for (const lane of ['transactional', 'bulk'] as const) {
      if (found.length >= limit) break
      const part = await rows
        .find(
          {
            accountId: account.id,
            lane,
            due: { $lte: now },
            state: { $in: ['planned', 'held', 'sending'] },
            ...(offline.length > 0 ? { $or: offline } : {})
          },
          { projection: { state: 1, recipientId: 1 } }
        )
        .sort({ due: 1 })
        .limit(limit - found.length + Math.min(busy.size, 100))
        .toArray()
      for (const row of part) {
        const who = row.recipientId ?? row._id
        if (busy.has(who) || taken.has(who) || found.length >= limit) continue
        taken.add(who)
        found.push(row)
      }
    }
    return found
  }

  /** M2a, M2b and the read that tells which are mine. */
  async function lease(
    ids: Pick<MessageRow, '_id' | 'state'>[],
    accountId: string,
    now: Date,
    t: string
  ): Promise<MessageRow[]> {
    const until = new Date(now.getTime() + LEASE_MS)
    const calm = ids.filter((row) => row.state !== 'sending').map((row) => row._id)
    const doubt = ids.filter((row) => row.state === 'sending').map((row) => row._id)
    if (calm.length > 0) {
      await rows.updateMany(
        { accountId, _id: { $in: calm }, state: { $in: ['planned', 'held'] }, due: { $lte: now } },
        { $set: { lease: t, due: until }, $inc: { n: 1 } }
      )
    }
    if (doubt.length > 0) {
      await rows.updateMany(
        { accountId, _id: { $in: doubt }, state: 'sending', due: { $lte: now } },
        { $set: { lease: t, due: until, 'hold.doubt': true }, $inc: { n: 1 } }
      )
    }
    return rows.find({ accountId, _id: { $in: ids.map((row) => row._id) }, lease: t }).toArray()
  }

  /** M3: reservations of an earlier turn that were never let go. */
  async function leftovers(mine: MessageRow[]): Promise<void> {
    const left = mine.filter((row) => row.state === 'planned' && row.hold !== null && row.hold.settled !== true)
    if (left.length === 0) return
    await credentials.holds.letGo(left.map((row) => lettingOf(row)).filter((each): each is Letting => each !== null))
    await rows.bulkWrite(
      left.map((row) => ({
        updateOne: {
          filter: { accountId: row.accountId, _id: row._id, state: 'planned', 'hold.h': row.hold!.h },
          update: { $set: { 'hold.settled': true } }
        }
      })),
      { ordered: false }
    )
    for (const row of left) row.hold!.settled = true
  }

  return {
    /**
     * Takes up to `limit` due rows on; rows of recipients in `busy` are left alone. @returns those that need only their
     * slot, and how many were taken up in all (the others are settled or wait)
     */
    async take(
      account: Account,
      limit: number,
      busy: ReadonlySet<string>
    ): Promise<{ ready: Ready[]; leased: number }> {
      const leasedAt = { monotonic: pace.monotonic(), wall: clock.now().getTime() }
      const now = clock.now()
      const ids = await dueIds(account, limit, busy, now)
      if (ids.length === 0) return { ready: [], leased: 0 }
      const t = parts.newLease()
      const mine = await lease(ids, account.id, now, t)
      if (mine.length === 0) return { ready: [], leased: 0 }
      await leftovers(mine)

      const out: any[] = [] // M4, M4b, M4c, M5 of this turn
      const mineOf = (row: MessageRow, states: string[]) => ({
        accountId: row.accountId,
        _id: row._id,
        state: { $in: states },
        lease: t
      })
      const write = (row: MessageRow, states: string[], update: object) =>
        out.push({ updateOne: { filter: mineOf(row, states), update } })
      const stop = (
        row: MessageRow,
        state: 'skipped' | 'expired',
        reason: SkipReason | null,
        detail: string | null,
        hold?: RowHold
      ) => {
        const falls =
          reason !== null && (reason === 'noCredential' || reason === 'suppressed') && row.fallback.length > 0
        write(row, ['planned', 'held'], {
          $set: {
            state,
            reason,
            detail,
            lease: null,
            due: FAR,
            waitingFor: null,
            todo: true,
            settledAt: now,
            parked: false,
            ...(falls ? { fell: true } : {}),
            ...(hold === undefined ? {} : { hold })
          },
          $inc: { seq: 1 }
        })
      }
      const delay = (row: MessageRow, until: Date, waitingFor: MessageRow['waitingFor']) => {
        const due = new Date(Math.min(until.getTime(), row.notAfter.getTime()))
        const had = row.hold !== null && row.hold.settled !== true
        write(row, ['planned', 'held'], {
          $set: { state: 'planned', due, lease: null, waitingFor, ...(had ? { todo: true } : {}) },
          ...(had ? { $inc: { seq: 1 } } : {})
        })
      }
      // M4c
      const giveUp = (row: MessageRow, reason: string) =>
        write(row, ['sending'], {
          $set: {
            state: 'unknown',
            reason,
            due: new Date(now.getTime() + 72 * 3_600_000),
            lease: null,
            todo: true,
            settledAt: now
          },
          $inc: { seq: 1 }
        })
      const soon = (ms: number) => new Date(now.getTime() + ms * (0.75 + 0.5 * random()))

      // gates
      const recipientIds = [...new Set(mine.map((row) => row.recipientId).filter((id): id is string => id !== null))]
      const waits = mine.map((row) => row.waitId).filter((id): id is string => id !== null)
      const [addresses, optedOut, stoppedWaits, closed] = await Promise.all([
        people.addresses(recipientIds),
        optedOutRows(people, mine),
        waits.length === 0 ? new Set<string>() : parts.stoppedWaits(waits),
        runs.closedOf(account.id)
      ])
      const going: MessageRow[] = []
      const quiet = account.quietHours !== null && quietUntil(now, account.quietHours, account.zone) !== null
      const dying = quiet
        ? await credentials.lastExpiry(
            account.id,
            mine.filter((row) => row.lane === 'bulk' && row.recipientId !== null) as Place[]
          )
        : null
      for (const row of mine) {
        const address = row.recipientId === null ? undefined : addresses.get(row.recipientId)
        const recipient = address?.recipient
        const decided = gate(row, {
          now,
          run:
            row.runId === null
              ? 'online'
              : closed.cancelled.has(row.runId)
                ? 'cancelled'
                : closed.paused.has(row.runId)
                  ? 'paused'
                  : 'online',
          accountPaused: account.paused,
          optedOut: optedOut.has(row._id),
          reach: recipient?.reach ?? 'ok',
          follower: recipient?.follower ?? false,
          waitStopped: row.waitId !== null && stoppedWaits.has(row.waitId),
          quiet: account.quietHours,
          zone: account.zone,
          rightDiesAt: row.recipientId === null ? null : (dying?.get(row.recipientId) ?? null)
        })
        if ('go' in decided) {
          if (address?.openId != null) going.push(row)
          else if (row.state === 'sending') giveUp(row, 'notInAccount')
          else stop(row, 'skipped', 'notInAccount', null)
        } else if ('stop' in decided) {
          if (decided.stop === 'expired') stop(row, 'expired', null, null)
          else stop(row, 'skipped', decided.reason, decided.detail ?? null)
        } else if ('giveUp' in decided) {
          giveUp(row, decided.giveUp)
        } else if (row.state === 'sending') {
          write(row, ['sending'], { $set: { due: decided.delay, lease: null } })
        } else delay(row, decided.delay, decided.waitingFor)
      }

      // credentials: C3, C4 for planned rows; the named ones read again for the others
      const wants: Want[] = []
      const without = sourcesOff(account)
      for (const row of going) {
        if (row.state !== 'planned' || !needsCredential(account, row)) continue
        wants.push({
          m: row._id,
          n: row.n,
          accountId: account.id,
          recipientId: row.recipientId!,
          channel: row.channel,
          templateId: row.templateId,
          leave: leaveOf(account, row),
          without
        })
      }
      const named = going
        .filter((row) => row.state !== 'planned' && row.hold?.cred != null)
        .map((row) => row.hold!.cred!)
      const [held, values] = await Promise.all([
        credentials.holds.hold(wants),
        credentials.holds.values(account.id, named)
      ])

      const ready: Ready[] = []
      const parkedRows: MessageRow[] = []
      const add = (row: MessageRow, hold: RowHold, sealed: string | null, liveAt: Date | null) =>
        ready.push({
          row,
          lease: t,
          leasedAt,
          hold,
          value: sealed === null ? null : parts.sealer.open(sealed),
          openId: addresses.get(row.recipientId!)!.openId!,
          cap: null,
          window: row.window ?? null,
          liveForMs: liveAt === null ? null : now.getTime() - liveAt.getTime(),
          marked: false,
          doubt: row.state === 'sending'
        })
      for (const row of going) {
        if (row.state !== 'planned') {
          const credential = row.hold?.cred == null ? null : values.get(row.hold.cred)
          if (row.state === 'sending') {
            if (row.hold!.cred !== null && credential == null)
              write(row, ['sending'], { $set: { due: soon(30_000), lease: null } })
            else add(row, row.hold!, credential?.sealed ?? null, credential?.liveAt ?? null)
            continue
          }
          // held: its credential may have run out meanwhile
          const good =
            row.hold!.cred === null ||
            (credential != null &&
              (credential.unlimited || credential.holds.includes(row.hold!.h)) &&
              fits(
                { ...credential, notBefore: new Date(0) },
                { channel: row.channel, templateId: row.templateId, without },
                now
              ))
          if (good) add(row, row.hold!, credential?.sealed ?? null, credential?.liveAt ?? null)
          else delay(row, now, null)
          continue
        }
        if (!needsCredential(account, row)) {
          add(row, { cred: null, h: holdName(row._id, row.n), source: 'none', doubt: false }, null, null)
          continue
        }
        const answer = held.get(row._id) ?? 'none'
        if (answer === 'busy') delay(row, soon(2000), null)
        else if (answer === 'none') {
          if (!row.waitForCredential) stop(row, 'skipped', 'noCredential', null)
          else {
            const wait = Math.min(5000 * 2 ** Math.min(row.parks, 10), 600_000)
            write(row, ['planned'], {
              $set: {
                parked: true,
                lease: null,
                waitingFor: 'credential',
                due: new Date(Math.min(now.getTime() + wait, row.notAfter.getTime()))
              },
              $inc: { parks: 1 }
            })
            parkedRows.push(row)
          }
        } else add(row, holdOf(answer), answer.sealed, null)
      }
      await addLiveTimes(credentials, account.id, ready, now)

      // caps: a person's day, and a window source's own
      const passed = await takeCaps(account, ready, now, (item, kind) => {
        const { row, hold } = item
        if (kind === 'capped') {
          if (item.doubt) giveUp(row, 'capped')
          else stop(row, 'skipped', 'capped', null, hold)
        } else if (item.doubt) write(row, ['sending'], { $set: { due: soon(10_000), lease: null } })
        else
          write(row, ['planned', 'held'], {
            $set: { state: 'held', hold, parked: false, due: soon(10_000), lease: null }
          })
      })

      if (out.length > 0) await rows.bulkWrite(out, { ordered: false })
      // M5's second look: a right that came between the search and the parking
      if (parkedRows.length > 0) {
        const live = await credentials.reachableAny(
          account.id,
          parkedRows.map((row) => placeOf(account, row)),
          without
        )
        if (live.length > 0) await wakeParked(rows, account.id, live, now)
      }
      return { ready: passed, leased: mine.length }
    }
  }

  async function takeCaps(
    account: Account,
    ready: Ready[],
    now: Date,
    turnAway: (item: Ready, kind: 'wait' | 'capped') => void
  ): Promise<Ready[]> {
    const limit = account.caps.perPersonPerDay
    const wants: CapWant[] = []
    const names = new Map<CapWant, string>()
    const owner = new Map<CapWant, { item: Ready; kind: 'person' | 'window' }>()
    for (const item of ready) {
      const { row } = item
      const name = holdName(row._id, row.n)
      if (limit !== null && !row.test) {
        const key = capKey(account.id, row.recipientId!, now)
        if (row.cap?.key === key) item.cap = row.cap
        else {
          const want = { row, key, limit, stops: row.lane === 'bulk' || account.caps.stopTransactional }
          wants.push(want)
          names.set(want, name)
          owner.set(want, { item, kind: 'person' })
        }
      }
      const perDay =
        item.hold.source === 'none'
          ? null
          : (account.sources[item.hold.source]?.perDay ?? POLICIES[item.hold.source].perDay)
      if (perDay !== null && item.hold.cred !== null && !item.doubt) {
        const key = windowKey(item.hold.cred, now)
        if (row.window?.key === key) continue
        const want = { row, key, limit: perDay, stops: true }
        wants.push(want)
        names.set(want, name)
        owner.set(want, { item, kind: 'window' })
      }
    }
    const answers = await caps.take(wants, names, now)
    const away = new Set<Ready>()
    for (const want of wants) {
      const { item, kind } = owner.get(want)!
      const answer = answers.get(want) ?? 'wait'
      if (answer === 'in') {
        item[kind === 'person' ? 'cap' : 'window'] = { key: want.key, name: names.get(want)! }
        continue
      }
      if (away.has(item)) continue
      away.add(item)
      turnAway(item, answer)
    }
    return ready.filter((item) => !away.has(item))
  }
}
export type Prepare = ReturnType<typeof createPrepare>

/** M6: parked rows of these recipients look again now; those being looked at look once more by themselves. */
export async function wakeParked(
  rows: Collection<MessageRow>,
  accountId: string,
  recipientIds: string[],
  now: Date
): Promise<number> {
  if (recipientIds.length === 0) return 0
  const waiting = { accountId, recipientId: { $in: recipientIds }, parked: true, state: 'planned' as const }
  // mostly nobody waits: a look costs less than a write
  if ((await rows.findOne(waiting, { projection: { _id: 1 } })) === null) return 0
  const answer = await rows.updateMany({ ...waiting, lease: null }, { $set: { due: now } })
  return answer.modifiedCount
}

/** Sends of this person a message must leave for transactional ones. */
const leaveOf = (account: Account, row: MessageRow) => (row.lane === 'bulk' ? account.reserveForTransactional : 0)

const placeOf = (account: Account, row: MessageRow) => ({
  recipientId: row.recipientId!,
  channel: row.channel,
  templateId: row.templateId,
  leave: leaveOf(account, row)
})

const holdOf = (held: Held): RowHold => ({ cred: held.credentialId, h: held.h, source: held.source, doubt: false })

async function optedOutRows(people: PumpPeople, mine: MessageRow[]): Promise<Set<string>> {
  const out = new Set<string>()
  const topics = new Map<string | null, MessageRow[]>()
  for (const row of mine) if (row.personId !== null) topics.set(row.topic, [...(topics.get(row.topic) ?? []), row])
  for (const [topic, list] of topics) {
    const persons = await people.optedOut([...new Set(list.map((row) => row.personId!))], topic)
    for (const row of list) if (persons.has(row.personId!)) out.add(row._id)
  }
  return out
}

/** How long a payment has been live decides what 41028 means for it; only those rows ask. */
async function addLiveTimes(credentials: Credentials, accountId: string, ready: Ready[], now: Date): Promise<void> {
  const asks = ready.filter((item) => item.hold.source === 'payment' && item.liveForMs === null)
  if (asks.length === 0) return
  const found = await credentials.holds.values(
    accountId,
    asks.map((item) => item.hold.cred!)
  )
  for (const item of asks) {
    const liveAt = found.get(item.hold.cred!)?.liveAt
    item.liveForMs = liveAt == null ? null : now.getTime() - liveAt.getTime()
  }
}

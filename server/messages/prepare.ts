import type { Collection } from 'mongodb'
import type { Clock } from '../platform/clock.js'
import { groupBy } from '../platform/group.js'
import type { Account } from '../accounts/accounts.js'
import type { Credentials, Place } from '../credentials/credentials.js'
import { fits, type Held, type Want } from '../credentials/holds.js'
import { holdName } from '../credentials/letting.js'
import type { CredentialRow } from '../credentials/model.js'
import type { Source } from '../../shared/credential.js'
import type { Sealer } from '../platform/sealing.js'
import type { Recipient } from '../people/recipients.js'
import type { Caps } from './caps.js'
import { gate, quietUntil } from './gates.js'
import type { MessageRow, RowHold } from './model.js'
import { createLeasing } from './leasing.js'
import type { Pace } from './pace.js'
import { takePlaces } from './places.js'
import type { Ready } from './ready.js'
import type { Runs } from './runs.js'
import { createTurnWrites, type TurnWrites } from './turn-writes.js'

/** Others were quicker with the person's rights. */
const BUSY_MS = 2_000
/** A cap is full of messages that may still step back. */
const PLACE_MS = 10_000
/** The right of a message in doubt could not be read. */
const UNREADABLE_MS = 30_000

/** One turn: what was leased together, and what becomes of it. */
type Turn = {
  account: Account
  now: Date
  lease: string
  leasedAt: Ready['leasedAt']
  writes: TurnWrites
  without: Source[]
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
  const { rows, clock, pace, credentials, people, runs } = parts
  const leasing = createLeasing({ rows, runs, holds: credentials.holds })

  /** Who may go on now; the others are told where to wait, or why they end. */
  async function gated(turn: Turn, mine: MessageRow[]): Promise<{ row: MessageRow; openId: string }[]> {
    const { account, now, writes } = turn
    const recipientIds = [...new Set(mine.map((row) => row.recipientId).filter((id): id is string => id !== null))]
    const waits = mine.map((row) => row.waitId).filter((id): id is string => id !== null)
    const [addresses, optedOut, stoppedWaits, closed] = await Promise.all([
      people.addresses(recipientIds),
      optedOutRows(people, mine),
      waits.length === 0 ? new Set<string>() : parts.stoppedWaits(waits),
      runs.closedOf(account.id)
    ])
    const quiet = account.quietHours !== null && quietUntil(now, account.quietHours, account.zone) !== null
    const dying = quiet
      ? await credentials.lastExpiry(
          account.id,
          mine.filter((row) => row.lane === 'bulk' && row.recipientId !== null) as Place[]
        )
      : null
    const runState = (runId: string | null) =>
      runId !== null && closed.cancelled.has(runId)
        ? 'cancelled'
        : runId !== null && closed.paused.has(runId)
          ? 'paused'
          : 'online'
    const going: { row: MessageRow; openId: string }[] = []
    for (const row of mine) {
      const address = row.recipientId === null ? undefined : addresses.get(row.recipientId)
      const recipient = address?.recipient
      const decided = gate(row, {
        now,
        run: runState(row.runId),
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
        if (address?.openId != null) going.push({ row, openId: address.openId })
        else if (row.state === 'sending') writes.giveUp(row, 'notInAccount')
        else writes.stop(row, 'skipped', 'notInAccount', null)
      } else if ('stop' in decided) {
        if (decided.stop === 'expired') writes.stop(row, 'expired', null, null)
        else writes.stop(row, 'skipped', decided.reason, decided.detail ?? null)
      } else if ('giveUp' in decided) writes.giveUp(row, decided.giveUp)
      else if (row.state === 'sending') writes.doubtUntil(row, decided.delay)
      else writes.delay(row, decided.delay, decided.waitingFor)
    }
    return going
  }

  /** C3 and C4 for planned rows; what the others name is read again. Those without a right park, wait or end. */
  async function withRights(turn: Turn, going: { row: MessageRow; openId: string }[]) {
    const { account, now, writes, without } = turn
    const wants: Want[] = going
      .filter(({ row }) => row.state === 'planned' && needsCredential(account, row))
      .map(({ row }) => ({ m: row._id, n: row.n, accountId: account.id, ...placeOf(account, row), without }))
    const named = going
      .filter(({ row }) => row.state !== 'planned' && row.hold?.cred != null)
      .map(({ row }) => row.hold!.cred!)
    const [held, values] = await Promise.all([
      credentials.holds.hold(wants),
      credentials.holds.values(account.id, named)
    ])
    const ready: Ready[] = []
    const parked: MessageRow[] = []
    for (const { row, openId } of going) {
      const add = (hold: RowHold, sealed: string | null, liveAt: Date | null) =>
        ready.push({
          row,
          lease: turn.lease,
          leasedAt: turn.leasedAt,
          hold,
          value: sealed === null ? null : parts.sealer.open(sealed),
          openId,
          cap: null,
          window: row.window ?? null,
          liveForMs: liveAt === null ? null : now.getTime() - liveAt.getTime(),
          marked: false,
          doubt: row.state === 'sending'
        })
      if (row.state === 'planned' && needsCredential(account, row)) {
        const answer = held.get(row._id) ?? 'none'
        if (answer === 'busy') writes.delay(row, writes.soon(BUSY_MS), null)
        // one that waits anyway parks, so that another right wakes it sooner
        else if (answer !== 'none' && 'from' in answer && !row.waitForCredential && answer.from < row.notAfter)
          writes.delay(row, answer.from, 'credential')
        else if (answer !== 'none' && 'credentialId' in answer) add(holdOf(answer), answer.sealed, answer.liveAt)
        else if (!row.waitForCredential) writes.stop(row, 'skipped', 'noCredential', null)
        else {
          writes.park(row)
          parked.push(row)
        }
      } else if (row.state === 'planned') {
        add({ cred: null, h: holdName(row._id, row.n), source: 'none', doubt: false }, null, null)
      } else {
        const hold = row.hold!
        const credential = hold.cred === null ? null : values.get(hold.cred)
        const there = hold.cred === null || credential != null
        if (row.state === 'sending' ? there : there && stillHolds(row, hold, credential, turn))
          add(hold, credential?.sealed ?? null, credential?.liveAt ?? null)
        else if (row.state === 'sending') writes.doubtUntil(row, writes.soon(UNREADABLE_MS))
        else writes.delay(row, now, null) // its right ran out meanwhile: it looks for another
      }
    }
    return { ready, parked }
  }

  /** M5's second look: a right that came between the search and the parking. */
  async function lookOnce({ account, now, without }: Turn, parked: MessageRow[]): Promise<void> {
    if (parked.length === 0) return
    const places = parked.map((row) => placeOf(account, row))
    const live = await credentials.reachableAny(account.id, places, without)
    if (live.length > 0) await wakeParked(rows, account.id, live, now)
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
      const lease = parts.newLease()
      const mine = await leasing.take(account, limit, busy, now, lease)
      if (mine.length === 0) return { ready: [], leased: 0 }
      const writes = createTurnWrites({ accountId: account.id, lease, now, random: parts.random })
      const turn: Turn = { account, now, lease, leasedAt, writes, without: sourcesOff(account) }
      const { ready, parked } = await withRights(turn, await gated(turn, mine))
      const passed = await takePlaces(parts.caps, account, ready, now, ({ row, hold, doubt }, kind) => {
        if (kind === 'wait' && doubt) writes.doubtUntil(row, writes.soon(PLACE_MS))
        else if (kind === 'wait') writes.wait(row, hold, writes.soon(PLACE_MS))
        else if (doubt) writes.giveUp(row, 'capped')
        else writes.stop(row, 'skipped', 'capped', null, hold)
      })
      if (writes.ops.length > 0) await rows.bulkWrite(writes.ops, { ordered: false })
      await lookOnce(turn, parked)
      return { ready: passed, leased: mine.length }
    }
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
export const leaveOf = (account: Account, row: Pick<MessageRow, 'lane'>) =>
  row.lane === 'bulk' ? account.reserveForTransactional : 0

const placeOf = (account: Account, row: MessageRow) => ({
  recipientId: row.recipientId!,
  channel: row.channel,
  templateId: row.templateId,
  leave: leaveOf(account, row)
})

/** A held row's right may have run out, or been lost, meanwhile. */
function stillHolds(row: MessageRow, hold: RowHold, credential: CredentialRow | null | undefined, turn: Turn): boolean {
  if (hold.cred === null) return true
  if (credential == null) return false
  const want = { channel: row.channel, templateId: row.templateId, without: turn.without }
  return (
    (credential.unlimited || credential.holds.includes(hold.h)) &&
    fits({ ...credential, notBefore: new Date(0) }, want, turn.now)
  )
}

const holdOf = (held: Held): RowHold => ({ cred: held.credentialId, h: held.h, source: held.source, doubt: false })

async function optedOutRows(people: PumpPeople, mine: MessageRow[]): Promise<Set<string>> {
  const out = new Set<string>()
  const known = mine.filter((row) => row.personId !== null)
  for (const [topic, list] of groupBy(known, (row) => row.topic)) {
    const persons = await people.optedOut([...new Set(list.map((row) => row.personId!))], topic)
    for (const row of list) if (persons.has(row.personId!)) out.add(row._id)
  }
  return out
}

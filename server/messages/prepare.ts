import type { Collection } from 'mongodb'
import { sourcesShut } from '../accounts/penalty.js'
import type { Standing } from '../breakers/standing.js'
import type { Clock } from '../platform/clock.js'
import { groupBy } from '../platform/group.js'
import type { Account } from '../accounts/accounts.js'
import type { Credentials, Place } from '../credentials/credentials.js'
import { fits, type Held, type Want } from '../credentials/holds.js'
import { holdName } from '../credentials/letting.js'
import type { CredentialRow } from '../credentials/model.js'
import type { Source } from '../../shared/credential.js'
import type { Lane } from '../../shared/message.js'
import type { Sealer } from '../platform/sealing.js'
import type { Recipient } from '../people/recipients.js'
import { wordIn, type Finder } from '../words/finder.js'
import type { WordLists } from '../words/words.js'
import type { Caps } from './caps.js'
import { gate } from './gates.js'
import { heldOf, takeProbes, type Guards } from './guarding.js'
import { handBackOf } from './marking.js'
import type { MessageRow, RowHold } from './model.js'
import { createLeasing } from './leasing.js'
import type { Pace } from './pace.js'
import { takePlaces } from './places.js'
import { quietUntil, zoneOf } from './quiet-hours.js'
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
  standing: Standing
}

/** The part of the people room the pump needs. */
export type PumpPeople = {
  addresses(recipientIds: string[]): Promise<Map<string, { recipient: Recipient; openId: string | null }>>
  optedOut(personIds: string[], topic?: string | null): Promise<Set<string>>
  zonesOf(personIds: string[]): Promise<Map<string, unknown>>
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
  guards: Guards
  /** null: every word may be sent. */
  words: Pick<WordLists, 'finders'> | null
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

/** Sources the account may not use now: its own choice, or a penalty. */
export function sourcesOff(account: Pick<Account, 'sources' | 'punished'>): Source[] {
  return [...new Set([...sourcesUnwanted(account), ...sourcesShut(account.punished)])]
}

const sourcesUnwanted = ({ sources }: Pick<Account, 'sources'>): Source[] =>
  (Object.keys(sources) as Source[]).filter((source) => sources[source]?.enabled === false)

/** The first field that holds a word no message may hold, and the word; null: none does. */
export function sensitiveIn(finder: Finder, data: MessageRow['data']): string | null {
  const hit = wordIn(finder, data)
  return hit === null ? null : `${hit.field}: ${hit.word}`
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
    const { zones, dying } = await nights(turn, mine)
    const runState = (runId: string | null) =>
      runId !== null && closed.cancelled.has(runId)
        ? 'cancelled'
        : runId !== null && closed.paused.has(runId)
          ? 'paused'
          : 'online'
    const going: { row: MessageRow; openId: string }[] = []
    const left = new Map<string, number>()
    const sensitive = (await parts.words?.finders())?.sensitive
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
        sensitive: sensitive === undefined || row.state !== 'planned' ? null : sensitiveIn(sensitive, row.data),
        held: heldOf(account, row, turn.standing, left),
        quiet: account.quietHours,
        zone: zones.get(row.personId ?? '') ?? account.zone,
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

  /** By whose night each bulk row goes, and when the rights of those whose night it is die. Nothing is read without quiet hours. */
  async function nights({ account, now }: Turn, mine: MessageRow[]) {
    const quiet = account.quietHours
    const bulk = quiet === null ? [] : mine.filter((row) => row.lane === 'bulk' && row.recipientId !== null)
    if (quiet === null || bulk.length === 0) return { zones: new Map<string, string>(), dying: null }
    const told = await people.zonesOf(bulk.map((row) => row.personId).filter((id): id is string => id !== null))
    const zones = new Map([...told].map(([personId, zone]) => [personId, zoneOf(zone, account.zone)]))
    const ends = new Map([account.zone, ...zones.values()].map((zone) => [zone, quietUntil(now, quiet, zone)]))
    const asleep = bulk.filter((row) => ends.get(zones.get(row.personId ?? '') ?? account.zone) !== null)
    return { zones, dying: await credentials.lastExpiry(account.id, asleep as Place[]) }
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
    const punished = await rightsShut(turn, going, held)
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
        else if (punished.has(row.recipientId!) && !(answer !== 'none' && 'credentialId' in answer))
          writes.delay(row, account.punished!.blockedUntil!, 'penalty')
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

  /** Whose rights are there and of no use while a penalty lasts: who has no others waits for its end. */
  async function rightsShut(
    { account }: Turn,
    going: { row: MessageRow }[],
    held: Map<string, unknown>
  ): Promise<Set<string>> {
    if (sourcesShut(account.punished).length === 0) return new Set()
    const without = sourcesUnwanted(account)
    const poor = going.filter(
      ({ row }) => row.state === 'planned' && row.channel === 'legacy' && !has(held.get(row._id))
    )
    if (poor.length === 0) return new Set()
    const places = poor.map(({ row }) => placeOf(account, row))
    return new Set(await credentials.reachableAny(account.id, places, without))
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
     * Takes up to `limit` due rows on, of these lanes or of all; rows of recipients in `busy` are left alone. @returns those that need only their
     * slot, and how many were taken up in all (the others are settled or wait)
     */
    async take(
      account: Account,
      limit: number,
      busy: ReadonlySet<string>,
      lanes?: readonly Lane[]
    ): Promise<{ ready: Ready[]; leased: number }> {
      const leasedAt = { monotonic: pace.monotonic(), wall: clock.now().getTime() }
      const now = clock.now()
      const lease = parts.newLease()
      const mine = await leasing.take(account, limit, busy, now, lease, lanes)
      if (mine.length === 0) return { ready: [], leased: 0 }
      const writes = createTurnWrites({ accountId: account.id, lease, now, random: parts.random })
      const standing = await parts.guards.standing(account.id)
      const turn: Turn = { account, now, lease, leasedAt, writes, without: sourcesOff(account), standing }
      const { ready, parked } = await withRights(turn, await gated(turn, mine))
      const passed = await takePlaces(parts.caps, account, ready, now, ({ row, hold, doubt }, kind) => {
        if (kind === 'wait' && doubt) writes.doubtUntil(row, writes.soon(PLACE_MS))
        else if (kind === 'wait') writes.wait(row, hold, writes.soon(PLACE_MS))
        else if (doubt) writes.giveUp(row, 'capped')
        else writes.stop(row, 'skipped', 'capped', null, hold)
      })
      const going = await takeProbes(parts.guards, standing, passed, (item, { until, waitingFor }) =>
        writes.ops.push(handBackOf(account.id, item, now, until, waitingFor))
      )
      if (writes.ops.length > 0) await rows.bulkWrite(writes.ops, { ordered: false })
      await lookOnce(turn, parked)
      return { ready: going, leased: mine.length }
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

const has = (answer: unknown) => typeof answer === 'object' && answer !== null && 'credentialId' in answer

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

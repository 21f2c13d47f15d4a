import type { Collection } from 'mongodb'
import type { Account, Accounts } from '../../server/accounts/accounts.js'
import { createCredentials } from '../../server/credentials/credentials.js'
import { storeOutcomes, type Numbered } from '../../server/messages/answers.js'
import { nextReset, type Budget } from '../../server/messages/budget.js'
import { createCaps } from '../../server/messages/caps.js'
import { createCorrections } from '../../server/messages/corrections.js'
import { createFollower } from '../../server/messages/follower.js'
import { NO_GUARDS } from '../../server/messages/guarding.js'
import { mayFire } from '../../server/messages/leasing.js'
import { handBackOf, markSending } from '../../server/messages/marking.js'
import type { Messages } from '../../server/messages/messages.js'
import type { CapRow, CounterRow, MessageRow } from '../../server/messages/model.js'
import { outcomeOf } from '../../server/messages/outcome.js'
import { rowOf } from '../../server/messages/plan.js'
import { createPrepare, wakeParked, type PumpPeople } from '../../server/messages/prepare.js'
import { askedOf, requestOf, type Ready } from '../../server/messages/ready.js'
import type { Runs } from '../../server/messages/runs.js'
import { settle } from '../../server/messages/settle.js'
import { createSweep } from '../../server/messages/sweep.js'
import type { People } from '../../server/people/people.js'
import { insertNew } from '../../server/platform/mongo.js'
import type { Sealer } from '../../server/platform/sealing.js'
import { createReceipts } from '../../server/receipts/receipts.js'
import { msgidOf } from '../../server/senders/senders.js'
import { DAY_MS } from '../../shared/limits.js'
import type { Outside, Program } from './programs.js'
import type { Planned, Right, World } from './worlds.js'

export const ACCOUNT = 'a'

/** Decisions that are pure functions of the product; a broken rule replaces one. */
export const DECISIONS = {
  settle,
  mayFire,
  requestOf,
  askedOf,
  beforeRequest: markSending,
  afterRequest: async (_rows: Collection<MessageRow>, _accountId: string, _item: Ready, _now: Date): Promise<void> => {}
}
export type Decisions = typeof DECISIONS

/** Chance is none: waits are what they are in the middle. */
const random = () => 0.5

const sealer = {
  open: (text: string) => text,
  seal: (text: string) => text,
  hash: (...names: string[]) => names.join('|')
} as unknown as Sealer

const runs = {
  closedOf: async () => ({ paused: new Set(), cancelled: new Set() }),
  stoppedOf: async () => new Set(),
  finishOf: async () => {},
  get: async () => ({ accountId: ACCOUNT }),
  rows: { updateOne: async () => ({}) },
  births: { of: async () => [], told: async () => {} }
} as unknown as Runs

/** Where a message of this world is planned. */
export const planOf = (world: World, message: Planned, now: Date) =>
  rowOf(
    {
      id: message.id,
      accountId: ACCOUNT,
      recipientId: message.to,
      personId: null,
      runId: 'run',
      campaignId: null,
      lane: message.lane ?? 'bulk',
      channel: world.channel,
      templateId: 'T',
      data: { keyword1: { value: message.id } },
      open: null,
      dueAt: now,
      notAfter: new Date(now.getTime() + (message.lifeMs ?? DAY_MS)),
      waitForCredential: message.waits ?? false
    },
    now
  )

/**
 * The programs the explorer runs: the rooms of the product as they are, on the store and the WeChat of the model. Only
 * the pump's timing is the model's own: here a turn leases, marks, fires and stores, without waiting for slots.
 */
export function productOf(world: World, decisions: Decisions): Record<string, Program> {
  const account = {
    id: ACCOUNT,
    mode: 'live',
    kind: world.channel === 'service' ? 'service' : 'miniprogram',
    paused: false,
    sources: {},
    grantsFrom: 'phone',
    caps: { perPersonPerDay: world.cap ?? null, stopTransactional: false },
    serviceWindow: { bulk: false, transactional: false },
    punished: null,
    blocked: {},
    quietHours: null,
    zone: 'Asia/Shanghai',
    reserveForTransactional: world.reserve ?? 0,
    exclusive: world.others !== true
  } as unknown as Account
  const people = {
    addresses: async (ids: string[]) =>
      new Map(ids.map((id) => [id, { recipient: { id, reach: 'ok', follower: true }, openId: id }])),
    optedOut: async () => new Set(),
    zonesOf: async () => new Map(),
    setReach: async () => {}
  } as unknown as PumpPeople & People

  function roomsOf({ db, now }: Outside) {
    const clock = { now, monotonic: () => now().getTime() }
    const pace = { monotonic: clock.monotonic, sleep: async () => {} }
    const rows = db.collection('messages') as unknown as Collection<MessageRow>
    const credentials = createCredentials({ db, clock, sealer, grantType: async () => 'once' })
    credentials.onWake(async (accountId, recipientIds) => {
      await wakeParked(rows, accountId, recipientIds, clock.now())
    })
    const caps = createCaps({ caps: db.collection('dayCaps') as unknown as Collection<CapRow>, messages: rows })
    let numbered = async (_accountId: string, _messages: Numbered[]): Promise<void> => {}
    const messages = { rows, onNumbered: (told: typeof numbered) => void (numbered = told) } as unknown as Messages
    const receipts = createReceipts({ db, clock, sealer, people, messages })
    return {
      db,
      clock,
      pace,
      rows,
      credentials,
      caps,
      receipts,
      numbered: (list: Numbered[]) => numbered(ACCOUNT, list)
    }
  }

  const correct = ({ clock, rows }: ReturnType<typeof roomsOf>) =>
    createCorrections({ rows, clock, runs, wake: () => {} })

  async function handBack({ rows, clock }: ReturnType<typeof roomsOf>, items: Ready[]): Promise<void> {
    if (items.length === 0) return
    const now = clock.now()
    await rows.bulkWrite(
      items.map((item) => handBackOf(ACCOUNT, item, now, null)),
      { ordered: false }
    )
  }

  return {
    /** One turn of one worker: docs/ledger.md B, "A turn". */
    async turn(outside, lease) {
      const rooms = roomsOf(outside)
      const { rows, clock, pace, credentials, caps } = rooms
      const guards = NO_GUARDS
      const prepare = createPrepare({
        rows,
        clock,
        pace,
        sealer,
        random,
        newLease: () => lease!,
        credentials,
        people,
        runs,
        caps,
        guards,
        words: null,
        stoppedWaits: async () => new Set()
      })
      const fires = (item: Ready) =>
        decisions.mayFire(item.leasedAt, { monotonic: pace.monotonic(), wall: clock.now().getTime() })
      const { ready } = await prepare.take(account, 10, new Set())
      const young = ready.filter(fires)
      await handBack(
        rooms,
        ready.filter((item) => !young.includes(item))
      )
      await decisions.beforeRequest(rows, ACCOUNT, young, clock.now())
      const marked = young.filter((item) => item.marked)
      const old = marked.filter((item) => !fires(item))
      await handBack(rooms, old)
      await Promise.all(
        marked
          .filter((item) => !old.includes(item))
          .map(async (item) => {
            const at = clock.now()
            const result = await outside.send(decisions.requestOf(item))
            await decisions.afterRequest(rows, ACCOUNT, item, clock.now())
            const verdict = decisions.settle(decisions.askedOf(item, account.exclusive, false), result, random())
            const now = clock.now()
            const code = result.kind === 'answer' ? result.errcode : null
            const line = { at, n: item.row.n, code, kind: result.kind, latencyMs: 1, rid: null, note: null }
            const msgid = msgidOf(result)
            const outcome = outcomeOf(item, verdict, { now, line, msgid, reset: nextReset(now) })
            await storeOutcomes(rows, ACCOUNT, [{ outcome }])
            if (msgid !== null) await rooms.numbered([{ recipientId: item.row.recipientId!, msgid }])
          })
      )
    },

    /** One batch of the follower. */
    async follow(outside) {
      const { db, rows, clock, credentials, caps } = roomsOf(outside)
      const counters = db.collection('counters') as unknown as Collection<CounterRow>
      const fallBack = async () => {}
      await createFollower({ db, rows, counters, clock, credentials, caps, runs, fallBack }).step(ACCOUNT)
    },

    async sweep(outside) {
      const { rows, clock, credentials } = roomsOf(outside)
      const accounts = { list: async () => [account] } as unknown as Accounts
      const budget = { stoppedOf: async () => [], go: async () => {} } as unknown as Budget
      await createSweep({ rows, clock, accounts, credentials, budget, runs, wake: () => {} })()
    },

    /** Phones hand a right in, perhaps again. */
    async keep(outside, name) {
      const right: Right = world.rights.find((each) => each.value === name)!
      const { credentials, clock } = roomsOf(outside)
      const { value, to, source } = right
      await credentials.keep(account, [
        source === 'grant'
          ? { id: value, recipientId: to, source, templateId: 'T', result: 'accept', caughtAt: clock.now() }
          : { id: value, recipientId: to, source, value, result: 'ok', caughtAt: clock.now() }
      ])
    },

    /** M1. `at`: when the campaign says it is due, so that planning again plans the same. */
    async plan(outside, at) {
      const { rows } = roomsOf(outside)
      await insertNew(
        rows,
        world.messages.map((message) => planOf(world, message, new Date(at!)))
      )
    },

    cancel: async (outside, id) => correct(roomsOf(outside)).cancelRows({ accountId: ACCOUNT, _id: id! }),

    /** An operator who looked it up says what an unknown message was. */
    resolve: (outside, id, as) => correct(roomsOf(outside)).resolve(id!, as as 'accepted' | 'failed'),

    /** M16 of everything that may go once more. */
    async retry(outside) {
      const rooms = roomsOf(outside)
      const until = new Date(rooms.clock.now().getTime() + DAY_MS)
      await correct(rooms).retryRun('run', { states: ['failed', 'skipped', 'expired'] }, until)
    },

    /** WeChat pushes what became of a message. */
    async receipt(outside, to, msgid, verdict, at) {
      const { receipts } = roomsOf(outside)
      await receipts.apply({
        accountId: ACCOUNT,
        recipientId: to!,
        msgid: msgid!,
        verdict: verdict as 'delivered' | 'systemFailed',
        at: new Date(at!)
      })
    },

    look: (outside) => roomsOf(outside).receipts.sweep()
  }
}

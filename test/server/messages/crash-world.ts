import { capKey } from '../../../server/messages/caps.js'
import type { MessageRow } from '../../../server/messages/model.js'
import type { PlanInput } from '../../../server/messages/messages.js'
import { createReceipts } from '../../../server/receipts/receipts.js'
import type { Catch } from '../../../server/credentials/credentials.js'
import type { Recipient } from '../../../server/people/recipients.js'
import { brokenInvariants, notSent, type Ledger } from '../../support/ledger.js'
import { ConnectionLost, createLifeline, type Fate, type Lifeline } from './crash-kill.js'
import { createSmallWechat } from './crash-wechat.js'

/** A generator of numbers in [0, 1) that a seed decides (mulberry32). */
export function seeded(seed: number): () => number {
  let a = seed >>> 0
  return () => {
    a = (a + 0x6d2b79f5) >>> 0
    let z = Math.imul(a ^ (a >>> 15), 1 | a)
    z = (z + Math.imul(z ^ (z >>> 7), 61 | z)) ^ z
    return ((z ^ (z >>> 14)) >>> 0) / 4_294_967_296
  }
}

type Rooms = ReturnType<Ledger['rooms']> & { receipts: ReturnType<typeof createReceipts> }
type Process = { line: Lifeline; rooms: Rooms; fate: Fate; counted: boolean }
export type CrashPoint = { fate: Fate; where: string }

const FATES: Fate[] = ['before', 'after', 'after', 'half', 'stallBefore', 'stallAfter', 'refused', 'lost']
const OPEN = ['planned', 'held', 'sending']
const TOOK = ['accepted', 'delivered']

/**
 * A few people, their rights, messages to them, and one or two processes that break again and again while they work
 * on them. Whatever the world asks of a process it asks the next one when that one is gone, as phones, backends and
 * WeChat do.
 */
export async function createCrashWorld(ledger: Ledger, seed: number) {
  const chance = seeded(seed)
  const wechat = createSmallWechat(seeded(seed ^ 0x5eed), () => ledger.clock.now())
  const points: CrashPoint[] = []
  const processes: Process[] = []
  const asleep: { line: Lifeline; work: Promise<unknown> }[] = []
  const planned: string[] = []
  const pushes: { msgid: string; openId: string; at: Date; systemFailed: boolean }[] = []
  const withdrawn = new Set<string>()
  let pushed = 0
  let serial = 0
  let immortal = false
  let judged = false

  await ledger.accounts.patch(ledger.service.id, { serviceWindow: { bulk: false, transactional: true } })
  await ledger.messages.runs.open({
    id: 'run',
    campaignId: 'c',
    accountId: ledger.account.id,
    templateId: 'T',
    lane: 'bulk',
    instant: ledger.clock.now(),
    notAfter: new Date(ledger.clock.now().getTime() + 86_400_000),
    snapshot: {}
  })
  await ledger.messages.runs.checkpoint('run', { from: null, to: null, born: 0, again: false })

  const below = (n: number) => Math.floor(chance() * n)
  const pick = <T>(list: readonly T[]): T => list[below(list.length)]!
  const name = (what: string) => `${what}${seed}x${serial++}`

  function start(): Process {
    const fate = pick(FATES)
    const line = createLifeline(ledger.db, immortal ? Infinity : 1 + below(12), fate)
    const rooms = ledger.rooms({
      db: line.db,
      // a process that is gone sends nothing
      send: async (_account, input) => (line.isGone() ? notSent() : wechat.call(input))
    })
    const { db } = line
    const receipts = createReceipts({ ...rooms, db, clock: ledger.clock, sealer: ledger.sealer })
    return { line, rooms: { ...rooms, receipts }, fate, counted: false }
  }

  function note(process: Process): void {
    if (process.counted || process.line.where() === '') return
    process.counted = true
    points.push({ fate: process.fate, where: process.line.where() })
  }

  /** Has it done by process `slot`, or by its successors. */
  async function surely(slot: number, ask: (rooms: Rooms) => Promise<unknown>): Promise<void> {
    for (;;) {
      const process = (processes[slot] ??= start())
      const work = ask(process.rooms).then(
        () => 'done' as const,
        (error: unknown) => {
          if (error instanceof ConnectionLost) return 'again' as const
          throw error
        }
      )
      const end = await Promise.race([work, process.line.ended.then(() => 'gone' as const)])
      note(process)
      if (end === 'gone' && process.fate.startsWith('stall')) asleep.push({ line: process.line, work })
      if (end === 'gone' || process.counted) processes[slot] = start()
      if (end === 'done') return
    }
  }

  /** Some do it at once with another process. */
  const settle = async () => {
    const both = chance() < 0.4
    await Promise.all((both ? [0, 1] : [0]).map((slot) => surely(slot, (rooms) => rooms.messages.settleAll())))
  }

  async function capture(items: Catch[]): Promise<void> {
    if (items.length > 0) await surely(0, (rooms) => rooms.credentials.keep(ledger.account, items))
  }

  function right(recipient: Recipient, openId: string, kind: 'form' | 'payment' | 'grant'): Catch {
    const id = name('i')
    const caughtAt = ledger.clock.now()
    if (kind === 'grant') {
      wechat.addGrant(openId, 'T')
      return { id, recipientId: recipient.id, source: 'grant', templateId: 'T', result: 'accept', caughtAt }
    }
    const value = name(kind)
    wechat.addValue(value, kind === 'form' ? 1 : 3)
    return { id, recipientId: recipient.id, source: kind, value, result: 'ok', caughtAt }
  }

  function message(recipient: Recipient, more: Partial<PlanInput> = {}): PlanInput {
    const id = name('m')
    const lane = more.lane ?? pick(['transactional', 'bulk'] as const)
    const data = { keyword1: { value: id }, ...(chance() < 0.06 ? { bad: { value: '1' } } : {}) }
    const life = pick([90_000, 1_800_000, 86_400_000, 86_400_000])
    const notAfter = new Date(ledger.clock.now().getTime() + life)
    planned.push(id)
    return ledger.input(recipient, { id, lane, data, notAfter, waitForCredential: chance() < 0.4, ...more })
  }

  async function newPeople() {
    const inputs: PlanInput[] = []
    const shoppers: { recipient: Recipient; openId: string }[] = []
    for (let i = 0; i < 3; i++) {
      const who = name('p')
      const recipient = await ledger.people.recipient(ledger.account.id, `o${who}`, { unionId: `u${who}` })
      shoppers.push({ recipient, openId: `o${who}` })
      const rights = Array.from({ length: below(4) }, () =>
        right(recipient, `o${who}`, pick(['form', 'form', 'payment', 'grant'] as const))
      )
      // an order that is paid while, before or after the phone reports it
      const order = rights.find((each) => each.source === 'payment' && chance() < 0.5)
      if (order !== undefined) Object.assign(order, { result: 'pending', orderId: name('order') })
      const confirm = async () => {
        if (order === undefined) return
        const { orderId } = order
        await surely(0, (rooms) =>
          rooms.credentials.confirm(ledger.account, { orderId: orderId!, paidAt: ledger.clock.now() })
        )
      }
      const early = chance() < 0.5
      if (early) await confirm()
      await capture(rights)
      if (!early) await confirm()
      for (let n = 1 + below(3); n > 0; n--) {
        inputs.push(message(recipient, { channel: pick(['legacy', 'legacy', 'subscribe'] as const), runId: 'run' }))
      }
      if (chance() < 0.5) {
        const fan = await ledger.people.recipient(ledger.service.id, `s${who}`, { unionId: `u${who}` })
        await ledger.people.follow(fan.id, true, ledger.clock.now())
        const step = { accountId: ledger.service.id, templateId: 'S', open: null }
        const data = { keyword1: { value: `instead of the one to ${who}` } }
        const personId = (await ledger.people.byIds([recipient.id])).get(recipient.id)!.personId
        inputs.push(message(recipient, { personId, fallback: [{ ...step, data, channel: 'service' }] }))
      }
    }
    for (const lane of ['bulk', 'transactional'] as const) {
      const who = name('f')
      const fan = await ledger.recipient(who, ledger.service)
      const mint = (source: 'follow' | 'menu') =>
        surely(0, (rooms) =>
          rooms.credentials.mint(ledger.service, { recipientId: fan.id, source, at: ledger.clock.now(), key: who })
        )
      if (lane === 'transactional') {
        await mint('follow')
        if (chance() < 0.6) await mint('menu')
      }
      for (let n = 2 + below(4); n > 0; n--) inputs.push(message(fan, { accountId: ledger.service.id, lane }))
    }
    ledger.clock.advance(11_000)
    for (let i = 0; i < inputs.length; i += 7) await surely(0, (rooms) => rooms.messages.plan(inputs.slice(i, i + 7)))
    return { shoppers, inputs }
  }

  /** WeChat pushes what became of messages; some pushes get lost, some come twice. */
  async function push(): Promise<void> {
    for (; pushed < wechat.deliveries.length; pushed++) {
      const delivery = wechat.deliveries[pushed]!
      if (!delivery.openId.startsWith('s') && !/^of/.test(delivery.openId)) continue
      if (chance() < 0.2) continue
      const at = new Date(Math.floor(delivery.at.getTime() / 1000) * 1000)
      pushes.push({ msgid: delivery.msgid, openId: delivery.openId, at, systemFailed: chance() < 0.25 })
      if (chance() < 0.2) pushes.push(pushes.at(-1)!)
    }
    for (const { msgid, openId, at, systemFailed } of pushes.splice(0)) {
      const recipient = await ledger.people.recipient(ledger.service.id, openId)
      const verdict = systemFailed ? ('systemFailed' as const) : ('delivered' as const)
      await surely(0, (rooms) =>
        rooms.receipts.apply({ accountId: ledger.service.id, recipientId: recipient.id, msgid, verdict, at })
      )
    }
  }

  async function awaken(sleepers: typeof asleep): Promise<void> {
    for (const { line, work } of sleepers) {
      line.wake()
      await work
    }
  }

  /** Everything that is due is done by processes that do not break, until only parked and unknown messages are open. */
  async function idle(): Promise<void> {
    immortal = true
    wechat.calm()
    processes.length = 0
    // some wake up at once, some when hours have passed and everybody else is through
    const early = asleep.filter(() => chance() < 0.5)
    const late = asleep.splice(0).filter((each) => !early.includes(each))
    await awaken(early)
    wechat.arriveLate()
    const { messages, receipts } = start().rooms
    const rest = async () => {
      for (let quiet = 0; quiet < 3;) {
        await messages.settleAll()
        await receipts.sweep()
        const next = await messages.rows
          .find({ state: { $in: OPEN as MessageRow['state'][] }, parked: false })
          .sort({ due: 1 })
          .limit(1)
          .toArray()
        if (next.length > 0)
          ledger.clock.advance(Math.max(20_000, next[0]!.due.getTime() - ledger.clock.now().getTime()))
        else {
          // orphans go back after five minutes, parked rows look again within ten
          quiet += 1
          ledger.clock.advance(301_000)
          await messages.sweep()
        }
      }
    }
    await rest()
    if (late.length > 0) {
      await awaken(late)
      await rest()
    }
    await messages.settleAll()
    immortal = false
    wechat.stormy()
  }

  /** An operator who looked it up settles what nobody answered. */
  async function operator(): Promise<void> {
    judged = true
    const took = new Set(wechat.deliveries.map((each) => each.key))
    for (const row of await ledger.messages.rows.find({ state: 'unknown' }).toArray()) {
      if (chance() < 0.5) continue
      await ledger.messages.resolve(row._id, took.has(keyOf(row)) ? 'accepted' : 'failed')
    }
  }

  return {
    points,

    /** A round of work under fire. */
    async round(): Promise<void> {
      const { shoppers, inputs } = await newPeople()
      for (let step = 3 + below(3); step > 0; step--) {
        await settle()
        if (chance() < 0.4) await push()
        const { recipient, openId } = pick(shoppers)
        const act = below(6)
        if (act === 0) await capture([right(recipient, openId, pick(['form', 'grant'] as const))])
        if (act === 1) {
          const { id } = pick(inputs)
          await surely(0, (rooms) => rooms.messages.cancel(id).catch(ignoreConflict))
        }
        if (act === 2) {
          withdrawn.add(recipient.id)
          wechat.withdraw(openId, 'T')
        }
        if (act === 3) wechat.arriveLate()
        if (act === 4) await surely(0, (rooms) => rooms.messages.sweep())
        ledger.clock.advance(pick([700, 6_000, 16_000, 31_000, 31_000, 130_000]))
      }
      await settle()
    },

    /** What failed goes once more, under fire too. */
    async again(): Promise<void> {
      const states = ['failed', 'skipped', 'expired']
      const until = new Date(ledger.clock.now().getTime() + 3_600_000)
      await surely(0, (rooms) => rooms.messages.retryRun('run', { states, reasons: undefined }, until))
      await settle()
    },

    idle,
    operator,
    push,

    /** Where our ledger and WeChat's do not agree, or ours breaks its own rules; call when idle. */
    async disagreements(): Promise<string[]> {
      const broken = await brokenInvariants(ledger)
      const rows = await ledger.messages.rows.find({}).toArray()
      const credentials = await ledger.credentials.rows.find({}).toArray()
      const say = (rule: string, what: string) => void broken.push(`${rule}: ${what}`)

      const took = new Map<string, number>()
      for (const { key } of wechat.deliveries) took.set(key, (took.get(key) ?? 0) + 1)
      for (const [key, n] of took) if (n > 1) say('3', `WeChat took ${key} ${n} times`)
      const byId = new Map(rows.map((row) => [row._id, row]))
      for (const id of planned) if (!byId.has(id)) say('lost', id)

      for (const row of rows) {
        const has = took.has(keyOf(row))
        const what = `${row._id} ${row.channel} ${row.state} ${row.reason ?? ''} ${row.by ?? ''}`
        if (TOOK.includes(row.state) && !has) say('4', `${what}: WeChat has it not`)
        if (row.state === 'failed' && row.by === 'receipt' && !has) say('4', `${what}: WeChat has it not`)
        if (['failed', 'skipped', 'expired'].includes(row.state) && row.by !== 'receipt' && has)
          say('4', `${what}: WeChat has it`)
        if (OPEN.includes(row.state) && !row.parked) say('idle', `${what} is still under way`)
        if (row.todo) say('idle', `${what} has consequences left`)
        if (row.hold !== null && row.state !== 'unknown' && row.hold.settled !== true)
          say('idle', `${what}: its hold was never let go`)
        if (row.fell && rows.filter((each) => each.fellFrom === row._id).length !== 1)
          say('fallback', `${what} has no successor, or several`)
        if (row.parked && row.state === 'planned') {
          const place = { recipientId: row.recipientId!, channel: row.channel, templateId: row.templateId }
          if ((await ledger.credentials.reachableAny(row.accountId, [place])).length > 0)
            say('8', `${what} is parked beside a right`)
        }
      }

      const owners = new Map(rows.map((row) => [row.hold?.h, row]))
      const grants = new Map<string, { left: number; held: number }>()
      for (const row of credentials) {
        for (const h of row.spentBy) {
          const owner = owners.get(h)
          const used =
            TOOK.includes(owner?.state ?? '') ||
            (owner?.state === 'failed' && owner.by === 'receipt' && owner.reason !== 'systemFailed')
          if (!used) say('5', `${row._id} was spent by ${h}, which is ${owner?.state}`)
        }
        if (row.state === 'pending') say('paid', `${row._id} waits for an order that was paid`)
        if (row.source === 'form' || row.source === 'payment') {
          const left = wechat.left(ledger.sealer.open(row.sealed!))
          const what = `${row._id} ${row.source} ${row.state}`
          if (row.state === 'dead' && left > 0) say('5', `${what}: WeChat would still take it ${left} times`)
          if (row.state !== 'dead' && (left < row.sendsLeft || left > row.sendsLeft + row.held))
            say('5', `${what}: we say ${row.sendsLeft} left and ${row.held} held, WeChat says ${left}`)
        }
        if (row.source === 'grant' && row.state === 'live' && !withdrawn.has(row.recipientId)) {
          const sum = grants.get(row.recipientId) ?? { left: 0, held: 0 }
          grants.set(row.recipientId, { left: sum.left + row.sendsLeft, held: sum.held + row.held })
        }
      }
      for (const [recipientId, { left, held }] of grants) {
        const openId = (await ledger.people.openIds([recipientId])).get(recipientId)!
        const theirs = wechat.grantsOf(openId, 'T')
        if (theirs < left || theirs > left + held)
          say('5', `grants of ${openId}: we say ${left} left and ${held} held, WeChat says ${theirs}`)
      }

      // 7: places taken for messages that went or may have gone
      const charged = new Map<string, { n: number; stopped: boolean }>()
      for (const row of rows) {
        if (row.recipientId === null || row.sentAt === null) continue
        const gone =
          TOOK.includes(row.state) || row.state === 'unknown' || (row.state === 'failed' && row.by === 'receipt')
        if (!gone) continue
        for (const key of [row.cap?.key, row.window?.key]) {
          if (key === undefined) continue
          const sum = charged.get(key) ?? { n: 0, stopped: true }
          const stopped = sum.stopped && (row.lane === 'bulk' || key.startsWith('window:'))
          charged.set(key, { n: sum.n + 1, stopped })
        }
      }
      for (const [key, { n, stopped }] of charged) if (stopped && n > 3) say('7', `${key} took ${n}`)
      for (const row of rows) {
        // whom an operator struck off later had its place when the others asked
        if (row.state !== 'skipped' || row.reason !== 'capped' || judged) continue
        const n = charged.get(capKey(row.accountId, row.recipientId!, row.settledAt!))?.n ?? 0
        if (n < 3) say('7', `${row._id} was capped, though only ${n} went that day`)
      }
      return broken
    }
  }

  function keyOf(row: MessageRow): string {
    return row.channel === 'service' ? `${row._id}.${row.round}` : row._id
  }
}
export type CrashWorld = Awaited<ReturnType<typeof createCrashWorld>>

function ignoreConflict(error: unknown): void {
  if ((error as { status?: number }).status !== 409) throw error
}

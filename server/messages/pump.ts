import type { Collection } from 'mongodb'
import type { Account, Accounts } from '../accounts/accounts.js'
import { targetOf } from '../accounts/target.js'
import type { Clock } from '../platform/clock.js'
import type { Log } from '../platform/log.js'
import type { Tags } from '../opens/tags.js'
import type { Senders } from '../senders/senders.js'
import { msgidOf } from '../senders/senders.js'
import type { TokenCentre, AccessToken } from '../wechat/access-token.js'
import type { WechatResult } from '../wechat/client.js'
import { isTokenErrcode } from '../wechat/errcodes.js'
import { restOf } from '../wechat/token-failures.js'
import type { Lane } from '../../shared/message.js'
import type { TemplateKind } from '../../shared/template.js'
import { createAnswers, type Numbered } from './answers.js'
import { nextReset, type Budget, type Slots, type Unused } from './budget.js'
import { handBackOf, markSending, withoutStopped } from './marking.js'
import { isPunished, type Guards } from './guarding.js'
import { LANES, mayFire } from './leasing.js'
import type { Prepare } from './prepare.js'
import { askedOf, requestOf, type Ready } from './ready.js'
import type { MessageRow } from './model.js'
import { outcomeOf } from './outcome.js'
import { settle, type Effect } from './settle.js'
import type { Pace } from './pace.js'
import { flushMsOf, intakeOf, leadMsOf, nextBatch, nextBlockAt, slotsWanted } from './rhythm.js'
import { volley } from './volley.js'

export type PumpParts = {
  rows: Collection<MessageRow>
  clock: Clock
  pace: Pace
  log: Log
  random: () => number
  accounts: Accounts
  senders: Senders
  tokens: TokenCentre
  budget: Budget
  prepare: Prepare
  guards: Pick<Guards, 'isSuspect'>
  /** Waits an event stopped meanwhile (by wait id). */
  stoppedWaits: (waitIds: string[]) => Promise<Set<string>>
  /** Where a tap leads, with the message's tag on it. */
  lead: Tags['lead']
  /** These messages have WeChat's numbers now. */
  numbered: (accountId: string, messages: Numbered[]) => Promise<void>
  /** What an answer does besides moving its row: reach, blocks, alerts. */
  effect: (account: Account, item: Ready, effect: Effect) => Promise<void>
}

const LOOK_AGAIN_MS = 25
/** With its hands full of bulk, a pump looks for transactional messages this often; those another process planned wake nobody here. */
const LOOK_URGENT_MS = 200
const URGENT_BATCH = 50
/** After the store or the token centre failed. */
const TROUBLE_MS = 500
const BURST = { windowMs: 10_000, refusals: 20, share: 0.5 }

/**
 * One account's sending in this process: leases, waits for slots, fires, settles, until told to stop. Everything it
 * keeps in memory may be lost at any moment; the rows say what to do next.
 */
export function createAccountPump(accountId: string, parts: PumpParts) {
  const { rows, clock, pace, log } = parts
  const queues = new Map<TemplateKind, Ready[]>()
  const busy = new Set<string>()
  const recent: { at: number; refused: boolean }[] = []
  const blocks = new Set<Promise<void>>()
  let inFlight = 0
  /** Marked, in a running block, not fired yet (or put back). */
  let pending = 0
  let stopping = false
  let wakeUp: (() => void) | null = null
  /** Who waits for room. */
  const freed: (() => void)[] = []
  /** How long an answer takes lately. */
  let latencyMs = 0
  const unused = new Map<TemplateKind, Unused>()
  /** How long it lately took from having slots to having marked their rows, beyond what a slot may be late. */
  let leadMs = 0
  /** There is something new: look at once. */
  let roused = false
  const blockedUntil = new Map<TemplateKind, number>()

  const waiting = () => [...queues.values()].reduce((n, queue) => n + queue.length, 0)

  /** How many more transactional ones are worth having in hand beside the bulk. */
  const urgentRoom = () =>
    URGENT_BATCH - [...queues.values()].flat().filter(({ row }) => row.lane === 'transactional').length

  const release = (item: Ready) => busy.delete(item.row.recipientId ?? item.row._id)

  const answers = createAnswers({
    accountId,
    rows,
    pace,
    log,
    done: release,
    numbered: (messages) => parts.numbered(accountId, messages),
    effect: async (item, effect) => parts.effect(await parts.accounts.get(accountId), item, effect)
  })

  /** M8 for a block; those that were replaced meanwhile drop out. */
  async function mark(young: Ready[]): Promise<Ready[]> {
    const items = await withoutStopped(rows, accountId, young, parts.stoppedWaits, clock.now())
    if (items !== young) for (const item of young) if (!items.includes(item)) release(item)
    // replaced: what was reserved is garbage by name, the sweep returns it
    for (const item of await markSending(rows, accountId, items, clock.now())) release(item)
    return items.filter((item) => item.marked)
  }

  async function handBack(items: Ready[], due: Date | null = null, waitingFor?: 'penalty'): Promise<void> {
    if (items.length === 0) return
    const now = clock.now()
    await rows.bulkWrite(
      items.map((item) => handBackOf(accountId, item, now, due, waitingFor)),
      { ordered: false }
    )
    for (const item of items) release(item)
  }

  const tooOld = (item: Ready) => !mayFire(item.leasedAt, { monotonic: pace.monotonic(), wall: clock.now().getTime() })

  function burst(now: number): boolean {
    while (recent.length > 0 && recent[0]!.at < now - BURST.windowMs) recent.shift()
    const refused = recent.filter((each) => each.refused).length
    return refused >= BURST.refusals && refused / recent.length > BURST.share
  }

  async function fire(account: Account, item: Ready, token: AccessToken): Promise<void> {
    const { row } = item
    inFlight += 1
    const at = clock.now()
    let result: WechatResult
    try {
      result = await parts.senders.send(
        targetOf(account),
        { ...requestOf(item), ...parts.lead(row, account.mode) },
        token.token
      )
    } catch (error) {
      // a bug of ours must not turn doubt into certainty
      log.error({ err: error, messageId: row._id }, 'a send threw')
      result = { kind: 'noAnswer', reason: 'internal', ms: 0 }
    } finally {
      inFlight -= 1
      for (const go of freed.splice(0)) go()
    }
    latencyMs += (result.ms - latencyMs) / 20
    if (result.kind === 'answer' && !isTokenErrcode(result.errcode)) parts.tokens.worked(targetOf(account), token.gen)
    const now = pace.monotonic()
    if (row.channel === 'subscribe' && result.kind === 'answer')
      recent.push({ at: now, refused: result.errcode === 43101 })
    const verdict = settle(
      askedOf(
        item,
        account.exclusive,
        row.channel === 'subscribe' && (burst(now) || parts.guards.isSuspect(accountId, row.templateId))
      ),
      result,
      parts.random()
    )
    const line = {
      at,
      n: row.n,
      code: result.kind === 'answer' ? result.errcode : null,
      kind: result.kind,
      latencyMs: Math.round(result.ms),
      rid: result.kind === 'answer' ? result.rid : null,
      note: result.kind === 'answer' ? (result.errcode === 0 ? null : result.errmsg.slice(0, 200)) : result.reason
    }
    if (verdict.to !== 'accepted') {
      const { at: _at, note: _note, ...facts } = line
      log.info({ accountId, messageId: row._id, to: verdict.to, ...facts }, 'a send was not accepted')
    }
    const msgid = msgidOf(result)
    const outcome = outcomeOf(item, verdict, { now: clock.now(), line, msgid, reset: nextReset(clock.now()) })
    answers.add({ item, outcome, effects: verdict.effects, msgid }, flushMsOf(account.limits))
    if (verdict.effects.some((effect) => effect.kind === 'refreshToken'))
      parts.tokens.refused(targetOf(account), token.gen).catch(() => {})
    wakeUp?.()
  }

  const whenFreed = (ms: number) => Promise.race([new Promise<void>((resolve) => freed.push(resolve)), pace.sleep(ms)])

  /** Slots nothing was sent in go back to the day's quota with the next block. */
  function lose(channel: TemplateKind, { day }: Slots, slots: number): void {
    const before = unused.get(channel)
    if (slots > 0) unused.set(channel, { day, slots: slots + (before?.day === day ? before.slots : 0) })
  }

  /** Fires one block of slots of one channel. @returns how long until the next block should be asked for, ms */
  async function block(account: Account, channel: TemplateKind): Promise<number> {
    const queue = queues.get(channel)!
    const k = slotsWanted(account.limits, { queued: queue.length, inFlight, pending, latencyMs })
    if (k === 0) return 5
    queue.sort((a, b) => Number(a.row.lane === 'bulk') - Number(b.row.lane === 'bulk'))
    const lane = queue[0]!.row.lane
    let token: AccessToken
    try {
      token = await parts.tokens.current(targetOf(account))
    } catch (error) {
      log.warn({ err: error, accountId }, 'no token to send with')
      await handBack(queue.splice(0), restOf(error))
      return 2000
    }
    const limits = { perSecond: account.limits.perSecond, perDay: account.limits.perDay[channel] }
    const back = unused.get(channel)
    unused.delete(channel)
    const slots = await parts.budget.reserve(account.id, channel, lane, k, limits, leadMs, back)
    const reservedAt = pace.monotonic()
    if (slots.stopped.size > 0) {
      const gone = queue.filter(
        (item) => slots.stopped.has('account') || (item.row.runId !== null && slots.stopped.has(item.row.runId))
      )
      if (gone.length > 0) {
        queues.set(
          channel,
          queue.filter((item) => !gone.includes(item))
        )
        // not at once: who stopped them may not have written the campaign's own state yet
        lose(channel, slots, slots.granted)
        await handBack(gone, new Date(clock.now().getTime() + 1000))
        return 0
      }
    }
    if (slots.granted === 0) {
      const now = clock.now()
      if (slots.blockedUntil !== null && slots.blockedUntil > now) {
        blockedUntil.set(channel, slots.blockedUntil.getTime())
        await handBack(queue.splice(0), slots.blockedUntil)
        return 0
      }
      if (slots.exhausted) {
        const reset = nextReset(now)
        const held = queue.filter((item) => lane === 'transactional' || item.row.lane === 'bulk')
        queues.set(
          channel,
          queue.filter((item) => !held.includes(item))
        )
        await handBack(held, reset)
        return 0
      }
      return 50
    }
    const items = queue.splice(0, slots.granted)
    const young = items.filter((item) => !tooOld(item))
    await handBack(items.filter((item) => !young.includes(item)))
    let marked: Ready[]
    try {
      marked = await mark(young)
    } catch (error) {
      // perhaps it was written: asked again, the rows are found to be ours
      queues.get(channel)!.unshift(...young)
      throw error
    }
    leadMs = leadMsOf(pace.monotonic() - reservedAt, leadMs)
    let open = marked.length
    let fired = 0
    pending += open
    const go = async (item: Ready) => {
      open -= 1
      pending -= 1
      if (tooOld(item)) return handBack([item])
      fired += 1
      fire(account, item, token).catch((err: unknown) =>
        log.error({ err, messageId: item.row._id }, 'an answer was not settled')
      )
    }
    const room = () => inFlight < account.limits.inFlight
    const rest = { pace, room, over: () => stopping, freed: whenFreed }
    const firing = volley(marked, slots, rest, go)
      .then((left) => void queues.get(channel)!.unshift(...left))
      .catch((error: unknown) => log.warn({ err: error, accountId }, 'a block broke off; its rows are looked at again'))
      .finally(() => {
        pending -= open
        lose(channel, slots, slots.granted - fired)
        blocks.delete(firing)
      })
    blocks.add(firing)
    await pace.sleep(nextBlockAt(slots, leadMs) - pace.monotonic())
    return 0
  }

  const blocked = (account: Account, channel: TemplateKind): Date | null => {
    const own = account.blocked[channel]
    const now = clock.now().getTime()
    const until = Math.max(own === undefined ? 0 : own.until.getTime(), blockedUntil.get(channel) ?? 0)
    return until > now ? new Date(until) : null
  }

  async function refill(account: Account, room: number, lanes: readonly Lane[]): Promise<number> {
    const { ready, leased } = await parts.prepare.take(account, room, busy, lanes)
    for (const item of ready) {
      busy.add(item.row.recipientId ?? item.row._id)
      const queue = queues.get(item.row.channel)
      if (queue === undefined) queues.set(item.row.channel, [item])
      else queue.push(item)
    }
    for (const [channel, queue] of queues) {
      const punished = account.punished === null ? [] : queue.filter((item) => isPunished(account, item))
      if (punished.length > 0) {
        queue.splice(0, Infinity, ...queue.filter((item) => !punished.includes(item)))
        await handBack(punished, account.punished!.blockedUntil, 'penalty')
      }
      const until = blocked(account, channel)
      if (until !== null && queue.length > 0) await handBack(queue.splice(0), until)
    }
    return leased
  }

  return {
    accountId,
    /** Is anything leased, in flight, or not stored yet? */
    idle: () => waiting() + pending + inFlight + answers.size() === 0,
    inFlight: () => inFlight,

    /** There may be something new: it is looked for at once, whatever else is in hand. */
    wake(): void {
      roused = true
      wakeUp?.()
    },

    /** Sends what is due until nothing is; returns how many rows were taken up. */
    async drain(): Promise<number> {
      let taken = 0
      let lookAgainAt = 0
      let urgentAt = 0
      let filling: Promise<void> | null = null
      /** How many to take up next; null: nothing was in hand, they are the first. */
      let batch: number | null = null
      while (!stopping) {
        const account = await parts.accounts.get(accountId)
        const intake = intakeOf(account.limits, waiting(), batch)
        const low = intake > 0
        const room = low ? intake : urgentRoom()
        if (filling === null && room > 0 && (roused || pace.monotonic() >= (low ? lookAgainAt : urgentAt))) {
          roused = false
          urgentAt = pace.monotonic() + LOOK_URGENT_MS
          filling = refill(account, room, low ? LANES : ['transactional'])
            .then((got) => {
              taken += got
              if (low) batch = nextBatch(room)
              if (got === 0 && low) lookAgainAt = pace.monotonic() + LOOK_AGAIN_MS
            })
            .catch((error: unknown) => {
              // what was leased meanwhile comes back when its lease is over
              log.error({ err: error, accountId }, 'rows could not be made ready')
              lookAgainAt = urgentAt = pace.monotonic() + 1000
            })
            .finally(() => (filling = null))
        }
        const lines = [...queues].filter(([, queue]) => queue.length > 0).map(([channel]) => channel)
        if (lines.length > 0) {
          const waits = await Promise.all(
            lines.map((channel) =>
              block(account, channel).catch((error: unknown) => {
                log.warn({ err: error, accountId, channel }, 'a block could not be sent; trying again')
                return TROUBLE_MS
              })
            )
          )
          const pause = Math.min(...waits)
          if (pause > 0) await pace.sleep(pause)
          continue
        }
        if (filling !== null) {
          await filling
          continue
        }
        if (pending + inFlight + answers.size() > 0) {
          // answers free recipients and may bring their next message
          await new Promise<void>((resolve) => {
            wakeUp = resolve
            setTimeout(resolve, LOOK_AGAIN_MS)
          })
          if (inFlight === 0) await answers.flush()
          continue
        }
        batch = null
        if (pace.monotonic() < lookAgainAt && !roused) return taken
      }
      // told to stop: what was being leased or marked at that moment goes back too
      if (filling !== null) await filling
      await Promise.all(blocks)
      for (const queue of queues.values()) await handBack(queue.splice(0))
      return taken
    },

    /** Fires nothing more, waits for answers under way, stores them, gives the rest back. */
    async stop(withinMs = 8_000): Promise<void> {
      stopping = true
      wakeUp?.()
      await Promise.all(blocks)
      const deadline = pace.monotonic() + withinMs
      while (inFlight > 0 && pace.monotonic() < deadline) await pace.sleep(20)
      await answers.stop()
      for (const queue of queues.values()) await handBack(queue.splice(0))
    }
  }
}
export type AccountPump = ReturnType<typeof createAccountPump>

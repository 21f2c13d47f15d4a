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
import type { Lane } from '../../shared/message.js'
import type { TemplateKind } from '../../shared/template.js'
import { createAnswers, type Numbered } from './answers.js'
import { nextReset, type Budget } from './budget.js'
import { handBackOf, markSending, withoutStopped } from './marking.js'
import { isPunished, type Guards } from './guarding.js'
import { FIRE_WITHIN_MS, LANES } from './leasing.js'
import type { Prepare } from './prepare.js'
import type { Ready } from './ready.js'
import type { MessageRow } from './model.js'
import { outcomeOf } from './outcome.js'
import { settle, type Effect } from './settle.js'
import type { Pace } from './pace.js'

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

/** A slot this much too late is lost and asked for anew: the limit's spacing margin is 30 ms. */
const LATE_MS = 25
/** The next block is asked for this long before the last one ends, and as much sooner as marking takes. */
const EARLY_MS = 30
const LEAD_MAX_MS = 250
const BLOCK_MS = 100
const BATCH = 500
const LEASE_BUDGET_S = 3
const FLUSH_MS = 50
const SLOW_FLUSH_MS = 200
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

  const tooOld = (item: Ready) =>
    Math.max(pace.monotonic() - item.leasedAt.monotonic, clock.now().getTime() - item.leasedAt.wall) > FIRE_WITHIN_MS

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
        {
          channel: row.channel,
          openId: item.openId,
          templateId: row.templateId,
          data: row.data,
          ...parts.lead(row, account.mode),
          formId: row.channel === 'legacy' ? (item.value ?? undefined) : undefined,
          emphasis: row.emphasis ?? undefined,
          clientMsgId: row.channel === 'service' ? `${row._id}.${row.round}` : undefined
        },
        token.token
      )
    } catch (error) {
      // a bug of ours must not turn doubt into certainty
      log.error({ err: error, messageId: row._id }, 'a send threw')
      result = { kind: 'noAnswer', reason: 'internal', ms: 0 }
    } finally {
      inFlight -= 1
    }
    if (result.kind === 'answer' && !isTokenErrcode(result.errcode)) parts.tokens.worked(targetOf(account), token.gen)
    const now = pace.monotonic()
    if (row.channel === 'subscribe' && result.kind === 'answer')
      recent.push({ at: now, refused: result.errcode === 43101 })
    const verdict = settle(
      {
        channel: row.channel,
        source: item.hold.source,
        doubt: item.doubt,
        minus1: item.hold.minus1 === true,
        exclusive: account.exclusive,
        attempt: row.attempt,
        liveForMs: item.liveForMs,
        burst: row.channel === 'subscribe' && (burst(now) || parts.guards.isSuspect(accountId, row.templateId))
      },
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
    const msgid = msgidOf(result)
    const outcome = outcomeOf(item, verdict, { now: clock.now(), line, msgid, reset: nextReset(clock.now()) })
    answers.add(
      { item, outcome, effects: verdict.effects, msgid },
      account.limits.perSecond <= 100 ? SLOW_FLUSH_MS : FLUSH_MS
    )
    if (verdict.effects.some((effect) => effect.kind === 'refreshToken'))
      parts.tokens.refused(targetOf(account), token.gen).catch(() => {})
    wakeUp?.()
  }

  /** Fires one block of slots of one channel. @returns how long until the next block should be asked for, ms */
  async function block(account: Account, channel: TemplateKind): Promise<number> {
    const queue = queues.get(channel)!
    const room = account.limits.inFlight - inFlight
    if (room <= 0) return 5
    queue.sort((a, b) => Number(a.row.lane === 'bulk') - Number(b.row.lane === 'bulk'))
    const lane = queue[0]!.row.lane
    const k = Math.min(queue.length, room, Math.max(1, Math.ceil((account.limits.perSecond * BLOCK_MS) / 1000)))
    let token: AccessToken
    try {
      token = await parts.tokens.current(targetOf(account))
    } catch (error) {
      log.warn({ err: error, accountId }, 'no token to send with')
      await handBack(queue.splice(0), null)
      return 2000
    }
    const limits = { perSecond: account.limits.perSecond, perDay: account.limits.perDay[channel] }
    const slots = await parts.budget.reserve(account.id, channel, lane, k, limits, leadMs)
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
    const late = Math.min(LEAD_MAX_MS, Math.max(0, pace.monotonic() - reservedAt - LATE_MS))
    leadMs = Math.round(Math.max(late, leadMs * 0.9 - 1, 0))
    let slot = 0
    let index = 0
    // One loop a block: whoever's moment has come fires, never early. A slot that is lost costs the last of the block its
    // turn, not the first: with a slow store the first slots are lost again and again, and in front is who is urgent.
    const run = async () => {
      while (index < marked.length && slot < slots.granted && !stopping) {
        const left = slots.firstAt + slot * slots.everyMs - pace.monotonic()
        if (left > 0) {
          await pace.sleep(left)
          continue
        }
        slot += 1
        if (-left > LATE_MS) continue
        const item = marked[index]!
        index += 1
        if (tooOld(item)) await handBack([item])
        else void fire(account, item, token)
      }
      queues.get(channel)!.unshift(...marked.slice(index))
    }
    const firing = run()
      .catch((error: unknown) => log.warn({ err: error, accountId }, 'a block broke off; its rows are looked at again'))
      .finally(() => {
        pending -= marked.length
        blocks.delete(firing)
      })
    pending += marked.length
    blocks.add(firing)
    await pace.sleep(slots.firstAt + slots.granted * slots.everyMs - pace.monotonic() - EARLY_MS - leadMs)
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
      while (!stopping) {
        const account = await parts.accounts.get(accountId)
        const limit = Math.min(BATCH, Math.max(10, Math.ceil(account.limits.perSecond * LEASE_BUDGET_S)))
        const low = waiting() <= limit / 2
        const room = low ? limit - waiting() : urgentRoom()
        if (filling === null && room > 0 && (roused || pace.monotonic() >= (low ? lookAgainAt : urgentAt))) {
          roused = false
          urgentAt = pace.monotonic() + LOOK_URGENT_MS
          filling = refill(account, room, low ? LANES : ['transactional'])
            .then((got) => {
              taken += got
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

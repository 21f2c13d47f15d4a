import type { Accounts, Account } from '../accounts/accounts.js'
import type { Messages } from '../messages/messages.js'
import type { Platforms } from '../platforms/platforms.js'
import type { Templates } from '../templates/templates.js'
import type { Webhooks } from '../webhooks/webhooks.js'
import type { Thresholds } from '../../shared/settings.js'
import { endingsOf, levelOf, type Finding } from './judge.js'

/** A breaker as far as alerts are about it. */
export type BreakerSeen = {
  _id: string
  accountId: string
  state: string
  templateId: string | null
  reason: string | null
}

export type LookParts = {
  accounts: Pick<Accounts, 'list'>
  messages: Pick<Messages, 'rows' | 'counters' | 'runs'>
  templates: Pick<Templates, 'drifts'>
  webhooks: Pick<Webhooks, 'dead'>
  platforms: Pick<Platforms, 'view'>
  /** Breakers that are not closed. */
  breakers: () => Promise<BreakerSeen[]>
}

/** Reading what is stored for what is wrong; nothing here changes anything. */
export function createLooks({ accounts, messages, templates, webhooks, platforms, breakers }: LookParts) {
  const each = async (look: (account: Account) => Promise<Finding[]>): Promise<Finding[]> => {
    const found: Finding[] = []
    for (const account of await accounts.list()) found.push(...(await look(account)))
    return found
  }

  /** Since when the message due longest is due; null: none is. What is paused is not expected to move. */
  async function oldestDue(account: Account, now: Date): Promise<Date | null> {
    const { paused } = await messages.runs.closedOf(account.id)
    const stopped = account.paused ? { state: 'sending' as const } : { state: { $in: EXPECTED } }
    const running = paused.size === 0 ? {} : { $or: [{ runId: { $nin: [...paused] } }, { state: 'sending' as const }] }
    const oldest = await Promise.all(
      LANES.map((lane) =>
        messages.rows
          .find({ accountId: account.id, lane, due: { $lte: now }, ...stopped, ...running }, { projection: { due: 1 } })
          .sort({ due: 1 })
          .limit(1)
          .next()
      )
    )
    const dues = oldest.flatMap((row) => (row === null ? [] : [row.due.getTime()]))
    return dues.length === 0 ? null : new Date(Math.min(...dues))
  }

  /** Accounts connected by QR live on a ticket that WeChat pushes to the platform every ten minutes. */
  async function ticketGone(now: Date): Promise<Finding[]> {
    if (!(await accounts.list()).some(({ connectedBy }) => connectedBy === 'qr')) return []
    const { platform } = await platforms.view()
    if (platform.ticket !== null && platform.ticket.expiresAt > now) return []
    const facts = { receivedAt: platform.ticket?.receivedAt.toISOString() ?? null }
    return [{ accountId: null, name: 'platform ticket', level: 'fire', facts }]
  }

  return {
    failures: ({ share, clearShare, atLeast, windowMinutes }: Thresholds['failures'], now: Date) =>
      each(async ({ id }) => {
        const since = new Date(now.getTime() - windowMinutes * 60_000)
        const counters = await messages.counters
          .find({ accountId: id, minute: { $gt: since } }, { projection: { n: 1 } })
          .toArray()
        const { failed, decided, worst } = endingsOf(counters)
        if (decided === 0) return []
        const level = levelOf(failed / decided, { fire: share, clear: clearShare })
        if (level === null) return []
        const facts = { share: failed / decided, failed, decided, windowMinutes, worst }
        // Few messages fire nothing; nor do they end what many have fired.
        return [{ accountId: id, name: '', level: decided < atLeast ? ('hold' as const) : level, facts }]
      }),

    queue: ({ behindMs, clearMs }: Thresholds['queue'], now: Date) =>
      each(async (account) => {
        const oldest = await oldestDue(account, now)
        if (oldest === null) return []
        const late = now.getTime() - oldest.getTime()
        const level = levelOf(late, { fire: behindMs, clear: clearMs })
        const facts = { behindMs: late, oldestDueAt: oldest.toISOString() }
        return level === null ? [] : [{ accountId: account.id, name: '', level, facts }]
      }),

    account: async (now: Date): Promise<Finding[]> => [
      ...(await ticketGone(now)),
      ...(await each(async (account) => {
        const found: Finding[] = []
        const wrong = (name: string, facts: Record<string, unknown>) =>
          found.push({ accountId: account.id, name, level: 'fire', facts })
        if (account.state !== 'ready') wrong('state', { state: account.state, reason: account.disabledReason })
        for (const [name, block] of Object.entries(account.blocked)) {
          if (block === undefined || block.until <= now) continue
          wrong(`blocked:${name}`, { until: block.until.toISOString(), code: block.code, reason: block.note })
        }
        const { punished } = account
        if (punished !== null) {
          wrong('penalty', { ...punished, blockedUntil: punished.blockedUntil?.toISOString() ?? null })
        }
        if (!account.exclusive) wrong('formIds spent elsewhere', { until: account.sharedUntil?.toISOString() ?? null })
        const drifted = await templates.drifts(account.id)
        if (drifted > 0) wrong('templates', { drifted })
        return found
      }))
    ],

    async breaker(): Promise<Finding[]> {
      return (await breakers())
        .filter(({ state }) => state !== 'closed')
        .map(({ _id, accountId, state, templateId, reason }) => ({
          accountId,
          name: _id,
          // One that tries again has not been closed yet.
          level: state === 'open' ? ('fire' as const) : ('hold' as const),
          facts: { templateId, reason }
        }))
    },

    async webhook(): Promise<Finding[]> {
      const dead = await webhooks.dead()
      return dead.map(({ id, name, reason }) => ({ accountId: null, name: id, level: 'fire', facts: { name, reason } }))
    }
  }
}

const LANES = ['transactional', 'bulk'] as const
const EXPECTED: ('planned' | 'held' | 'sending')[] = ['planned', 'held', 'sending']

import { DAY_MS } from '../../shared/limits.js'
import type { Thresholds } from '../../shared/settings.js'
import type { Account, Accounts } from '../accounts/accounts.js'
import type { Credentials } from '../credentials/credentials.js'
import type { CredentialRow } from '../credentials/model.js'
import type { Messages } from '../messages/messages.js'
import type { Clock } from '../platform/clock.js'
import type { Templates } from '../templates/templates.js'
import { endingsOf, levelOf, type Finding } from './judge.js'

export type RunwayParts = {
  clock: Clock
  accounts: Pick<Accounts, 'list'>
  messages: Pick<Messages, 'counters'>
  credentials: Pick<Credentials, 'rows'>
  templates: Pick<Templates, 'list'>
}

/** Rights that can stand in for one another: forms and payments of an account, or the grants of one template. */
type Pool = { sends: number; endless: boolean }
const FORMS = 'forms'
const WEEK_DAYS = 7
const PAGE = 2_000

/**
 * How long the rights at hand last at the pace of the past week, pool by pool; only of accounts that send with rights they
 * must earn. It reads all their rights page by page, so it is for now and then.
 */
export function createRunway({ clock, accounts, messages, credentials, templates }: RunwayParts) {
  /** Messages that used up a right, by template, and over how many days. */
  async function spent(accountId: string, now: Date): Promise<{ byTemplate: Map<string, number>; days: number }> {
    const since = new Date(now.getTime() - WEEK_DAYS * DAY_MS)
    const counters = messages.counters.find(
      { accountId, minute: { $gt: since } },
      { projection: { n: 1, templateId: 1, minute: 1 } }
    )
    const sums = new Map<string, Record<string, number>>()
    let first = now
    for await (const { n, templateId, minute } of counters) {
      if (minute < first) first = minute
      const sum = sums.get(templateId) ?? {}
      for (const [name, k] of Object.entries(n)) sum[name] = (sum[name] ?? 0) + k
      sums.set(templateId, sum)
    }
    const used = [...sums].map(([templateId, n]) => {
      const { decided, failed } = endingsOf([{ n }])
      return [templateId, decided - failed] as const
    })
    const days = Math.min(WEEK_DAYS, Math.max(1, (now.getTime() - first.getTime()) / DAY_MS))
    return { byTemplate: new Map(used), days }
  }

  /** What an account has, pool by pool. */
  async function atHand(accountId: string, now: Date): Promise<Map<string, Pool>> {
    const pools = new Map<string, Pool>()
    let last = ''
    for (;;) {
      const page = await credentials.rows
        .find({ accountId, recipientId: { $gt: last } }, { projection: SEEN })
        .sort({ recipientId: 1 })
        .limit(PAGE)
        .toArray()
      const end = page.at(-1)?.recipientId
      // The last one may go on behind the page.
      const cut = page.length === PAGE && page[0]!.recipientId !== end
      const whole = cut ? page.filter(({ recipientId }) => recipientId !== end) : page
      for (const row of whole) add(pools, row, now)
      if (page.length < PAGE) return pools
      last = whole.at(-1)!.recipientId
    }
  }

  async function look(account: Account, limits: Thresholds['credentials']): Promise<Finding[]> {
    const now = clock.now()
    const { byTemplate, days } = await spent(account.id, now)
    if (byTemplate.size === 0) return []
    const kinds = new Map((await templates.list(account.id)).templates.map((each) => [each.templateId, each.kind]))
    const pace = new Map<string, number>()
    for (const [templateId, used] of byTemplate) {
      const pool = kinds.get(templateId) === 'subscribe' ? templateId : FORMS
      pace.set(pool, (pace.get(pool) ?? 0) + used)
    }
    const pools = await atHand(account.id, now)
    const found: Finding[] = []
    for (const [name, used] of pace) {
      const { sends, endless } = pools.get(name) ?? { sends: 0, endless: false }
      if (endless || used < limits.atLeast) continue
      const perDay = used / days
      const daysLeft = sends / perDay
      const level = levelOf(daysLeft, { fire: limits.days, clear: limits.clearDays })
      const facts = { daysLeft, sendsLeft: sends, perDay, templateId: name === FORMS ? null : name }
      if (level !== null) found.push({ accountId: account.id, name, level, facts })
    }
    return found
  }

  return async (limits: Thresholds['credentials']): Promise<Finding[]> => {
    const found: Finding[] = []
    for (const account of await accounts.list()) {
      // A service account's rights come with its followers and are earned anew by each interaction.
      if (account.kind === 'miniprogram') found.push(...(await look(account, limits)))
    }
    return found
  }
}

const SEEN = { recipientId: 1, source: 1, templateId: 1, state: 1, sendsLeft: 1, unlimited: 1, expiresAt: 1 } as const

function add(pools: Map<string, Pool>, row: Pick<CredentialRow, keyof typeof SEEN>, now: Date): void {
  if (row.state !== 'live' || row.expiresAt <= now) return
  const name = row.source === 'form' || row.source === 'payment' ? FORMS : row.templateId
  if (name === null) return
  const pool = pools.get(name) ?? { sends: 0, endless: false }
  pools.set(name, { sends: pool.sends + row.sendsLeft, endless: pool.endless || row.unlimited })
}

import { CHANNELS } from '../../shared/channels.js'
import type { Account, Accounts } from '../accounts/accounts.js'
import type { Messages } from '../messages/messages.js'
import type { Clock } from '../platform/clock.js'
import type { Check } from '../platform/health.js'
import { isWell } from '../platform/health.js'
import type { Log } from '../platform/log.js'
import type { Metrics } from './metrics.js'

/** So many accounts have a line of their own; of those beyond, the oldest first, nothing is told. */
const ACCOUNTS = 200
/** Scraped by however many, the store is asked this often at most. */
const FRESH_MS = 10_000

/** What is looked up when somebody scrapes: queues, what is left of budgets, accounts that cannot send. */
export function gaugeAccounts(parts: {
  metrics: Metrics
  clock: Clock
  log: Log
  accounts: Pick<Accounts, 'list'>
  messages: Pick<Messages, 'budget' | 'follower' | 'pumps'>
}): void {
  const { metrics, clock, log, accounts, messages } = parts
  let lookedAt = -Infinity
  let looking: Promise<void> | null = null

  async function look(): Promise<void> {
    const now = clock.now()
    const list = (await accounts.list()).slice(0, ACCOUNTS)
    const standing = await messages.follower.standing(list.map(({ id }) => id))
    const found = await Promise.all(
      list.map(async (account) => ({
        account,
        open: standing.get(account.id)?.n.open ?? 0,
        budgets: await Promise.all(
          CHANNELS[account.kind].map(async (name) => ({
            name,
            ...(await messages.budget.leftOf(account.id, name, account.limits.perDay[name], now))
          }))
        )
      }))
    )
    for (const gauge of [metrics.open, metrics.budgetLeft, metrics.budgetLimit, metrics.accountUp]) gauge.reset()
    for (const { account, open, budgets } of found) {
      metrics.open.set({ account: account.appId }, open)
      metrics.accountUp.set({ account: account.appId }, maySend(account) ? 1 : 0)
      for (const { name, left, perDay } of budgets) {
        metrics.budgetLeft.set({ account: account.appId, interface: name }, left)
        metrics.budgetLimit.set({ account: account.appId, interface: name }, perDay)
      }
    }
    lookedAt = clock.monotonic()
  }

  metrics.onScrape(() => metrics.inFlight.set(messages.pumps.inFlight()))
  metrics.onScrape(async () => {
    if (clock.monotonic() - lookedAt < FRESH_MS) return
    looking ??= look()
      .catch((error: unknown) => log.warn({ err: error }, 'figures of the accounts could not be looked up'))
      .finally(() => (looking = null))
    await looking
  })
}

const maySend = ({ state, paused, punished }: Account) => state !== 'disabled' && !paused && punished === null

/** What /readyz looks at, as figures; and how long the store takes to say that it is there. */
export function gaugeChecks(metrics: Metrics, checks: Check[]): void {
  metrics.onScrape(async () => {
    for (const { name, ok, ms } of await Promise.all(checks.map(isWell))) {
      metrics.checks.set({ check: name }, ok ? 1 : 0)
      if (name === 'store' && ok) metrics.storeSeconds.observe({ call: 'ping' }, ms / 1000)
    }
  })
}

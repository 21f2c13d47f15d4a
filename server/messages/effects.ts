import type { Connection } from 'mongoose'
import type { Clock } from '../platform/clock.js'
import type { Log } from '../platform/log.js'
import type { Account, Accounts } from '../accounts/accounts.js'
import type { People } from '../people/people.js'
import { DAY_MS } from '../../shared/limits.js'
import { nextReset, type Budget } from './budget.js'
import type { Ready } from './ready.js'
import type { Effect } from './settle.js'

export type AlertRow = {
  _id: string
  accountId: string
  name: string
  count: number
  firstAt: Date
  lastAt: Date
  facts: Record<string, unknown>
}

/** What an answer does besides moving its row. Each effect may be repeated; none undoes newer news. */
export function createEffects(parts: {
  db: Connection
  clock: Clock
  log: Log
  accounts: Accounts
  people: People
  budget: Budget
}) {
  const { db, clock, log, accounts, people, budget } = parts
  const alerts = db.collection('alerts')

  async function alert(accountId: string, name: string, facts: Record<string, unknown>): Promise<void> {
    const now = clock.now()
    log.warn({ accountId, alert: name, ...facts }, 'an alert fired')
    const hour = Math.floor(now.getTime() / 3_600_000)
    await alerts.updateOne(
      { _id: `${accountId}:${name}:${hour}` as never },
      { $setOnInsert: { accountId, name, firstAt: now }, $set: { lastAt: now, facts }, $inc: { count: 1 } },
      { upsert: true }
    )
  }

  return async (account: Account, item: Ready, effect: Effect): Promise<void> => {
    switch (effect.kind) {
      case 'blockInterface': {
        if (effect.until === 'reset') return budget.block(account.id, item.row.channel, nextReset(clock.now()))
        const until = new Date(clock.now().getTime() + DAY_MS)
        await accounts.block(account.id, item.row.channel, {
          until,
          code: item.row.code,
          note: 'WeChat shut this interface; an operator opens it again'
        })
        return
      }
      case 'unreachable':
        return people.setReach(item.row.recipientId!, 'blocked', item.row.sentAt ?? clock.now())
      case 'sourceOff': {
        const own = account.sources[effect.source] ?? {}
        if (own.enabled === false) return
        await accounts.patch(account.id, {
          sources: { ...account.sources, [effect.source]: { ...own, enabled: false } }
        })
        return
      }
      case 'shared':
        return accounts.markShared(account.id, new Date(clock.now().getTime() + 7 * DAY_MS))
      case 'alert':
        return alert(account.id, effect.name, { templateId: item.row.templateId })
      case 'refreshToken':
        return // done at once by the pump
    }
  }
}

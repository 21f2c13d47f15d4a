import type { Clock } from '../platform/clock.js'
import type { Log } from '../platform/log.js'
import type { Alerts } from '../alerts/alerts.js'
import type { Account, Accounts } from '../accounts/accounts.js'
import type { People } from '../people/people.js'
import { DAY_MS } from '../../shared/limits.js'
import { nextReset, type Budget } from './budget.js'
import type { Ready } from './ready.js'
import type { Effect } from './settle.js'

/** What an answer does besides moving its row. Each effect may be repeated; none undoes newer news. */
export function createEffects(parts: {
  clock: Clock
  log: Log
  accounts: Accounts
  people: People
  budget: Budget
  /** Without it what is wrong is only logged. */
  alerts?: Pick<Alerts, 'raise'> | undefined
}) {
  const { clock, log, accounts, people, budget, alerts } = parts

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
      case 'penalty': {
        const { penalty, changed } = await accounts.punish(account.id, effect.code, item.row.channel)
        if (changed) log.warn({ accountId: account.id, ...penalty }, 'WeChat punishes the account')
        return
      }
      case 'shared':
        return accounts.markShared(account.id, new Date(clock.now().getTime() + 7 * DAY_MS))
      case 'alert': {
        const { templateId } = item.row
        if (alerts === undefined)
          log.warn({ accountId: account.id, alert: effect.name, templateId }, 'something is wrong')
        return alerts?.raise('account', { accountId: account.id, name: effect.name }, { templateId })
      }
      case 'refreshToken':
        return // done at once by the pump
    }
  }
}

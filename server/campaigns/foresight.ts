import type { Account } from '../accounts/accounts.js'
import type { Fault } from '../platform/errors.js'
import type { Forecast } from './forecast.js'
import type { CampaignRow } from './model.js'
import type { RecentRun } from './recent-runs.js'
import { lifeOf } from './schedule.js'

const hours = (ms: number) => `${(ms / 3_600_000).toFixed(1)} h`

/** What a forecast gives cause to say. Pure. */
export function forecastWarnings(
  campaign: Pick<CampaignRow, 'caps' | 'lane' | 'lifeMs' | 'scene'>,
  account: Pick<Account, 'caps'>,
  forecast: Forecast
): Fault[] {
  const warnings: Fault[] = []
  const warn = (pointer: string, code: string, message: string) => warnings.push({ pointer, code, message })
  const { matched, reachableNow, reachableAtSendTime, capped, dailyBudgetLeft, durationMs, sendAt } = forecast
  if (matched === 0) warn('/audienceId', 'audiences.empty', 'nobody is in the audience now')
  else if (reachableNow === 0) {
    warn('/audienceId', 'audiences.unreachable', 'nobody in the audience can be reached now')
  }
  if (reachableAtSendTime !== null && reachableAtSendTime < reachableNow) {
    const lost = reachableNow - reachableAtSendTime
    const share = Math.round((100 * lost) / reachableNow)
    const message = `of ${reachableNow} who can be reached now ${lost} (${share} %) cannot be any more at ${sendAt.toISOString()}: their rights expire first`
    warn('/trigger', 'rights.expire-first', message)
  }
  if (capped !== null && capped > 0)
    warn('/caps', 'caps.full', `${capped} people have had their ${forecast.capLimit} messages of that day already`)
  const ofAccount = account.caps.perPersonPerDay
  if (campaign.caps !== undefined && ofAccount !== null && campaign.lane === 'bulk') {
    if (campaign.caps.perPersonPerDay > ofAccount)
      warn(
        '/caps/perPersonPerDay',
        'caps.account-tighter',
        `the account allows ${ofAccount} a person and day: that counts`
      )
  }
  const goes = (reachableAtSendTime ?? 0) - (capped ?? 0)
  if (dailyBudgetLeft !== null && goes > dailyBudgetLeft) {
    const rest = `${goes} messages, and the account sends ${dailyBudgetLeft} more that day: the rest waits until midnight in Shanghai`
    warn('/accountId', 'budget.over-day', rest)
  }
  const lifeMs = lifeOf(campaign)
  if (goes > 0 && (durationMs === null || durationMs > lifeMs)) {
    const lasts = durationMs === null ? 'the account sends nothing' : `sending takes ${hours(durationMs)}`
    warn(
      '/lifeMs',
      'budget.expires',
      `${lasts}, and a message lives ${hours(lifeMs)}: some expire before it is their turn`
    )
  }
  return warnings
}

/** What the same people get by other campaigns, in words. */
export const recentWarnings = (recent: readonly RecentRun[]): Fault[] =>
  recent.map(({ name, campaignId, at, isToCome }) => ({
    pointer: '/audienceId',
    code: 'audiences.recent-run',
    message: `“${name}” (${campaignId}) ${isToCome ? 'sends' : 'sent'} this template to this audience at ${at.toISOString()}`
  }))

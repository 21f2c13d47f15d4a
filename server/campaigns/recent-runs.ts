import type { Collection } from 'mongodb'
import type { Messages } from '../messages/messages.js'
import { DAY_MS } from '../../shared/limits.js'
import type { CampaignRow } from './model.js'

/** Another campaign's run with the same template and audience. */
export type RecentRun = { campaignId: string; name: string; at: Date; isToCome: boolean }

/**
 * Runs of other campaigns that send this template to this audience within a day of `at`, before or after: those that
 * started, and those that are still to come.
 */
export async function recentRuns(
  { rows, runs }: { rows: Collection<CampaignRow>; runs: Messages['runs'] },
  campaign: Pick<CampaignRow, '_id' | 'accountId' | 'audienceId' | 'templateId'>,
  at: Date
): Promise<RecentRun[]> {
  if (campaign.audienceId === null) return []
  const { _id, accountId, audienceId, templateId } = campaign
  const alike = await rows
    .find(
      { audienceId, accountId, templateId, _id: { $ne: _id }, 'trigger.kind': { $in: ['once', 'recurring'] } },
      { projection: { name: 1, state: 1, nextAt: 1 } }
    )
    .toArray()
  if (alike.length === 0) return []
  const names = new Map(alike.map((each) => [each._id, each.name]))
  const near = { $gt: new Date(at.getTime() - DAY_MS), $lt: new Date(at.getTime() + DAY_MS) }
  const started = await runs.rows
    .find(
      { campaignId: { $in: [...names.keys()] }, startedAt: near, state: { $ne: 'missed' } },
      { projection: { campaignId: 1, startedAt: 1 } }
    )
    .sort({ startedAt: -1 })
    .toArray()
  const toCome = alike.filter(
    ({ state, nextAt }) => state === 'online' && nextAt !== null && nextAt > near.$gt && nextAt < near.$lt
  )
  return [
    ...started.map(({ campaignId, startedAt }) => ({ campaignId, at: startedAt, isToCome: false })),
    ...toCome.map((each) => ({ campaignId: each._id, at: each.nextAt!, isToCome: true }))
  ].map((run) => ({ ...run, name: names.get(run.campaignId)! }))
}

import type { Connection } from 'mongoose'
import type { Collection } from 'mongodb'
import type { Accounts } from '../accounts/accounts.js'
import type { Audiences } from '../audiences/audiences.js'
import type { Breakers } from '../breakers/breakers.js'
import type { Credentials } from '../credentials/credentials.js'
import type { Messages } from '../messages/messages.js'
import { capModel, type CapRow } from '../messages/model.js'
import type { Operation, Operations } from '../operations/operations.js'
import type { People } from '../people/people.js'
import type { Clock } from '../platform/clock.js'
import { AppError, InvalidInput } from '../platform/errors.js'
import type { Jobs } from '../platform/jobs.js'
import type { Templates } from '../templates/templates.js'
import type { Testers } from '../testers/testers.js'
import type { WordLists } from '../words/words.js'
import type { Campaigns } from './campaigns.js'
import { AUDIENCE_MISSING, orNull } from './check.js'
import { createDryRun } from './dry-run.js'
import { revisionOf } from './ladder.js'
import type { CampaignRow } from './model.js'
import { rehearsed } from './rehearsal.js'
import { createTestSends } from './test-sends.js'

export type Rehearsals = ReturnType<typeof createRehearsals>

export type RehearsalParts = {
  db: Connection
  clock: Clock
  jobs: Jobs
  accounts: Accounts
  people: People
  templates: Templates
  credentials: Credentials
  messages: Messages
  audiences: Audiences
  campaigns: Campaigns
  testers: Testers
  operations: Operations
  breakers?: Pick<Breakers, 'standing'>
  words?: Pick<WordLists, 'finders'>
}

/** Trying a campaign out before it goes online: on a few for real, on everybody without sending. */
export function createRehearsals(parts: RehearsalParts) {
  const { db, jobs, campaigns, operations } = parts
  const { composers, ladder } = campaigns
  const dayCaps = capModel(db).collection as unknown as Collection<CapRow>
  const dryRun = createDryRun({ ...parts, dayCaps })

  /** @throws InvalidInput when nobody could be sent it */
  async function trialOf(campaign: CampaignRow) {
    const source = campaign.audienceId === null ? null : await orNull(campaigns.audienceOf(campaign))
    const scheduled = campaign.trigger.kind === 'once' || campaign.trigger.kind === 'recurring'
    if (source === null && (campaign.audienceId !== null || scheduled)) {
      const errors = [{ pointer: '/audienceId', ...AUDIENCE_MISSING }]
      throw new InvalidInput('this campaign cannot be tried as it is', { code: 'campaigns.not-ready', errors })
    }
    return { campaign, ...(await rehearsed(campaign, source, { ...parts, composers })) }
  }

  async function walk(
    { campaignId, operationId, event }: { campaignId: string; operationId: string; event?: Record<string, unknown> },
    signal?: AbortSignal
  ): Promise<void> {
    const operation: Operation = operations.resume(operationId)
    try {
      const trial = await trialOf(await campaigns.get(campaignId))
      const result = await dryRun(trial, { event, progress: (done) => operation.progress(done), signal })
      await operation.progress(result.total, result.total)
      await ladder.ran(trial.campaign)
      await operation.done({ ...result, revision: revisionOf(trial.campaign) })
    } catch (error) {
      // What cannot be tried stays so; anything else is tried again by the job.
      if (!(error instanceof AppError) || error.status >= 500) throw error
      await operation.failed(error)
    }
  }

  jobs.define('campaigns.dryRun', ({ data, signal }) => walk(data, signal))

  return {
    /** Real messages to a few. */
    testSend: createTestSends({ ...parts, composers, ladder }).send,

    /** Begins a walk over the whole audience that sends nothing. @throws InvalidInput */
    async startDryRun(
      campaign: CampaignRow,
      event?: Record<string, unknown>
    ): Promise<{ operationId: string; location: string }> {
      const { account } = await trialOf(campaign)
      const operation = await operations.start('campaigns.dryRun', undefined, account.id)
      await jobs.now('campaigns.dryRun', {
        campaignId: campaign._id,
        operationId: operation.id,
        ...(event !== undefined && { event })
      })
      return { operationId: operation.id, location: operation.location }
    }
  }
}

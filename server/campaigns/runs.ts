import type { Collection } from 'mongodb'
import type { z } from 'zod'
import type { RunView } from '../../shared/campaign.js'
import { MESSAGE_LIFE_MS } from '../../shared/limits.js'
import type { PageQuery } from '../../shared/page.js'
import type { Messages } from '../messages/messages.js'
import type { RunRow } from '../messages/runs.js'
import type { Clock } from '../platform/clock.js'
import { Conflict, NotFound } from '../platform/errors.js'
import { listPage } from '../platform/page.js'
import type { CampaignRow } from './model.js'
import { lifeOf } from './schedule.js'

type Which = { states: string[]; reasons?: string[] | undefined; errcodes?: number[] | undefined }

/** What an operator sees of runs and may do about them; the rows themselves are the messages room's. */
export function createRunVerbs({
  rows,
  clock,
  messages
}: {
  rows: Collection<CampaignRow>
  clock: Clock
  messages: Messages
}) {
  async function get(id: string): Promise<RunRow> {
    const run = await messages.runs.get(id)
    if (run === null) throw new NotFound('no such run', { code: 'runs.not-found' })
    return run
  }

  /** With the counts of the follower: at most a few seconds behind the rows, and exact. */
  async function view(run: RunRow): Promise<z.infer<typeof RunView>> {
    const { _id, campaignId, accountId, state, paused, heldReason, instant, startedAt, finishedAt } = run
    const counts = await messages.runs.counts(_id)
    return { id: _id, campaignId, accountId, state, paused, heldReason, instant, startedAt, finishedAt, counts }
  }

  return {
    get,
    view,

    page: (campaignId: string, query: PageQuery) =>
      listPage(
        messages.runs.rows,
        { filter: { campaignId }, query, sortable: ['instant', 'startedAt'], defaultSort: '-instant' },
        view
      ),

    /**
     * What failed, was skipped or expired goes once more, with a fresh deadline. @returns how many
     * @throws NotFound, Conflict for a run that was cancelled or missed
     */
    async retry(id: string, { states, reasons, errcodes }: Which): Promise<number> {
      const run = await get(id)
      if (run.state === 'cancelled' || run.state === 'missed') {
        throw new Conflict(`a run that was ${run.state} is not retried`, { code: 'runs.state' })
      }
      const campaign = await rows.findOne({ _id: run.campaignId })
      const lifeMs = campaign === null ? MESSAGE_LIFE_MS : lifeOf(campaign)
      const which = { states, ...(reasons !== undefined && { reasons }), ...(errcodes !== undefined && { errcodes }) }
      return messages.retryRun(id, which, new Date(clock.now().getTime() + lifeMs))
    },

    /** An operator's word on everything WeChat never answered. @returns how many @throws NotFound */
    async resolveUnknown(id: string, as: 'accepted' | 'failed'): Promise<number> {
      await get(id)
      return messages.resolveRun(id, as)
    }
  }
}

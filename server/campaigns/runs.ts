import type { Collection } from 'mongodb'
import type { z } from 'zod'
import type { RunView } from '../../shared/campaign.js'
import { MESSAGE_LIFE_MS } from '../../shared/limits.js'
import type { PageQuery } from '../../shared/page.js'
import type { Accounts } from '../accounts/accounts.js'
import { shuts } from '../accounts/penalty.js'
import type { Breakers } from '../breakers/breakers.js'
import { isSuspect } from '../breakers/standing.js'
import type { Messages } from '../messages/messages.js'
import { funnelOf, rateOf } from '../messages/funnel.js'
import { sumCounts, type RunRow } from '../messages/runs.js'
import type { Clock } from '../platform/clock.js'
import { Conflict, NotFound } from '../platform/errors.js'
import { listPage } from '../platform/page.js'
import { orNull } from './check.js'
import type { Snapshot } from './compose.js'
import type { CampaignRow } from './model.js'
import { lifeOf } from './schedule.js'

type Which = { states: string[]; reasons?: string[] | undefined; errcodes?: number[] | undefined }

/** What an operator sees of runs and may do about them; the rows themselves are the messages room's. */
export function createRunVerbs({
  rows,
  clock,
  messages,
  accounts,
  breakers
}: {
  rows: Collection<CampaignRow>
  clock: Clock
  messages: Messages
  accounts: Pick<Accounts, 'get'>
  breakers?: Pick<Breakers, 'standing'>
}) {
  async function get(id: string): Promise<RunRow> {
    const run = await messages.runs.get(id)
    if (run === null) throw new NotFound('no such run', { code: 'runs.not-found' })
    return run
  }

  /** What holds the messages of a run that nobody paused; null: nothing does. */
  async function held({ accountId, templateId, state, snapshot }: RunRow): Promise<string | null> {
    if (state !== 'expanding' && state !== 'sending') return null
    const account = await orNull(accounts.get(accountId))
    const { template } = (snapshot ?? {}) as Partial<Snapshot> // a day's run of an event keeps none
    if (account !== null && template !== undefined && shuts(account.punished, template.kind)) return 'penalty'
    const guard = ((await breakers?.standing(accountId)) ?? []).find((each) => isSuspect([each], templateId))
    return guard === undefined ? null : `breaker ${guard._id}`
  }

  /** With the counts of the follower: at most a few seconds behind the rows, and exact. */
  async function view(run: RunRow): Promise<z.infer<typeof RunView>> {
    const { _id, campaignId, accountId, state, paused, instant, startedAt, finishedAt } = run
    const heldReason = run.heldReason ?? (await held(run))
    const counters = await messages.runs.countersOf(_id)
    const counts = sumCounts(counters)
    const known = { id: _id, campaignId, accountId, state, paused, heldReason, instant, startedAt, finishedAt, counts }
    const isOver = state === 'finished' || state === 'cancelled' || state === 'missed'
    const now = clock.now()
    const rate = isOver ? 0 : rateOf(counters, now)
    const seconds = state !== 'sending' || paused || rate === 0 ? null : (counts.byState.open ?? 0) / rate
    const etaAt = seconds === null ? null : new Date(now.getTime() + seconds * 1000)
    return { ...known, rate, etaAt, funnel: funnelOf(counters) }
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

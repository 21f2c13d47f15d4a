import type { Collection } from 'mongodb'
import type { Accounts } from '../accounts/accounts.js'
import type { Audiences } from '../audiences/audiences.js'
import type { Messages } from '../messages/messages.js'
import type { Clock } from '../platform/clock.js'
import type { Jobs } from '../platform/jobs.js'
import type { Log } from '../platform/log.js'
import { orNull } from './check.js'
import { snapshotOf } from './compose.js'
import type { CampaignRow } from './model.js'
import { pushMove } from './news.js'
import { decide, instantsAfter, lifeOf } from './schedule.js'

/** An expansion nobody has moved on for this long has lost its job. */
const STUCK_MS = 60_000
const AT_ONCE = 100
/** How often pauses that a crash cut in half are looked for. */
const RECONCILE_MS = 60_000

/** The run of one occasion (`once`, an instant, a day), derived: whoever asks, and however often, it is the same run. */
export const runIdOf = (messages: Pick<Messages, 'messageId'>, campaignId: string, occasion: string): string =>
  messages.messageId('campaign', campaignId, occasion)

/**
 * Opens the runs that are due and closes campaigns whose runs are over. Run ids are derived from campaign and occasion, so
 * a crash or a second scheduler repeats the opening and never doubles it: run, then job, then the campaign's mark.
 */
export function createStarter({
  rows,
  clock,
  log,
  jobs,
  accounts,
  audiences,
  messages,
  pause
}: {
  rows: Collection<CampaignRow>
  clock: Clock
  log: Log
  jobs: Jobs
  accounts: Accounts
  audiences: Audiences
  messages: Messages
  pause: (campaignId: string, reason: string) => Promise<void>
}) {
  let reconciledAt = -Infinity

  const expandSoon = (id: string) => jobs.now('runs.expand', { runId: id }, { uniqueKey: id })

  /** Opens the run that is due, and writes down those that were missed before it. @returns its id when it is to be expanded */
  async function start(campaign: CampaignRow): Promise<string | null> {
    const now = clock.now()
    let instant: Date | null = campaign.nextAt
    for (let looked = 0; instant !== null && looked < AT_ONCE; looked++) {
      const [next = null] = campaign.trigger.kind === 'recurring' ? instantsAfter(campaign.trigger, instant, 1) : []
      // Of several that are due the last one starts: nobody wants yesterday's news and today's in one minute.
      const todo = next !== null && next <= now ? 'missed' : decide(instant, now, campaign.missed)
      if (todo === 'wait') return null
      const opened = await startOne(campaign, instant, next, todo)
      if (todo === 'start' || opened === null) return opened
      instant = next
    }
    return null
  }

  /** @returns the run's id; null when it does not go on from here */
  async function startOne(
    campaign: CampaignRow,
    instant: Date,
    next: Date | null,
    todo: 'start' | 'missed'
  ): Promise<string | null> {
    const account = await orNull(accounts.get(campaign.accountId))
    const source = campaign.audienceId === null ? null : await orNull(audiences.sourceOf(campaign.audienceId))
    if (account === null || source === null) {
      await pause(campaign._id, account === null ? 'accountMissing' : 'audienceMissing')
      return null
    }
    const id = runIdOf(messages, campaign._id, campaign.trigger.kind === 'once' ? 'once' : instant.toISOString())
    const run = {
      id,
      campaignId: campaign._id,
      accountId: account.id,
      templateId: campaign.templateId,
      lane: campaign.lane,
      instant,
      notAfter: new Date(clock.now().getTime() + lifeOf(campaign)),
      snapshot: snapshotOf(campaign, source)
    }
    if (todo === 'missed') {
      await messages.runs.missed(run)
      log.warn({ campaignId: campaign._id, instant }, 'a run was missed')
    } else {
      await messages.runs.open(run)
      await expandSoon(id)
    }
    await rows.updateOne({ _id: campaign._id, nextAt: instant }, { $set: { nextAt: next, runId: id } })
    return todo === 'missed' || (await settle(campaign._id)) === 'online' ? id : null
  }

  /** A campaign paused or cancelled between being read and a run of it being opened: the run must follow. */
  async function settle(campaignId: string): Promise<string | null> {
    const current = await rows.findOne({ _id: campaignId }, { projection: { state: 1 } })
    if (current?.state === 'paused') await messages.runs.setPaused(campaignId, true)
    if (current?.state === 'cancelled') await messages.cancelRuns(campaignId)
    return current?.state ?? null
  }

  /** Ends a campaign that has no run to come when those it had are over. */
  async function finish(campaign: CampaignRow): Promise<void> {
    if ((await messages.runs.openOf(campaign._id)).length > 0) return
    const last = await messages.runs.get(campaign.runId!)
    if (last === null) return
    const stateReason = campaign.trigger.kind === 'once' && last.state === 'missed' ? 'missed' : null
    const at = clock.now()
    await rows.updateOne(
      { _id: campaign._id, state: 'online', nextAt: null, rev: campaign.rev },
      {
        $set: { state: 'finished', stateReason, updatedAt: at },
        $inc: { rev: 1 },
        ...pushMove(campaign, 'finished', stateReason, at)
      }
    )
  }

  /** A resume that died half-way leaves runs held of a campaign that is online; a lost job leaves one that stands still. */
  async function reconcile(): Promise<void> {
    const now = clock.monotonic()
    if (now - reconciledAt < RECONCILE_MS) return
    reconciledAt = now
    for (const id of await messages.runs.stuck(STUCK_MS)) await expandSoon(id)
    const held = { paused: true, state: { $in: ['expanding' as const, 'sending' as const] } }
    const ids = await messages.runs.rows.distinct('campaignId', held)
    if (ids.length === 0) return
    for (const { _id } of await rows.find({ _id: { $in: ids }, state: 'online' }).toArray()) {
      await messages.runs.setPaused(_id, false)
      await continueRuns(_id)
    }
  }

  async function continueRuns(campaignId: string): Promise<void> {
    for (const run of await messages.runs.openOf(campaignId)) if (run.state === 'expanding') await expandSoon(run._id)
  }

  return {
    settle,

    /** @returns the runs opened by this tick */
    async tick(id?: string): Promise<string[]> {
      const only = id === undefined ? {} : { _id: id }
      const due = await rows
        .find({ ...only, state: 'online', nextAt: { $lte: clock.now(), $ne: null } })
        .sort({ nextAt: 1 })
        .limit(AT_ONCE)
        .toArray()
      const opened: string[] = []
      for (const campaign of due) {
        try {
          const run = await start(campaign)
          if (run !== null) opened.push(run)
        } catch (error) {
          // One campaign's trouble must not hold up the others, nor fail an activation: the next tick tries again.
          log.error({ err: error, campaignId: campaign._id }, 'a run could not be started')
        }
      }
      const over = { ...only, state: 'online' as const, nextAt: null, runId: { $ne: null } }
      for (const campaign of await rows.find(over).toArray()) await finish(campaign)
      if (id === undefined) await reconcile()
      return opened
    },

    /** After a pause: the expansions that stood still go on. */
    continueRuns
  }
}

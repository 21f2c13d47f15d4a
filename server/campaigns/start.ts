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
import { decide, lifeOf } from './schedule.js'

/** An expansion nobody has moved on for this long has lost its job. */
const STUCK_MS = 60_000
const AT_ONCE = 100
/** How often pauses that a crash cut in half are looked for. */
const RECONCILE_MS = 60_000

/** The run of one occasion (`once`, a day), derived: whoever asks, and however often, it is the same run. */
export const runIdOf = (messages: Pick<Messages, 'messageId'>, campaignId: string, occasion: string): string =>
  messages.messageId('campaign', campaignId, occasion)

/**
 * Opens the runs that are due and closes campaigns whose run is over. Run ids are derived from campaign and occasion, so
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
  const asked = new Map<string, number>()
  let reconciledAt = -Infinity

  const expandSoon = (id: string) => jobs.now('runs.expand', { runId: id }, { uniqueKey: id })

  /** @returns the run's id when it was opened for expansion */
  async function start(campaign: CampaignRow): Promise<string | null> {
    const instant = campaign.nextAt!
    const now = clock.now()
    const todo = decide(instant, now, campaign.missed)
    if (todo === 'wait') return null
    const account = await orNull(accounts.get(campaign.accountId))
    const source = campaign.audienceId === null ? null : await orNull(audiences.sourceOf(campaign.audienceId))
    if (account === null || source === null) {
      await pause(campaign._id, account === null ? 'accountMissing' : 'audienceMissing')
      return null
    }
    const id = runIdOf(messages, campaign._id, 'once')
    const run = {
      id,
      campaignId: campaign._id,
      accountId: account.id,
      templateId: campaign.templateId,
      lane: campaign.lane,
      instant,
      notAfter: new Date(now.getTime() + lifeOf(campaign)),
      snapshot: snapshotOf(campaign, source)
    }
    const mark = { _id: campaign._id, nextAt: instant }
    if (todo === 'missed') {
      await messages.runs.missed(run)
      await rows.updateOne(mark, { $set: { nextAt: null, runId: id } })
      log.warn({ campaignId: campaign._id, instant }, 'a run was missed')
      return null
    }
    await messages.runs.open(run)
    await expandSoon(id)
    await rows.updateOne(mark, { $set: { nextAt: null, runId: id } })
    return (await settle(campaign._id)) === 'online' ? id : null
  }

  /** A campaign paused or cancelled between being read and a run of it being opened: the run must follow. */
  async function settle(campaignId: string): Promise<string | null> {
    const current = await rows.findOne({ _id: campaignId }, { projection: { state: 1 } })
    if (current?.state === 'paused') await messages.runs.setPaused(campaignId, true)
    if (current?.state === 'cancelled') await messages.cancelRuns(campaignId)
    return current?.state ?? null
  }

  /** Ends the campaign when its run is over; asks again for an expansion that does not get on. */
  async function follow(campaign: CampaignRow): Promise<void> {
    const run = await messages.runs.get(campaign.runId!)
    if (run === null) return
    if (run.state === 'finished' || run.state === 'missed') {
      asked.delete(run._id)
      await rows.updateOne(
        { _id: campaign._id, state: 'online' },
        {
          $set: { state: 'finished', stateReason: run.state === 'missed' ? 'missed' : null, updatedAt: clock.now() },
          $inc: { rev: 1 }
        }
      )
      return
    }
    if (run.state !== 'expanding' || run.paused) return
    const now = clock.monotonic()
    const last = asked.get(run._id)
    if (last === undefined) asked.set(run._id, now)
    else if (now - last > STUCK_MS) {
      asked.set(run._id, now)
      await expandSoon(run._id)
    }
  }

  /** A resume that died half-way leaves runs held of a campaign that is online. */
  async function reconcile(): Promise<void> {
    const now = clock.monotonic()
    if (now - reconciledAt < RECONCILE_MS) return
    reconciledAt = now
    const held = { paused: true, state: { $in: ['expanding' as const, 'sending' as const] } }
    const ids = await messages.runs.rows.distinct('campaignId', held)
    if (ids.length === 0) return
    for (const { _id } of await rows.find({ _id: { $in: ids }, state: 'online' }).toArray()) {
      await messages.runs.setPaused(_id, false)
      await continueRuns(_id)
    }
  }

  async function continueRuns(campaignId: string): Promise<void> {
    const campaign = await rows.findOne({ _id: campaignId })
    if (campaign === null || campaign.runId === null) return
    const run = await messages.runs.get(campaign.runId)
    if (run?.state === 'expanding') await expandSoon(run._id)
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
      for (const campaign of await rows.find({ ...only, state: 'online', runId: { $ne: null } }).toArray()) {
        await follow(campaign)
      }
      if (id === undefined) await reconcile()
      return opened
    },

    /** After a pause: the expansions that stood still go on. */
    continueRuns
  }
}

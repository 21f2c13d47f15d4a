import type { Collection } from 'mongodb'
import { DateTime } from 'luxon'
import type {
  CampaignFunnel,
  DashboardSummary,
  Figures,
  Interval,
  Metric,
  MetricSeries,
  Series,
  SeriesQuery
} from '../../shared/report.js'
import type { z } from 'zod'
import { CHANNELS } from '../../shared/channels.js'
import { DAY_MS, MINUTE_MS } from '../../shared/limits.js'
import type { Account, Accounts } from '../accounts/accounts.js'
import type { CampaignRow, Campaigns } from '../campaigns/campaigns.js'
import { addFigures, funnelOf, noFigures } from '../messages/funnel.js'
import { LANES, LEASE_MS } from '../messages/leasing.js'
import type { Messages } from '../messages/messages.js'
import type { CounterRow } from '../messages/model.js'
import { sumCounts, type RunRow } from '../messages/runs.js'
import type { Clock } from '../platform/clock.js'
import { InvalidInput } from '../platform/errors.js'
import { groupBy } from '../platform/group.js'
import type { Log } from '../platform/log.js'
import { bucketOf, bucketStarts } from './buckets.js'
import { createStanding } from './standing.js'
import { createVerify } from './verify.js'

export type ReportsParts = {
  clock: Clock
  log: Log
  accounts: Pick<Accounts, 'list'>
  campaigns: Pick<Campaigns, 'rows'>
  messages: Messages
}

/** More buckets than this are no chart any more. */
const BUCKETS = 1_500
/** Counters are kept this long. */
const LONGEST_MS = 400 * DAY_MS
/** How far back a series of the dashboard goes when nobody says. */
const USUAL_MS: Record<Interval, number> = {
  minute: 3_600_000,
  hour: DAY_MS,
  day: 30 * DAY_MS,
  week: 180 * DAY_MS,
  month: 365 * DAY_MS
}
/** No bucket is shorter, whatever clocks do. */
const SHORTEST_MS: Record<Interval, number> = {
  minute: 60_000,
  hour: 1_800_000,
  day: 22 * 3_600_000,
  week: 6 * DAY_MS,
  month: 27 * DAY_MS
}
const RUNNING = 20
const RUNS = 100

const PROJECTION = { minute: 1, n: 1, opened: 1, channel: 1, runId: 1 } as const
/** More requests than this are under way to no account. */
const IN_FLIGHT = 2_000

/** What became of messages, from the follower's counters: exact, a few seconds behind, never by counting rows. */
export function createReports({ clock, log, accounts, campaigns, messages }: ReportsParts) {
  const { counters, runs, follower, budget } = messages
  const standing = createStanding({
    find: (filter) =>
      counters.find(filter, { projection: { ...PROJECTION, accountId: 1 } }).toArray() as unknown as Promise<
        CounterRow[]
      >
  })

  /** Counters of some time in buckets; minutes belong to the bucket they start in. */
  async function bucketed(
    filter: Record<string, unknown>,
    { from, to, interval, zone }: { from: Date; to: Date; interval: Interval; zone: string }
  ): Promise<Series> {
    if (from >= to) throw invalid('/from', 'report.span', 'from must be before to')
    if (to.getTime() - from.getTime() > LONGEST_MS) {
      throw invalid('/from', 'report.too-long', 'counters are kept for 400 days: ask for less')
    }
    const starts = bucketStarts(from, to, interval, zone, BUCKETS + 1)
    if (starts.length > BUCKETS) {
      throw invalid('/interval', 'report.too-fine', `that is more than ${BUCKETS} buckets: ask for a longer interval`)
    }
    const buckets = starts.map((at) => ({ at, ...noFigures() }))
    const found = counters.find({ ...filter, minute: { $gte: from, $lt: to } }, { projection: PROJECTION })
    for await (const row of found) addFigures(buckets[bucketOf(starts, row.minute)]!, row)
    return { interval, zone, from, to, buckets }
  }

  /** When nobody says from when: from the first counter, or the latest that fits. */
  async function whole(filter: Record<string, unknown>, query: SeriesQuery): Promise<Series> {
    const to = query.to ?? clock.now()
    let from = query.from
    if (from === undefined) {
      const [first] = await counters.find(filter).sort({ minute: 1 }).limit(1).toArray()
      const earliest = to.getTime() - Math.min(LONGEST_MS, (BUCKETS - 2) * SHORTEST_MS[query.interval])
      from = new Date(Math.max(first?.minute.getTime() ?? to.getTime() - MINUTE_MS, earliest))
      if (from >= to) from = new Date(to.getTime() - MINUTE_MS)
    }
    return bucketed(filter, { interval: query.interval, zone: query.zone, from, to })
  }

  async function quotas(list: Account[], at: Date): Promise<z.output<typeof DashboardSummary>['quotas']> {
    const asked = list.flatMap((account) => CHANNELS[account.kind].map((channel) => ({ account, channel })))
    return Promise.all(
      asked.map(async ({ account, channel }) => ({
        accountId: account.id,
        interface: channel,
        ...(await budget.leftOf(account.id, channel, account.limits.perDay[channel], at))
      }))
    )
  }

  /**
   * Requests under way: rows whose lease runs. What falls due within a lease's time stands among them, so more than any
   * account's limit are not looked at.
   */
  async function inFlight(accountId: string, now: Date): Promise<number> {
    const leased = { $gt: now, $lte: new Date(now.getTime() + LEASE_MS) }
    const found = await messages.rows
      .find({ accountId, lane: { $in: [...LANES] }, due: leased }, { projection: { _id: 0, state: 1 } })
      .limit(IN_FLIGHT)
      .toArray()
    return found.filter(({ state }) => state === 'sending').length
  }

  async function running(accountIds: string[], now: Date): Promise<z.output<typeof DashboardSummary>['running']> {
    const open = await runs.rows
      .find({ accountId: { $in: accountIds }, state: { $in: ['expanding', 'sending'] } })
      .sort({ startedAt: -1 })
      .limit(RUNNING)
      .toArray()
    const [found, named] = await Promise.all([
      standing(
        'runId',
        open.map((run) => run._id),
        null,
        now
      ),
      campaigns.rows.find({ _id: { $in: open.map((run) => run.campaignId) } }, { projection: { name: 1 } }).toArray()
    ])
    const names = new Map(named.map((row) => [row._id, row.name]))
    return open.map((run) => ({
      runId: run._id,
      campaignId: run.campaignId,
      name: names.get(run.campaignId) ?? '',
      accountId: run.accountId,
      state: run.state as 'expanding' | 'sending',
      paused: run.paused,
      heldReason: run.heldReason,
      startedAt: run.startedAt,
      funnel: funnelOf(found.get(run._id) ?? [])
    }))
  }

  const countOf = (collection: Collection<CampaignRow>, accountIds: string[], state: CampaignRow['state']) =>
    collection.countDocuments({ accountId: { $in: accountIds }, state })

  return {
    verify: createVerify({ clock, log, messages }),

    /** A campaign's messages over time; from its first one where nobody says. @throws InvalidInput for too many buckets */
    ofCampaign: (campaign: Pick<CampaignRow, '_id'>, query: SeriesQuery) => whole({ campaignId: campaign._id }, query),

    /** As ofCampaign, of one run. */
    ofRun: (run: Pick<RunRow, '_id'>, query: SeriesQuery) => whole({ runId: run._id }, query),

    /** The funnel of a campaign, and of each of its latest runs. */
    async funnel(campaign: Pick<CampaignRow, '_id'>): Promise<z.output<typeof CampaignFunnel>> {
      const latest = await runs.ofCampaign(campaign._id, RUNS)
      const all = await counters.find({ campaignId: campaign._id }, { projection: PROJECTION }).toArray()
      const byRun = groupBy(all as CounterRow[], (row) => row.runId ?? '')
      return {
        funnel: funnelOf(all as CounterRow[]),
        runs: latest.map((run) => ({
          runId: run._id,
          instant: run.instant,
          funnel: funnelOf(byRun.get(run._id) ?? [])
        }))
      }
    },

    /** Messages of these accounts over time, campaigns' and direct ones. @throws InvalidInput for too many buckets */
    async series(
      accountIds: string[],
      metrics: readonly Metric[],
      query: SeriesQuery
    ): Promise<z.output<typeof MetricSeries>> {
      const to = query.to ?? clock.now()
      const from = query.from ?? new Date(to.getTime() - USUAL_MS[query.interval])
      const { buckets, ...span } = await bucketed(
        { accountId: { $in: accountIds } },
        { interval: query.interval, zone: query.zone, from, to }
      )
      const wanted = ({ at, ...figures }: Series['buckets'][number]) => ({
        at,
        ...(Object.fromEntries(metrics.map((metric) => [metric, figures[metric]])) as Partial<Figures>)
      })
      return { ...span, buckets: buckets.map(wanted) }
    },

    /** How these accounts are doing today (by the clocks of `zone`) and now. */
    async summary(accountIds: string[], zone: string): Promise<z.output<typeof DashboardSummary>> {
      const now = clock.now()
      const from = DateTime.fromJSDate(now, { zone }).startOf('day').toJSDate()
      const minute = new Date(Math.floor(now.getTime() / MINUTE_MS) * MINUTE_MS - MINUTE_MS)
      const list = (await accounts.list()).filter(({ id }) => accountIds.includes(id))
      const [sums, lately, followed, left, inProgress, online, paused] = await Promise.all([
        standing('accountId', accountIds, from, now),
        counters.find({ accountId: { $in: accountIds }, minute }, { projection: { n: 1 } }).toArray(),
        follower.standing(accountIds),
        quotas(list, now),
        running(accountIds, now),
        countOf(campaigns.rows, accountIds, 'online'),
        countOf(campaigns.rows, accountIds, 'paused')
      ])
      const today = [...sums.values()].flat()
      const figures = noFigures()
      for (const row of today) addFigures(figures, row)
      const last = noFigures()
      for (const row of lately) addFigures(last, row)
      const sending = [...followed].filter(([, { n }]) => (n.open ?? 0) > 0)
      const flying = await Promise.all(sending.map(([id]) => inFlight(id, now)))
      const answered = figures.accepted + figures.failed + figures.unknown
      return {
        at: now,
        zone,
        today: {
          from,
          ...figures,
          byReason: sumCounts(today).byReason,
          successShare: answered > 0 ? figures.accepted / answered : null,
          deliveredShare: funnelOf(today).deliveredShare
        },
        perSecond: Math.max(0, last.accepted) / 60,
        open: [...followed.values()].reduce((sum, { n }) => sum + (n.open ?? 0), 0),
        inFlight: flying.reduce((sum, n) => sum + n, 0),
        latency: [...followed].flatMap(([accountId, { latency }]) =>
          latency === null ? [] : [{ accountId, p50Ms: latency.p50, p95Ms: latency.p95, at: latency.at }]
        ),
        quotas: left,
        campaigns: { online, paused },
        running: inProgress
      }
    }
  }
}
export type Reports = ReturnType<typeof createReports>

const invalid = (pointer: string, code: string, message: string) =>
  new InvalidInput(message, { errors: [{ pointer, code, message }] })

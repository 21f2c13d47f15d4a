import { z } from 'zod'
import { Instant, Zone } from './instant.js'

/** How messages moved in some time, net: what is sent once more leaves the figure it stood in before. */
export const Figures = z.object({
  /** Planned: rows written. */
  filed: z.int(),
  /** Not through yet: by how many more, or fewer. */
  open: z.int(),
  /** Taken by WeChat, whatever a receipt said later. */
  accepted: z.int(),
  /** Confirmed by a receipt; legacy mini-program messages have none. */
  delivered: z.int(),
  failed: z.int(),
  unknown: z.int(),
  skipped: z.int(),
  expired: z.int(),
  /** Cards opened, each counted once. */
  opened: z.int()
})
export type Figures = z.infer<typeof Figures>
export const Metric = z.keyof(Figures)
export type Metric = z.infer<typeof Metric>

/** From matched to opened, each step out of the one before. */
export const Funnel = z.object({
  /** People the audience held (or the trigger met) when each was judged. */
  matched: z.int(),
  /** Of those, not skipped for lack of an account, a right or consent. */
  reachable: z.int(),
  /** Of those, that had a right in hand and went to WeChat. */
  claimed: z.int(),
  /** Of those, taken by WeChat. */
  accepted: z.int(),
  /** Of those, sent by an interface that confirms delivery: all but legacy mini-program messages. */
  confirmable: z.int(),
  /** Of those, confirmed. */
  delivered: z.int(),
  opened: z.int(),
  /** Not through yet; until then counted as reachable. */
  open: z.int(),
  /** delivered ÷ confirmable; null when nothing can be confirmed. */
  deliveredShare: z.number().nullable()
})
export type Funnel = z.infer<typeof Funnel>

export const Interval = z.enum(['minute', 'hour', 'day', 'week', 'month'])
export type Interval = z.infer<typeof Interval>

export const SeriesQuery = z.object({
  interval: Interval.default('hour'),
  zone: Zone.default('Asia/Shanghai'),
  from: Instant.optional(),
  to: Instant.optional()
})
export type SeriesQuery = z.output<typeof SeriesQuery>

const span = { interval: Interval, zone: z.string(), from: Instant, to: Instant }

/** `at`: when the bucket starts by the clocks of the zone; minutes before `from` or from `to` on are left out. */
export const Series = z.object({ ...span, buckets: z.array(Figures.extend({ at: Instant })) })
export type Series = z.output<typeof Series>
export const MetricSeries = z.object({
  ...span,
  buckets: z.array(Figures.partial().extend({ at: Instant }))
})

export const CampaignFunnel = z.object({
  funnel: Funnel,
  /** Its latest runs, newest first. */
  runs: z.array(z.object({ runId: z.string(), instant: Instant, funnel: Funnel }))
})

/** How the installation is: what runs, what it holds, and what a look at it found. */
export const SystemView = z.object({
  version: z.string(),
  node: z.string(),
  startedAt: Instant,
  store: z.object({ version: z.string(), pingMs: z.number() }),
  /** Roughly how much lies in the larger collections, and after how many days it goes; null: it stays. */
  collections: z.array(z.object({ name: z.string(), count: z.int(), keptDays: z.int().nullable() })),
  findings: z.array(
    z.object({
      code: z.enum(['store', 'clock', 'publicUrl', 'accounts', 'account', 'callback']),
      ok: z.boolean(),
      about: z.string().nullable()
    })
  )
})

export const DashboardSummary = z.object({
  at: Instant,
  zone: z.string(),
  /** From the start of the day in the zone to now. */
  today: Figures.extend({
    from: Instant,
    /** Of skipped and failed ones: why, and which code. */
    byReason: z.record(z.string(), z.int()),
    /** accepted ÷ (accepted + failed + unknown); null before anything was sent. */
    successShare: z.number().nullable(),
    deliveredShare: z.number().nullable()
  }),
  /** Messages WeChat took a second, in the last minute that is over. */
  perSecond: z.number(),
  /** Messages not through yet, whenever they were planned. */
  open: z.int(),
  /** Requests WeChat has not answered yet. */
  inFlight: z.int(),
  /** How long WeChat took for the latest answers to each account, and when the last of them came. */
  latency: z.array(z.object({ accountId: z.string(), p50Ms: z.number(), p95Ms: z.number(), at: Instant })),
  quotas: z.array(
    z.object({
      accountId: z.string(),
      interface: z.enum(['legacy', 'subscribe', 'service']),
      /** What we send a day at most; bulk stops a little earlier, so that transactional ones find room. */
      perDay: z.int(),
      used: z.int(),
      left: z.int(),
      leftForBulk: z.int()
    })
  ),
  campaigns: z.object({ online: z.int(), paused: z.int() }),
  /** Runs that are being expanded or sent, newest first. */
  running: z.array(
    z.object({
      runId: z.string(),
      campaignId: z.string(),
      name: z.string(),
      accountId: z.string(),
      state: z.enum(['expanding', 'sending']),
      paused: z.boolean(),
      heldReason: z.string().nullable(),
      startedAt: Instant,
      funnel: Funnel
    })
  )
})

import { z } from 'zod'
import { Instant } from './instant.js'
import { Content, Open } from './template.js'
import { Trigger } from './trigger.js'
import { Lane, Scene } from './message.js'
import { Funnel } from './report.js'

export const CampaignState = z.enum(['draft', 'online', 'paused', 'finished', 'cancelled'])
export type CampaignState = z.infer<typeof CampaignState>

const body = {
  name: z.string().min(1).max(60),
  accountId: z.string(),
  /** None: an event trigger serves everyone; a scheduled campaign needs one. */
  audienceId: z.string().nullable().optional(),
  templateId: z.string().min(1).max(64),
  lane: Lane.default('bulk'),
  trigger: Trigger,
  content: Content,
  open: Open.optional(),
  scene: Scene.optional(),
  emphasis: z.string().max(64).optional(),
  tooLong: z.enum(['cut', 'skip', 'fail']).optional(),
  missingVariable: z.enum(['default', 'skip', 'stop']).default('skip'),
  /** How long after its due moment a message may still go, in ms. */
  lifeMs: z
    .int()
    .min(60_000)
    .max(7 * 86_400_000)
    .optional(),
  waitForCredential: z.boolean().default(false),
  topic: z.string().max(40).optional(),
  /** Its own limit, beside the account's: it stops the campaign's messages in either lane, whatever else the day held. */
  caps: z.strictObject({ perPersonPerDay: z.int().min(1).max(50) }).optional(),
  missed: z
    .strictObject({ lateWithinMs: z.int().min(0) })
    .or(z.literal('skip'))
    .optional()
}
export const CampaignCreate = z.strictObject(body)
export type CampaignCreate = z.infer<typeof CampaignCreate>
/** Merges; null takes back what may be left out. */
export const CampaignPatch = z
  .strictObject({
    ...body,
    lane: Lane,
    missingVariable: z.enum(['default', 'skip', 'stop']),
    waitForCredential: z.boolean(),
    open: body.open.nullable(),
    scene: body.scene.nullable(),
    emphasis: body.emphasis.nullable(),
    tooLong: body.tooLong.nullable(),
    lifeMs: body.lifeMs.nullable(),
    topic: body.topic.nullable(),
    caps: body.caps.nullable(),
    missed: body.missed.nullable()
  })
  .partial()

export const CampaignView = z.object({
  ...body,
  id: z.string(),
  state: CampaignState,
  stateReason: z.string().nullable(),
  createdAt: Instant,
  updatedAt: Instant
})
export type CampaignView = z.infer<typeof CampaignView>

/** What is to be expected of a campaign; null where nobody can say. */
export const ForecastView = z.object({
  /** In the audience now. */
  matched: z.int(),
  reachableNow: z.int(),
  /** When it would start: its next run, or now. */
  sendAt: Instant,
  /** Whose right will still be good then. */
  reachableAtSendTime: z.int().nullable(),
  /** The limit a person and day that stops its messages, the tighter of the account's and its own; null: none. */
  capLimit: z.int().nullable(),
  /** Of those it would reach, whose day is full already; known for today only. */
  capped: z.int().nullable(),
  /** Messages the account still sends on that day, in the campaign's lane. */
  dailyBudgetLeft: z.int().nullable(),
  /** From the first to the last message, at the account's pace, quiet hours and retries left out. */
  durationMs: z.int().nullable(),
  /** The audience is so large that only its first people were looked at. */
  estimated: z.boolean()
})

export const RunState = z.enum(['expanding', 'sending', 'finished', 'cancelled', 'missed'])
export const RunView = z.object({
  id: z.string(),
  campaignId: z.string(),
  accountId: z.string(),
  state: RunState,
  paused: z.boolean(),
  heldReason: z.string().nullable(),
  instant: Instant,
  startedAt: Instant,
  finishedAt: Instant.nullable(),
  /** Rows of this run by state (`open` = not final yet), and of skipped and failed ones by reason. */
  counts: z.object({
    total: z.int(),
    byState: z.record(z.string(), z.int()),
    byReason: z.record(z.string(), z.int()),
    /** Messages whose card was opened, each counted once. */
    opened: z.int()
  }),
  /** Messages through a second, over the last five minutes. */
  rate: z.number(),
  /** When the open ones are through at that rate; null while nobody can say. */
  etaAt: Instant.nullable(),
  funnel: Funnel
})
export type RunView = z.infer<typeof RunView>

/** Going online untried, on an account that demands tests, or with marketing words: an owner's word, kept in the audit log. */
export const Activation = z.strictObject({
  override: z.strictObject({ reason: z.string().trim().min(10).max(500) }).optional()
})

/** Properties of an event, for campaigns that answer one. */
const SampleEvent = z.record(z.string().min(1).max(64), z.union([z.string().max(500), z.number(), z.boolean()]))

export const TestSendsPost = z.strictObject({
  to: z.union([z.enum(['me', 'testers']), z.array(z.string().min(1).max(64)).min(1).max(50)]),
  event: SampleEvent.optional()
})
export const TestSendsView = z.object({
  messages: z.array(
    z.object({
      id: z.string(),
      personId: z.string(),
      /** `planned`: it goes now, `GET /v1/messages/{id}` tells what became of it. */
      state: z.enum(['planned', 'skipped']),
      reason: z.string().nullable(),
      detail: z.string().nullable()
    })
  )
})

export const DryRunPost = z.strictObject({ event: SampleEvent.optional() })
const DryRunState = z.enum(['sent', 'waiting', 'skipped', 'expired', 'stopped'])
/** What a run would have done: the result of a dry run's operation. */
export const DryRunResult = z.object({
  startedAt: Instant,
  /** Of which settings of the campaign this is true. */
  revision: z.string(),
  total: z.int(),
  /** `stopped`: a real run would have paused the campaign at the first of them. */
  byState: z.record(DryRunState, z.int()),
  byReason: z.record(z.string(), z.int()),
  /** A few of each. */
  samples: z.array(
    z.object({
      state: DryRunState,
      reason: z.string().nullable(),
      people: z.array(z.object({ personId: z.string(), detail: z.string().nullable() }))
    })
  ),
  /** What fields did not take, and of how many people. */
  rendering: z.array(z.object({ field: z.string(), problem: z.string(), people: z.int() }))
})

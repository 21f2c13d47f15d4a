import type { Connection } from 'mongoose'
import type { Collection } from 'mongodb'
import type { z } from 'zod'
import type { CampaignCreate, CampaignPatch, CampaignState, CampaignView } from '../../shared/campaign.js'
import type { PageQuery } from '../../shared/page.js'
import type { Accounts } from '../accounts/accounts.js'
import type { Audiences } from '../audiences/audiences.js'
import type { Breakers } from '../breakers/breakers.js'
import type { Credentials } from '../credentials/credentials.js'
import { checkWhere } from '../events/where.js'
import { openFaults } from '../messages/direct.js'
import type { Messages } from '../messages/messages.js'
import { capModel, type CapRow } from '../messages/model.js'
import type { People } from '../people/people.js'
import type { Clock } from '../platform/clock.js'
import { Conflict, InvalidInput, NotFound, PreconditionFailed } from '../platform/errors.js'
import { mustMatch } from '../platform/etag.js'
import { newId } from '../platform/ids.js'
import type { Jobs } from '../platform/jobs.js'
import type { Log } from '../platform/log.js'
import { listPage } from '../platform/page.js'
import type { Templates } from '../templates/templates.js'
import type { WordLists } from '../words/words.js'
import { createBreaking, isByBreaker } from './breaking.js'
import type { Trigger } from '../../shared/trigger.js'
import { AUDIENCE_MISSING, createCheck, mayOverride, NEXT_RUNS, orNull, TEMPLATE_MISSING, type Check } from './check.js'
import { createComposers } from './compose.js'
import { createExpander } from './expand.js'
import { keepsTrigger } from './keeps-trigger.js'
import { createForecast } from './forecast.js'
import { createLadder, type Override } from './ladder.js'
import { campaignModel, type CampaignRow, type Settings } from './model.js'
import { pushMove } from './news.js'
import { createRunVerbs } from './runs.js'
import { instantsAfter, nextInstant, windowFault } from './schedule.js'
import { createStarter } from './start.js'

export type { CampaignRow } from './model.js'
export type Campaigns = ReturnType<typeof createCampaigns>

export type CampaignParts = {
  db: Connection
  clock: Clock
  log: Log
  jobs: Jobs
  accounts: Accounts
  people: People
  templates: Templates
  audiences: Audiences
  credentials: Pick<Credentials, 'reachableAny'>
  messages: Messages
  /** Without it nothing trips. */
  breakers?: Pick<Breakers, 'standing' | 'onChange'>
  /** Without it every word may be sent. */
  words?: Pick<WordLists, 'finders'>
}

/** Campaigns online change rarely and are asked for with every event. */
const CACHE_MS = 1_000
const TICK_MS = 1_000

/** Settings whose null is a word of its own: everybody, and nothing to open. */
const NULL_MEANS: ReadonlySet<string> = new Set(['audienceId', 'open'])

/** Campaigns of these states may yet send: what they stand on has to stay. */
const NOT_OVER: CampaignState[] = ['draft', 'online', 'paused']

const missing = () => new NotFound('no such campaign', { code: 'campaigns.not-found' })
const wrongState = (state: string, verb: string) =>
  new Conflict(`a campaign that is ${state} cannot be ${verb}`, { code: 'campaigns.state', facts: { state } })

/** What operators set up and switch on: whom, what, when. Runs themselves live in the messages room. */
export function createCampaigns(parts: CampaignParts) {
  const { db, clock, log, jobs, accounts, templates, audiences, messages } = parts
  const model = campaignModel(db)
  const rows = model.collection as unknown as Collection<CampaignRow>
  const composers = createComposers()
  const ladder = createLadder(parts)
  const dayCaps = capModel(db).collection as unknown as Collection<CapRow>
  const forecast = createForecast({ ...parts, dayCaps })
  const check = createCheck({ ...parts, ladder, rows, forecast })
  let listening: { at: number; campaigns: CampaignRow[] } | null = null
  /** How often what listens was changed here: what was read across a change is not kept. */
  let changes = 0
  const forget = () => {
    changes += 1
    listening = null
  }
  const listeners: ((moved: CampaignRow) => Promise<void>)[] = []

  const starter = createStarter({ ...parts, rows, pause: pauseIfOnline })
  const expander = createExpander({ ...parts, rows, composers, pause: pauseIfOnline })

  audiences.onUse(async (audienceId) => {
    const using = await rows
      .find({ audienceId, state: { $in: NOT_OVER } })
      .sort({ createdAt: 1 })
      .toArray()
    return using.map(({ _id, name, state, accountId }) => ({ campaignId: _id, name, state, accountId }))
  })
  const { breakers } = parts
  if (breakers !== undefined) {
    breakers.onChange(createBreaking({ rows, log, breakers, pause: pauseIfOnline, resume: (id) => resume(id) }))
  }
  jobs.define('campaigns.tick', async () => {
    await tick()
  })
  jobs.define('runs.expand', async ({ data, signal }) => expander.expand(data.runId, signal), { concurrency: 2 })

  async function row(id: string): Promise<CampaignRow> {
    const found = await rows.findOne({ _id: id })
    if (found === null) throw missing()
    return found
  }

  /** Changes a campaign as it was seen, `undefined` takes a setting away; null when somebody else was faster. */
  async function change(seen: CampaignRow, set: Partial<CampaignRow>): Promise<CampaignRow | null> {
    forget()
    const at = clock.now()
    const moved = set.state !== undefined && set.state !== seen.state
    const gone = Object.entries(set).filter(([, value]) => value === undefined)
    const kept = Object.fromEntries(Object.entries(set).filter(([, value]) => value !== undefined))
    const changed = await rows.findOneAndUpdate(
      { _id: seen._id, rev: seen.rev },
      {
        $set: { ...kept, updatedAt: at },
        ...(gone.length > 0 && { $unset: Object.fromEntries(gone.map(([name]) => [name, ''])) }),
        $inc: { rev: 1 },
        ...(moved && pushMove(seen, set.state!, set.stateReason ?? null, at))
      },
      { returnDocument: 'after' }
    )
    forget()
    return changed
  }

  /** Moves a campaign on from one of `from`. @throws Conflict when it is elsewhere, PreconditionFailed by If-Match */
  async function move(
    id: string,
    verb: string,
    from: CampaignState[],
    set: (seen: CampaignRow) => Partial<CampaignRow> | Promise<Partial<CampaignRow>>,
    ifMatch?: string
  ): Promise<CampaignRow> {
    for (;;) {
      const seen = await row(id)
      mustMatch(ifMatch, seen.rev)
      if (!from.includes(seen.state)) throw wrongState(seen.state, verb)
      const changed = await change(seen, await set(seen))
      if (changed !== null) return changed
    }
  }

  /** Starts what is due (of one campaign, or of all), ends what has run. Two at once do the same once. */
  async function tick(id?: string): Promise<void> {
    for (const each of await starter.tick(id)) {
      forget()
      // Without jobs in this process a worker takes the run within a second; the first slice need not wait for it.
      if (jobs.running()) continue
      await expander.expand(each, undefined, 1).catch((error: unknown) => {
        log.error({ err: error, runId: each }, 'the first slice of a run failed, its job will take it')
      })
    }
  }

  /** What is needed to go online: a check without problems, and the template as it is now. */
  async function fit(seen: CampaignRow, override?: Override): Promise<Partial<CampaignRow>> {
    if (override !== undefined) {
      const { problems: said } = await check(seen, { forecast: false })
      await ladder.override(seen, override, [...new Set(said.map(({ code }) => code).filter(mayOverride))])
    }
    const { problems, template } = await check(seen, { forecast: false })
    if (problems.length > 0 || template === null) {
      throw new InvalidInput('this campaign is not ready', { code: 'campaigns.not-ready', errors: problems })
    }
    return { template, nextAt: nextInstant(seen, clock.now()), stateReason: null }
  }

  async function pause(id: string, reason: string | null = null, ifMatch?: string): Promise<CampaignRow> {
    const seen = await row(id)
    mustMatch(ifMatch, seen.rev)
    // An operator's word takes the breaker's place: the campaign does not go on by itself any more.
    if (reason === null && isByBreaker(seen)) {
      await messages.runs.setPaused(id, true)
      return move(id, 'paused', ['paused'], () => ({ stateReason: null }))
    }
    if (seen.state !== 'online') throw wrongState(seen.state, 'paused')
    // Slots first, so that nothing fires from the next block on; once more after, for a run opened in between.
    await messages.runs.setPaused(id, true, reason ?? undefined)
    const paused = await move(id, 'paused', ['online'], () => ({ state: 'paused', stateReason: reason }))
    await messages.runs.setPaused(id, true, reason ?? undefined)
    return paused
  }

  /** Pauses it for a reason of our own; somebody else having stopped it first is as good. */
  async function pauseIfOnline(id: string, reason: string): Promise<void> {
    log.warn({ campaignId: id, reason }, 'a campaign is paused by what it met')
    await pause(id, reason).catch((error: unknown) => {
      if (!(error instanceof Conflict)) throw error
    })
  }

  async function resume(id: string, ifMatch?: string, override?: Override): Promise<CampaignRow> {
    await move(
      id,
      'resumed',
      ['paused'],
      async (seen) => ({ ...(await fit(seen, override)), state: 'online' }),
      ifMatch
    )
    await messages.runs.setPaused(id, false)
    await starter.continueRuns(id)
    await tick(id)
    return told(await row(id))
  }

  async function told(moved: CampaignRow): Promise<CampaignRow> {
    for (const listener of listeners) await listener(moved)
    return moved
  }

  /** A campaign with these settings that has not been anywhere yet. */
  async function insertDraft(body: Settings): Promise<CampaignRow> {
    const now = clock.now()
    const made: CampaignRow = {
      ...body,
      _id: newId(),
      state: 'draft',
      stateReason: null,
      template: null,
      nextAt: null,
      runId: null,
      activatedAt: null,
      rev: 1,
      moves: [],
      createdAt: now,
      updatedAt: now
    }
    await rows.insertOne(made)
    return made
  }

  /** Refuses what could never go online; `named` are the things newly named, which have to be there. */
  async function mustFit(
    body: Pick<CampaignRow, 'accountId' | 'open' | 'trigger'>,
    named: { audienceId?: string | null | undefined; templateId?: string | undefined }
  ): Promise<void> {
    const account = await accounts.get(body.accountId)
    const faults = openFaults(account, body.open ?? undefined)
    if (named.templateId !== undefined) {
      const template = await orNull(templates.get(account.id, named.templateId))
      if (template?.state !== 'live') faults.push({ pointer: '/templateId', ...TEMPLATE_MISSING })
    }
    if (named.audienceId != null && (await orNull(audiences.get(named.audienceId))) === null) {
      faults.push({ pointer: '/audienceId', ...AUDIENCE_MISSING })
    }
    const window = windowFault(body.trigger)
    if (window !== null) faults.push(window)
    if (faults.length > 0) throw new InvalidInput('the campaign does not fit its account', { errors: faults })
    if (body.trigger.kind === 'event' || body.trigger.kind === 'notFollowed') {
      checkWhere(body.trigger.where, '/trigger/where')
    }
    if (body.trigger.kind === 'event') checkWhere(body.trigger.cancelOn?.where, '/trigger/cancelOn/where')
  }

  return {
    rows,
    composers,
    ladder,

    /** Makes the indexes, and sees to it that the clock is looked at every second. */
    async ready(): Promise<void> {
      await model.createIndexes()
      await ladder.ready()
      await jobs.every(TICK_MS, 'campaigns.tick')
    },

    /** Its runs, as operators see them. */
    runs: createRunVerbs({ rows, clock, messages, accounts, ...(breakers !== undefined && { breakers }) }),

    tick,

    /** Expands a run as far as it goes; what the job does. */
    expand: expander.expand,

    /** @throws NotFound */
    get: row,

    page: (filter: Record<string, unknown>, query: PageQuery) =>
      listPage(
        rows,
        { filter, query, sortable: ['createdAt', 'updatedAt', 'name'], defaultSort: '-createdAt' },
        campaignView
      ),

    /** When a trigger would fire next, at most five times; none for answers to events. */
    nextRuns: (trigger: Trigger): Date[] => instantsAfter(trigger, clock.now(), NEXT_RUNS),

    /** A draft. @throws NotFound for an unknown account, InvalidInput for an unknown template or audience */
    async create(wanted: CampaignCreate): Promise<CampaignRow> {
      const { id: accountId } = await accounts.get(wanted.accountId)
      const body = { ...wanted, accountId, audienceId: wanted.audienceId ?? null, open: wanted.open ?? null }
      await mustFit(body, wanted)
      return insertDraft(body)
    },

    /** Changes a draft or a paused campaign; a run keeps what it started with. @throws Conflict, PreconditionFailed */
    async patch(id: string, wanted: z.infer<typeof CampaignPatch>, ifMatch?: string): Promise<CampaignRow> {
      return move(
        id,
        'changed',
        ['draft', 'paused'],
        async (seen) => {
          const accountId = wanted.accountId === undefined ? seen.accountId : (await accounts.get(wanted.accountId)).id
          if (seen.state === 'paused' && accountId !== seen.accountId) {
            throw new Conflict('a campaign that has been online keeps its account', { code: 'campaigns.account-fixed' })
          }
          if (seen.state === 'paused' && wanted.trigger !== undefined) keepsTrigger(seen, wanted.trigger)
          const said = Object.entries(wanted).filter(([, value]) => value !== undefined)
          const set = Object.fromEntries(
            said.map(([name, value]) => [name, value === null && !NULL_MEANS.has(name) ? undefined : value])
          )
          // Who changed it decides when it goes on, not the breaker that had paused it.
          const taken = isByBreaker(seen) ? { stateReason: 'changed' } : {}
          const next = { ...set, ...taken, accountId } as Partial<CampaignRow>
          const templateId = wanted.templateId ?? (accountId === seen.accountId ? undefined : seen.templateId)
          await mustFit({ ...seen, ...next }, { audienceId: wanted.audienceId, templateId })
          return next
        },
        ifMatch
      )
    },

    /** Only a draft can be deleted: what has been online is history. @throws NotFound, Conflict */
    async remove(id: string, ifMatch?: string): Promise<void> {
      const seen = await row(id)
      mustMatch(ifMatch, seen.rev)
      if (seen.state !== 'draft') throw wrongState(seen.state, 'deleted')
      const { deletedCount } = await rows.deleteOne({ _id: id, state: 'draft', rev: seen.rev })
      if (deletedCount === 0) throw new PreconditionFailed()
    },

    /** A draft with the same settings. */
    async duplicate(id: string): Promise<CampaignRow> {
      const seen = await row(id)
      return insertDraft({ ...seen, name: `${seen.name.slice(0, 55)} (2)` })
    },

    /** What stands in the way of going online, what is odd, and whom it would reach. @throws NotFound */
    check: async (id: string): Promise<Check> => check(await row(id)),

    /**
     * Online from now on; a run that is due starts before this returns. `override`: untried, on an owner's word.
     * @throws InvalidInput with the problems
     */
    async activate(id: string, ifMatch?: string, override?: Override): Promise<CampaignRow> {
      const seen = await row(id)
      const at = clock.now()
      await move(
        id,
        'activated',
        ['draft'],
        async (draft) => ({ ...(await fit(draft, override)), state: 'online', activatedAt: at }),
        ifMatch
      )
      log.info({ campaignId: id, kind: seen.trigger.kind }, 'campaign online')
      await tick(id)
      return row(id)
    },

    /** Nothing more of it is sent, from the next slot on. @throws Conflict unless online */
    pause,
    pauseIfOnline,

    /** @throws Conflict unless paused, InvalidInput when it is not ready any more */
    resume,

    /** For good: what is not out yet will not go. @throws Conflict unless online or paused */
    async cancel(id: string, ifMatch?: string): Promise<CampaignRow> {
      const seen = await row(id)
      mustMatch(ifMatch, seen.rev)
      if (seen.state !== 'online' && seen.state !== 'paused') throw wrongState(seen.state, 'cancelled')
      await messages.cancelRuns(id)
      const cancelled = await move(id, 'cancelled', ['online', 'paused'], () => ({ state: 'cancelled', nextAt: null }))
      // Rows that an expander wrote in between.
      await messages.cancelRuns(id)
      return told(cancelled)
    },

    /**
     * Campaigns online or paused that answer events, at most a second old (at once in the process that changed one).
     */
    async listening(): Promise<CampaignRow[]> {
      const now = clock.monotonic()
      if (listening !== null && now - listening.at < CACHE_MS) return listening.campaigns
      const before = changes
      const campaigns = await rows
        .find({ state: { $in: ['online', 'paused'] }, 'trigger.kind': { $in: ['event', 'notFollowed'] } })
        .toArray()
      if (changes === before) listening = { at: now, campaigns }
      return campaigns
    },

    /** Tells of campaigns this process resumed or cancelled; may be missed by a crash. */
    onMove: (listener: (moved: CampaignRow) => Promise<void>): void => void listeners.push(listener),

    /** After a run of it was opened: makes it follow a pause or cancellation that came in between. */
    async settleRuns(id: string): Promise<void> {
      await starter.settle(id)
    },

    /** Whom it is for; null: everyone. @throws NotFound when the audience is gone */
    audienceOf: (campaign: CampaignRow) =>
      campaign.audienceId === null ? Promise.resolve(null) : audiences.sourceOf(campaign.audienceId)
  }
}

/** A campaign as REST shows it. */
export function campaignView(row: CampaignRow): CampaignView {
  const { _id, template: _t, nextAt: _n, runId: _r, activatedAt: _a, rev: _v, moves: _m, open, ...rest } = row
  return { ...rest, id: _id, ...(open !== null && { open }) }
}

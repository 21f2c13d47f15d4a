import { setTimeout as sleep } from 'node:timers/promises'
import type { Stage } from '../stage.js'
import { fatesOf } from './oracle.js'
import { instantsOf } from './oracle-time.js'
import { inLanes, perform, sayingOf, type Accounts, type Known } from './people.js'
import type { Plan, Story } from './story.js'

/** The director: sets the campaigns up, moves the clock from visit to visit, and waits each time until all is quiet. */

const LOOK_MS = 150
/** Between two looks that see the same, so long must have passed since the clock was moved. */
const AT_LEAST_MS = 400
/** What is foreseen and does not come is waited for this long. */
const PATIENCE_MS = 40_000

/** A campaign of the story, set up at the server. */
export type Running = { plan: Plan; id: string }
/** What the story is played with. */
export type Production = {
  accounts: Accounts
  running: Running[]
  known: Known[]
  /** Test sends there were; they count for nobody. */
  tests: number
  /** Messages that were waited for in vain; they are not waited for again. */
  missed: number
}

/** Sets campaigns up and switches them on, but for those whose act does that itself. */
export async function setUp({ api }: Stage, accounts: Accounts, plans: readonly Plan[]): Promise<Running[]> {
  const running: Running[] = []
  for (const plan of plans) {
    if (plan.lateComer === true) continue
    const id = await draft(api, accounts, plan)
    await api.post(`/v1/campaigns/${id}/activate`)
    running.push({ plan, id })
  }
  return running
}

/** A campaign as its plan says. @returns its id */
export async function draft(api: Stage['api'], accounts: Accounts, plan: Plan): Promise<string> {
  const { app, key, lane, audience, template, topic, waitForCredential, lifeMs, needs, perPersonPerDay, lateWithinMs } =
    plan
  const audienceId = audience === null ? null : (await api.post('/v1/audiences', { name: key, rule: audience })).id
  const saying = sayingOf(template, key, needs === undefined ? key : `{{ user.${needs} }}`)
  const { id } = await api.post('/v1/campaigns', {
    name: key,
    accountId: accounts[app].id,
    audienceId,
    lane,
    trigger: triggerOf(plan),
    ...saying,
    lifeMs,
    ...(topic !== undefined && { topic }),
    ...(waitForCredential === true && { waitForCredential }),
    ...(perPersonPerDay !== undefined && { caps: { perPersonPerDay } }),
    ...(lateWithinMs !== undefined && { missed: { lateWithinMs } })
  })
  return id
}

function triggerOf({ timing }: Plan): object {
  if (timing.kind === 'once') return { kind: 'once', at: instant(timing.at) }
  if (timing.kind !== 'recurring') return timing
  return { ...timing, from: instant(timing.from), until: instant(timing.until) }
}

/** Plays all visits; `after` is played at the end of each. `progress` hears where the story stands. */
export async function direct(
  stage: Stage,
  story: Story,
  production: Production,
  after: (at: number) => Promise<void>,
  progress: (line: string) => void
): Promise<void> {
  const { accounts, known } = production
  // Who is behind the breaker is told of when it lets them through.
  const behind = new Set(story.plans.flatMap(({ key, template }) => (template === story.breaker.template ? [key] : [])))
  const settled = story.cast
    .flatMap((actor) => fatesOf(story, actor))
    .flatMap(({ of, what, settled }) => (what.startsWith('wait ') || behind.has(of) ? [] : [settled]))
  for (const [visit, at] of story.visits.entries()) {
    const by = (phase: number) => settled.filter((when) => when <= 2 * visit + phase).length
    await stage.moveTo(at)
    await quiet(stage, production, at, by(0))
    await perform(stage, accounts, known, at)
    await quiet(stage, production, at, by(1))
    await after(at)
    progress(`it is ${shanghai(at)}`)
  }
}

/**
 * Until nothing is due any more and so many messages have come to their end, or patience is over: what is still open
 * then is for the comparison to find.
 */
export async function quiet(stage: Stage, production: Production, now: number, foreseen: number): Promise<void> {
  const began = performance.now()
  let before = ''
  for (;;) {
    await sleep(LOOK_MS)
    const state = await stateOf(stage, production, now, foreseen)
    const waited = performance.now() - began
    if (state.calm && state.print === before && waited >= AT_LEAST_MS) return
    if (waited > PATIENCE_MS) {
      production.missed = Math.max(production.missed, foreseen - state.settled)
      return
    }
    before = state.print
  }
}

/** Is everything done that is due at `now`? `print` changes when anything does. */
async function stateOf({ api, sandbox }: Stage, production: Production, now: number, foreseen: number) {
  const { accounts, running, tests, missed } = production
  const prints: string[] = []
  let calm = true
  const stopped = new Set<string>()
  const states = await api.all('/v1/campaigns?state=paused')
  await inLanes(running, async ({ plan, id }) => {
    const { timing } = plan
    if (states.some((each) => each.id === id)) return void stopped.add(id)
    if (timing.kind === 'event' || timing.kind === 'notFollowed') {
      const { data } = await api.get(`/v1/campaigns/${id}/waits?state=waiting&sort=due&limit=1`)
      if (data.length > 0 && Date.parse(data[0].due) <= now) calm = false
      return
    }
    const due = instantsOf(timing).filter((each) => each <= now).length
    const runs = await api.all(`/v1/campaigns/${id}/runs`)
    if (runs.length < due || runs.some(({ state }) => state === 'expanding')) calm = false
  })
  const open = await api.all('/v1/messages?state=planned,held,sending')
  for (const { id, campaignId, state, waitingFor, dueAt } of open) {
    if (stopped.has(campaignId)) continue
    if (state !== 'planned' || (waitingFor !== 'credential' && waitingFor !== 'quietHours' && Date.parse(dueAt) <= now))
      calm = false
    prints.push(`${id} ${state} ${waitingFor}`)
  }
  // What a service account or a subscription sends is final with WeChat's receipt.
  for (const app of ['clinic', 'service'] as const) {
    if ((await total(api, `&state=accepted&accountId=${accounts[app].id}`)) > 0) calm = false
  }
  // What WeChat has to tell of people and messages was told.
  if ((await sandbox.get('/sandbox/pushes?event=none')).waiting > 0) calm = false
  const all = await total(api, '')
  const settled = all - open.length - tests
  if (settled < foreseen - missed) calm = false
  return { calm, settled, print: `${all} ${prints.sort().join()}` }
}

const total = async (api: Stage['api'], query: string): Promise<number> =>
  (await api.get(`/v1/messages?limit=1&count=true${query}`)).page.total

export const instant = (at: number): string => new Date(at).toISOString()
/** Day and time in Shanghai: `Tue 08:00`. */
export function shanghai(at: number): string {
  const how = { timeZone: 'Asia/Shanghai', weekday: 'short', hour: '2-digit', minute: '2-digit', hourCycle: 'h23' }
  return new Intl.DateTimeFormat('en-GB', how as Intl.DateTimeFormatOptions).format(at).replace(',', '')
}

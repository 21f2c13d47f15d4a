import { DAY_MS, HOUR_MS, MINUTE_MS } from './story.js'
import type { Actor, AppName, Foreseen, Plan, Story, TemplateName } from './story.js'
import { instantsOf, isMember, minuteOfDay, minutesOf, shanghaiDay, whereHolds } from './oracle-time.js'
import { stops, waitOf, type Seen, type Wait } from './oracle-waits.js'

/**
 * What must become of every person of a story, told from the documents alone (docs/ledger.md and the README's words on
 * triggers, rights, caps and quiet hours): it shares no line with the server, and knows no database, no jobs and no
 * leases. Where both say the same, either both are right or both are wrong in the same way.
 */

type Kind = 'legacy' | 'subscribe' | 'service'
const KIND: Record<TemplateName, Kind> = {
  shipped: 'legacy',
  pickup: 'subscribe',
  booking: 'subscribe',
  visit: 'subscribe',
  brand: 'service'
}

type Right = {
  app: AppName
  kind: Kind
  template: TemplateName | null
  source: string
  left: number
  from: number
  ends: number
  perDay: number | null
}
const FOREVER = Number.MAX_SAFE_INTEGER
const FORM_LIFE_MS = 7 * DAY_MS
const FOLLOW_LIFE_MS = 2 * DAY_MS
const INTERACTION_LIFE_MS = 7 * DAY_MS
const INTERACTIONS_A_DAY = 3
const PAYMENT_SENDS = 3
const PAYMENT_SETTLES_MS = 10_000
/** Life a right must have left to be chosen. */
const marginOf = (source: string) => (source === 'form' ? 10 * MINUTE_MS : MINUTE_MS)

type Step = { app: AppName; template: TemplateName }
type Intent = Step & {
  of: string
  lane: 'transactional' | 'bulk'
  due: number
  notAfter: number
  /** Looked at again then; parked ones also when a right comes. */
  look: number
  parked: boolean
  wait: Wait | null
  topic: string | null
  waitsForRight: boolean
  perPersonPerDay: number | null
  rest: Step[]
}

/** Sending of a template stands still: what was to begin in this time begins at its end. */
type Standstill = { template: TemplateName; after: number; until: number }

/** Everything one person's life comes to, in the order it was decided. */
export function fatesOf(story: Story, actor: Actor): Foreseen[] {
  return lived(story, actor, standstillOf(story)).fates
}

const standstills = new WeakMap<Story, Standstill | null>()
/** When the story's breaker trips: everybody's answers are counted as they would be without it. null: never. */
export function standstillOf(story: Story): (Standstill & { failed: number; answers: number }) | null {
  const known = standstills.get(story)
  if (known !== undefined) return known as ReturnType<typeof standstillOf>
  const { template, from, least, share, restMs } = story.breaker
  const answers = story.cast.flatMap((actor) => lived(story, actor, null).answers)
  let found: ReturnType<typeof standstillOf> = null
  for (const after of story.visits) {
    if (found !== null || after < from) continue
    const now = answers.filter((each) => each.template === template && each.at === after)
    const failed = now.filter((each) => each.failed).length
    if (now.length >= least && failed / now.length >= share)
      found = { template, after, until: after + restMs, failed, answers: now.length }
  }
  standstills.set(story, found)
  return found
}

type Answer = { template: TemplateName; at: number; failed: boolean }

function lived(story: Story, actor: Actor, still: Standstill | null): { fates: Foreseen[]; answers: Answer[] } {
  const answers: Answer[] = []
  const fates: Foreseen[] = []
  const rights: Right[] = []
  const intents: Intent[] = []
  const waits: Wait[] = []
  const seen: Seen[] = []
  const counted = new Map<string, number>()
  const entered = new Map<string, number>()
  const optedOut = new Set<string | null>()
  const fails = new Map<AppName, number>()
  const blocks = new Map<AppName, 'refuse' | 'drop' | 'none'>()
  let follows = false // at WeChat
  let follower = false // as we were told
  let reach: 'ok' | 'gone' = 'ok'
  let visit = 0
  let phase = 0
  let now = 0

  const tell = (of: string, app: AppName, what: string, sent = false) =>
    fates.push({ of, app, what, visit: sent ? visit : null, settled: 2 * visit + phase })

  function intend(plan: Plan, due: number, notAfter: number, wait: Wait | null): void {
    const { key, app, template, lane, topic = null } = plan
    if (!actor.apps.includes(app)) return void tell(key, app, 'skipped notInAccount')
    if (plan.needs !== undefined && actor.attributes[plan.needs] === undefined) {
      return void tell(key, app, 'skipped missingVariable')
    }
    const base = { of: key, app, template, lane, due, notAfter, look: due, parked: false, wait, topic, rest: [] }
    const perPersonPerDay = plan.perPersonPerDay ?? null
    intents.push({ ...base, perPersonPerDay, waitsForRight: plan.waitForCredential === true })
  }

  const usable = ({ app, template }: Step) =>
    rights
      .filter(
        (right) =>
          right.app === app &&
          right.kind === KIND[template] &&
          (right.kind !== 'subscribe' || right.template === template) &&
          right.left > 0 &&
          right.from <= now &&
          right.ends > now + marginOf(right.source)
      )
      .sort((a, b) => a.ends - b.ends || a.left - b.left)

  const needsRight = ({ template, lane, app }: Intent) =>
    KIND[template] !== 'service' || (lane === 'bulk' && story.houses[app].windowForBulk)

  /** @returns is it over, one way or the other? */
  function attempt(intent: Intent): boolean {
    const { of, app, lane, notAfter, template } = intent
    const house = story.houses[app]
    const over = (what: string, sent = false): true => {
      tell(of, app, what, sent)
      return true
    }
    if (intent.wait?.stopped === true) return over('skipped cancelled')
    if (optedOut.has(null) || (intent.topic !== null && optedOut.has(intent.topic))) return over('skipped optedOut')
    if (notAfter <= now) return over('expired')
    if (app === 'service' && (!follower || reach === 'gone')) {
      tell(of, app, 'skipped suppressed')
      return fallBack(intent)
    }
    const quietEnds = lane === 'bulk' ? quietUntil(house, zoneOf(actor, house), now) : null
    if (quietEnds !== null) {
      if (quietEnds >= notAfter) return over('skipped quietHours')
      const dies = Math.max(0, ...usable(intent).map(({ ends }) => ends))
      if (dies > 0 && dies <= quietEnds) {
        if (house.quiet!.dying === 'skip') return over('skipped quietHours')
      } else {
        intent.look = quietEnds
        return false
      }
    }
    let right: Right | null = null
    if (needsRight(intent)) {
      right = usable(intent)[0] ?? null
      if (right === null) {
        if (intent.waitsForRight) {
          intent.parked = true
          intent.look = notAfter
          return false
        }
        tell(of, app, 'skipped noCredential')
        return fallBack(intent)
      }
    }
    const today = `${app} ${shanghaiDay(now)}`
    const mine = `${of} ${today}`
    const full = (key: string, limit: number | null) => limit !== null && (counted.get(key) ?? 0) >= limit
    if (full(mine, intent.perPersonPerDay)) return over('skipped capped')
    if (lane === 'bulk' && full(today, house.perPersonPerDay)) return over('skipped capped')
    const window = right === null ? '' : `${right.source} ${today}`
    if (right !== null && full(window, right.perDay)) return over('skipped capped')

    const code = KIND[template] === 'subscribe' ? fails.get(app) : undefined
    answers.push({ template, at: now, failed: code !== undefined })
    if (code !== undefined) return over(`failed ${code}`)
    const refused = KIND[template] === 'subscribe' && blocks.get(app) === 'refuse'
    if (refused) {
      // WeChat says that nobody there wants it: every grant of the template is gone.
      for (const each of rights) if (each.app === app && each.template === template) each.left = 0
      if (intent.rest.length > 0) {
        tell(of, app, 'failed refused')
        return fallBack(intent)
      }
      return attempt(intent)
    }
    if (KIND[template] === 'service' && !follows) {
      reach = 'gone'
      tell(of, app, 'failed 43004')
      return fallBack(intent)
    }
    if (right !== null) right.left -= 1
    for (const key of [today, mine, window]) counted.set(key, (counted.get(key) ?? 0) + 1)
    if (KIND[template] === 'legacy') return over('accepted', true)
    if (KIND[template] === 'service' && blocks.get(app) === 'drop') {
      reach = 'gone'
      return over('failed userBlock', true)
    }
    return over('delivered', true)
  }

  function fallBack(intent: Intent): true {
    const [next, ...rest] = intent.rest
    if (next === undefined) return true
    if (!actor.apps.includes(next.app)) {
      tell(intent.of, next.app, 'skipped notInAccount') // which is no reason to fall back
      return true
    }
    const step = { ...intent, ...next, rest, due: now, waitsForRight: false, parked: false }
    if (!attempt(step)) intents.push(step)
    return true
  }

  function work(): void {
    const ready = intents
      .filter(({ look }) => look <= now)
      .sort((a, b) => Number(a.lane === 'bulk') - Number(b.lane === 'bulk') || a.due - b.due)
    for (const intent of ready) if (attempt(intent)) intents.splice(intents.indexOf(intent), 1)
  }

  function mayEnter({ key, timing }: Plan, at: number): boolean {
    const reentry = 'reentry' in timing ? (timing.reentry ?? 'each') : 'each'
    if (reentry === 'each') return true
    const last = entered.get(key)
    if (last !== undefined && (reentry === 'once' || at < last + reentry.perDays * DAY_MS)) return false
    entered.set(key, at)
    return true
  }

  function decideWaits(): void {
    const ready = waits.filter(({ state, due }) => state === 'waiting' && due <= now).sort((a, b) => a.due - b.due)
    for (const wait of ready) {
      const { plan } = wait
      const settle = (state: Wait['state'], reason: string | null = null) => {
        wait.state = state
        wait.reason = reason
      }
      if (seen.some((event) => stops(wait, event))) {
        wait.stopped = true
        settle('stopped')
      } else if (wait.notAfter <= now) settle('dropped', 'late')
      else if (plan.audience !== null && !isMember(actor, plan.audience)) settle('dropped', 'notInAudience')
      else if (!mayEnter(plan, wait.due)) settle('dropped', 'reentry')
      else {
        settle('fired')
        intend(plan, wait.due, wait.notAfter, wait)
      }
    }
  }

  function heard(event: Seen): void {
    seen.push(event)
    for (const wait of waits) {
      if (wait.stopped || !stops(wait, event)) continue
      wait.stopped = true
      if (wait.state === 'waiting') wait.state = 'stopped'
    }
    for (const plan of story.plans) {
      const { timing } = plan
      if (timing.kind !== 'event' && timing.kind !== 'notFollowed') continue
      if (timing.event !== event.name || !whereHolds(timing.where, event.properties)) continue
      if (plan.audience !== null && !isMember(actor, plan.audience)) continue
      const wait = waitOf(plan, event)
      if (wait !== null) waits.push(wait)
      else if (mayEnter(plan, event.happened)) intend(plan, now, event.happened + plan.lifeMs, null)
    }
  }

  function gain(right: Omit<Right, 'from'> & { from?: number }): void {
    const { app, source } = right
    const window = right.left === Infinity
    const known = window ? rights.find((each) => each.app === app && each.source === source) : undefined
    if (known !== undefined) known.ends = Math.max(known.ends, right.ends)
    else if (right.ends > now) rights.push({ from: now, ...right })
    for (const intent of intents) if (intent.parked && intent.app === app) intent.look = now
  }

  function interacts(source: 'menu' | 'reply'): void {
    if (follower) reach = 'ok'
    const ends = now + INTERACTION_LIFE_MS
    const base = { app: 'service' as const, kind: 'service' as const, template: null }
    gain({ ...base, source, left: Infinity, ends, perDay: INTERACTIONS_A_DAY })
  }

  function handIn(deed: Extract<Actor['deeds'][number], { does: 'hand in' }>): void {
    const { app, source, template = null, times = 1 } = deed
    const began = Math.min(deed.caughtAt ?? now, now)
    for (let n = 0; n < times; n++) {
      const base = { app, source, perDay: null }
      if (source === 'grant') gain({ ...base, kind: 'subscribe', template, left: 1, ends: FOREVER })
      else if (source === 'form') gain({ ...base, kind: 'legacy', template: null, left: 1, ends: began + FORM_LIFE_MS })
      else {
        const from = now + PAYMENT_SETTLES_MS
        gain({ ...base, kind: 'legacy', template: null, left: PAYMENT_SENDS, ends: began + FORM_LIFE_MS, from })
      }
    }
  }

  function act(deed: Actor['deeds'][number], id: number): void {
    switch (deed.does) {
      case 'hand in':
        return handIn(deed)
      case 'event':
        return heard({ ...deed, id })
      case 'follow':
        follows = follower = true
        reach = 'ok'
        return gain({
          app: 'service',
          kind: 'service',
          template: null,
          source: 'follow',
          left: 1,
          ends: now + FOLLOW_LIFE_MS,
          perDay: null
        })
      case 'leave':
        follows = follower = false
        return
      case 'leave silently':
        follows = false
        return
      case 'tap the menu':
        return interacts('menu')
      case 'write':
        return interacts('reply')
      case 'opt out':
        return void optedOut.add(deed.topic)
      case 'opt in':
        return void optedOut.delete(deed.topic)
      case 'fail':
        return void fails.set(deed.app, deed.code)
      case 'block':
        return void blocks.set(deed.app, deed.how)
      case 'direct': {
        const { reference: of, app, template, lane, fallback: rest, lifeMs } = deed
        if (!actor.apps.includes(app)) {
          tell(of, app, 'skipped notInAccount')
          return
        }
        const base = { of, app, template, lane, due: now, notAfter: now + lifeMs, look: now, parked: false, wait: null }
        return void intents.push({ ...base, topic: null, waitsForRight: false, perPersonPerDay: null, rest })
      }
    }
  }

  let before = -1
  for (const [index, at] of story.visits.entries()) {
    visit = index
    phase = 0
    now = at
    for (const plan of story.plans) {
      const due = instantsOf(plan.timing)
        .map((instant) => begins(plan, instant))
        .filter((instant) => instant > before && instant <= now)
      for (const instant of due) {
        if (plan.audience === null || isMember(actor, plan.audience)) intend(plan, instant, now + plan.lifeMs, null)
      }
    }
    decideWaits()
    work()
    phase = 1
    for (const [id, deed] of actor.deeds.entries()) if (deed.at === at) act(deed, id)
    decideWaits()
    work()
    before = at
  }
  for (const intent of intents) tell(intent.of, intent.app, intent.parked ? 'parked' : 'planned')
  for (const { plan, state, reason } of waits) {
    tell(plan.key, plan.app, ['wait', state, reason].filter((word) => word !== null).join(' '))
  }
  return { fates, answers }

  function begins({ template }: Plan, instant: number): number {
    if (still === null || template !== still.template || instant <= still.after) return instant
    return Math.max(instant, still.until)
  }
}

/** Whose night it is: the person's own zone, where they have one. */
function zoneOf({ attributes }: Actor, house: { zone: string }): string {
  return typeof attributes['zone'] === 'string' ? attributes['zone'] : house.zone
}

/** When the quiet hours it is in end; null outside them. Looked up minute by minute. */
function quietUntil({ quiet }: Story['houses'][AppName], zone: string, now: number): number | null {
  if (quiet === null) return null
  const [from, to] = [minutesOf(quiet.from), minutesOf(quiet.to)]
  const isQuiet = (at: number) => {
    const minute = minuteOfDay(at, zone)
    return from < to ? minute >= from && minute < to : minute >= from || minute < to
  }
  if (!isQuiet(now)) return null
  for (let at = now - (now % MINUTE_MS); at < now + 25 * HOUR_MS; at += MINUTE_MS)
    if (at > now && !isQuiet(at)) return at
  throw new Error('quiet hours without an end')
}

import type { Connection } from 'mongoose'
import type { GateName, GateView } from '../../shared/timeline.js'
import type { Lane } from '../../shared/message.js'
import { MESSAGE_LIFE_MS } from '../../shared/limits.js'
import type { Account } from '../accounts/accounts.js'
import { shuts } from '../accounts/penalty.js'
import type { Audiences, AudienceSource } from '../audiences/audiences.js'
import type { Breakers } from '../breakers/breakers.js'
import { guardsOf } from '../breakers/standing.js'
import type { CampaignRow, Campaigns } from '../campaigns/campaigns.js'
import { snapshotOf } from '../campaigns/compose.js'
import { lifeOf } from '../campaigns/schedule.js'
import { fits, inOrder, sendsOf } from '../credentials/holds.js'
import type { CredentialRow } from '../credentials/model.js'
import type { Credentials } from '../credentials/credentials.js'
import { perDayOf } from '../credentials/terms.js'
import { capKey, capOf, windowKey } from '../messages/caps.js'
import { gate, type Gate, type GateFacts } from '../messages/gates.js'
import { capModel, type MessageRow } from '../messages/model.js'
import { rowOf } from '../messages/plan.js'
import { zoneOf } from '../messages/quiet-hours.js'
import { leaveOf, needsCredential, sourcesOff } from '../messages/prepare.js'
import type { Clock } from '../platform/clock.js'
import { NotFound } from '../platform/errors.js'
import type { Template, Templates } from '../templates/templates.js'
import { reentryModel } from '../triggers/model.js'
import { reentryUpdate } from '../triggers/reentry.js'
import type { People, Person, Recipient } from './people.js'

export type WhyNotParts = {
  db: Connection
  clock: Clock
  people: Pick<People, 'recipientsOf' | 'optedOut'>
  templates: Pick<Templates, 'get'>
  credentials: Pick<Credentials, 'rows' | 'lastExpiry'>
  audiences: Pick<Audiences, 'among' | 'sourceOf'>
  campaigns: Pick<Campaigns, 'composers'>
  breakers: Pick<Breakers, 'standing'>
}

/** What would be sent: as a campaign says, or any message of a template. */
export type Wish = {
  account: Account
  templateId: string
  lane: Lane
  topic: string | null
  campaign: CampaignRow | null
}

/**
 * Why would somebody get no message now? Every gate is asked, by the sender's own functions, though the sender stops at
 * the first that is shut. Nothing is reserved or written.
 */
export function createWhyNot({
  db,
  clock,
  people,
  templates,
  credentials,
  audiences,
  campaigns,
  breakers
}: WhyNotParts) {
  const caps = capModel(db).collection
  const reentries = reentryModel(db).collection

  async function audienceGate({ campaign, account }: Wish, person: Person): Promise<GateView> {
    if (campaign === null || campaign.audienceId === null) return passed('audience', 'everybody')
    const source: AudienceSource | null = await orNull(audiences.sourceOf(campaign.audienceId))
    if (source === null) return shut('audience', 'the audience is gone')
    const inside = (await audiences.among(source, account, [person.id])).has(person.id)
    return inside ? passed('audience') : shut('audience', 'not in the audience now')
  }

  async function reentryGate({ campaign }: Wish, recipient: Recipient | null): Promise<GateView | null> {
    const trigger = campaign?.trigger
    if (campaign == null || (trigger?.kind !== 'event' && trigger?.kind !== 'notFollowed')) return null
    if (trigger.reentry === 'each' || recipient === null) return passed('reentry')
    // by an event that is none of those before
    const { filter } = reentryUpdate(`${campaign._id}:${recipient.id}`, trigger.reentry, '', clock.now())
    const last = await reentries.findOne({ _id: filter._id as never })
    if (last === null || (await reentries.findOne(filter as never)) !== null) return passed('reentry')
    return shut('reentry', `taken in at ${(last.at as Date).toISOString()}`)
  }

  /** Of an event's message only the event tells the content. */
  function contentGate({ campaign }: Wish, person: Person): GateView | null {
    if (campaign == null || campaign.template === null) return null
    if (campaign.trigger.kind !== 'once' && campaign.trigger.kind !== 'recurring') return null
    const compose = campaigns.composers.of(`campaign ${campaign._id} ${campaign.rev}`, snapshotOf(campaign, null))
    const { skip } = compose(person)
    return skip === undefined
      ? passed('content')
      : shut('content', [skip.reason, skip.detail].filter(Boolean).join(': '))
  }

  /** The gates of a leased row, each asked with everything else in order. */
  async function rowGates(
    wish: Wish,
    row: MessageRow,
    person: Person,
    recipient: Recipient | null
  ): Promise<GateView[]> {
    const { account } = wish
    const now = clock.now()
    const calm: GateFacts = {
      now,
      run: 'online',
      accountPaused: false,
      optedOut: false,
      reach: 'ok',
      follower: true,
      waitStopped: false,
      sensitive: null,
      held: null,
      quiet: null,
      zone: zoneOf(person.attributes.zone, account.zone),
      rightDiesAt: null
    }
    const ask = (name: GateName, facts: Partial<GateFacts>, why: string) =>
      viewOf(name, gate(row, { ...calm, ...facts }), why)
    const optedOut = (await people.optedOut([person.id], wish.topic)).has(person.id)
    const views = [ask('optedOut', { optedOut }, person.optedOut ? 'wants no messages' : 'wants none of this topic')]
    if (recipient !== null) {
      views.push(ask('suppressed', { reach: recipient.reach }, `${recipient.reach} since ${iso(recipient.reachAt)}`))
      const { follower } = recipient
      if (row.channel === 'service') views.push(ask('follower', { follower }, 'does not follow the account'))
    }
    const broken = account.state === 'disabled'
    const halted = ask('account', { accountPaused: account.paused }, 'paused')
    views.push(broken ? shut('account', account.disabledReason ?? 'disabled') : halted)
    const guard = guardsOf(await breakers.standing(account.id), row)[0]
    const guarded = guard && { until: guard.until ?? now, waitingFor: 'breaker' as const }
    views.push(ask('breaker', { held: guarded ?? null }, `${guard?._id} is ${guard?.state}`))
    const place = { recipientId: row.recipientId ?? '', channel: row.channel, templateId: row.templateId }
    const ends = recipient === null ? null : (await credentials.lastExpiry(account.id, [place])).get(recipient.id)
    views.push(ask('quietHours', { quiet: account.quietHours, rightDiesAt: ends ?? null }, 'quiet hours'))
    return views
  }

  async function rightGates(wish: Wish, row: MessageRow, recipient: Recipient | null): Promise<GateView[]> {
    const { account } = wish
    const now = clock.now()
    if (recipient === null) return [shut('credential', 'this account does not know the person')]
    if (!needsCredential(account, row)) {
      return [passed('credential', 'a follower needs none'), await capGate(wish, row, recipient, null)]
    }
    const want = { channel: row.channel, templateId: row.templateId, without: sourcesOff(account) }
    const live = await credentials.rows
      .find({ accountId: account.id, recipientId: recipient.id, state: 'live' })
      .toArray()
    const usable = live.sort(inOrder).filter((each) => fits(each, want, now) && (each.unlimited || each.sendsLeft > 0))
    const [first] = usable
    const kept = leaveOf(account, row)
    const isKept = kept > 0 && sendsOf(usable, want, now) - 1 < kept
    if (first === undefined)
      return [shut('credential', laterOf(live, want, now)), await capGate(wish, row, recipient, null)]
    const named = `${first.source} ${first._id}, until ${iso(first.expiresAt)}`
    const view = isKept ? shut('credential', `${kept} kept for transactional messages`) : passed('credential', named)
    return [view, await capGate(wish, row, recipient, first)]
  }

  /** The person's day, and the right's own where its source has a daily limit. */
  async function capGate(
    { account }: Wish,
    row: MessageRow,
    recipient: Recipient,
    right: CredentialRow | null
  ): Promise<GateView> {
    const now = clock.now()
    const taken = async (key: string) =>
      ((await caps.findOne({ _id: key as never }))?.d as string[] | undefined)?.length ?? 0
    const limit = capOf(account, row)
    const today = await taken(capKey(account.id, recipient.id, now))
    if (limit !== null && today >= limit) return shut('cap', `${today} of ${limit} today`)
    const perDay = right === null ? null : perDayOf(right.source, account.sources)
    if (right !== null && perDay !== null) {
      const used = await taken(windowKey(right._id, now))
      if (used >= perDay) return shut('cap', `${used} of ${perDay} today by this ${right.source}`)
    }
    return passed('cap', limit === null ? `${today} today` : `${today} of ${limit} today`)
  }

  function interfaceGate({ account }: Wish, channel: MessageRow['channel']): GateView {
    const { punished } = account
    if (punished !== null && shuts(punished, channel)) {
      return shut('interface', `WeChat punishes the account until ${iso(punished.blockedUntil!)}: ${punished.note}`)
    }
    const block = account.blocked[channel]
    if (block === undefined || block.until <= clock.now()) return passed('interface')
    return shut('interface', `shut by WeChat until ${iso(block.until)}`)
  }

  return {
    /** Every gate in the sender's order. Without the template what hangs on it cannot be asked and is left out. */
    async ask(person: Person, wish: Wish): Promise<GateView[]> {
      const { account, campaign, templateId } = wish
      const recipient = (await people.recipientsOf(account.id, [person.id])).get(person.id) ?? null
      const template: Template | null = await orNull(templates.get(account.id, templateId))
      const views: (GateView | null)[] = []
      if (campaign !== null) {
        const { state, stateReason } = campaign
        const said = [state, stateReason].filter((each) => each !== null).join(': ')
        views.push(state === 'online' ? passed('campaign') : shut('campaign', said), await audienceGate(wish, person))
      }
      views.push(recipient === null ? shut('recipient', 'this account does not know the person') : passed('recipient'))
      views.push(await reentryGate(wish, recipient), contentGate(wish, person))
      views.push(template?.state === 'live' ? passed('template') : shut('template', 'the account has no such template'))
      if (template === null) return views.filter((each) => each !== null)
      const now = clock.now()
      const row = rowOf(
        {
          id: '',
          accountId: account.id,
          recipientId: recipient?.id ?? null,
          personId: person.id,
          runId: null,
          campaignId: campaign?._id ?? null,
          lane: wish.lane,
          channel: template.kind,
          templateId,
          data: {},
          open: null,
          dueAt: now,
          notAfter: new Date(now.getTime() + (campaign === null ? MESSAGE_LIFE_MS : lifeOf(campaign))),
          waitForCredential: campaign?.waitForCredential ?? false,
          topic: wish.topic,
          ...(campaign?.caps !== undefined && { capLimit: campaign.caps.perPersonPerDay })
        },
        now
      )
      views.push(...(await rowGates(wish, row, person, recipient)), ...(await rightGates(wish, row, recipient)))
      views.push(interfaceGate(wish, template.kind))
      return views.filter((each) => each !== null)
    }
  }
}
export type WhyNot = ReturnType<typeof createWhyNot>

const passed = (name: GateName, detail: string | null = null): GateView => ({ gate: name, pass: true, detail })
const shut = (name: GateName, detail: string): GateView => ({ gate: name, pass: false, detail })
const iso = (at: Date) => at.toISOString()

/** What the sender would do, in words. */
function viewOf(name: GateName, decided: Gate, why: string): GateView {
  if ('go' in decided) return passed(name)
  if ('delay' in decided && decided.waitingFor === 'quietHours') return shut(name, `${why} until ${iso(decided.delay)}`)
  if ('stop' in decided && decided.stop === 'skipped' && decided.detail !== undefined && name === 'quietHours') {
    return shut(name, `${why}: ${decided.detail}`)
  }
  return shut(name, why)
}

/** There is no right: none at all, or one that cannot be used yet. */
function laterOf(live: CredentialRow[], want: Parameters<typeof fits>[1], now: Date): string {
  const coming = live.filter((row) => row.notBefore > now && fits(row, want, row.notBefore)).map((row) => row.notBefore)
  if (coming.length === 0) return 'no right to send that fits'
  return `a right can be used from ${iso(new Date(Math.min(...coming.map(Number))))}`
}

async function orNull<T>(asked: Promise<T>): Promise<T | null> {
  try {
    return await asked
  } catch (error) {
    if (error instanceof NotFound) return null
    throw error
  }
}

import type { z } from 'zod'
import type { DryRunResult } from '../../shared/campaign.js'
import type { Account, Accounts } from '../accounts/accounts.js'
import type { Audiences, AudienceSource } from '../audiences/audiences.js'
import type { Breakers } from '../breakers/breakers.js'
import type { Credentials } from '../credentials/credentials.js'
import type { CapRow } from '../messages/model.js'
import type { Collection } from 'mongodb'
import { capKey, capOf } from '../messages/caps.js'
import { gate } from '../messages/gates.js'
import { heldOf } from '../messages/guarding.js'
import { rowOf } from '../messages/plan.js'
import { zoneOf } from '../messages/quiet-hours.js'
import { leaveOf, needsCredential, sensitiveIn, sourcesOff } from '../messages/prepare.js'
import type { People, Person, Recipient } from '../people/people.js'
import type { Clock } from '../platform/clock.js'
import type { Composed, Composer, Snapshot } from './compose.js'
import type { WordLists } from '../words/words.js'
import type { CampaignRow } from './model.js'
import { lifeOf } from './schedule.js'

type Result = z.infer<typeof DryRunResult>
type Would = { state: keyof Result['byState']; reason: string | null; detail?: string | undefined }

const BATCH = 1_000
const SAMPLES = 20

/** Everybody; of whom those count that the account knows: whom an event trigger without an audience serves. */
export const EVERYBODY: AudienceSource = { rule: { all: [] } }

export type DryRunParts = {
  clock: Clock
  accounts: Accounts
  people: People
  audiences: Audiences
  credentials: Credentials
  dayCaps: Pick<Collection<CapRow>, 'find'>
  breakers?: Pick<Breakers, 'standing'>
  words?: Pick<WordLists, 'finders'>
}

/** The limit a person and day that stops this campaign's messages; null: none. */
export const capLimitOf = (account: Account, { lane, caps }: Pick<CampaignRow, 'lane' | 'caps'>): number | null =>
  capOf(account, { lane, ...(caps !== undefined && { capLimit: caps.perPersonPerDay }) })

/** One walk over an audience with everything a run would look at, which takes nothing and keeps only sums. */
export function createDryRun({ clock, people, audiences, credentials, dayCaps, breakers, words }: DryRunParts) {
  /** Whom the person's day is full for. */
  async function capped(account: Account, campaign: CampaignRow, recipientIds: string[], now: Date) {
    const limit = capLimitOf(account, campaign)
    if (limit === null) return new Set<string>()
    const keys = new Map(recipientIds.map((id) => [capKey(account.id, id, now), id]))
    const full = { _id: { $in: [...keys.keys()] }, [`d.${limit - 1}`]: { $exists: true } }
    const rows = await dayCaps.find(full, { projection: { _id: 1 } }).toArray()
    return new Set(rows.map((row) => keys.get(row._id)!))
  }

  async function judge(
    personIds: string[],
    trial: { campaign: CampaignRow; account: Account; snapshot: Snapshot; compose: Composer },
    event: Record<string, unknown> | undefined,
    onlyKnown: boolean
  ): Promise<{ personId: string; would: Would; problems: Composed['problems'] }[]> {
    const { campaign, account, snapshot, compose } = trial
    const now = clock.now()
    const channel = snapshot.template.kind
    const [recipients, persons, optedOut] = await Promise.all([
      people.recipientsOf(account.id, personIds),
      people.persons(personIds),
      people.optedOut(personIds, snapshot.topic)
    ])
    const leave = leaveOf(account, campaign)
    const places = [...recipients.values()].map(({ id }) => ({
      recipientId: id,
      channel,
      templateId: campaign.templateId,
      leave
    }))
    const needed = needsCredential(account, { channel, lane: campaign.lane, test: false })
    const [rights, dying, full] = await Promise.all([
      needed ? credentials.reachableAny(account.id, places, sourcesOff(account)) : [],
      account.quietHours === null ? new Map<string, Date>() : credentials.lastExpiry(account.id, places),
      capped(
        account,
        campaign,
        places.map((place) => place.recipientId),
        now
      )
    ])
    const right = new Set(rights)
    const standing = (await breakers?.standing(account.id)) ?? []
    const sensitive = (await words?.finders())?.sensitive

    function would(person: Person, recipient: Recipient | null, { skip, stop, data, open }: Composed): Would {
      if (recipient === null) return { state: 'skipped', reason: 'notInAccount' }
      if (stop !== null) return { state: 'stopped', reason: skip?.reason ?? null, detail: stop }
      if (skip !== undefined) return { state: 'skipped', reason: skip.reason, detail: skip.detail }
      const row = rowOf(
        {
          id: person.id,
          accountId: account.id,
          recipientId: recipient.id,
          personId: person.id,
          runId: null,
          campaignId: campaign._id,
          lane: campaign.lane,
          channel,
          templateId: campaign.templateId,
          data,
          open,
          dueAt: now,
          notAfter: new Date(now.getTime() + lifeOf(campaign)),
          waitForCredential: snapshot.waitForCredential
        },
        now
      )
      const decided = gate(row, {
        now,
        run: 'online',
        accountPaused: account.paused,
        optedOut: optedOut.has(person.id),
        reach: recipient.reach,
        follower: recipient.follower,
        waitStopped: false,
        sensitive: sensitive === undefined ? null : sensitiveIn(sensitive, data),
        held: heldOf(account, row, standing, new Map()),
        quiet: account.quietHours,
        zone: zoneOf(person.attributes.zone, account.zone),
        rightDiesAt: dying.get(recipient.id) ?? null
      })
      if ('stop' in decided) {
        if (decided.stop === 'expired') return { state: 'expired', reason: null }
        return { state: 'skipped', reason: decided.reason, detail: decided.detail }
      }
      if ('delay' in decided) return { state: 'waiting', reason: account.paused ? 'paused' : decided.waitingFor }
      if (needed && !right.has(recipient.id)) {
        return snapshot.waitForCredential
          ? { state: 'waiting', reason: 'credential' }
          : { state: 'skipped', reason: 'noCredential' }
      }
      return full.has(recipient.id) ? { state: 'skipped', reason: 'capped' } : { state: 'sent', reason: null }
    }

    return personIds.flatMap((personId) => {
      const person = persons.get(personId)
      const recipient = recipients.get(personId) ?? null
      if (person === undefined || (recipient === null && onlyKnown)) return []
      const composed = compose(person, event)
      return [{ personId, would: would(person, recipient, composed), problems: composed.problems }]
    })
  }

  /** @throws Error('stopping') when `signal` says so: nothing was kept, and the next try begins anew */
  return async function dryRun(
    trial: { campaign: CampaignRow; account: Account; snapshot: Snapshot; compose: Composer },
    {
      event,
      progress,
      signal
    }: {
      event: Record<string, unknown> | undefined
      progress: (done: number) => Promise<void>
      signal?: AbortSignal | undefined
    }
  ): Promise<Omit<Result, 'revision'>> {
    const { account, snapshot } = trial
    const startedAt = clock.now()
    const result: Omit<Result, 'revision'> = {
      startedAt,
      total: 0,
      byState: { sent: 0, waiting: 0, skipped: 0, expired: 0, stopped: 0 },
      byReason: {},
      samples: [],
      rendering: []
    }
    for (let after: string | null = null; ;) {
      if (signal?.aborted === true) throw new Error('stopping')
      const source = snapshot.source ?? EVERYBODY
      const page: Awaited<ReturnType<Audiences['stream']>> = await audiences.stream(source, account, {
        after,
        limit: BATCH,
        createdBefore: startedAt
      })
      for (const each of await judge(
        page.persons.map(({ id }) => id),
        trial,
        event,
        snapshot.source === null
      ))
        add(result, each)
      await progress(result.total)
      if (page.next === null) return result
      after = page.next
    }
  }
}

function add(
  result: Omit<Result, 'revision'>,
  { personId, would, problems }: { personId: string; would: Would; problems: Composed['problems'] }
): void {
  const { state, reason, detail } = would
  result.total += 1
  result.byState[state] += 1
  if (reason !== null) result.byReason[reason] = (result.byReason[reason] ?? 0) + 1
  let group = result.samples.find((each) => each.state === state && each.reason === reason)
  if (group === undefined) result.samples.push((group = { state, reason, people: [] }))
  if (group.people.length < SAMPLES) group.people.push({ personId, detail: detail ?? null })
  for (const { field, reason: why, rule } of problems) {
    const code = rule ?? why
    const known = result.rendering.find((each) => each.field === field && each.problem === code)
    if (known === undefined) result.rendering.push({ field, problem: code, people: 1 })
    else known.people += 1
  }
}

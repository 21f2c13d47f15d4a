import type { Account } from '../accounts/accounts.js'
import { shuts, sourcesShut } from '../accounts/penalty.js'
import { guardsOf, type Standing } from '../breakers/standing.js'
import type { Source } from '../../shared/credential.js'
import type { MessageRow } from './model.js'
import type { Ready } from './ready.js'

/** Why a message waits though it could be sent, and until when at the latest. */
export type Held = { until: Date; waitingFor: 'penalty' | 'breaker' }

/** The part of the breakers room the senders need. */
export type Guards = {
  /** Breakers of the account that are not closed; at most a second old. */
  standing(accountId: string): Promise<Standing>
  /** As `standing`, without asking. */
  isSuspect(accountId: string, templateId: string): boolean
  /** Takes up to `k` of a try's messages; says how many may go. */
  probes(id: string, k: number): Promise<number>
}

/** Where nobody guards. */
export const NO_GUARDS: Guards = { standing: async () => [], isSuspect: () => false, probes: async (_id, k) => k }

/** Longer than a breaker's own rest, so that those it lets try are called, and the others stay where they are. */
const BEYOND_REST_MS = 10 * 60_000
/** Messages woken, and let pass the gate, for each one a try takes: many may have no right, or be stopped elsewhere. */
export const PER_PROBE = 10

/**
 * What holds this row at its gate: a penalty on its interface, or a breaker. `left` counts down how many of a try may
 * still pass; whether they may really go is asked when they are ready.
 */
export function heldOf(
  account: Pick<Account, 'punished'>,
  row: Pick<MessageRow, 'state' | 'channel' | 'templateId' | 'lane' | 'campaignId' | 'test'>,
  standing: Standing,
  left: Map<string, number>
): Held | null {
  if (shuts(account.punished, row.channel)) return { until: account.punished!.blockedUntil!, waitingFor: 'penalty' }
  // what may be out already is finished
  const guards = row.state === 'sending' ? [] : guardsOf(standing, row)
  const passing = (each: Standing[number]) => left.get(each._id) ?? each.probesLeft * PER_PROBE
  const shut = guards.find((each) => each.state === 'open' || passing(each) <= 0)
  if (shut !== undefined) {
    const beyond = shut.state === 'open' ? BEYOND_REST_MS : 0
    return { until: new Date(shut.until!.getTime() + beyond), waitingFor: 'breaker' }
  }
  for (const each of guards) left.set(each._id, passing(each) - 1)
  return null
}

/** Does a penalty that came meanwhile hold a message that is about to go, its right in hand? */
export function isPunished(
  { punished }: Pick<Account, 'punished'>,
  { row, hold }: Pick<Ready, 'row' | 'hold'>
): boolean {
  if (punished === null) return false
  return shuts(punished, row.channel) || (sourcesShut(punished) as (Source | 'none')[]).includes(hold.source)
}

/**
 * Of messages that only lack their slot, those a try takes. `turnAway` is told of the others. What may be out already
 * is finished in any case.
 */
export async function takeProbes(
  guards: Pick<Guards, 'probes'>,
  standing: Standing,
  ready: Ready[],
  turnAway: (item: Ready, held: Held) => void
): Promise<Ready[]> {
  const away = new Set<Ready>()
  for (const each of standing) {
    if (each.state !== 'halfOpen') continue
    const tries = ready.filter((item) => !away.has(item) && !item.doubt && guardsOf([each], item.row).length > 0)
    if (tries.length === 0) continue
    const granted = await guards.probes(each._id, tries.length)
    for (const item of tries.slice(granted)) {
      away.add(item)
      turnAway(item, { until: each.until!, waitingFor: 'breaker' })
    }
  }
  return away.size === 0 ? ready : ready.filter((item) => !away.has(item))
}

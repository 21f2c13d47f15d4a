import { seeded } from './random.js'

/** One thing a person does that may give a right to send. */
export type Act = {
  kind: 'form' | 'payment' | 'grant'
  /** false: the payment is cancelled, the request declined. */
  yes: boolean
  /** The same form's id handed in twice, as a double tap does. */
  again: boolean
  /** Which copy of the library in the app catches it. */
  copy: number
  /** How long after what came before. */
  waitMs: number
}

/** How an app ends: at some moment, or just before or after its n-th storage write; null: when the person leaves. */
export type Doom = { at: 'moment'; ms: number } | { at: 'beforeWrite' | 'afterWrite'; n: number } | null

export type Visit = {
  doom: Doom
  acts: Act[]
  /** Without a network until all acts are done. */
  offline: boolean
  /** By how much the phone's clock is set in this visit. */
  clockMs: number
  /** Leaves by way of the background, where a mini-program still has a moment. */
  hides: boolean
  /** How long the person stays after the last act, and then is away. */
  staysMs: number
  awayMs: number
}

/** A phone's story, known beforehand; only what the network does to it is not in it. */
export type Plan = {
  /** How many copies of the library its app carries; uni-app makes two. */
  copies: number
  /** A small outbox, in which the oldest have to go; null: the usual one. */
  outboxSize: number | null
  /** How wrong the phone's clock is from the start. */
  clockMs: number
  tracks: boolean
  visits: Visit[]
  /** How the starts after the last visit end, while something waits to be handed in; then one that stays open. */
  returns: Doom[]
}

const HOUR_MS = 3_600_000
const DAY_MS = 24 * HOUR_MS

/**
 * The same seed and index give the same story. Clocks go back by up to a year, but forward by a day at most: catches age
 * by the phone's own clock, and one that is set forward by a week between catch and hand-in ages a form to death.
 */
export function planOf(seed: number, index: number): Plan {
  const chance = seeded(seed * 100_003 + index)
  const below = (most: number) => Math.floor(chance() * most)
  const copies = chance() < 0.1 ? 2 : 1
  const hoards = chance() < 0.05
  const plan: Plan = {
    copies,
    outboxSize: hoards ? 4 : null,
    clockMs: chance() < 0.2 ? (chance() - 0.5) * 10 * 365 * DAY_MS : 0,
    tracks: chance() < 0.05,
    visits: [],
    returns: []
  }
  const doomOf = (likely: number): Doom => {
    if (chance() >= likely) return null
    if (chance() < 0.4) return { at: 'moment', ms: below(30_000) }
    return { at: chance() < 0.5 ? 'beforeWrite' : 'afterWrite', n: 1 + below(10) }
  }
  const actOf = (): Act => {
    const roll = chance()
    const kind = roll < 0.6 ? 'form' : roll < 0.8 ? 'payment' : 'grant'
    return {
      kind,
      yes: kind === 'form' || chance() < 0.85,
      again: kind === 'form' && !hoards && chance() < 0.1,
      copy: below(copies),
      waitMs: chance() < 0.3 ? below(15_000) : below(2000)
    }
  }
  for (let visits = 1 + Math.floor(2.5 * chance()); visits > 0; visits--) {
    plan.visits.push({
      doom: doomOf(0.6),
      acts: Array.from({ length: hoards ? 7 : 1 + below(3) }, actOf),
      offline: hoards || chance() < 0.2,
      clockMs: chance() < 0.05 ? (chance() < 0.5 ? chance() * DAY_MS : -chance() * 365 * DAY_MS) : 0,
      hides: chance() < 0.5,
      staysMs: below(20_000),
      awayMs: chance() < 0.2 ? below(6 * HOUR_MS) : below(HOUR_MS / 4)
    })
  }
  for (let doom = doomOf(0.3); doom !== null; doom = doomOf(0.3)) plan.returns.push(doom)
  return plan
}

/** What WeChat has to have ready for this story. */
export const waresOf = ({ visits }: Plan): { forms: number; orders: number } => {
  const kinds = visits.flatMap(({ acts }) => acts.map(({ kind }) => kind))
  return {
    forms: kinds.filter((kind) => kind === 'form').length,
    orders: kinds.filter((kind) => kind === 'payment').length
  }
}

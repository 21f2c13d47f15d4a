import type { Posted } from './outside.js'

const MINUTE = 60_000
const HOUR = 60 * MINUTE
/** The waits after the first, second … attempt, ms; the last one repeats. */
const WAITS = [5_000, 30_000, 2 * MINUTE, 10 * MINUTE, 30 * MINUTE, HOUR, 2 * HOUR, 4 * HOUR, 5 * HOUR]
/** How long a delivery is tried, ms. */
export const GIVE_UP_MS = 24 * HOUR
/** Nothing arrived for so long and so many turns: the webhook is switched off. Less than a day, so that one piece of news can tell. */
const DEAD_MS = 20 * HOUR
const DEAD_TURNS = 5
/** From so many turns in vain on, the whole webhook rests between turns. */
const PATIENCE = 3
const LONGEST_REST_MS = 10 * MINUTE

/** `gone`: the address says that it wants nothing any more (410). */
export type Outcome = { ok: true } | { ok: false; error: string; gone: boolean }

/** Did it arrive? Redirects are answers like any other that is not 2xx; a robot of WeCom says in its body whether it took it. */
export function outcomeOf(posted: Posted, format: 'standard' | 'wecom'): Outcome {
  const { status, error, text } = posted
  if (status === null) return { ok: false, error: error ?? 'no answer', gone: false }
  if (status >= 300 && status < 400) return { ok: false, error: 'a redirect, which is not followed', gone: false }
  if (status < 200 || status >= 300) return { ok: false, error: `HTTP ${status}`, gone: status === 410 }
  if (format === 'standard') return { ok: true }
  const errcode = errcodeIn(text)
  if (errcode === 0) return { ok: true }
  return { ok: false, error: errcode === null ? 'not the answer of a robot' : `errcode ${errcode}`, gone: false }
}

function errcodeIn(text: string): number | null {
  try {
    const { errcode } = JSON.parse(text) as { errcode?: unknown }
    return typeof errcode === 'number' ? errcode : null
  } catch {
    return null
  }
}

/** When to try again after attempt `n` (from 1), ± 20 % by `chance` (0–1); null: not any more. */
export function nextTry(
  n: number,
  { now, giveUpAt, askedMs, chance }: { now: Date; giveUpAt: Date; askedMs: number | null; chance: number }
): Date | null {
  const usual = WAITS[Math.min(n, WAITS.length) - 1]! * (0.8 + 0.4 * chance)
  const at = new Date(now.getTime() + Math.round(Math.max(usual, askedMs ?? 0)))
  return at < giveUpAt ? at : null
}

/** How long a webhook is left alone after `failures` turns in vain, ms. */
export function restAfter(failures: number, askedMs: number | null): number {
  const own = failures < PATIENCE ? 0 : Math.min(LONGEST_REST_MS, 10_000 * 2 ** Math.min(failures - PATIENCE, 20))
  return Math.max(own, askedMs ?? 0)
}

/** Deliveries of one turn: with a webhook in trouble one is enough to find out. */
export const turnSize = (failures: number, usual: number): number => (failures >= PATIENCE ? 1 : usual)

/** Has nothing arrived for so long that nobody can be there? */
export function isDead({ failures, failingSince }: { failures: number; failingSince?: Date }, now: Date): boolean {
  if (failingSince === undefined) return false
  return failures >= DEAD_TURNS && now.getTime() - failingSince.getTime() >= DEAD_MS
}

import type { Interface } from '../../shared/account.js'
import type { Source } from '../../shared/credential.js'
import { DAY_MS, NEVER } from '../../shared/limits.js'
import type { Penalty, PenaltyApi } from '../../shared/penalty.js'

/** How long WeChat shuts an interface, by offence: the second 7 days, the third 30, the fourth for good (the audit rules of 2018). */
const LADDER_DAYS: Readonly<Record<number, number>> = { 2: 7, 3: 30 }
/** The first offence costs the template; what shuts an interface is a later one. */
const FIRST_THAT_SHUTS = 2

type Meaning = {
  /** null: that of the interface that was called. */
  api: PenaltyApi | null
  /** ladder: by the offence's number; day: tried again daily; noted: one right is shut, not the account. */
  lasts: 'ladder' | 'day' | 'noted'
}

/** Answers that say "you are being punished" (WeChat's list of global return codes). */
const PUNISHING: Readonly<Record<number, Meaning>> = {
  41031: { api: 'form', lasts: 'noted' },
  41032: { api: 'form', lasts: 'ladder' },
  41034: { api: 'form', lasts: 'ladder' },
  41035: { api: 'payment', lasts: 'ladder' },
  43106: { api: 'management', lasts: 'ladder' },
  45102: { api: null, lasts: 'day' },
  48004: { api: null, lasts: 'ladder' }
}

/** What a code says is punished, when `called` was called; null when it says nothing of the kind. */
export function punishedBy(code: number, called: Interface): PenaltyApi | null {
  const meaning = PUNISHING[code]
  return meaning === undefined ? null : (meaning.api ?? called)
}

/** The penalty that holds something at `now`, or null. */
export function standingPenalty(penalty: Penalty | null, now: Date): Penalty | null {
  return penalty?.blockedUntil != null && penalty.blockedUntil > now ? penalty : null
}

/**
 * The penalty after an answer `code` to a call of `called`; the same object when the answer tells nothing new. One that
 * stands is one offence, however many messages meet it.
 */
export function afterAnswer(seen: Penalty | null, code: number, called: Interface, now: Date): Penalty | null {
  const meaning = PUNISHING[code]
  if (meaning === undefined) return seen
  const api = meaning.api ?? called
  const said = `WeChat answered ${code} (${api}) at ${now.toISOString()}`
  if (meaning.lasts === 'noted') return seen ?? { offences: 0, blockedUntil: null, api, note: said }
  const standing = standingPenalty(seen, now)
  if (standing !== null && covers(standing.api, api)) return seen
  const before = seen?.offences ?? 0
  if (meaning.lasts === 'day') {
    const until = new Date(now.getTime() + DAY_MS)
    return widened(standing, { offences: before, blockedUntil: until, api, note: said })
  }
  const offences = Math.max(standing === null ? before + 1 : before, FIRST_THAT_SHUTS)
  const days = LADDER_DAYS[offences]
  const blockedUntil = days === undefined ? NEVER : new Date(now.getTime() + days * DAY_MS)
  return widened(standing, { offences, blockedUntil, api, note: said })
}

/** Sources whose rights are of no use while it stands. */
export function sourcesShut(standing: Penalty | null): Source[] {
  return standing?.api === 'form' || standing?.api === 'payment' ? [standing.api] : []
}

/** Does it hold everything of this interface? */
export function shuts(standing: Penalty | null, called: Interface): boolean {
  if (standing === null) return false
  // what is allowed of templates is another question than what may be sent
  return standing.api === called || (standing.api === 'all' && called !== 'management')
}

function covers(standing: PenaltyApi, api: PenaltyApi): boolean {
  if (standing === api) return true
  if (api === 'management') return false
  return standing === 'all' || (standing === 'legacy' && (api === 'form' || api === 'payment'))
}

/** One account, one penalty: what two of them hold together. */
function widened(standing: Penalty | null, fresh: Penalty): Penalty {
  if (standing === null) return fresh
  const until = standing.blockedUntil! > fresh.blockedUntil! ? standing.blockedUntil : fresh.blockedUntil
  const note = `${standing.note}; ${fresh.note}`.slice(-500)
  return { offences: fresh.offences, blockedUntil: until, api: together(standing.api, fresh.api), note }
}

function together(one: PenaltyApi, other: PenaltyApi): PenaltyApi {
  if (covers(one, other)) return one
  if (covers(other, one)) return other
  // that nothing may be sent weighs more than that no template may be added
  if (one === 'management') return other
  if (other === 'management') return one
  const legacy = (api: PenaltyApi) => api === 'form' || api === 'payment' || api === 'legacy'
  return legacy(one) && legacy(other) ? 'legacy' : 'all'
}

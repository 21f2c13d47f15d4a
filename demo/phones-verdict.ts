import { masked, type Finding, type Verdict } from './verify.js'

/** One right a phone caught; handed in more than once, it has several places. */
export type PhoneRight = { kind: 'form' | 'payment' | 'grant'; value: string | null; places: string[] }

/** What one phone says of itself at the end of its story. */
export type PhoneRecord = {
  index: number
  openid: string
  rights: PhoneRight[]
  /** Taps in the middle of which the app was killed, before anything was written. */
  cutShort: number
  /** Starts after the first. */
  restarts: number
  /** Catches still waiting in its outbox. */
  queued: number
  /** Catches given up on purpose, by kind, as the library counted them. */
  dropped: Readonly<Record<string, number>>
  /** From the first start to the last, in its own time. */
  livedMs: number
}

/** A right as the server keeps it: `place` is unique to one tap of one phone here. */
export type KeptRight = {
  id: string
  openid: string | null
  source: string
  place: string | null
  value: string
  sendsLeft: number
}

/** `caught` rights = `stored` + `dropped` + lost + those among the `queued` items. */
export type PhonesVerdict = Verdict & { caught: number; stored: number; queued: number; dropped: number }

/** What `--json` prints of a story of phones. */
export type PhonesFacts = {
  phones: number
  caught: number
  stored: number
  lost: number
  double: number
  disagreements: number
  /** Rights a full outbox gave up, and counted. */
  dropped: number
  /** Items still waiting on phones; none may. */
  queued: number
  restarts: number
  cutShort: number
  requests: number
  failedShare: number
  mishaps: Record<string, number>
  hoursLived: number
}

const SENDS = { form: 1, payment: 3, grant: 1 }

/**
 * Lays what phones really caught beside what the server keeps. Lost: caught, not kept, and neither dropped with a count
 * nor still waiting on the phone. Double: one catch kept as two rights. Disagreement: a right of somebody else, worth
 * another number of sends, or of a tap nobody made; and a phone that could not hand in what it has. Pure.
 */
export function judgePhones(phones: readonly PhoneRecord[], kept: readonly KeptRight[]): PhonesVerdict {
  const findings: Finding[] = []
  const find = (kind: Finding['kind'], text: string) => void findings.push({ kind, text })
  const byPlace = new Map<string, KeptRight[]>()
  for (const row of kept) byPlace.set(row.place ?? '', [...(byPlace.get(row.place ?? '') ?? []), row])
  const sums = { caught: 0, stored: 0, queued: 0, dropped: 0 }

  for (const { index, openid, rights, queued, dropped } of phones) {
    const missing: Record<string, PhoneRight[]> = {}
    for (const right of rights) {
      const rows = right.places.flatMap((place) => byPlace.get(place) ?? [])
      for (const place of right.places) byPlace.delete(place)
      if (rows.length === 0) (missing[right.kind] ??= []).push(right)
      else sums.stored += 1
      for (const row of rows.slice(1)) find('double', `${nameOf(right)} is kept a second time as ${row.id}`)
      for (const row of rows) {
        const wrong = faultOf(row, right, openid)
        if (wrong !== null) find('disagreement', `${nameOf(right)} is kept as ${row.id}, ${wrong}`)
      }
    }
    sums.caught += rights.length
    sums.queued += queued
    if (queued > 0) find('disagreement', `phone ${index} still has ${queued} waiting`)
    // What waits or was dropped is known by number only: it excuses as many as it counts, and no more.
    const unexcused = Object.entries(missing).flatMap(([kind, list]) => list.slice(dropped[kind] ?? 0))
    sums.dropped += Object.values(missing).flat().length - unexcused.length
    for (const right of unexcused.slice(queued)) find('lost', `phone ${index} caught ${nameOf(right)}; it is nowhere`)
  }
  for (const row of [...byPlace.values()].flat()) {
    find('disagreement', `${row.source} ${row.id} at "${row.place}" is kept, and no phone caught it`)
  }
  const count = (kind: Finding['kind']) => findings.filter((finding) => finding.kind === kind).length
  return { ...sums, lost: count('lost'), double: count('double'), disagreements: count('disagreement'), findings }
}

const nameOf = ({ kind, value, places }: PhoneRight) => `${kind} ${value ?? ''} at "${places[0]}"`

function faultOf(row: KeptRight, { kind, value }: PhoneRight, openid: string): string | null {
  if (row.openid !== openid) return 'for somebody else'
  if (row.source !== kind) return `as ${row.source}`
  if (value !== null && row.value !== masked(value)) return `with the value ${row.value}`
  return row.sendsLeft === SENDS[kind] ? null : `worth ${row.sendsLeft} sends`
}

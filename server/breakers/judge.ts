import type { AccountView } from '../../shared/account.js'
import { BreakerReason, type BreakerNumbers } from '../../shared/breaker.js'
import { punishedBy } from '../accounts/penalty.js'
import { errcodeRow, type ErrcodeScope } from '../wechat/errcodes.js'

type Settings = AccountView['breaker']
/** What an answer says about the template or the account. */
export type AnswerKind = 'ok' | BreakerReason
/** Answers by minute (ms since 1970), template and kind. */
export type Minutes = Readonly<Record<string, Readonly<Record<string, Partial<Record<AnswerKind, number>>>>>>

export const NO_ANSWERS: BreakerNumbers = { ok: 0, block: 0, refusal: 0, failure: 0, punished: 0, total: 0 }
const KINDS: readonly AnswerKind[] = ['ok', 'block', 'refusal', 'failure', 'punished']
/** The person has shut the door: blocked or left the account (43101 of a service account counts as a refusal). */
const BLOCKS = new Set([43004, 48002, 50005])
const REFUSED = 43101
/** What may be a template's own fault. */
const TRIPPING: readonly BreakerReason[] = ['block', 'refusal', 'failure']
/** So few answers that speak of a penalty may be of single rights. */
const PUNISHED_MIN = 10
/** Trips in a row make it rest longer: twice as long each time, up to 16 times. */
const DOUBLINGS = 4

/** A token is got anew, a busy moment passes; what shuts the account or an interface is held by itself already. */
const SILENT = new Set<ErrcodeScope | undefined>(['token', 'transient', 'account', 'interface'])

/**
 * What an errcode says of the template and the account that sent it; null: nothing (the token, a busy
 * moment, an interface WeChat has shut). Answers of the last kind are not counted at all.
 */
export function kindOf(code: number): AnswerKind | null {
  if (code === 0) return 'ok'
  if (code === REFUSED) return 'refusal'
  if (BLOCKS.has(code)) return 'block'
  // 41031 is about one right
  if (code !== 41031 && punishedBy(code, 'service') !== null) return 'punished'
  return SILENT.has(errcodeRow(code)?.scope) ? null : 'failure'
}

/** The answers since `from`, of one template or of all but `without`. */
export function numbersOf(
  minutes: Minutes,
  from: Date,
  which: { template: string } | { without: ReadonlySet<string> }
): BreakerNumbers {
  const numbers = { ...NO_ANSWERS }
  for (const [minute, templates] of Object.entries(minutes)) {
    if (Number(minute) < from.getTime()) continue
    for (const [template, kinds] of Object.entries(templates)) {
      if ('template' in which ? which.template !== template : which.without.has(template)) continue
      for (const kind of KINDS) {
        numbers[kind] += kinds[kind] ?? 0
      }
    }
  }
  // a receipt takes back an answer that may have left the window meanwhile
  for (const kind of KINDS) numbers[kind] = Math.max(0, numbers[kind])
  numbers.total = KINDS.reduce((sum, kind) => sum + numbers[kind], 0)
  return numbers
}

/** Where the window that ends at `now` begins: whole minutes, the running one included. */
export function windowStart(now: Date, { windowMs }: Pick<Settings, 'windowMs'>): Date {
  return new Date(Math.floor(now.getTime() / 60_000) * 60_000 - windowMs + 60_000)
}

/** Why these answers trip a breaker; null: they do not. `of`: what a penalty stops is the account, never one template. */
export function tripOf(numbers: BreakerNumbers, settings: Settings, of: 'template' | 'account'): BreakerReason | null {
  if (of === 'account' && numbers.punished >= PUNISHED_MIN && tooMany(numbers, 'punished', settings)) return 'punished'
  const least = of === 'template' ? settings.minMessages : settings.minAccountMessages
  return numbers.total < least ? null : worst(numbers, settings, TRIPPING)
}

/**
 * What the answers to a try say: `bad`, `good`, or `wait` for more. `through`: no more are to be waited for. Once so many
 * are bad that the rest cannot make up for them, nobody waits for the rest.
 */
export function probeVerdict(
  numbers: BreakerNumbers,
  settings: Settings,
  through: boolean
): { verdict: 'good' | 'wait' } | { verdict: 'bad'; reason: BreakerReason } {
  const reason = worst({ ...numbers, total: Math.max(numbers.total, settings.probes) }, settings)
  if (reason !== null) return { verdict: 'bad', reason }
  if (numbers.total === 0 || !through) return { verdict: 'wait' }
  const among = worst(numbers, settings)
  return among === null ? { verdict: 'good' } : { verdict: 'bad', reason: among }
}

/** How long a breaker rests after its `trips`-th trip in a row. */
export function restOf(trips: number, { restMs }: Pick<Settings, 'restMs'>): number {
  return restMs * 2 ** Math.min(Math.max(0, trips - 1), DOUBLINGS)
}

/** The kind that is too frequent, the one furthest over its share when several are. */
function worst(
  numbers: BreakerNumbers,
  settings: Settings,
  kinds: readonly BreakerReason[] = BreakerReason.options
): BreakerReason | null {
  const over = kinds
    .filter((kind) => tooMany(numbers, kind, settings))
    .map((kind) => ({ kind, by: numbers[kind] / numbers.total / limitOf(kind, settings) }))
    .sort((a, b) => b.by - a.by)
  return over[0]?.kind ?? null
}

const limitOf = (kind: BreakerReason, { shares }: Settings) => (kind === 'punished' ? shares.failure : shares[kind])

const tooMany = (numbers: BreakerNumbers, kind: BreakerReason, settings: Settings) =>
  numbers[kind] > 0 && numbers[kind] / numbers.total >= limitOf(kind, settings)

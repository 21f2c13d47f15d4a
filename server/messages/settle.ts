import type { Source } from '../../shared/credential.js'
import type { TemplateKind } from '../../shared/template.js'
import type { Release } from '../credentials/letting.js'
import type { WechatResult } from '../wechat/client.js'
import { errcodeRow } from '../wechat/errcodes.js'

/** What was asked, as far as the answer's meaning depends on it. */
export type Asked = {
  channel: TemplateKind
  source: Source | 'none'
  /** A request may have gone out before this one and nobody knows what became of it. */
  doubt: boolean
  /** An earlier attempt was answered -1: a later "used up" proves nothing. */
  minus1: boolean
  /** Nobody else spends this account's formIds. */
  exclusive: boolean
  attempt: number
  /** How long the credential has been live, ms; null when there is none. */
  liveForMs: number | null
  /** This channel's refusals trip the breaker now (43101 in a burst). */
  burst: boolean
}

/** What the room does besides moving the row. */
export type Effect =
  | { kind: 'blockInterface'; until: 'reset' | 'operator' }
  | { kind: 'refreshToken' }
  | { kind: 'unreachable' }
  | { kind: 'penalty'; code: number }
  | { kind: 'shared' }
  | { kind: 'alert'; name: string }

/**
 * Where the row goes. `again`: the same message and hold once more, and with `tell` the follower counts the answer; `next`: planned anew, the hold let go as `release` says.
 */
export type Verdict =
  | { to: 'accepted'; by: 'answer' | 'inferred'; effects: Effect[] }
  | { to: 'again'; afterMs: number; minus1?: boolean; tell?: true; unfirst: boolean; effects: Effect[] }
  | { to: 'reset'; effects: Effect[] }
  | { to: 'doubt'; afterMs: number; effects: Effect[] }
  | { to: 'unknown'; release?: Release; effects: Effect[] }
  | { to: 'next'; release: Release; effects: Effect[] }
  | { to: 'failed'; effects: Effect[] }

export const MAX_ATTEMPTS = 8
const FRESH_PAYMENT_MS = 15 * 60_000
/** WeChat publishes no figure for "too frequent to this person"; others who send wait hours. */
const PERSON_RESTS_MS = 2 * 3_600_000
const TOKEN_CODES = [40001, 42001, 40014]
const AGAIN_CODES = [45011, 43108, -1]
const UNREACHABLE_CODES = [43004, 43101, 48002, 50005]
/** A penalty on the interface that was called. */
const PENALTIES = [45102, 48004]
const PUNISHED: Record<number, Source> = { 41032: 'form', 41034: 'form', 41035: 'payment' }

/** Codes after which a fallback may be tried. */
export const FALLBACK_CODES = [43101, 43004]

/** 1, 2, 4 … s, at most 60, ± 20 % by `chance` (0–1). */
export function backOffMs(attempt: number, chance: number): number {
  return Math.round(Math.min(60_000, 1000 * 2 ** Math.max(0, attempt - 1)) * (0.8 + 0.4 * chance))
}

/**
 * What an answer means for the message and its credential (docs/ledger.md D). Pure; `chance` (0–1) spreads the waits.
 * A verdict never claims more than is known: after doubt, only 0 and the two inferences settle anything.
 */
export function settle(asked: Asked, result: WechatResult, chance: number): Verdict {
  const { doubt, source } = asked
  const oneShot = source === 'payment' || source === 'grant'
  const again = (minus1 = false, effects: Effect[] = []): Verdict =>
    asked.attempt >= MAX_ATTEMPTS
      ? doubt
        ? { to: 'unknown', effects }
        : { to: 'failed', effects }
      : { to: 'again', afterMs: backOffMs(asked.attempt, chance), minus1, unfirst: !doubt, effects }

  if (result.kind === 'notSent' || result.kind === 'refused') return again()
  if (result.kind === 'noAnswer') {
    if (oneShot || source === 'longTermGrant') return { to: 'unknown', effects: [] }
    return { to: 'doubt', afterMs: Math.round(5000 + 10_000 * chance), effects: [] }
  }

  const code = result.errcode
  const alert = (name: string): Effect => ({ kind: 'alert', name })
  if (code === 0) return { to: 'accepted', by: 'answer', effects: [] }
  if (TOKEN_CODES.includes(code)) {
    const verdict = again(false, [{ kind: 'refreshToken' }])
    return verdict.to === 'again' ? { ...verdict, afterMs: 0 } : verdict
  }
  if (AGAIN_CODES.includes(code)) return again(code === -1)
  if (code === 43117) {
    // hours from now no answer would tell any more what became of a request in doubt
    if (doubt) return { to: 'unknown', effects: [] }
    const verdict = again()
    return verdict.to === 'again'
      ? { ...verdict, afterMs: Math.round(PERSON_RESTS_MS * (0.8 + 0.4 * chance)) }
      : verdict
  }
  if (code === 45009) return { to: 'reset', effects: [{ kind: 'blockInterface', until: 'reset' }] }

  if (source === 'form') {
    if (code === 41029) {
      if (!doubt)
        return { to: 'next', release: 'burn', effects: [{ kind: 'shared' }, alert('formIds spent elsewhere')] }
      if (asked.exclusive && !asked.minus1) return { to: 'accepted', by: 'inferred', effects: [] }
      return { to: 'unknown', release: 'burn', effects: [] }
    }
    if (code === 41028 || code === 41031) {
      const effects: Effect[] = code === 41031 ? [{ kind: 'penalty', code }] : []
      // expiry may hide a success: after doubt never take another credential
      return doubt ? { to: 'unknown', release: 'burn', effects } : { to: 'next', release: 'burn', effects }
    }
  }
  if (source === 'payment' && !doubt) {
    if (code === 41028) {
      const fresh = asked.liveForMs !== null && asked.liveForMs < FRESH_PAYMENT_MS
      return { to: 'next', release: fresh ? 'defer' : 'burn', effects: [] }
    }
    if (code === 41029 || code === 41031) return { to: 'next', release: 'burn', effects: [] }
  }
  if (asked.channel === 'subscribe' && code === 43101 && !doubt) {
    if (!asked.burst) return { to: 'next', release: 'burnAll', effects: [] }
    const verdict = again(false, [alert('refusals in a burst')])
    return verdict.to === 'again' ? { ...verdict, tell: true } : verdict
  }
  if (asked.channel === 'service') {
    if (UNREACHABLE_CODES.includes(code)) {
      return doubt
        ? { to: 'unknown', effects: [{ kind: 'unreachable' }] }
        : { to: 'failed', effects: [{ kind: 'unreachable' }] }
    }
    if (code === 40241) return doubt ? { to: 'accepted', by: 'inferred', effects: [] } : { to: 'failed', effects: [] }
  }
  const punished = PUNISHED[code]
  if (punished !== undefined) {
    const effects: Effect[] = [{ kind: 'penalty', code }, alert('source punished')]
    if (doubt) return { to: 'unknown', effects }
    // of any other source the next right would be answered alike, without end
    return source === punished ? { to: 'next', release: 'refund', effects } : { to: 'failed', effects }
  }
  // The token proves the account itself: it is the mini-program of the link that is not linked to it.
  if (code === 40013) return { to: doubt ? 'unknown' : 'failed', effects: [alert('errcode 40013')] }
  const row = errcodeRow(code)
  if (row === undefined) return { to: 'unknown', effects: [alert(`unknown errcode ${code}`)] }
  const effects: Effect[] = PENALTIES.includes(code)
    ? [{ kind: 'penalty', code }, alert(`errcode ${code}`)]
    : row.scope === 'account' || row.scope === 'interface'
      ? [{ kind: 'blockInterface', until: 'operator' }, alert(`errcode ${code}`)]
      : []
  return doubt ? { to: 'unknown', effects } : { to: 'failed', effects }
}

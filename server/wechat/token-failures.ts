import { LimitReached, UpstreamFailure } from '../platform/errors.js'

const STORM = 'wechat.token-storm'

/** Nothing is tried before `until`. `forcesSpent`: the token can be replaced by force no more today. */
export function tokenStorm(accountId: string, until: Date, forcesSpent: boolean): UpstreamFailure {
  const at = until.toISOString()
  const text = forcesSpent
    ? `WeChat refuses this account's token and lets it be replaced no more today; it is asked again at ${at}`
    : `WeChat refuses this account's tokens one after the other; nothing is tried before ${at}`
  return new UpstreamFailure(text, true, {
    code: STORM,
    facts: { accountId, until: at, ...(forcesSpent && { forcesSpent }) }
  })
}

/** Until when an account rests after such a failure, in every process; null: the failure is none of these. */
export function restOf(error: unknown): Date | null {
  if (!(error instanceof UpstreamFailure) || error.code !== STORM) return null
  return new Date(String(error.facts.until))
}

/** There is none to hand out, and nobody to blame: worth trying again. */
export function tokenless(accountId: string | null, text: string): UpstreamFailure {
  return new UpstreamFailure(text, true, { code: 'wechat.no-token', facts: accountId === null ? {} : { accountId } })
}

/** Asked to replace a token that is `restMs` too young for it. */
export function tooFresh(accountId: string, restMs: number): LimitReached {
  const text = 'this token is seconds old: ask WeChat once more with it, and come back if it is still refused'
  return new LimitReached(text, restMs / 1_000, { code: 'tokens.too-fresh', facts: { accountId } })
}

import { randomUUID } from 'node:crypto'
import { setTimeout as wait } from 'node:timers/promises'
import type { Connection } from 'mongoose'
import type { Clock } from '../platform/clock.js'
import { AppError, UpstreamFailure } from '../platform/errors.js'
import { DAY_MS } from '../../shared/limits.js'
import { SHANGHAI_MS } from '../platform/shanghai.js'
import type { WechatAccount } from './account.js'
import type { WechatLog } from './client.js'
import { expectOk } from './expect-ok.js'
import { tokenless, tokenStorm, tooFresh } from './token-failures.js'
import { TOKEN_CALL_MS, type TokenFetcher } from './token-calls.js'
import { createTokenRows, type TokenRow, type TokenRows } from './token-rows.js'

/** A token with its number: hand the number back when WeChat refuses or takes it. */
export type AccessToken = { token: string; gen: number; expiresAt: Date }

/** Hands out access tokens; one process at a time fetches, all others read its row. */
export type TokenCentre = {
  /**
   * The token to use now, from memory in the common case.
   * @throws UpstreamFailure `wechat.token-storm` while the account is blocked; what `expectOk` throws when WeChat gives none
   */
  current(account: WechatAccount): Promise<AccessToken>
  /**
   * WeChat answered 40001, 42001 or 40014 to token number `gen`: the token to go on with. A newer one, fetched only if
   * nobody has yet; but the same once more when it worked within the last minute and was not refused since: WeChat now
   * and then refuses a token that is good. Refused again before it worked, it is replaced.
   * @throws UpstreamFailure `wechat.token-storm` when the newest token was refused twice in a row: the account then
   * rests for 60 s (`facts.until`)
   */
  refused(account: WechatAccount, gen: number): Promise<AccessToken>
  /** WeChat took token number `gen`: ends a row of refusals. Costs nothing; call it for every answer but a refusal. */
  worked(account: WechatAccount, gen: number): void
  /**
   * A new token for another system, fetched only if `failedToken` is still the newest.
   * @throws LimitReached `tokens.too-fresh` when the newest was fetched within the last 30 s: WeChat now and then refuses a
   * token that is good, and who replaces each of them voids what others send with
   */
  refresh(account: WechatAccount, failedToken: string): Promise<AccessToken>
  /** Drops what is kept for an account that was deleted or got another secret. */
  forget(accountId: string): Promise<void>
}

export type TokenCentreParts = {
  clock: Clock
  /** How tokens are got; asked under the lease alone. */
  fetcher: TokenFetcher
  seal: { seal(text: string): string; open(sealed: string): string }
  /** Between 0 and 1; spreads the refreshes of many accounts. */
  random(): number
  sleep?: (ms: number) => Promise<unknown>
  /**
   * Hears once that an account gets no token until somebody repairs something (a wrong secret; 40164 with the address to
   * allow in `facts.ip`), and once, with null, that it gets one (again).
   */
  notice?: (accountId: string, failure: AppError | null) => void
  /**
   * Hears each time an account begins to rest because WeChat refuses its tokens. `forcesSpent`: and lets its stable token be
   * replaced no more today, so that it takes a new one only near the end of the refused one, or tomorrow.
   */
  rests?: (accountId: string, rest: { until: Date; forcesSpent: boolean }) => void
  log?: WechatLog
} & ({ db: Connection } | { rows: TokenRows })

const CALL_WITHIN_MS = 5_000
const LEASE_MS = CALL_WITHIN_MS + TOKEN_CALL_MS + 5_000 // so that a slow answer cannot meet another refresher's
const POLL_MS = 200
const POLLS = 150 // 30 s: longer than one lease
const REREAD_MS = 60_000
const TOO_OLD_MS = 5_000 // a token this close to its end is not handed out
// A stable token is replaced only in its last 5 minutes; a classic one lives on for 5 after being replaced.
const AHEAD_MS = 270_000
const AHEAD_SPREAD_MS = 60_000
const BLOCK_MS = 60_000
const STRIKES_FORGOTTEN_MS = 300_000
const WORKED_LATELY_MS = 60_000 // believing in a token for longer costs one more refused call when it is really void
const FORCE_APART_MS = 30_000 // WeChat: 20 a day, 30 s apart
const FORCES_A_DAY = 19
// The stable call gives another token in the last 5 minutes of one; asked more often all the same, as somebody else may force it.
const STABLE_AHEAD_MS = 300_000
const SPENT_REST_MS = 300_000

type State = {
  known: (AccessToken & { renewAt: number; checkedAt: number }) | null
  work: Promise<AccessToken> | null
  refusing: { gen: number; verdict: Promise<AccessToken> } | null
  /** The newest number WeChat is known to refuse. */
  refusedGen: number
  /** The number that worked last, when, and whether a refusal of it was passed over since. */
  worked: { gen: number; at: number; excused: boolean }
  strikes: number
  struckAt: number
  blockedUntil: number
  /** Does the row say so, too, by now? */
  blockStored: boolean
  /** Is that because no forced refresh is left today? */
  forcesSpent: boolean
  failures: number
  failedUntil: number
  failure: unknown
  /** What was given notice of last: null that tokens are given; undefined nothing yet. */
  noticed: AppError | null | undefined
}

export function createTokenCentre(parts: TokenCentreParts): TokenCentre {
  const { clock, fetcher, seal, random, sleep = wait, log } = parts
  const rows = 'rows' in parts ? parts.rows : createTokenRows(parts.db)
  const states = new Map<string, State>()
  const now = () => clock.now().getTime()

  function stateOf(accountId: string): State {
    let state = states.get(accountId)
    if (state === undefined) {
      state = {
        known: null,
        work: null,
        refusing: null,
        refusedGen: 0,
        worked: { gen: 0, at: 0, excused: false },
        strikes: 0,
        struckAt: 0,
        blockedUntil: 0,
        blockStored: false,
        forcesSpent: false,
        failures: 0,
        failedUntil: 0,
        failure: null,
        noticed: undefined
      }
      states.set(accountId, state)
    }
    return state
  }

  function usable(state: State): AccessToken | null {
    const { known } = state
    if (known === null || known.gen <= state.refusedGen) return null
    return known.expiresAt.getTime() - now() > TOO_OLD_MS ? known : null
  }

  /** Takes over what the row says; a row made anew starts counting at 1, which voids what was known of numbers. */
  function adopt(state: State, row: TokenRow) {
    const token = opened(row)
    if (token === null) return
    if (state.known !== null && row.gen < state.known.gen) {
      state.refusedGen = 0
      state.worked = { gen: 0, at: 0, excused: false }
    }
    const { gen, expiresAt } = row
    state.known = { token, gen, expiresAt, renewAt: row.renewAt.getTime(), checkedAt: now() }
  }

  /** The row's token in clear; null when there is none or the key it was sealed with is gone. */
  function opened(row: TokenRow): string | null {
    if (row.token === null) return null
    try {
      return seal.open(row.token)
    } catch {
      return null
    }
  }

  const storm = (accountId: string, { blockedUntil, forcesSpent }: State) =>
    tokenStorm(accountId, new Date(blockedUntil), forcesSpent)

  async function block(accountId: string, state: State, ms: number, forcesSpent = false): Promise<UpstreamFailure> {
    state.blockedUntil = now() + ms
    state.forcesSpent = forcesSpent
    state.blockStored = false
    const until = new Date(state.blockedUntil)
    await rows.block(accountId, until)
    state.blockStored = true
    log?.warn({ accountId, ms, forcesSpent }, 'tokens refused repeatedly, the account rests')
    parts.rests?.(accountId, { until, forcesSpent })
    return storm(accountId, state)
  }

  /** Forced refreshes of today (Asia/Shanghai). */
  const forcedToday = ({ forced }: TokenRow) => (forced.day === shanghaiDay(now()) ? forced.n : 0)

  /** Reads, waits or fetches until there is a token to hand out. One at a time in this process. */
  function obtain(account: WechatAccount, state: State): Promise<AccessToken> {
    state.work ??= work(account, state)
      .then(
        (token) => {
          state.failures = 0
          notice(account, state, null)
          return token
        },
        (error: unknown) => {
          notice(account, state, error)
          state.failures += 1
          state.failedUntil = now() + Math.min(BLOCK_MS, 1_000 * 2 ** Math.min(state.failures - 1, 6))
          state.failure = error
          throw error
        }
      )
      .finally(() => (state.work = null))
    return state.work
  }

  function notice(account: WechatAccount, state: State, error: unknown): void {
    const saidNo = error instanceof AppError && error.facts.errcode !== undefined
    const hopeless = saidNo && !(error instanceof UpstreamFailure && error.retryable) ? error : null
    if (error !== null && hopeless === null) return // the network, or WeChat being busy, tells nothing new
    if (state.noticed !== undefined && hopeless?.code === state.noticed?.code) return
    state.noticed = hopeless
    parts.notice?.(account.accountId, hopeless)
  }

  async function work(account: WechatAccount, state: State): Promise<AccessToken> {
    const id = account.accountId
    for (let polls = 0, fetched = 0; polls < POLLS;) {
      const row = await rows.read(id)
      if (row === null) {
        await rows.make(id)
        continue
      }
      if (row.blockedUntil !== null && row.blockedUntil.getTime() > now()) {
        state.blockedUntil = row.blockedUntil.getTime()
        state.blockStored = true
        state.forcesSpent = account.tokenApi === 'stable' && forcedToday(row) >= FORCES_A_DAY
        throw storm(id, state)
      }
      adopt(state, row)
      const serving = usable(state)
      if (serving !== null && row.renewAt.getTime() > now()) return serving

      // One more than needed: the token that was read back may have been refused meanwhile.
      if (fetched === 2) throw tokenless(id, 'WeChat gives tokens that end at once')
      const lease = randomUUID()
      const began = clock.monotonic()
      const leased = await rows.lease(id, row.gen, lease, clock.now(), new Date(now() + LEASE_MS))
      if (leased === null) {
        if (serving !== null) return serving // someone else is fetching; the old one serves meanwhile
        polls += 1
        await sleep(POLL_MS)
        continue
      }
      try {
        fetched += 1
        if (await mint(account, state, leased, lease, began)) continue // read back what was stored
      } catch (error) {
        await rows.release(id, lease)
        throw error
      }
      polls += 1 // stalled past the lease, or replaced: look again
      await rows.release(id, lease)
    }
    throw tokenless(id, 'the process that fetches the token did not finish in time')
  }

  /** Fetches under the lease and stores; false when the lease was lost and the answer thrown away. */
  async function mint(account: WechatAccount, state: State, row: TokenRow, lease: string, began: number) {
    const id = account.accountId
    const fetch = await fetcher(account)
    if (clock.monotonic() - began > CALL_WITHIN_MS) return false
    let askedAt = now()
    let body = tokenIn(expectOk(await fetch(false)))

    const old = opened(row)
    const same = account.tokenApi === 'stable' && old === body.access_token
    if (same && row.gen <= state.refusedGen) {
      // Our own token was refused and the stable call keeps returning it: only force replaces it.
      const n = forcedToday(row)
      const apart = row.forced.at === null ? Infinity : now() - row.forced.at.getTime()
      if (apart < FORCE_APART_MS) throw await block(id, state, FORCE_APART_MS - apart)
      if (n >= FORCES_A_DAY) throw await block(id, state, restWithoutForce(askedAt, body.expires_in), true)
      askedAt = now()
      const again = clock.monotonic()
      const forced = { day: shanghaiDay(askedAt), n: n + 1, at: new Date(askedAt) }
      if (!(await rows.noteForced(id, lease, forced, new Date(askedAt + LEASE_MS)))) return false
      if (clock.monotonic() - again > CALL_WITHIN_MS) return false
      body = tokenIn(expectOk(await fetch(true)))
      if (old === body.access_token) throw await block(id, state, FORCE_APART_MS)
      log?.warn({ accountId: id, today: n + 1 }, 'stable token replaced by force')
    }

    const lifeMs = body.expires_in * 1_000
    const expiresAt = askedAt + lifeMs
    const ahead = Math.min(AHEAD_MS - random() * AHEAD_SPREAD_MS, lifeMs / 10)
    const isNew = body.access_token !== old
    return rows.store(id, lease, row.gen, {
      token: seal.seal(body.access_token),
      gen: isNew ? row.gen + 1 : row.gen,
      expiresAt: new Date(expiresAt),
      // The same token again, moments before its last 5 minutes: ask again shortly.
      renewAt: new Date(isNew ? expiresAt - ahead : Math.max(expiresAt - AHEAD_MS, now() + FORCE_APART_MS)),
      madeAt: isNew ? new Date(askedAt) : row.madeAt
    })
  }

  /** A single refusal of a token that worked a moment ago; a second one before it works again is none. */
  function isPassing(state: State, gen: number): boolean {
    const { worked } = state
    return worked.gen === gen && !worked.excused && now() - worked.at <= WORKED_LATELY_MS
  }

  /** The same token once more, unless another process or another refusal has brought a newer one meanwhile. */
  async function excuse(account: WechatAccount, state: State, gen: number): Promise<AccessToken> {
    const row = await rows.read(account.accountId)
    if (row !== null && row.gen !== gen) adopt(state, row)
    if (state.refusing?.gen === gen) return state.refusing.verdict
    return usable(state) ?? settle(account, state)
  }

  /** The newest token was refused: the first time it is replaced, the second time in a row the account rests. */
  async function replace(account: WechatAccount, state: State, gen: number): Promise<AccessToken> {
    const row = await rows.read(account.accountId)
    if (row !== null && row.gen !== gen) {
      adopt(state, row)
      const newer = usable(state)
      if (newer !== null) return newer
    }
    const lately = now() - state.struckAt < STRIKES_FORGOTTEN_MS
    state.strikes = lately ? state.strikes + 1 : 1
    state.struckAt = now()
    state.refusedGen = Math.max(state.refusedGen, gen)
    if (state.strikes >= 2) throw await block(account.accountId, state, BLOCK_MS)
    return settle(account, state)
  }

  /** Work begun before the refusal may end with the refused token; then once more. */
  async function settle(account: WechatAccount, state: State): Promise<AccessToken> {
    for (;;) {
      if (state.work === null && state.failedUntil > now()) throw state.failure
      await obtain(account, state)
      const token = usable(state)
      if (token !== null) return token
    }
  }

  return {
    async current(account) {
      const { accountId } = account
      let state = stateOf(accountId)
      const at = now()
      if (state.blockedUntil > at) {
        // Another process may have been told to start afresh: with another secret, or the other kind of token.
        const row = state.blockStored ? await rows.read(accountId) : null
        const stands = !state.blockStored || (row?.blockedUntil?.getTime() ?? 0) > at
        if (stands) throw storm(accountId, state)
        states.delete(accountId)
        state = stateOf(accountId)
      }
      const token = usable(state)
      if (token === null) return settle(account, state)
      const { renewAt, checkedAt } = state.known!
      if ((at >= renewAt || at - checkedAt > REREAD_MS) && state.work === null && state.failedUntil <= at) {
        obtain(account, state).catch((error: unknown) => {
          log?.warn({ accountId: account.accountId, err: error }, 'token not renewed, the old one serves')
        })
      }
      return token
    },

    refused(account, gen) {
      const state = stateOf(account.accountId)
      if (state.blockedUntil > now()) return Promise.reject(storm(account.accountId, state))
      const known = usable(state)
      if (known !== null && known.gen !== gen) return Promise.resolve(known)
      if (state.refusing?.gen === gen) return state.refusing.verdict
      if (known !== null && isPassing(state, gen)) {
        state.worked.excused = true
        return excuse(account, state, gen)
      }
      const verdict = replace(account, state, gen).finally(() => {
        if (state.refusing?.verdict === verdict) state.refusing = null
      })
      state.refusing = { gen, verdict }
      return verdict
    },

    worked(account, gen) {
      const state = states.get(account.accountId)
      if (state === undefined || gen <= state.refusedGen) return
      state.strikes = 0
      // an answer to an older one that still serves says nothing of the newest
      if (gen >= state.worked.gen) state.worked = { gen, at: now(), excused: false }
    },

    async refresh(account, failedToken) {
      const state = stateOf(account.accountId)
      if (state.blockedUntil > now()) throw storm(account.accountId, state)
      const row = await rows.read(account.accountId)
      if (row !== null) adopt(state, row)
      const known = usable(state)
      if (known !== null && known.token !== failedToken) return known
      const restMs = known === null || row === null ? 0 : row.madeAt.getTime() + FORCE_APART_MS - now()
      if (restMs > 0) throw tooFresh(account.accountId, restMs)
      state.refusedGen = Math.max(state.refusedGen, row?.gen ?? 0)
      return settle(account, state)
    },

    async forget(accountId) {
      states.delete(accountId)
      await rows.remove(accountId)
    }
  }
}

/** How long a stable token that is refused and cannot be forced is left alone, ms: WeChat replaces it near its end, or tomorrow. */
function restWithoutForce(at: number, expiresInS: number): number {
  const tomorrow = (shanghaiDay(at) + 1) * DAY_MS - SHANGHAI_MS - at
  const may = Math.min(expiresInS * 1_000 - STABLE_AHEAD_MS, tomorrow)
  return Math.max(BLOCK_MS, Math.min(SPENT_REST_MS, may))
}

function tokenIn(body: { access_token: unknown; expires_in: unknown }): { access_token: string; expires_in: number } {
  const expires_in = Number(body.expires_in)
  if (typeof body.access_token === 'string' && body.access_token !== '' && expires_in > 0) {
    return { access_token: body.access_token, expires_in }
  }
  throw tokenless(null, 'WeChat answered the token call without a token')
}

/** Days since 1970-01-01 in Asia/Shanghai. */
const shanghaiDay = (at: number) => Math.floor((at + SHANGHAI_MS) / DAY_MS)

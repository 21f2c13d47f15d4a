import type { Account } from '../accounts/accounts.js'
import type { Log } from '../platform/log.js'
import type { Outside } from '../webhooks/outside.js'

/** A push as it came: `search` is the query as WeChat wrote it, without the question mark. */
export type RawPush = { search: string; body: string; contentType: string; relayed: boolean }
/** What WeChat is answered in place of `success`. */
export type Reply = { text: string; type: string }
/** `none`: the account names nobody. `dropped`: too many are under way, or another installation passed it on already. */
export type Relayed = { outcome: 'none' | 'answered' | 'failed' | 'dropped'; reply: Reply | null }

export type Relay = (account: Account, push: RawPush, elapsedMs: number) => Promise<Relayed>

/** Marks what was passed on once, so that two installations naming each other do not play ball. */
export const RELAYED_HEADER = 'hongyan-relay'

/** WeChat waits five seconds; the rest is for the way back. */
const ANSWER_WITHIN_MS = 4_000
/** Given even when storing the push took long. */
const LEAST_MS = 500
/** Of one account; somebody who hangs must not hold thousands of requests here. */
const AT_ONCE = 50
/** So many in a row, and an operator is told. */
const IN_VAIN = 3
const REPLY_TYPES = ['text/xml', 'application/xml', 'application/json', 'text/plain']

const nothing = (outcome: Relayed['outcome']): Relayed => ({ outcome, reply: null })

/**
 * An account has one server URL at WeChat, and another system may live on its pushes, too: each push goes on to the
 * account's `relayTo` as it came, once and without a second try, and what is answered there in time is WeChat's answer.
 * Never throws.
 */
export function createRelay({
  log,
  outside,
  trouble
}: {
  log: Log
  outside: Pick<Outside, 'fault' | 'post'>
  /** Hears when nothing arrives there any more, and why; more than once. */
  trouble: (accountId: string, reason: string) => Promise<void>
}): Relay {
  const underWay = new Map<string, number>()
  const inVain = new Map<string, number>()

  async function failed(accountId: string, reason: string): Promise<void> {
    const times = (inVain.get(accountId) ?? 0) + 1
    inVain.set(accountId, times)
    if (times === 1) log.warn({ accountId, reason }, 'a push could not be passed on')
    if (times < IN_VAIN) return
    await trouble(accountId, reason).catch((err: unknown) => log.warn({ err, accountId }, 'an alert was not raised'))
  }

  return async ({ id, callback: { relayTo } }, { search, body, contentType, relayed }, elapsedMs) => {
    if (relayTo === null) return nothing('none')
    const others = underWay.get(id) ?? 0
    if (relayed || others >= AT_ONCE) return nothing('dropped')
    // What may be reached is told by each process' own settings, and may have changed since the address was given.
    const fault = outside.fault(relayTo)
    if (fault !== null) {
      void failed(id, `the address ${fault}`)
      return nothing('failed')
    }
    underWay.set(id, others + 1)
    try {
      const headers = { 'content-type': contentType || 'text/xml', [RELAYED_HEADER]: '1' }
      const withinMs = Math.max(LEAST_MS, ANSWER_WITHIN_MS - elapsedMs)
      const { status, error, text, type } = await outside.post(withQuery(relayTo, search), headers, body, {
        read: true,
        withinMs
      })
      if (status === null || status < 200 || status > 299) {
        void failed(id, error ?? `HTTP ${status}`)
        return nothing('failed')
      }
      inVain.delete(id)
      return { outcome: 'answered', reply: { text, type: replyType(type) } }
    } finally {
      const left = (underWay.get(id) ?? 1) - 1
      if (left > 0) underWay.set(id, left)
      else underWay.delete(id)
    }
  }
}

/** The other system checks WeChat's signature as we did, so the query goes on as it came. Pure. */
export function withQuery(relayTo: string, search: string): string {
  const [address = ''] = relayTo.split('#')
  return `${address}${address.includes('?') ? '&' : '?'}${search}`
}

/** A type WeChat reads, and no other: what another server answers is not shown as a page of ours. */
function replyType(given: string): string {
  const bare = given.split(';')[0]!.trim().toLowerCase()
  return `${REPLY_TYPES.includes(bare) ? bare : 'text/plain'}; charset=utf-8`
}

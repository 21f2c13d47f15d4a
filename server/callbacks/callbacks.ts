import type { Account, Accounts } from '../accounts/accounts.js'
import type { Events } from '../events/events.js'
import type { People } from '../people/people.js'
import type { Clock } from '../platform/clock.js'
import { NotAllowed } from '../platform/errors.js'
import type { Log } from '../platform/log.js'
import type { Sealer } from '../platform/sealing.js'
import { answerEcho, Encrypted, openPush, type CallbackKeys, type PushQuery } from '../wechat/callback.js'
import { pushConsumers, type PushEffects } from './consumers.js'
import { pushEvents } from './push-events.js'
import type { RawPush, Relay, Relayed } from './relay.js'

export type CallbackParts = {
  clock: Clock
  log: Log
  sealer: Sealer
  accounts: Accounts
  people: People
  events: Pick<Events, 'intake' | 'consume'>
  /** Token and key of the third-party platform: WeChat seals with them what it pushes for accounts connected by QR. */
  platformKeys: () => Promise<CallbackKeys>
  /** Passes pushes on to the address an account names. */
  relay: Relay
} & Pick<PushEffects, 'receipts' | 'credentials' | 'grantTypeOf' | 'learnLater' | 'said'>

/** How often the account's "last push received" is brought up to date. */
const NOTE_EVERY_MS = 10_000

/** What WeChat pushes: the signature first, stored next, acknowledged then, and applied by the consumers afterwards. */
export function createCallbacks(parts: CallbackParts) {
  const { clock, log, sealer, accounts, people, events } = parts
  for (const [name, handler] of pushConsumers(parts)) events.consume(name, handler)

  /** @throws NotAllowed where no token was ever set */
  async function keysOf(account: Account): Promise<CallbackKeys> {
    if (account.connectedBy === 'qr') return parts.platformKeys()
    const { token, mode } = account.callback
    if (token === null) throw new NotAllowed('this account takes no pushes', { code: 'callback.bad-signature' })
    const aesKey = mode === 'plain' ? null : await accounts.aesKeyOf(account.id)
    return { token, appId: account.appId, mode, ...(aesKey !== null && { aesKey }) }
  }

  function opened(account: Account, keys: CallbackKeys, ...[query, body, contentType]: [PushQuery, string, string]) {
    try {
      return openPush(keys, query, body, contentType)
    } catch (error) {
      // WeChat's check of the address passes and every push after it is lost: somebody has to hear of it.
      if (error instanceof Encrypted) log.warn({ accountId: account.id }, error.message)
      throw error
    }
  }

  /** What is signed with another token is noted, at most every ten seconds an account: anybody may knock. */
  const refusals = new Map<string, number>()
  async function signed<T>(account: Account, query: PushQuery, work: () => Promise<T>): Promise<T> {
    try {
      return await work()
    } catch (error) {
      const now = clock.now()
      const last = refusals.get(account.id) ?? -Infinity
      const isSigned = query.signature !== undefined || query.msg_signature !== undefined
      if (isSigned && isBadSignature(error) && Math.abs(now.getTime() - last) >= NOTE_EVERY_MS) {
        refusals.set(account.id, now.getTime())
        await accounts
          .refusedCallback(account.id, now)
          .catch((err: unknown) => log.warn({ err, accountId: account.id }, 'a push turned away was not noted'))
      }
      throw error
    }
  }

  async function note(account: Account, now: Date): Promise<void> {
    const last = account.callback.lastReceivedAt
    if (last !== null && Math.abs(now.getTime() - last.getTime()) < NOTE_EVERY_MS) return
    await accounts
      .touchCallback(account.id, now)
      .catch((error: unknown) => log.warn({ err: error, accountId: account.id }, 'the time of a push was not noted'))
  }

  return {
    /** WeChat's check of the address: the text to answer. @throws NotAllowed, NoSuchAccount */
    async handshake(appId: string, query: PushQuery): Promise<string> {
      const account = await accounts.get(appId)
      return signed(account, query, async () => answerEcho(await keysOf(account), query))
    },

    /**
     * One push. When this returns it is stored, and may be acknowledged; one that came before changes nothing.
     * @throws NotAllowed for a wrong signature and InvalidInput for what cannot be read: nothing is stored then
     */
    async receive(appId: string, query: PushQuery, body: string, contentType: string): Promise<'stored' | 'duplicate'> {
      const account = await accounts.get(appId)
      const push = await signed(account, query, async () =>
        opened(account, await keysOf(account), query, body, contentType)
      )
      const openId = push.fromUserName
      const recipient = openId === '' ? null : await people.recipient(account.id, openId)
      const items = pushEvents(push, sealer.seal).map((event) => ({
        ...event,
        personId: recipient?.personId ?? null,
        recipientId: recipient?.id ?? null
      }))
      const verdicts = await events.intake({ kind: 'wechat', id: recipient?.id ?? '' }, account.id, items)
      await note(account, clock.now())
      return verdicts.every(({ verdict }) => verdict === 'duplicate') ? 'duplicate' : 'stored'
    },

    /**
     * Passes a push that was received on to the account's `relayTo`, and what is answered there back. One that came before
     * goes on, too: WeChat repeats itself where it was not answered, and expects one.
     */
    async relay(appId: string, push: RawPush, elapsedMs: number): Promise<Relayed> {
      return parts.relay(await accounts.get(appId), push, elapsedMs)
    }
  }
}

const isBadSignature = (error: unknown) => error instanceof NotAllowed && error.code === 'callback.bad-signature'

export type Callbacks = ReturnType<typeof createCallbacks>

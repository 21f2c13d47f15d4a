import type { Clock } from '../platform/clock.js'
import type { PhoneCaller } from '../platform/auth.js'
import type { Tokens } from '../platform/tokens.js'
import { NotAuthenticated, InvalidInput } from '../platform/errors.js'
import type { Account, Accounts } from '../accounts/accounts.js'
import { caughtOnOurClock } from '../credentials/terms.js'
import type { Credentials } from '../credentials/credentials.js'
import type { EventInput, Events } from '../events/events.js'
import type { Opens } from '../opens/opens.js'
import type { People } from '../people/people.js'
import type { Testers } from '../testers/testers.js'
import type { SessionBody } from '../wechat/shapes.js'
import type { WechatResult } from '../wechat/client.js'
import { expectOk } from '../wechat/expect-ok.js'
import type {
  CaptureBatch,
  CaptureEvents,
  CaptureOpens,
  CapturePreferences,
  CaptureSettings
} from '../../shared/capture.js'
import type { CredentialsPost, ItemVerdict } from '../../shared/credential.js'
import { CAPTURE_BATCH } from '../../shared/limits.js'
import type { z } from 'zod'

/** wx.login codes WeChat does not take (any more): the phone gets a 401 and logs in anew. */
const BAD_CODES = new Set([40029, 40163, 40226])

/**
 * What phones hand in, and what a backend hands in for them. A phone is known by its token alone; it never says an
 * openid.
 */
export function createCapture(parts: {
  clock: Clock
  accounts: Accounts
  people: People
  credentials: Credentials
  events: Events
  opens: Pick<Opens, 'report'>
  testers: Pick<Testers, 'enrol'>
  tokens: Tokens
  /** Trades a wx.login code in at WeChat. */
  logIn: (account: Account, code: string) => Promise<WechatResult<SessionBody>>
}) {
  const { clock, accounts, people, credentials, events, tokens } = parts

  function settingsOf(account: Account): z.infer<typeof CaptureSettings> {
    const off = (source: 'form' | 'payment' | 'grant') => account.sources[source]?.enabled === false
    return {
      ...account.capture,
      batchSize: CAPTURE_BATCH,
      flushMs: 5000,
      stop: { form: off('form'), payment: off('payment'), grant: off('grant') },
      acceptMock: account.mode === 'sandbox'
    }
  }

  return {
    /** Trades a wx.login code for a session. @throws NotFound, NotAuthenticated, UpstreamFailure */
    async session(appId: string, code: string) {
      const account = await accounts.get(appId)
      if (account.kind !== 'miniprogram') {
        throw new InvalidInput('only mini-programs have phones', {
          code: 'capture.not-a-miniprogram',
          errors: [{ pointer: '/appId', code: 'account.kind', message: 'the appId of a mini-program is needed' }]
        })
      }
      const result = await parts.logIn(account, code)
      if (result.kind === 'answer' && BAD_CODES.has(result.errcode)) {
        throw new NotAuthenticated('WeChat does not take this login code: it is used, expired or of another app', {
          code: 'capture.bad-code',
          facts: { errcode: result.errcode }
        })
      }
      const { openid, unionid } = expectOk(result)
      const recipient = await people.recipient(account.id, openid, { unionId: unionid })
      const minted = tokens.phone({ accountId: account.id, recipientId: recipient.id, personId: recipient.personId })
      return { ...minted, settings: settingsOf(account) }
    },

    /** A host's backend, which knows the openid, mints the phone's token. */
    async mint(account: Account, openId: string) {
      const recipient = await people.recipient(account.id, openId)
      const minted = tokens.phone({ accountId: account.id, recipientId: recipient.id, personId: recipient.personId })
      return { ...minted, settings: settingsOf(account) }
    },

    /** Rights a phone caught; a verdict per item. */
    async keep(phone: PhoneCaller, batch: CaptureBatch): Promise<ItemVerdict[]> {
      const account = await accounts.get(phone.accountId)
      const received = clock.now()
      return credentials.keep(
        account,
        batch.items.map((item) => ({
          ...item,
          recipientId: phone.recipientId,
          caughtAt: caughtOnOurClock(received, batch.sentAt, item.caughtAt)
        }))
      )
    },

    /** Rights a backend holds itself; a verdict per item. */
    async keepFor(account: Account, body: CredentialsPost): Promise<ItemVerdict[]> {
      const now = clock.now()
      const openIds = [...new Set(body.items.map((item) => item.openId))]
      const met = await people.recipients(account.id, openIds)
      const recipientOf = new Map(openIds.map((openId, index) => [openId, met[index]!.id]))
      return credentials.keep(
        account,
        body.items.map(({ openId, caughtAt, ...item }) => ({
          ...item,
          recipientId: recipientOf.get(openId)!,
          caughtAt: caughtAt ?? now
        }))
      )
    },

    /** What the person of this phone did; duplicates by the phone's own ids, which no backend can occupy. */
    async events(phone: PhoneCaller, batch: z.infer<typeof CaptureEvents>) {
      const received = clock.now()
      const inputs = batch.items.map((item): EventInput => ({
        id: item.id,
        name: item.name,
        at: caughtOnOurClock(received, batch.sentAt, item.at),
        properties: item.properties ?? {},
        personId: phone.personId,
        recipientId: phone.recipientId
      }))
      return events.intake({ kind: 'phone', id: phone.recipientId }, phone.accountId, inputs)
    },

    /** Messages this person opened, by the tag their page query carried. Forged tags count for nothing. */
    async opens(phone: PhoneCaller, batch: z.infer<typeof CaptureOpens>): Promise<void> {
      await parts.opens.report(phone, batch.items)
    },

    /** Makes the person of this phone a tester of the account, by a code somebody gave them. @throws NotFound, LimitReached */
    async tester(phone: PhoneCaller, code: string): Promise<void> {
      await parts.testers.enrol(phone, code)
    },

    async status(phone: PhoneCaller) {
      const [sendsLeft, person] = await Promise.all([
        credentials.sendsLeft(phone.accountId, phone.recipientId),
        people.find({ personId: phone.personId })
      ])
      return { optedOut: person?.optedOut ?? false, topics: person?.topics ?? [], sendsLeft }
    },

    /** A person's own wish, from the phone. */
    async preferences(phone: PhoneCaller, wish: z.infer<typeof CapturePreferences>) {
      if (wish.optedOut) await people.optOut(phone.personId, null, 'phone')
      else await people.optIn(phone.personId, null)
      if (wish.topics !== undefined) {
        const now = (await people.find({ personId: phone.personId }))?.topics ?? []
        for (const topic of wish.topics) if (!now.includes(topic)) await people.optOut(phone.personId, topic, 'phone')
        for (const topic of now) if (!wish.topics.includes(topic)) await people.optIn(phone.personId, topic)
      }
      return this.status(phone)
    }
  }
}
export type Capture = ReturnType<typeof createCapture>

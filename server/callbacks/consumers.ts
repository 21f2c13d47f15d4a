import type { Account, Accounts } from '../accounts/accounts.js'
import type { EventHandler, EventRow } from '../events/events.js'
import type { People } from '../people/people.js'
import { NotFound } from '../platform/errors.js'
import type { Log } from '../platform/log.js'
import type { Sealer } from '../platform/sealing.js'
import type { Source } from '../../shared/credential.js'
import type { PushProperties } from './push-events.js'

/** What pushes set in motion, as functions of the rooms that do it. All are repeatable. */
export type PushEffects = {
  accounts: Pick<Accounts, 'get'>
  people: Pick<People, 'follow' | 'interacted'>
  receipts: {
    apply(receipt: {
      accountId: string
      recipientId: string
      msgid: string
      templateId?: string | null
      verdict: 'delivered' | 'userBlock' | 'systemFailed' | 'failed'
      code?: number | null
      at: Date
    }): Promise<unknown>
  }
  credentials: {
    mint(
      account: Account,
      right: { recipientId: string; source: Source; at: Date; key: string; templateId?: string | null }
    ): Promise<unknown>
    /** Grants of this template minted before `asOf` are gone. */
    burnWithdrawn(which: { accountId: string; recipientId: string; templateId: string; asOf: Date }): Promise<unknown>
  }
  /** once, longTerm, or null for a template nobody knows (which counts as once). */
  grantTypeOf(accountId: string, templateId: string): Promise<'once' | 'longTerm' | null>
  /** Finds out who a new follower is elsewhere. */
  learnLater?: (accountId: string, recipientIds: string[]) => Promise<void>
  /** A person wrote this to the account. */
  said?: (who: { accountId: string; recipientId: string }, text: string, at: Date) => Promise<void>
  sealer: Pick<Sealer, 'open'>
  log: Log
}

/** Events of a service account's menu (custom menu documentation). */
const MENU = [
  'click',
  'view',
  'view_miniprogram',
  'scancode_push',
  'scancode_waitmsg',
  'pic_sysphoto',
  'pic_photo_or_album',
  'pic_weixin',
  'location_select'
]
const AT_ONCE = 16

type Effect = (event: { account: Account; recipientId: string; at: Date; said: PushProperties }) => Promise<unknown>

/** What each kind of push does, by the name its event has; the names not listed do nothing and are only kept. */
export function pushConsumers(effects: PushEffects): Map<string, EventHandler> {
  const { people, receipts, credentials, grantTypeOf, learnLater, log } = effects

  /** Rights that come from dealing with a service account; a mini-program has none of them. */
  async function right(account: Account, recipientId: string, source: Source, at: Date, said: PushProperties) {
    if (account.kind === 'service')
      await credentials.mint(account, { recipientId, source, at, key: String(said.createTime) })
  }

  const jobFinished: Effect = ({ account, recipientId, at, said }) =>
    said.msgId === undefined
      ? Promise.resolve()
      : receipts.apply({ accountId: account.id, recipientId, msgid: said.msgId, verdict: verdictOf(said.status), at })

  const subscribeSent: Effect = ({ account, recipientId, at, said }) =>
    said.msgId === undefined
      ? Promise.resolve()
      : receipts.apply({
          accountId: account.id,
          recipientId,
          msgid: said.msgId,
          templateId: said.templateId ?? null,
          verdict: said.errorCode === 0 ? 'delivered' : 'failed',
          code: said.errorCode === 0 ? null : (said.errorCode ?? null),
          at
        })

  /** One tap, one grant: only where pushes are the minting authority. A reject changes nothing. */
  const popup: Effect = async ({ account, recipientId, at, said }) => {
    const { templateId, subscribeStatus = '' } = said
    if (templateId === undefined || !subscribeStatus.startsWith('accept') || account.grantsFrom !== 'events') return
    const source = (await grantTypeOf(account.id, templateId)) === 'longTerm' ? 'longTermGrant' : 'grant'
    await credentials.mint(account, { recipientId, source, at, key: String(said.createTime), templateId })
  }

  const withdrawn: Effect = async ({ account, recipientId, at, said }) => {
    if (said.templateId === undefined || said.subscribeStatus !== 'reject') return
    await credentials.burnWithdrawn({ accountId: account.id, recipientId, templateId: said.templateId, asOf: at })
  }

  const followed: Effect = async ({ account, recipientId, at, said }) => {
    await people.follow(recipientId, true, at)
    await people.interacted(recipientId, at)
    await right(account, recipientId, said.eventKey?.startsWith('qrscene_') ? 'scan' : 'follow', at, said)
    await learnLater?.(account.id, [recipientId]).catch((error: unknown) =>
      log.warn({ err: error, accountId: account.id }, 'who a new follower is will be asked at the next synchronisation')
    )
  }

  const interaction =
    (source: Source): Effect =>
    async ({ account, recipientId, at, said }) => {
      await people.interacted(recipientId, at)
      await right(account, recipientId, source, at, said)
    }

  /** The right first: what was written may be a code whose test needs it. */
  const wrote: Effect = async (told) => {
    await interaction('reply')(told)
    const text = textOf(told.said)
    if (text !== null)
      await effects.said?.({ accountId: told.account.id, recipientId: told.recipientId }, text, told.at)
  }

  /** What a person wrote: kept sealed, like all of a push that has no field of its own. */
  function textOf({ msgType, sealed }: PushProperties): string | null {
    if (msgType.toLowerCase() !== 'text' || sealed === undefined) return null
    const { Content: text } = JSON.parse(effects.sealer.open(sealed)) as { Content?: unknown }
    return typeof text === 'string' || typeof text === 'number' ? String(text) : null
  }

  const table: Record<string, Effect> = {
    templatesendjobfinish: jobFinished,
    subscribe_msg_sent_event: subscribeSent,
    subscribe_msg_popup_event: popup,
    subscribe_msg_change_event: withdrawn,
    subscribe: followed,
    unsubscribe: ({ recipientId, at }) => people.follow(recipientId, false, at),
    scan: interaction('scan'),
    message: wrote
  }
  for (const name of MENU) table[name] = interaction('menu')

  async function apply(effect: Effect, row: EventRow): Promise<void> {
    if (row.accountId === null || row.recipientId === null) return
    let account: Account
    try {
      account = await effects.accounts.get(row.accountId)
    } catch (error) {
      if (error instanceof NotFound) return // the account was removed since
      throw error
    }
    await effect({ account, recipientId: row.recipientId, at: row.at, said: row.properties as PushProperties })
  }

  const consumers = new Map<string, EventHandler>()
  for (const [word, effect] of Object.entries(table)) {
    consumers.set(`$push:${word}`, async (rows) => {
      for (let from = 0; from < rows.length; from += AT_ONCE) {
        await Promise.all(rows.slice(from, from + AT_ONCE).map((row) => apply(effect, row)))
      }
    })
  }
  return consumers
}

/** `failed:user block` comes without, `failed: system failed` with a blank after the colon; both are tolerated either way. */
export function verdictOf(status = ''): 'delivered' | 'userBlock' | 'systemFailed' | 'failed' {
  const word = status.toLowerCase().replaceAll(' ', '')
  if (word === 'success') return 'delivered'
  if (word === 'failed:userblock') return 'userBlock'
  return word === 'failed:systemfailed' ? 'systemFailed' : 'failed'
}

import type { Connection } from 'mongoose'
import type { PlatformPatch } from '../../shared/platform.js'
import type { Accounts } from '../accounts/accounts.js'
import type { Clock } from '../platform/clock.js'
import type { Log } from '../platform/log.js'
import type { Sealer } from '../platform/sealing.js'
import type { WechatClient } from '../wechat/client.js'
import { createComponentApi } from '../wechat/component.js'
import { failureOf } from '../wechat/expect-ok.js'
import { createAuthorizations } from './authorizations.js'
import { createComponentToken } from './component-token.js'
import { createGrants } from './grants.js'
import { createLinks } from './links.js'
import { createSettings } from './settings.js'

/** WeChat pushes one every ten minutes; after this long without, it is asked to. */
const TICKET_LATE_MS = 3_600_000

/** The third-party platform: connects accounts by a QR code their administrators scan, and acts for them afterwards. */
export function createPlatforms(parts: {
  db: Connection
  clock: Clock
  log: Log
  sealer: Sealer
  random: () => number
  accounts: Accounts
  client: WechatClient
  /** Where a platform without an apiBase of its own is. */
  apiBase: string
  publicUrl: string
}) {
  const { log, clock, accounts, client } = parts
  const api = createComponentApi({ client })
  const settings = createSettings(parts)
  const token = createComponentToken({ ...parts, api, settings })
  const grants = createGrants(parts)
  const authorizations = createAuthorizations({ clock, log, accounts, client, api, token, settings, grants })
  const links = createLinks({ ...parts, api, token, settings, authorizations })

  /** Asks WeChat for a ticket; it comes as a push. What WeChat says against it is logged: nobody waits for this answer. */
  async function wantTicket(): Promise<void> {
    const result = await api.startPushTicket(await settings.target(), await settings.secret())
    if (result.kind === 'answer' && result.errcode === 0) return
    log.warn({ err: failureOf(result) }, 'WeChat was asked for a ticket of the platform and said no')
  }

  return {
    view: settings.view,
    keys: settings.keys,
    keepTicket: settings.keepTicket,
    authorizations,
    links,

    async ready(): Promise<void> {
      await Promise.all([grants.ready(), links.ready()])
    },

    /** Merges settings; another platform's accounts are withdrawn. @throws as `Settings.patch` */
    async patch(body: PlatformPatch, ifMatch?: string): Promise<void> {
      const { moved } = await settings.patch(body, ifMatch)
      if (!moved) return
      await token.forget()
      await authorizations.disown((await settings.target()).appId)
      await wantTicket()
    },

    /** The hourly look: a ticket is asked for where none came, and events that were lost are made up for. */
    async tend(): Promise<void> {
      const { platform } = await settings.view()
      if (platform.appId === null) return
      const { ticket } = platform
      if (ticket === null || ticket.receivedAt.getTime() + TICKET_LATE_MS < clock.now().getTime()) await wantTicket()
      if (ticket === null || ticket.expiresAt <= clock.now()) return
      await authorizations.reconcile()
    }
  }
}
export type Platforms = ReturnType<typeof createPlatforms>

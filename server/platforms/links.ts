import type { Connection } from 'mongoose'
import type { Account } from '../accounts/accounts.js'
import type { AccountKind } from '../../shared/account.js'
import type { Clock } from '../platform/clock.js'
import { UpstreamFailure } from '../platform/errors.js'
import { randomToken } from '../platform/ids.js'
import type { Sealer } from '../platform/sealing.js'
import { consentPage, consentPageInWechat, type AuthType, type ComponentApi } from '../wechat/component.js'
import { expectOk } from '../wechat/expect-ok.js'
import type { Authorizations } from './authorizations.js'
import type { ComponentToken } from './component-token.js'
import { BadState, OtherAccount } from './errors.js'
import { linkModel, type LinkRow } from './model.js'
import type { Settings } from './settings.js'

const AUTH_TYPES: Record<AccountKind, AuthType> = { service: 1, miniprogram: 2 }
const BOTH: AuthType = 3

/** Links to WeChat's consent page, and those who come back from it. */
export function createLinks({
  db,
  clock,
  sealer,
  api,
  token,
  settings,
  authorizations,
  publicUrl
}: {
  db: Connection
  clock: Clock
  sealer: Sealer
  api: ComponentApi
  token: ComponentToken
  settings: Settings
  authorizations: Authorizations
  publicUrl: string
}) {
  const model = linkModel(db)

  return {
    async ready(): Promise<void> {
      await model.createIndexes()
    },

    /**
     * A link for one consent: of any account, of one kind, or of one account alone.
     * @throws NoPlatform, NoTicket, UpstreamFailure
     */
    async make(only: { appId?: string; kind?: AccountKind }) {
      const askedAt = clock.now()
      const { pre_auth_code, expires_in } = expectOk(
        await token.with((platform, own) => api.preAuthCode(platform, own))
      )
      const { appId: platformAppId, apiBase } = await settings.target()
      const state = randomToken()
      const expiresAt = new Date(askedAt.getTime() + expires_in * 1_000)
      await model.create({ _id: sealer.hash('authorization-state', state), appId: only.appId ?? null, expiresAt })
      const link = {
        platformAppId,
        preAuthCode: pre_auth_code,
        redirectUri: `${publicUrl}/v1/platform/authorizations/return?state=${state}`,
        authType: only.kind === undefined ? BOTH : AUTH_TYPES[only.kind],
        ...(only.appId !== undefined && { bizAppId: only.appId })
      }
      const host = pageHost(apiBase)
      return { url: consentPage(link, host), urlInWechat: consentPageInWechat(link, host), expiresAt }
    },

    /**
     * An administrator comes back from the consent page. A reload says the same again; another code for the same state
     * is refused. @throws BadState; OtherAccount; UpstreamFailure when WeChat does not know the code (any more)
     */
    async back(state: string, code: string): Promise<Account> {
      const _id = sealer.hash('authorization-state', state)
      const codePrint = sealer.hash('authorization-code', code)
      const link = await model
        .findOneAndUpdate(
          {
            _id,
            expiresAt: { $gt: new Date(clock.now().getTime() - CONSENT_MS) },
            codePrint: { $in: [null, codePrint] }
          },
          { $set: { codePrint } },
          { returnDocument: 'after' }
        )
        .lean<LinkRow>()
      if (link === null) throw new BadState()
      const account = await authorizations.returned(code)
      if (account === null) {
        throw new UpstreamFailure('WeChat does not know this authorisation: begin anew with a new link', false, {
          code: 'platform.unknown-code'
        })
      }
      if (link.appId !== null && link.appId !== account.appId) throw new OtherAccount(link.appId, account.appId)
      return account
    }
  }
}
export type Links = ReturnType<typeof createLinks>

/** The page may have been opened in the last moment, and people take their time to tick boxes. */
const CONSENT_MS = 30 * 60_000

/** WeChat's own pages have hosts of their own; a sandbox has all in one place. */
function pageHost(apiBase: string): string | undefined {
  return new URL(apiBase).hostname.endsWith('.weixin.qq.com') ? undefined : apiBase.replace(/\/+$/, '')
}

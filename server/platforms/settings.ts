import type { Connection } from 'mongoose'
import type { PlatformPatch, PlatformView } from '../../shared/platform.js'
import { apiBaseFault } from '../accounts/api-base.js'
import { ApiBaseRefused } from '../accounts/errors.js'
import type { Clock } from '../platform/clock.js'
import { PreconditionFailed } from '../platform/errors.js'
import { mustMatch } from '../platform/etag.js'
import { isDuplicateKey } from '../platform/mongo.js'
import type { Sealer } from '../platform/sealing.js'
import type { CallbackKeys } from '../wechat/callback.js'
import type { WechatPlatform } from '../wechat/component.js'
import { NoPlatform, NoTicket, PlatformIncomplete, PlatformSecretNeeded } from './errors.js'
import { platformModel, type PlatformRow } from './model.js'

/** Third-party platform documentation, component_verify_ticket: each is valid for 12 hours. */
export const TICKET_LIFE_MS = 12 * 3_600_000

const ID = 'platform'

/** The platform's settings, and the ticket that WeChat pushes to it. */
export function createSettings({
  db,
  clock,
  sealer,
  apiBase,
  publicUrl
}: {
  db: Connection
  clock: Clock
  sealer: Sealer
  apiBase: string
  publicUrl: string
}) {
  const model = platformModel(db)
  const eventUrl = `${publicUrl}/platform/callback`

  const row = () => model.findById(ID).lean<PlatformRow>().exec()

  async function known(): Promise<PlatformRow> {
    const found = await row()
    if (found === null) throw new NoPlatform()
    return found
  }

  const targetOf = ({ appId, mode, apiBase: base }: PlatformRow) => ({
    appId,
    mode,
    apiBase: base ?? apiBase,
    ownApiBase: base
  })

  function view(seen: PlatformRow | null): PlatformView {
    const { sealedTicket, ticketAt } = seen ?? {}
    return {
      appId: seen?.appId ?? null,
      token: seen === null ? null : sealer.open(seen.sealedToken),
      mode: seen?.mode ?? 'live',
      apiBase: seen?.apiBase ?? apiBase,
      callback: {
        eventUrl,
        messageUrl: `${publicUrl}/callback/$APPID$`,
        domain: new URL(publicUrl).hostname
      },
      ticket:
        sealedTicket == null || ticketAt == null
          ? null
          : { receivedAt: ticketAt, expiresAt: new Date(ticketAt.getTime() + TICKET_LIFE_MS) },
      updatedAt: seen?.updatedAt ?? null
    }
  }

  return {
    /** As REST shows it, with its revision (0: not set up). */
    async view(): Promise<{ platform: PlatformView; rev: number }> {
      const seen = await row()
      return { platform: view(seen), rev: seen?.rev ?? 0 }
    },

    /**
     * Merges settings. `moved`: it is another platform now or lives elsewhere, so its tokens are void.
     * @throws PlatformIncomplete, PlatformSecretNeeded, ApiBaseRefused, PreconditionFailed
     */
    async patch(body: PlatformPatch, ifMatch?: string): Promise<{ before: PlatformRow | null; moved: boolean }> {
      const before = await row()
      mustMatch(ifMatch, before?.rev ?? 0)
      if (before === null) {
        const missing = (['appId', 'secret', 'token', 'aesKey'] as const).filter((name) => body[name] === undefined)
        if (missing.length > 0) throw new PlatformIncomplete(missing)
      }
      const mode = body.mode ?? before?.mode ?? 'live'
      const base = body.apiBase === undefined ? (before?.apiBase ?? null) : body.apiBase
      const why = base === null ? null : apiBaseFault(mode, base, apiBase)
      if (why !== null) throw new ApiBaseRefused(why)

      const other = body.appId !== undefined && body.appId !== before?.appId
      const elsewhere = before !== null && (mode !== before.mode || base !== before.apiBase)
      if ((other || elsewhere) && body.secret === undefined) throw new PlatformSecretNeeded()
      const now = clock.now()
      const set: Partial<PlatformRow> = { mode, apiBase: base, updatedAt: now }
      if (body.appId !== undefined) set.appId = body.appId
      if (body.secret !== undefined) set.sealedSecret = sealer.seal(body.secret)
      if (body.token !== undefined) set.sealedToken = sealer.seal(body.token)
      if (body.aesKey !== undefined) set.sealedAesKey = sealer.seal(body.aesKey)
      if (other || elsewhere) Object.assign(set, { sealedTicket: null, ticketAt: null })
      try {
        const { matchedCount, upsertedCount } = await model.updateOne(
          { _id: ID, rev: before?.rev ?? 0 },
          { $set: set, $inc: { rev: 1 }, $setOnInsert: { createdAt: now } },
          { upsert: before === null }
        )
        if (matchedCount + upsertedCount === 0) throw new PreconditionFailed()
      } catch (error) {
        if (isDuplicateKey(error)) throw new PreconditionFailed()
        throw error
      }
      return { before, moved: other || elsewhere || body.secret !== undefined }
    },

    /** What its calls go by. @throws NoPlatform */
    target: async () => targetOf(await known()),

    /** Its secret in clear. @throws NoPlatform */
    secret: async (): Promise<string> => sealer.open((await known()).sealedSecret),

    /** All that a token of its own takes, with the newest ticket. @throws NoPlatform; NoTicket when there is none or it has died */
    async means(): Promise<{ platform: WechatPlatform; secret: string; ticket: string }> {
      const seen = await known()
      const { sealedSecret, sealedTicket, ticketAt } = seen
      const now = clock.now().getTime()
      if (sealedTicket === null || ticketAt === null || ticketAt.getTime() + TICKET_LIFE_MS <= now) {
        throw new NoTicket(eventUrl)
      }
      return { platform: targetOf(seen), secret: sealer.open(sealedSecret), ticket: sealer.open(sealedTicket) }
    },

    /** Keeps a ticket unless a newer one of this platform is there. */
    async keepTicket(appId: string, ticket: string, at: Date): Promise<void> {
      await model.updateOne(
        { _id: ID, appId, $or: [{ ticketAt: null }, { ticketAt: { $lte: at } }] },
        { $set: { sealedTicket: sealer.seal(ticket), ticketAt: at } }
      )
    },

    /** Token and key of its pushes, and of those of the accounts that authorised it. @throws NoPlatform */
    async keys(): Promise<CallbackKeys & { aesKey: string }> {
      const { appId, sealedToken, sealedAesKey } = await known()
      // WeChat pushes to platforms in safe mode alone.
      return { appId, token: sealer.open(sealedToken), aesKey: sealer.open(sealedAesKey), mode: 'safe' }
    }
  }
}
export type Settings = ReturnType<typeof createSettings>
